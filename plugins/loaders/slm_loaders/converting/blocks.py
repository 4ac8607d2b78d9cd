"""What documents are made of (headings, paragraphs, list items, code, tables, page breaks), written as markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from attrs import field, frozen

SPACES = re.compile(r"[ \t\r\n\f\v\u00a0]+")
BULLET = re.compile("^[\u2022\u25e6\u25aa\u2023\u25cf\u25cb\u25a0]\\s*")


@frozen
class Block:
    """One piece of a document. `level` is a heading's depth (1 the highest) or a list item's (0 the outermost); `mark`
    is what stands before an item; `rows` are a table's cells. A `page` block has the number of the page it begins."""

    kind: Literal["heading", "text", "item", "code", "table", "page"]
    text: str = ""
    level: int = 0
    mark: str = "-"
    rows: tuple[tuple[str, ...], ...] = ()


@frozen
class Fault:
    """A part of a document that could not be read: its place in it, and why."""

    place: str
    why: str


@frozen
class Document:
    """A document as lines of markdown. `pages` holds the number of the page (slide, chapter) that each line stands on;
    it is empty where there are none."""

    title: str = ""
    lines: tuple[str, ...] = ()
    pages: tuple[int, ...] = ()
    faults: tuple[Fault, ...] = ()


@frozen
class _Lines:
    """Lines in the making, each with its page."""

    lines: list[str] = field(factory=list)
    pages: list[int] = field(factory=list)

    def put(self, lines: Iterable[str], page: int) -> None:
        for line in lines:
            self.lines.append(line)
            self.pages.append(page)


def make_document(title: str, blocks: Iterable[Block], faults: Iterable[Fault] = ()) -> Document:
    """The document that consists of these blocks, a blank line between those that don't belong together."""
    made, page, last = _Lines(), 0, ""
    for block in _joined(blocks):
        if block.kind == "page":
            page = block.level
            continue
        lines = list(_written(block))
        if lines:
            close = block.kind == last == "item"
            made.put(lines if close or not made.lines else ["", *lines], page)
            last = block.kind
    return Document(squeeze(title), tuple(made.lines), tuple(made.pages) if page else (), tuple(faults))


def _joined(blocks: Iterable[Block]) -> Iterator[Block]:
    """Blocks with the lines of code that follow each other made one."""
    held: list[str] = []
    for block in blocks:
        if block.kind == "code" and (block.text.strip() or held):
            held.append(block.text)
            continue
        if held:
            yield Block("code", "\n".join(held))
            held = []
        yield block
    if held:
        yield Block("code", "\n".join(held))


def _written(block: Block) -> Iterator[str]:
    text = block.text.strip("\n") if block.kind == "code" else block.text.strip()
    if block.kind == "table":
        yield from _table(block.rows)
    elif not text.strip():
        return
    elif block.kind == "heading":
        yield f"{'#' * min(max(block.level, 1), 6)} {squeeze(text)}"
    elif block.kind == "item":
        indent = "  " * min(block.level, 8)
        first, *rest = text.split("\n")
        yield f"{indent}{block.mark} {first.strip()}"
        yield from (f"{indent}  {line.strip()}" for line in rest if line.strip())
    elif block.kind == "code":
        fence = "`" * max(3, 1 + max(map(len, re.findall(r"(?m)^ {0,3}(`{3,})", text)), default=0))
        yield from (fence, *(line.rstrip() for line in text.split("\n")), fence)
    else:
        lines = (BULLET.sub("- ", line.strip()) for line in text.split("\n"))
        yield from (line for line in lines if line != "- ")


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as `| a | b |`, a rule under the first; columns and rows without any text are left out."""
    width = max(map(len, rows), default=0)
    cells = [[squeeze(cell).replace("|", "\\|") for cell in [*row, *[""] * (width - len(row))]] for row in rows]
    cells = [row for row in cells if any(row)]
    full = [n for n in range(width) if any(row[n] for row in cells)]
    if len(full) == 1:
        yield from (row[full[0]] for row in cells)
        return
    for n, row in enumerate(cells):
        yield "| " + " | ".join(row[at] for at in full) + " |"
        if n == 0:
            yield "| " + " | ".join("---" for _ in full) + " |"


def squeeze(text: str) -> str:
    """The text in one line, with single spaces."""
    return SPACES.sub(" ", text).strip()
