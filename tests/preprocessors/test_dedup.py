"""Repeated records go, the first stays, and what answers one question in two ways is counted."""

from collections.abc import Callable
from typing import Any

import pytest

from slm.plugin import Base, Job, Work
from slm_preprocessors.contents.content import fold
from slm_preprocessors.dedup import Dedup

JOB = Job("t", "qa", Base("scratch"))
ROWS = [
    ("What is it?", "A"),
    ("what  is it?", "a"),
    ("What is it", "A"),
    ("What is it?", "B"),
    ("Other", "A"),
    ("Other", "A"),
]


@pytest.mark.parametrize(
    ("options", "kept", "conflicts"),
    [
        ({"fold": "none"}, [1, 2, 3, 4, 5], 1),
        ({}, [1, 3, 4, 5], 1),
        ({"fold": "punctuation"}, [1, 4, 5], 1),
        ({"key": "input"}, [1, 3, 5], 1),
        ({"key": "input", "fold": "punctuation"}, [1, 5], 1),
    ],
)
def test_the_first_of_like_records_stays(
    options: dict[str, Any], kept: list[int], conflicts: int, split_of: Callable[..., Any], work: Work
) -> None:
    split = split_of([{"question": q, "answer": a} for q, a in ROWS], "qa")
    done = Dedup(**options).preprocess({"train": split}, JOB, work)
    assert done.splits["train"]["source"][:] == [f"train:{n}" for n in kept]
    assert dict(done.report) == {"kept": len(kept), "dropped": 6 - len(kept), "conflicts": conflicts}
    assert len(done.dropped["train"]) == 6 - len(kept)
    assert all(row["why"].startswith("the same as train:") for row in done.dropped["train"])


def test_labels_tell_records_apart_and_conflict(split_of: Callable[..., Any], work: Work) -> None:
    split = split_of(
        [{"text": "x", "label": "a"}, {"text": "X", "label": "b"}, {"text": "x", "label": "a"}], "classification"
    )
    done = Dedup().preprocess({"train": split}, Job("t", "classification", Base("scratch")), work)
    assert dict(done.report) == {"kept": 2, "dropped": 1, "conflicts": 1}


@pytest.mark.parametrize(
    ("how", "one", "other", "same"),
    [
        ("space", "a  b\n", "a b", True),
        ("space", "A", "a", False),
        ("case", "STRASSE", "straße", True),
        ("case", "\uff46ull", "full", True),
        ("case", "a.", "a", False),
        ("punctuation", "Is it “so”?", "is it so", True),
        ("punctuation", "5-3", "53", False),
        ("punctuation", "2+2", "22", False),
        ("punctuation", "?!", "...", False),
    ],
)
def test_folding_joins_what_it_says_and_no_more(how: Any, one: str, other: str, same: bool) -> None:
    assert (fold(one, how) == fold(other, how)) == same
