"""Splits made anew, and rows put aside with the reason: both on disk, in the stage's scratch folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from slm.plugin import Work
from slm_data.dataset import write_tables

from .content import tables

if TYPE_CHECKING:
    import datasets


def written(rows: Iterable[Any], schema: Any, name: str, work: Work) -> datasets.Dataset:
    """A split of these Arrow tables, written as `name` into the scratch folder and mapped from there."""
    import datasets

    work.checkpoints.mkdir(parents=True, exist_ok=True)
    file = work.checkpoints / f"{name}.arrow"
    write_tables(rows, schema, file)
    return datasets.Dataset.from_file(str(file))


def put_aside(split: datasets.Dataset, rows: Any, whys: Sequence[str], name: str, work: Work) -> datasets.Dataset:
    """The given rows (their numbers) of a split, each with its `why`."""
    import numpy as np
    import pyarrow

    order = np.argsort(np.asarray(rows, np.int64), kind="stable")
    rows, whys = np.asarray(rows, np.int64)[order], [whys[n] for n in order.tolist()]
    why = pyarrow.field("why", pyarrow.string())

    def with_reasons() -> Iterator[Any]:
        at = 0
        for table in picked(split, rows):
            yield table.append_column(why, pyarrow.array(whys[at : at + len(table)], pyarrow.string()))
            at += len(table)

    return written(with_reasons(), split.features.arrow_schema.append(why), f"dropped-{name}", work)


def without(split: datasets.Dataset, rows: Any, name: str, work: Work) -> datasets.Dataset:
    """The split without the given rows."""
    import numpy as np

    keep = np.ones(len(split), bool)
    keep[rows] = False
    return taken(split, np.flatnonzero(keep), name, work)


def taken(split: datasets.Dataset, rows: Any, name: str, work: Work) -> datasets.Dataset:
    """The given rows (their numbers, rising) of a split, as a split of its own.

    They are written one after the other: a view of scattered rows is ten times as slow to read.
    """
    if len(rows) == len(split):
        return split
    return written(picked(split, rows), split.features.arrow_schema, name, work)


def picked(split: datasets.Dataset, rows: Any) -> Iterator[Any]:
    """The given rows (their numbers, rising) as Arrow tables, read from the split's beginning to its end."""
    import numpy as np
    import pyarrow

    numbers, at = np.asarray(rows), 0
    for table in tables(split):
        begin, end = np.searchsorted(numbers, (at, at + len(table)))
        if begin < end:
            yield table.take(pyarrow.array(numbers[begin:end] - at)).combine_chunks()
        at += len(table)
