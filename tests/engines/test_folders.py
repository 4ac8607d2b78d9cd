"""Which folders the engines open, and with what."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from slm.plugin import Gpu, Hardware, Model, Request, SlmError
from slm_engines.checkpoint import precision
from slm_engines.onnx import Onnx
from slm_engines.torchscript import TorchScript
from slm_engines.transformers import Transformers
from slm_models.template import derive_interface

ALONE = """
import sys
from pathlib import Path
for name in ("torch", "transformers", "onnxruntime_genai", "onnx"):
    sys.modules[name] = None
from slm.plugin import Hardware, Model, Request
from slm_models.template import read_interface
from slm_engines.onnx import Onnx
folder = Path(sys.argv[1])
engine = Onnx().engine(Model(folder, "onnx", read_interface(folder)), Hardware(cores=1))
if engine.prompter.interface.task == "classification":
    print(engine.classify(["one two"]))
else:
    print([token for chunk in engine.generate([Request((1, 50), max_tokens=6)]) for token in chunk.tokens])
    print(engine.score([[1, 50, 60]]))
"""


@pytest.mark.parametrize("written", ["onnx"], indirect=True)
def test_the_onnx_engine_needs_neither_torch_nor_transformers(written):
    done = subprocess.run([sys.executable, "-c", ALONE, str(written.path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout.splitlines()[0])) == 6


PEFT = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft 0.21, transformers 5


def adapter(model: Model, folder: Path) -> Model:
    """A LoRA adapter on the model, its weights far from zero, in a folder as a recipe writes it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from slm_models.template import write_interface

    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    network = get_peft_model(AutoModelForCausalLM.from_pretrained(model.path), config)
    torch.manual_seed(3)
    for name, each in network.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(each, std=0.2)
    network.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(model.path / name, folder / name)
    write_interface(model.interface, folder)
    return Model(folder, "transformers", model.interface)


@PEFT
def test_an_adapter_folder_is_opened_with_its_base(writer, prompts, tmp_path, ask):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = adapter(writer, tmp_path / "adapter")
    engine = Transformers().engine(model, Hardware())
    network = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(writer.path), model.path).eval()
    sequence = list(prompts[1])
    with torch.no_grad():
        logits = network(torch.tensor([sequence])).logits[0, :-1]
    expected = torch.log_softmax(logits, -1)[range(len(sequence) - 1), sequence[1:]]
    assert engine.score([sequence])[0] == pytest.approx(expected.tolist(), abs=1e-4)
    assert ask(engine, [Request(prompts[1], max_tokens=4)])
    engine.close()


@PEFT
def test_an_adapter_without_its_base_says_which(writer, tmp_path):
    model = adapter(writer, tmp_path / "adapter")
    file = model.path / "adapter_config.json"
    file.write_text(file.read_text().replace(str(writer.path), "/nowhere/base"))
    with pytest.raises(SlmError, match="base /nowhere/base is not there"):
        Transformers().engine(model, Hardware())


def test_a_base_with_an_older_tokenizer_is_opened_by_its_interface(data, tmp_path):
    from transformers import AutoModelForCausalLM, GPT2Config

    folder = tmp_path / "gpt2"
    shutil.copytree(data / "tokenizers/gpt2", folder)
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=64)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    interface = derive_interface(data / "models/stories260k", "completion")
    interface = attrs.evolve(interface, context=64, begin=(), stop=(50256,))
    engine = Transformers().engine(Model(folder, "transformers", interface), Hardware())
    ids = engine.prompter.text("Hello there")
    assert engine.prompter.decode(ids) == "Hello there"
    assert len(engine.score([ids])[0]) == len(ids) - 1
    engine.close()


@pytest.mark.parametrize("kind", [Transformers, Onnx, TorchScript])
def test_a_folder_without_a_model_is_one_line(kind, writer, tmp_path):
    for name in ("tokenizer.json", "slm.json"):
        shutil.copyfile(writer.path / name, tmp_path / name)
    with pytest.raises(SlmError) as found:
        kind().engine(Model(tmp_path, kind.formats[0], writer.interface), Hardware())
    assert str(tmp_path) in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("option", "hardware", "expected"),
    [
        ("auto", Hardware(), "float32"),
        ("auto", Hardware(gpus=(Gpu("H100", 80 << 30, (9, 0)),)), "float32"),
        ("bfloat16", Hardware(), "bfloat16"),
    ],
)
def test_small_models_are_opened_in_float32_unless_asked_otherwise(writer, option, hardware, expected):
    assert precision(option, writer.path, hardware) == expected
