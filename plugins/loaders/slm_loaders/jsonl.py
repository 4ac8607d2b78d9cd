"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar

from attrs import field, frozen

from slm.plugin import Batch, Bid, Hardware, Job, Rank, Source, Work, hookimpl

from .nested.lines import read_json_lines
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
