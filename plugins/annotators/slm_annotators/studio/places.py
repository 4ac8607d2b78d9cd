"""Where in a project each field lies, and which control asks for each value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

from .shapes import LABELLED


@frozen
class Place:
    """Where a field lies in a task's data; turns of a dialogue as a list with these keys, or else as text."""

    key: str
    form: Literal["text", "turns"] = "text"
    role: str = "role"
    content: str = "content"


@frozen
class Control:
    """A control that asks for a value.

    labels  -- what can be answered, as results have it; empty where anything can
    words   -- our word for a label, where the answers are fixed
    options -- the data key with the labels of each task; empty where they stand in the config
    """

    name: str
    kind: Literal["textarea", "choices", "rating", "labels"]
    to: str
    labels: tuple[str, ...] = ()
    words: Mapping[str, str] = field(factory=dict)
    options: str = ""


@frozen
class Controls:
    """A label config as seen from a shape.

    labels   -- that people can choose; empty for shapes without, and where each task brings its own
    fields   -- our field -> its place in the data
    values   -- our value -> its control
    missing  -- values that nothing asks for, and that answers can do without
    unfilled -- data keys that the config shows and no field fills
    """

    shape: str
    labels: tuple[str, ...]
    fields: Mapping[str, Place]
    values: Mapping[str, Control]
    missing: tuple[str, ...] = ()
    unfilled: tuple[str, ...] = ()

    @property
    def asked(self) -> Control | None:
        """The control that has the user's labels."""
        return self.values.get(LABELLED.get(self.shape, ""))
