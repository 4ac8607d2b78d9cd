"""Delimited text read fast: pyarrow on blocks whose every quote and line end was first seen to be in its place.

A block that is not clean to the last byte is refused (None), and left to the careful reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen

NEWLINE, RETURN = 10, 13
PART = 1 << 18
"""Bytes that are looked at together."""


@frozen(eq=False)
class Quick:
    """A block's rows; each one's line within the block (the first is 0); bytes and lines that were used."""

    table: Any
    lines: Any
    used: int
    breaks: int


def read_block(
    block: bytes, delimiter: str, quote: str, names: Sequence[str], *, final: bool, checked: bool = False
) -> Quick | None:
    """The whole records of a block that begins where a record begins; the rest of it is a record that it cuts.

    `checked` says that it is known to be UTF-8.
    """
    import numpy as np

    if not delimiter.isascii() or not quote.isascii():
        return None
    data = np.frombuffer(block, np.uint8)
    breaks, quotes, clean = _seen(data, ord(quote) if quote else None)
    if not clean:
        return None
    used = len(block) if final and len(quotes) % 2 == 0 else _last_end(block, quotes)
    if not used or (final and used < len(block)):
        return None
    data, rest, quotes = data[:used], data[used:], quotes[: np.searchsorted(quotes, used)]
    if quotes.size and not _quotes_fit(data, quotes, ord(delimiter)):
        return None
    table = _parsed(memoryview(block)[:used], delimiter, quote, names, checked)
    if table is None:
        return None
    breaks -= int(np.count_nonzero(rest == NEWLINE))
    if data[-1] == NEWLINE and table.num_rows == breaks:  # then no line is blank, and no cell has a line break in it
        return Quick(table, np.arange(breaks), used, breaks)
    lines = _lines(data, quotes)
    return Quick(table, lines, used, breaks) if table.num_rows == len(lines) else None


def _seen(data: Any, quote: int | None) -> tuple[int, Any, bool]:
    """How many line feeds there are, where the quotes stand, and whether each carriage return has a line feed behind
    it; read once, in parts that stay in the processor's cache."""
    import numpy as np

    breaks, pairs, returns = 0, 0, 0
    quotes: list[Any] = [np.zeros(0, np.int64)]
    for at in range(0, len(data), PART):
        part = data[at : at + PART + 1]  # the byte behind the part tells whether its last one is half of a pair
        feeds, inside = part == NEWLINE, part[:PART]
        breaks += int(np.count_nonzero(feeds[:PART]))
        carriages = inside == RETURN
        returns += int(np.count_nonzero(carriages))
        pairs += int(np.count_nonzero(carriages[: len(feeds) - 1] & feeds[1:]))
        if quote is not None:
            quotes.append(np.flatnonzero(inside == quote) + at)
    return breaks, np.concatenate(quotes), returns == pairs


def _last_end(block: bytes, quotes: Any) -> int:
    """Where the last line break outside of quotes ends; 0 without one."""
    import numpy as np

    end = len(block)
    while end := block.rfind(b"\n", 0, end) + 1:
        before = int(np.searchsorted(quotes, end))
        if before % 2 == 0:
            break
        end = int(quotes[before - 1])
    return end


def _lines(data: Any, quotes: Any) -> Any:
    """The line that each record begins at which is not blank."""
    import numpy as np

    breaks = np.flatnonzero(data == NEWLINE)
    ends = _outside(breaks, quotes)
    if data[-1] != NEWLINE:
        ends = np.append(ends, len(data))
    starts = np.concatenate([[0], ends[:-1] + 1])
    blank = (ends == starts) | ((ends == starts + 1) & (data[np.minimum(starts, len(data) - 1)] == RETURN))
    return np.searchsorted(breaks, starts[~blank])


def _outside(breaks: Any, quotes: Any) -> Any:
    """The line breaks that stand outside of quotes."""
    import numpy as np

    if not quotes.size:
        return breaks
    at = np.searchsorted(breaks, quotes)
    if len(at) % 2 == 0 and np.array_equal(at[0::2], at[1::2]):
        return breaks
    return breaks[np.searchsorted(quotes, breaks) % 2 == 0]


def _quotes_fit(data: Any, quotes: Any, delimiter: int) -> bool:
    """Whether each quote opens a cell at its start, closes one at its end, or is half of a doubled one."""
    import numpy as np

    if len(quotes) % 2:
        return False
    opening, closing = quotes[0::2], quotes[1::2]
    before = data[np.maximum(opening - 1, 0)]
    doubled = np.zeros(len(opening), bool)
    doubled[1:] = opening[1:] == closing[:-1] + 1
    starts = (opening == 0) | (before == delimiter) | (before == NEWLINE) | doubled
    after = data[np.minimum(closing + 1, len(data) - 1)]
    last = closing == len(data) - 1
    ends = last | (after == delimiter) | (after == NEWLINE) | (after == RETURN) | np.append(doubled[1:], False)
    return bool(starts.all() and ends.all())


def _parsed(view: memoryview, delimiter: str, quote: str, names: Sequence[str], checked: bool) -> Any:
    import pyarrow
    from pyarrow import csv

    read = csv.ReadOptions(use_threads=False, block_size=len(view) + 1, column_names=list(names))
    parse = csv.ParseOptions(delimiter=delimiter, quote_char=quote or False, newlines_in_values=True)
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False, check_utf8=not checked
    )
    try:
        return csv.read_csv(pyarrow.BufferReader(pyarrow.py_buffer(view)), read, parse, convert)
    except pyarrow.ArrowInvalid:
        return None
