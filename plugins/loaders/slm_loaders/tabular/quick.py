"""Delimited text read fast: pyarrow on blocks whose every quote and line end was first seen to be in its place.

A block that is not clean to the last byte is refused (None), and left to the careful reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen

NEWLINE, RETURN = 10, 13


@frozen(eq=False)
class Quick:
    """A block's rows; each one's line within the block (the first is 0); bytes and lines that were used."""

    table: Any
    lines: Any
    used: int
    breaks: int


def read_block(block: bytes, delimiter: str, quote: str, names: Sequence[str], *, final: bool) -> Quick | None:
    """The whole records of a block that begins where a record begins; the rest of it is a record that it cuts."""
    import numpy as np

    if not delimiter.isascii() or not quote.isascii():
        return None
    data = np.frombuffer(block, np.uint8)
    breaks = np.flatnonzero(data == NEWLINE)
    if b"\r" in block and np.count_nonzero(data == RETURN) != np.count_nonzero(data[breaks[breaks > 0] - 1] == RETURN):
        return None
    quotes = np.flatnonzero(data == ord(quote)) if quote else breaks[:0]
    ends = _outside(breaks, quotes)
    if final and len(data) and data[-1] != NEWLINE and len(quotes) % 2 == 0:
        ends = np.append(ends, len(data))
    if not ends.size:
        return None
    used = min(int(ends[-1]) + 1, len(data))
    if final and used < len(data):
        return None
    if quotes.size and not _quotes_fit(data[:used], quotes[quotes < used], ord(delimiter)):
        return None
    starts = np.concatenate([[0], ends[:-1] + 1])
    blank = (ends == starts) | ((ends == starts + 1) & (data[np.minimum(starts, len(data) - 1)] == RETURN))
    starts = starts[~blank]
    table = _parsed(memoryview(block)[:used], delimiter, quote, names)
    if table is None or table.num_rows != len(starts):
        return None
    each = ends is breaks and not blank.any()
    lines = np.arange(len(starts)) if each else np.searchsorted(breaks, starts)
    return Quick(table, lines, used, int(np.searchsorted(breaks, used)))


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


def _parsed(view: memoryview, delimiter: str, quote: str, names: Sequence[str]) -> Any:
    import pyarrow
    from pyarrow import csv

    read = csv.ReadOptions(use_threads=False, block_size=len(view) + 1, column_names=list(names))
    parse = csv.ParseOptions(delimiter=delimiter, quote_char=quote or False, newlines_in_values=True)
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False, check_utf8=True
    )
    try:
        return csv.read_csv(pyarrow.BufferReader(pyarrow.py_buffer(view)), read, parse, convert)
    except pyarrow.ArrowInvalid:
        return None
