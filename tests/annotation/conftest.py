"""Tiny real models, made from a config in the test: one that has learned a few answers, and a classifier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from slm.plugin import Engine, Hardware, Interface, Model
from slm_engines.transformers import Transformers
from slm_models.template import PLAIN, Prompter, read_interface, write_interface

FACTS = {
    "What is the capital of France?": "Paris",
    "What is the capital of Peru?": "Lima",
    "Which animal barks?": "The dog",
    "How many legs has a spider?": "eight legs",
}
CONTEXT = 96
LABELS = ("lights", "music", "weather")


@pytest.fixture(scope="session")
def facts() -> Mapping[str, str]:
    return FACTS


@pytest.fixture(scope="session")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A chat model that has learned FACTS by heart."""
    folder = decoder(tmp_path_factory.mktemp("knowing"), "qa")
    memorise(folder)
    yield from opened(folder)


@pytest.fixture(scope="session")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A completion model with random weights."""
    yield from opened(decoder(tmp_path_factory.mktemp("writer"), "completion"))


@pytest.fixture(scope="session")
def sorter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A BERT of one layer with random weights and three labels."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("sorter")
    config = BertConfig(
        vocab_size=save_tokenizer(folder), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64, num_labels=3, initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    write_interface(Interface("classification", 64, labels=LABELS, pad=1), folder)
    yield from opened(folder)


def decoder(folder: Path, task: str) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=save_tokenizer(folder), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=CONTEXT, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    template = None if task == "completion" else PLAIN
    write_interface(Interface(task, CONTEXT, template, "<s>", "</s>", (0,), (1,), 1), folder)
    return folder


def save_tokenizer(folder: Path) -> int:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([*FACTS, *FACTS.values()], trainer)
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
    for _ in range(60):
        optimiser.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
    model.save_pretrained(folder)


def opened(folder: Path) -> Iterator[Engine]:
    engine = Transformers().engine(Model(folder, "transformers", read_interface(folder)), Hardware())
    yield engine
    engine.close()
