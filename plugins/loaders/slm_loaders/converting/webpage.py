"""HTML as markdown: of a whole page its main content, of a fragment all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import field, frozen

from ..opening.charset import decode
from .blocks import Block, Document, make_document, squeeze

SKIPPED = frozenset(
    ["script", "style", "head", "noscript", "template", "svg", "iframe", "object", "button", "select", "textarea",
     "canvas", "audio", "video", "nav", "rt", "rp"]
)  # fmt: skip
INLINE = frozenset(
    ["a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "data", "del", "dfn", "em", "font", "i", "img", "input",
     "ins", "kbd", "label", "mark", "q", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time",
     "tt", "u", "var", "wbr", "code", "br", "math", "nobr", "hi", "ref", "graphic", "lb", "rb"]
)  # fmt: skip
HIDDEN = re.compile(r"(?i)display\s*:\s*none|visibility\s*:\s*hidden")
DEEP = 200
"""Levels of elements below which text is taken without its structure: real pages have 20 to 60."""


def read_page(path: Path, address: str, whole: bool = False) -> Document:
    """The page as markdown; with `whole`, all of it."""
    return read_html(path.read_bytes(), whole=whole)


def read_html(data: bytes | str, *, whole: bool = False) -> Document:
    """The page as markdown; with `whole`, navigation and footers too."""
    root = parse_html(data)
    if root is None:
        return Document()
    title = squeeze(" ".join(root.xpath("(//title)[1]//text()")))
    main = None if whole or not _is_page(data, root) else main_content(root)
    blocks = [*html_blocks(root if main is None else main)]
    return make_document(title, blocks)


def parse_html(data: bytes | str) -> Any:
    """The page's root element, its encoding found (byte order mark, meta, UTF-8, else guessed); None if empty."""
    text = data if isinstance(data, str) else decode(data, "")
    if not text.strip():
        return None
    root, complete = _parsed(text)
    return root if complete else _parsed("<p>" + re.sub(r"(?is)<(script|style)\b.*?</\1>|<[^>]*>", " ", text))[0]


def _parsed(text: str) -> tuple[Any, bool]:
    """The root element, and whether all of the text is in it: libxml2 stops at 2,048 levels of elements."""
    from lxml import etree, html

    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    root = etree.fromstring(text.replace("\0", "").encode("utf-8", "replace"), parser)
    return root, not any(error.type_name == "ERR_RESOURCE_LIMIT" for error in parser.error_log)


def is_tangled(html: str) -> bool:
    """Whether a tag has so many attributes that parsers take minutes: their time grows with the square."""
    tags = (re.sub(r""""[^"]*"|'[^']*'""", "", tag[0]) for tag in re.finditer(r"<[^<>]{5000,}", html))
    return any(len(tag.split()) > 2000 for tag in tags)


def _is_page(data: bytes | str, root: Any) -> bool:
    """Whether it is a whole page of the web, with other things on it than its content."""
    head = data[:4096].lower()
    opening = b"<html" in head if isinstance(head, bytes) else "<html" in head
    return opening and len(root.xpath("//body//*[self::a or self::nav or self::aside or self::header]")) > 5


def main_content(root: Any) -> Any:
    """The element with the page's main content; None where that can't be told from the rest."""
    import trafilatura
    from lxml import etree

    text = trafilatura.extract(
        etree.tostring(root, encoding="unicode", method="html"),
        output_format="html",
        include_tables=True,
        include_formatting=True,
        include_comments=False,
        include_links=False,
        favor_recall=True,
    )
    if not text:
        return None
    found = etree.fromstring(text.encode("utf-8"), etree.HTMLParser(encoding="utf-8"))
    body = found.find("body") if found is not None else None
    return body if body is not None and squeeze(" ".join(body.itertext())) else None


@frozen
class _State:
    """Where in a page the walk is: depth of elements, of lists, and whether this list is numbered."""

    depth: int = 0
    lists: int = 0
    count: list[int] = field(factory=list)


def html_blocks(root: Any) -> Iterator[Block]:
    """The blocks of an element."""
    yield from _walk(root, _State())


def _walk(element: Any, state: _State) -> Iterator[Block]:
    """The blocks of an element: runs of inline content are paragraphs, other elements stand for themselves."""
    if state.depth > DEEP:
        yield Block("text", inline_text(element))
        return
    inside = _State(state.depth + 1, state.lists, state.count)
    run = [element.text or ""]
    for each in element:
        name = _name(each)
        if name in INLINE and not _holds_blocks(each):
            run.append(inline_text(each))
        elif name and name not in SKIPPED:
            yield from _paragraph(run)
            run = []
            yield from () if _is_hidden(each) else _block(each, name, inside)
        run.append(each.tail or "")
    yield from _paragraph(run)


def _block(element: Any, name: str, state: _State) -> Iterator[Block]:
    if re.fullmatch("h[1-6]", name):
        yield Block("heading", inline_text(element), int(name[1]))
    elif name in ("pre", "listing", "xmp"):
        yield Block("code", _verbatim(element))
        yield Block("text")
    elif name in ("ul", "ol", "menu", "dir"):
        yield from _walk(element, _State(state.depth, state.lists + 1, [0] if name == "ol" else []))
    elif name in ("li", "dt", "dd"):
        yield from _item(element, name, state)
    elif name == "table":
        yield from _table(element, state)
    else:
        yield from _walk(element, state)


def _item(element: Any, name: str, state: _State) -> Iterator[Block]:
    """A list item: its first paragraph with the mark, the rest behind it."""
    mark = "-"
    if name == "li" and state.count:
        state.count[0] += 1
        mark = f"{state.count[0]}."
    fresh = True
    for block in _walk(element, _State(state.depth, state.lists, [])):
        if fresh and block.kind == "text" and block.text.strip():
            level = max(state.lists - 1, 0)
            yield block if name == "dt" else Block("item", block.text, level, mark)
            fresh = False
        else:
            yield block


def _table(element: Any, state: _State) -> Iterator[Block]:
    """A table of data as rows; one that is layout (a single column or row, tables or headings in it) as its content."""
    rows = [row for row in element.iter("tr") if next(row.iterancestors("table"), None) is element]
    cells = [[cell for cell in row if _name(cell) in ("td", "th")] for row in rows]
    width = max(map(len, cells), default=0)
    layout = element.xpath(".//table | .//h1 | .//h2 | .//h3 | .//pre | .//form")
    long = any(len(squeeze("".join(cell.itertext()))) > 1000 for row in cells for cell in row)
    if width < 2 or len(rows) < 2 or layout or long:
        yield from _walk(element, state)
        return
    caption = element.find("caption")
    if caption is not None:
        yield Block("text", inline_text(caption))
    yield Block("table", rows=tuple(tuple(_spread(row)) for row in cells))


def _spread(cells: list[Any]) -> Iterator[str]:
    for cell in cells:
        yield inline_text(cell).replace("\n", " ")
        span = str(cell.get("colspan", "1"))
        yield from [""] * (min(int(span), 100) - 1 if span.isdecimal() else 0)


def _paragraph(run: list[str]) -> Iterator[Block]:
    text = _trimmed("".join(run))
    if text:
        yield Block("text", text)


def _trimmed(text: str) -> str:
    lines = (re.sub(r"[ \t\r\n\f\v]+", " ", line).strip() for line in text.split("\v"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def inline_text(element: Any) -> str:
    """An element's text, its line breaks (`br`) kept as `\\v` until a paragraph is made of it."""
    parts: list[str] = []
    stack: list[Any] = [element]
    while stack:
        each = stack.pop()
        if isinstance(each, str):
            parts.append(each)
            continue
        name = _name(each)
        inner: list[Any] = [] if name in SKIPPED or _is_hidden(each) else _pieces(each, name)
        tail = [each.tail or ""] if each is not element else []
        stack.extend(reversed([*inner, *tail]))
    return "".join(parts)


def _pieces(element: Any, name: str) -> list[Any]:
    if name in ("br", "lb"):
        return ["\v"]
    own = [element.text or "", *element]
    if name in ("code", "tt", "kbd", "samp"):
        plain = "".join(element.itertext())
        return [f"`{squeeze(plain)}`"] if plain.strip() and "`" not in plain and len(plain) < 200 else own
    return own if name in INLINE else [" ", *own, " "]


def _verbatim(element: Any) -> str:
    for each in element.iter("br"):
        each.tail = "\n" + (each.tail or "")
    return "".join(element.itertext()).expandtabs(4).replace("\r\n", "\n").rstrip()


def _name(element: Any) -> str:
    return element.tag.rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


def _holds_blocks(element: Any) -> bool:
    return any(_name(each) not in INLINE for each in element.iterdescendants() if isinstance(each.tag, str))


def _is_hidden(element: Any) -> bool:
    return (
        element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or bool(HIDDEN.search(element.get("style") or ""))
    )
