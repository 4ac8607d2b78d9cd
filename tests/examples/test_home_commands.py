"""The home commands' files are what their script writes, and what is held out from training stays out."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "examples/home-commands"
SPLITS = ("train", "validation", "test", "test_unseen")


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """`generate.py` as a module, for as long as this file's tests run."""
    spec = importlib.util.spec_from_file_location("home_commands_generate", FOLDER / "generate.py")
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def splits(script: ModuleType) -> dict[str, list[Any]]:
    """The rows that the script makes, with their phrasings."""
    made: dict[str, list[Any]] = script.generate()
    return made


@pytest.fixture(scope="module")
def files() -> dict[str, list[tuple[str, str]]]:
    """The rows of the files as they lie in the folder."""
    return {split: read(FOLDER / f"{split}.csv") for split in SPLITS}


def read(file: Path) -> list[tuple[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return [(row["prompt"], row["response"]) for row in csv.DictReader(lines)]


def test_the_files_are_what_the_script_writes() -> None:
    done = subprocess.run([sys.executable, FOLDER / "generate.py", "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_check_fails_and_names_the_file_when_one_was_changed(tmp_path: Path) -> None:
    for file in FOLDER.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "test.csv").open("a", encoding="utf-8") as changed:
        changed.write("one more,{}\n")
    done = subprocess.run([sys.executable, tmp_path / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "test.csv: not what generate.py writes" in done.stderr


@pytest.mark.parametrize(("one", "other"), list(combinations(SPLITS, 2)))
def test_no_sentence_is_in_two_splits_whatever_its_capitals_and_stops(
    one: str, other: str, files: dict[str, list[tuple[str, str]]], script: ModuleType
) -> None:
    first, second = ({script.bare(prompt) for prompt, _ in files[split]} for split in (one, other))
    assert not first & second


@pytest.mark.parametrize("split", SPLITS)
def test_no_sentence_comes_twice(split: str, files: dict[str, list[tuple[str, str]]], script: ModuleType) -> None:
    said = [script.bare(prompt) for prompt, _ in files[split]]
    assert len(said) == len(set(said)) == script.ROWS[split]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_known_phrasings_are_phrasings_of_training_rows(split: str, splits: dict[str, list[Any]]) -> None:
    known = {row.phrasing for row in splits["train"]}
    assert {row.phrasing for row in splits[split]} <= known


def test_no_core_of_an_unseen_phrasing_is_in_any_training_row(splits: dict[str, list[Any]]) -> None:
    trained = {row.phrasing.core for row in splits["train"] + splits["validation"]}
    assert not trained & {row.phrasing.core for row in splits["test_unseen"]}


def test_training_sees_no_opening_or_ending_that_is_held_out(splits: dict[str, list[Any]], script: ModuleType) -> None:
    held_out = script.Grammar(script.SEED).unseen
    parts = {part for row in splits["train"] for part in (row.phrasing.call, row.phrasing.ask, row.phrasing.ending)}
    assert held_out
    assert not parts & held_out


def test_most_unseen_phrasings_have_an_unseen_opening_or_ending_too(
    splits: dict[str, list[Any]], script: ModuleType
) -> None:
    held_out = script.Grammar(script.SEED).unseen
    phrasings = [row.phrasing for row in splits["test_unseen"]]
    assert sum(bool({p.call, p.ask, p.ending} & held_out) for p in phrasings) > len(phrasings) / 2


@pytest.mark.parametrize("split", SPLITS)
def test_every_answer_is_compact_json_that_names_a_device_and_an_action(
    split: str, files: dict[str, list[tuple[str, str]]]
) -> None:
    for prompt, response in files[split]:
        command = json.loads(response)
        assert {"device", "action"} <= set(command) <= {"device", "room", "door", "action", "day", "value"}, prompt
        assert json.dumps(command, separators=(",", ":")) == response


@pytest.mark.parametrize("split", SPLITS)
def test_no_slot_is_left_unfilled(split: str, files: dict[str, list[tuple[str, str]]]) -> None:
    assert not [prompt for prompt, _ in files[split] if {"{", "}", "|"} & set(prompt) or "  " in prompt]


def test_another_seed_gives_other_sentences(script: ModuleType, splits: dict[str, list[Any]]) -> None:
    other = script.generate(script.SEED + 1)
    assert other["test"] != splits["test"]


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("turn it off", "turning it off"),
        ("set the heating to 20", "setting the heating to 20"),
        ("close the blinds", "closing the blinds"),
        ("see that it is on", "seeing that it is on"),
        ("dim the light", "dimming the light"),
    ],
)
def test_an_order_becomes_a_gerund(order: str, said: str, script: ModuleType) -> None:
    assert script.gerund(order, script.Grammar(script.SEED).words["doubling"]) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "zero"), (7, "seven"), (15, "fifteen"), (20, "twenty"), (35, "thirty five"), (100, "a hundred")],
)
def test_a_number_is_said_in_words(number: int, said: str, script: ModuleType) -> None:
    assert script.words(number) == said


def test_the_readme_counts_what_is_there_and_what_is_held_out(script: ModuleType, splits: dict[str, list[Any]]) -> None:
    grammar = script.Grammar(script.SEED)
    cores = {core for intent in grammar.intents for core in intent["do"] + intent["say"]}
    known = {word for row in splits["train"] for word in script.bare(row.prompt).split()}
    unseen = splits["test_unseen"]
    parts = [{row.phrasing.call, row.phrasing.ask, row.phrasing.ending} & grammar.unseen for row in unseen]
    strange = [set(script.bare(row.prompt).split()) - known for row in unseen]
    text = " ".join((FOLDER / "README.md").read_text(encoding="utf-8").split())
    for phrase in (
        f"{len(grammar.intents)} intents with {len(cores):,} different cores",
        f"{sum(len(parts) for parts in grammar.openings.values())} parts of openings, {len(grammar.endings)} endings",
        f"cores are held out ({len(grammar.unseen_cores)})",
        f"{100 * sum(map(bool, parts)) / len(unseen):.0f}% of the test's sentences",
        f"{100 * sum(map(bool, strange)) / len(unseen):.0f}% have a word that is in no training sentence",
    ):
        assert phrase in text
