"""Fixtures for loaders: a place to work, and a source read to its end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slm.plugin import Hardware, Reject, Source, Work


class Read:
    """All that a loader gave: rows as dicts, their line numbers and addresses, what it rejected and warned of."""

    def __init__(self, loader: Any, address: str, folder: Path) -> None:
        self.warnings: list[str] = []
        work = Work(folder, folder, Hardware(), emit=self._heard)
        self.batches = list(loader.load(Source(address, folder), work))
        self.rows: list[dict[str, Any]] = [row for batch in self.batches for row in batch.rows.to_pylist()]
        self.numbers: list[int] = [n for batch in self.batches for n in batch.numbers]
        self.addresses: list[str] = [batch.address for batch in self.batches for _ in batch.numbers]
        self.rejected: list[Reject] = [reject for batch in self.batches for reject in batch.rejected]

    def _heard(self, kind: str, data: Any) -> None:
        if kind == "warning":
            self.warnings.append(data["text"])


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Read]:
    """Read an address with a loader; relative addresses are in `folder`, which is `tmp_path` unless given."""
    return lambda loader, address, folder=tmp_path: Read(loader, address, folder)
