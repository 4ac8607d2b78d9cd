"""Who takes which job on which machine, and why."""

import pytest

from slm.plugin import TASKS, Base, Gpu, Hardware, Job, Rank
from slm_recipes.classification import Classification
from slm_recipes.full import Full
from slm_recipes.instruction import Instruction
from slm_recipes.lora import Lora
from slm_recipes.pretrain import Pretrain

RECIPES = {
    "pretrain": Pretrain(),
    "full": Full(),
    "lora": Lora(),
    "instruction": Instruction(),
    "classification": Classification(),
}
SMALL = Hardware(cores=2, memory=24 << 30, flags=("avx512f", "avx512_bf16"))
TINY = Hardware(cores=2, memory=2 << 30)
H100 = Hardware(cores=16, memory=128 << 30, gpus=(Gpu("H100", 80 << 30, (9, 0)),))
BASES = {
    "scratch": Base("scratch"),
    "config": Base("mine", "config", parameters=2_000_000, layers=4, hidden=128, vocabulary=2000, context=256),
    "stories": Base("stories", "decoder", parameters=260_032, layers=5, hidden=64, vocabulary=512, context=512),
    "135M": Base("smol", "decoder", parameters=135_000_000, layers=30, hidden=576, vocabulary=49152, context=8192),
    "7B": Base("large", "decoder", parameters=7_000_000_000, layers=32, hidden=4096, vocabulary=32000, context=4096),
    "bert": Base("bert", "encoder", parameters=22_000_000, layers=6, hidden=384, vocabulary=30522, context=512),
}


def winner(task: str, base: str, hardware: Hardware) -> str:
    """The name of the recipe that bids most; fails on a tie; `none` where all refuse."""
    job = Job("x", task, BASES[base], rows=1000, size=400_000)
    bids = {name: recipe.bid(job, hardware) for name, recipe in RECIPES.items()}
    assert all(bid.why for bid in bids.values())
    assert all(bid.needs.seconds > 0 for bid in bids.values() if bid.rank > Rank.NO)
    best = max(bid.rank for bid in bids.values())
    names = [name for name, bid in bids.items() if bid.rank == best]
    assert best == Rank.NO or len(names) == 1, names
    return names[0] if best > Rank.NO else "none"


@pytest.mark.parametrize(
    ("task", "base", "hardware", "expected"),
    [
        ("qa", "scratch", SMALL, "pretrain"),
        ("completion", "scratch", TINY, "pretrain"),
        ("chat", "config", SMALL, "pretrain"),
        ("qa", "stories", SMALL, "full"),
        ("qa", "135M", SMALL, "lora"),
        ("qa", "7B", SMALL, "lora"),
        ("qa", "7B", TINY, "none"),
        ("qa", "7B", H100, "lora"),
        ("completion", "135M", SMALL, "pretrain"),
        ("completion", "7B", SMALL, "lora"),
        ("instruction", "135M", SMALL, "instruction"),
        ("chat", "stories", TINY, "instruction"),
        ("qa", "bert", SMALL, "none"),
        ("classification", "scratch", SMALL, "classification"),
        ("classification", "bert", TINY, "classification"),
        ("classification", "stories", H100, "classification"),
        ("preference", "135M", SMALL, "none"),
        ("preference", "scratch", SMALL, "none"),
    ],
)
def test_the_recipe_that_wins_a_job(task: str, base: str, hardware: Hardware, expected: str) -> None:
    assert winner(task, base, hardware) == expected


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("hardware", [SMALL, TINY, H100, Hardware()])
def test_there_is_never_a_tie(task: str, base: str, hardware: Hardware) -> None:
    winner(task, base, hardware)


def test_a_machine_too_small_is_told_what_is_missing() -> None:
    bid = Full().bid(Job("x", "qa", BASES["7B"], rows=10, size=1000), SMALL)
    assert bid.rank == Rank.NO
    assert bid.why.startswith("needs about 1")
    assert "this machine has 25.8" in bid.why


def test_more_epochs_are_predicted_to_take_longer() -> None:
    job = Job("x", "qa", BASES["135M"], rows=10_000, size=10_000_000)
    few, many = (Lora(epochs=n).bid(job, SMALL).needs.seconds for n in (1, 10))
    assert many > 5 * few
