"""Values of JSON or YAML as rows: objects, texts and lists become batches; what is none of them is rejected."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import define, field

from slm.plugin import Batch, Reject

from ..opening.decoding import mend
from ..tabular.dialect import HEADINGS
from .objects import to_table
from .paths import Found, called
from .scanner import Scanner
from .shapes import Shaper

ROWS, SIZE = 10_000, 8 << 20


@define
class Maker:
    """Makes rows of values, numbered from 1 in the order they come; `names` are those of the values of a list."""

    address: str
    warn: Callable[[str], None]
    names: tuple[str, ...] = ()
    no_answer: str = ""
    number: int = 0
    size: int = 0
    rows: list[dict[str, Any]] = field(factory=list)
    numbers: list[int] = field(factory=list)
    rejected: list[Reject] = field(factory=list)
    shaper: Shaper = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.shaper = Shaper(self.address, self.warn, self.no_answer)

    @property
    def some(self) -> bool:
        """Whether there is anything to give."""
        return bool(self.rows or self.rejected)

    @property
    def full(self) -> bool:
        """Whether it is time to give a batch."""
        return len(self.rows) + len(self.rejected) >= ROWS or self.size >= SIZE

    def add(self, found: Found, scanner: Scanner | None = None, number: int | None = None) -> None:
        """Take one value; `scanner` is what it was read by, `number` its line."""
        self.number += 1
        number = self.number if number is None else number
        row, why = _row(found, self.names)
        if found.doubt and not why:
            row, why = _sound(row, strays=scanner is not None and scanner.strays)
        if why:
            raw = json.dumps(found.value, ensure_ascii=True, default=str)[:2000]
            self.rejected.append(Reject(f"{self.address}:{number}", why, raw))
        else:
            self.rows.append(row)
            self.numbers.append(number)
        self.size += 100 + sum(len(each) for each in row.values() if isinstance(each, str))
        if scanner is not None:
            self.size, scanner.span = self.size + scanner.span, 0

    def batch(self) -> Batch:
        """What was taken since the last batch."""
        table, numbers = self.shaper.shape(to_table(self.rows), self.numbers)
        made = Batch(table, self.address, numbers, tuple(self.rejected))
        self.rows, self.numbers, self.rejected, self.size = [], [], [], 0
        return made

    def headed(self, values: Iterator[Found]) -> Iterator[Found]:
        """The values without a first one that is a list of names for those in the others."""
        first, second = next(values, None), next(values, None)
        if first is None:
            return
        if second is not None and _heads(first.value, second.value):
            self.names = tuple(first.value)
        else:
            yield first
        if second is not None:
            yield second
        yield from values


def _heads(first: Any, second: Any) -> bool:
    """Whether a list names the values of another: its names are usual, or stand over what is no text."""
    if not isinstance(first, list) or not isinstance(second, list) or len(first) != len(second):
        return False
    if not first or not all(isinstance(each, str) and each.strip() for each in first) or len(set(first)) < len(first):
        return False
    return any(each.strip().casefold() in HEADINGS for each in first) or any(
        isinstance(each, int | float) for each in second
    )


def _row(found: Found, names: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    value, around = found.value, found.around
    if found.why:
        return {}, found.why
    if isinstance(value, dict):
        return {**around, **value}, ""
    if isinstance(value, list):
        return _of_list(value, around, names)
    if isinstance(value, str) and not any(name.startswith("key") for name in around):
        return {**around, "text": value}, ""
    return ({**around, "value": value}, "") if around else ({}, f"not an object but {called(value)}")


def _of_list(value: list[Any], around: Mapping[str, Any], names: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    if value and all(isinstance(each, dict) and ("role" in each or "from" in each) for each in value):
        return {**around, "messages": value}, ""
    if not names:
        texts = len(value) == 2 and all(isinstance(each, str) for each in value)
        names = ("text", "label") if texts else tuple(f"column_{n + 1}" for n in range(len(value)))
    if not value or len(value) != len(names):
        return {}, f"{len(value)} values where there are {len(names)} names" if value else "an empty list"
    return {**around, **dict(zip(names, value, strict=True))}, ""


def _sound(row: dict[str, Any], *, strays: bool) -> tuple[dict[str, Any], str]:
    """The row without stray bytes (read as cp1252), or why it can't be taken."""
    text = json.dumps(row, ensure_ascii=False)
    try:
        mended = mend(text) if strays else text
        mended.encode("utf-8")
    except UnicodeDecodeError as error:
        return row, f"byte 0x{error.object[error.start]:02x} is neither UTF-8 nor cp1252"
    except UnicodeEncodeError:
        return row, "holds half of a surrogate pair, which is no character"
    return (row if mended is text else dict(json.loads(mended))), ""
