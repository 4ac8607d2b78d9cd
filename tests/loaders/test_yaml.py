"""YAML is read as what stands there: words stay words, rows know their lines, and bombs don't go off."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slm.plugin import SlmError
from slm_loaders.yaml import Yaml


@pytest.mark.parametrize(
    ("text", "rows", "numbers"),
    [
        ("- a: 1\n- a: x\n", [{"a": "1"}, {"a": '"x"'}], [1, 2]),
        ("- question: Yes?\n  answer: yes\n\n- question: b\n  answer: no\n",
         [{"question": "Yes?", "answer": "yes"}, {"question": "b", "answer": "no"}], [1, 4]),
        ("data:\n  - a: 1\n  - a: 2\nversion: 1\n", [{"a": 1}, {"a": 2}], [2, 3]),
        ("one:\n  q: x\ntwo:\n  q: y\n", [{"key": "one", "q": "x"}, {"key": "two", "q": "y"}], [1, 3]),
        ("q: x\n---\nq: y\n", [{"q": "x"}, {"q": "y"}], [1, 3]),
        ("- first\n- second\n", [{"text": "first"}, {"text": "second"}], [1, 2]),
        ("- [id, name]\n- [1, x]\n", [{"id": 1, "name": "x"}], [2]),
        ("- {v: 1.10, w: 2020-01-01, x: 12:30, y: 007, z: ~}\n",
         [{"v": "1.10", "w": "2020-01-01", "x": "12:30", "y": "007", "z": None}], [1]),
        ("- {t: true, f: False, n: -3, e: 1.5, s: '1'}\n",
         [{"t": True, "f": "False", "n": -3, "e": 1.5, "s": "1"}], [1]),
        ("- &a {x: 1, y: 2}\n- {<<: *a, y: 3}\n", [{"x": 1, "y": 2}, {"y": 3, "x": 1}], [1, 2]),
        ("- {no: 1, 2: x}\n", [{"no": 1, "2": "x"}], [1]),
        ("- text: |\n    two\n    lines\n", [{"text": "two\nlines\n"}], [1]),
    ],
)  # fmt: skip
def test_records_and_their_lines(
    text: str, rows: list[dict[str, Any]], numbers: list[int], tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "t.yaml").write_text(text)
    found = read(Yaml(), "t.yaml")
    assert (found.rows, found.numbers, found.rejected) == (rows, numbers, [])


def test_no_tag_makes_an_object(tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.yaml").write_text("- a: !!python/object/apply:os.system [touch x]\n  b: !Ref c\n")
    assert read(Yaml(), "t.yaml").rows == [{"a": ["touch x"], "b": "c"}]


def test_records_at_the_end_of_a_path_take_along_what_is_around_them(tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.yml").write_text("topics:\n- name: a\n  pairs:\n  - {q: 1}\n  - {q: 2}\n- name: b\n  pairs: []\n")
    found = read(Yaml(records="topics[].pairs[]"), "t.yml")
    assert (found.rows, found.numbers) == ([{"name": "a", "q": 1}, {"name": "a", "q": 2}], [4, 5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"t\.yaml: empty file"),
        ("# only a remark\n", r"t\.yaml: no records"),
        ("just text\n", r"t\.yaml:1: holds a text, no records"),
        ("a: [1, 2\n", r"t\.yaml:2:1: not YAML: did not find expected ',' or '\]'"),
        ("a: 1\n\tb: 2\n", r"t\.yaml:2:\d: not YAML: "),
        ("a: 1\na: 2\n", r"t\.yaml:2: the key 'a' stands twice"),
        ("? [a]\n: 1\n", r"t\.yaml:1: a key that is no text"),
        ("a: *b\n", r"t\.yaml:1:4: not YAML: found undefined alias"),
        ("a: &a [*a]\n", r"t\.yaml:1: a value that holds itself"),
        ("a: \x00\n", r"t\.yaml.*: not YAML: "),
        ("[" * 100_000, r"t\.yaml:1: nested more than 200 levels deep"),
        ("- " * 100_000, r"t\.yaml:1: nested more than 200 levels deep"),
        ("train: [{a: 1}]\ntest: [{a: 1}]\n", r"holds several lists: train \(1\), test \(1\); say which"),
    ],
)
def test_what_is_broken_or_holds_no_records_is_refused_in_one_line(
    text: str, message: str, tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(SlmError, match=message) as caught:
        read(Yaml(), "t.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "link", ["- &a{n} [{last}]\n", "a{n}: &a{n} [{last}]\n", "a{n}: &a{n} {{<<: [{last}], k{n}: 1}}\n"]
)
def test_a_billion_laughs_are_not_laughed(link: str, tmp_path: Path, read: Callable[..., Any]) -> None:
    lines = [link.format(n=0, last="{k: 1}")]
    lines += [link.format(n=n, last=", ".join([f"*a{n - 1}"] * 10)) for n in range(1, 12)]
    (tmp_path / "t.yaml").write_text("".join(lines))
    with pytest.raises(SlmError, match=r"t\.yaml: its aliases stand for [\d,]+ values where \d+ are written"):
        read(Yaml(), "t.yaml")


def test_a_long_chain_of_aliases_is_an_error_not_a_crash(tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.yaml").write_text("- &a0 [x]\n" + "".join(f"- &a{n} [*a{n - 1}]\n" for n in range(1, 1200)))
    with pytest.raises(SlmError, match=r"t\.yaml: its aliases are nested too deeply"):
        read(Yaml(), "t.yaml")


def test_conversations_come_as_question_and_answer_and_as_messages(tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.yml").write_text(
        "categories: [small talk]\nconversations:\n- - Hi\n  - Hello\n  - Are you well?\n  - Yes\n"
        "- - Note: this\n  - 42\n- broken - line\n"
    )
    found = read(Yaml(), "t.yml")
    assert [(row["question"], row["answer"], row["category"]) for row in found.rows] == [
        ("Hi", "Hello", "small talk"),
        ("Note: this", "42", "small talk"),
    ]
    assert [turn["role"] for turn in found.rows[0]["messages"]] == ["user", "assistant", "user", "assistant"]
    assert found.rows[0]["messages"][3]["content"] == "Yes"
    assert found.numbers == [3, 7]
    assert [(each.place, each.why) for each in found.rejected] == [
        ("t.yml:9", "a text where a list of turns should be")
    ]
