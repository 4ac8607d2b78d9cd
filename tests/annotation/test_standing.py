"""How a project stands, in figures and in lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from slm_annotation.describing import describe
from slm_annotation.standing import Standing, standing
from slm_annotation.values import Answer, Entry, Guess


def answer(name: str, values: Mapping[str, Any], **more: Any) -> Answer:
    return Answer(0, f"{name}@example.test" if name else "", "", "2026-11-22T08:00:00Z", values=values, **more)


def entry(number: int, *answers: Answer, text: str = "some text", **more: Any) -> Entry:
    return Entry(number, f"k{number}", "d", f"faqs.csv:{number}", {"text": text}, "", answers, **more)


def labelled(*tasks: str) -> Iterator[Entry]:
    """Tasks as `ann:red bob:blue cleo:-`, where `-` is skipped and `!` at fault."""
    for number, said in enumerate(tasks):
        answers = []
        for each in said.split():
            name, _, label = each.partition(":")
            fault = "label '!' is not in the project" if label == "!" else ""
            answers.append(answer(name, {"label": label}, seconds=2.0, skipped=label == "-", fault=fault))
        yield entry(number, *answers)


def lines(found: Standing) -> str:
    return "\n".join(describe(found))


def test_every_task_is_in_one_state() -> None:
    found = standing("classification", labelled("", "ann:red", "ann:-", "ann:!", "ann:- bob:red", "ann:- bob:!"), {})
    assert (found.entries, found.waiting, found.done, found.skipped, found.faulty) == (6, 1, 2, 1, 2)
    assert found.faults[0] == "faqs.csv:3 (task 3): label '!' is not in the project"
    assert "6 tasks: 2 done (33%), 1 waiting, 1 skipped, 2 answered in a way that can't be used" in lines(found)


def test_a_project_without_tasks_or_answers_says_so() -> None:
    assert describe(standing("classification", [], {})) == ["0 tasks: 0 done, 0 waiting, 0 skipped"]
    assert describe(standing("spans", [entry(1)], {})) == ["1 task: 0 done (0%), 1 waiting, 0 skipped"]


def test_answers_to_what_a_task_was_before_do_not_count() -> None:
    old = entry(1, answer("ann", {"label": "red"}), since="2026-11-22T09:00:00Z")
    found = standing("classification", [old], {})
    assert (found.done, found.waiting, found.people) == (0, 1, ())


def test_each_annotator_is_counted_with_the_time_and_how_alike_the_others_are() -> None:
    tasks = [
        *labelled("ann:red bob:red", "ann:red bob:blue", "ann:blue", "bob:-"),
        entry(9, answer("ann", {"label": "red"}, seconds=50)),
    ]
    ann, bob = standing("classification", tasks, {}).people
    assert (ann.answers, ann.skipped, ann.seconds, ann.alike, ann.shared) == (4, 0, 2.0, 0.5, 2)
    assert (bob.answers, bob.skipped, bob.seconds, bob.alike, bob.shared) == (2, 1, 2.0, 0.5, 2)
    said = lines(standing("classification", tasks, {}))
    assert "bob@example.test: 2 answers, 1 skipped, 2.0 s each, 50% like the others' (of 2)" in said


def test_answers_that_nobody_timed_or_signed_do_no_harm() -> None:
    found = standing(
        "classification", [entry(1, answer("", {"label": "red"})), entry(2, answer("", {"label": "red"}))], {}
    )
    assert found.people[0].seconds is None
    assert "(no name): 2 answers, 0 skipped" in lines(found)


def test_agreement_is_over_what_several_answered_and_names_the_lowest_pair() -> None:
    tasks = [
        "ann:red bob:red cleo:red",
        "ann:blue bob:blue cleo:red",
        "ann:red bob:red cleo:blue",
        "ann:blue bob:blue",
        "ann:red",
    ]
    found = standing("classification", labelled(*tasks), {})
    assert found.shared == 4
    assert found.fleiss.count == found.alpha.count == 4
    assert {found.pairs[0].one, found.pairs[0].other} & {"cleo@example.test"}
    assert found.pairs[-1].kappa.value == 1
    assert found.pairs[-1].items == 4
    said = lines(found)
    assert "agreement on 4 tasks that several answered: Fleiss' kappa 0." in said
    assert said.index("cleo@example.test: Cohen's kappa") < said.index("ann@example.test and bob@example.test")


def test_agreement_that_is_not_defined_has_its_reason() -> None:
    assert "no task was answered by two people" in lines(standing("classification", labelled("ann:red", "bob:red"), {}))
    said = lines(standing("classification", labelled("ann:red bob:red"), {}))
    assert "not defined (only one answer was ever given" in said
    assert "nan" not in said


def test_ties_are_named_by_their_place() -> None:
    found = standing("classification", labelled(*["ann:red bob:blue"] * 7, "ann:red bob:red"), {})
    assert (found.ties, len(found.tied)) == (7, 5)
    assert "7 ties, where nobody is in the majority: faqs.csv:0 (task 0), " in lines(found)
    assert lines(found).endswith("and 2 more")


def test_what_was_decided_is_counted() -> None:
    tasks = ["ann:red bob:red", "ann:red bob:blue", "ann:blue", "ann:red"]
    assert standing("classification", labelled(*tasks), {}).labels == (("red", 2), ("blue", 1))
    assert standing("classification", labelled(*tasks), {}, "latest").labels == (("red", 2), ("blue", 2))
    assert "decided: red 2, blue 1" in lines(standing("classification", labelled(*tasks), {}))


def test_the_model_is_held_against_the_people() -> None:
    guesses = {
        f"k{n}": Guess({"label": label}, 0.9, "m@1") for n, label in enumerate(["red", "red", "red", "red", "red"])
    }
    found = standing(
        "classification", labelled("ann:red", "ann:blue bob:blue", "ann:blue", "ann:red bob:blue", "ann:-"), guesses
    )
    assert found.model is not None
    assert (found.model.compared, found.model.unchanged) == (3, pytest.approx(1 / 3))
    assert found.model.confused == (("red", "blue", 2),)
    assert "model m@1: people kept 33% of 3 guesses and changed the rest; most often red for blue 2 times" in lines(
        found
    )


def test_guesses_without_values_are_not_held_against_anybody() -> None:
    assert standing("classification", labelled("ann:red"), {"k0": Guess({}, 0.0, "m")}).model is None


def span(start: int, end: int, label: str) -> dict[str, Any]:
    return {"start": start, "end": end, "label": label, "text": "x" * (end - start)}


def test_spans_agree_character_by_character_and_guesses_by_exact_spans() -> None:
    one, near = {"spans": [span(0, 10, "NAME")]}, {"spans": [span(0, 9, "NAME")]}
    tasks = [entry(n, answer("ann", one), answer("bob", near if n else one), text="x" * 40) for n in range(4)]
    guess = Guess({"spans": [span(0, 10, "NAME"), span(20, 25, "DATE")]}, 0.5, "m")
    found = standing("spans", tasks, {"k0": guess})
    assert 0.9 < (found.alpha.value or 0) < 1
    assert found.alpha.count == 160
    assert found.pairs[0].items == 4
    assert found.people[0].alike == pytest.approx(0.25)
    assert found.model is not None
    assert found.model.likeness == pytest.approx(2 / 3)
    assert "Krippendorff's alpha 0.9" in lines(found)
    assert "Fleiss" not in lines(found)


def test_sets_of_labels_agree_by_what_they_share() -> None:
    said = [({"labels": ["a", "b"]}, {"labels": ["a"]}), ({"labels": ["c"]}, {"labels": ["c"]})]
    found = standing(
        "multilabel", [entry(n, answer("ann", one), answer("bob", two)) for n, (one, two) in enumerate(said)], {}
    )
    assert found.people[0].alike == pytest.approx(0.75)
    assert 0 < (found.alpha.value or 0) < 1
    assert (found.alpha.value or 0) > (found.fleiss.value or 0)


def test_generated_texts_are_measured_by_what_stays() -> None:
    def qa(name: str, said: str, verdict: str) -> Answer:
        return answer(name, {"question": "Where is it, please?", "answer": said, "verdict": verdict})

    tasks = [
        entry(0, qa("ann", "In Paris.", "good")),
        entry(1, qa("ann", "In the town of Paris.", "fixed")),
        entry(2, qa("ann", "In Paris.", "bad"), qa("bob", "In Paris.", "bad")),
    ]
    guesses = {f"k{n}": Guess({"question": "Where is it, please?", "answer": "In Paris."}, 0.5, "m") for n in range(3)}
    found = standing("qa", tasks, guesses)
    assert found.model is not None
    assert found.model.unchanged == pytest.approx(1 / 3)
    assert found.model.likeness == pytest.approx((1 + 2 * 3 / 9 + 0) / 3)
    assert dict(found.labels) == {"good": 1, "fixed": 1, "bad": 1}
    assert "on average" in lines(found)


def test_ratings_agree_by_their_distance() -> None:
    def rated(*ratings: int) -> Entry:
        return entry(
            sum(ratings), *(answer(f"p{n}", {"response": "Well.", "rating": r}) for n, r in enumerate(ratings))
        )

    near = standing("chat", [rated(1, 2), rated(5, 4), rated(3, 3)], {}).alpha.value or 0
    far = standing("chat", [rated(1, 5), rated(5, 1), rated(3, 3)], {}).alpha.value or 0
    assert near > 0.5 > far
    assert dict(standing("chat", [rated(4, 4)], {}).labels) == {"rating 4": 1}


def test_texts_without_verdict_or_rating_say_that_there_is_none_to_count() -> None:
    said = lines(standing("chat", [entry(1, answer("ann", {"response": "a"}), answer("bob", {"response": "b"}))], {}))
    assert "1 task was answered by several, without a verdict or rating" in said


def test_an_annotator_who_answered_twice_is_compared_by_the_newer_answer() -> None:
    old, new = (
        answer("ann", {"label": "red"}),
        Answer(9, "ann@example.test", "", "2026-11-22T09:00:00Z", values={"label": "blue"}),
    )
    found = standing("classification", [entry(1, old, new)], {})
    assert (found.shared, found.labels) == (0, (("blue", 1),))


def test_a_large_project_is_read_in_one_pass_and_little_memory() -> None:
    import tracemalloc

    def tasks() -> Iterator[Entry]:
        for n in range(10_000):
            yield entry(
                n, *(answer(f"p{k}", {"label": f"l{n % (50 + k)}"}, seconds=1.5) for k in range(2)), text="x" * 2000
            )

    standing("classification", [entry(1)], {})
    tracemalloc.start()
    found = standing("classification", tasks(), {})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.entries == 10_000
    assert peak < 5 << 20
