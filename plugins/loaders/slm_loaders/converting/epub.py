"""EPUB books: the chapters in reading order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from slm.plugin import SlmError

from .blocks import Block, Document, Fault, make_document
from .office import Package, attribute, local, opened_package, resolve
from .webpage import html_blocks, parse_html


def read_epub(path: Path, address: str) -> Document:
    """The book as markdown; a file of it (mostly a chapter) is a page. One that can't be read is a fault."""
    with opened_package(path, address) as package:
        container = package.xml("META-INF/container.xml")
        roots = [attribute(each, "full-path") for each in container.iter("{*}rootfile")]
        if not roots:
            raise SlmError(f"{address}: names no content: the file is damaged")
        content = package.xml(resolve("", roots[0]))
        locked = _locked(package)
        blocks = []
        for number, name in enumerate(_spine(content, str(PurePosixPath(roots[0]).parent)), start=1):
            if name in locked:
                raise SlmError(f"{address}: is copy-protected (DRM): its chapters are encrypted")
            blocks += [Block("page", level=number), *_chapter(package, name)]
        titles = [each.text or "" for each in content.iter("{http://purl.org/dc/elements/1.1/}title")]
        return make_document(titles[0] if titles else "", blocks, package.faults)


def _chapter(package: Package, name: str) -> Iterator[Block]:
    try:
        root = parse_html(package.read(name))
    except SlmError as error:
        package.faults.append(Fault(name, str(error).removeprefix(f"{package.address}: ")))
        return
    if root is not None:
        yield from html_blocks(root)


def _spine(content: Any, folder: str) -> Iterator[str]:
    """The parts of the book in reading order, its table of contents left out."""
    items = {attribute(each, "id"): each for each in content.iter("{*}item")}
    for each in content.iter("{*}itemref"):
        item = items.get(attribute(each, "idref"))
        if item is not None and "nav" not in attribute(item, "properties").split():
            yield resolve(folder, attribute(item, "href"))


def _locked(package: Package) -> set[str]:
    """The parts that are encrypted; fonts may be, in any book."""
    root = package.optional("META-INF/encryption.xml")
    if root is None:
        return set()
    return {resolve("", attribute(each, "URI")) for each in root.iter() if local(each) == "CipherReference"}
