"""Splits of records on disk: one Arrow file a split, memory-mapped, never all in RAM."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from slm.errors import SlmError

if TYPE_CHECKING:
    import datasets


def read_splits(*folders: Path) -> dict[str, datasets.Dataset]:
    """Every split found in the folders, memory-mapped; splits of one name are joined in the folders' order."""
    import datasets

    found: dict[str, list[datasets.Dataset]] = {}
    for folder in folders:
        for file in sorted(folder.glob("*.arrow")):
            found.setdefault(file.stem, []).append(datasets.Dataset.from_file(str(file)))
    try:
        return {
            name: parts[0] if len(parts) == 1 else datasets.concatenate_datasets(parts) for name, parts in found.items()
        }
    except ValueError as error:
        raise SlmError(f"load: the sources' records do not fit together: {error}") from None


def write_splits(splits: Mapping[str, datasets.Dataset], folder: Path) -> dict[str, int]:
    """Write each split as `<name>.arrow`; give the number of rows of each."""
    for name, split in splits.items():
        write_tables(
            (batch.combine_chunks() for batch in split.with_format("arrow").iter(batch_size=10_000)),
            split.features.arrow_schema,
            folder / f"{name}.arrow",
        )
    return {name: len(split) for name, split in splits.items()}


def write_tables(tables: Iterable[object], schema: object, file: Path) -> None:
    """Write Arrow tables of one schema as a stream file that `datasets` can map."""
    import pyarrow

    with pyarrow.OSFile(str(file), "wb") as sink, pyarrow.ipc.new_stream(sink, schema) as writer:
        for table in tables:
            writer.write_table(table)
