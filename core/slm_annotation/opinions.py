"""What answers say, in a form that can be counted, and how alike two of them are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from slm_annotation.values import Answer

Values = Mapping[str, Any]

TEXTS: Mapping[str, tuple[str, ...]] = {"qa": ("question", "answer"), "chat": ("response",), "completion": ("text",)}
"""The values of a shape that are written."""
CHOSEN: Mapping[str, str] = {"classification": "label", "preference": "choice"}
"""The value of a shape that is one of several."""
# Han and kana are written without spaces: each character counts as a word.
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|[^\w\s]")
EPOCH = datetime(1, 1, 1, tzinfo=UTC)


def when(answer: Answer) -> tuple[datetime, int]:
    """What puts answers in order: the time of the last change, then the id. No time counts as the oldest."""
    try:
        found = datetime.fromisoformat(answer.updated)
    except ValueError:
        return EPOCH, answer.id
    return (found if found.tzinfo else found.replace(tzinfo=UTC)), answer.id


def usable(shape: str, answer: Answer) -> bool:
    """Whether it says something: neither skipped nor faulty, nor without the choice that was asked for."""
    if answer.skipped or answer.fault:
        return False
    return shape not in CHOSEN or bool(answer.values.get(CHOSEN[shape]))


def current(shape: str, answers: Iterable[Answer]) -> list[Answer]:
    """The newest answer of each person where it says something, the oldest first. Who skips what he answered before
    takes his answer back; answers without a name are by different people."""
    newest: dict[Hashable, Answer] = {}
    for answer in sorted(answers, key=when):
        newest.pop(answer.annotator or answer.id, None)
        newest[answer.annotator or answer.id] = answer
    return [answer for answer in newest.values() if usable(shape, answer)]


def texts(shape: str, values: Values) -> tuple[str, ...]:
    """What was written, without white space around it."""
    return tuple((values.get(name) or "").strip() for name in TEXTS[shape])


def marks(values: Values) -> frozenset[tuple[int, int, str]]:
    """The spans as (start, end, label)."""
    return frozenset((span["start"], span["end"], span["label"]) for span in values.get("spans") or ())


def category(shape: str, values: Values) -> Hashable:
    """What stands for the whole answer where agreement is counted: the choice, the set of labels, the verdict, the
    rating. None where there is none; spans are compared character by character instead."""
    if shape in CHOSEN:
        return values.get(CHOSEN[shape]) or None
    if shape == "multilabel":
        return frozenset(values.get("labels") or ())
    return values.get({"chat": "rating"}.get(shape, "verdict")) or None


def opinion(values: Values) -> Hashable:
    """The whole answer, whatever its shape: two that say the same are equal. None where it says nothing."""
    for name in CHOSEN.values():
        if name in values:
            return values[name] or None
    if "labels" in values:
        return frozenset(values["labels"] or ())
    if "spans" in values:
        return marks(values)
    said = tuple(tuple(text.strip() for text in (values.get(name) or "" for name in names)) for names in TEXTS.values())
    return said if any(map(any, said)) else None


def alike(shape: str, one: Values, other: Values) -> float:
    """How alike two answers are, from 0 to 1: the same choice, Jaccard's index of labels, F1 of exact spans, F1 of the
    words written; 0 where one says `bad` and the other doesn't."""
    if shape in CHOSEN:
        return float(category(shape, one) == category(shape, other))
    if shape == "multilabel":
        a, b = set(one.get("labels") or ()), set(other.get("labels") or ())
        return len(a & b) / len(a | b) if a | b else 1.0
    if shape == "spans":
        mine, theirs = marks(one), marks(other)
        return 2 * len(mine & theirs) / (len(mine) + len(theirs)) if mine or theirs else 1.0
    if (one.get("verdict") == "bad") != (other.get("verdict") == "bad"):
        return 0.0
    return similarity(" ".join(texts(shape, one)), " ".join(texts(shape, other)))


def similarity(one: str, other: str) -> float:
    """F1 of the words and marks of two texts, whatever their order and case."""
    if one == other:
        return 1.0
    mine, theirs = Counter(words(one)), Counter(words(other))
    if not mine or not theirs:
        return float(mine == theirs)
    return 2 * (mine & theirs).total() / (mine.total() + theirs.total())


def words(text: str) -> Sequence[str]:
    """Its words and marks in lower case."""
    return WORD.findall(text.lower())
