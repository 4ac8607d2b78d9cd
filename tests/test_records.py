"""Rows become records: columns mapped with a reason, bad rows set aside with their place, too many of them refused."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from slm.plugin import Batch, Reject, SlmError
from slm_data.columns import choose_columns
from slm_data.dataset import read_splits
from slm_data.records import Loaded, write_records

Write = Callable[..., tuple[Loaded, list[dict[str, Any]]]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write rows as records of a task; give what was loaded and the records."""

    def of(rows: list[dict[str, Any]] | list[Batch], task: str, columns: Any = None, **options: Any) -> Any:
        batches = rows if rows and isinstance(rows[0], Batch) else [batch_of(rows)]
        loaded = write_records(
            iter(batches), task=task, columns=columns or {}, split="train", folder=tmp_path, address="t", **options
        )
        return loaded, read_splits(tmp_path)["train"].to_list()

    return of


def batch_of(rows: list[dict[str, Any]], rejected: tuple[Reject, ...] = ()) -> Batch:
    names = dict.fromkeys(name for row in rows for name in row)
    table = pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})
    return Batch(table, "t", range(2, len(rows) + 2), rejected)


USER, ANSWER = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}
SYSTEM = {"role": "system", "content": "S"}


@pytest.mark.parametrize(
    ("task", "row", "expected"),
    [
        ("completion", {"text": "T", "n": 1}, {"text": "T"}),
        ("completion", {"whatever": "T"}, {"text": "T"}),
        ("classification", {"sentence": "T", "Intent": " x "}, {"text": "T", "label": "x"}),
        ("classification", {"question": "T", "label": 3}, {"text": "T", "label": "3"}),
        ("classification", {"text": "T", "label": 3, "label_text": "three"}, {"text": "T", "label": "three"}),
        ("qa", {"Question": "Q", "ANSWER": "A"}, {"messages": [USER, ANSWER]}),
        ("qa", {"question": "Q", "answer": "A", "context": "C"}, {"messages": [{**USER, "content": "C\n\nQ"}, ANSWER]}),
        ("qa", {"prompt": "Q", "completion": 42}, {"messages": [USER, {**ANSWER, "content": "42"}]}),
        (
            "instruction",
            {"instruction": "Q", "input": "I", "output": "A"},
            {"messages": [{**USER, "content": "Q\n\nI"}, ANSWER]},
        ),
        (
            "instruction",
            {"instruction": "Q", "input": "", "output": "A", "system": "S"},
            {"messages": [SYSTEM, USER, ANSWER]},
        ),
        ("instruction", {"input": "Q", "output": "A"}, {"messages": [USER, ANSWER]}),
        ("chat", {"messages": [USER, ANSWER]}, {"messages": [USER, ANSWER]}),
        ("chat", {"messages": [USER, ANSWER, USER], "system": "S"}, {"messages": [SYSTEM, USER, ANSWER]}),
        ("chat", {"messages": json.dumps([USER, ANSWER])}, {"messages": [USER, ANSWER]}),
        (
            "chat",
            {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]},
            {"messages": [USER, ANSWER]},
        ),
        (
            "chat",
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "Q"}]},
                    {"role": "assistant", "content": [{"type": "text", "text": "A"}]},
                ]
            },
            {"messages": [USER, ANSWER]},
        ),
        (
            "preference",
            {"prompt": "Q", "chosen": "A", "rejected": "B"},
            {"messages": [USER], "chosen": "A", "rejected": "B"},
        ),
        (
            "preference",
            {"prompt": "Q", "chosen": "[1]", "rejected": "{}"},
            {"messages": [USER], "chosen": "[1]", "rejected": "{}"},
        ),
        (
            "preference",
            {"chosen": [USER, ANSWER], "rejected": [USER, {**ANSWER, "content": "B"}]},
            {"messages": [USER], "chosen": "A", "rejected": "B"},
        ),
        (
            "preference",
            {
                "conversations": [{"from": "human", "value": "Q"}],
                "chosen": {"from": "gpt", "value": "A"},
                "rejected": {"from": "gpt", "value": "B"},
            },
            {"messages": [USER], "chosen": "A", "rejected": "B"},
        ),
    ],
)
def test_usual_columns_become_the_tasks_record(
    task: str, row: dict[str, Any], expected: dict[str, Any], write: Write
) -> None:
    loaded, (record,) = write([row], task)
    assert {name: value for name, value in record.items() if name not in ("id", "source")} == expected
    assert record["source"] == "t:2"
    assert len(record["id"]) == 32
    assert loaded.columns == tuple(row)


def test_the_id_is_the_contents_and_nothing_elses(write: Write) -> None:
    _, records = write([{"text": "a", "n": 1}, {"text": "a", "n": 2}, {"text": "b", "n": 1}], "completion")
    assert records[0]["id"] == records[1]["id"] != records[2]["id"]


def test_named_columns_are_taken_and_joined(write: Write) -> None:
    rows = [{"v1": "ham", "title": "T", "body": "B"}, {"v1": "spam", "title": "", "body": "B"}]
    loaded, records = write(rows, "classification", {"text": "title + body", "label": "V1"})
    assert [record["text"] for record in records] == ["T\n\nB", "B"]
    assert loaded.mapping["label"].columns == ("v1",)
    _, records = write(rows, "completion", {"text": ["body", "title"]})
    assert records[0]["text"] == "B\n\nT"


@pytest.mark.parametrize(
    ("task", "columns", "found", "message"),
    [
        (
            "qa",
            {"promt": "question"},
            ["question", "answer"],
            "columns.promt: a qa record has no such field; it has messages, prompt",
        ),
        (
            "qa",
            {"prompt": "qestion"},
            ["question", "answer"],
            r"no column 'qestion'; did you mean 'question'\? \(found: question, answer\)",
        ),
        (
            "qa",
            {},
            ["Frage", "Antwort"],
            r'say which is: columns = \{ prompt = "..." \} \(found: Frage, Antwort\)',
        ),
        ("completion", {}, ["question", "answer"], r"set task = 'qa' or columns.text = 'question \+ answer'"),
        ("classification", {}, ["text"], "no column is known as the classification record's label"),
        ("preference", {}, ["prompt", "response"], "no column is known as the preference record's chosen"),
    ],
)
def test_a_column_that_cannot_be_had_is_an_error_that_says_what_there_is(
    task: str, columns: dict[str, str], found: list[str], message: str
) -> None:
    with pytest.raises(SlmError, match=message) as error:
        choose_columns(task, columns, found, "t")
    assert "\n" not in str(error.value)


def test_of_several_usual_names_the_order_is_told() -> None:
    chosen = choose_columns("qa", {}, ["prompt", "question", "answer"], "t")
    assert chosen["prompt"].columns == ("question", "prompt")
    assert chosen["prompt"].why == "a usual name for it, then prompt"


@pytest.mark.parametrize(
    ("task", "row", "why"),
    [
        ("qa", {"question": "Q", "answer": None}, "answer: missing"),
        ("qa", {"question": " \t\n", "answer": "A"}, "question: empty"),
        ("chat", {"messages": [USER]}, "no answer in it"),
        ("chat", {"messages": [{**ANSWER}]}, "no question before its answer"),
        ("chat", {"messages": [{"role": "user", "content": None}, ANSWER]}, "message 1 has no text"),
        ("chat", {"messages": [{"role": None, "content": "x"}, ANSWER]}, "message 1 has no role"),
        ("chat", {"messages": [USER, {**ANSWER, "content": " "}]}, "its last answer is empty"),
        ("preference", {"prompt": "Q", "chosen": "A", "rejected": ""}, "rejected: empty"),
    ],
)
def test_a_row_that_makes_no_record_is_set_aside(
    task: str, row: dict[str, Any], why: str, write: Write, tmp_path: Path
) -> None:
    good = {"qa": {"question": "Q", "answer": "A"}, "chat": {"messages": [USER, ANSWER]},
            "preference": {"prompt": "Q", "chosen": "A", "rejected": "B"}}[task]  # fmt: skip
    loaded, records = write([good, row, good], task, max_bad_rows=1)
    assert (loaded.rows, loaded.rejected) == (2, 1)
    assert [record["source"] for record in records] == ["t:2", "t:4"]
    (line,) = (tmp_path / "rejected.jsonl").read_text().splitlines()
    reject = json.loads(line)
    assert (reject["place"], reject["why"]) == ("t:3", why)
    assert reject["raw"].startswith("{")


def test_a_list_where_text_belongs_is_named(write: Write) -> None:
    with pytest.raises(SlmError, match=r"t: 1 of 1 rows can't be used \(t:2: answer: a list, not text\)"):
        write([{"question": "Q", "answer": ["A", "B"]}], "qa")


@pytest.mark.parametrize(
    ("limit", "passes"), [(0.1, False), (0.5, True), (4, False), (5, True), (0, False), (1.0, True)]
)
def test_more_bad_rows_than_allowed_stop_the_stage(limit: float, passes: bool, write: Write) -> None:
    rows = [{"question": "Q", "answer": "A" if n % 2 else ""} for n in range(10)]
    if passes:
        assert write(rows, "qa", max_bad_rows=limit)[0].rejected == 5
        return
    with pytest.raises(
        SlmError, match=r"5 of 10 rows .*t:2: answer: empty; t:4: .*; t:6: .*raise max_bad_rows"
    ) as error:
        write(rows, "qa", max_bad_rows=limit)
    assert "\n" not in str(error.value)


def test_what_the_loader_rejected_counts_too(write: Write, tmp_path: Path) -> None:
    batch = batch_of([{"text": "a"}], (Reject("t:9", "not JSON", "{"),))
    assert write([batch], "completion", max_bad_rows=0.5)[0].rejected == 1
    assert json.loads((tmp_path / "rejected.jsonl").read_text()) == {"place": "t:9", "why": "not JSON", "raw": "{"}


@pytest.mark.parametrize("batches", [[], [Batch(pa.table({"text": pa.array([], pa.string())}), "t", [])]])
def test_a_source_without_rows_is_refused(batches: list[Batch], tmp_path: Path) -> None:
    with pytest.raises(SlmError, match=r"^faqs\.csv: no rows$"):
        write_records(iter(batches), task="completion", columns={}, split="train", folder=tmp_path, address="faqs.csv")


def test_batches_of_other_columns_are_mapped_by_their_own(write: Write) -> None:
    other = batch_of([{"instruction": "Q", "output": "A"}])
    strange = batch_of([{"x": "y"}])
    loaded, records = write([batch_of([{"question": "Q", "answer": "A"}]), other, strange], "qa", max_bad_rows=1)
    assert [record["messages"] for record in records] == [[USER, ANSWER]] * 2
    assert loaded.rejected == 1
    assert loaded.mapping["prompt"].columns == ("question", "instruction")


def test_rows_come_one_batch_at_a_time(tmp_path: Path) -> None:
    """No batch is asked for before the last one is written: memory does not grow with the source."""
    seen: list[int] = []

    def batches() -> Iterator[Batch]:
        for n in range(5):
            assert seen == list(range(n))
            yield batch_of([{"text": f"{n}"}])

    def progress(done: float, total: float, unit: str) -> None:
        seen.append(len(seen))

    write_records(batches(), task="completion", columns={}, split="a", folder=tmp_path, address="t", progress=progress)
    assert seen == list(range(5))
