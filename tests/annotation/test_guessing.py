"""What real small models guess."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from slm.plugin import Engine, Request, SlmError
from slm_annotation.guessing import guess

TEXTS = ("turn on the lamp", "play a song", "will it rain")


def texts(*said: str) -> list[dict[str, Any]]:
    return [{"text": text} for text in said]


def test_a_classifier_gives_its_likeliest_label_and_how_far_it_is_ahead(sorter: Engine) -> None:
    labels, rows = sorter.prompter.interface.labels, sorter.classify(TEXTS)
    for found, row in zip(guess(sorter, "classification", texts(*TEXTS), labels, "tiny"), rows, strict=True):
        best, second, _ = sorted(row, reverse=True)
        assert found.values == {"label": labels[row.index(best)]}
        assert found.score == pytest.approx(best - second, abs=1e-6)
        assert found.model == "tiny"


def test_no_labels_asked_for_are_all_that_the_model_knows(sorter: Engine) -> None:
    labels = sorter.prompter.interface.labels
    every = guess(sorter, "classification", texts(*TEXTS), labels, "m")
    assert guess(sorter, "classification", texts(*TEXTS), (), "m") == every


def test_labels_that_are_not_asked_for_are_never_guessed_and_lower_the_score(sorter: Engine) -> None:
    rows = sorter.classify(TEXTS)
    for found, row in zip(guess(sorter, "classification", texts(*TEXTS), ("music", "new"), "m"), rows, strict=True):
        assert found.values == {"label": "music"}
        assert found.score == pytest.approx(row[1], abs=1e-6)


@pytest.mark.parametrize("shape", ["classification", "multilabel"])
def test_a_model_that_knows_none_of_the_labels_is_refused(sorter: Engine, shape: str) -> None:
    with pytest.raises(SlmError, match=r"m: knows none of the labels asked for \(spam, ham\), but lights, music"):
        guess(sorter, shape, texts("hello"), ("spam", "ham"), "m")


def test_several_labels_are_those_about_as_likely_as_the_likeliest(sorter: Engine) -> None:
    labels, rows = sorter.prompter.interface.labels, sorter.classify(TEXTS)
    for found, row in zip(guess(sorter, "multilabel", texts(*TEXTS), labels, "m"), rows, strict=True):
        wanted = {label for label, share in zip(labels, row, strict=True) if share >= max(row) / 2}
        assert set(found.values["labels"]) == wanted
        assert 0 <= found.score <= 1


def test_a_text_without_words_gets_no_values_and_the_others_theirs(sorter: Engine) -> None:
    empty, full = guess(sorter, "classification", texts(" \n", "play a song"), (), "m")
    assert (empty.values, empty.score) == ({}, 0.0)
    assert full.values


def test_a_text_beyond_the_context_is_classified_by_its_beginning(sorter: Engine) -> None:
    (found,) = guess(sorter, "classification", texts("play a song " * 500), (), "m")
    assert found.values


def test_a_learned_answer_comes_with_a_high_score(knowing: Engine, facts: Mapping[str, str]) -> None:
    found = guess(knowing, "qa", [{"question": each, "answer": "", "context": ""} for each in facts], (), "m")
    assert [each.values for each in found] == [{"question": q, "answer": a} for q, a in facts.items()]
    assert all(each.score > 0.8 for each in found)
    (strange,) = guess(knowing, "qa", [{"question": "zzz qqq?", "answer": ""}], (), "m")
    assert strange.score < min(each.score for each in found)


def test_the_prompt_is_the_one_of_the_server_and_the_score_the_mean_probability(knowing: Engine) -> None:
    asked = "What is the capital of Peru?"
    prompt = tuple(knowing.prompter.prompt([{"role": "user", "content": asked}]))
    chunks = list(knowing.generate([Request(prompt)]))
    tokens = [token for chunk in chunks for token in chunk.tokens]
    (logs,) = knowing.score([[*prompt, *tokens]])
    (found,) = guess(knowing, "chat", [{"dialogue": [{"role": "user", "content": asked}], "response": "x"}], (), "m")
    assert found.values == {"response": "".join(chunk.text for chunk in chunks)}
    assert found.score == pytest.approx(math.exp(math.fsum(logs[-len(tokens) :]) / len(tokens)), abs=1e-5)


def test_a_context_stands_before_its_question(knowing: Engine, facts: Mapping[str, str]) -> None:
    question = next(iter(facts))
    together = guess(knowing, "qa", [{"question": f"Europe.\n\n{question}", "answer": ""}], (), "m")
    (apart,) = guess(knowing, "qa", [{"question": question, "answer": "", "context": "Europe."}], (), "m")
    assert apart.values == {**together[0].values, "question": question}
    assert apart.score == pytest.approx(together[0].score)


def test_what_fills_the_context_gets_no_values_and_the_others_theirs(knowing: Engine, facts: Mapping[str, str]) -> None:
    question = next(iter(facts))
    long, short, empty = guess(
        knowing, "qa", [{"question": each, "answer": ""} for each in ("why " * 200, question, " ")], (), "m"
    )
    assert (long.values, long.score) == ({}, 0.0)
    assert short.values["answer"] == facts[question]
    assert (empty.values, empty.score) == ({}, 0.0)


def test_many_questions_keep_their_order(knowing: Engine, facts: Mapping[str, str]) -> None:
    asked = [question for _ in range(12) for question in facts]
    found = guess(knowing, "qa", [{"question": each, "answer": ""} for each in asked], (), "m")
    assert [each.values["answer"] for each in found] == [facts[each] for each in asked]


def test_a_writer_continues_the_text(writer: Engine) -> None:
    (found,) = guess(writer, "completion", texts("What is"), (), "m")
    prompt = tuple(writer.prompter.text("What is"))
    assert found.values == {"text": "What is" + "".join(chunk.text for chunk in writer.generate([Request(prompt)]))}
    assert 0 < found.score < 1


def test_of_two_answers_the_likelier_is_preferred_whatever_side_it_is_on(
    knowing: Engine, facts: Mapping[str, str]
) -> None:
    dialogues = [[{"role": "user", "content": question}] for question in facts]
    pairs = [
        {"dialogue": dialogue, "a": answer, "b": "qqq zzz"}
        for dialogue, answer in zip(dialogues, facts.values(), strict=True)
    ]
    swapped = [{**pair, "a": pair["b"], "b": pair["a"]} for pair in pairs]
    same = {"dialogue": dialogues[0], "a": "Paris", "b": "Paris"}
    missing = {"dialogue": dialogues[0], "a": "Paris", "b": ""}
    found = guess(knowing, "preference", [*pairs, *swapped, same, missing], (), "m")
    assert [each.values.get("choice") for each in found] == ["a"] * 4 + ["b"] * 4 + ["tie", None]
    assert all(0 < each.score <= 1 for each in found[:8])
    assert [each.score for each in found[8:]] == [0, 0]


def test_long_answers_are_compared_by_their_ends(knowing: Engine) -> None:
    turn = [{"role": "user", "content": "Which animal barks?"}]
    (found,) = guess(knowing, "preference", [{"dialogue": turn, "a": "dog " * 300, "b": "The dog"}], (), "m")
    assert found.values["choice"] == "b"


@pytest.mark.parametrize(
    ("model", "shape", "words"),
    [
        ("sorter", "spans", "m: a classification model can't guess spans; push without a model"),
        ("sorter", "qa", "m: a classification model can't answer qa questions"),
        ("sorter", "preference", "m: a classification model can't answer preference questions"),
        ("knowing", "classification", "m: a qa model can't answer classification questions"),
        ("knowing", "completion", "m: a qa model can't answer completion questions"),
        ("writer", "chat", "m: a completion model can't answer chat questions"),
    ],
)
def test_a_model_is_not_asked_what_it_cannot_answer(
    request: pytest.FixtureRequest, model: str, shape: str, words: str
) -> None:
    with pytest.raises(SlmError, match=words) as error:
        guess(request.getfixturevalue(model), shape, texts("hello"), (), "m")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", ["qa", "chat", "preference"])
def test_nothing_asked_is_nothing_guessed(knowing: Engine, shape: str) -> None:
    assert guess(knowing, shape, [], (), "m") == []
    (found,) = guess(knowing, shape, [{}], (), "m")
    assert not found.values


def test_one_dialogue_that_the_template_refuses_costs_only_its_own_guess(knowing: Engine) -> None:
    from attrs import evolve

    turn = {"role": "user", "content": "Which animal barks?"}
    template = "{% if messages[0].role == 'odd' %}{{ raise_exception('odd role') }}{% endif %}"
    prompter = knowing.prompter
    strict = evolve(
        prompter, interface=evolve(prompter.interface, template=template + (prompter.interface.template or ""))
    )
    engine = evolve(knowing, prompter=strict)  # type: ignore[misc]  # the open engine is a frozen attrs class
    odd, fine = guess(engine, "chat", [{"dialogue": [{**turn, "role": "odd"}]}, {"dialogue": [turn]}], (), "m")
    assert not odd.values
    assert fine.values == {"response": "The dog"}
    with pytest.raises(SlmError, match="odd role"):
        guess(engine, "chat", [{"dialogue": [{**turn, "role": "odd"}]}], (), "m")
