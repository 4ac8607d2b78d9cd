"""Offsets of spans, checked against their text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any, TypeGuard

from slm.plugin import SlmError

HIDDEN = re.compile(r"\\n|\s")
"""What the editor leaves out of a span's text, or writes as a backslash and an n: white space at the edge of lines."""


def read_span(value: Mapping[str, Any], text: str) -> tuple[int, int]:
    """Where a region lies in the text, in characters. SlmError says what is wrong where it lies beside its own words.

    Label Studio counts code points; other tools, and editors before 1.8, count UTF-16 units, or a line end as one
    where the text has CRLF. Whichever puts the region on its own words is taken.
    """
    start, end = _bounds(value)
    said = value.get("text")
    inside = 0 <= start < end <= len(text)
    if inside and (not isinstance(said, str) or text[start:end] == said):
        return start, end
    if isinstance(said, str):
        readings = list(_readings(text, start, end))
        exact = [each for each in readings if text[slice(*each)] == said]
        found = exact or [each for each in readings if _bare(text[slice(*each)]) == _bare(said) != ""]
        if found:
            return found[0]
    there = f"'{_brief(text[start:end])}'" if inside else f"beyond its {len(text)} characters"
    raise SlmError(f"span {start}-{end} '{_brief(said or '')}': the text there is {there}")


def _bounds(value: Mapping[str, Any]) -> tuple[int, int]:
    inner = value.get("globalOffsets")
    source = inner if isinstance(inner, Mapping) else value
    start, end = source.get("start"), source.get("end")
    if not (_is_whole(start) and _is_whole(end)):
        raise SlmError(f"span {start}-{end}: its offsets are no whole numbers")
    return int(start), int(end)


def _is_whole(value: Any) -> TypeGuard[int | float | str]:
    if isinstance(value, str):
        return value.isascii() and value.isdigit()
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()


def _readings(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The places that the offsets may mean, the likeliest first."""
    if 0 <= start < end <= len(text):
        yield start, end
    other = [(_utf16, max(text, default="") > "\uffff"), (_one_line_end, "\r\n" in text)]
    for width in [width for width, differs in other if differs]:
        at = {place: number for number, place in reversed(list(enumerate(_places(text, width))))}
        if start in at and end in at and at[start] < at[end]:
            yield at[start], at[end]


def _places(text: str, width: Callable[[str, str], int]) -> Iterator[int]:
    return accumulate((width(*pair) for pair in zip(text, f"{text[1:]} ", strict=True)), initial=0)


def _utf16(char: str, following: str) -> int:
    return 2 if char > "\uffff" else 1


def _one_line_end(char: str, following: str) -> int:
    return 0 if char == "\r" and following == "\n" else 1


def _bare(text: str) -> str:
    return HIDDEN.sub("", text)


def _brief(text: str) -> str:
    short = " ".join(text.split())
    return short if len(short) <= 40 else f"{short[:37]}..."
