"""robots.txt: what a site allows programs to read, and how fast (RFC 9309)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote, urlsplit

from attrs import frozen

from .addresses import Failure, shown
from .client import Client

NAME = "slm"
LARGEST = 500 << 10
SLOWEST = 300.0


@frozen
class Robots:
    """A site's rules for this program: patterns of paths, each allowed or not; `refused` says why nothing is."""

    rules: tuple[tuple[str, bool], ...] = ()
    delay: float = 0.0
    refused: str = ""

    def why_not(self, url: str) -> str:
        """Why the page may not be read; empty where it may. The longest pattern decides, `allow` where two do."""
        if self.refused:
            return self.refused
        parts = urlsplit(url)
        path = _plain(parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fitting = [(len(pattern), allowed) for pattern, allowed in self.rules if _fits(pattern, path)]
        if not fitting or max(fitting)[1]:
            return ""
        return "the site's robots.txt asks programs not to read it; ask its owner, or set robots = false if it is yours"


def read_robots(client: Client, site: str) -> Robots:
    """The rules of a site (scheme://host:port): all is allowed where there is no robots.txt, nothing where it can't be
    read, as the standard has it."""
    url = f"{site}/robots.txt"
    try:
        page = client.get(url)
    except Failure as failure:
        if 400 <= failure.status < 500 and failure.status != 429:
            return Robots()
        if not failure.status:
            return Robots(refused=failure.why)  # the site can't be reached at all: that is what there is to say
        return Robots(refused=f"{shown(url)} can't be read ({failure.why}), so nothing here may be read now")
    return parse_robots(page.body[:LARGEST].decode("utf-8-sig", "replace"))


def parse_robots(text: str) -> Robots:
    """The rules of the groups that name this program, else of those for all."""
    groups: dict[str, list[tuple[str, str]]] = {}
    agents: list[str] = []
    heading = False
    for key, value in _lines(text):
        if key == "user-agent":
            agents = [*agents, value.lower()] if heading else [value.lower()]
            groups.setdefault(value.lower(), [])
        elif key in ("allow", "disallow", "crawl-delay"):
            for agent in agents:
                groups[agent].append((key, value))
        heading = key == "user-agent" or (heading and key not in ("allow", "disallow", "crawl-delay"))
    return _rules(groups)


def _rules(groups: Mapping[str, list[tuple[str, str]]]) -> Robots:
    mine = groups.get(NAME, groups.get("*", []))
    delays = [float(value) for key, value in mine if key == "crawl-delay" and re.fullmatch(r"\d+(\.\d+)?", value)]
    rules = tuple((_plain(value), key == "allow") for key, value in mine if key != "crawl-delay" and value)
    return Robots(rules, min(SLOWEST, max(delays, default=0.0)))


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, found, value = line.partition("#")[0].partition(":")
        if found:
            yield key.strip().lower(), value.strip()


def _plain(path: str) -> str:
    return quote(unquote(path), safe="/*$?=&%+,;:@!~'()-._")


def _fits(pattern: str, path: str) -> bool:
    """Whether a path begins as the pattern says: `*` stands for anything, `$` at its end for the path's end."""
    first, *others = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    if pattern.endswith("$"):
        last = others.pop() if others else ""
        if not others and not pattern.count("*"):
            return at == len(path)
        if not path.endswith(last):
            return False
        path = path[: len(path) - len(last)]
    for part in others:
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return at <= len(path)
