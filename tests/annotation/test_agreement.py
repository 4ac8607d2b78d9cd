"""Agreement beyond chance, against published examples, scikit-learn, and what holds for every table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slm_annotation.agreement import characters, cohen, fleiss, interval, krippendorff, masi

LABELS = st.sampled_from("abcd")
PAIRS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40)
UNITS = st.lists(st.lists(LABELS, max_size=5).map(tuple), max_size=25)


def table(units: Iterable[Sequence[Hashable]]) -> Counter[tuple[Any, ...]]:
    return Counter(map(tuple, units))


# How six psychiatrists diagnosed thirty patients: depression, personality disorder, schizophrenia, neurosis, other.
FLEISS = [
    (0, 0, 0, 6, 0), (0, 3, 0, 0, 3), (0, 1, 4, 0, 1), (0, 0, 0, 0, 6), (0, 3, 0, 3, 0), (2, 0, 4, 0, 0),
    (0, 0, 4, 0, 2), (2, 0, 3, 1, 0), (2, 0, 0, 4, 0), (0, 0, 0, 0, 6), (1, 0, 0, 5, 0), (1, 1, 0, 4, 0),
    (0, 3, 3, 0, 0), (1, 0, 0, 5, 0), (0, 2, 0, 3, 1), (0, 0, 5, 0, 1), (3, 0, 0, 1, 2), (5, 1, 0, 0, 0),
    (0, 2, 0, 4, 0), (1, 0, 2, 0, 3), (0, 0, 0, 0, 6), (0, 1, 0, 5, 0), (0, 2, 0, 1, 3), (2, 0, 0, 4, 0),
    (1, 0, 0, 4, 1), (0, 5, 0, 1, 0), (4, 0, 0, 0, 2), (0, 2, 0, 4, 0), (1, 0, 5, 0, 0), (0, 0, 0, 0, 6),
]  # fmt: skip


def test_the_diagnoses_of_fleiss_have_his_kappa() -> None:
    units = [[n for n, count in enumerate(row) for _ in range(count)] for row in FLEISS]
    found = fleiss(table(units))
    assert found.value == pytest.approx(0.430, abs=5e-4)
    assert found.count == 30


# The examples of Krippendorff's paper: two people and two values, two people and five, four people with gaps.
BINARY = ("0100000010", "1110010000")
NOMINAL = ("aabbdcccedda", "babbbccceddd")
GAPS = ("123321412***", "1233224125*3", "*3332342251*", "12332441251*")


def by_item(people: Sequence[str]) -> list[list[str]]:
    return [[said for said in item if said != "*"] for item in zip(*people, strict=True)]


@pytest.mark.parametrize(
    ("people", "alpha"), [(BINARY, 0.095), (NOMINAL, 0.692), (GAPS, 0.743)], ids=["binary", "nominal", "gaps"]
)
def test_the_examples_of_krippendorff_have_his_alpha(people: Sequence[str], alpha: float) -> None:
    assert krippendorff(table(by_item(people))).value == pytest.approx(alpha, abs=5e-4)


def test_ratings_are_compared_by_their_distance() -> None:
    units = [[int(said) for said in item] for item in by_item(GAPS)]
    assert krippendorff(table(units), interval).value == pytest.approx(0.849, abs=5e-4)


def test_an_item_that_one_person_answered_counts_for_nothing() -> None:
    assert krippendorff(table(by_item(GAPS))).count == 11
    assert krippendorff(table([*by_item(GAPS), ["9"], ["9"]])) == krippendorff(table(by_item(GAPS)))
    assert fleiss(table([*by_item(GAPS), ["9"], ["9"]])) == fleiss(table(by_item(GAPS)))


@settings(deadline=None)
@given(PAIRS)
def test_cohens_kappa_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    from sklearn.metrics import cohen_kappa_score

    found = cohen(table(pairs))
    if len({said for pair in pairs for said in pair}) == 1:
        assert found.value is None
        assert found.why
    else:
        assert found.value == pytest.approx(float(cohen_kappa_score(*zip(*pairs, strict=True))), abs=1e-12)


@settings(deadline=None)
@given(UNITS)
def test_a_coefficient_is_at_most_one_and_never_nan(units: list[tuple[str, ...]]) -> None:
    for found in (fleiss(table(units)), krippendorff(table(units))):
        assert found.count == sum(len(unit) > 1 for unit in units)
        if found.value is None:
            assert found.why
        else:
            assert -1.0001 <= found.value <= 1


@settings(deadline=None)
@given(UNITS, st.randoms())
def test_neither_order_nor_names_of_answers_matter(units: list[tuple[str, ...]], random: Any) -> None:
    names = dict(zip("abcd", random.sample("wxyz", 4), strict=True))
    other = [[names[said] for said in random.sample(unit, len(unit))] for unit in units]
    random.shuffle(other)
    for coefficient in (fleiss, krippendorff):
        one, two = coefficient(table(units)), coefficient(table(other))
        assert one.value == pytest.approx(two.value) if one.value is not None else two.value is None


@settings(deadline=None)
@given(PAIRS)
def test_two_people_have_the_same_kappa_either_way(pairs: list[tuple[str, str]]) -> None:
    one, two = cohen(table(pairs)).value, cohen(table((b, a) for a, b in pairs)).value
    assert one == pytest.approx(two) if one is not None else two is None


@pytest.mark.parametrize(
    ("units", "why"),
    [
        ([], "no item"),
        ([("a",), ("b",)], "no item"),
        ([("a", "a"), ("a", "a")], "only one answer"),
    ],
)
def test_what_is_not_defined_has_a_reason(units: list[tuple[str, ...]], why: str) -> None:
    for coefficient in (fleiss, krippendorff):
        found = coefficient(table(units))
        assert found.value is None
        assert why in found.why
    if all(len(unit) == 2 for unit in units):
        assert why in cohen(table(units)).why


def test_people_who_agree_wholly_have_one_and_who_always_differ_less_than_nought() -> None:
    for coefficient in (cohen, fleiss, krippendorff):
        assert coefficient(table([("a", "a"), ("b", "b")])).value == 1
        assert (coefficient(table([("a", "b"), ("b", "a")])).value or 0) < 0


def test_one_who_says_the_same_of_all_has_no_more_than_chance() -> None:
    assert cohen(table([("a", "a"), ("a", "b")])).value == 0


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("", "", 0), ("ab", "ab", 0), ("a", "b", 1), ("", "a", 1), ("a", "ab", 1 - 2 / 3 / 2), ("ab", "bc", 1 - 1 / 9)],
)
def test_sets_differ_by_what_they_do_not_share(one: str, other: str, distance: float) -> None:
    assert masi(frozenset(one), frozenset(other)) == pytest.approx(distance)
    assert masi(frozenset(other), frozenset(one)) == pytest.approx(distance)


def test_characters_are_counted_by_what_each_person_marked_them_as() -> None:
    found = characters([[(0, 4, "A")], [(2, 6, "A"), (3, 5, "B")]], 10)
    none, a, both = frozenset(""), frozenset("A"), frozenset("AB")
    assert found == {(a, none): 2, (a, a): 1, (a, both): 1, (none, both): 1, (none, a): 1, (none, none): 4}


SPANS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 30), st.sampled_from("XY")).map(
        lambda span: (min(span[:2]), max(span[:2]), span[2])
    ),
    max_size=6,
)


@settings(deadline=None)
@given(st.lists(SPANS, min_size=2, max_size=3), st.integers(0, 25))
def test_characters_agree_with_a_look_at_each(people: list[list[tuple[int, int, str]]], length: int) -> None:
    looked = Counter(
        tuple(frozenset(label for start, end, label in spans if start <= n < end) for spans in people)
        for n in range(length)
    )
    assert characters(people, length) == looked


def test_spans_that_nearly_meet_agree_more_than_spans_apart() -> None:
    def alpha(spans: list[tuple[int, int, str]]) -> float:
        return krippendorff(characters([[(10, 20, "A")], spans], 100)).value or 0

    near, apart, other = alpha([(11, 20, "A")]), alpha([(50, 60, "A")]), alpha([(10, 20, "B")])
    assert alpha([(10, 20, "A")]) == 1
    assert 1 > near > 0.9 > apart
    assert near > other


def test_a_text_in_which_nobody_marked_anything_tells_nothing() -> None:
    assert krippendorff(characters([[], []], 50)).value is None
    assert krippendorff(characters([[], []], 0)).count == 0
