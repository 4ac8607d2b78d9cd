"""Word documents (.docx): headings, lists, tables, code and notes, with tracked changes taken as accepted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from attrs import field, frozen

from .blocks import Block, Document, make_document
from .office import Package, attribute, child, core_title, local, opened_package, whole

SKIPPED = frozenset(
    ["del", "moveFrom", "instrText", "delText", "delInstrText", "pPr", "rPr", "Fallback", "rt", "sdtPr", "tblPr",
     "trPr", "tcPr", "annotationRef", "sectPr"]
)  # fmt: skip
SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
HEADING = re.compile(r"(?i)(?:heading|head|überschrift|titre|título|titolo)[ _-]?([1-9a-i])$")
MONOSPACED = re.compile(r"(?i)courier|consolas|mono|menlo|monaco|lucida console|source code|fixed")


@frozen
class _Style:
    """What a paragraph style means."""

    heading: int = 0
    code: bool = False
    contents: bool = False
    numbering: tuple[str, int] | None = None


@frozen(eq=False)
class _Reader:
    """A document's parts that its text refers to."""

    styles: Mapping[str, _Style]
    formats: Mapping[tuple[str, int], str]
    literal: frozenset[str]
    counts: Counter[tuple[str, int]] = field(factory=Counter)

    def blocks(self, element: Any) -> Iterator[Block]:
        """The blocks of a body, a cell or another container."""
        for each in element:
            kind = local(each)
            if kind == "p":
                yield from self.paragraph(each)
            elif kind == "tbl":
                yield from self.table(each)
            elif kind not in SKIPPED:
                yield from self.blocks(each)

    def paragraph(self, element: Any) -> Iterator[Block]:
        """The block of a paragraph, then those of text boxes that are anchored in it."""
        boxes: list[Any] = []
        style = self.styles.get(_named(element, "pStyle"), _Style())
        text = paragraph_text(element, boxes, frozenset() if style.code or style.heading else self.literal)
        level = child(element, "pPr", "outlineLvl")
        depth = whole(attribute(level, "val"), 9) + 1 if level is not None else style.heading
        if style.contents or (not text.strip() and not style.code):
            pass
        elif 0 < depth < 10:
            yield Block("heading", text, depth)
        elif style.code:
            yield Block("code", text)
        elif (listed := self._listed(element, style)) is not None:
            yield Block("item", text, listed[0], listed[1])
        else:
            yield Block("text", text)
        for box in boxes:
            yield from self.blocks(box)

    def _listed(self, element: Any, style: _Style) -> tuple[int, str] | None:
        """A list item's level and mark; None for a paragraph that is none."""
        numbered = child(element, "pPr", "numPr")
        number, level = style.numbering or ("0", 0)
        if numbered is not None:
            level = whole(_named(numbered, "ilvl"), level)
            number = _named(numbered, "numId") or number
        form = self.formats.get((number, level), "")
        if form in ("", "none"):
            return None
        if form == "bullet":
            return level, "-"
        self.counts[number, level] += 1
        for deeper in [key for key in self.counts if key[0] == number and key[1] > level]:
            del self.counts[deeper]
        return level, f"{self.counts[number, level]}."

    def table(self, element: Any) -> Iterator[Block]:
        """A table's rows; one of a single cell is layout, and its content stands for itself."""
        rows = [list(_below(row, "tc")) for row in _below(element, "tr")]
        if len(rows) == 1 and len(rows[0]) == 1:
            yield from self.blocks(rows[0][0])
        else:
            yield Block("table", rows=tuple(tuple(self._cells(row)) for row in rows))

    def _cells(self, cells: list[Any]) -> Iterator[str]:
        for cell in cells:
            span = child(cell, "tcPr", "gridSpan")
            merged = child(cell, "tcPr", "vMerge")
            goes_on = merged is not None and attribute(merged, "val") in ("", "continue")
            yield "" if goes_on else " ".join(_flat(block) for block in self.blocks(cell))
            yield from [""] * (min(whole(attribute(span, "val"), 1), 1000) - 1 if span is not None else 0)


def _flat(block: Block) -> str:
    return " ".join(" ".join(row) for row in block.rows) if block.kind == "table" else block.text


def _below(element: Any, name: str) -> Iterator[Any]:
    """The children of this name, those in content controls and changes included."""
    for each in element:
        kind = local(each)
        if kind == name:
            yield each
        elif kind in ("sdt", "sdtContent", "ins", "customXml"):
            yield from _below(each, name)


def _named(element: Any, name: str) -> str:
    """The value of the property; of a paragraph, of its paragraph properties."""
    found = child(element, name)
    if found is None:
        found = child(element, "pPr", name)
    return attribute(found, "val") if found is not None else ""


def paragraph_text(element: Any, boxes: list[Any], literal: frozenset[str] = frozenset()) -> str:
    """A paragraph's text as it reads with all changes accepted; text boxes in it are put into `boxes`. Runs in the
    styles of `literal` are code, and get backticks."""
    parts: list[tuple[bool, str]] = []

    def walk(parent: Any, code: bool) -> None:
        for each in parent:
            kind = local(each)
            if kind == "txbxContent":
                boxes.append(each)
            elif kind == "t":
                parts.append((code, each.text or ""))
            elif kind in ("footnoteReference", "endnoteReference"):
                parts.append((False, f"[^{'e' if kind[0] == 'e' else ''}{attribute(each, 'id')}]"))
            elif kind in SIGNS:
                parts.append((code, "" if attribute(each, "type") in ("page", "column") else SIGNS[kind]))
            elif kind == "r":
                if not _hidden(each):
                    walk(each, _is_code(each, literal))
            elif kind not in SKIPPED:
                walk(each, code)

    walk(element, False)
    joined = ((code, "".join(text for _, text in group)) for code, group in groupby(parts, key=itemgetter(0)))
    return "".join(_ticked(text) if code else text for code, text in joined)


def _is_code(run: Any, literal: frozenset[str]) -> bool:
    style = child(run, "rPr", "rStyle")
    return style is not None and attribute(style, "val") in literal


def _ticked(text: str) -> str:
    """Text in backticks, the blanks around it outside of them."""
    inner = text.strip()
    return text.replace(inner, f"`{inner}`") if inner and "`" not in inner and "\n" not in inner else text


def _hidden(run: Any) -> bool:
    mark = child(run, "rPr", "vanish")
    return mark is not None and attribute(mark, "val") not in ("0", "false", "off")


def read_docx(path: Path, address: str) -> Document:
    """The document as markdown."""
    with opened_package(path, address) as package:
        main = next(
            (target for kind, target in package.relations("").values() if kind == "officeDocument"),
            "word/document.xml",
        )
        body = package.xml(main)
        relations = dict(package.relations(main).values())
        styles = _styles(package.optional(relations.get("styles", "word/styles.xml")))
        formats = _formats(package.optional(relations.get("numbering", "word/numbering.xml")))
        reader = _Reader(styles, formats, frozenset(name for name, style in styles.items() if style.code))
        blocks = [*reader.blocks(body)]
        for kind, mark in (("footnotes", ""), ("endnotes", "e")):
            blocks += _notes(package, relations.get(kind, ""), mark)
        return make_document(core_title(package), blocks, package.faults)


def _notes(package: Package, name: str, mark: str) -> Iterator[Block]:
    root = package.optional(name)
    for note in root if root is not None else ():
        text = " ".join(paragraph_text(each, []) for each in note.iter("{*}p")).strip()
        if text and attribute(note, "type") in ("", "normal"):
            yield Block("text", f"[^{mark}{attribute(note, 'id')}]: {text}")


def _styles(root: Any) -> dict[str, _Style]:
    """What each paragraph style means, those that it is based on considered."""
    found = {attribute(each, "styleId"): each for each in (root if root is not None else ()) if local(each) == "style"}
    return {name: _style(each, found) for name, each in found.items()}


def _style(element: Any, found: Mapping[str, Any]) -> _Style:
    heading, code, contents, numbering = 0, None, False, None
    seen: set[str] = set()
    while element is not None and attribute(element, "styleId") not in seen:
        seen.add(attribute(element, "styleId"))
        name = _named(element, "name")
        contents = contents or bool(re.match(r"(?i)toc \d|table of (figures|authorities)|index \d", name))
        level = child(element, "pPr", "outlineLvl")
        if not heading:
            heading = whole(attribute(level, "val"), 9) + 1 if level is not None else _heading_named(name)
        fonts = child(element, "rPr", "rFonts")
        if code is None and fonts is not None and attribute(fonts, "ascii"):
            code = bool(MONOSPACED.search(attribute(fonts, "ascii")))
        numbered = child(element, "pPr", "numPr")
        if numbering is None and numbered is not None:
            numbering = (_named(numbered, "numId"), whole(_named(numbered, "ilvl"), 0))
        element = found.get(_named(element, "basedOn"))
    return _Style(heading if heading < 10 else 0, bool(code), contents, numbering)


def _heading_named(name: str) -> int:
    """The level that a style's name speaks of: `heading 2`, `Head B`, `Title`; 0 for none."""
    found = HEADING.search(name)
    if found:
        return int(found[1]) if found[1].isdigit() else ord(found[1].lower()) - ord("a") + 2
    return 1 if re.fullmatch(r"(?i)(chapter ?|book ?)?title", name) else 3 if re.search(r"[a-z]Title$", name) else 0


def _formats(root: Any) -> dict[tuple[str, int], str]:
    """The number format (`bullet`, `decimal`) of each numbering and level."""
    abstract: dict[str, dict[int, str]] = {}
    found: dict[tuple[str, int], str] = {}
    for each in root if root is not None else ():
        if local(each) == "abstractNum":
            levels = [level for level in each if local(level) == "lvl"]
            abstract[attribute(each, "abstractNumId")] = {
                whole(attribute(level, "ilvl"), 0): _named(level, "numFmt") or "decimal" for level in levels
            }
        elif local(each) == "num":
            levels_of = abstract.get(_named(each, "abstractNumId"), {})
            found |= {(attribute(each, "numId"), level): form for level, form in levels_of.items()}
    return found
