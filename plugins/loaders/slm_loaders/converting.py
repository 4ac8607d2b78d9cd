"""Documents read in a process of their own: one that hangs, crashes or fills memory costs itself only.

Run as a module it answers requests, one a line of JSON, until its input ends.
"""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs
from attrs import field, frozen

from slm.plugin import SlmError

from .archives import opened, read_member
from .blocks import Document, Fault

MEMORY = 4 << 30
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


@frozen(eq=False)
class Converter:
    """Reads documents in a child process, which is started when first needed and again whenever it is lost."""

    seconds: float
    password: str = field(default="", repr=False)
    whole: bool = False
    children: list[subprocess.Popen[bytes]] = field(factory=list, init=False)

    def __enter__(self) -> Converter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def read(self, path: Path, address: str) -> Document:
        """The document; SlmError, in one line that names it, where it can't be read."""
        asked = {"path": str(path.absolute()), "address": address, "password": self.password, "whole": self.whole}
        late = threading.Event()
        answer = self._ask(json.dumps(asked).encode() + b"\n", late)
        if answer is None:
            code = self._end()
            why = f"is not read within {self.seconds:g} seconds" if late.is_set() else f"crashes its reader ({code})"
            raise SlmError(f"{address}: {why}; leave it out" + " or set seconds higher" * late.is_set())
        if "missing" in answer:
            raise ModuleNotFoundError(f"No module named {answer['missing']!r}", name=answer["missing"])
        if "error" in answer:
            raise SlmError(answer["error"])
        faults = tuple(Fault(**each) for each in answer["faults"])
        return Document(answer["title"], tuple(answer["lines"]), tuple(answer["pages"]), faults)

    def _ask(self, request: bytes, late: threading.Event) -> dict[str, Any] | None:
        """The child's answer; None where it ends without one, or is `late` and is ended."""
        child = self._child()

        def end() -> None:
            late.set()
            child.kill()

        assert child.stdin is not None
        assert child.stdout is not None
        timer = threading.Timer(self.seconds, end)
        timer.start()
        try:
            child.stdin.write(request)
            child.stdin.flush()
            line = child.stdout.readline()
        except BrokenPipeError:
            line = b""
        finally:
            timer.cancel()
        return json.loads(line) if line.endswith(b"\n") else None

    def _child(self) -> subprocess.Popen[bytes]:
        if not self.children:
            command = [sys.executable, "-P", "-m", __name__]
            pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
            self.children.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere))
        return self.children[0]

    def _end(self) -> int | None:
        """End the child, if there is one; its exit code."""
        if not self.children:
            return None
        child = self.children.pop()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            return child.wait(timeout=2)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()


def convert(path: Path, address: str, options: Mapping[str, Any]) -> Document:
    """The document at a path, read here and now by the reader for what is in it."""
    from importlib import import_module

    if path.stat().st_size > LARGEST:
        raise SlmError(f"{address}: is over {LARGEST >> 20} MB large; split it first")
    module, function, *wanted = READERS[kind_of(path, address)].split()
    read: Callable[..., Document] = getattr(import_module(f".{module}", __package__), function)
    return read(path, address, **{name: options[name] for name in wanted})


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


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """A document as JSON; an error of any kind as one line: parsers raise whatever they come upon in a damaged file."""
    address = request["address"]
    try:
        made = convert(Path(request["path"]), address, request)
    except SlmError as error:
        return {"error": str(error)}
    except ImportError as error:
        return {"missing": error.name or str(error)}
    except MemoryError:
        return {"error": f"{address}: needs over {MEMORY >> 30} GB of memory to be read; split it first"}
    except OSError as error:
        return {"error": f"{address}: can't be read ({error.strerror or error})"}
    except Exception as error:
        said = f"{type(error).__name__}: {error}".replace("\n", " ")[:200]
        return {"error": f"{address}: is damaged, or of a kind that can't be read ({said}); save it anew"}
    return attrs.asdict(made)


def _bound_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY if hard < 0 else min(MEMORY, hard), hard))


def main() -> None:
    """Answer requests until there are no more."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    _bound_memory()
    out, sys.stdout = sys.stdout.buffer, sys.stderr
    for line in sys.stdin.buffer:
        out.write(json.dumps(answer(json.loads(line))).encode() + b"\n")
        out.flush()


if __name__ == "__main__":
    main()
