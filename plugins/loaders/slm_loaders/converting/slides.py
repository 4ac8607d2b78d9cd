"""PowerPoint presentations (.pptx): each slide's title, text, tables, diagrams and speaker notes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slm.plugin import SlmError

from .blocks import Block, Document, Fault, make_document
from .office import Package, attribute, child, core_title, local, opened_package, whole

TITLES = ("title", "ctrTitle")
FURNITURE = ("dt", "ftr", "sldNum", "hdr", "sldImg")


def read_pptx(path: Path, address: str) -> Document:
    """The presentation as markdown; a slide is a page. A slide that can't be read is a fault, and the others go on."""
    with opened_package(path, address) as package:
        main = next(
            (target for kind, target in package.relations("").values() if kind == "officeDocument"),
            "ppt/presentation.xml",
        )
        relations = package.relations(main)
        listed = child(package.xml(main), "sldIdLst")
        names = [relations.get(_reference(each), ("", ""))[1] for each in (listed if listed is not None else ())]
        blocks = [block for number, name in enumerate(names, start=1) for block in _slide(package, name, number)]
        return make_document(core_title(package), blocks, package.faults)


def _reference(element: Any) -> str:
    """The id of the relation that an element names (`r:id`; its plain `id` is another)."""
    return next((str(value) for key, value in element.items() if key.endswith("}id")), "")


def _slide(package: Package, name: str, number: int) -> Iterator[Block]:
    yield Block("page", level=number)
    try:
        tree = child(package.xml(name), "cSld", "spTree")
    except SlmError as error:
        package.faults.append(Fault(f"slide {number}", str(error).removeprefix(f"{package.address}: ")))
        return
    relations = package.relations(name)
    shapes = [*_shapes(tree)] if tree is not None else []
    for shape in sorted(shapes, key=lambda each: _role(each) not in TITLES):
        yield from _shape(package, shape, relations)
    for kind, target in relations.values():
        if kind == "notesSlide" and package.has(target):
            yield from _notes(package.xml(target))


def _shapes(tree: Any) -> Iterator[Any]:
    """The shapes of a tree, those in groups and in `AlternateContent` included."""
    for each in tree:
        kind = local(each)
        if kind in ("sp", "graphicFrame", "cxnSp"):
            yield each
        elif kind in ("grpSp", "AlternateContent", "Choice"):
            yield from _shapes(each)


def _role(shape: Any) -> str:
    """What a placeholder is for (`title`, `body`, `ftr`); empty for another shape."""
    for name in ("nvSpPr", "nvGraphicFramePr"):
        mark = child(shape, name, "nvPr", "ph")
        if mark is not None:
            return attribute(mark, "type") or "body"
    return ""


def _shape(package: Package, shape: Any, relations: dict[str, tuple[str, str]]) -> Iterator[Block]:
    role = _role(shape)
    if role in FURNITURE:
        return
    if local(shape) == "graphicFrame":
        yield from _frame(package, shape, relations)
        return
    body = child(shape, "txBody")
    if body is None:
        return
    if role in TITLES:
        yield Block("heading", " ".join(text_of(each) for each in body if local(each) == "p"), 1)
    else:
        yield from _paragraphs(body, listed=role in ("body", "obj"))


def _paragraphs(body: Any, *, listed: bool) -> Iterator[Block]:
    """A shape's paragraphs: items where they have bullets, or are more than one in a slide's body."""
    full = [each for each in body if local(each) == "p" and text_of(each).strip()]
    for each in full:
        properties = child(each, "pPr")
        marks = {local(mark) for mark in properties} if properties is not None else set()
        bullet = bool(marks & {"buChar", "buAutoNum", "buBlip"}) or (listed and len(full) > 1 and "buNone" not in marks)
        level = attribute(properties, "lvl") if properties is not None else ""
        text = text_of(each)
        yield Block("item", text, whole(level, 0)) if bullet else Block("text", text)


def text_of(paragraph: Any) -> str:
    """A paragraph's text, line breaks included."""
    parts = []
    for each in paragraph.iter():
        kind = local(each)
        if kind == "t":
            parts.append(each.text or "")
        elif kind in ("br", "tab"):
            parts.append("\n" if kind == "br" else "\t")
    return "".join(parts)


def _frame(package: Package, frame: Any, relations: dict[str, tuple[str, str]]) -> Iterator[Block]:
    """A table's rows; of a diagram, the texts in it."""
    for table in frame.iter("{*}tbl"):
        rows = [[cell for cell in row if local(cell) == "tc"] for row in table if local(row) == "tr"]
        yield Block("table", rows=tuple(tuple(_cell(cell) for cell in row) for row in rows))
    for data in frame.iter("{*}relIds"):
        part = package.optional(relations.get(attribute(data, "dm"), ("", ""))[1])
        for paragraph in part.iter("{*}p") if part is not None else ():
            if (text := text_of(paragraph)).strip():
                yield Block("item", text)


def _cell(cell: Any) -> str:
    if attribute(cell, "hMerge") in ("1", "true") or attribute(cell, "vMerge") in ("1", "true"):
        return ""
    return " ".join(text_of(each) for each in cell.iter("{*}p"))


def _notes(root: Any) -> Iterator[Block]:
    tree = child(root, "cSld", "spTree")
    for shape in _shapes(tree) if tree is not None else ():
        body = child(shape, "txBody")
        if _role(shape) == "body" and body is not None:
            texts = [text_of(each) for each in body if local(each) == "p"]
            if any(text.strip() for text in texts):
                yield Block("text", "Notes: " + "\n".join(text for text in texts if text.strip()))
