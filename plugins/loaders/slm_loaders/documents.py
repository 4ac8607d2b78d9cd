"""Documents (PDF, Word, PowerPoint, OpenDocument, EPUB, HTML, RTF, e-mail) and folders of them, as markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import ClassVar, Literal

import attrs
from attrs import field, frozen
from attrs.validators import gt

from slm.plugin import Batch, Bid, Hardware, Job, Rank, Reject, SlmError, Source, Work, hookimpl

from .converting.blocks import Document
from .converting.kinds import OLD, READERS, read_document
from .converting.passages import HEADING, Passage, cut, to_batches
from .opening.files import File, file_state, find_files
from .opening.folders import find_inside
from .opening.isolated import Child
from .text import MARKDOWN, SUFFIXES, read_lines

WEB = tuple(f"{scheme}://*{kind}" for scheme in ("http", "https") for kind in READERS if "webpage" not in READERS[kind])


@frozen
class Documents:
    """Reads PDF, Word, PowerPoint, OpenDocument, EPUB, HTML, RTF and e-mail files, and folders of these and of text."""

    claims: ClassVar[tuple[str, ...]] = (*READERS, *OLD, *WEB, "/")

    per: Literal["auto", "file", "section", "paragraph", "line", "page"] = field(
        default="auto",
        metadata={"help": "What becomes a record; auto: files of a folder, else sections, or pages where it has none."},
    )
    password: str = field(
        default="",
        repr=False,
        metadata={"secret": True, "help": 'What opens an encrypted PDF, such as "${env:PDF_PASSWORD}".'},
    )
    whole: bool = field(
        default=False, metadata={"help": "Whether to keep all text of a web page, not its main content only."}
    )
    encoding: str = field(default="", metadata={"help": "The text files' encoding, such as cp1252; found if empty."})
    seconds: float = field(
        default=120, validator=gt(0), metadata={"help": "How long a document may take before it is given up."}
    )
    private: bool = field(default=False, metadata={"help": "Whether an address in a private network may be fetched."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "reads documents")

    def state(self, source: Source) -> str | None:
        return file_state(source, private=self.private)

    @hookimpl
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        if source.is_path and source.path.is_dir():
            files, rejected = find_inside(source, work, (*SUFFIXES, *READERS, *OLD), "document")
            many = True
        else:
            files, rejected = find_files(source, work, private=self.private), []
            many = len(files) > 1
        with Child(self.seconds) as child:
            yield from to_batches(self._all(files, many, child, rejected, work), rejected, paged=True)

    def _all(
        self, files: Iterable[File], many: bool, child: Child, rejected: list[Reject], work: Work
    ) -> Iterator[tuple[str, Passage]]:
        """The passages of all files. One of many that can't be read is rejected; of one alone it is the error."""
        for file in files:
            try:
                empty = True
                for passage in self._passages(file, many, child, rejected, work):
                    empty = False
                    yield file.address, passage
                if empty:
                    raise SlmError(f"{file.address}: holds no text")
            except SlmError as error:
                if not many:
                    raise
                rejected.append(Reject(file.address, str(error).removeprefix(f"{file.address}: ")))

    def _passages(self, file: File, many: bool, child: Child, rejected: list[Reject], work: Work) -> Iterator[Passage]:
        if file.kind in SUFFIXES:
            markdown = file.kind in MARKDOWN
            auto = "file" if many else "section" if markdown else "paragraph"
            per = {"auto": auto, "page": "file"}.get(self.per, self.per)
            yield from cut(read_lines(file, self.encoding, work), per, file.address)
            return
        made = read_document(child, file.path, file.address, self.password, self.whole)
        rejected += [Reject(f"{file.address}, {fault.place}", fault.why) for fault in made.faults]
        yield from passages_of(made, self._per(made, many), file.address)

    def _per(self, made: Document, many: bool) -> str:
        if self.per != "auto":
            return self.per
        if many:
            return "file"
        return "section" if any(map(HEADING.match, made.lines)) else "page"


def passages_of(made: Document, per: str, address: str) -> Iterator[Passage]:
    """The passages of a document, each with the page it begins on, and the document's title where it has no heading."""
    stem = PurePosixPath(address).stem
    for first, lines in _pages(made) if per == "page" else [(0, made.lines)]:
        for passage in cut(lines, "file" if per == "page" else per, address):
            at = first + passage.line
            page = made.pages[at - 1] if made.pages else None
            title = made.title if passage.title == stem and made.title else passage.title
            yield attrs.evolve(passage, line=at, title=title, page=page)


def _pages(made: Document) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The lines of each page, with how many stand before them."""
    first = 0
    for n in range(1, len(made.lines) + 1):
        if n == len(made.lines) or (made.pages and made.pages[n] != made.pages[first]):
            yield first, made.lines[first:n]
            first = n
