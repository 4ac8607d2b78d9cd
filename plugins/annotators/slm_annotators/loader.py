"""Annotated records of a Label Studio project as a source: `label-studio://faq-review`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from urllib.parse import unquote

from attrs import field, frozen

from slm.plugin import Batch, Bid, Hardware, Job, Rank, SlmError, Source, Work, hookimpl
from slm_annotation.mirror import Mirror
from slm_annotation.rows import rows
from slm_annotation.syncing import pull
from slm_annotation.values import Project

from .options import Reaching

SCHEME = "label-studio://"
ROWS = 2_000
JSON = {b"slm": b"json"}


@frozen
class LabelStudioLoader(Reaching):
    """Reads what people decided in a project of Label Studio, with who said it, when."""

    claims: ClassVar[tuple[str, ...]] = (SCHEME,)

    resolve: str = field(
        default="majority", metadata={"help": "What counts of several answers: latest, majority, all, or one's e-mail."}
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "reads annotated records")

    def state(self, source: Source) -> str | None:
        """The project's figures: as long as they stay, nothing was annotated."""
        with (
            TemporaryDirectory() as folder,
            self._opened(source, Work(Path(folder), Path(folder), Hardware())) as found,
        ):
            counts, recent = found.counts(), found.recent(None)
            return f"{found.place} {counts.entries} {counts.answers} {recent.newest}"

    @hookimpl
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        with self._opened(source, work) as project:
            mirror = Mirror(work.checkpoints / "mirror.sqlite3")
            try:
                pull(project, mirror, work.progress)
                made = rows(mirror.entries(), project.shape, self.resolve)
                while batch := list(islice(made, ROWS)):
                    yield Batch(to_table(batch), f"{SCHEME}{_title(source)}", [row["task"] for row in batch])
            finally:
                mirror.close()

    @contextmanager
    def _opened(self, source: Source, work: Work) -> Iterator[Project]:
        """The project, which has to be there."""
        project = self.opened(_title(source), "", (), work)
        try:
            yield project
        finally:
            project.close()


def _title(source: Source) -> str:
    """The project's title or id that the address names."""
    title = unquote(source.address.removeprefix(SCHEME).strip("/"))
    if not title:
        raise SlmError(f"{source.shown}: name the project: {SCHEME}TITLE, or {SCHEME}ID")
    return title


def to_table(batch: list[dict[str, Any]]) -> Any:
    """Rows as a table; what is nested, as JSON text marked as such."""
    import pyarrow

    columns, fields = [], []
    for name in dict.fromkeys(name for row in batch for name in row):
        values = [row.get(name) for row in batch]
        nested = any(isinstance(value, list | dict) for value in values)
        if nested:
            values = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
        array = pyarrow.array(values)
        columns.append(array)
        fields.append(pyarrow.field(name, array.type, metadata=JSON if nested else None))
    return pyarrow.Table.from_arrays(columns, schema=pyarrow.schema(fields))
