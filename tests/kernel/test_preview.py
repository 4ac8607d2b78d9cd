"""A look at a source: its columns, the task it fits and why, its first records, and what to write into a pipeline."""

import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from slm_data.guess import guess_task

Slm = Callable[..., subprocess.CompletedProcess[str]]
LONG = "It is a rather long text about nothing in particular, as answers are"


@pytest.mark.parametrize(
    ("row", "task", "columns"),
    [
        ({"question": "Why is it so?", "answer": "Because."}, "qa", {}),
        ({"instruction": "Do it now please", "input": "", "output": "Done."}, "instruction", {}),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "chat", {}),
        ({"prompt": "Q", "chosen": "good", "rejected": "bad"}, "preference", {}),
        ({"text": LONG, "label": "a"}, "classification", {}),
        ({"text": LONG}, "completion", {}),
        ({"number": 3, "Frage": "Was ist das denn?", "Notiz": LONG}, "qa", {"prompt": "Frage", "response": "Notiz"}),
        ({"first": "One thing is that", "second": "It is another"}, "qa", {"prompt": "first", "response": "second"}),
        ({"v1": "ham", "v2": LONG, "v3": None}, "classification", {"text": "v2", "label": "v1"}),
        ({"id": 3, "Inhalt": LONG}, "completion", {"text": "Inhalt"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_task_is_guessed_by_names_and_else_by_values(
    row: dict[str, Any], task: str, columns: dict[str, str]
) -> None:
    rows = [{**row, **({"v1": "spam"} if n % 3 == 0 and "v1" in row else {})} for n in range(20)]
    rows = [{**row, **({"label": "b"} if n % 3 == 0 and "label" in row else {})} for n, row in enumerate(rows)]
    rows = [{**row, **({"v1": "spam"} if n % 3 == 0 and "v1" in row else {})} for n, row in enumerate(rows)]
    rows = [{**row, **({"id": n} if "id" in row else {})} for n, row in enumerate(rows)]
    guess = guess_task(pa.Table.from_pylist(rows))
    assert guess is not None
    assert (guess.task, dict(guess.columns)) == (task, columns)


def test_a_label_with_a_value_of_its_own_in_every_row_is_none() -> None:
    guess = guess_task(pa.table({"text": [LONG] * 50, "label": [f"{n} different" for n in range(50)]}))
    assert guess is not None
    assert guess.task == "completion"


def test_numbers_alone_fit_no_task() -> None:
    assert guess_task(pa.table({"a": [1, 2], "b": [3, 4]})) is None


def test_the_lines_it_prints_can_be_pasted_into_a_pipeline(slm: Slm, tmp_path: Path) -> None:
    rows = "".join(f"{n};Was ist Nummer {n}?;{LONG} {n}\n" for n in range(300))
    (tmp_path / "fragen.csv").write_text("nr;frage;notiz\n" + rows + "12;;leer\n")
    done = slm("preview", "fragen.csv", "--rows", "2")
    assert done.returncode == 0, done.stderr
    assert "loader: csv, it claims '.csv'" in done.stdout
    assert "columns, in the first 200 rows:" in done.stdout
    assert "fragen.csv:2\n    user: Was ist Nummer 0?\n    assistant: It is a rather long" in done.stdout
    table = tomllib.loads(done.stdout.partition("in pipeline.toml:")[2])
    columns = {"prompt": "frage", "response": "notiz"}
    assert table == {"task": "qa", "load": [{"from": "fragen.csv", "columns": columns}]}
    (tmp_path / "pipeline.toml").write_text(done.stdout.partition("in pipeline.toml:")[2])
    assert slm("plan", "pipeline.toml").returncode == 0


def test_a_task_columns_and_a_loader_can_be_said(slm: Slm, tmp_path: Path) -> None:
    (tmp_path / "faqs.txt").write_text(json.dumps({"topic": "a", "body": "b"}) + "\n")
    done = slm(
        "preview", "faqs.txt", "--use", "jsonl", "--task", "classification", "--column", "label=topic", "--column",
        "text={topic}: {body}",
    )  # fmt: skip
    assert "text: '{topic}: {body}', named in columns" in done.stdout, done.stderr
    assert "    text: a: b\n    label: a" in done.stdout
    assert 'use = "jsonl"' in done.stdout


@pytest.mark.parametrize(
    ("arguments", "say"),
    [
        (("missing.csv",), "missing.csv: no such file"),
        (("empty.csv",), "empty.csv: empty file"),
        (("numbers.csv",), "no task fits these columns; say --task and --column field=column"),
        (("numbers.csv", "--task", "qa"), "no column is known as the qa record's prompt"),
        (("numbers.csv", "--use", "cvs"), "no load plugin 'cvs'; did you mean 'csv'?"),
        (("numbers.csv", "--set", "delimeter=;"), "unknown key; did you mean 'delimiter'?"),
        (("picture.xyz",), "no loader claims 'picture.xyz'"),
        (("postgresql://me:secret@127.0.0.1:1/db", "--set", "table=faqs"), "postgresql://me:***@127.0.0.1:1/db"),
    ],
)
def test_what_cannot_be_shown_is_told_in_one_line(slm: Slm, tmp_path: Path, arguments: tuple[str], say: str) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "numbers.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "picture.xyz").touch()
    done = slm("preview", *arguments)
    assert done.returncode == 2
    assert say in done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr
