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
from attrs.validators import gt

from slm.plugin import Batch, Bid, Hardware, Job, Rank, SlmError, Source, Work, hookimpl
from slm_annotation.mirror import Mirror
from slm_annotation.rows import rows
from slm_annotation.syncing import pull
from slm_annotation.values import Project

from .label_studio import HERE, LabelStudio

SCHEME = "label-studio://"
ROWS = 2_000
JSON = {b"slm": b"json"}


@frozen
class LabelStudioLoader:
    """Reads what people decided in a project of Label Studio, with who said it, when."""

    claims: ClassVar[tuple[str, ...]] = (SCHEME,)

    url: str = field(
        default="", metadata={"help": f"Where Label Studio is; if empty, LABEL_STUDIO_URL says it, else it is {HERE}."}
    )
    key: str = field(
        default="",
        repr=False,
        metadata={
            "secret": True,
            "help": "A personal access token or legacy token; if empty, LABEL_STUDIO_API_KEY says it.",
        },
    )
    resolve: str = field(
        default="majority", metadata={"help": "What counts of several answers: latest, majority, all, or one's e-mail."}
    )
    map: dict[str, str] = field(
        factory=dict,
        hash=False,
        metadata={"help": "Which control or data key of a label config of your own is which field or value."},
    )
    verify: bool | str = field(
        default=True, metadata={"help": "Check the server's certificate; or the PEM file of the authority to trust."}
    )
    timeout: float = field(default=120.0, validator=gt(0), metadata={"help": "Seconds to wait for an answer."})

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
        try:
            place = LabelStudio(self.url, self.key, _title(source), self.map, self.verify, self.timeout)
        except ValueError as error:
            raise SlmError(f"{source.shown}: {error}") from None
        project = place.annotate(shape="", labels=(), work=work)
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
