"""Packed files as bytes: gzip, bzip2, xz, zstd and members of zip archives; none may unpack without end."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, cast

from slm.plugin import SlmError

from .archives import MEMBERS, opened

PACKED = ("", ".gz", ".bz2", ".xz", ".zst", ".zip")
"""Suffixes of the ways to pack that are read."""

RATIO, FREE = 200, 256 << 20
"""A file may unpack to this many times its size; or, however small it is, to so many bytes. Text packs 3 to 10 to 1,
a log of the same lines 100 to 1; bombs pack 1,000 to 1 and more."""

STEP = 4096
"""Packed bytes given to zstd at once: it gives all they unpack to, 128 MB at the very worst."""

OFFICE = ("[Content_Types].xml", "mimetype")


def unpacked(path: Path, address: str, member: str, size: int) -> Iterator[bytes]:
    """The bytes of a file, or of a zip archive's member, in pieces of about `size`; SlmError where they are broken."""
    try:
        packed, done = path.stat().st_size, 0
        for chunk in _member(path, address, member, size) if member else _file(path, size):
            done += len(chunk)
            if done > max(FREE, RATIO * packed):
                raise SlmError(f"{address}: {_bomb(packed)}")
            yield chunk
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise SlmError(f"{address}: {_broken(error)}") from None
    except OSError as error:
        why = f"can't be read ({error.strerror})" if error.strerror else _broken(error)
        raise SlmError(f"{address}: {why}") from None


def _broken(error: Exception) -> str:
    return f"the compressed file is broken or cut short ({error}); fetch it again"


def _bomb(packed: int) -> str:
    return (
        f"unpacks from {packed:,} bytes to over {max(FREE, RATIO * packed) >> 20:,} MB, "
        f"{RATIO} times its size and more (a bomb?); unpack it yourself if you trust it, and name what comes out"
    )


def _file(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as raw:
        yield from _read(raw, size)


def _member(path: Path, address: str, member: str, size: int) -> Iterator[bytes]:
    with opened(path, address) as archive, archive.open(member) as raw:
        yield from _read(raw, size)


def _read(raw: IO[bytes], size: int) -> Iterator[bytes]:
    head = raw.read(8)
    raw.seek(0)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        yield from _gathered(_zstd(raw), size)
        return
    stream = _decompressed(raw, head)
    while chunk := stream.read(size):
        yield chunk


def _decompressed(raw: IO[bytes], head: bytes) -> IO[bytes]:
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(raw))
    if head.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    return lzma.LZMAFile(raw) if head.startswith(b"\xfd7zXZ\0") else raw


def _zstd(stream: IO[bytes]) -> Iterator[bytes]:
    """Frame by frame: the package's own reader takes a file that is cut short for a whole one."""
    import zstandard

    data = stream.read(STEP)
    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        while data and not frame.eof:
            try:
                yield frame.decompress(data)
            except zstandard.ZstdError as error:
                raise EOFError(str(error)) from None
            data = (frame.eof and frame.unused_data) or stream.read(STEP)
        if not frame.eof:
            raise EOFError("it ends within a frame")


def _gathered(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    held, length = [], 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if length >= size:
            yield b"".join(held)
            held, length = [], 0
    if length:
        yield b"".join(held)


def is_zip(path: Path) -> bool:
    """Whether the file begins as a zip archive does."""
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError:
        return False


def find_members(path: Path, address: str, kinds: Sequence[str]) -> list[str]:
    """The archive's files whose names end with one of `kinds`, or its only file; SlmError where there is none.

    Refused are archives that pack too much, that are encrypted, or whose names lead out of them.
    """
    with opened(path, address) as archive:
        every = archive.infolist()
        if len(every) > MEMBERS:
            raise SlmError(f"{address}: an archive of {len(every):,} files; unpack it, and name a folder of it")
        if any(each.filename in OFFICE for each in every):
            raise SlmError(f"{address}: is an office document, not text; name the loader for it (use = 'documents')")
        found = [each for each in every if not each.is_dir() and not _hidden(each.filename)]
    for each in every:
        _refuse_odd(each, address)
    endings = tuple(kind + packed for kind in kinds for packed in PACKED[:-1])
    fit = [each for each in found if each.filename.lower().endswith(endings)] or (
        found if len(found) == 1 and not PurePosixPath(found[0].filename).suffix else []
    )
    if not fit:
        names = ", ".join(_shown(each.filename) for each in found[:5]) or "nothing"
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise SlmError(f"{address}: no {' or '.join(kinds)} file in this archive; it holds {names}{more}")
    _refuse_unread(fit, path, address)
    return sorted(each.filename for each in fit)


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) and part not in ("..", ".") for part in PurePosixPath(name).parts)


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:80]


def _refuse_odd(member: zipfile.ZipInfo, address: str) -> None:
    name = member.filename
    if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts or name[1:2] == ":":
        raise SlmError(f"{address}: its file '{_shown(name)}' leads out of the archive; don't trust where it is from")


def _refuse_unread(fit: Sequence[zipfile.ZipInfo], path: Path, address: str) -> None:
    for each in fit:
        if each.flag_bits & 1:
            raise SlmError(f"{address}: '{_shown(each.filename)}' is encrypted; unpack it first")
        if each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise SlmError(f"{address}: '{_shown(each.filename)}' is packed in an unusual way; unpack it first")
    if len({each.filename for each in fit}) < len(fit):
        raise SlmError(f"{address}: has two files of one name; unpack it first")
    packed = path.stat().st_size
    if sum(each.file_size for each in fit) > max(FREE, RATIO * packed):
        raise SlmError(f"{address}: {_bomb(packed)}")
