import math

import numpy
import pytest

from slm_evaluators.intervals import bootstrap, mean, ratio, share, wilson


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662), (1, 1, 0.2065, 1.0), (0, 0, 0.0, 1.0)],
)
def test_wilson_gives_the_published_bounds(hits: int, count: int, low: float, high: float) -> None:
    assert wilson(hits, count) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_wilson_covers_the_truth_nineteen_times_in_twenty() -> None:
    drawn = numpy.random.default_rng(0).binomial(100, 0.9, 4000)
    held = numpy.mean([low <= 0.9 <= high for low, high in (wilson(int(k), 100) for k in drawn)])
    assert 0.93 < held < 0.97


def test_the_bootstrap_agrees_with_the_normal_interval_of_a_mean() -> None:
    values = numpy.random.default_rng(1).normal(3, 2, 2000)
    found = mean("x", values.tolist(), "model", seed=0)
    half = 1.96 * values.std() / math.sqrt(2000)
    assert (found.value, found.count) == (pytest.approx(values.mean()), 2000)
    assert (found.low, found.high) == (
        pytest.approx(values.mean() - half, abs=0.02),
        pytest.approx(values.mean() + half, abs=0.02),
    )


def test_the_same_seed_gives_the_same_interval() -> None:
    values = numpy.arange(50.0)
    first, again, other = (bootstrap(lambda drawn: float(values[drawn].mean()), 50, seed) for seed in (1, 1, 2))
    assert first == again != other


def test_one_record_and_equal_records_give_an_interval_without_width() -> None:
    assert mean("x", [0.5], "model", 0).low == mean("x", [0.5], "model", 0).high == 0.5
    assert mean("x", [1.0] * 9, "model", 0).low == 1.0


def test_a_ratio_weighs_its_pairs() -> None:
    found = ratio("perplexity", [1.0, 9.0], [1.0, 9.0], "model", 0, shape=math.exp)
    assert (found.value, found.low, found.high, found.better) == (math.e, math.e, math.e, "lower")


def test_a_share_carries_wilsons_interval() -> None:
    found = share("accuracy", [True, False, True, True], "model")
    assert (found.value, (found.low, found.high)) == (0.75, wilson(3, 4))
