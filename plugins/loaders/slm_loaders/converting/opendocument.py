"""OpenDocument files (.odt texts, .odp presentations): headings, lists, tables, notes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from slm.plugin import SlmError

from .blocks import Block, Document, make_document
from .office import Package, attribute, child, local, opened_package, whole

SKIPPED = frozenset(
    ["tracked-changes", "annotation", "annotation-end", "forms", "sequence-decls", "variable-decls", "desc", "title",
     "table-of-content", "alphabetical-index", "illustration-index", "settings", "shapes", "event-listeners",
     "ruby-text"]
)  # fmt: skip
MONOSPACED = re.compile(r"(?i)courier|consolas|mono|preformatted|source.?code")


@frozen(eq=False)
class _Reader:
    """What styles mean, and the notes found so far."""

    code: Mapping[str, bool]
    numbered: frozenset[tuple[str, int]]
    notes: list[str] = field(factory=list)
    pages: list[int] = field(factory=list)

    def blocks(self, element: Any) -> Iterator[Block]:
        """The blocks of a body, a section, a cell or a text box."""
        for each in element:
            kind = local(each)
            if kind in ("h", "p"):
                yield from self.paragraph(each, kind)
            elif kind == "list":
                yield from self.items(each, 0, attribute(each, "style-name"))
            elif kind == "table":
                yield from self.table(each)
            elif kind == "page":
                self.pages.append(1)
                yield Block("page", level=len(self.pages))
                yield from self.blocks(each)
            elif kind == "notes":
                texts = [block.text for block in self.blocks(each) if block.text.strip() and block.text != "<number>"]
                yield Block("text", "Notes: " + "\n".join(texts) if texts else "")
            elif kind == "frame" and attribute(each, "class") == "title":
                yield Block("heading", " ".join(self.text(p, []) for p in each.iter("{*}p")), 1)
            elif kind not in SKIPPED:
                yield from self.blocks(each)

    def paragraph(self, element: Any, kind: str) -> Iterator[Block]:
        """The block of a paragraph or heading, then those of text boxes that are anchored in it."""
        boxes: list[Any] = []
        text = self.text(element, boxes)
        if kind == "h":
            yield Block("heading", text, whole(attribute(element, "outline-level"), 1))
        elif self.code.get(attribute(element, "style-name"), False):
            yield Block("code", text)
        else:
            yield Block("text", text)
        for box in boxes:
            yield from self.blocks(box)

    def items(self, element: Any, level: int, style: str) -> Iterator[Block]:
        """A list's items; what an item holds besides its first paragraph follows it."""
        count = 0
        for item in element:
            fresh = local(item) == "list-item"
            for each in item if local(item) in ("list-item", "list-header") else ():
                if local(each) == "list":
                    yield from self.items(each, level + 1, attribute(each, "style-name") or style)
                elif local(each) == "p" and fresh:
                    count, fresh = count + 1, False
                    mark = f"{count}." if (style, level) in self.numbered else "-"
                    yield Block("item", self.text(each, []), level, mark)
                else:
                    yield from self.blocks([each])

    def table(self, element: Any) -> Iterator[Block]:
        """A table's rows; one of a single cell is layout, and its content stands for itself."""
        rows = [row for row in element.iter("{*}table-row") if next(row.iterancestors("{*}table")) is element]
        cells = [[each for each in row if local(each) in ("table-cell", "covered-table-cell")] for row in rows]
        if len(cells) == 1 and len(cells[0]) == 1:
            yield from self.blocks(cells[0][0])
            return
        yield Block("table", rows=tuple(tuple(text for each in row for text in self._cell(each)) for row in cells))

    def _cell(self, cell: Any) -> list[str]:
        text = " ".join(" ".join([block.text, *(" ".join(row) for row in block.rows)]) for block in self.blocks(cell))
        repeated = whole(attribute(cell, "number-columns-repeated"), 1)
        return [text] * (min(repeated, 1000) if text.strip() else 1)

    def text(self, element: Any, boxes: list[Any]) -> str:
        """A paragraph's text; text boxes in it are put into `boxes`, its notes aside."""
        parts = [element.text or ""]
        for each in element:
            kind = local(each)
            if kind == "s":
                parts.append(" " * min(whole(attribute(each, "c"), 1), 1000))
            elif kind in ("tab", "line-break"):
                parts.append("\t" if kind == "tab" else "\n")
            elif kind == "note":
                body = child(each, "note-body")
                note = " ".join(self.text(p, []) for p in body.iter("{*}p")) if body is not None else ""
                self.notes.append(note)
                parts.append(f"[^{len(self.notes)}]")
            elif kind == "text-box":
                boxes.append(each)
            elif kind not in SKIPPED:
                parts.append(self.text(each, boxes))
            parts.append(each.tail or "")
        return "".join(parts)


def read_opendocument(path: Path, address: str) -> Document:
    """The document as markdown; a presentation's slides are its pages."""
    with opened_package(path, address) as package:
        manifest = package.read("META-INF/manifest.xml") if package.has("META-INF/manifest.xml") else b""
        if b"encryption-data" in manifest:
            raise SlmError(f"{address}: is encrypted; save it anew without a password")
        root = package.xml("content.xml")
        styles = [root, package.optional("styles.xml")]
        code: dict[str, bool] = {}
        numbered: set[tuple[str, int]] = set()
        for part in styles:
            if part is not None:
                code |= {name: bool(MONOSPACED.search(said)) for name, said in _styles(part)}
                numbered |= set(_numbered(part))
        body = child(root, "body")
        reader = _Reader(code, frozenset(numbered))
        blocks = [*reader.blocks(body if body is not None else ())]
        blocks += [Block("text", f"[^{n}]: {note}") for n, note in enumerate(reader.notes, start=1)]
        return make_document(_title(package), blocks, package.faults)


def _styles(root: Any) -> Iterator[tuple[str, str]]:
    """Each paragraph style's name, with what tells of its font."""
    for each in root.iter("{*}style"):
        fonts = " ".join(attribute(found, "font-name") for found in each.iter("{*}text-properties"))
        name, parent = attribute(each, "name"), attribute(each, "parent-style-name")
        yield name, f"{name} {parent} {fonts}"


def _numbered(root: Any) -> Iterator[tuple[str, int]]:
    for each in root.iter("{*}list-style"):
        for level in each.iter("{*}list-level-style-number"):
            if attribute(level, "num-format"):
                yield attribute(each, "name"), whole(attribute(level, "level"), 1) - 1


def _title(package: Package) -> str:
    root = package.optional("meta.xml")
    found = next(root.iter("{http://purl.org/dc/elements/1.1/}title"), None) if root is not None else None
    return str(found.text or "") if found is not None else ""
