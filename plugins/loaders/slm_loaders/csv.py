"""Tables of delimited text: CSV, TSV and their relatives, as spreadsheets and databases write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from attrs import field, frozen
from attrs.validators import and_, ge, instance_of, max_len, optional

from slm.plugin import Batch, Bid, Hardware, Job, Rank, Reject, Source, Work, hookimpl

from .opening.decoding import mend, read_utf8
from .opening.files import File, claims_of, file_state, find_files
from .tabular.dialect import Layout, find_layout, plain_quotes
from .tabular.quick import read_block
from .tabular.rows import Row, read_rows

HEAD = 256 << 10

KINDS = (".csv", ".tsv", ".tab")


@frozen
class Csv:
    """Reads CSV, TSV and other delimited text; delimiter, quote, header and encoding are found unless stated."""

    claims: ClassVar[tuple[str, ...]] = (*claims_of(*KINDS), ".zip", "http://*.zip", "https://*.zip")

    delimiter: str = field(
        default="",
        validator=and_(instance_of(str), max_len(1)),
        metadata={"help": "The character between cells; found if empty."},
    )
    quote: str | None = field(
        default=None,
        validator=optional(and_(instance_of(str), max_len(1))),
        metadata={"help": 'The character around cells that hold delimiters; "" for none; found if not stated.'},
    )
    encoding: str = field(default="", metadata={"help": "The file's encoding, such as cp1252; found if empty."})
    header: bool | None = field(
        default=None, metadata={"help": "Whether the first row names the columns; found if not stated."}
    )
    names: tuple[str, ...] = field(
        default=(), metadata={"help": "Names for the columns, instead of those in the header."}
    )
    skip: int = field(default=0, validator=ge(0), metadata={"help": "Lines to leave out before the header."})

    private: bool = field(default=False, metadata={"help": "Whether an address in a private network may be fetched."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "reads delimited text")

    def state(self, source: Source) -> str | None:
        return file_state(source, private=self.private)

    @hookimpl
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        for file in find_files(source, work, kinds=KINDS, private=self.private):
            yield from self._read(file, work)

    def _read(self, file: File, work: Work) -> Iterator[Batch]:
        heard = list[str]()

        def warn(text: str) -> None:
            heard.append(text)
            work.warn(text)

        pieces = read_utf8(file, self.encoding, warn)
        block = next(pieces, b"")
        layout = self._layout(block, file.address)
        for note in layout.notes:
            work.warn(note)
        head = block[:HEAD].decode("utf-8", "surrogateescape")
        block = block[len(head[: layout.start].encode("utf-8", "surrogateescape")) :]
        reader = _Reader(file.address, layout, strict=bool(self.encoding))
        line = layout.line
        for piece in pieces:
            batch, used, breaks = reader.read(block, line, final=False, checked=not (heard or self.encoding))
            if batch is not None:
                yield batch
            block, line = block[used:] + piece, line + breaks
        batch, _, _ = reader.read(block, line, final=True, checked=not (heard or self.encoding))
        if batch is not None:
            yield batch

    def _layout(self, block: bytes, address: str) -> Layout:
        return find_layout(
            block[:HEAD].decode("utf-8", "surrogateescape"),
            address,
            delimiter=self.delimiter,
            quote=self.quote,
            header=self.header,
            names=self.names,
            skip=self.skip,
            final=len(block) <= HEAD,
        )


@frozen
class _Reader:
    """Turns blocks of UTF-8 into batches: fast where a block is clean, with care where it is not."""

    address: str
    layout: Layout
    strict: bool

    def read(self, block: bytes, line: int, *, final: bool, checked: bool) -> tuple[Batch | None, int, int]:
        """The batch of a block that begins at `line`; the bytes that were used, and the line breaks in them. A block
        may be `checked` before: whether it is UTF-8."""
        layout = self.layout
        if layout.escaped:
            text = block.decode("utf-8", "surrogateescape")
            block = plain_quotes(text, layout.quote).encode("utf-8", "surrogateescape")
        if not layout.spaced:
            quick = read_block(block, layout.delimiter, layout.quote, layout.names, final=final, checked=checked)
            if quick is not None and not self._repeats_header(quick.table):
                batch = Batch(quick.table, self.address, quick.lines + line)
                return (batch if quick.table.num_rows else None), quick.used, quick.breaks
        return self._careful(block, line, final=final)

    def _careful(self, block: bytes, line: int, *, final: bool) -> tuple[Batch | None, int, int]:
        import pyarrow

        text = block.decode("utf-8", "surrogateescape")
        good: list[tuple[str, ...]] = []
        numbers: list[int] = []
        rejected: list[Reject] = []
        end = 0
        for row in _rows(text, self.layout, final=final):
            end = row.end
            if row.cells == ():
                continue
            cells, why = self._checked(row)
            if why:
                place = f"{self.address}:{line + row.line - 1}"
                raw = text[row.start : row.end].rstrip("\r\n").encode("utf-8", "surrogateescape")
                rejected.append(Reject(place, why, raw.decode("utf-8", "replace")))
            else:
                good.append(cells)
                numbers.append(line + row.line - 1)
        columns = [pyarrow.array(column, pyarrow.string()) for column in zip(*good, strict=True)]
        columns = columns or [pyarrow.array([], pyarrow.string()) for _ in self.layout.names]
        table = pyarrow.table(columns, names=list(self.layout.names))
        used = text[:end]
        breaks = used.count("\n") + used.count("\r") - used.count("\r\n")
        batch = Batch(table, self.address, numbers, tuple(rejected)) if good or rejected else None
        return batch, len(used.encode("utf-8", "surrogateescape")), breaks

    def _checked(self, row: Row) -> tuple[tuple[str, ...], str]:
        """The row's cells, as many as there are columns; or why it can't be taken."""
        cells, width = row.cells, len(self.layout.names)
        if cells is None:
            return (), row.why
        if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
            cells = cells[:width]
        if len(cells) != width:
            return (), f"{len(cells)} cells where there are {width} columns"
        if width > 1 and self.layout.header and cells == self._heading():
            return (), "the header once more"
        if all(cell.isascii() for cell in cells):
            return cells, ""
        return self._mended(cells)

    def _repeats_header(self, table: Any) -> bool:
        """Whether a row may be the header once more: then each is looked at."""
        from pyarrow import compute

        heading = self._heading() if self.layout.header and table.num_columns > 1 else ()
        return bool(heading) and compute.any(compute.equal(table.column(0), heading[0])).as_py() is True

    def _heading(self) -> tuple[str, ...]:
        return next(_rows(self.layout.header, self.layout, final=True)).cells or ()

    def _mended(self, cells: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
        try:
            "".join(cells).encode("utf-8")
        except UnicodeEncodeError:
            if self.strict:
                return (), "holds bytes that are not UTF-8"
            try:
                return tuple(mend(cell) for cell in cells), ""
            except UnicodeDecodeError as error:
                return (), f"byte 0x{error.object[error.start]:02x} is neither UTF-8 nor cp1252"
        return cells, ""


def _rows(text: str, layout: Layout, *, final: bool) -> Iterator[Row]:
    return read_rows(text, layout.delimiter, layout.quote, final=final, spaced=layout.spaced)
