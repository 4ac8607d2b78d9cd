"""What a page of the web says: its main text as markdown, title, date and language, and where it leads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from attrs import frozen

from slm.plugin import SlmError

from ..converting.blocks import make_document
from ..converting.webpage import html_blocks, is_tangled, main_content, parse_html
from ..opening.charset import decode
from ..opening.files import BINARY
from .addresses import joined, parsed
from .client import Page

PLAIN = ("text/plain", "text/markdown", "text/x-markdown")
HTML = ("text/html", "application/xhtml+xml")
OTHERS = {
    "application/pdf": "read it with use = 'documents'",
    "application/json": "read it with use = 'rest'",
    "text/csv": "read it with use = 'csv'",
    "application/vnd.openxmlformats": "read it with use = 'documents'",
}
HIDDEN = (
    "//*[@hidden or contains(translate(@style, 'DISPLAYNO ', 'displayno'), 'display:none')]"
    "[not(self::body or self::html)] | //noscript"
)
DATES = (
    "//meta[@property='article:published_time' or @itemprop='datePublished' or @name='date' or @name='DC.date'"
    " or @name='dcterms.created' or @name='citation_publication_date' or @name='pubdate']/@content",
    "//time[@pubdate or @itemprop='datePublished']/@datetime",
)
SCRIPTS = "has no text without its scripts; export its content, or find its JSON API (use = 'rest')"
ASKING = re.compile(r"(?i)\b(enable|turn on|requires?|activate|need)\b[^.]{0,40}\bjava ?script\b")
FEW, SHELL = 4, 60
"""Words a page with scripts, or one that asks for them, may have to be taken for one that holds nothing else."""


class Unreadable(SlmError):
    """A page without text to take; its message is the reason and the remedy, without the address."""

    def __init__(self, why: str, links: tuple[str, ...] = ()) -> None:
        super().__init__(why)
        self.links = links


@frozen
class Reading:
    """What a page says. `links` are whole addresses; `canonical` is where the page says that it belongs."""

    title: str | None
    text: str
    date: str | None = None
    language: str | None = None
    canonical: str = ""
    links: tuple[str, ...] = ()


def read_page(page: Page) -> Reading:
    """The page's main text; `Unreadable` for one that has none, or is no page of text."""
    kind = page.headers.get("content-type", "").partition(";")[0].strip().lower()
    _refuse_others(page, kind)
    text = decode(page.body, page.headers.get("content-type", ""))
    if kind in PLAIN or (kind not in HTML and text.lstrip()[:1] != "<"):
        if not text.strip():
            raise Unreadable("is empty; leave it out")
        return Reading(PurePosixPath(parsed(page.url).path).stem or None, text.replace("\r\n", "\n").strip())
    return _read_html(text, page)


def _refuse_others(page: Page, kind: str) -> None:
    for magic, name in BINARY.items():
        if page.body.startswith(magic):
            remedy = "read it with use = 'documents'" if "PDF" in name or "document" in name else "leave it out"
            raise Unreadable(f"is {name}, not a web page; {remedy}")
    if kind in (*HTML, *PLAIN, "", "application/octet-stream", "text/xml", "application/xml"):
        return
    remedy = next((say for other, say in OTHERS.items() if kind.startswith(other)), "leave it out")
    raise Unreadable(f"is {kind[:60]}, not a web page; {remedy}")


def _read_html(html: str, page: Page) -> Reading:
    from trafilatura.metadata import extract_metadata

    tree = None if is_tangled(html) else parse_html(html)
    if tree is None:
        raise Unreadable("its HTML can't be taken apart; leave it out" if html.strip() else "is empty; leave it out")
    base = _base(tree, page.url)
    links = tuple(dict.fromkeys(_links(tree, base)))
    hollow = _hollow(tree, base)
    for element in tree.xpath(HIDDEN):
        element.drop_tree()
    canonical = next((_whole(base, href) for href in tree.xpath("//link[@rel='canonical']/@href")), "")
    date, language = _date(tree, html), _language(tree, page)
    try:
        title = extract_metadata(tree, page.url, {"extensive_search": False}, True).title
        text = _main_text(tree)
    except (RecursionError, ValueError):
        raise Unreadable("its HTML can't be taken apart; leave it out", links) from None
    text = text or _all_text(tree)
    words = len(text.split())
    if not words or (words < FEW and hollow == SCRIPTS) or (words < SHELL and ASKING.search(text)):
        raise Unreadable(SCRIPTS if words else hollow or "has no text; leave it out", links)
    return Reading(title, text, date, language, canonical, links)


def _main_text(tree: Any) -> str:
    """The page's main content as markdown; empty where it has none."""
    main = main_content(tree)
    return "" if main is None else "\n".join(make_document("", html_blocks(main)).lines).strip()


def _hollow(tree: Any, base: str) -> str:
    """Why the page may have no text of its own; empty where nothing speaks for it."""
    if onward := _refresh(tree):
        return f"sends on to {_whole(base, onward)[:200]}; name that address"
    if tree.xpath("//frame | //iframe"):
        return "has no text of its own, but frames; name the addresses of the frames"
    return SCRIPTS if tree.xpath("//script") else ""


def _language(tree: Any, page: Page) -> str | None:
    stated = [*tree.xpath("/html/@lang | /html/@xml:lang"), page.headers.get("content-language", "").partition(",")[0]]
    return next((each.strip() for each in stated if each.strip()), None)


def _all_text(tree: Any) -> str:
    """The text of a page in which no main part was found: what stands in its body, a block a line."""
    for element in tree.xpath("//script | //style | //template | //head | //nav | //footer"):
        element.drop_tree()
    lines = (" ".join(line.split()) for line in tree.itertext())
    return "\n".join(line for line in lines if line)


def _base(tree: Any, url: str) -> str:
    return next((_whole(url, href) for href in tree.xpath("//base/@href")), "") or url


def _refresh(tree: Any) -> str:
    for content in tree.xpath("//meta[translate(@http-equiv, 'REFSH', 'refsh')='refresh']/@content"):
        if found := re.search(r"""url\s*=\s*["']?([^"'\s>]+)""", content, re.IGNORECASE):
            return found[1]
    return ""


def _links(tree: Any, base: str) -> Iterator[str]:
    """The addresses that the page leads to, unless it asks not to follow them."""
    if any("nofollow" in each.lower() for each in tree.xpath("//meta[@name='robots']/@content")):
        return
    hrefs = tree.xpath("//a[not(contains(@rel, 'nofollow'))]/@href | //area/@href | //frame/@src")
    for href in [*hrefs, _refresh(tree)]:
        if href and (link := _whole(base, href)):
            yield link


def _whole(base: str, href: str) -> str:
    """The link's whole address; nothing where it leads out of the web (mail, scripts, data)."""
    try:
        link = joined(base, href.strip())
        parsed(link)
    except SlmError:
        return ""
    return link


def _date(tree: Any, html: str) -> str | None:
    """The day that the page says it was published; none is guessed."""
    stated = [text for path in DATES for text in tree.xpath(path)]
    stated += re.findall(r'"datePublished"\s*:\s*"([^"]+)"', html)[:1]
    days = (re.search(r"\b\d{4}-\d\d-\d\d", text) for text in stated)
    return next((day[0] for day in days if day), None)
