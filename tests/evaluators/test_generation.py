import json
from collections.abc import Callable
from typing import Any

import attrs
import datasets
import pytest

from slm.plugin import Engine, Hardware, Job, Metric, Metrics, Rank, SlmError, Work
from slm_evaluators.generation import Generation


def records(pairs: dict[str, str]) -> datasets.Dataset:
    rows = [
        {"id": str(n), "source": f"faqs.csv:{n}", "messages": [turn("user", question), turn("assistant", answer)]}
        for n, (question, answer) in enumerate(pairs.items())
    ]
    return datasets.Dataset.from_list(rows)


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def by_name(metrics: Metrics) -> dict[tuple[str, str], Metric]:
    return {(value.subject, value.name): value for value in metrics.values}


def predictions(work: Work) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (work.folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_model_that_knows_the_answers_scores_one(knowing: Engine, facts: dict[str, str], work: Work) -> None:
    found = by_name(Generation().evaluate(knowing, records(facts), None, work))
    assert {name for _, name in found} == {"exact_match", "normalized_match", "token_f1", "rouge_l"}
    assert all(value.value == 1.0 and value.count == 6 for value in found.values())
    assert found["model", "exact_match"].low == pytest.approx(0.6097, abs=1e-4)  # Wilson, 6 of 6
    assert all(line["exact"] and line["answer"] == facts[line["prompt"]] for line in predictions(work))


def test_wrong_answers_come_first_in_the_file(knowing: Engine, facts: dict[str, str], work: Work) -> None:
    questions = [*facts, "Which animal barks"]
    asked = dict(zip(questions, [*facts.values(), "nobody has said this"], strict=True))
    metrics = Generation().evaluate(knowing, records(asked), None, work)
    assert by_name(metrics)["model", "exact_match"].value == pytest.approx(6 / 7)
    lines = predictions(work)
    assert [line["id"] for line in lines] == ["6", "0", "1", "2", "3", "4", "5"]
    assert (lines[0]["exact"], lines[0]["expected"]) == (False, "nobody has said this")


def test_the_baselines_stand_beside_the_model(knowing: Engine, facts: dict[str, str], work: Work) -> None:
    train = records({**facts, "Which animal growls?": "The dog"})
    asked = records({"What, pray, is the capital of Peru?": "Lima", "Which animal barks loudly?": "The dog"})
    found = by_name(Generation().evaluate(knowing, asked, train, work))
    assert found["nearest neighbour", "exact_match"].value == 1.0
    assert found["most frequent answer", "exact_match"].value == 0.5
    without = by_name(Generation(baselines=False).evaluate(knowing, asked, train, work))
    assert {subject for subject, _ in without} == {"model"}


def test_the_last_answer_of_a_conversation_is_the_one_asked_for(knowing: Engine, work: Work) -> None:
    turns = [turn("user", "Hi"), turn("assistant", "Hello"), turn("user", "Which animal barks?")]
    row = {"id": "a", "source": "x:1", "messages": [*turns, turn("assistant", "The dog"), turn("user", "Thanks")]}
    Generation().evaluate(knowing, datasets.Dataset.from_list([row]), None, work)
    (line,) = predictions(work)
    assert (line["prompt"], line["expected"]) == ("Hi\nHello\nWhich animal barks?", "The dog")


def test_a_question_that_fills_the_context_counts_as_wrong(
    knowing: Engine, facts: dict[str, str], work: Work, warned: list[tuple[str, Any]]
) -> None:
    asked = {"Which animal barks? " * 100: "The dog", **facts}
    found = by_name(Generation().evaluate(knowing, records(asked), None, work))
    assert found["model", "exact_match"].value == pytest.approx(6 / 7)
    assert predictions(work)[0]["answer"] == ""
    assert any("1 questions fill the model's context" in str(data) for kind, data in warned if kind == "warning")


@pytest.mark.parametrize("pairs", [{"Hi": ""}, {"": "x"}, {"one": "only"}])
def test_empty_texts_and_single_records_are_measured(untrained: Engine, pairs: dict[str, str], work: Work) -> None:
    metrics = Generation(max_tokens=4).evaluate(untrained, records(pairs), records(pairs), work)
    assert all(0.0 <= value.low <= value.value <= value.high <= 1.0 for value in metrics.values)


def test_a_limit_draws_the_same_records_each_time_and_says_so(
    untrained: Engine, work: Work, warned: list[tuple[str, Any]]
) -> None:
    data = records({f"question {n}": "x" for n in range(30)})
    asked = []
    for _ in range(2):
        Generation(limit=5, max_tokens=2).evaluate(untrained, data, None, work)
        asked.append([line["id"] for line in predictions(work)])
    assert asked[0] == asked[1]
    assert len(asked[0]) == 5
    assert ("warning", {"text": "measured on 5 of 30 test records, drawn by the seed; 'limit = 0' takes all"}) in warned
    Generation(limit=5, max_tokens=2).evaluate(untrained, data, None, attrs.evolve(work, seed=8))
    assert [line["id"] for line in predictions(work)] != asked[0]


def test_progress_reaches_its_total(untrained: Engine, work: Work, warned: list[tuple[str, Any]]) -> None:
    data = records({f"question {n}": "x" for n in range(5)})
    Generation(batch=2, max_tokens=2).evaluate(untrained, data, None, work)
    steps = [(step["done"], step["total"], step["unit"]) for kind, step in warned if kind == "progress"]
    assert steps == [(2, 5, "answers"), (4, 5, "answers"), (5, 5, "answers")]


def test_answers_do_not_depend_on_the_batch(knowing: Engine, facts: dict[str, str], work: Work) -> None:
    data = records({**facts, "Which animal": "?", "How many?": "?"})
    files = []
    for batch in (1, 3, 32):
        Generation(batch=batch).evaluate(knowing, data, None, work)
        files.append(predictions(work))
    assert files[0] == files[1] == files[2]


def test_an_empty_test_set_and_a_record_without_answer_are_one_line_each(untrained: Engine, work: Work) -> None:
    data = records({"a": "b"})
    with pytest.raises(SlmError, match=r"^evaluate: the test set is empty; [^\n]*$"):
        Generation().evaluate(untrained, data.select([]), None, work)
    silent = datasets.Dataset.from_list([{"id": "1", "source": "faqs.csv:9", "messages": [turn("user", "a")]}])
    with pytest.raises(SlmError, match=r"^faqs\.csv:9: a conversation without an answer; [^\n]*$"):
        Generation().evaluate(untrained, silent, None, work)


@pytest.mark.parametrize(("task", "rank"), [("qa", Rank.GOOD), ("chat", Rank.GOOD), ("completion", Rank.NO)])
def test_it_bids_on_conversations(task: str, rank: Rank, job: Callable[[str], Job]) -> None:
    bid = Generation().bid(job(task), Hardware())
    assert (bid.rank, bool(bid.why)) == (rank, True)
