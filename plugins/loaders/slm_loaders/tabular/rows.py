"""Delimited text read with care, row by row: the exact reader for whatever the quick one will not vouch for."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from attrs import field, frozen

LIMIT = 32 << 20
"""Characters a record may have: what is longer is a quote that nobody closed."""

LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")


@frozen
class Row:
    """A record: its cells, or None and why it can't be read. `start` and `end` are offsets in the text, `line` counts
    from 1; a blank line has no cells."""

    line: int
    start: int
    end: int
    cells: tuple[str, ...] | None
    why: str = ""


@frozen(eq=False)
class _Feed:
    """The lines of a text, to be taken again from where a broken record began."""

    lines: list[str]
    at: list[int] = field(factory=lambda: [0])

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.at[0] >= len(self.lines):
            raise StopIteration
        self.at[0] += 1
        return self.lines[self.at[0] - 1]


def read_rows(text: str, delimiter: str, quote: str, *, final: bool, spaced: bool = False) -> Iterator[Row]:
    """The records of a text. Unless it is the `final` one, a record that its end cuts is left out.

    A cell may hold line breaks in quotes. Where the quotes of a line don't match, it is read leniently (a quote ends
    a cell only before a delimiter). Where those of several lines don't, all of them are given up but the last, which
    most likely begins a record: to take them for records would make rows of what was inside a cell.
    """
    csv.field_size_limit(LIMIT)
    feed = _Feed(LINES.findall(text))
    if quote:
        reader = csv.reader(feed, delimiter=delimiter, quotechar=quote, strict=True, skipinitialspace=spaced)
    else:
        reader = csv.reader(feed, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)
    offset = 0
    while (at := feed.at[0]) < len(feed.lines):
        try:
            cells = tuple(next(reader))
        except csv.Error:
            ended = feed.at[0] == len(feed.lines)
            if ended and not final and len(text) - offset < LIMIT:
                return
            for line in _broken(feed, at, offset, delimiter, quote):
                yield line
                offset = line.end
            continue
        end = offset + sum(map(len, feed.lines[at : feed.at[0]]))
        yield Row(at + 1, offset, end, cells)
        offset = end


def _broken(feed: _Feed, at: int, offset: int, delimiter: str, quote: str) -> Iterator[Row]:
    """The lines from `at` to where the reader stopped, which don't make a record together."""
    taken = feed.lines[at : feed.at[0]]
    if len(taken) == 1:
        cells = lenient(taken[0], delimiter, quote)
        yield Row(at + 1, offset, offset + len(taken[0]), cells, "" if cells else "its quotes don't match")
        return
    last = feed.at[0] if feed.at[0] == len(feed.lines) and _quiet(taken[-1], quote) else feed.at[0] - 1
    feed.at[0] = last
    for n, line in enumerate(feed.lines[at:last]):
        why = "a quote is opened here and not closed" if n == 0 else "it follows a quote that is not closed"
        yield Row(at + 1 + n, offset, offset + len(line), None, why)
        offset += len(line)


def _quiet(line: str, quote: str) -> bool:
    return quote not in line


def lenient(line: str, delimiter: str, quote: str) -> tuple[str, ...] | None:
    """The cells of one line with stray quotes: a quoted cell ends at the first quote before a delimiter or the end.

    None where a quoted cell has no such end.
    """
    q, d, line = re.escape(quote), re.escape(delimiter), line.rstrip("\r\n")
    stray = f"{q}(?!{q}|{d}|$)"
    cell = re.compile(f"{q}((?:[^{q}]|{q}{q}|{stray})*+){q}(?={d}|$)|((?!{q})[^{d}]*)")
    cells, at = [], 0
    while found := cell.match(line, at):
        cells.append(found[2] if found[1] is None else found[1].replace(quote * 2, quote))
        at = found.end() + 1
        if found.end() == len(line):
            return tuple(cells)
        if line[found.end()] != delimiter:
            return None
    return None
