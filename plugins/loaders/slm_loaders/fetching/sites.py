"""Pages fetched as a good guest: by each site's robots.txt, at a polite rate, and none twice."""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import define, field, frozen

from .addresses import Failure, origin, shown
from .client import Client, Page
from .robots import Robots, read_robots
from .shelf import Shelf


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
    shelf: Shelf
    pace: Pace
    robots: bool
    warn: Callable[[str], None]
    rules: dict[str, Robots] = field(factory=dict)

    def read(self, url: str) -> Page:
        """The page; Failure where it can't or may not be read."""
        kept, fresh = self.shelf.get(url)
        if kept and fresh:
            return kept
        rules = self._rules(url)
        if why := rules.why_not(url):
            raise Failure(url, why)
        self.pace.wait(origin(url), rules.delay)
        page = self.client.get(url, _conditions(kept) if kept else None)
        if page.status == 304 and kept:
            page = kept
        elif origin(page.url) != origin(url) and (why := self._rules(page.url).why_not(page.url)):
            raise Failure(url, f"redirects to {shown(page.url)}: {why}")
        self.shelf.put(url, page)
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


def _conditions(page: Page) -> dict[str, str]:
    names = {"etag": "if-none-match", "last-modified": "if-modified-since"}
    return {names[name]: page.headers[name] for name in names if name in page.headers}
