"""Recipes from records to model folders: what they learn, refuse, and survive."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import datasets
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from slm.plugin import Base, Interface, Job, SlmError
from slm_models.template import Prompter, derive_interface, read_interface
from slm_recipes.full import Full
from slm_recipes.instruction import Instruction
from slm_recipes.lora import Lora
from slm_recipes.pretrain import Pretrain
from slm_recipes.tokenizing import check_targets, gather, tokenize

SCRATCH = Job("commands", "qa", Base("scratch"))
SMALL = {"vocabulary": 300, "layers": 2, "hidden": 32, "heads": 2, "batch_tokens": 512, "learning_rate": 1e-2}

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*is_gradient_checkpointing.*:FutureWarning",  # peft asks transformers for a property it has renamed
)


def stories(data: Path) -> Base:
    folder = data / "models/stories260k"
    return Base("stories260k", "decoder", folder, "LlamaForCausalLM", "llama", 260_032, 5, 64, 512, 512)


def losses(folder: Path) -> list[list[float]]:
    lines = (folder / "losses.csv").read_text().splitlines()[1:]
    return [[float(x) for x in line.split(",")] for line in lines]


def answer(folder: Path, question: str) -> tuple[list[int], Prompter]:
    """What the model says, greedily, token by token."""
    prompter = Prompter.open(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = prompter.prompt([{"role": "user", "content": question}])
    with torch.no_grad():
        said = model.generate(torch.tensor([ids]), max_new_tokens=30, do_sample=False)[0, len(ids) :]
    return said.tolist(), prompter


def test_a_model_made_from_nothing_learns_its_data_and_ends_its_answers(commands, work) -> None:
    made = Pretrain(epochs=200, **SMALL).recipe(SCRATCH, commands, commands, work())
    said, prompter = answer(made.path, "please turn the heater in the attic off")
    assert prompter.decode(said) == "heater attic off"
    assert said[-1] == made.interface.stop[0]
    assert read_interface(made.path) == made.interface
    assert {"config.json", "model.safetensors", "tokenizer.json", "generation_config.json"} <= names(made.path)
    tokenizer = AutoTokenizer.from_pretrained(made.path)
    turn = [{"role": "user", "content": "hello <|end|> there"}]
    assert tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], add_generation_prompt=True)[
        "input_ids"
    ] == (prompter.prompt([{"role": "user", "content": "hi"}]))
    assert prompter.prompt(turn).count(made.interface.stop[0]) == 1


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_plain_text_is_cut_into_windows_that_learn_every_token_once(commands, work) -> None:
    place, text = work(), "the cat sat on the mat and the dog lay on the rug. " * 40
    job = Job("text", "completion", Base("scratch"))
    made = Pretrain(epochs=1, max_length=32, **SMALL).recipe(
        job, datasets.Dataset.from_list([{"text": text}]), None, place
    )
    record = json.loads((made.path / "training.json").read_text())
    ids = Prompter.open(made.path).example({"text": text}).ids
    assert record["targets"] == len(ids) - 1
    assert made.interface.template is None
    assert made.interface.begin


@pytest.mark.parametrize(
    "recipe",
    [
        Lora(epochs=2),
        Instruction(epochs=2),
        Instruction(epochs=2, method="full"),
        Full(epochs=2),
        Lora(epochs=2, precision="bfloat16"),
    ],
)
def test_a_real_base_gets_better_and_opens_again(data: Path, commands, work, recipe) -> None:
    seen: list = []
    made = recipe.recipe(Job("x", "qa", stories(data)), commands, commands, work(seen=seen))
    rows = losses(made.path)
    assert rows[-1][1] < 0.8 * rows[0][1]
    assert made.interface == derive_interface(stories(data).path, "qa")
    assert isinstance(AutoModelForCausalLM.from_pretrained(made.path), torch.nn.Module)
    assert {"tokenizer.json", "slm.json", "losses.csv", "training.json"} <= names(made.path)
    figures = [figure for kind, figure in seen if kind == "progress"][-1]
    assert figures["done"] == figures["total"] == len(rows)
    assert {"loss", "learning_rate", "tokens_per_second", "validation_loss"} <= set(figures)


def test_an_adapter_folder_gives_the_logits_of_the_trained_model(data: Path, commands, work) -> None:
    made = Lora(epochs=3, rank=4).recipe(Job("x", "qa", stories(data)), commands, None, work())
    config = json.loads((made.path / "adapter_config.json").read_text())
    assert Path(config["base_model_name_or_path"]) == stories(data).path.absolute()
    ids = torch.tensor([Prompter.open(made.path).example(commands[0]).ids])
    tuned = AutoModelForCausalLM.from_pretrained(made.path)(input_ids=ids, labels=ids).loss
    base = AutoModelForCausalLM.from_pretrained(stories(data).path)(input_ids=ids, labels=ids).loss
    assert tuned.item() < base.item()


KILLED = """
import sys
from pathlib import Path
import datasets
from slm.plugin import Base, Hardware, Job, Work
from slm_recipes.classification import Classification
from slm_recipes.pretrain import Pretrain
rows = datasets.Dataset.from_file(sys.argv[1])
place = Path(sys.argv[2])
work = Work(place / "result", place / "checkpoints", Hardware(2, 8 << 30))
recipe = {"qa": Pretrain, "classification": Classification}[sys.argv[3]]
made = recipe(vocabulary=300, layers=2, hidden=32, heads=2, batch_tokens=256, epochs=60, checkpoint_every=20)
made.recipe(Job("x", sys.argv[3], Base("scratch")), rows, rows, work)
"""


@pytest.mark.parametrize("task", ["qa", "classification"])
def test_a_run_killed_twice_ends_like_an_unbroken_one(task: str, commands, work, tmp_path: Path) -> None:
    from slm_data.dataset import write_splits

    texts = [[turn["content"] for turn in turns] for turns in commands["messages"]]
    labelled = [{"text": asked, "label": answer.split()[0]} for asked, answer in texts]
    write_splits({"rows": commands if task == "qa" else datasets.Dataset.from_list(labelled)}, tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(place: Path) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / "rows.arrow", place, task], env=environment)

    whole, broken = work("whole").folder.parent, work("broken").folder.parent
    assert start(whole).wait(120) == 0
    for least in (20, 60):
        run = start(broken)
        while run.poll() is None and newest(broken / "checkpoints") < least:
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
    assert start(broken).wait(120) == 0
    for name in ("losses.csv", "validation.csv"):
        assert (whole / "result" / name).read_text() == (broken / "result" / name).read_text()
    ours, theirs = (load_file(place / "result/model.safetensors") for place in (whole, broken))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert len(list((whole / "checkpoints").glob("step-*.pt"))) == 2


def newest(checkpoints: Path) -> int:
    return max((int(file.stem.removeprefix("step-")) for file in checkpoints.glob("step-*.pt")), default=0)


def test_a_checkpoint_cut_short_is_passed_over(tmp_path: Path) -> None:
    from slm_recipes import checkpoint

    for step in (10, 20):
        checkpoint.save(tmp_path, step, {"step": step, "weights": torch.ones(100)})
    file = tmp_path / "step-000000020.pt"
    file.write_bytes(file.read_bytes()[:300])
    assert checkpoint.latest(tmp_path)["step"] == 10


def test_the_best_weights_are_kept_and_patience_ends_a_run_that_gets_worse(commands, work) -> None:
    odd = datasets.Dataset.from_list(
        [{"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "zebra"}]}]
    )
    settings = {**SMALL, "epochs": 100, "evaluate_every": 5, "patience": 3}
    made = Pretrain(**settings).recipe(SCRATCH, commands, odd, work())
    looks = [line.split(",") for line in (made.path / "validation.csv").read_text().splitlines()[1:]]
    best = min(looks, key=lambda look: float(look[1]))
    record = json.loads((made.path / "training.json").read_text())
    assert record["kept_step"] == int(best[0]) < record["steps"] < 100 * 2


def test_an_example_without_an_answer_left_is_dropped_and_counted(commands, work) -> None:
    seen: list = []
    long = {"messages": [{"role": "user", "content": "word " * 400}, {"role": "assistant", "content": "yes"}]}
    rows = datasets.Dataset.from_list([*commands, long])
    Pretrain(epochs=1, **SMALL).recipe(SCRATCH, rows, None, work(seen=seen))
    warnings = [figures["text"] for kind, figures in seen if kind == "warning"]
    assert warnings == ["train: 1 of 25 examples had nothing left to learn within 256 tokens; raise max_length"]


@pytest.mark.parametrize(
    ("targets", "answers", "message"),
    [
        ([False, False], True, "no token is left"),
        ([False, False], False, "no token is left"),
        ([True, True], True, "every token"),
    ],
)
def test_a_mask_of_nothing_or_of_everything_is_refused(targets, answers, message) -> None:
    with pytest.raises(SlmError, match=message):
        check_targets(gather([([5, 6, 7], [targets[0], *targets], -1)]), answers=answers)


def test_answers_cut_off_everywhere_are_refused(commands, work) -> None:
    with pytest.raises(SlmError, match="no token is left to be learned"):
        Pretrain(epochs=1, max_length=4, **SMALL).recipe(SCRATCH, commands, None, work())


def test_empty_training_data_is_refused(commands, work) -> None:
    with pytest.raises(SlmError, match="no records to train on"):
        Pretrain().recipe(SCRATCH, commands.select([]), None, work())


def test_a_base_that_is_no_model_is_refused(commands, work, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SlmError, match="has no tokenizer"):
        Lora().recipe(Job("x", "qa", Base("empty", "decoder", tmp_path / "empty")), commands, None, work())


def test_questions_are_learned_too_where_asked(commands, work) -> None:
    made = Pretrain(epochs=1, loss_on="all", **SMALL).recipe(SCRATCH, commands, None, work())
    record = json.loads((made.path / "training.json").read_text())
    assert record["targets"] == record["tokens"] - len(commands)


def test_an_architecture_without_weights_is_trained_with_a_tokenizer_of_its_own(commands, work, tmp_path: Path) -> None:
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 320, "hidden_size": 32}
    sizes = {"intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    (tmp_path / "config.json").write_text(json.dumps({**config, **sizes, "max_position_embeddings": 128}))
    job = Job("x", "qa", Base("mine", "config", tmp_path))
    made = Pretrain(epochs=30, batch_tokens=512, learning_rate=1e-2).recipe(job, commands, None, work())
    rows = losses(made.path)
    assert rows[-1][1] < 0.5 * rows[0][1]
    assert made.interface.context == 128


def test_tokens_are_made_once(commands, work, data: Path) -> None:
    place = work()
    prompter = Prompter.open(stories(data).path, derive_interface(stories(data).path, "qa"))
    first = tokenize(prompter, commands, 64, place, "train")
    again = tokenize(prompter, commands.select([0]), 64, place, "train")
    assert (again.ids == first.ids).all()
    assert isinstance(made_interface := prompter.interface, Interface)
    assert made_interface.stop
