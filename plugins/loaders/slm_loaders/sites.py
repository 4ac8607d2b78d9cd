"""Pages fetched as a good guest: by each site's robots.txt, at a polite rate, and none twice within a day.

Answers are kept in a folder, under names that tell nothing of the addresses: after a kill they are read from there.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from attrs import define, field, frozen

from .addresses import Failure, origin, shown
from .client import Client, Page
from .robots import Robots, read_robots

FRESH = 24 * 3600
"""Seconds for which a page that is here is taken as it is; later the site is asked whether it changed."""

HEADERS = ("content-type", "content-language", "etag", "last-modified")


@define
class Pace:
    """The time between two requests to one host."""

    seconds: float
    due: dict[str, float] = field(factory=dict)

    def wait(self, place: str, delay: float = 0.0) -> None:
        """Wait for this host's turn; `delay` is what the site asks for."""
        now = time.monotonic()
        turn = max(now, self.due.get(place, now))
        self.due[place] = turn + max(self.seconds, delay)
        time.sleep(turn - now)


@frozen(eq=False)
class Sites:
    """Fetches pages from any number of sites."""

    client: Client
    folder: Path
    pace: Pace
    robots: bool
    warn: Callable[[str], None]
    rules: dict[str, Robots] = field(factory=dict)

    def read(self, url: str) -> Page:
        """The page; Failure where it can't or may not be read."""
        kept = _kept(self.folder, url)
        if kept and time.time() - kept.age < FRESH:
            return kept.page
        rules = self._rules(url)
        if why := rules.why_not(url):
            raise Failure(url, why)
        self.pace.wait(origin(url), rules.delay)
        page = self.client.get(url, _conditions(kept.page) if kept else None)
        if page.status == 304 and kept:
            page = kept.page
        elif origin(page.url) != origin(url) and (why := self._rules(page.url).why_not(page.url)):
            raise Failure(url, f"redirects to {shown(page.url)}: {why}")
        _keep(self.folder, url, page)
        return page

    def _rules(self, url: str) -> Robots:
        site = origin(url)
        if site not in self.rules:
            rules = read_robots(self.client, site) if self.robots else Robots()
            if rules.delay > 10:
                self.warn(
                    f"{shown(site)}: its robots.txt asks for {rules.delay:g} s between pages: this will take long"
                )
            self.rules[site] = rules
        return self.rules[site]


@frozen(eq=False)
class Kept:
    """A page that is here, and when it was fetched."""

    page: Page
    age: float


def _file(folder: Path, url: str) -> Path:
    return folder / f"page-{sha256(url.encode()).hexdigest()[:32]}"


def _kept(folder: Path, url: str) -> Kept | None:
    try:
        head, _, body = _file(folder, url).read_bytes().partition(b"\n")
        told = json.loads(head)
        return Kept(Page(told["url"], 200, told["headers"], zlib.decompress(body)), told["time"])
    except (OSError, ValueError, KeyError, zlib.error):
        return None


def _keep(folder: Path, url: str, page: Page) -> None:
    """Keep the page, whole or not at all; of its address what messages may show."""
    folder.mkdir(parents=True, exist_ok=True)
    headers = {name: page.headers[name] for name in HEADERS if name in page.headers}
    head = json.dumps({"url": shown(page.url), "headers": headers, "time": time.time()})
    file = _file(folder, url)
    aside = file.with_suffix(".new")
    aside.write_bytes(head.encode() + b"\n" + zlib.compress(page.body, 1))
    aside.replace(file)


def _conditions(page: Page) -> dict[str, str]:
    names = {"etag": "if-none-match", "last-modified": "if-modified-since"}
    return {names[name]: page.headers[name] for name in names if name in page.headers}
