"""Which module reads which document, told by suffix and first bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs

from slm.plugin import SlmError

from ..opening.archives import opened, read_member
from ..opening.isolated import Child
from .blocks import Document, Fault

LARGEST = 512 << 20
BINARY = b"\xd0\xcf\x11\xe0"

READERS: Mapping[str, str] = {
    ".pdf": "pdf read_pdf password",
    **dict.fromkeys((".docx", ".docm", ".dotx"), "word read_docx"),
    **dict.fromkeys((".pptx", ".pptm", ".ppsx"), "slides read_pptx"),
    **dict.fromkeys((".odt", ".ott", ".odp"), "opendocument read_opendocument"),
    ".epub": "epub read_epub",
    **dict.fromkeys((".html", ".htm", ".xhtml"), "webpage read_page whole"),
    ".rtf": "rtf read_rtf",
    ".eml": "mail read_eml",
}
"""What reads each suffix: the module, the function, and the options that it takes."""

OLD = (".doc", ".dot", ".ppt", ".pps")
"""Suffixes of the old binary formats; what is in such a file is now and then of another kind, and read as that."""


def read_document(child: Child, file: Path, address: str, password: str, whole: bool) -> Document:
    """The document at a path, read in a child process; SlmError, in one line that names it, where it can't be read."""
    arguments = {"path": str(file.absolute()), "password": password, "whole": whole}
    (made,) = child.run("converting.kinds.convert", address, **arguments)
    faults = tuple(Fault(**each) for each in made["faults"])
    return Document(made["title"], tuple(made["lines"]), tuple(made["pages"]), faults)


def convert(path: str, address: str, **options: Any) -> Iterator[dict[str, Any]]:
    """The document at a path as a value for JSON, read here and now by the reader for what is in it."""
    file = Path(path)
    if file.stat().st_size > LARGEST:
        raise SlmError(f"{address}: is over {LARGEST >> 20} MB large; split it first")
    module, function, *wanted = READERS[kind_of(file, address)].split()
    read: Callable[..., Document] = getattr(import_module(f".{module}", __package__), function)
    yield attrs.asdict(read(file, address, **{name: options[name] for name in wanted}))


def kind_of(path: Path, address: str) -> str:
    """The suffix that a file should have: by its first bytes where they tell, else the one it has."""
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        head = file.read(1024)
        rest = file.read(1 << 20) if head.startswith(BINARY) else b""
    if not head.strip():
        raise SlmError(f"{address}: empty file")
    if head.startswith(BINARY):
        if "EncryptedPackage".encode("utf-16-le") in head + rest:
            raise SlmError(f"{address}: is encrypted; save it anew without a password")
        raise SlmError(f"{address}: is of the old binary format; save it as .docx or .pptx")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(b"%pdf"):
        return ".pdf"
    if start.startswith(b"{\\rt"):
        return ".rtf"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return ".html"
    if start.startswith(b"pk\x03\x04"):
        return _packed_kind(path, address)
    if suffix in OLD:
        raise SlmError(f"{address}: is no document of a kind that can be read; save it as .docx or .pptx")
    return suffix


def _packed_kind(path: Path, address: str) -> str:
    with opened(path, address) as archive:
        names = archive.namelist()
        said = read_member(archive, "mimetype", address, 1 << 20)[:100] if "mimetype" in names else b""
    if b"epub" in said:
        return ".epub"
    if b"opendocument.text" in said or b"opendocument.presentation" in said:
        return ".odt"
    for folder, kind in (("word/", ".docx"), ("ppt/", ".pptx")):
        if any(name.startswith(folder) for name in names):
            return kind
    suffix = path.suffix.lower()
    if suffix not in (".docx", ".pptx", ".odt", ".odp", ".epub"):
        raise SlmError(f"{address}: is an archive, and no document of a kind that can be read; unpack it first")
    return suffix
