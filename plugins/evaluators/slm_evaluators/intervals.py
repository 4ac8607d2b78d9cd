"""95% confidence intervals: Wilson's for shares, the percentile bootstrap for everything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from slm.plugin import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

Z = 1.959963984540054  # the normal distribution's 97.5% point
RESAMPLES = 1000


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The interval of a share `hits / count` (E. B. Wilson, 1927); (0, 1) where nothing was counted."""
    if not count:
        return 0.0, 1.0
    share, square = hits / count, Z * Z / count
    middle = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * (share * (1 - share) / count + square / (4 * count)) ** 0.5
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == count else middle + half)


def bootstrap(statistic: Callable[[NDArray[Any]], float], count: int, seed: int) -> tuple[float, float]:
    """The middle 95% of `statistic` over 1,000 samples of `count` indices drawn with replacement (B. Efron, 1979).

    One record, or records that all score alike, give an interval without width: the bootstrap knows no more.
    """
    import numpy

    random = numpy.random.default_rng(seed)
    values = [statistic(random.integers(0, count, count)) for _ in range(RESAMPLES)]
    low, high = numpy.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def share(name: str, hits: Sequence[bool], subject: str) -> Metric:
    """The share of records that hit, with Wilson's interval."""
    low, high = wilson(sum(hits), len(hits))
    return Metric(name, sum(hits) / len(hits), low, high, len(hits), subject)


def mean(name: str, values: Sequence[float], subject: str, seed: int) -> Metric:
    """The mean of one figure a record, with its bootstrap interval."""
    import numpy

    array = numpy.asarray(values, dtype=float)
    low, high = bootstrap(lambda drawn: float(array[drawn].mean()), len(array), seed)
    return Metric(name, float(array.mean()), low, high, len(array), subject)


def ratio(
    name: str,
    above: Sequence[float],
    below: Sequence[float],
    subject: str,
    seed: int,
    shape: Callable[[float], float] = float,
    better: Literal["higher", "lower"] = "lower",
) -> Metric:
    """`shape(sum(above) / sum(below))`, with the interval of drawing the pairs anew."""
    import numpy

    top, bottom = numpy.asarray(above, dtype=float), numpy.asarray(below, dtype=float)

    def statistic(drawn: NDArray[Any]) -> float:
        return shape(float(top[drawn].sum() / bottom[drawn].sum()))

    low, high = bootstrap(statistic, len(top), seed)
    return Metric(name, shape(float(top.sum() / bottom.sum())), low, high, len(top), subject, better)
