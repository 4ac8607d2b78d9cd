"""JSON Lines: one object a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from attrs import field, frozen

from slm.plugin import Batch, Bid, Hardware, Job, Rank, SlmError, Source, Work, hookimpl

from .decoding import read_utf8
from .files import File, claims_of, file_state, find_files
from .objects import read_lines, read_quick

KINDS = (".jsonl", ".ndjson")


@frozen
class Jsonl:
    """Reads JSON Lines, one object a line; lines may differ in their keys."""

    claims: ClassVar[tuple[str, ...]] = claims_of(*KINDS)

    encoding: str = field(
        default="", metadata={"help": "The file's encoding; UTF-8 or what its first bytes say if empty."}
    )

    private: bool = field(default=False, metadata={"help": "Whether an address in a private network may be fetched."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "reads JSON Lines")

    def state(self, source: Source) -> str | None:
        return file_state(source, private=self.private)

    @hookimpl
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        for file in find_files(source, work, kinds=KINDS, private=self.private):
            yield from self._read(file, work)

    def _read(self, file: File, work: Work) -> Iterator[Batch]:
        line, started = 1, False
        for block in read_utf8(file, self.encoding, work.warn, guess=False):
            if not started and block.strip():
                started = True
                _refuse_list(block, file.address)
            batch = read_quick(block, file.address, line) or read_lines(block, file.address, line)
            if batch.rejected or len(batch.numbers):
                yield batch
            line += block.count(b"\n")
        if not started:
            raise SlmError(f"{file.address}: empty file")


def _refuse_list(block: bytes, address: str) -> None:
    first = block.lstrip()
    if first[:1] == b"[" and (first[1:].lstrip(b" \t")[:1] in (b"\n", b"\r") or first.rstrip()[-1:] == b"]"):
        raise SlmError(f"{address}: is one JSON list, not an object a line; write each object on a line of its own")
    if first.splitlines()[0].strip() == b"{":
        raise SlmError(f"{address}: holds JSON over several lines, not an object a line; write each object on one line")
