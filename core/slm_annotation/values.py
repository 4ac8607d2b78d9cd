"""The frozen values of annotation: what people are asked, what they answered, and what a model guesses.

What is asked has a shape, which names the fields that are shown and the values that are answered:

| shape          | fields                              | values                                              |
|----------------|-------------------------------------|-----------------------------------------------------|
| qa             | question, answer, context (or none) | question, answer, verdict: good, fixed or bad       |
| chat           | dialogue (turns), response          | response, rating: 1 to 5, flags: a list             |
| completion     | text                                | text, verdict: good, fixed or bad                   |
| classification | text                                | label                                               |
| multilabel     | text                                | labels: a list                                      |
| spans          | text                                | spans: a list of start, end, label, text            |
| preference     | dialogue (turns), a, b              | choice: a, b or tie                                 |

A turn is `{"role": ..., "content": ...}`. Offsets of spans count Python's characters, the end exclusive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from attrs import field, frozen

from slm.errors import SlmError

SHAPES: Mapping[str, tuple[str, ...]] = {
    "qa": ("qa",),
    "instruction": ("chat",),
    "chat": ("chat",),
    "completion": ("completion", "spans"),
    "classification": ("classification", "multilabel", "spans"),
    "preference": ("preference",),
}
"""The shapes that fit a task, the usual one first."""

VERDICTS = ("good", "fixed", "bad")
FLAGS = ("wrong", "unsafe", "unclear", "off-topic")
CHOICES = ("a", "b", "tie")


@frozen
class Guess:
    """What a model would answer: `values` as in an Answer; `score` from 0 (at a loss) to 1 (sure); the model's name."""

    values: Mapping[str, Any]
    score: float
    model: str


@frozen
class Item:
    """A record as it is put before people.

    key    -- names the record for good, whatever becomes of its content
    digest -- of its fields: changes where they do
    source -- its place, as `faqs.csv:17`
    since  -- answers given before this time (ISO 8601, UTC) were to an older content and don't count
    """

    key: str
    digest: str
    source: str
    fields: Mapping[str, Any]
    guess: Guess | None = None
    since: str = ""


@frozen
class Answer:
    """What one person said of one item: times are ISO 8601 in UTC, `seconds` the time it took.

    `fault` says why the values can't be used, where they can't (a label that is not known, a span beside its text).
    """

    id: int
    annotator: str
    created: str
    updated: str
    seconds: float = 0.0
    skipped: bool = False
    values: Mapping[str, Any] = field(factory=dict)
    fault: str = ""


@frozen
class Entry:
    """An item as it stands in a project: `number` is its id there, `updated` the time of its last change (ISO 8601,
    UTC), `answers` all that are there now; `since` as an Item has it. What others put there has no `digest`, and a
    `key` made of its number."""

    number: int
    key: str
    digest: str
    source: str
    fields: Mapping[str, Any]
    updated: str
    answers: tuple[Answer, ...] = ()
    since: str = ""


@frozen
class Counts:
    """How many entries a project has, and how many answers, the skipped ones included."""

    entries: int
    answers: int


@frozen
class Recent:
    """How many entries changed at a time or later, the time of the newest change of all, and the place's own clock
    (ISO 8601, UTC): who sees the same figures twice has seen no change."""

    changed: int
    newest: str
    now: str


class Untaken(SlmError):
    """The place took nothing of what was sent, and is at work on nothing of it: no more will come."""


class Project(Protocol):
    """An open annotation project, asked one thing at a time. Every method raises SlmError, with what to do, where the
    place refuses or can't be reached; nothing is sent twice by itself."""

    shape: str
    labels: tuple[str, ...]
    place: str
    """Where it is, as people would look it up; without secrets."""
    batch: int
    """The most items that `create` takes."""

    def prepare(self) -> list[str]:
        """Make the project, or see to it that the one that is there can carry the shape and labels; gives remarks."""
        ...

    def counts(self) -> Counts:
        """How many entries and answers there are now."""
        ...

    def recent(self, since: str | None) -> Recent:
        """What changed at `since` or later (ever, where it is None), in figures; quick whatever the project's size."""
        ...

    def changed(self, since: str | None, *, answered: bool = False) -> Iterator[Sequence[Entry]]:
        """The entries that changed at `since` or later, page by page, the oldest change first; all where it is None.
        With `answered`, only those that have an answer."""
        ...

    def numbers(self) -> set[int]:
        """The numbers of all entries."""
        ...

    def find(self, keys: Sequence[str]) -> dict[str, list[int]]:
        """The numbers of the entries that have one of these keys, the lowest first."""
        ...

    def create(self, items: Sequence[Item]) -> list[int]:
        """Add items with their guesses; gives their numbers in the same order. Raises Untaken where it is sure that
        none was stored or will be; any other error leaves that open, and the next push waits for what may still come.
        """
        ...

    def update(self, number: int, item: Item) -> None:
        """Put an item's fields in the place of an entry's; its answers stay."""
        ...

    def remove(self, numbers: Sequence[int]) -> None:
        """Take entries out, with their answers."""
        ...

    def guess(self, guesses: Mapping[int, Guess]) -> None:
        """Add guesses to entries by number, and show them from now on."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...
