"""A source's files, and their bytes: paths, folders and globs, compression, and what is no text at all."""

from __future__ import annotations

import bz2
import difflib
import glob
import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from attrs import frozen

from slm.plugin import SlmError, Source, Work

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
    b"\x28\xb5\x2f\xfd": "a zstd archive",
}


@frozen
class File:
    """One file, and the address that rows from it are known by."""

    path: Path
    address: str


def find_files(source: Source, work: Work, *, private: bool = False) -> list[File]:
    """The file that the address names, or the files its glob pattern matches, in order of name.

    What an http(s) address names is downloaded; from a private network only if `private`.
    """
    if source.scheme in ("http", "https"):
        from .http import download

        return [File(download(source, work, private=private), source.shown)]
    path, name = source.path, source.address.removeprefix("file://")
    if path.is_dir():
        raise SlmError(f"{source.address}: is a folder; name a file or a pattern such as {name.rstrip('/')}/*")
    if path.exists():
        return [File(path, name)]
    if glob.has_magic(name):
        start = source.folder.resolve() / Path(name).expanduser()
        base = next(each for each in start.parents if not glob.has_magic(str(each)))
        prefix = name[: len(name) - len(str(start.relative_to(base)))]
        found = sorted(path for path in base.glob(str(start.relative_to(base))) if path.is_file())
        files = [File(path, prefix + path.relative_to(base).as_posix()) for path in found]
        if files:
            return files
        raise SlmError(f"{source.address}: no file matches")
    raise SlmError(f"{source.address}: no such file{_near(path)}")


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (there is no folder {path.parent})"
    close = difflib.get_close_matches(path.name, [each.name for each in path.parent.iterdir()], n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def read_chunks(file: File, size: int = CHUNK) -> Iterator[bytes]:
    """The file's bytes, decompressed (gzip, bzip2, xz); SlmError where it can't be read, is broken or is no text."""
    try:
        with file.path.open("rb") as raw:
            head = raw.read(16)
            raw.seek(0)
            stream, first = _decompressed(raw, head), True
            while chunk := stream.read(size):
                if first:
                    _refuse_binary(chunk, file.address)
                first = False
                yield chunk
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise SlmError(
            f"{file.address}: the compressed file is broken or cut short ({error}); fetch it again"
        ) from None
    except OSError as error:
        raise SlmError(f"{file.address}: can't be read ({error.strerror or error})") from None


def _decompressed(raw: IO[bytes], head: bytes) -> IO[bytes]:
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(raw))
    if head.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(raw)
    return raw


def _refuse_binary(chunk: bytes, address: str) -> None:
    for magic, kind in BINARY.items():
        if chunk.startswith(magic):
            raise SlmError(f"{address}: is {kind}, not text; convert it to text first")
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
