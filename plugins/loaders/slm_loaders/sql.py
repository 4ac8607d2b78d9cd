"""Tables and queries of SQL databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar

from attrs import evolve, field, frozen
from attrs.validators import gt

from slm.plugin import Batch, Bid, Hardware, Job, Rank, SlmError, Source, Work, hookimpl

from .querying.databases import Database, find_database, state_of
from .querying.sessions import Session, opened, quote
from .querying.statements import reading
from .tabular.cells import to_columns

SIZE = 8 << 20
"""About the bytes of one batch."""

JSON_TYPES = (114, 3802)
"""PostgreSQL's numbers of its types json and jsonb."""


@frozen
class Sql:
    """Reads a table or a query from SQLite, PostgreSQL, MySQL or MariaDB, and never writes."""

    claims: ClassVar[tuple[str, ...]] = (
        *("sqlite://", "postgresql://", "postgres://", "postgresql+psycopg://"),
        *("mysql://", "mariadb://", "mysql+pymysql://", "mariadb+pymysql://"),
        *(".db", ".sqlite", ".sqlite3"),
    )

    table: str = field(
        default="",
        metadata={"help": "The table or view to read, also as ?table= in the address; the only one if empty."},
    )
    query: str = field(default="", metadata={"help": "A SELECT to read instead of a table."})
    since: str = field(
        default="",
        metadata={"help": "A column that grows with every change: a server is read again only where it has grown."},
    )
    password: str = field(
        default="",
        repr=False,
        metadata={
            "secret": True,
            "help": "The user's password, if it is not in the address: ${env:NAME} keeps it out of the file.",
        },
    )
    timeout: float = field(
        default=300.0, validator=gt(0), metadata={"help": "Seconds to wait for the database's next answer."}
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "reads SQL databases")

    def state(self, source: Source) -> str | None:
        """A digest of an SQLite file; of a server's table the rows and the greatest value of `since`."""
        if not self.since and not source.is_path and source.scheme != "sqlite":
            return None
        database = self._database(source)
        if database.backend == "sqlite":
            return state_of(database)
        with opened(database, self.timeout, _unheard) as session:
            rows = (
                f"({reading(self.query, database.backend)}) AS slm_rows"
                if self.query
                else self._table(session, database)
            )
            count, last = session.one(f"SELECT count(*), max({quote(self.since, database.backend)}) FROM {rows}")
        return f"{count} rows, {self.since} up to {last}"

    @hookimpl
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        database = self._database(source)
        query = reading(self.query, database.backend) if self.query else ""
        with opened(database, self.timeout, work.warn) as session:
            if query:
                yield from _batches(session, query, database.shown)
            else:
                table = self._named(session, database)
                yield from _table(session, table, f"{database.shown}?table={table}")

    def _database(self, source: Source) -> Database:
        database = find_database(source, self.password)
        if self.query and (self.table or database.table):
            raise SlmError(f"{database.shown}: a query and a table; leave one out")
        if self.table and database.table not in ("", self.table):
            raise SlmError(f"{database.shown}: two tables, {database.table} and {self.table}; leave one out")
        return evolve(database, table=self.table or database.table)

    def _table(self, session: Session, database: Database) -> str:
        return session.quoted(self._named(session, database))

    def _named(self, session: Session, database: Database) -> str:
        """The table that is meant; SlmError with those there are where none is named, or there is none like it."""
        return database.table or _only(session.tables(), database.shown)


def _only(found: Sequence[str], shown: str) -> str:
    if not found:
        raise SlmError(f"{shown}: holds no table that this user may see")
    if len(found) > 1:
        raise SlmError(f"{shown}: which table? set table = '...' ({_listed(found)})")
    return found[0]


def _listed(found: Sequence[str]) -> str:
    more = f" and {len(found) - 20} more" if len(found) > 20 else ""
    return f"there: {', '.join(found[:20])}{more}" if found else "there is none"


def _unheard(text: str) -> None:
    """A question that is asked only to know whether to read is no place for warnings."""


def _table(session: Session, table: str, address: str) -> Iterator[Batch]:
    """A table's rows in the order of its key, which is also their number where it is one whole number."""
    from sqlalchemy.exc import NoSuchTableError

    try:
        key = session.key(table)
    except NoSuchTableError:
        found = session.tables()
        close = get_close_matches(table, found, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise SlmError(f"{session.database.shown}: no table '{table}'{hint} ({_listed(found)})") from None
    order = ", ".join(quote(column, session.database.backend) for column in key)
    statement = f"SELECT * FROM {session.quoted(table)}" + (f" ORDER BY {order}" if order else "")
    yield from _batches(session, statement, address, key[0] if len(key) == 1 else "")


def _batches(session: Session, statement: str, address: str, key: str = "") -> Iterator[Batch]:
    done = 0
    for columns, rows in session.rows(statement, SIZE):
        names = [name for name, _ in columns]
        if not done:
            _refuse_twins(names, address)
        coded = [session.database.backend == "postgresql" and kind in JSON_TYPES for _, kind in columns]
        yield Batch(to_columns(names, rows, coded), address, _numbers(rows, names.index(key) if key else None, done))
        done += len(rows)


def _numbers(rows: Sequence[Any], at: int | None, done: int) -> Sequence[int]:
    """The rows' numbers: their keys, if those are whole numbers; else they are counted."""
    keys = [row[at] for row in rows] if at is not None else []
    return keys if keys and all(type(key) is int for key in keys) else range(done + 1, done + len(rows) + 1)


def _refuse_twins(names: list[Any], address: str) -> None:
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise SlmError(f"{address}: two columns are named '{twice[0]}'; name one otherwise with AS")
