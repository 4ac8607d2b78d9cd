"""Sessions with SQL databases that can only read, and see one state of the data from beginning to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from attrs import field, frozen

from slm.plugin import SlmError

from ..opening.decoding import mend
from .databases import Database
from .refusals import explained

CONNECT = 10
"""Seconds to wait for a server to answer at all."""

ROWS = 10_000
STEPS = {"sqlite": 100, "mysql": 100, "postgresql": 500}
"""Rows to ask for at once: PostgreSQL is asked over the network each time, the others send or read on by themselves."""

IDLE = 86_400
"""Seconds that a server shall wait while rows it gave are worked on."""


@frozen(eq=False)
class Clock:
    """Tells a statement that takes too long: `until` is when the present one has to have answered."""

    seconds: float
    until: list[float] = field(factory=lambda: [float("inf")])

    def start(self) -> None:
        self.until[:] = [time.monotonic() + self.seconds]

    def over(self) -> bool:
        return time.monotonic() > self.until[0]


@frozen(eq=False)
class Session:
    """An open database, inside of one transaction that can only read and sees one state of the data."""

    database: Database
    connection: Any
    clock: Clock

    def rows(self, statement: str, size: int) -> Iterator[tuple[list[Any], list[Any]]]:
        """Columns (name and the driver's type) and rows, as many at a time as make about `size` bytes, and no more than
        `ROWS`."""
        options = {"stream_results": True, "no_parameters": True}
        self.clock.start()
        result = self.connection.exec_driver_sql(statement, execution_options=options)
        columns = [(each[0], each[1]) for each in result.cursor.description]
        ended = False
        try:
            for rows in _grouped(self._fetched(result), size):
                yield columns, rows
                self.clock.start()
            ended = True
        finally:
            self._let_go(result, ended)

    def _fetched(self, result: Any) -> Iterator[tuple[list[Any], int]]:
        """Few rows at a time, with about the bytes in them: what comes next may be much longer than what came before,
        so that many at once could be more than memory holds."""
        most, size = STEPS[self.database.backend], 1 << 20
        count = 10
        while rows := result.fetchmany(count):
            weight = _weight(rows)
            yield rows, weight
            count = max(1, min(most, size * len(rows) // weight))
            self.clock.start()

    def one(self, statement: str) -> Any:
        """The first row of a statement's answer."""
        self.clock.start()
        return self.connection.exec_driver_sql(statement, execution_options={"no_parameters": True}).first()

    def tables(self) -> list[str]:
        """The tables, or the views where there are no tables."""
        inspector = self._inspector()
        return sorted(inspector.get_table_names()) or sorted(inspector.get_view_names())

    def key(self, table: str) -> list[str]:
        """The columns of a table's primary key."""
        name, schema = self._parted(table)
        return list(self._inspector().get_pk_constraint(name, schema=schema)["constrained_columns"])

    def quoted(self, table: str) -> str:
        """A table's name as it stands in a statement."""
        name, schema = self._parted(table)
        return ".".join(quote(part, self.database.backend) for part in (schema, name) if part)

    def _parted(self, table: str) -> tuple[str, str | None]:
        """Table and schema; a dot may also be part of a name."""
        schema, dot, name = table.rpartition(".")
        inspector = self._inspector()
        known = {*inspector.get_table_names(), *inspector.get_view_names()} if dot else {table}
        return (table, None) if table in known else (name, schema)

    def _inspector(self) -> Any:
        from sqlalchemy import inspect

        self.clock.start()
        return inspect(self.connection)

    def _let_go(self, result: Any, ended: bool) -> None:
        """Close a result. PyMySQL would first read all rows that are left: there the connection is cut instead."""
        if not ended and result.cursor is not None and self.database.backend == "mysql":
            result.cursor._result.unbuffered_active = False
            result.cursor.connection = None
            self.connection.invalidate()
        result.close()


def _grouped(pieces: Iterable[tuple[list[Any], int]], size: int) -> Iterator[list[Any]]:
    """Pieces put together to about `size` bytes, or `ROWS` rows."""
    held: list[Any] = []
    total = 0
    for rows, weight in pieces:
        held += rows
        total += weight
        if total >= size or len(held) >= ROWS:
            yield held
            held, total = [], 0
    if held:
        yield held


def quote(name: str, backend: str) -> str:
    """A name as the database writes it in a statement."""
    mark = "`" if backend == "mysql" else '"'
    return mark + name.replace(mark, mark * 2) + mark


def _weight(rows: list[Any]) -> int:
    """About the bytes in rows."""
    return sum(16 + (len(value) if isinstance(value, str | bytes) else 8) for row in rows for value in row)


@contextmanager
def opened(database: Database, seconds: float, warn: Callable[[str], None]) -> Iterator[Session]:
    """A session, closed at the end; what goes wrong in it is a SlmError of one line."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    clock = Clock(seconds)
    if database.backend == "sqlite":
        engine = create_engine("sqlite://", creator=lambda: _open_file(database, clock, warn), poolclass=NullPool)
    else:
        arguments = _arguments(database)
        engine = create_engine(database.url, connect_args=arguments, poolclass=NullPool)
    begun: list[float] = []
    try:
        with engine.connect() as connection:
            begun.append(seconds)
            _begin(database.backend, connection, seconds)
            yield Session(database, connection, clock)
    except (SQLAlchemyError, UnicodeDecodeError) as error:
        raise explained(error, database.shown, database.secret, *begun) from None
    except RuntimeError as error:  # a driver without what its server's login needs
        if "cryptography" not in str(error):
            raise
        raise SlmError(
            f"{database.shown}: the server's login needs one more package: pip install cryptography"
        ) from None


def _arguments(database: Database) -> dict[str, Any]:
    """What the driver is told. Times and exact numbers stay the text that MySQL sends: 0000-00-00 is no date."""
    wait = int(database.url.query.get("connect_timeout", CONNECT))
    if database.backend == "postgresql":
        return {"connect_timeout": wait}
    from pymysql.constants import FIELD_TYPE as KIND
    from pymysql.converters import conversions

    plain = (KIND.DATE, KIND.NEWDATE, KIND.DATETIME, KIND.TIMESTAMP, KIND.TIME, KIND.DECIMAL, KIND.NEWDECIMAL)
    decoders = {kind: decoder for kind, decoder in conversions.items() if kind not in plain}
    decoders[KIND.BIT] = lambda value: int.from_bytes(value, "big")
    return {"connect_timeout": wait, "read_timeout": wait, "conv": decoders}


def _begin(backend: str, connection: Any, seconds: float) -> None:
    """Begin the transaction. All is said within it: behind a pooler, what a session is told would outlive it."""
    told = {
        "sqlite": ("PRAGMA query_only = ON", "BEGIN"),
        "postgresql": (
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            f"SET LOCAL statement_timeout = {int(seconds * 1000)}",
            "SET LOCAL idle_in_transaction_session_timeout = 0",
            "SET LOCAL standard_conforming_strings = on",
            "SET LOCAL datestyle = 'ISO, YMD'",
            "SET LOCAL timezone = 'UTC'",
        ),
        "mysql": (
            f"SET SESSION net_write_timeout = {IDLE}",
            "SET SESSION time_zone = '+00:00'",
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ),
    }
    driver = connection.connection.driver_connection
    if backend == "mysql":
        driver._read_timeout = seconds  # until here that of the connection: PyMySQL has one for both
    for statement in told[backend]:
        connection.exec_driver_sql(statement)
    if backend == "postgresql":
        _take_text(driver)


def _take_text(connection: Any) -> None:
    """Have times, exact numbers and JSON as PostgreSQL writes them: its infinity and its NaN have no Python value."""
    from psycopg.types.string import TextLoader

    for name in ("date", "time", "timetz", "timestamp", "timestamptz", "interval", "numeric", "uuid", "json", "jsonb"):
        connection.adapters.register_loader(name, TextLoader)


def _open_file(database: Database, clock: Clock, warn: Callable[[str], None]) -> Any:
    """An SQLite file, for reading. One in WAL mode that nobody writes is taken as it is: to open it as usual, SQLite
    would have to make files beside it."""
    import sqlite3

    log = database.file.with_name(f"{database.file.name}-wal")
    with database.file.open("rb") as file:
        logged = file.read(20)[18:20] == b"\2\2"
    alone = logged and not (log.exists() and log.stat().st_size)
    address = f"{database.file.resolve().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"
    connection = sqlite3.connect(
        address, uri=True, timeout=min(5, clock.seconds), isolation_level=None, check_same_thread=False
    )
    connection.text_factory = _reader(database.shown, warn)
    connection.set_progress_handler(clock.over, 100_000)
    return connection


def _reader(shown: str, warn: Callable[[str], None]) -> Callable[[bytes], str | bytes]:
    """Reads SQLite's text, which need not be UTF-8; what is no text at all stays bytes."""
    warned: list[bool] = []

    def read(raw: bytes) -> str | bytes:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            if not warned:
                warn(f"{shown}: some texts are not UTF-8; their stray bytes are read as cp1252")
            warned.append(True)
        try:
            return mend(raw.decode("utf-8", "surrogateescape"))
        except UnicodeDecodeError:
            return raw

    return read
