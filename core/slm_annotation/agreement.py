"""How far people agree beyond chance: kappa and alpha, out of how often each combination of answers came.

A table counts combinations: `{("yes", "yes"): 20, ("yes", "no"): 5}`. For two people a combination is what the first
and the second said; for more it is what an item's people said, as many as there are, in any order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

from attrs import frozen

Table = Mapping[tuple[Hashable, ...], int]
Distance = Callable[[Any, Any], float]
ALONE = "no item was answered by two people"
ONE_ANSWER = "only one answer was ever given: agreement can't be told from chance"


@frozen
class Coefficient:
    """A coefficient of agreement: 1 is perfect, 0 is chance. None where it isn't defined, and why. `count` is how many
    items (characters, where spans are compared) two people or more answered."""

    value: float | None
    count: int
    why: str = ""


def cohen(table: Table) -> Coefficient:
    """Kappa of two people over the items that both answered (J. Cohen, A coefficient of agreement for nominal scales,
    1960): (p_o - p_e) / (1 - p_e), where p_e comes of each one's own shares."""
    count = sum(table.values())
    if not count:
        return Coefficient(None, 0, ALONE)
    first, second = Counter[Hashable](), Counter[Hashable]()
    for (one, other), n in table.items():
        first[one] += n
        second[other] += n
    same = sum(n for (one, other), n in table.items() if one == other)
    chance = sum(n * second[answer] for answer, n in first.items())
    if chance == count * count:
        return Coefficient(None, count, ONE_ANSWER)
    return Coefficient((same * count - chance) / (count * count - chance), count)


def fleiss(table: Table) -> Coefficient:
    """Kappa of any number of people (J. L. Fleiss, Measuring nominal scale agreement among many raters, 1971).

    Where items have different numbers of answers, agreement is the mean over items of the share of equal pairs, and an
    answer's share the mean over items of its share there, as K. L. Gwet generalises it (Handbook of Inter-Rater
    Reliability, 2014, chapter 2); items with fewer than two answers are left out of both.
    """
    paired = {answers: n for answers, n in table.items() if len(answers) > 1 and n}
    count = sum(paired.values())
    if not count:
        return Coefficient(None, 0, ALONE)
    observed, shares = 0.0, Counter[Hashable]()
    for answers, n in paired.items():
        size = len(answers)
        for answer, k in Counter(answers).items():
            observed += n * k * (k - 1) / (size * (size - 1))
            shares[answer] += n * k / size  # type: ignore[assignment]  # a Counter adds floats as well
    if len(shares) == 1:
        return Coefficient(None, count, ONE_ANSWER)
    chance = sum((share / count) ** 2 for share in shares.values())
    return Coefficient((observed / count - chance) / (1 - chance), count)


def nominal(one: Any, other: Any) -> float:
    """Answers are the same or they aren't."""
    return float(one != other)


def interval(one: Any, other: Any) -> float:
    """Numbers, the square of their difference."""
    return float((one - other) ** 2)


def masi(one: Collection[Any], other: Collection[Any]) -> float:
    """Sets, by what they share: 1 - Jaccard's index times 1, 2/3, 1/3 or 0, as they are equal, one in the other, or
    overlap (R. Passonneau, Measuring agreement on set-valued items, 2006)."""
    a, b = set(one), set(other)
    if a == b:
        return 0.0
    shared = a & b
    weight = 2 / 3 if shared in (a, b) else 1 / 3
    return 1 - weight * len(shared) / len(a | b)


def krippendorff(table: Table, distance: Distance = nominal) -> Coefficient:
    """Alpha of any number of people, answers missing where they may (K. Krippendorff, Computing Krippendorff's
    Alpha-Reliability, 2011): 1 - D_o / D_e. D_o is the mean distance within an item, where each answer counts once; D_e
    that between all answers of items that have two or more."""
    paired = {answers: n for answers, n in table.items() if len(answers) > 1 and n}
    totals = Counter[Hashable]()
    observed = 0.0
    for answers, n in paired.items():
        within = Counter(answers)
        observed += n * apart(within, distance) / (len(answers) - 1)
        for answer, k in within.items():
            totals[answer] += n * k
    count, size = sum(paired.values()), totals.total()
    if not count:
        return Coefficient(None, 0, ALONE)
    expected = apart(totals, distance) / (size - 1)
    return Coefficient(1 - observed / expected, count) if expected else Coefficient(None, count, ONE_ANSWER)


def apart(counts: Mapping[Any, int], distance: Distance) -> float:
    """The sum of distances over all ordered pairs of answers."""
    if distance is nominal:  # without the square of as many answers as there are
        return float(sum(counts.values()) ** 2 - sum(n * n for n in counts.values()))
    return 2 * sum(n * m * distance(a, b) for (a, n), (b, m) in combinations(counts.items(), 2))


def characters(people: Sequence[Iterable[tuple[int, int, str]]], length: int) -> Counter[tuple[Hashable, ...]]:
    """The table of a text's characters: what each person marked them as, from his spans (start, end, label).

    Alpha over it compares spans as K. Krippendorff unitizes a continuum (Measuring the reliability of qualitative text
    analysis data, 2004; with others, On the reliability of unitizing textual continua, 2016): by the length in which
    they overlap or differ. Here each character is a unit of its own, unmarked ones included, so people and texts may be
    missing, and spans may lie in each other: their labels together are a character's answer.
    """
    whole = [[(max(start, 0), min(end, length), label) for start, end, label in spans] for spans in people]
    kept = [[(start, end, label) for start, end, label in spans if start < end] for spans in whole]
    cuts = sorted({0, length, *(at for spans in kept for start, end, _ in spans for at in (start, end))})
    at = {cut: n for n, cut in enumerate(cuts)}
    said: list[list[frozenset[str]]] = [[frozenset()] * (len(cuts) - 1) for _ in kept]
    for row, spans in zip(said, kept, strict=True):
        for start, end, label in spans:
            for n in range(at[start], at[end]):
                row[n] |= {label}
    table: Counter[tuple[Hashable, ...]] = Counter()
    for n, (start, end) in enumerate(pairwise(cuts)):
        table[tuple(row[n] for row in said)] += end - start
    return table
