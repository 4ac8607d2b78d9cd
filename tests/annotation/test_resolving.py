"""One answer out of several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slm_annotation.resolving import Resolved, resolve
from slm_annotation.values import Answer


def answers(*said: tuple[str, Mapping[str, Any]]) -> list[Answer]:
    """An answer a minute, each (annotator, values)."""
    return [
        Answer(n, f"{name}@example.test", "", f"2026-11-22T08:{n:02}:00Z", values=values)
        for n, (name, values) in enumerate(said)
    ]


def label(*said: str) -> list[Answer]:
    """An answer a minute, as `ann:red`."""
    return answers(*((name, {"label": value}) for name, _, value in (each.partition(":") for each in said)))


def only(found: Resolved) -> Mapping[str, Any]:
    ((values, _),) = found.found
    return values


@pytest.mark.parametrize(
    ("said", "how", "values", "tie"),
    [
        (["ann:red"], "latest", ["red"], False),
        (["ann:red", "bob:blue"], "latest", ["blue"], False),
        (["ann:red", "bob:blue"], "all", ["red", "blue"], False),
        (["ann:red", "ann:blue"], "all", ["red", "blue"], False),
        (["ann:red", "bob:blue"], "ann@example.test", ["red"], False),
        (["ann:red", "bob:blue"], "Bob@Example.Test", ["blue"], False),
        (["ann:red", "ann:green", "bob:blue"], "ann@example.test", ["green"], False),
        (["ann:red"], "cleo@example.test", [], False),
        (["ann:red"], "majority", ["red"], False),
        (["ann:red", "bob:blue", "cleo:red"], "majority", ["red"], False),
        (["ann:red", "bob:blue"], "majority", [], True),
        (["ann:red", "bob:blue", "cleo:green"], "majority", [], True),
        (["ann:red", "bob:red", "cleo:blue", "dan:blue"], "majority", [], True),
        (["ann:red", "bob:red", "cleo:blue", "dan:green"], "majority", [], True),
        (["ann:red", "ann:red", "bob:blue", "cleo:blue"], "majority", ["blue"], False),
        (["ann:red", "bob:blue", "ann:blue"], "majority", ["blue"], False),
        ([], "majority", [], False),
        ([], "latest", [], False),
        ([], "all", [], False),
    ],
)
def test_labels_are_resolved(said: list[str], how: str, values: list[str], tie: bool) -> None:
    found = resolve("classification", label(*said), how)
    assert [value["label"] for value, _ in found.found] == values
    assert found.tie == tie


@pytest.mark.parametrize("how", ["latest", "majority", "all", "bob@example.test"])
def test_skipped_and_faulty_answers_are_left_out(how: str) -> None:
    said = [
        *answers(("bob", {"label": "red"})),
        Answer(7, "cleo@example.test", "", "2026-11-22T09:00:00Z", skipped=True),
        Answer(8, "dan@example.test", "", "2026-11-22T09:00:01Z", values={"label": "?"}, fault="no such label"),
        Answer(9, "eve@example.test", "", "2026-11-22T09:00:02Z", values={"label": ""}),
    ]
    assert [values for values, _ in resolve("classification", said, how).found] == [{"label": "red"}]


def test_who_skips_what_he_answered_takes_his_answer_back() -> None:
    said = [*label("ann:red", "bob:blue"), Answer(9, "bob@example.test", "", "2026-11-22T09:00:00Z", skipped=True)]
    assert only(resolve("classification", said, "latest")) == {"label": "red"}
    assert resolve("classification", said, "bob@example.test") == Resolved()
    assert len(resolve("classification", said, "all").found) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2026-11-22T08:00:00Z", "2026-11-22T08:00:00.500000Z"),
        ("2026-11-22T08:00:00.5Z", "2026-11-22T08:00:01+00:00"),
        ("2026-11-22T09:30:00+02:00", "2026-11-22T08:00:00Z"),
        ("2026-11-22T08:00:00", "2026-11-22T08:00:01Z"),
        ("", "2026-11-22T08:00:00Z"),
        ("2026-11-22T08:00:00Z", "2026-11-22T08:00:00Z"),
    ],
)
def test_the_latest_is_told_by_time_however_it_is_written(first: str, second: str) -> None:
    said = [
        Answer(1, "ann@example.test", "", first, values={"label": "old"}),
        Answer(2, "bob@example.test", "", second, values={"label": "new"}),
    ]
    for order in (said, said[::-1]):
        assert only(resolve("classification", order, "latest")) == {"label": "new"}


def test_the_answers_behind_a_label_are_of_those_who_chose_it() -> None:
    ((_, behind),) = resolve("classification", label("ann:red", "bob:blue", "cleo:red"), "majority").found
    assert [answer.annotator for answer in behind] == ["ann@example.test", "cleo@example.test"]


def test_people_without_a_name_are_not_one() -> None:
    said = [Answer(n, "", "", "", values={"label": value}) for n, value in enumerate(["red", "red", "blue"])]
    assert only(resolve("classification", said, "majority")) == {"label": "red"}


@pytest.mark.parametrize(
    ("said", "labels", "tie"),
    [
        (["ab"], "ab", False),
        ([""], "", False),
        (["ab", "ab"], "ab", False),
        (["ab", "ac"], "a", True),
        (["ab", "a", "bc"], "ab", False),
        (["a", "b"], None, True),
        (["a", "b", "c"], None, True),
        (["", "", "a"], "", False),
        (["", "a"], None, True),
        (["ba", "ab", "cba"], "ab", False),
    ],
)
def test_each_label_of_several_has_its_own_majority(said: list[str], labels: str | None, tie: bool) -> None:
    found = resolve("multilabel", answers(*((f"p{n}", {"labels": [*s]}) for n, s in enumerate(said))), "majority")
    assert [values for values, _ in found.found] == ([] if labels is None else [{"labels": [*labels]}])
    assert found.tie == tie


def span(start: int, end: int, name: str) -> dict[str, Any]:
    return {"start": start, "end": end, "label": name, "text": "x" * (end - start)}


def test_each_span_has_its_own_majority() -> None:
    a, b, c = span(9, 12, "DATE"), span(0, 4, "NAME"), span(0, 5, "NAME")
    found = resolve(
        "spans", answers(("p", {"spans": [a, b]}), ("q", {"spans": [b, a]}), ("r", {"spans": [c, a]})), "majority"
    )
    assert only(found) == {"spans": [b, a]}
    assert not found.tie


def test_spans_that_never_meet_exactly_are_a_tie_and_none_at_all_is_an_answer() -> None:
    one, other = {"spans": [span(0, 4, "NAME")]}, {"spans": [span(0, 5, "NAME")]}
    assert resolve("spans", answers(("p", one), ("q", other)), "majority") == Resolved(tie=True)
    assert only(resolve("spans", answers(("p", {"spans": []}), ("q", {"spans": []})), "majority")) == {"spans": []}


@pytest.mark.parametrize(
    ("said", "choice"), [(["a", "a", "b"], "a"), (["tie", "tie", "b"], "tie"), (["a", "b"], None), (["a", "tie"], None)]
)
def test_a_preference_needs_more_than_half(said: list[str], choice: str | None) -> None:
    found = resolve("preference", answers(*((f"p{n}", {"choice": c}) for n, c in enumerate(said))), "majority")
    assert [values["choice"] for values, _ in found.found] == ([choice] if choice else [])
    assert found.tie == (choice is None)


def qa(name: str, answer: str, verdict: str | None = None) -> tuple[str, dict[str, Any]]:
    return name, {"question": "Why?", "answer": answer} | ({"verdict": verdict} if verdict else {})


@pytest.mark.parametrize(
    ("said", "values", "tie"),
    [
        ([qa("p", "So.")], ("So.", None), False),
        ([qa("p", "So."), qa("q", "so"), qa("r", "So. ")], ("So.", None), False),
        ([qa("p", "A"), qa("q", "B"), qa("r", "C")], ("C", None), True),
        ([qa("p", "A"), qa("q", "A"), qa("r", "B"), qa("s", "B"), qa("t", "C")], ("B", None), True),
        ([qa("p", "A", "good"), qa("q", "A", "good"), qa("r", "B", "fixed")], ("A", "good"), False),
        ([qa("p", "B", "fixed"), qa("q", "C", "fixed"), qa("r", "A", "good")], ("C", "fixed"), True),
        ([qa("p", "A", "good"), qa("q", "B", "fixed")], ("B", "fixed"), True),
        ([qa("p", "A", "good"), qa("q", "A", "bad")], None, True),
        ([qa("p", "A", "bad"), qa("q", "A", "bad"), qa("r", "B", "fixed")], ("A", "bad"), False),
        ([qa("p", "A", "bad"), qa("q", "A", "good"), qa("r", "B", "fixed")], ("B", "fixed"), True),
    ],
)
def test_the_most_frequent_text_of_those_with_the_verdict_counts(
    said: list[tuple[str, dict[str, Any]]], values: tuple[str, str | None] | None, tie: bool
) -> None:
    found = resolve("qa", answers(*said), "majority")
    assert [(v["answer"], v.get("verdict")) for v, _ in found.found] == ([values] if values else [])
    assert found.tie == tie


def test_question_and_answer_are_taken_from_one_person() -> None:
    said = [{"question": "q", "answer": "b"}, {"question": "r", "answer": "a"}, {"question": "q", "answer": "a"}]
    found = resolve("qa", answers(*(("pqr"[n], values) for n, values in enumerate(said))), "majority")
    assert only(found) in said


def chat(name: str, rating: int, *flags: str) -> tuple[str, dict[str, Any]]:
    return name, {"response": "Well.", "rating": rating, "flags": list(flags)}


@pytest.mark.parametrize(
    ("said", "rating", "flags"),
    [
        ([chat("p", 4)], 4, []),
        ([chat("p", 1, "wrong"), chat("q", 5), chat("r", 4, "wrong", "unsafe")], 4, ["wrong"]),
        ([chat("p", 4, "wrong"), chat("q", 5)], 4.5, []),
        ([chat("p", 2), chat("q", 4)], 3, []),
    ],
)
def test_ratings_have_their_median_and_flags_more_than_half(
    said: list[tuple[str, dict[str, Any]]], rating: float, flags: list[str]
) -> None:
    assert only(resolve("chat", answers(*said), "majority")) == {"response": "Well.", "rating": rating, "flags": flags}


def test_what_was_not_asked_is_not_made_up() -> None:
    assert only(resolve("chat", answers(("p", {"response": "Well."})), "majority")) == {"response": "Well."}
    assert only(resolve("completion", answers(("p", {"text": "Once."}), ("q", {"text": "Once."})), "majority")) == {
        "text": "Once."
    }


VALUES = {
    "classification": st.fixed_dictionaries({"label": st.sampled_from("abc")}),
    "multilabel": st.fixed_dictionaries({"labels": st.lists(st.sampled_from("abc"), unique=True)}),
    "preference": st.fixed_dictionaries({"choice": st.sampled_from(["a", "b", "tie"])}),
    "qa": st.fixed_dictionaries(
        {"question": st.sampled_from("?! "), "answer": st.sampled_from("xyz")},
        optional={"verdict": st.sampled_from(["good", "fixed", "bad"])},
    ),
    "chat": st.fixed_dictionaries({}, optional={"response": st.sampled_from("xy"), "rating": st.integers(1, 5)}),
}


@settings(deadline=None)
@given(st.data())
def test_the_order_in_which_answers_come_does_not_matter(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(sorted(VALUES)))
    said = answers(*data.draw(st.lists(st.tuples(st.sampled_from("pqrst"), VALUES[shape]), max_size=7)))
    for how in ("latest", "majority", "all", "p@example.test"):
        assert resolve(shape, said, how) == resolve(shape, data.draw(st.permutations(said)), how)


@settings(deadline=None)
@given(st.data())
def test_people_who_agree_are_the_majority_whatever_the_shape(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(sorted(VALUES)))
    values = data.draw(VALUES[shape])
    found = resolve(shape, answers(*((name, values) for name in "pqrs")), "majority")
    said = {**values, "labels": sorted(values["labels"])} if "labels" in values else values
    assert only(found) == said
    assert not found.tie
