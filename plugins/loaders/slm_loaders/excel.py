"""Spreadsheets: Excel (.xlsx, .xlsm, .xlsb, .xls) and OpenDocument (.ods)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from statistics import median
from typing import Any, ClassVar

from attrs import field, frozen
from attrs.validators import ge

from slm.plugin import Batch, Bid, Hardware, Job, Rank, Reject, SlmError, Source, Work, hookimpl

from .opening.files import File, file_state, find_files
from .opening.isolated import Child
from .tabular.dialect import find_header, header_names, refuse_twins

KINDS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
HEAD = 100
"""Rows with anything in them among which the header is looked for."""

SECONDS = 600

Row = tuple[int, list[str | None]]


@frozen
class Excel:
    """Reads a sheet of an Excel or OpenDocument workbook; the header is found, below titles and empty rows too."""

    claims: ClassVar[tuple[str, ...]] = (
        *KINDS,
        *(f"{scheme}://*{kind}" for scheme in ("http", "https") for kind in KINDS),
    )

    sheet: str | int = field(
        default="", metadata={"help": "The sheet, by name or number (1 is the first); the first with rows if empty."}
    )
    header: bool | None = field(
        default=None, metadata={"help": "Whether the first row names the columns; found if not stated."}
    )
    names: tuple[str, ...] = field(
        default=(), metadata={"help": "Names for the columns, instead of those in the header."}
    )
    skip: int = field(default=0, validator=ge(0), metadata={"help": "Rows to leave out before the header."})
    private: bool = field(default=False, metadata={"help": "Whether an address in a private network may be fetched."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "reads spreadsheets")

    def state(self, source: Source) -> str | None:
        return file_state(source, private=self.private)

    @hookimpl
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        with Child(SECONDS) as child:
            for file in find_files(source, work, private=self.private):
                yield from self._read(file, child, work)

    def _read(self, file: File, child: Child, work: Work) -> Iterator[Batch]:
        answers = child.run("tabular.sheets.read_sheet", file.address, path=str(file.path.absolute()), sheet=self.sheet)
        about = next(answers)
        if len(about["full"]) > 1:
            others = ", ".join(f"'{name}'" for name in about["full"][1:])
            work.warn(
                f"{file.address}: the sheet '{about['sheet']}' is read, and not {others} (say which: sheet = ...)"
            )
        rows = _numbered(answers, self.skip)
        head = list(islice(rows, HEAD))
        if not head:
            raise SlmError(f"{file.address}: the sheet '{about['sheet']}' holds no row")
        layout = self._layout(head, about["merged"], file.address, work)
        yield from _batches(chain(head, rows), layout, file.address)

    def _layout(self, head: Sequence[Row], merged: Sequence[Sequence[int]], address: str, work: Work) -> _Layout:
        """Which row is the header, and what the columns are called."""
        at = 0 if self.skip or self.header is False else _header_at(head)
        number, last = head[at][0], _header_end(head[at], merged)
        cells = _joined_header([row for row in head[at:] if row[0] <= last], merged)
        below = _texts([row for row in head[at:] if row[0] > last])
        header, why = (self.header, "") if self.header is not None else find_header([cells, *below])
        if at:
            above = "row 1" if number == 2 else f"rows 1 to {number - 1}"
            work.warn(f"{address}: left out above the header: {above}")
        if not header and self.header is None:
            work.warn(f"{address}: row {number} is read as data ({why}); columns are column_1, column_2, ...")
        called = self.names or header_names(cells if header else [""] * len(cells))
        if len(called) != len(cells):
            raise SlmError(f"{address}:{number}: {len(cells)} columns, but names has {len(called)}")
        refuse_twins(called, f"{address}:{number}")
        return _Layout(called, last + 1 if header else number, head[at][1] if header else None)


@frozen
class _Layout:
    """The columns' names, the row that data begins in, and the header's cells."""

    names: tuple[str, ...]
    first: int
    header: list[str | None] | None


def _numbered(chunks: Iterator[Any], skip: int) -> Iterator[Row]:
    """The rows with anything in them behind the first `skip`, with their numbers in the sheet."""
    for number, cells in enumerate(chain.from_iterable(chunks), start=1):
        if number > skip and any(cell is not None for cell in cells):
            yield number, cells


def _texts(rows: Sequence[Row]) -> list[list[str]]:
    return [[cell or "" for cell in cells] for _, cells in rows]


def _header_at(head: Sequence[Row]) -> int:
    """The first row that is filled like most rows: what stands above it is a title."""
    filled = [sum(cell is not None for cell in cells) for _, cells in head]
    usual = median(filled)
    return next((n for n, count in enumerate(filled) if count >= max(0.6 * usual, min(2, usual))), 0)


def _header_end(row: Row, merged: Sequence[Sequence[int]]) -> int:
    """The last row of a header: cells merged over several rows, if most are, make it that high."""
    number, cells = row
    spans = [each for each in merged if each[0] == number - 1]
    filled = sum(cell is not None for cell in cells)
    return max(last for _, _, last, _ in spans) + 1 if len(spans) > filled / 2 else number


def _joined_header(rows: Sequence[Row], merged: Sequence[Sequence[int]]) -> list[str]:
    """The header's cells, each in one line; of a header of several rows, what stands above each other in one."""
    found: list[str] = []
    spans = merged if len(rows) > 1 else ()
    for column in range(len(rows[0][1])):
        parts: dict[str, None] = {}
        for number, cells in rows:
            start = next((b for a, b, c, d in spans if a <= number - 1 <= c and b <= column <= d), column)
            parts[" ".join((cells[column] or cells[max(start, 0)] or "").split())] = None
        found.append(" ".join(part for part in parts if part))
    return found


def _batches(rows: Iterator[Row], layout: _Layout, address: str) -> Iterator[Batch]:
    import pyarrow

    rows = (row for row in rows if row[0] >= layout.first)
    while some := list(islice(rows, 5_000)):
        repeated = [number for number, cells in some if cells == layout.header and len(cells) > 1]
        kept = [(number, cells) for number, cells in some if number not in repeated]
        columns = zip(*(cells for _, cells in kept), strict=True) if kept else [[] for _ in layout.names]
        arrays = [pyarrow.array(column, pyarrow.string()) for column in columns]
        rejected = tuple(Reject(f"{address}:{number}", "the header once more") for number in repeated)
        table = pyarrow.table(arrays, names=list(layout.names))
        yield Batch(table, address, [number for number, _ in kept], rejected)
