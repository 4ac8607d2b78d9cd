"""Plain text and markdown: a file, a folder of nothing else, or a pattern."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

from attrs import field, frozen

from slm.plugin import Batch, Bid, Hardware, Job, Rank, Reject, SlmError, Source, Work, hookimpl

from .converting.passages import Passage, cut, to_batches
from .opening.decoding import mend, read_utf8
from .opening.files import File, claims_of, file_state, find_files
from .opening.folders import find_inside

SUFFIXES = (".txt", ".text", ".md", ".markdown", ".rst", ".org", ".adoc", ".asciidoc")
MARKDOWN = (".md", ".markdown")


@frozen
class Text:
    """Reads text files, or a folder of them: one record a file, section, paragraph or line."""

    claims: ClassVar[tuple[str, ...]] = claims_of(".txt", ".text", ".md", ".markdown")

    per: Literal["auto", "file", "section", "paragraph", "line"] = field(
        default="auto",
        metadata={
            "help": "What becomes a record; auto: files of a folder, sections of a markdown file, else paragraphs."
        },
    )
    encoding: str = field(default="", metadata={"help": "The files' encoding, such as cp1252; found if empty."})

    private: bool = field(default=False, metadata={"help": "Whether an address in a private network may be fetched."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "reads text")

    def state(self, source: Source) -> str | None:
        return file_state(source, private=self.private)

    @hookimpl
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        folder = source.is_path and source.path.is_dir()
        if folder:
            files, rejected = find_inside(source, work, SUFFIXES, "text file")
        else:
            files, rejected = find_files(source, work, kinds=SUFFIXES, private=self.private), []
        many = folder or len(files) > 1
        yield from to_batches(self._passages(files, many, work, rejected), rejected)

    def _passages(
        self, files: Iterable[File], many: bool, work: Work, rejected: list[Reject]
    ) -> Iterator[tuple[str, Passage]]:
        for file in files:
            per = self.per
            if per == "auto":
                markdown = file.kind in MARKDOWN
                per = "file" if many else "section" if markdown else "paragraph"
            empty = True
            for passage in cut(read_lines(file, self.encoding, work), per, file.address):
                empty = False
                yield file.address, passage
            if empty:
                rejected.append(Reject(file.address, "empty file"))


def read_lines(file: File, encoding: str, work: Work) -> Iterator[str]:
    """The lines of a text file in the stated encoding, or the one found; SlmError for bytes that fit none."""
    for piece in read_utf8(file, encoding, work.warn):
        try:
            text = mend(piece.decode("utf-8", "surrogateescape"))
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise SlmError(
                f"{file.address}: byte 0x{byte:02x} is neither UTF-8 nor cp1252; state its encoding"
            ) from None
        yield from _split(text)


def _split(text: str) -> list[str]:
    """Lines without their ends; other separators of Unicode don't end a line."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines
