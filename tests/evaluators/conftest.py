"""Tiny real models, made from a config in the test: one that has learned a few answers, one that never learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slm.plugin import Engine, Hardware, Interface, Job, Model, Work
from slm.values import Base
from slm_engines.transformers import Transformers
from slm_models.template import PLAIN, Prompter, write_interface

FACTS = {
    "What is the capital of France?": "Paris",
    "What is the capital of Peru?": "Lima",
    "Which animal barks?": "The dog",
    "Which animal meows?": "The cat",
    "How many legs has a spider?": "eight legs",
    "What colour is snow?": "white",
}
LABELS = ("lights", "music", "weather")
TEXTS = ("turn on the lamp", "play a song", "will it rain", "lamp off please", "louder music", "is it sunny")


@pytest.fixture(scope="session")
def facts() -> dict[str, str]:
    return FACTS


@pytest.fixture
def warned() -> list[tuple[str, Any]]:
    """What a stage under test has said."""
    return []


@pytest.fixture
def work(tmp_path: Path, warned: list[tuple[str, Any]]) -> Work:
    folder = tmp_path / "work"
    folder.mkdir()
    return Work(folder, tmp_path, Hardware(), seed=7, emit=lambda kind, data: warned.append((kind, data)))


@pytest.fixture
def job() -> Callable[[str], Job]:
    return lambda task: Job("tiny", task, Base("tiny"))


@pytest.fixture(scope="session")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Builds a model folder: a Llama of 2 layers with random weights, and a byte-level tokenizer."""

    def build(task: str, context: int = 128) -> Path:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.manual_seed(1)
        folder = tmp_path_factory.mktemp(task)
        size = save_tokenizer(folder)
        config = LlamaConfig(
            vocab_size=size, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=context, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        )  # fmt: skip
        LlamaForCausalLM(config).save_pretrained(folder)
        template = None if task == "completion" else PLAIN
        write_interface(Interface(task, context, template, "<s>", "</s>", (0,), (1,), 1), folder)
        return folder

    return build


@pytest.fixture(scope="session")
def untrained(decoder: Callable[..., Path]) -> Iterator[Engine]:
    yield from opened(decoder("qa"))


@pytest.fixture(scope="session")
def knowing(decoder: Callable[..., Path]) -> Iterator[Engine]:
    """A model that has learned FACTS by heart."""
    folder = decoder("qa")
    memorise(folder)
    yield from opened(folder)


@pytest.fixture(scope="session")
def writer(decoder: Callable[..., Path]) -> Iterator[Engine]:
    """A completion model with a context of 32 tokens."""
    yield from opened(decoder("completion", 32))


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A BERT of one layer with random weights and three labels."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("classifier")
    size = save_tokenizer(folder)
    config = BertConfig(
        vocab_size=size, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64, num_labels=3, id2label=dict(enumerate(LABELS)), initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    write_interface(Interface("classification", 64, labels=LABELS, pad=1), folder)
    yield from opened(folder)


def save_tokenizer(folder: Path) -> int:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator([*FACTS, *FACTS.values(), *TEXTS], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    return int(tokenizer.get_vocab_size())


def memorise(folder: Path) -> None:
    import torch
    from transformers import LlamaForCausalLM

    model, prompter = LlamaForCausalLM.from_pretrained(folder), Prompter.open(folder)
    turns = [[{"role": "user", "content": q}, {"role": "assistant", "content": a}] for q, a in FACTS.items()]
    examples = [prompter.example({"messages": messages}) for messages in turns]
    longest = max(len(example.ids) for example in examples)
    ids = torch.tensor([e.ids + [1] * (longest - len(e.ids)) for e in examples])
    labels = torch.tensor([
        [i if t else -100 for i, t in zip(e.ids, e.targets, strict=True)] + [-100] * (longest - len(e.ids))
        for e in examples
    ])  # fmt: skip
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(80):
        optimiser.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
    model.save_pretrained(folder)


def opened(folder: Path) -> Iterator[Engine]:
    from slm_models.template import read_interface

    engine = Transformers().engine(Model(folder, "transformers", read_interface(folder)), Hardware())
    yield engine
    engine.close()
