"""How an API hands out its records page by page: found in its first answer, or as the user says, and followed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from attrs import evolve, frozen

from slm.plugin import SlmError

from ..nested.paths import Step
from .addresses import Failure, joined, shown
from .client import Page

URLS = ("next", "nexturl", "nextlink", "nextpage", "nextpageurl", "nexthref", "@odata.nextlink", "href")
CURSORS = {
    "nextcursor": "cursor", "cursor": "cursor", "endcursor": "after", "after": "after", "nextpagetoken": "pageToken",
    "nexttoken": "nextToken", "continuationtoken": "continuationToken", "nextmarker": "marker", "next": "cursor",
    "nextpage": "page", "scrollid": "scroll_id", "nextoffset": "offset",
}  # fmt: skip
"""Names under which answers give the next cursor, and the parameter that usually takes it."""

NUMBERS = ("page", "currentpage", "pagenumber", "pageindex", "number")
LAST = ("totalpages", "pages", "pagecount", "lastpage", "numpages", "nbpages")
OFFSETS = ("offset", "skip", "start", "startat", "from", "startindex")
TOTALS = (
    "total",
    "totalcount",
    "totalresults",
    "totalrecords",
    "totalitems",
    "totalelements",
    "numfound",
    "nbhits",
)
WEAK = "count"
"""It counts all records, or those of the page alone."""

MORE = ("hasmore", "hasnext", "hasnextpage")
ENDS = ("islast", "last", "lastpage", "islastpage")
LEVELS = 4


@frozen
class Request:
    """What is asked for: an address, and the body of a search."""

    url: str
    body: str = ""

    @property
    def key(self) -> str:
        return f"{self.url}\n{self.body}"

    def param(self, name: str) -> str | None:
        """The value of a parameter."""
        return self.params().get(name)

    def params(self) -> dict[str, str]:
        """The parameters in the address, and the numbers that stand in the body."""
        found = dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))
        body = json.loads(self.body) if self.body else {}
        return {**found, **{name: str(value) for name, value in body.items() if _is_number(value)}}

    def with_param(self, name: str, value: str | int) -> Request:
        """The request with a parameter: in the body where there is one (`variables.after` is a place in it)."""
        if self.body:
            return evolve(self, body=_placed(self.body, name, value))
        parts = urlsplit(self.url)
        pairs = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != name]
        return evolve(self, url=urlunsplit(parts._replace(query=urlencode([*pairs, (name, value)]), fragment="")))


def _placed(body: str, name: str, value: str | int) -> str:
    whole = json.loads(body)
    inner, *deeper = whole, *name.split(".")
    for key in deeper[:-1]:
        inner = inner.setdefault(key, {})
    inner[deeper[-1]] = value
    return json.dumps(whole)


@frozen
class Paging:
    """The way from one page to the next: `kind`, the place in the answer (`path`), the parameter (`name`), and the
    number of the first page or offset."""

    kind: str
    path: tuple[Step, ...] = ()
    name: str = ""
    first: int = 0
    pages: int | None = None


@frozen
class Seen:
    """An answer: its page, what was read of it, the records in it, and the number of all up to here."""

    page: Page
    body: Any
    records: Sequence[Any]
    count: int
    number: int


def next_request(paging: Paging, request: Request, seen: Seen) -> Request | None:
    """The request for the page behind this one; None at the end."""
    if paging.kind == "link":
        link = _linked(seen.page.headers.get("link", ""))
        return evolve(request, url=joined(seen.page.url, link)) if link else None
    if paging.kind in ("next", "cursor"):
        value = _at(seen, paging.path)
        if value in (None, "", False, 0, "0") or _ended(seen.body):
            return None
        if paging.kind == "next":
            return evolve(request, url=joined(seen.page.url, str(value)))
        return request.with_param(paging.name, value)
    total = total_of(seen.body)
    over = total is not None and total > 0 and seen.count >= total
    if paging.kind == "none" or not seen.records or over or _ended(seen.body):
        return None
    if paging.kind == "page":
        done = paging.pages is not None and seen.number >= paging.pages
        return None if done else request.with_param(paging.name, paging.first + seen.number)
    return request.with_param(paging.name, paging.first + seen.count)


def find_paging(request: Request, seen: Seen) -> Paging:
    """How the first answer says that it goes on."""
    if _linked(seen.page.headers.get("link", "")):
        return Paging("link")
    entries = list(_entries(seen.body, seen.records))
    for path, name, value in entries:
        if name in URLS and isinstance(value, str) and re.match(r"https?://|/|\?", value) and _is_next(path):
            return Paging("next", path)
    for path, name, value in entries:
        if name in CURSORS and _is_cursor(value) and (name != "next" or not isinstance(value, bool)):
            usual = "page" if name == "next" and _is_number(value) else parameter_of(request, path[-1].name)
            return Paging("cursor", path, usual)
    return _counted(request, entries) or _in_query(request) or Paging("none")


def _is_next(path: Sequence[Step]) -> bool:
    return _plain(path[-1].name) != "href" or (len(path) > 1 and _plain(path[-2].name) == "next")


def _is_cursor(value: Any) -> bool:
    return (isinstance(value, str) and bool(value)) or (
        isinstance(value, int) and not isinstance(value, bool) and value > 0
    )


def parameter_of(request: Request, name: str) -> str:
    """The parameter that takes a cursor which answers give under this name: in the name's own spelling."""
    if request.body and "pageInfo" in request.body:
        return "variables.after"
    usual = CURSORS.get(_plain(name), "cursor")
    if "_" in name and usual != usual.lower():
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", usual).lower()
    return usual


def _counted(request: Request, entries: Sequence[tuple[tuple[Step, ...], str, Any]]) -> Paging | None:
    """By the numbers in the answer: this page of so many, or this offset of so many records."""
    numbers = {name: (path, value) for path, name, value in reversed(entries) if _is_number(value)}
    pages = next((numbers[name][1] for name in LAST if name in numbers), None)
    here = next((numbers[name] for name in NUMBERS if name in numbers), None)
    if here and pages is not None:
        name = next((each for each in request.params() if _plain(each) in ("p", *NUMBERS)), None)
        usual = "page" if _plain(here[0][-1].name) in ("currentpage", "number") else here[0][-1].name
        return Paging("page", (), name or usual, here[1], pages)
    offset = next((numbers[name] for name in OFFSETS if name in numbers), None)
    if offset and any(name in numbers for name in (*TOTALS, WEAK)):
        return Paging("offset", (), offset[0][-1].name, offset[1])
    return None


def _in_query(request: Request) -> Paging | None:
    """By a parameter that the user wrote into the address: `?page=1`, `?offset=0`."""
    for kind, names in (("page", ("p", "pg", *NUMBERS)), ("offset", OFFSETS)):
        for name, value in request.params().items():
            if _plain(name) in names and value.isdigit():
                return Paging(kind, (), name, int(value))
    return None


def stated_paging(kind: str, path: tuple[Step, ...], name: str, request: Request, seen: Seen) -> Paging:
    """The paging that the user states, what they leave out found."""
    found = find_paging(request, seen)
    if kind in ("page", "offset"):
        same = found if found.kind == kind else _in_query(request) or Paging("none")
        name = name or (same.name if same.kind == kind else kind)
        given = request.param(name) or ""
        first = int(given) if given.isdigit() else same.first if same.kind == kind else int(kind == "page")
        return Paging(kind, (), name, first, found.pages if found.kind == "page" else None)
    if kind in ("cursor", "next") and not path:
        if found.kind != kind:
            return Paging("none") if found.kind == "none" else found
        path = found.path
    return Paging(kind, path, name or (parameter_of(request, path[-1].name) if kind == "cursor" else ""))


def total_of(body: Any, *names: str) -> int | None:
    """The number of all records, where the answer says it under a name that means it, or under one of `names`."""
    numbers = {name: value for _, name, value in _entries(body, ()) if _is_number(value)}
    return next((numbers[name] for name in (*TOTALS, *names) if name in numbers), None)


def _ended(body: Any) -> bool:
    """Whether the answer says that nothing follows."""
    flags = [(len(path), name, value) for path, name, value in _entries(body, ()) if isinstance(value, bool)]
    return any((name in MORE and not value) or (name in ENDS and value and level <= 2) for level, name, value in flags)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


def _entries(body: Any, records: Sequence[Any]) -> Iterator[tuple[tuple[Step, ...], str, Any]]:
    """The plain values of an answer's envelope, the outer ones first: place, name in plain spelling, value."""
    level: list[tuple[tuple[Step, ...], Mapping[str, Any]]] = [((), body)] if isinstance(body, dict) else []
    for _ in range(LEVELS):
        inner: list[tuple[tuple[Step, ...], Mapping[str, Any]]] = []
        for path, each in level:
            if len(records) == 1 and each is records[0]:
                continue
            for name, value in each.items():
                step = (*path, Step("key", name))
                if isinstance(value, dict):
                    inner.append((step, value))
                else:
                    yield step, _plain(name), value
        level = inner


def _at(seen: Seen, path: Sequence[Step]) -> Any:
    """What stands at a place in the answer; `[]` stands for the last of a list."""
    value = seen.body
    for step in path:
        if step.kind == "each":
            value = value[-1] if isinstance(value, list) and value else None
        else:
            value = value.get(step.name) if isinstance(value, dict) else None
    return value


def _linked(header: str) -> str:
    """The address of `rel="next"` in a Link header."""
    for address, tail in re.findall(r"<([^<>]*)>([^<]*)", header):
        if re.search(r"""(?i);\s*rel\s*=\s*(?:"[^"]*\bnext\b[^"]*"|'?next\b)""", tail[:200]):
            return str(address)
    return ""


def refuse_circle(request: Request, asked: set[str], number: int) -> None:
    """SlmError where a page leads back to one that was read."""
    if request.key in asked:
        place = shown(request.url)
        raise SlmError(f"{place}: page {number} leads back to one that was read; state how pages follow by pages")
    asked.add(request.key)


def is_behind_last(failure: Failure, paging: Paging | None, number: int) -> bool:
    """Whether a refusal is how some APIs say that there are no more pages."""
    return number > 1 and paging is not None and paging.kind in ("page", "offset") and failure.status in (400, 404, 416)
