"""Rows become records: columns mapped with a reason, bad rows set aside with their place, too many of them refused."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from slm.plugin import Batch, Reject, SlmError
from slm_data.ahead import AHEAD
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


def test_only_a_few_batches_are_read_ahead(tmp_path: Path) -> None:
    """Memory does not grow with the source: what is read waits until what came before is written."""
    written: list[int] = []
    most = 0

    def batches() -> Iterator[Batch]:
        nonlocal most
        for n in range(50):
            most = max(most, n - len(written))
            yield batch_of([{"text": f"{n}"}])

    def progress(done: float, total: float, unit: str) -> None:
        time.sleep(0.001)
        written.append(len(written))

    write_records(batches(), task="completion", columns={}, split="a", folder=tmp_path, address="t", progress=progress)
    assert len(written) == 50
    assert most <= AHEAD + 2


def test_an_error_of_the_source_is_raised_and_the_source_is_closed(tmp_path: Path) -> None:
    closed: list[str] = []

    def batches(fail: bool) -> Iterator[Batch]:
        try:
            for n in range(50):
                if fail and n == 3:
                    raise SlmError("t:3: gone")
                yield batch_of([{"text": f"{n}"}])
        finally:
            closed.append(threading.current_thread().name)

    with pytest.raises(SlmError, match="t:3: gone"):
        write_records(batches(True), task="completion", columns={}, split="a", folder=tmp_path, address="t")
    with pytest.raises(SlmError, match="no column"):
        write_records(batches(False), task="qa", columns={}, split="a", folder=tmp_path, address="t")
    assert closed == ["read-ahead"] * 2


def test_columns_may_be_put_into_a_text_with_what_the_source_is_called(write: Write) -> None:
    rows = pa.table({"Title": ["T", None, ""], "q": ["Q", "Q", None], "a": ["A", "A", "A"]})
    batch = Batch(rows, "faqs/train_Play-Music_full.json.gz", [1, 2, 3])
    form = {"prompt": "{title}: {q} ({file:train_(.+)_full}, {folder})", "response": "a"}
    loaded, records = write([batch], "qa", form, max_bad_rows=1)
    shown = [record["messages"][0]["content"] for record in records]
    assert shown == ["T: Q (Play-Music, faqs)", ": Q (Play-Music, faqs)"]
    assert loaded.rejected == 1
    assert loaded.mapping["prompt"].columns == ("Title", "q", "file:train_(.+)_full", "folder")
    _, labelled = write([batch], "classification", {"text": "a", "label": "{file}"})
    assert {record["label"] for record in labelled} == {"train_Play-Music_full"}
    with pytest.raises(SlmError, match=r"no column 'titel'; did you mean 'Title'\?"):
        write([batch], "classification", {"text": "{titel}", "label": "{file}"})


def test_a_pattern_that_finds_nothing_leaves_the_field_missing(write: Write) -> None:
    batch = Batch(pa.table({"text": ["T", "U"]}), "a/other.json", [1, 2])
    named = Batch(pa.table({"text": ["T", "U"]}), "a/train_x.json", [1, 2])
    loaded, records = write([batch, named], "classification", {"label": "{file:train_(.+)}"}, max_bad_rows=2)
    assert [record["source"] for record in records] == ["a/train_x.json:1", "a/train_x.json:2"]
    assert loaded.rejected == 2


def test_columns_to_keep_stand_beside_the_record(write: Write, tmp_path: Path) -> None:
    rows = pa.table({"text": ["T", " ", "U"], "customer": [7, 8, None], "tags": [["a"], [], None]})
    _, records = write([Batch(rows, "t", [1, 2, 3])], "completion", keep=("customer", "tags"), max_bad_rows=1)
    assert [(record["customer"], record["tags"]) for record in records] == [("7", '["a"]'), (None, None)]
    bare = write([Batch(rows, "t", [1, 2, 3])], "completion", max_bad_rows=1)[1]
    assert [record["id"] for record in bare] == [record["id"] for record in records]
    with pytest.raises(SlmError, match=r"keep: no column 'custom' \(found: text, customer, tags\)"):
        write([Batch(rows, "t", [1, 2, 3])], "completion", keep=("custom",), max_bad_rows=1)
    with pytest.raises(SlmError, match="keep: text: a completion record has a field of that name"):
        write([Batch(rows, "t", [1, 2, 3])], "completion", keep=("text",))


def test_an_id_is_of_what_the_record_says_alone(write: Write) -> None:
    def id_of(row: dict[str, Any], task: str) -> str:
        return str(write([row], task)[1][0]["id"])

    pair = {"question": "Q", "answer": "A"}
    turns = {"messages": [USER, ANSWER]}
    assert id_of(pair, "qa") == id_of(turns, "chat") == id_of({**pair, "system": " "}, "qa")
    others = [{"question": "QA", "answer": "A"}, {"question": "Q", "answer": "AA"}, {**pair, "system": "S"}]
    assert len({id_of(row, "qa") for row in [pair, *others]}) == 4
    assert id_of({"text": "ab", "label": "c"}, "classification") != id_of(
        {"text": "a", "label": "bc"}, "classification"
    )


def test_sources_with_other_columns_to_keep_make_one_split(tmp_path: Path) -> None:
    for name, keep in (("a", ("customer",)), ("b", ())):
        (tmp_path / name).mkdir()
        rows = pa.table({"text": [f"{name} text"], "customer": ["7"]})
        how: dict[str, Any] = {"task": "completion", "columns": {}, "split": "train", "address": "t"}
        write_records([Batch(rows, "t", [1])], folder=tmp_path / name, keep=keep, **how)
    records = read_splits(tmp_path / "a", tmp_path / "b")["train"]
    assert [(record["text"], record["customer"]) for record in records] == [("a text", "7"), ("b text", None)]
