"""Steps of the user's own: what a function gives is checked, what it drops is kept aside, what it raises is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import datasets
import pytest

from slm.plugin import Base, Job, Processed, SlmError, Work
from slm_preprocessors.custom import Custom

Of = Callable[..., datasets.Dataset]
Call = Callable[..., Processed]
ROWS = [{"text": f"text {n}", "label": "ab"[n % 2]} for n in range(6)]


@pytest.fixture
def call(tmp_path: Path, work: Work, split_of: Of) -> Call:
    """Write a file of steps and run one of them over six records, and over a test set of two."""

    def run(code: str, use: str = "steps.py:clean", **options: Any) -> Processed:
        (tmp_path / "steps.py").write_text(code)
        splits = {"train": split_of(ROWS, "classification"), "test": split_of(ROWS[:2], "classification", "test")}
        plugin = Custom(use=use, **options)
        return plugin.preprocess(splits, Job("t", "classification", Base("scratch")), attrs.evolve(work, root=tmp_path))

    return run


def test_a_function_of_a_record_changes_drops_and_gives_reasons(call: Call) -> None:
    done = call(
        "def clean(record, ending='.'):\n"
        "    n = int(record['text'][-1])\n"
        "    if n == 1: return None\n"
        "    if n == 2: return 'two is too many'\n"
        "    if n == 3: return record\n"
        "    return {'text': record['text'].upper() + ending}\n",
        arguments={"ending": "!"},
    )
    train = done.splits["train"]
    assert train["text"][:] == ["TEXT 0!", "text 3", "TEXT 4!", "TEXT 5!"]
    assert train["label"][:] == ["a", "b", "a", "b"]
    assert train["source"][:] == ["train:1", "train:4", "train:5", "train:6"]
    gone = done.dropped["train"]
    assert list(zip(gone["text"], gone["why"], strict=True)) == [
        ("text 1", "dropped by steps.py:clean"),
        ("text 2", "two is too many"),
    ]
    assert done.report == {"kept": 1, "changed": 4, "dropped": 3, "added": 0}
    assert done.examples[0] == "train:1: text: text 0 -> TEXT 0!"


def test_a_record_may_become_several_with_ids_of_their_own(call: Call) -> None:
    done = call(
        "def clean(record):\n    for word in record['text'].split():\n        yield {'text': word}\n", splits=("train",)
    )
    train = done.splits["train"]
    assert train["text"][:4] == ["text", "0", "text", "1"]
    assert train["source"][:2] == ["train:1#1", "train:1#2"]
    assert len(set(train["id"])) == 8  # `text` with its two labels, and six numbers
    assert len(done.splits["test"]) == 2
    assert done.report["added"] == 6


@pytest.mark.parametrize(("parameter", "per"), [("batch", "auto"), ("records", "auto"), ("these", "batch")])
def test_a_function_of_a_batch_sees_many_records(call: Call, parameter: str, per: str) -> None:
    done = call(
        f"def clean({parameter}):\n"
        f"    longest = max(len(r['text']) for r in {parameter})\n"
        f"    return [dict(r, text=r['text'] + str(longest)) for r in {parameter} if r['label'] == 'a']\n",
        per=per,
    )
    assert done.splits["train"]["text"][:] == ["text 06", "text 26", "text 46"]
    assert len(done.dropped["train"]) == 3


@pytest.mark.parametrize(
    ("code", "use", "say"),
    [
        ("", "other.py:clean", "other.py:clean: there is no file"),
        ("def tidy(record): pass", "steps.py:clean", r"no function 'clean' in it \(there is tidy\)"),
        ("def clean(record:", "steps.py:clean", "steps.py: does not import: SyntaxError"),
        ("import nowhere_to_be_found", "steps.py:clean", "does not import: ModuleNotFoundError"),
        ("def clean(record):\n    return record['txt']", "steps.py:clean", r"steps.py:2: KeyError: 'txt', at train:1"),
        (
            "def clean(record):\n    return {'txt': 1}",
            "steps.py:clean",
            r"'txt' is no field of these records \(id, sou",
        ),
        ("def clean(record):\n    return {'text': 1}", "steps.py:clean", "another type than the field has"),
        ("def clean(record):\n    return 3", "steps.py:clean", "gave 3 for train:1; give a record, None or a reason"),
        ("def clean(batch):\n    return [{}]", "steps.py:clean", "give records with the `source` that they came with"),
        ("def clean(record, x):\n    return record", "steps.py:clean", "missing 1 required positional argument: 'x'"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_its_place(call: Call, code: str, use: str, say: str) -> None:
    with pytest.raises(SlmError, match=say) as caught:
        call(code, use)
    assert "\n" not in str(caught.value)


def test_a_changed_function_is_another_step(tmp_path: Path) -> None:
    plugin = Custom(use="steps.py:clean")
    assert plugin.state(tmp_path) is None
    (tmp_path / "steps.py").write_text("def clean(record): return record")
    first = plugin.state(tmp_path)
    (tmp_path / "steps.py").write_text("def clean(record): return None")
    assert first
    assert plugin.state(tmp_path) not in (None, first)
