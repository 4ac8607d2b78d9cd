"""The SQL database that an address names: an SQLite file, PostgreSQL, MySQL or MariaDB."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from attrs import field, frozen

from slm.plugin import SlmError, Source

DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
ADDRESS = re.compile(r"[\w+]+://(?:[^/?#@]*@[^?#@]*(?:\?.*)?|[^#@]*)", re.DOTALL)
"""A user's part ends at the one @ before any slash: else a password would be taken for a host, and shown."""

MAGIC = b"SQLite format 3\0"


@frozen
class Database:
    """A database as its address names it; `table` is what stands behind `?table=` there."""

    shown: str
    backend: str
    url: Any = field(repr=False)
    file: Path = Path()
    table: str = ""

    @property
    def secret(self) -> str:
        """The password; it may stand in no message."""
        return str(self.url.password or "") if self.url is not None else ""


def find_database(source: Source, password: str = "") -> Database:
    """The database that a source names; SlmError where the address is none, or its file is no database."""
    if source.is_path:
        return Database(source.shown, "sqlite", None, _checked(source.path, source.shown))
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    address = re.sub(r"^postgres(?=[:+])", "postgresql", re.sub(r"^mariadb(?=[:+])", "mysql", source.address))
    try:
        if not ADDRESS.fullmatch(address):
            raise ValueError
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise SlmError(
            f"{source.scheme}://...: is no address of a database; write {source.scheme}://user:password@host:port/name"
            " (in a password, @ : / ? # % are written %40 %3A %2F %3F %23 %25)"
        ) from None
    backend = url.get_backend_name()
    if backend not in ("sqlite", *DRIVERS):
        raise SlmError(f"{source.scheme}: is not read here; sqlite, postgresql, mysql and mariadb are")
    table = url.query.get("table", "")
    if not isinstance(table, str):
        raise SlmError(f"{source.shown}: several tables; name one, or write a query that joins them")
    shown = source.shown.partition("?")[0]
    if backend == "sqlite":
        if not url.database or url.database == ":memory:":
            raise SlmError(f"{source.shown}: names no file; write sqlite:///kb.db")
        return Database(shown, backend, None, _checked(source.folder / Path(url.database).expanduser(), shown), table)
    url = url.set(drivername=DRIVERS[backend], **({"password": password} if password else {}))
    return Database(shown, backend, url.difference_update_query(["table"]), table=table)


def _checked(path: Path, shown: str) -> Path:
    if path.is_dir():
        raise SlmError(f"{shown}: is a folder, not a database")
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except FileNotFoundError:
        raise SlmError(f"{shown}: no such file") from None
    except OSError as error:
        raise SlmError(f"{shown}: can't be read ({error.strerror or error})") from None
    if not head.startswith(MAGIC):
        raise SlmError(f"{shown}: is {'empty' if not head else 'no SQLite database (or an encrypted one)'}")
    if path.stat().st_size < _stated(head):
        raise SlmError(f"{shown}: the file is cut short; fetch it again")
    return path


def _stated(head: bytes) -> int:
    """The bytes that an SQLite file should have by its header (https://www.sqlite.org/fileformat.html, 1.3): SQLite
    itself takes zeros for what is missing of a page."""
    size, pages = int.from_bytes(head[16:18], "big"), int.from_bytes(head[28:32], "big")
    return (65536 if size == 1 else size) * pages if head[24:28] == head[92:96] else 0


def state_of(database: Database) -> str:
    """What stands for the content of an SQLite file, with what is written but not yet merged into it."""
    from hashlib import blake2b

    told = blake2b(digest_size=16)
    for path in (database.file, database.file.with_name(f"{database.file.name}-wal")):
        if path.exists():
            with path.open("rb") as file:
                while chunk := file.read(1 << 22):
                    told.update(chunk)
    return told.hexdigest()
