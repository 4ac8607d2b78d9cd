"""The export gate: the same model passes, and every way of being another model does not."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest
from attrs import frozen
from tokenizers import Tokenizer, models, pre_tokenizers

from slm.plugin import Chunk, Hardware, Interface, Model, Request
from slm_models.template import PLAIN, Prompter, derive_interface, write_interface
from slm_models.verify import SENTENCES, Comparison, compare

RECORDS = [
    {"messages": [{"role": "user", "content": f"ask {n}"}, {"role": "assistant", "content": "yes"}]} for n in range(40)
]
TEXTS = [{"text": f"a line of text, number {n}"} for n in range(40)]


def spelling(shift: int = 0) -> Tokenizer:
    """A tokenizer of single characters; `shift` gives them other ids."""
    letters = sorted(set("".join(SENTENCES)) | {chr(n) for n in range(32, 127)} | {"\n"})
    vocabulary = {"</s>": 0, "<unk>": 1, **{letter: 2 + (n + shift) % len(letters) for n, letter in enumerate(letters)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.add_special_tokens(["</s>", "<unk>"])
    return tokenizer


CHAT = Interface("qa", 200, template=PLAIN, eos="</s>", stop=(0,))
TEXT = Interface("completion", 200, stop=(0,))
LABELS = Interface("classification", 200, labels=("no", "yes"))


@frozen
class Table:
    """An engine without a network: each token's score and successor follow from the token before it."""

    prompter: Prompter
    noise: Callable[[int], float] = lambda place: 0.0
    step: Callable[[int], int] = lambda place: 7

    def score(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        return [[-1.0 - (a * 31 + b) % 5 + self.noise(n) for n, (a, b) in enumerate(pairwise(s))] for s in sequences]

    def generate(self, requests: Sequence[Request]) -> Iterator[Chunk]:
        for index, request in enumerate(requests):
            last = request.prompt[-1]
            for n in range(request.max_tokens):
                last = 2 + (last + self.step(n)) % 50
                yield Chunk(index, (last,), "", "length" if n == request.max_tokens - 1 else "")

    def classify(self, texts: Sequence[str]) -> list[list[float]]:
        yes = [(len(text) % 10) / 10 + self.noise(n) for n, text in enumerate(texts)]
        return [[1 - each, each] for each in yes]

    def close(self) -> None:
        """Nothing to give back."""


def engine(interface: Interface = CHAT, shift: int = 0, **changes: Any) -> Table:
    return Table(Prompter(spelling(shift), interface), **changes)


@pytest.mark.parametrize("interface", [CHAT, TEXT, LABELS])
@pytest.mark.parametrize("given", [True, False])
def test_the_same_model_passes_with_no_difference(interface: Interface, given: bool) -> None:
    records = (RECORDS if interface is CHAT else TEXTS) if given else []
    found = compare(engine(interface), engine(interface), records, 1e-6)
    assert found.passed
    assert (found.mean, found.max, found.agreement) == (0.0, 0.0, 1.0)
    assert found.sequences == (16 if given else 4)
    assert found.tokens > found.sequences
    assert "within the tolerance" in found.reason


@pytest.mark.parametrize(("tolerance", "passed"), [(0.011, True), (0.009, False)])
@pytest.mark.parametrize("interface", [CHAT, TEXT, LABELS])
def test_a_difference_passes_up_to_its_tolerance(interface: Interface, tolerance: float, passed: bool) -> None:
    records = RECORDS if interface is CHAT else TEXTS
    found = compare(engine(interface), engine(interface, noise=lambda place: 0.01), records, tolerance)
    assert found.passed is passed
    assert found.mean == pytest.approx(0.01)
    assert found.max == pytest.approx(0.01)
    assert "differs by 0.01" in found.reason


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("interface", [CHAT, TEXT, LABELS])
def test_one_number_that_is_not_finite_fails(interface: Interface, value: float) -> None:
    records = RECORDS if interface is CHAT else TEXTS
    broken = engine(interface, noise=lambda place: value if place == 3 else 0.0)
    found = compare(engine(interface), broken, records, 1e9)
    assert not found.passed
    assert found.mean is None
    assert found.reason == "it gives numbers that are not finite"
    assert compare(broken, engine(interface), records, 1e9).reason == "its source gives numbers that are not finite"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"stop": (0, 1)}, "stop"),
        ({"template": PLAIN + " "}, "template"),
        ({"begin": (1,)}, "begin"),
        ({"task": "chat", "eos": ""}, "task, eos"),
    ],
)
def test_another_interface_is_another_model(change: dict[str, Any], named: str) -> None:
    found = compare(engine(), engine(attrs.evolve(CHAT, **change)), RECORDS, 1.0)
    assert not found.passed
    assert all(name in found.reason for name in named.split(", "))


@pytest.mark.parametrize("interface", [CHAT, TEXT, LABELS])
def test_other_token_ids_are_another_model(interface: Interface) -> None:
    records = RECORDS if interface is CHAT else TEXTS
    found = compare(engine(interface), engine(interface, shift=3), records, 1e9)
    assert not found.passed
    assert "other ids" in found.reason


def test_greedy_tokens_agree_up_to_the_first_that_differs() -> None:
    found = compare(engine(), engine(step=lambda n: 7 if n < 6 else 8), RECORDS, 1.0)
    assert found.passed
    assert found.agreement == pytest.approx(6 / 24)


def test_labels_agree_where_the_likeliest_is_the_same() -> None:
    found = compare(engine(LABELS), engine(LABELS, noise=lambda place: 0.0 if place else 1.0), TEXTS, 1.0)
    assert found.agreement == pytest.approx(15 / 16)


def test_a_long_text_and_a_small_context_are_cut() -> None:
    small = attrs.evolve(TEXT, context=32)
    found = compare(engine(small), engine(small), [{"text": "long " * 1000}], 1e-6)
    assert found.passed
    assert found.tokens == 31


def test_records_that_teach_nothing_are_replaced_by_sentences() -> None:
    found = compare(engine(), engine(), [{"messages": [{"role": "user", "content": "only asked"}]}], 1e-6)
    assert found.passed
    assert found.sequences == len(SENTENCES)


def test_a_score_that_is_missing_fails() -> None:
    @frozen
    class Short(Table):
        def score(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
            return [row[:-1] for row in super().score(sequences)]

    found = compare(engine(), Short(Prompter(spelling(), CHAT)), RECORDS, 1.0)
    assert (found.passed, found.reason) == (False, "it gives another number of scores")


def test_a_comparison_is_plain_json() -> None:
    found = compare(engine(), engine(), RECORDS, 1e-6)
    assert Comparison(**attrs.asdict(found)) == found


@pytest.fixture(scope="module")
def stories(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small real model with an interface of its own."""
    folder = tmp_path_factory.mktemp("stories") / "model"
    shutil.copytree(data / "models/stories260k", folder)
    write_interface(derive_interface(folder, "completion"), folder)
    return folder


def opened(folder: Path) -> Any:
    from slm_engines.transformers import Transformers

    model = Model(folder, "transformers", derive_interface(folder, "completion"))
    return Transformers().engine(model, Hardware(cores=1, memory=8 << 30))


def test_a_real_model_passes_against_itself_and_fails_when_its_weights_are_shaken(
    stories: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(stories, tmp_path / "shaken")
    weights = load_file(stories / "model.safetensors")
    generator = torch.Generator().manual_seed(0)
    shaken = {
        k: v + 0.05 * v.std() * torch.randn(v.shape, generator=generator) for k, v in weights.items() if v.dim() > 1
    }
    save_file({**weights, **shaken}, tmp_path / "shaken" / "model.safetensors", metadata={"format": "pt"})
    source, other = opened(stories), opened(tmp_path / "shaken")
    try:
        same, different = compare(source, source, [], 1e-4), compare(source, other, [], 1e-3)
    finally:
        source.close()
        other.close()
    assert same.passed
    assert same.agreement == 1.0
    assert not different.passed
    assert different.mean is not None
    assert 0.003 < different.mean < 1.0
