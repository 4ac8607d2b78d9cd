"""Lines of text as passages: a whole file, its sections, paragraphs or lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from attrs import frozen

from slm.plugin import Batch, Reject, SlmError

HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
FENCE = re.compile(r" {0,3}(```+|~~~+)")
LARGEST = 256 << 20
"""Characters a passage may have: no model reads more, and Arrow's text columns end at 2 GB."""


ROWS, SIZE = 10_000, 8 << 20
"""Rows and characters of a batch."""


@frozen
class Passage:
    """A piece of text, the line it begins at, what stands over it (a section's heading, else the file's name), and the
    page it begins on, where there are pages."""

    line: int
    text: str
    title: str = ""
    page: int | None = None


def cut(lines: Iterable[str], per: str, address: str) -> Iterator[Passage]:
    """The passages of a file's lines; those without a visible character are left out."""
    name = PurePosixPath(address).stem
    if per == "line":
        yield from (Passage(n, line, name) for n, line in enumerate(lines, start=1) if line.strip())
        return
    starts = {"file": _never, "section": _headings, "paragraph": _gaps}[per]
    held: list[str] = []
    first, size, title = 1, 0, name
    for n, (line, heading) in enumerate(starts(lines), start=1):
        if heading is not None:
            yield from _passage(held, first, title)
            held, first, size, title = [], n, 0, heading or name
        held.append(line)
        size += len(line) + 1
        if size > LARGEST:
            raise SlmError(f"{address}:{first}: a {per} of over {LARGEST >> 20} MB; set per = 'paragraph' or 'line'")
    yield from _passage(held, first, title)


def _passage(lines: list[str], first: int, title: str) -> Iterator[Passage]:
    """The lines without blank ones around them, or nothing."""
    full = [n for n, line in enumerate(lines) if line.strip()]
    if full:
        yield Passage(first + full[0], "\n".join(lines[full[0] : full[-1] + 1]).rstrip(), title)


def _never(lines: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    return ((line, None) for line in lines)


def _gaps(lines: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """A paragraph begins at the first line behind a blank one."""
    blank = False
    for line in lines:
        full = bool(line.strip())
        yield line, "" if full and blank else None
        blank = not full


def _headings(lines: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """A section begins at a markdown heading that stands outside of code."""
    fence = ""
    for line in lines:
        mark = FENCE.match(line)
        if mark and (not fence or (mark[1].startswith(fence) and line.strip() == mark[1])):
            fence = "" if fence else mark[1]
        found = None if fence or mark else HEADING.match(line)
        yield line, found[2] if found else None


def to_batches(
    passages: Iterable[tuple[str, Passage]], rejected: list[Reject], *, paged: bool = False
) -> Iterator[Batch]:
    """Batches of passages, each with its file's address, bounded in rows and characters; a batch is of one file.

    What is in `rejected` by then goes with each batch. If `paged`, a row has its page and path, and a passage on a
    page is known by that, not by its line.
    """
    import pyarrow

    rows: list[Passage] = []
    address, size = "", 0
    text = pyarrow.string()

    def batch() -> Batch:
        columns = {"title": [row.title for row in rows], "text": [row.text for row in rows]}
        table = pyarrow.table({name: pyarrow.array(values, text) for name, values in columns.items()})
        if paged:
            table = table.append_column("page", pyarrow.array([row.page for row in rows], pyarrow.int32()))
            table = table.append_column("path", pyarrow.array([address] * len(rows), text))
        numbers = [row.page if paged and row.page else row.line for row in rows]
        made = Batch(table, address, numbers, tuple(rejected))
        rejected.clear()
        return made

    for file, passage in passages:
        if rows and (file != address or len(rows) >= ROWS or size >= SIZE):
            yield batch()
            rows, size = [], 0
        address, size = file, size + len(passage.text)
        rows.append(passage)
    if rows or rejected:
        yield batch()
