"""Collections of MongoDB and of servers that speak its protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import islice
from typing import Any, ClassVar

from attrs import field, frozen
from attrs.validators import gt

from slm.plugin import Batch, Bid, Hardware, Job, Rank, SlmError, Source, Work, hookimpl

from .querying.bson_values import plain
from .querying.refusals import explained
from .tabular.cells import to_columns

ROWS = 5_000
CONNECT = 5_000
"""Milliseconds to wait for a server to answer at all."""

NOT_ALLOWED = 13
"""MongoDB's number for what a user may not do."""

NAMED = re.compile(r"(?<=[?&])collection=([^&]*)&?")


@frozen
class Mongodb:
    """Reads a collection of a MongoDB database."""

    claims: ClassVar[tuple[str, ...]] = ("mongodb://", "mongodb+srv://")

    collection: str = field(
        default="", metadata={"help": "The collection, also as ?collection= in the address; the only one if empty."}
    )
    filter: str = field(
        default="", metadata={"help": 'Which documents, as MongoDB\'s JSON: \'{"lang": "en"}\'; all if empty.'}
    )
    fields: tuple[str, ...] = field(
        default=(), metadata={"help": "The fields to read, with dots for those inside of others; all if empty."}
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
        return Bid(Rank.POSSIBLE, "reads MongoDB collections")

    @hookimpl
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        asked = NAMED.search(source.address)
        name = self.collection or (asked[1] if asked else "")
        shown = source.shown.partition("?")[0]
        query = self._query(shown)
        with self._opened(NAMED.sub("", source.address), shown) as database:
            name = _named(database, name, shown)
            pieces = database[name].find_raw_batches(
                query,
                projection=list(self.fields) or None,
                sort=[("_id", 1)],
                batch_size=ROWS,
                max_time_ms=int(self.timeout * 1000),
            )
            yield from _batches(pieces, f"{shown}?collection={name}", database.codec_options)

    def _query(self, shown: str) -> Mapping[str, Any]:
        from bson import json_util
        from bson.errors import BSONError

        try:
            found = json_util.loads(self.filter or "{}")
        except (ValueError, TypeError, BSONError) as error:
            raise SlmError(f"{shown}: filter: not MongoDB's JSON: {error}") from None
        if not isinstance(found, dict):
            raise SlmError(f'{shown}: filter: not an object; write for instance \'{{"lang": "en"}}\'')
        return found

    @contextmanager
    def _opened(self, address: str, shown: str) -> Iterator[Any]:
        """The address's database; what goes wrong with it is a SlmError of one line."""
        from bson.codec_options import CodecOptions, DatetimeConversion
        from bson.errors import BSONError
        from pymongo.errors import ConfigurationError, PyMongoError

        # times that Python has not, and texts that are not UTF-8, must not end the reading
        times, texts = DatetimeConversion.DATETIME_AUTO, "surrogateescape"
        reading: Any = CodecOptions(datetime_conversion=times, unicode_decode_error_handler=texts)
        try:
            with self._client(address, shown) as client:
                yield client.get_default_database(codec_options=reading)
        except ConfigurationError as error:
            if "default database" in str(error):
                raise SlmError(f"{shown}: names no database; write mongodb://host/NAME") from None
            raise explained(error, shown, self.password, self.timeout) from None
        except (PyMongoError, BSONError) as error:
            raise explained(error, shown, self.password, self.timeout) from None

    def _client(self, address: str, shown: str) -> Any:
        from pymongo import MongoClient
        from pymongo.errors import InvalidURI

        waits = {"serverSelectionTimeoutMS": CONNECT, "connectTimeoutMS": CONNECT}
        waits = {name: wait for name, wait in waits.items() if name.lower() not in address.lower()}
        login = {"password": self.password} if self.password else {}
        try:
            return MongoClient(address, **waits, **login, socketTimeoutMS=int(self.timeout * 1000) + CONNECT)
        except (InvalidURI, ValueError):
            raise SlmError(
                f"{shown.partition('://')[0]}://...: is no address of a database; write mongodb://user:password@host/name"
                " (in a password, @ : / ? # % are written %40 %3A %2F %3F %23 %25)"
            ) from None


def _named(database: Any, name: str, shown: str) -> str:
    """The collection that is meant; SlmError with those there are where none is named, or there is none like it."""
    from pymongo.errors import OperationFailure

    try:
        found = sorted(each for each in database.list_collection_names() if not each.startswith("system."))
    except OperationFailure as error:
        if name and error.code == NOT_ALLOWED:
            return name  # who may not list may still read
        raise
    listed = f"there: {', '.join(found[:20])}{' ...' if len(found) > 20 else ''}" if found else "there is none"
    if name and name not in found:
        close = get_close_matches(name, found, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise SlmError(f"{shown}: no collection '{name}'{hint} ({listed})")
    if not name and len(found) != 1:
        raise SlmError(f"{shown}: which collection? set collection = '...' ({listed})")
    return name or found[0]


def _batches(pieces: Any, address: str, reading: Any) -> Iterator[Batch]:
    """Batches of documents, with a column for every field of theirs."""
    from bson import decode_iter

    done = 0
    for piece in pieces:
        documents = decode_iter(piece, reading)
        while rows := [{key: plain(value) for key, value in each.items()} for each in islice(documents, ROWS)]:
            names = list(dict.fromkeys(name for row in rows for name in row))
            cells = [[row.get(name) for name in names] for row in rows]
            numbers = range(done + 1, done + len(rows) + 1)
            yield Batch(to_columns(names, cells, [False] * len(names)), address, numbers)
            done += len(rows)
