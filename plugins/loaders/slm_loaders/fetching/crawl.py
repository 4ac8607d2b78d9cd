"""Which pages to read: lists of addresses, sitemaps, and links followed within bounds."""

from __future__ import annotations

import re
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from html import unescape
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, urlencode

from attrs import evolve, field, frozen

from slm.plugin import SlmError

from .addresses import parsed
from .client import Page

TRACKING = re.compile(r"(?i)utm_\w+|fbclid|gclid|mc_[ce]id|phpsessid|jsessionid|sid")
LARGEST, LONGEST = 64 << 20, 8000
OTHERS = re.compile(
    r"(?i)\.(7z|avi|bmp|bz2|css|csv|dmg|docx?|epub|exe|gif|gz|ico|iso|jar|jpe?g|js|json|mov|mp[34]|msi|od[ts]|ogg|pdf|png"
    r"|pptx?|rar|rss|svg|tar|tgz|tiff?|wav|web[mp]|whl|woff2?|xlsx?|xml|xz|zip)"
)
"""Suffixes of what is no page: links to these are counted, not followed."""


def normal(url: str) -> str:
    """The address by which a page is known: without fragment, the usual port, and what only tracks visitors."""
    parts = parsed(url)
    pairs = parse_qsl(parts.query.decode("ascii"), keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if not TRACKING.fullmatch(name)]
    query = parts.query if len(kept) == len(pairs) else urlencode(kept).encode()
    port = None if parts.port == {"http": 80, "https": 443}[parts.scheme] else parts.port
    return str(parts.copy_with(userinfo=b"", fragment=None, port=port, query=query or None, path=parts.path or "/"))


def sitemap(page: Page) -> tuple[list[str], list[str]] | None:
    """The pages and the further sitemaps that a sitemap names; None for a page that is no sitemap."""
    body = page.body
    if body.startswith(b"\x1f\x8b"):
        try:
            body = zlib.decompressobj(31).decompress(body, LARGEST)
        except zlib.error:
            return None
    text = _uncommented(body.decode("utf-8-sig", "replace"))
    root = re.match(r"\s*(?:<\?[^>]*>\s*)*(?:<!DOCTYPE[^>\[]*>\s*)?<(urlset|sitemapindex)\b", text)
    if root is None:
        return None
    inner = (piece.partition(">")[2].partition("</loc")[0].strip() for piece in re.split(r"<loc\b", text)[1:])
    plain = (each.removeprefix("<![CDATA[").removesuffix("]]>").strip() for each in inner)
    addresses = [unescape(each) for each in plain if each and len(each) < LONGEST]
    return (addresses, []) if root[1] == "urlset" else ([], addresses)


def _uncommented(text: str) -> str:
    first, *others = text.split("<!--")
    return first + "".join(each.partition("-->")[2] for each in others)


def listed(page: Page) -> list[str] | None:
    """The addresses of a plain list, one a line; None for a page that is something else."""
    if not page.headers.get("content-type", "").startswith("text/plain"):
        return None
    lines = list_lines(page.body.decode("utf-8-sig", "replace").splitlines())
    return lines if lines and all(re.match("(?i)https?://", line) for line in lines) else None


def list_lines(lines: Iterable[str]) -> list[str]:
    """The lines that hold something, without comments."""
    stripped = (line.strip() for line in lines)
    return [line for line in stripped if line and not line.startswith("#")]


@frozen
class Scope:
    """What may be read of the addresses that are found: one host's, below one folder (any, if empty), and what the
    patterns say."""

    host: str = ""
    folder: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def around(self, url: str) -> Scope:
        """The same, narrowed to the folder that a page is in."""
        parts = parsed(url)
        return evolve(self, host=parts.netloc.decode(), folder=parts.path.rpartition("/")[0] + "/")

    def holds(self, url: str) -> bool:
        parts = parsed(url)
        if self.host and (parts.netloc.decode() != self.host or not (parts.path or "/").startswith(self.folder)):
            return False
        fits = not self.include or any(fnmatchcase(url, pattern) for pattern in self.include)
        return fits and not any(fnmatchcase(url, pattern) for pattern in self.exclude)


@frozen(eq=False)
class Frontier:
    """The pages that are known and still to be read, in their order, each with its distance from the start."""

    waiting: deque[tuple[str, int]] = field(factory=deque)
    known: set[str] = field(factory=set)
    others: Counter[str] = field(factory=Counter)

    def name(self, urls: Iterable[str]) -> None:
        """Note addresses that the user names: whatever they are, they are tried."""
        for url in urls:
            key = url if (parts := _normal(url)) is None else _key(parts)
            if key not in self.known:
                self.known.add(key)
                self.waiting.append((url, 0))

    def find(self, links: Iterable[str], depth: int, scope: Scope) -> None:
        """Note addresses that were found, if they are new, lead to pages, and are within the scope."""
        for link in links:
            url = _normal(link)
            if url is None or _key(url) in self.known or not scope.holds(url):
                continue
            self.known.add(_key(url))
            suffix = PurePosixPath(parsed(url).path).suffix.lower()
            if OTHERS.fullmatch(suffix):
                self.others[suffix] += 1
            else:
                self.waiting.append((url, depth))

    def __iter__(self) -> Iterator[tuple[str, int]]:
        while self.waiting:
            yield self.waiting.popleft()


def _normal(url: str) -> str | None:
    try:
        return normal(url)
    except SlmError:
        return None


def _key(url: str) -> str:
    """What two addresses of one page have in common: http and https lead to the same."""
    return url.partition("://")[2]
