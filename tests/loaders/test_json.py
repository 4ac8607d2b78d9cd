"""JSON is read whatever holds its records; what is broken is named by line and column."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slm.plugin import SlmError
from slm_loaders.json import Json
from slm_loaders.nested.paths import parse_path, show_path
from slm_loaders.nested.scanner import Scanner

SQUAD = {
    "version": "2.0",
    "data": [
        {
            "title": "T",
            "paragraphs": [
                {"context": "C", "qas": [{"id": "1", "question": "Q", "answers": [{"text": "A"}, {"text": "B"}]}]},
                {"context": "D", "qas": [{"id": "2", "question": "R", "answers": [], "is_impossible": True}]},
            ],
        }
    ],
}
ROWS = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        (ROWS, ROWS),
        ({"version": 1, "data": ROWS}, ROWS),
        ({"version": 1, "data": {"rows": ROWS, "count": 2}}, ROWS),
        ({"one": ROWS[0], "two": ROWS[1]}, [{"key": "one", **ROWS[0]}, {"key": "two", **ROWS[1]}]),
        ({"a": [1, 2], "b": ["x", "y"]}, ROWS),
        ({"a": {"0": 1, "1": 2}, "b": {"0": "x", "1": "y"}}, ROWS),
        (
            {"question": ["q", "r"], "answers": [{"x": 1}, {"x": 2}]},
            [{"question": "q", "answers": {"x": 1}}, {"question": "r", "answers": {"x": 2}}],
        ),
        (
            {"messages": [[{"role": "user", "content": "q"}]], "id": [7]},
            [{"messages": [{"role": "user", "content": "q"}], "id": 7}],
        ),
        ({"rows": ROWS, "features": [{"name": "a"}]}, ROWS),
        ({"columns": ["a", "b"], "index": [0, 1], "data": [[1, "x"], [2, "y"]]}, ROWS),
        ([["a", "b"], [1, "x"], [2, "y"]], ROWS),
        ([["text", "label"], ["hello", "x"]], [{"text": "hello", "label": "x"}]),
        ([["hello", "x"], ["you", "y"]], [{"text": "hello", "label": "x"}, {"text": "you", "label": "y"}]),
        (["one", "two"], [{"text": "one"}, {"text": "two"}]),
        ([["a", "b", "c"]], [{"column_1": "a", "column_2": "b", "column_3": "c"}]),
        ({"question": "q", "answer": "a"}, [{"question": "q", "answer": "a"}]),
        ({"messages": [{"role": "user", "content": "q"}]}, [{"messages": [{"role": "user", "content": "q"}]}]),
        ([[{"role": "user", "content": "q"}]], [{"messages": [{"role": "user", "content": "q"}]}]),
        ({f"q{n}": f"a{n}" for n in range(60)}, [{"key": f"q{n}", "value": f"a{n}"} for n in range(60)]),
        ({"texts": ["one", "two", "three", "four"]}, [{"text": each} for each in ("one", "two", "three", "four")]),
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_records_are_found(
    value: Any, rows: list[Any], indent: int | None, tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "t.json").write_text(json.dumps(value, indent=indent))
    found = read(Json(), "t.json")
    assert [{name: cell for name, cell in row.items() if cell is not None} for row in found.rows] == rows
    assert found.numbers == list(range(1, len(rows) + 1))
    assert not found.rejected


@pytest.mark.parametrize(
    ("path", "value", "rows"),
    [
        ("data[].paragraphs[].qas[]", SQUAD, [("T", "C", "Q"), ("T", "D", "R")]),
        ("a.b[]", {"a": {"b": [{"q": 1}]}, "c": 1}, [{"q": 1}]),
        ("a.b", {"a": {"b": [{"q": 1}]}}, [{"q": 1}]),
        ("train[]", {"train": [["t", "l"]], "test": [["u", "m"]]}, [{"text": "t", "label": "l"}]),
        ("*[]", {"train": [["t", "l"]], "test": [["u", "m"]]},
         [{"key": "train", "text": "t", "label": "l"}, {"key": "test", "text": "u", "label": "m"}]),
        ("*.qs[]", {"x": {"n": 1, "qs": ["p"]}, "y": {"n": 2, "qs": ["q"]}},
         [{"key": "x", "n": 1, "value": "p"}, {"key": "y", "n": 2, "value": "q"}]),
        ("*.*", {"x": {"u": {"q": 1}}}, [{"key": "x", "key_2": "u", "q": 1}]),
        ('"a.b"[]', {"a.b": [{"q": 1}]}, [{"q": 1}]),
        ("[].in[]", [{"o": 1, "in": [{"o": 2}, {"p": 3}]}], [{"o": 2, "p": None}, {"o": 1, "p": 3}]),
    ],
)  # fmt: skip
def test_a_path_leads_to_records_and_takes_along_what_is_around_them(
    path: str, value: Any, rows: list[Any], tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "t.json").write_text(json.dumps(value))
    found = read(Json(records=path), "t.json")
    if isinstance(rows[0], tuple):
        assert [(row["title"], row["context"], row["question"]) for row in found.rows] == rows
    else:
        assert [{**dict.fromkeys(rows[0]), **row} for row in found.rows] == rows
    assert not found.rejected


def test_squad_is_known_with_its_unanswerable_questions(tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.json").write_text(json.dumps(SQUAD))
    found = read(Json(), "t.json")
    assert [(row["question"], row["context"], row["answer"]) for row in found.rows] == [
        ("Q", "C", "A"),
        ("R", "D", None),
    ]
    assert [row["answer"] for row in read(Json(no_answer="unknown"), "t.json").rows] == ["A", "unknown"]
    assert found.warnings[0].startswith("t.json: SQuAD: questions of data[].paragraphs[].qas[]")


@pytest.mark.parametrize("path", ["a[", "a[]b", "a..b", "a[0]", "[]]", 'a."b'])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(SlmError, match="is not a path"):
        Json(records=path)


@pytest.mark.parametrize("path", ["a", "[]", "*", "*[]", "data[].paragraphs[].qas[]", "a.*.b[][]"])
def test_a_path_is_shown_as_it_is_written(path: str) -> None:
    assert show_path(parse_path(path)) == path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"t\.json: empty file"),
        (" \n", r"t\.json: empty file"),
        ("42", r"t\.json: holds a number, no records"),
        ("[]", r"t\.json: no records$"),
        ("{}", r"t\.json: no records$"),
        ('{"data": [], "total": 0}', r"t\.json: no records in data\[\]$"),
        ('[{"a": 1},\n {"a": 2},\n {"a": }]', r"t\.json:3:8: not JSON: Expecting value"),
        ('[{"a": 1},\n {"a": 2}', r"t\.json:2:10: not JSON: the file ends too early"),
        ('[{"a": 1}\n {"a": 2}]', r"t\.json:2:2: not JSON: a comma or a closing bracket is missing"),
        ('[{"a": 1}, ]', r"t\.json:1:12: not JSON: a value is missing behind the comma"),
        ('[{"a": 1}] x', r"t\.json:1:12: not JSON: something stands behind the end"),
        ('{"data": [{"a": 1}], }', r"t\.json:1:22: not JSON: a key in double quotes is missing"),
        ('{"a": [1], "a": [2]}', r"t\.json:1:16: the key 'a' stands twice"),
        ("[" * 100_000, r"t\.json:1:\d+: not JSON: nested too deeply"),
        ('{"a":' * 100_000, r"t\.json:1:\d+: not JSON: nested too deeply"),
        ('["open', r"t\.json:1:2: not JSON: Unterminated string"),
        ('{"train": [{"a": 1}], "test": [{"a": 2}, {"a": 3}]}',
         r"t\.json: holds several lists: train \(1\), test \(2\); say which by records = 'train\[\]', or all of them"),
    ],
)  # fmt: skip
def test_what_is_broken_or_unclear_is_one_line_with_its_place(
    text: str, message: str, tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(SlmError, match=message) as caught:
        read(Json(), "t.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("dta[]", r"t\.json: records: no 'dta' in it; it has version, data"),
        ("data[].pargraphs[]", "no 'pargraphs' in it"),
        ("data.x", "a list where the path has an object"),
        ("version[]", "a text where the path has a list"),
    ],
)
def test_a_path_that_leads_nowhere_is_named(path: str, message: str, tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.json").write_text(json.dumps(SQUAD))
    try:
        (why,) = [reject.why for reject in read(Json(records=path), "t.json").rejected]
    except SlmError as error:
        why = str(error)
    assert message.replace("\\", "") in why


@pytest.mark.parametrize(
    ("element", "why"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' stands twice"),
        ('{"a": "\\ud83d"}', "half of a surrogate pair"),
        ("7", "not an object but a number"),
        ("null", "not an object but null"),
        ("[]", "an empty list"),
    ],
)
def test_an_odd_element_is_rejected_with_its_number(
    element: str, why: str, tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "t.json").write_text(f'[{{"a": 1}}, {element}, {{"a": 3}}]')
    found = read(Json(), "t.json")
    assert (found.rows, found.numbers) == ([{"a": 1}, {"a": 3}], [1, 3])
    ((place, said),) = [(reject.place, reject.why) for reject in found.rejected]
    assert place == "t.json:2"
    assert why in said


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ('[{"a": NaN}, {"a": 1.5}]', [None, 1.5]),
        ('[{"a": "\\ud83d\\ude00"}]', ["😀"]),
        (f'[{{"a": {"9" * 5000}}}]', ["9" * 5000]),
        ('[{"a": 12345678901234567890}]', ["12345678901234567890"]),
        ('[{"a": "x"}, {"a": ["y"]}]', ['"x"', '["y"]']),
        ('[{"a": {"b": 1}}, {"a": {"c": 2}}]', [{"b": 1, "c": None}, {"b": None, "c": 2}]),
    ],
)
def test_values_are_kept(text: str, column: list[Any], tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.json").write_text(text)
    assert [row["a"] for row in read(Json(), "t.json").rows] == column


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encodings_are_found(encoding: str, tmp_path: Path, read: Callable[..., Any]) -> None:
    rows = [{"text": f"Ein häufiger Text, Nummer {n}: Größe und Übung"} for n in range(60)]
    (tmp_path / "t.json").write_bytes(json.dumps(rows, ensure_ascii=False).encode(encoding))
    assert read(Json(), "t.json").rows == rows


def test_stray_bytes_in_utf_8_are_read_as_cp1252(tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.json").write_bytes(b'[\n{"a": "\xc3\xa9"},\n{"a": "\xc3\xbc"},\n{"a": "caf\xe9"},\n{"a": "\x81"}]')
    found = read(Json(), "t.json")
    assert [row["a"] for row in found.rows] == ["é", "ü", "café"]
    assert [reject.why for reject in found.rejected] == ["byte 0x81 is neither UTF-8 nor cp1252"]


@pytest.mark.parametrize("text", ['{"a": 1}\n{"a": 2}\n', '{"a":\n 1}\n{"a":\n 2}', '{"a": 1}{"a": 2}'])
def test_objects_one_after_another_are_all_read(text: str, tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.json").write_text(text)
    found = read(Json(), "t.json")
    assert found.rows == [{"a": 1}, {"a": 2}]
    assert len(found.warnings) == 1


def test_lines_of_json_in_a_json_file_keep_their_rejects(tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.json").write_text('{"a": 1}\n{"a": 2,}\n{"a": 3}\n')
    found = read(Json(), "t.json")
    assert (found.rows, found.numbers) == ([{"a": 1}, {"a": 3}], [1, 3])
    assert [reject.place for reject in found.rejected] == ["t.json:2"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_a_text_in_pieces_is_the_same(size: int) -> None:
    values = [{"a": -1.5e10, "b": ['é\n"\\😀', None, True, 12]}, "x", 123456, [], {}, {"k": {"k": [1]}}]
    text = json.dumps(values, indent=1)
    scanner = Scanner(iter([text[at : at + size] for at in range(0, len(text), size)]), "t")
    assert [scanner.value() for _ in scanner.elements()] == values
    scanner.end()


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_fault_in_a_text_in_pieces_has_its_place(size: int) -> None:
    text = '[\n {"a": "é"},\n {"b": tru}\n]'
    scanner = Scanner(iter([text[at : at + size] for at in range(0, len(text), size)]), "t")
    with pytest.raises(SlmError, match=r"t:3:8: not JSON: Expecting value"):
        [scanner.value() for _ in scanner.elements()]


def test_a_list_larger_than_what_is_read_at_once_is_streamed(tmp_path: Path, read: Callable[..., Any]) -> None:
    rows = [{"n": n, "text": "é" * (n % 200)} for n in range(60_000)]
    (tmp_path / "t.json").write_text(json.dumps({"data": rows}, ensure_ascii=False), encoding="utf-8")
    found = read(Json(), "t.json")
    assert found.rows == rows
    assert len(found.batches) > 5


def test_of_a_large_list_the_beginning_tells_and_what_is_left_out_is_said(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    rows = [{"q": n} for n in range(25_000)]
    (tmp_path / "t.json").write_text(json.dumps({"data": rows, "more": [{"q": 1}]}))
    found = read(Json(), "t.json")
    assert len(found.rows) == 25_000
    assert found.warnings[1] == "t.json: other lists in it are left out: more"


def test_many_records_by_key_are_all_read_and_a_fault_behind_them_is_found(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    text = json.dumps({f"k{n}": {"q": n} for n in range(3_000)})
    (tmp_path / "t.json").write_text(text)
    assert len(read(Json(), "t.json").rows) == 3_000
    (tmp_path / "t.json").write_text(text[:-1])
    with pytest.raises(SlmError, match="the file ends too early"):
        read(Json(), "t.json")


def test_objects_whose_keys_are_ids_do_not_become_columns(tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.json").write_text(json.dumps([{"a": "x", "votes": {f"id{n}": n}} for n in range(300)]))
    assert read(Json(), "t.json").rows[7] == {"a": "x", "votes": '{"id7": 7}'}


SUITE = "messy/json-test-suite/test_parsing"


def test_of_the_json_test_suite_what_is_sound_is_read_and_what_is_not_is_refused(
    data: Path, read: Callable[..., Any]
) -> None:
    wrong = []
    for path in sorted((data / SUITE).glob("*.json")):
        try:
            found = read(Json(), path.name, data / SUITE)
            outcome = "read" if found.rows else "rejected"
        except SlmError as error:
            one_line = str(error).startswith(path.name) and "\n" not in str(error)
            broken = "not JSON" in str(error) or "encoding" in str(error) or not one_line
            outcome = "broken" if broken else "no records"
            wrong += [] if one_line else [(path.name, str(error))]
        if (path.name[0] == "y" and outcome == "broken") or (path.name[0] == "n" and outcome == "read"):
            wrong.append((path.name, outcome))
    assert wrong == []
