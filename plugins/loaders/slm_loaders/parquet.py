"""Columnar files: Parquet, Arrow and Feather, read batch by batch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, ClassVar

from attrs import field, frozen

from slm.plugin import Batch, Bid, Hardware, Job, Rank, Reject, SlmError, Source, Work, hookimpl

from .opening.files import File, file_state, find_files
from .tabular.arrow import plain_table, sound_rows

ROWS, SIZE = 10_000, 32 << 20
"""Rows and bytes of a batch."""

LARGEST = 512 << 20
"""Bytes a row may have, on average over its group."""

KINDS = (".parquet", ".pq", ".arrow", ".arrows", ".feather", ".ipc")
PARTITION = re.compile(r"([A-Za-z_]\w*)=([^/]*)")


@frozen
class Parquet:
    """Reads Parquet, Arrow and Feather files, or all that a pattern names; `key=value` folders become columns."""

    claims: ClassVar[tuple[str, ...]] = (
        *KINDS,
        *(f"{scheme}://*{kind}" for scheme in ("http", "https") for kind in KINDS),
    )

    private: bool = field(default=False, metadata={"help": "Whether an address in a private network may be fetched."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "reads Parquet and Arrow")

    def state(self, source: Source) -> str | None:
        return file_state(source, private=self.private)

    @hookimpl
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        for file in find_files(source, work, private=self.private):
            yield from _read(file)


def _read(file: File) -> Iterator[Batch]:
    import pyarrow

    row = 1
    try:
        for table in _tables(file):
            plain = _with_partitions(plain_table(table), file.address)
            good, faults = sound_rows(plain)
            rejected = tuple(Reject(f"{file.address}:{row + n}", why) for n, why in faults.items())
            numbers = [row + n for n in range(len(plain)) if n not in faults]
            if numbers or rejected:
                yield Batch(good, file.address, numbers, rejected)
            row += len(plain)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, ValueError, OverflowError) as error:
        said = str(error).strip().splitlines()
        at = f":{row}" if row > 1 else ""
        raise SlmError(f"{file.address}{at}: {_cause(said[0][:200] if said else type(error).__name__)}") from None


def _cause(said: str) -> str:
    if re.search(r"(?i)not implemented|unsupported|not supported|support for codec|unknown codec", said):
        return f"holds what pyarrow can't read ({said}); write it anew with snappy or zstd, and plain types"
    return f"is broken or cut short ({said}); fetch or write it anew"


def _tables(file: File) -> Iterator[Any]:
    """The file's rows in small tables, whatever of the formats it is."""
    with file.path.open("rb") as opened:
        head = opened.read(8)
    if head.startswith(b"PAR1"):
        yield from _parquet(file)
    elif head.startswith(b"PARE"):
        raise SlmError(f"{file.address}: is encrypted Parquet; write it anew without encryption")
    elif head.startswith(b"FEA1"):
        raise SlmError(f"{file.address}: is Feather of version 1, which is no more read; write it anew as Parquet")
    elif head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        yield from _arrow(file, stream=not head.startswith(b"ARROW1"))
    else:
        what = "is empty" if not head else "is neither Parquet nor Arrow (it doesn't begin as one)"
        raise SlmError(f"{file.address}: {what}")


def _parquet(file: File) -> Iterator[Any]:
    """Row groups in batches of some megabytes, columns through a small buffer: a group may be of any size."""
    import pyarrow
    from pyarrow import parquet

    unit = "us"  # old Spark files have years beyond what nanoseconds can count
    options = {"buffer_size": 1 << 20, "pre_buffer": False, "coerce_int96_timestamp_unit": unit}
    with parquet.ParquetFile(file.path, **options) as opened:
        for n in range(opened.num_row_groups):
            group = opened.metadata.row_group(n)
            if group.total_byte_size > LARGEST * max(group.num_rows, 1):
                raise SlmError(f"{file.address}: has rows of over {LARGEST >> 20} MB; leave its largest columns out")
            rows = SIZE * max(group.num_rows, 1) // max(group.total_byte_size, 1)
            for batch in opened.iter_batches(max(1, min(ROWS, rows)), row_groups=[n], use_threads=False):
                yield pyarrow.Table.from_batches([batch])


def _arrow(file: File, *, stream: bool) -> Iterator[Any]:
    import pyarrow

    with pyarrow.memory_map(str(file.path)) as source:
        if stream:
            batches = iter(pyarrow.ipc.open_stream(source))
        else:
            opened = pyarrow.ipc.open_file(source)
            batches = (opened.get_batch(n) for n in range(opened.num_record_batches))
        for batch in batches:
            rows = max(1, min(ROWS, SIZE * max(len(batch), 1) // max(batch.nbytes, 1)))
            for at in range(0, len(batch), rows):
                yield pyarrow.Table.from_batches([batch.slice(at, rows)])


def _with_partitions(table: Any, address: str) -> Any:
    """The table with a column for each `key=value` folder above the file."""
    import pyarrow

    for part in PurePosixPath(address).parts[:-1]:
        found = PARTITION.fullmatch(part)
        if found and found[1] not in table.column_names:
            values = pyarrow.array([None if found[2] == "__HIVE_DEFAULT_PARTITION__" else found[2]] * len(table))
            table = table.append_column(found[1], values.cast(pyarrow.string()))
    return table
