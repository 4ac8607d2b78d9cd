"""Office documents (docx, pptx, odt, odp, epub): zip archives of XML parts, read within bounds."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from attrs import field, frozen

from slm.plugin import SlmError

from ..opening.archives import allowed, check_archive, opened, read_member
from .blocks import Fault

PART = 256 << 20


@frozen(eq=False)
class Package:
    """An open office document; `faults` notes the parts of it that could not be read."""

    archive: zipfile.ZipFile
    address: str
    most: int
    faults: list[Fault] = field(factory=list)

    def has(self, name: str) -> bool:
        """Whether there is a part of this name."""
        return name in self.archive.NameToInfo

    def read(self, name: str) -> bytes:
        """A part's bytes; SlmError where it is not there or is too large."""
        if not self.has(name):
            raise SlmError(f"{self.address}: has no part {name}: the file is damaged, or of another kind")
        return read_member(self.archive, name, self.address, min(PART, self.most))

    def xml(self, name: str) -> Any:
        """A part's root element; of one that is damaged, what could be read, with a fault noted."""
        return parse_xml(self.read(name), name, self.address, self.faults)

    def optional(self, name: str) -> Any:
        """A part's root element, or None where it is not there."""
        return self.xml(name) if name and self.has(name) else None

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """What a part refers to: by id, the kind (`slide`, `notesSlide`) and the part's name."""
        folder, base = posixpath.split(name)
        root = self.optional(posixpath.join(folder, "_rels", f"{base}.rels"))
        found = {}
        for each in root if root is not None else ():
            target = str(each.get("Target", ""))
            if each.get("TargetMode") != "External":
                kind = str(each.get("Type", "")).rpartition("/")[2]
                found[str(each.get("Id", ""))] = (kind, resolve(folder, target))
        return found


def resolve(folder: str, target: str) -> str:
    """The part that a reference means: relative to the folder, or from the root."""
    target = unquote(target.partition("#")[0])
    return posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")


@contextmanager
def opened_package(path: Path, address: str) -> Iterator[Package]:
    """The document, open; SlmError for one that is broken, encrypted or a zip bomb."""
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            raise SlmError(f"{address}: is no office document (it doesn't begin as one); is its suffix right?")
    check_archive(path, address)
    with opened(path, address) as archive:
        yield Package(archive, address, allowed(path))


def parse_xml(data: bytes, name: str, address: str, faults: list[Fault]) -> Any:
    """The root element of an XML part, no entity expanded and nothing fetched.

    Raises SlmError where entities are declared (an XML bomb, or a way to read other files) or nothing can be read.
    """
    from lxml import etree

    if re.search(rb"<!ENTITY|<\0!\0E\0N\0T\0I\0T\0Y", data):
        raise SlmError(f"{address}: its part {name} declares XML entities, which office documents have no use for")
    options = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}
    try:
        return etree.fromstring(data, etree.XMLParser(**options, remove_comments=True, remove_pis=True))
    except etree.XMLSyntaxError as error:
        root = etree.fromstring(data, etree.XMLParser(**options, recover=True, remove_comments=True, remove_pis=True))
        if root is None:
            raise SlmError(f"{address}: its part {name} is no XML ({error.msg}); save the document anew") from None
        faults.append(Fault(name, f"broken XML ({error.msg}): what follows the break may be lacking"))
        return root


def local(element: Any) -> str:
    """An element's name without its namespace."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Any, name: str) -> str:
    """An attribute's value whatever its namespace; empty where it is not there."""
    return next((str(value) for key, value in element.items() if key.rpartition("}")[2] == name), "")


def whole(text: str, default: int) -> int:
    """The whole number that an attribute should hold; the default where it holds something else."""
    return int(text) if text.isdecimal() and len(text) < 10 else default


def child(element: Any, *names: str) -> Any:
    """The element reached by these names, each the first child of that name; None where there is none."""
    for name in names:
        element = next((each for each in element if local(each) == name), None)
        if element is None:
            return None
    return element


def core_title(package: Package) -> str:
    """The title in a document's properties."""
    root = package.optional("docProps/core.xml")
    found = child(root, "title") if root is not None else None
    return str(found.text or "") if found is not None else ""
