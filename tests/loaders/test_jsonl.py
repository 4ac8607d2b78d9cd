"""JSON Lines are read exactly; a line that holds no object is rejected with its place and reason."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slm.plugin import SlmError
from slm_loaders.jsonl import Jsonl
from slm_loaders.nested.objects import read_object, read_quick


@pytest.mark.parametrize(
    "name", ["bom-crlf.jsonl", "blank-lines-no-final-newline.jsonl", "jsonl-named.json", "utf16le-bom.jsonl"]
)
def test_the_same_rows_in_other_clothes_are_the_same(name: str, data: Path, read: Callable[..., Any]) -> None:
    folder = data / "messy/derived"
    expected = [json.loads(line) for line in (folder / "jsonl-named.json").read_text(encoding="utf-8").splitlines()]
    found = read(Jsonl(), name, folder)
    assert found.rows == expected
    assert not found.rejected


@pytest.mark.parametrize("name", ["bad-lines-syntax.jsonl", "bad-lines-semantic.jsonl"])
def test_of_broken_lines_each_is_named(name: str, data: Path, read: Callable[..., Any]) -> None:
    folder = data / "messy/derived"
    key = json.loads((folder / f"{name}.expected.json").read_bytes())
    found = read(Jsonl(), name, folder)
    not_objects = {each["line"] for each in key["problems"] if not each["parses_as_json_object"]}
    no_text = {each["line"] for each in key["problems"] if each["problem"] in ("lone_surrogate", "duplicate_key")}
    assert {int(reject.place.rpartition(":")[2]) for reject in found.rejected} == not_objects | no_text
    assert sorted([*found.numbers, *not_objects, *no_text]) == list(range(1, key["lines"] + 1))


def test_a_download_cut_short_loses_its_last_line_only(data: Path, read: Callable[..., Any]) -> None:
    found = read(Jsonl(), "truncated-download.jsonl", data / "messy/derived")
    assert (len(found.rows), [reject.place for reject in found.rejected]) == (59, ["truncated-download.jsonl:60"])


def test_lines_of_different_keys_come_as_one_table(data: Path, read: Callable[..., Any]) -> None:
    folder = data / "messy/derived"
    lines = (folder / "mixed-schemas.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [
        {k: v for k, v in row.items() if v is not None} for row in read(Jsonl(), "mixed-schemas.jsonl", folder).rows
    ]
    assert rows == [json.loads(line) for line in lines]


def test_a_field_of_a_million_characters_is_read(data: Path, read: Callable[..., Any]) -> None:
    rows = read(Jsonl(), "one-huge-field.jsonl", data / "messy/derived").rows
    assert [len(row["answer"]) >= 1_000_000 for row in rows].count(True) == 1
    assert len(rows) == 10


def test_real_problems_are_all_read(data: Path, read: Callable[..., Any]) -> None:
    found = read(Jsonl(), "instruction/gsm8k/train.jsonl", data)
    lines = (data / "instruction/gsm8k/train.jsonl").read_text(encoding="utf-8").splitlines()
    assert found.rows == [json.loads(line) for line in lines]
    assert found.numbers == list(range(1, 7474))


@pytest.mark.parametrize(
    ("lines", "column"),
    [
        (['{"a": "2020-01-01"}', '{"a": "2020-01-02T03:04:05"}'], ["2020-01-01", "2020-01-02T03:04:05"]),
        (['{"a": 12345678901234567890}', '{"a": 1.5}'], ["12345678901234567890", "1.5"]),
        (['{"a": "text"}', '{"a": ["list"]}'], ['"text"', '["list"]']),
        (['{"a": 1}', '{"a": "1"}'], ["1", '"1"']),
        (['{"a": NaN}', '{"a": "x"}'], [None, "x"]),
        (['{"a": {"b": [1]}}', '{"a": {"c": "x"}}'], [{"b": [1], "c": None}, {"b": None, "c": "x"}]),
        (['{"a": "\\u0000"}', '{"a": "\\ud83d\\ude00"}'], ["\0", "😀"]),
    ],
)
def test_no_value_is_changed_on_the_way(
    lines: list[str], column: list[Any], tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "t.jsonl").write_text("\n".join([*lines, ""]), encoding="utf-8")
    assert [row["a"] for row in read(Jsonl(), "t.jsonl").rows] == column


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"a": 1,}', "not JSON"),
        (b'{"a": 1} {"a": 2}', "not JSON: Extra data"),
        (b"[1]", "not an object but a list"),
        (b"null", "not an object but null"),
        (b'{"a": "\xff"}', "byte 0xff at column 8 is not UTF-8"),
        (b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
        (b'{"a": "\\ud83d"}', "half of a surrogate pair"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_line_is_refused_with_its_reason(line: bytes, why: str) -> None:
    value, found = read_object(line)
    assert value is None
    assert why in found
    assert read_quick(line, "t", 1) is None


def test_every_file_of_the_json_test_suite_is_an_object_or_a_reason(data: Path) -> None:
    for path in sorted((data / "messy/json-test-suite/test_parsing").glob("*.json")):
        raw = path.read_bytes().replace(b"\r", b" ").replace(b"\n", b" ")
        value, why = read_object(raw)
        assert (value is None) == bool(why)
        if path.name.startswith("n_") and b"NaN" not in raw and b"Infinity" not in raw and b"\x0c" not in raw:
            assert value is None, path.name
        if path.name.startswith("y_object") and "duplicated" not in path.name:
            assert value is not None, path.name


def test_clean_blocks_and_broken_ones_make_one_stream(tmp_path: Path, read: Callable[..., Any]) -> None:
    lines = [json.dumps({"text": f"{'é' * (n % 90)} {n}", "label": n % 5}) for n in range(120_000)]
    lines[100_000] = "{broken"
    with gzip.open(tmp_path / "t.jsonl.gz", "wt", compresslevel=1) as file:
        file.write("\n".join(lines))
    found = read(Jsonl(), "t.jsonl.gz")
    assert [reject.place for reject in found.rejected] == ["t.jsonl.gz:100001"]
    assert len(found.batches) > 2
    assert found.rows == [json.loads(line) for n, line in enumerate(lines) if n != 100_000]
    assert found.numbers == [n for n in range(1, 120_001) if n != 100_001]


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file_is_refused(text: str, tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(SlmError, match=r"t\.jsonl: empty file"):
        read(Jsonl(), "t.jsonl")


@pytest.mark.parametrize(
    "text", ['[\n{"a": 1}\n]', '[{"a": 1}]', '{\n"a": 1\n}', '{"a":\n1}', '{"data": [\n{"a": 1}]}']
)
def test_one_json_value_is_read_as_such(text: str, tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.jsonl").write_text(text)
    if text == '{"a":\n1}':  # a line that is cut: it is named as such
        assert [reject.place for reject in read(Jsonl(), "t.jsonl").rejected] == ["t.jsonl:1", "t.jsonl:2"]
        return
    found = read(Jsonl(), "t.jsonl")
    assert found.rows == [{"a": 1}]
    assert found.warnings[0] == "t.jsonl: is one JSON value, not an object a line, and is read so"


def test_the_first_of_several_answers_is_the_answer(tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.jsonl").write_text('{"question": "q", "answer": ["a", "b"]}\n{"question": "r", "answer": "c"}\n')
    found = read(Jsonl(), "t.jsonl")
    assert [row["answer"] for row in found.rows] == ["a", "c"]
    assert found.warnings == ["t.jsonl: several answers may stand to a question; the first is taken as its answer"]


def test_answers_as_the_hub_has_them_have_their_first_text(tmp_path: Path, read: Callable[..., Any]) -> None:
    lines = ['{"question": "q", "answers": {"text": ["a", "b"], "answer_start": [1, 2]}}',
             '{"question": "r", "answers": {"text": [], "answer_start": []}}']  # fmt: skip
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    assert [row["answer"] for row in read(Jsonl(), "t.jsonl").rows] == ["a", None]
    assert [row["answer"] for row in read(Jsonl(no_answer="unknown"), "t.jsonl").rows] == ["a", "unknown"]


def test_each_instance_of_a_task_is_a_row(tmp_path: Path, read: Callable[..., Any]) -> None:
    pair = '[{"input": "x", "output": "y"}, {"input": "", "output": "z"}]'
    (tmp_path / "t.jsonl").write_text(
        f'{{"instruction": "i", "instances": {pair}}}\n{{"instruction": "j", "instances": []}}'
    )
    found = read(Jsonl(), "t.jsonl")
    assert [(row["instruction"], row["input"], row["output"]) for row in found.rows] == [
        ("i", "x", "y"), ("i", "", "z"), ("j", None, None)
    ]  # fmt: skip
    assert found.numbers == [1, 1, 2]
