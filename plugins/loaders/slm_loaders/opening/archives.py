"""Zip archives opened safely: what would unpack to more than any document needs is refused before it fills memory."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slm.plugin import SlmError

RATIO, FREE = 200, 16 << 20
"""An archive may unpack to this many times its size; or, however small it is, to so many bytes. Text packs about 5 to
1, office XML up to 50 to 1; a bomb packs 1,000 to 1."""

TOTAL, MEMBERS = 4 << 30, 100_000


def check_archive(path: Path, address: str, total: int = TOTAL) -> None:
    """Refuse a zip archive whose own directory says that it unpacks to too much; SlmError also for a broken one.

    A directory may lie: read the members by `read_member`, which counts.
    """
    with opened(path, address) as archive:
        sizes = [member.file_size for member in archive.infolist()]
        if len(sizes) > MEMBERS:
            raise SlmError(f"{address}: an archive of {len(sizes):,} files; unpack it first")
        limit = allowed(path, total)
        if sum(sizes) > limit:
            raise SlmError(f"{address}: {_bomb(path, sum(sizes), limit)}")


def allowed(path: Path, total: int = TOTAL) -> int:
    """Bytes that the archive may unpack to."""
    return min(total, max(FREE, path.stat().st_size * RATIO))


def _bomb(path: Path, size: int, limit: int) -> str:
    packed = path.stat().st_size
    return (
        f"unpacks from {packed:,} to {size:,} bytes or more, over the {limit:,} allowed (a zip bomb?); "
        "unpack it yourself if you trust it"
    )


@contextmanager
def opened(path: Path, address: str) -> Iterator[zipfile.ZipFile]:
    """The archive, open; SlmError for one that is broken, cut short or not there."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise SlmError(f"{address}: the zip archive is broken or cut short ({error}); fetch it again") from None
    except OSError as error:
        raise SlmError(f"{address}: can't be read ({error.strerror or error})") from None
    except RuntimeError as error:  # zipfile's way to say that a password is needed
        raise SlmError(f"{address}: the zip archive is encrypted; unpack it first ({error})") from None


def read_member(archive: zipfile.ZipFile, name: str, address: str, most: int) -> bytes:
    """A member's bytes, `most` at most whatever the directory says; SlmError beyond that."""
    with archive.open(name) as member:
        data = member.read(most + 1)
    if len(data) > most:
        raise SlmError(f"{address}: its part {name} unpacks to over {most:,} bytes (a zip bomb?)")
    return data
