"""Pages of the web: one, a list, a sitemap's, or those that a crawl finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import ClassVar, Literal

from attrs import define, field, frozen
from attrs.validators import ge

from slm.plugin import Batch, Bid, Hardware, Job, Rank, Reject, SlmError, Source, Work, hookimpl

from .converting.passages import cut
from .fetching.addresses import Failure, shown, stated_headers
from .fetching.answers import Limits
from .fetching.client import Page, open_client
from .fetching.crawl import Frontier, Scope, list_lines, listed, sitemap
from .fetching.http import remote_state
from .fetching.pages import Reading, Unreadable, read_page
from .fetching.shelf import Shelf
from .fetching.sites import Pace, Sites

LARGEST = 16 << 20
"""Bytes a page or sitemap may have."""

MAPS = 100
"""Sitemaps that an index may lead to."""

SAME = 0.8
"""Share of words from which on two pages that say they are the same page are so."""


@frozen
class Web:
    """Reads pages of the web: their main text as markdown, with title, date and language."""

    claims: ClassVar[tuple[str, ...]] = ("https://", "http://")

    urls: tuple[str, ...] = field(default=(), metadata={"help": "Further pages to read."})
    crawl: int = field(
        default=0,
        validator=ge(0),
        metadata={"help": "Follow links from the page, to this many pages in all; 0: don't."},
    )
    depth: int = field(default=5, validator=ge(0), metadata={"help": "Links that a crawl follows one after another."})
    include: tuple[str, ...] = field(
        default=(), metadata={"help": 'Patterns that a found address must fit, such as "*/docs/*".'}
    )
    exclude: tuple[str, ...] = field(default=(), metadata={"help": "Patterns of found addresses to leave out."})
    limit: int = field(default=10_000, validator=ge(1), metadata={"help": "Pages to read of a list or sitemap."})
    per: Literal["file", "section"] = field(
        default="file", metadata={"help": "What becomes a record: a whole page, or each section under a heading."}
    )
    rate: float = field(
        default=1.0, validator=ge(0), metadata={"help": "Requests a second to one host; 0 for no bound."}
    )
    robots: bool = field(
        default=True, metadata={"help": "Keep to the sites' robots.txt; switch off for a site of your own."}
    )
    private: bool = field(
        default=False, metadata={"help": "Allow addresses of this machine and of private networks, and proxies."}
    )
    headers: tuple[str, ...] = field(
        default=(), repr=False, metadata={"help": 'Headers to send to the address\'s own host, as "Name: value".'}
    )
    timeout: float = field(
        default=30.0, validator=ge(0.01), metadata={"help": "Seconds to wait for an answer to go on."}
    )
    retries: int = field(
        default=4, validator=ge(0), metadata={"help": "Repetitions of a request after a failure that may pass."}
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "reads pages of the web")

    def state(self, source: Source) -> str | None:
        single = not (self.urls or self.crawl or source.is_path) and not source.address.endswith(
            (".xml", ".gz", ".txt")
        )
        return remote_state(source, private=self.private, headers=self.headers) if single else None

    @hookimpl
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        named = _named(source, self.urls)
        limits = Limits(min(10.0, self.timeout), self.timeout, max(120.0, self.timeout), LARGEST, retries=self.retries)
        secret = stated_headers(self.headers)
        with open_client(named[0], private=self.private, secret=secret, limits=limits) as client:
            pace = Pace(1 / self.rate if self.rate else 0.0)
            shelf = Shelf(work.checkpoints / "pages", tuple(secret.values()))
            sites = Sites(client, shelf, pace, self.robots, work.warn)
            yield from _Tour(self, source, work, sites, Frontier()).batches(named)
            shelf.finish()


@define(eq=False)
class _Tour:
    """The way through the pages: what was read, what is the same, and what could not be read."""

    options: Web
    source: Source
    work: Work
    sites: Sites
    frontier: Frontier
    read: int = 0
    maps: int = 0
    same: int = 0
    scope: Scope | None = None
    rejected: list[Reject] = field(factory=list)
    texts: set[bytes] = field(factory=set)
    canonical: dict[str, frozenset[str]] = field(factory=dict)

    def batches(self, named: list[str]) -> Iterator[Batch]:
        self.frontier.name(named)
        alone = len(named) == 1 and not self.source.is_path
        most = self.options.crawl or self.options.limit
        for url, depth in self.frontier:
            if self.read >= most:
                self.frontier.waiting.appendleft((url, depth))
                break
            self.read += 1
            yield from self._step(url, depth, alone=alone and depth == 0)
            self.work.progress(self.read, min(most, self.read + len(self.frontier.waiting)), "pages")
        if self.rejected:
            yield _batch([], shown(named[0]), [], self._rejects())
        self._tell()

    def _step(self, url: str, depth: int, *, alone: bool) -> Iterator[Batch]:
        """Read one page; where the user named but this one, its failure is the source's."""
        try:
            page = self.sites.read(url)
            if self._is_list(page, depth):
                return
            if self.options.crawl and depth == 0 and self.scope is None:
                self.scope = self._patterns().around(page.url)
            reading = read_page(page)
        except Unreadable as error:
            self._follow(error.links, depth)
            if alone and not self.frontier.waiting:
                raise SlmError(f"{shown(url)}: {error}") from None
            self.rejected.append(Reject(shown(url), str(error)))
        except Failure as failure:
            if alone:
                raise
            self.rejected.append(Reject(shown(url), failure.why))
        else:
            self._follow(reading.links, depth)
            if not self._seen(page, reading):
                yield self._batch(page, reading)

    def _follow(self, links: Iterable[str], depth: int) -> None:
        if self.scope is not None and depth < self.options.depth:
            self.frontier.find(links, depth + 1, self.scope)

    def _patterns(self) -> Scope:
        return Scope(include=self.options.include, exclude=self.options.exclude)

    def _is_list(self, page: Page, depth: int) -> bool:
        """Note the pages of a sitemap or a list of addresses; these are no pages themselves, and are not counted."""
        if depth:
            return False
        pages, maps = sitemap(page) or (listed(page), [])
        if pages is None:
            return False
        self.read -= 1
        self.maps += 1 + len(maps)
        if self.maps > MAPS:
            raise Failure(page.url, f"leads to over {MAPS} sitemaps; name those that you want")
        if not pages and not maps:
            raise Failure(page.url, "is a sitemap that names no page; check the address")
        self.frontier.name(maps)
        self.frontier.find(pages, 1, self._patterns())
        return True

    def _seen(self, page: Page, reading: Reading) -> bool:
        """Whether another page has this text, or says that it is the same page and has nearly this text."""
        words = reading.text.split()
        mark = sha256(" ".join(words).encode()).digest()[:16]
        key = reading.canonical or page.url
        known, present = self.canonical.get(key), frozenset(words)
        alike = known is not None and len(known & present) >= SAME * len(known | present)
        if mark in self.texts or alike:
            self.same += 1
            return True
        self.texts.add(mark)
        self.canonical.setdefault(key, present)
        return False

    def _batch(self, page: Page, reading: Reading) -> Batch:
        passages = list(cut(reading.text.split("\n"), self.options.per, ""))
        address = shown(page.url)
        rows = [
            {
                "url": address,
                "title": passage.title or reading.title,
                "text": passage.text,
                "date": reading.date,
                "language": reading.language,
            }
            for passage in passages
        ]
        return _batch(rows, address, [passage.line for passage in passages], self._rejects())

    def _rejects(self) -> tuple[Reject, ...]:
        taken = tuple(self.rejected)
        self.rejected.clear()
        return taken

    def _tell(self) -> None:
        """Say what was left out."""
        say, name = self.work.warn, self.source.shown
        if self.same:
            say(f"{name}: pages left out because another has the same text: {self.same:,}")
        if others := self.frontier.others:
            kinds = ", ".join(f"{kind} ({count})" for kind, count in others.most_common(8))
            say(f"{name}: links to files of other kinds are not followed: {kinds}")
        if left := len(self.frontier.waiting):
            option = "crawl" if self.options.crawl else "limit"
            say(f"{name}: {left:,} more pages are known and not read; raise {option} to read them")


def _named(source: Source, urls: tuple[str, ...]) -> list[str]:
    """The addresses that the user names: the source's, or those in a file of them, and those of the option."""
    if not source.is_path:
        return [source.address, *urls]
    try:
        lines = list_lines(source.path.read_text(encoding="utf-8-sig").splitlines())
    except OSError as error:
        raise SlmError(f"{source.shown}: can't be read ({error.strerror}); name a file of addresses") from None
    except UnicodeDecodeError:
        raise SlmError(f"{source.shown}: is not UTF-8 text; name a file with an address on each line") from None
    if not [*lines, *urls]:
        raise SlmError(f"{source.shown}: names no page; write an address on each line")
    return [*lines, *urls]


def _batch(rows: list[dict[str, str | None]], address: str, numbers: list[int], rejected: tuple[Reject, ...]) -> Batch:
    import pyarrow

    schema = pyarrow.schema([(name, pyarrow.string()) for name in ("url", "title", "text", "date", "language")])
    return Batch(pyarrow.Table.from_pylist(rows, schema=schema), address, numbers, rejected)
