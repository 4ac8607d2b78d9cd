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
    import pyarrow

    why = pyarrow.field("why", pyarrow.string())

    def with_reasons() -> Iterator[Any]:
        at = 0
        for table in tables(split.select(rows)):
            yield table.append_column(why, pyarrow.array(whys[at : at + len(table)], pyarrow.string()))
            at += len(table)

    return written(with_reasons(), split.features.arrow_schema.append(why), f"dropped-{name}", work)
