"""A source's files, and their bytes: paths, folders and globs, compression, and what is no text at all."""

from __future__ import annotations

import difflib
import glob
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from attrs import frozen

from slm.plugin import SlmError, Source, Work

from .packing import PACKED, find_members, is_zip, unpacked

CHUNK = 4 << 20
"""Bytes read at once: enough for speed, and little beside any machine's memory."""

BINARY = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a zip archive or an office document",
    b"\xd0\xcf\x11\xe0": "an old office document",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"\x7fELF": "a program",
    b"SQLite format 3\0": "an SQLite database",
    b"PAR1": "a parquet file",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
}


@frozen
class File:
    """One file, or one in a zip archive (`member`), and the address that rows from it are known by."""

    path: Path
    address: str
    member: str = ""

    @property
    def kind(self) -> str:
        """The suffix that says what is in it: `.md` of `guide.md.gz`."""
        path = PurePosixPath((self.member or self.path.name).lower())
        return path.with_suffix("").suffix if path.suffix in PACKED[1:] else path.suffix


def claims_of(*kinds: str) -> tuple[str, ...]:
    """The claims of a loader for files with these suffixes, packed or not, here or on the web."""
    names = [kind + packed for kind in kinds for packed in PACKED]
    return (*names, *(f"{scheme}://*{name}" for scheme in ("http", "https") for name in names))


def find_files(source: Source, work: Work, *, kinds: Sequence[str] = (), private: bool = False) -> list[File]:
    """The file that the address names, or the files its glob pattern matches, in order of name.

    What an http(s) address names is downloaded; from a private network only if `private`. With `kinds`, a zip archive
    stands for the files in it whose names end so.
    """
    found = _fetched(source, work, private=private) or _matched(source, work)
    if not kinds:
        return found
    return [inner for file in found for inner in (_inside(file, kinds) if is_zip(file.path) else [file])]


def file_state(source: Source, *, private: bool = False) -> str | None:
    """What stands for the present content of a file on the web; None for one that is here."""
    if source.scheme not in ("http", "https"):
        return None
    from ..fetching.http import remote_state

    return remote_state(source, private=private)


def _fetched(source: Source, work: Work, *, private: bool) -> list[File]:
    if source.scheme not in ("http", "https"):
        return []
    from ..fetching.http import download

    return [File(download(source, work, private=private), source.shown)]


def _inside(file: File, kinds: Sequence[str]) -> list[File]:
    return [File(file.path, f"{file.address}/{name}", name) for name in find_members(file.path, file.address, kinds)]


def _matched(source: Source, work: Work) -> list[File]:
    path, name = source.path, source.address.removeprefix("file://")
    if path.is_dir():
        raise SlmError(f"{source.address}: is a folder; name a file or a pattern such as {name.rstrip('/')}/*")
    if path.is_file():
        return [File(path, name)]
    if path.exists():
        raise SlmError(f"{source.address}: is a device or a pipe, not a file; write its content into a file")
    if glob.has_magic(name):
        start = source.folder.resolve() / Path(name).expanduser()
        base = next(each for each in start.parents if not glob.has_magic(str(each)))
        prefix = name[: len(name) - len(str(start.relative_to(base)))]
        files = [File(path, prefix + path.relative_to(base).as_posix()) for path in _globbed(base, start, work)]
        if files:
            return files
        raise SlmError(f"{source.address}: no file matches")
    raise SlmError(f"{source.address}: no such file{_near(path)}")


def _globbed(base: Path, pattern: Path, work: Work) -> Iterator[Path]:
    """The files that match; hidden ones only if the pattern names such, and no link that leads out of `base`."""
    inner = str(pattern.relative_to(base))
    hidden = any(part.startswith(".") for part in Path(inner).parts)
    for path in sorted(base.glob(inner)):
        if path.is_dir() or (not hidden and any(part.startswith(".") for part in path.relative_to(base).parts)):
            continue
        if not path.resolve().is_relative_to(base.resolve()):
            work.warn(f"{path.relative_to(base)}: left out, a link that leads out of the folder {base.name}")
        elif not path.is_file():
            work.warn(f"{path.relative_to(base)}: left out, no file but a device, a pipe or a broken link")
        else:
            yield path


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (there is no folder {path.parent})"
    close = difflib.get_close_matches(path.name, [each.name for each in path.parent.iterdir()], n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def read_chunks(file: File, size: int = CHUNK) -> Iterator[bytes]:
    """The file's bytes, unpacked; SlmError where it can't be read, is broken or is no text."""
    first = True
    for chunk in unpacked(file.path, file.address, file.member, size):
        if first:
            _refuse_binary(chunk, file.address)
        first = False
        yield chunk


def _refuse_binary(chunk: bytes, address: str) -> None:
    for magic, kind in BINARY.items():
        if chunk.startswith(magic):
            raise SlmError(f"{address}: is {kind}, not text; convert it to text first")
    if chunk[257:262] == b"ustar":
        raise SlmError(f"{address}: is a tar archive; unpack it, and name a file or a pattern in it")
    sample = chunk[:4096]
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")) or looks_wide(sample):
        return
    controls = sum(byte < 9 or 13 < byte < 27 or 27 < byte < 32 for byte in sample)
    if len(sample) >= 256 and controls > len(sample) * 0.1:
        raise SlmError(f"{address}: is binary, not text")


def looks_wide(sample: bytes) -> str:
    """`utf-16-le` or `utf-16-be` where every other byte of the sample is mostly zero; else nothing."""
    pairs = len(sample) // 2
    if pairs < 4:
        return ""
    even, odd = sample[0 : 2 * pairs : 2].count(0) / pairs, sample[1 : 2 * pairs : 2].count(0) / pairs
    if odd > 0.4 and even < 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 and odd < 0.1 else ""
