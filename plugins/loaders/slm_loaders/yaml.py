"""YAML: records as lists, by key or in documents of their own; and conversations of the ChatterBot corpus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from attrs import evolve, field, frozen

from slm.plugin import Batch, Bid, Hardware, Job, Rank, SlmError, Source, Work, hookimpl

from .nested.dialogues import is_corpus, read_corpus
from .nested.nodes import read_documents
from .nested.outline import Choice, choose_records, entry_of, table_rows
from .nested.paths import EACH, Found, Walk, called, parse_path, show_path, walk
from .nested.records import Maker
from .opening.files import File, claims_of, file_state, find_files
from .text import read_lines

KINDS = (".yaml", ".yml")
LARGEST = 64 << 20
"""Characters of a file: YAML must be read whole, at some hundred bytes for each value."""


def _path(instance: Any, attribute: Any, value: str) -> None:
    parse_path(value)


@frozen
class Yaml:
    """Reads YAML: lists of records, records by key, a record a document, and conversations in ChatterBot's form."""

    claims: ClassVar[tuple[str, ...]] = claims_of(*KINDS)

    records: str = field(
        default="",
        validator=_path,
        metadata={"help": "Where the records are, such as data[] or *.questions[]; found if empty."},
    )
    names: tuple[str, ...] = field(default=(), metadata={"help": "Names for the values of records that are lists."})
    encoding: str = field(default="", metadata={"help": "The file's encoding, such as cp1252; found if empty."})
    private: bool = field(default=False, metadata={"help": "Whether an address in a private network may be fetched."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "reads YAML")

    def state(self, source: Source) -> str | None:
        return file_state(source, private=self.private)

    @hookimpl
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        for file in find_files(source, work, kinds=KINDS, private=self.private):
            maker = Maker(file.address, work.warn, self.names)
            for found in self._found(file, work, maker):
                maker.add(found, number=found.line)
                if maker.full:
                    yield maker.batch()
            if maker.some:
                yield maker.batch()
            if not maker.number:
                place = f" in {self.records}" if self.records else ""
                raise SlmError(f"{file.address}: no records{place}")

    def _found(self, file: File, work: Work, maker: Maker) -> Iterator[Found]:
        documents = list(read_documents(_whole(file, self.encoding, work), file.address))
        steps = parse_path(self.records)
        for value, line in documents:
            if value is not None and not isinstance(value, list | dict):
                raise SlmError(f"{file.address}:{line}: holds {called(value)}, no records")
            choice = Choice(steps) if steps else _chosen(value, file.address, alone=len(documents) == 1)
            if choice.note:
                work.warn(f"{file.address}: {choice.note}")
            for found in _values(value, choice, maker):
                yield found if found.line else evolve(found, line=line)


def _whole(file: File, encoding: str, work: Work) -> str:
    lines, size = [], 0
    for line in read_lines(file, encoding, work):
        lines.append(line)
        size += len(line) + 1
        if size > LARGEST:
            raise SlmError(f"{file.address}: YAML of over {LARGEST >> 20} million characters; write it as JSON Lines")
    if not size or not any(line.strip() for line in lines):
        raise SlmError(f"{file.address}: empty file")
    return "\n".join([*lines, ""])


def _chosen(value: Any, address: str, *, alone: bool) -> Choice:
    """Where a document's records are; of several documents, each that is an object is a record."""
    if isinstance(value, list):
        return Choice((EACH,))
    if not isinstance(value, dict) or not value or not alone:
        return Choice()
    if is_corpus(value):
        return Choice((), "conversations, as question and answer and as messages", table="conversations")
    return choose_records({name: entry_of(each) for name, each in value.items()}, len(value), address)


def _values(value: Any, choice: Choice, maker: Maker) -> Iterator[Found]:
    if value is None:
        return
    if choice.table == "conversations":
        yield from read_corpus(value)
        return
    found = walk(value, choice.steps, Walk())
    if choice.table:
        rows, maker.names = table_rows(choice.table, next(found).value)
        yield from (Found(row, {}) for row in rows)
    elif choice.steps == (EACH,) and not maker.names:
        yield from maker.headed(found)
    else:
        every = list(found)
        if len(every) == 1 and every[0].why:
            raise SlmError(f"{maker.address}: records = '{show_path(choice.steps)}': {every[0].why}")
        yield from every
