"""JSON APIs over HTTP, read page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, ClassVar, Literal

from attrs import define, field, frozen
from attrs.validators import ge

from slm.plugin import Batch, Bid, Hardware, Job, Rank, SlmError, Source, Work, hookimpl

from .fetching.addresses import Failure, basic, origin, parsed, shown, stated_headers
from .fetching.answers import Limits
from .fetching.client import Client, Page, open_client
from .fetching.envelope import Records, parse_answer
from .fetching.paging import (
    WEAK,
    Paging,
    Request,
    Seen,
    find_paging,
    is_behind_last,
    next_request,
    refuse_circle,
    stated_paging,
    total_of,
)
from .fetching.shelf import Shelf
from .fetching.sites import Pace
from .nested.paths import Found, parse_path
from .nested.records import Maker

LARGEST = 256 << 20
"""Bytes one answer may have."""


def _path(instance: Any, attribute: Any, value: str) -> None:
    parse_path(value)


def _json(instance: Any, attribute: Any, value: str) -> None:
    try:
        sound = not value or isinstance(json.loads(value), dict)
    except ValueError:
        sound = False
    if not sound:
        raise SlmError('body: is not a JSON object; write it as \'{"query": "..."}\'')


@frozen
class Rest:
    """Reads the records of a JSON API, page by page; how pages follow is found unless stated."""

    claims: ClassVar[tuple[str, ...]] = ("rest+https://", "rest+http://")

    records: str = field(
        default="",
        validator=_path,
        metadata={"help": "Where the records are in an answer, such as data.items; found if empty."},
    )
    params: tuple[str, ...] = field(
        default=(), repr=False, metadata={"help": 'Parameters for the address, as "name=value".'}
    )
    token: str = field(default="", repr=False, metadata={"secret": True, "help": "A bearer token."})
    user: str = field(default="", metadata={"help": "The user of a login."})
    password: str = field(default="", repr=False, metadata={"secret": True, "help": "The password of a login."})
    headers: tuple[str, ...] = field(
        default=(), repr=False, metadata={"help": 'Headers to send to the address\'s own host, as "Name: value".'}
    )
    body: str = field(
        default="", validator=_json, metadata={"help": "A JSON object to POST, for searches and GraphQL; empty: GET."}
    )
    pages: Literal["auto", "none", "page", "offset", "cursor", "link", "next"] = field(
        default="auto",
        metadata={
            "help": "How pages follow: by number, offset, cursor, Link header, or an address in the answer (next)."
        },
    )
    cursor: str = field(
        default="",
        validator=_path,
        metadata={
            "help": "Where the answer has the next cursor or address, such as meta.next or data[].id (the last)."
        },
    )
    parameter: str = field(
        default="", metadata={"help": "The parameter that takes the page, offset or cursor; found if empty."}
    )
    limit: int = field(default=0, validator=ge(0), metadata={"help": "Records to read at most; 0 for all."})
    max_pages: int = field(default=10_000, validator=ge(1), metadata={"help": "Pages to read at most."})
    rate: float = field(default=5.0, validator=ge(0), metadata={"help": "Requests a second; 0 for no bound."})
    private: bool = field(
        default=False, metadata={"help": "Allow addresses of this machine and of private networks, and proxies."}
    )
    timeout: float = field(
        default=30.0, validator=ge(0.01), metadata={"help": "Seconds to wait for an answer to go on."}
    )
    retries: int = field(
        default=4, validator=ge(0), metadata={"help": "Repetitions of a request after a failure that may pass."}
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "reads JSON APIs")

    @hookimpl
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        if source.is_path:
            raise SlmError(f"{source.shown}: is no address of the web; it needs rest+https:// and a host")
        url = source.address.removeprefix("rest+")
        origin(url)
        limits = Limits(min(10.0, self.timeout), self.timeout, max(120.0, self.timeout), LARGEST, retries=self.retries)
        with open_client(url, private=self.private, secret=self._secret(), limits=limits) as client:
            shelf = Shelf(work.checkpoints / "answers", self._hidden(url))
            pace = Pace(1 / self.rate if self.rate else 0.0)
            yield from _Reading(self, source, work, client, shelf, pace).batches(self._first(url))

    def _secret(self) -> dict[str, str]:
        if (self.user or self.password) and self.token:
            raise SlmError("token and user: an API takes one of them; state only that")
        sent = {"Accept": "application/json", **({"Content-Type": "application/json"} if self.body else {})}
        login = basic(self.user, self.password) if self.user or self.password else {}
        bearer = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {**sent, **login, **bearer, **stated_headers(self.headers)}

    def _hidden(self, url: str) -> tuple[str, ...]:
        """All that must not be on disk: what was stated as secret, and the values of parameters."""
        values = [param.partition("=")[2] for param in self.params]
        stated = [word for value in stated_headers(self.headers).values() for word in (value, *value.split())]
        parts = parsed(url)
        inside = [value for name, value in parts.params.multi_items() if f"{name}=***" in shown(url)]
        return tuple(
            each for each in [self.token, self.password, parts.password, *stated, *values, *inside] if len(each) > 3
        )

    def _first(self, url: str) -> Request:
        if wrong := [n for n, each in enumerate(self.params, start=1) if "=" not in each]:
            raise SlmError(f"params: number {wrong[0]} is not of the form 'name=value'; write it so")
        request = Request(url.partition("#")[0])
        for each in self.params:
            name, _, value = each.partition("=")
            request = request.with_param(name, value)
        return Request(request.url, self.body)


@define(eq=False)
class _Reading:
    """The way through the pages."""

    options: Rest
    source: Source
    work: Work
    client: Client
    shelf: Shelf
    pace: Pace
    paging: Paging | None = None
    rows: int = 0
    total: int = 0

    def batches(self, request: Request) -> Iterator[Batch]:
        maker = Maker(self.source.shown, self.work.warn)
        records = Records(self.options.records, self.source.shown)
        asked: set[str] = set()
        before = b""
        number = 0
        onward: Request | None = request
        while onward is not None:
            number += 1
            if number > self.options.max_pages:
                self.work.warn(f"{self.source.shown}: ended after max_pages = {number - 1:,}; raise it to read more")
                break
            refuse_circle(onward, asked, number - 1)
            page = self._page(onward, number)
            if page is None:
                break
            with self._placed(number):
                body = parse_answer(page)
                found = self._cut(records.of(body))
            before = self._refuse_same([each.value for each in found], before, number)
            for each in found:
                maker.add(each)
            self.rows += len(found)
            self.total = total_of(body, WEAK) or self.total
            if maker.some:
                yield maker.batch()
            self.work.progress(self.rows, self.total, "records")
            seen = Seen(page, body, [each.value for each in found], self.rows, number)
            onward = None if 0 < self.options.limit <= self.rows else self._next(request, onward, seen)
            if onward is not None and onward.key in asked and not found:
                break
        self._tell(number)

    def _cut(self, found: list[Found]) -> list[Found]:
        return found[: self.options.limit - self.rows] if self.options.limit else found

    def _next(self, first: Request, request: Request, seen: Seen) -> Request | None:
        options = self.options
        if self.paging is None:
            stated = options.pages if options.pages != "auto" else "cursor" if options.cursor else "auto"
            path = parse_path(options.cursor)
            if stated == "auto":
                self.paging = find_paging(first, seen)
            else:
                self.paging = stated_paging(stated, path, options.parameter, first, seen)
            if options.parameter and self.paging.kind in ("page", "offset", "cursor"):
                self.paging = Paging(
                    self.paging.kind, self.paging.path, options.parameter, self.paging.first, self.paging.pages
                )
        return next_request(self.paging, request, seen)

    def _page(self, request: Request, number: int) -> Page | None:
        """The answer; None behind the last page. What was fetched by a run that was killed or failed is kept."""
        kept, fresh = self.shelf.get(request.key)
        if kept is not None and fresh:
            return Page(request.url, 200, kept.headers, kept.body)
        self.pace.wait(origin(request.url))
        method, content = ("POST", request.body.encode()) if request.body else ("GET", None)
        try:
            page = self.client.get(request.url, None, method, content)
        except Failure as failure:
            if is_behind_last(failure, self.paging, number):
                return None
            again = "; the pages before it are kept: run again to go on from there" if number > 1 else ""
            raise SlmError(f"{self.source.shown}: page {number}: {failure.why}{again}") from None
        self.shelf.put(request.key, page)
        return page

    @contextmanager
    def _placed(self, number: int) -> Iterator[None]:
        """Failures on a page said with its number."""
        try:
            yield
        except Failure as failure:
            raise SlmError(f"{self.source.shown}: page {number}: {failure.why}") from None

    def _refuse_same(self, found: list[Any], before: bytes, number: int) -> bytes:
        """SlmError where a page has just the records of the one before: the server knows no such parameter."""
        mark = sha256(json.dumps(found).encode()).digest() if found else b""
        if found and mark == before and self.paging is not None:
            heeded = f"the server does not heed '{self.paging.name}'; " if self.paging.name else ""
            raise SlmError(
                f"{self.source.shown}: page {number} has the same records as the one before; {heeded}"
                "state how pages follow by pages and parameter, or pages = 'none'"
            )
        return mark

    def _tell(self, pages: int) -> None:
        if self.rows < self.total and not self.options.limit and pages <= self.options.max_pages:
            self.work.warn(
                f"{self.source.shown}: the answer counts {self.total:,} records and gave {self.rows:,}; "
                "state how pages follow (pages = 'page', 'offset', 'cursor', ...) if some are missing"
            )
        self.shelf.finish()
