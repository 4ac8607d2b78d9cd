"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar

from attrs import field, frozen

from slm.plugin import Batch, Bid, Hardware, Job, Rank, SlmError, Source, Work, hookimpl
from slm_data.ahead import ahead

from .nested.objects import NEWLINE, read_lines, read_quick
from .nested.shapes import Shaper
from .opening.decoding import read_utf8
from .opening.files import File, claims_of, file_state, find_files

KINDS = (".jsonl", ".ndjson")


@frozen
class Jsonl:
    """Reads JSON Lines, one object a line; lines may differ in their keys."""

    claims: ClassVar[tuple[str, ...]] = claims_of(*KINDS)

    encoding: str = field(
        default="", metadata={"help": "The file's encoding; UTF-8 or what its first bytes say if empty."}
    )

    no_answer: str = field(
        default="", metadata={"help": "The answer of questions that have none (SQuAD 2); if empty, they have none."}
    )
    private: bool = field(default=False, metadata={"help": "Whether an address in a private network may be fetched."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "reads JSON Lines")

    def state(self, source: Source) -> str | None:
        return file_state(source, private=self.private)

    @hookimpl
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        for file in find_files(source, work, kinds=KINDS, private=self.private):
            if _is_one_value(file, self.encoding):
                from .json import read_json

                work.warn(f"{file.address}: is one JSON value, not an object a line, and is read so")
                yield from read_json(file, work, no_answer=self.no_answer, encoding=self.encoding)
            else:
                yield from read_json_lines(file, self.encoding, work, self.no_answer)


def read_json_lines(file: File, encoding: str, work: Work, no_answer: str = "") -> Iterator[Batch]:
    """The rows of a file with an object a line; SlmError where there is none."""
    shaper = Shaper(file.address, work.warn, no_answer)
    line, started = 1, False
    for block in ahead(read_utf8(file, encoding, work.warn, guess=False)):
        started = started or bool(block.strip())
        batch = read_quick(block, file.address, line) or read_lines(block, file.address, line)
        if batch.rejected or len(batch.numbers):
            rows, numbers = shaper.shape(batch.rows, batch.numbers)
            yield Batch(rows, file.address, numbers, batch.rejected)
        line += count_lines(block)
    if not started:
        raise SlmError(f"{file.address}: empty file")


def count_lines(block: bytes) -> int:
    """The line ends in a block."""
    import numpy as np

    return int(np.count_nonzero(np.frombuffer(block, np.uint8) == NEWLINE))


def _is_one_value(file: File, encoding: str) -> bool:
    """Whether the file is a list, or an object over several lines: its first line is not a value by itself."""
    block = next(read_utf8(file, encoding, lambda _: None, guess=False, lines=False), b"").lstrip()
    first, _, rest = block.partition(b"\n")
    try:
        value = json.loads(first)
    except UnicodeDecodeError:
        return False
    except (ValueError, RecursionError):
        return _opens(first, rest)
    return isinstance(value, list) and not rest.strip() and all(isinstance(each, dict | list) for each in value)


def _opens(first: bytes, rest: bytes) -> bool:
    """Whether a line that is no value begins one that goes on below it."""
    if first[:1] == b"[":
        return True
    last = first.rstrip()[-1:]
    return first[:1] == b"{" and (last in (b"{", b"[") or (last == b"," and rest.lstrip()[:1] == b'"'))
