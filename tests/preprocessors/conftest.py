"""Fixtures for preprocessors: splits of records, and a place to work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from slm.plugin import Hardware, Work
from slm_data.dataset import read_splits, write_tables
from slm_data.rows import map_rows, schema_of


@pytest.fixture
def work(tmp_path: Path) -> Work:
    (tmp_path / "result").mkdir()
    return Work(tmp_path / "result", tmp_path / "checkpoints", Hardware(), seed=7)


@pytest.fixture
def split_of(tmp_path: Path) -> Callable[..., datasets.Dataset]:
    """A split of a task's records, from rows with the usual columns."""
    from pyarrow import table

    from slm_data.columns import choose_columns

    def of(rows: list[dict[str, Any]], task: str, name: str = "train") -> datasets.Dataset:
        columns = table({column: [row[column] for row in rows] for column in rows[0]})
        mapping = choose_columns(task, {}, columns.column_names, name)
        records, _ = map_rows(columns, range(1, len(rows) + 1), name, task, mapping)
        folder = tmp_path / name
        folder.mkdir()
        write_tables([records], schema_of(task), folder / f"{name}.arrow")
        return read_splits(folder)[name]

    return of
