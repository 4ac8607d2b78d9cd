"""Mistakes in a config: all at once, each with its line and what was perhaps meant."""

from pathlib import Path
from typing import Literal

import pytest
from attrs import Factory, field, frozen
from attrs.validators import ge
from hypothesis import given
from hypothesis import strategies as st

from slm.config import ConfigError, Place, attempt, line_of, positions, structure


@frozen
class Inner:
    rank: int = field(default=16, validator=ge(1))
    targets: tuple[str, ...] = ("q_proj",)
    shape: tuple[int, str] = (1, "a")
    length: int | None = None
    rows: int | float = 0.5


@frozen
class Outer:
    model: str
    precision: Literal["bf16", "fp16"] = "bf16"
    rate: float = 2e-4
    inner: Inner = Factory(Inner)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"rank": "8"}, "expected an integer, got '8'"),
        ({"rank": 8.0}, "expected an integer, got 8.0"),
        ({"rank": True}, "expected an integer, got True"),
        ({"rank": 0}, "must be >= 1: 0"),
        ({"targets": "q_proj"}, "expected an array, got 'q_proj'"),
        ({"targets": [1]}, "expected a string, got 1"),
        ({"length": "x"}, "expected an integer, got 'x'"),
        ({"rows": "x"}, "expected an integer, got 'x'"),
        ({"rnak": 1}, "unknown key; did you mean 'rank'?"),
        ({"zzz": 1}, "unknown key; known: length, rank, rows, shape, targets"),
    ],
)
def test_a_wrong_value_is_refused_in_words(table: dict[str, object], said: str) -> None:
    made, found = attempt(table, Inner, "recipe")
    assert made is None
    assert any(said in mistake.say for mistake in found), found


def test_right_values_are_taken_as_they_are() -> None:
    table = {"model": "m", "rate": 1, "inner": {"targets": ["a", "b"], "shape": [2, "b"], "length": 3, "rows": 2}}
    got = structure(table, Outer)
    assert got == Outer("m", rate=1.0, inner=Inner(targets=("a", "b"), shape=(2, "b"), length=3, rows=2))


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    text = '[train]\nprecison = "bf16"\nprecision = "int4"\nrate = "x"\n\n[train.inner]\nrank = "8"\n'
    file = tmp_path / "slm.toml"
    file.write_text(text)
    import tomllib

    with pytest.raises(ConfigError) as caught:
        structure(tomllib.loads(text)["train"], Outer, "train", file)
    lines = str(caught.value).replace(f"{file}:", "").splitlines()
    assert [line.split(":")[:2] for line in lines] == [
        ["1", " train.model"],
        ["2", " train.precison"],
        ["3", " train.precision"],
        ["4", " train.rate"],
        ["7", " train.inner.rank"],
    ]
    assert "required, and missing" in lines[0]
    assert "did you mean 'precision'?" in lines[1]


def test_lines_are_found_through_tables_arrays_strings_and_quotes() -> None:
    text = '\n'.join(
        ['a = 1', 'text = """', '[not]', 'b = 2', '"""', '[[load]]', '"from" = "x"', '[load.columns]', 'prompt = "Q"',
         '[[load]]  # second', 'from = "y"', 'columns.response = "A"', "[serve]", "  port = 3"]
    )  # fmt: skip
    assert positions(text) == {
        "a": 1, "text": 2, "load.0": 6, "load.0.from": 7, "load.columns": 8, "load.columns.prompt": 9, "load.1": 10,
        "load.1.from": 11, "load.1.columns.response": 12, "serve": 13, "serve.port": 14,
    }  # fmt: skip
    found = positions(text)
    assert line_of(found, "load.1.columns.response") == 12
    assert line_of(found, "load.1.max_bad_rows") == 10
    assert line_of(found, "serve.port.x") == 14
    assert line_of(found, "nothing") == 1
    assert line_of({}, "nothing") == 0
    assert "b" not in found


@given(st.text())
def test_no_text_breaks_the_search_for_lines(text: str) -> None:
    assert all(1 <= line <= len(text.splitlines()) for line in positions(text).values())


def test_mistakes_are_in_the_order_of_the_file() -> None:
    from slm.config import Mistake

    place = Place("p.toml", "a = 1\nb = 2\n")
    assert str(place.error([Mistake("b", "late"), Mistake("a", "early")])) == "p.toml:1: a: early\np.toml:2: b: late"
