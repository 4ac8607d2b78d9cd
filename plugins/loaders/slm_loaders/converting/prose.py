"""Printed pages as running text: headers and footers gone, lines joined to paragraphs, hyphenated words made whole."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from attrs import frozen

LIGATURES = {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0xFB00, 0xFB07)} | {0xA0: " ", 0: None}
ITEM = re.compile(r"\s*(?:[•◦▪‣●○■□–*-]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,5})[.)])\s+\S")  # noqa: RUF001
BULLET = re.compile(r"^\s*[•◦▪‣●○■□]\s*")
NUMBERED = re.compile(r"^(?:[\dA-Z]{1,4}(?:\.\d+)*\.?)\s+")
PAGE_NUMBER = re.compile(r"(?i)\W*(?:page|seite|p\.)?\s*(\d{1,5})\s*(?:(?:of|von|/)\s*\d{1,5})?\W*")
WORD_BREAK = re.compile(r"(\w+)-\s*$")
EDGE = 3
"""Lines at the top and at the bottom of a page among which headers and footers are looked for."""


@frozen
class Paragraph:
    """A paragraph, the page it begins on, and its depth where it is a heading; `loose` are lines that were not joined
    to any other (of a table, a poem, an address)."""

    text: str
    page: int
    heading: int = 0
    loose: bool = False


def plain_lines(text: str) -> list[str]:
    """A page's lines: ligatures as letters, soft hyphens only where a line ends, no blanks around."""
    lines = text.translate(LIGATURES).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [re.sub("\u00ad(?=.)", "", line).strip() for line in lines]


def without_furniture(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    """The pages without the headers and footers that many of them share, and without page numbers."""
    seen: Counter[str] = Counter()
    for lines in pages:
        seen.update({_form(lines[n]) for n in _edges(lines)})
    often = max(3, 0.3 * len(pages))
    cleaned = []
    for number, lines in enumerate(pages, start=1):
        edges = _edges(lines)
        repeated = {n for n in edges if seen[_form(lines[n])] >= often}
        outer = {n for n in (edges[:1] + edges[-1:]) if _is_number(lines[n], number)} if len(edges) > 1 else set()
        kept = [line for n, line in enumerate(lines) if n not in repeated | outer]
        cleaned.append(kept if any(kept) else list(lines))
    return cleaned


def _edges(lines: Sequence[str]) -> list[int]:
    full = [n for n, line in enumerate(lines) if line]
    return full if len(full) <= 2 * EDGE else [*full[:EDGE], *full[-EDGE:]]


def _form(line: str) -> str:
    return re.sub(r"\d+|\b[ivxl]+\b", "#", line.casefold())


def _is_number(line: str, page: int) -> bool:
    found = PAGE_NUMBER.fullmatch(line)
    return found is not None and int(found[1]) == page


def join_lines(pages: Sequence[Sequence[str]], headings: Mapping[int, Mapping[str, int]]) -> Iterator[Paragraph]:
    """The paragraphs of pages. `headings` names, by page (1 the first), the titles on it and their depth.

    A line goes on in the next where its first word would not have fitted, or where a sentence visibly goes on;
    hyphens at such ends are taken out.
    """
    compounds = {word.casefold() for lines in pages for line in lines for word in re.findall(r"\w+-\w+", line)}
    held: list[str] = []
    began = 1
    for page, line, following, width in _walk(pages):
        depth = _depth(line, headings.get(page, {}))
        if depth or not line:
            if held:
                yield _made(held, began, compounds)
                held = []
            if line:
                yield Paragraph(line, page, depth)
            continue
        began = began if held else page
        held.append(line)
        goes_on = following and not ITEM.match(following) and _forced(line, following, width)
        if not goes_on or _depth(following, headings.get(page, {})):
            yield _made(held, began, compounds)
            held = []
    if held:
        yield _made(held, began, compounds)


def _walk(pages: Sequence[Sequence[str]]) -> Iterator[tuple[int, str, str, float]]:
    """Each line with its page, the line behind it (over a page's end only where a sentence goes on) and the width of
    the text around it."""
    for page, lines in enumerate(pages, start=1):
        width = _width(lines)
        for line, following in pairwise(lines):
            yield page, line, following, width
        if lines:
            after = next((each for each in pages[page] if each), "") if page < len(pages) else ""
            yield page, lines[-1], after if after[:1].islower() and lines[-1][-1:] not in ".?!:" else "", width


def _width(lines: Sequence[str]) -> float:
    """Letters in a full line; 0 where too few lines are full for the page to be running text."""
    lengths = sorted(len(line) for line in lines if line)
    width = lengths[int(0.9 * (len(lengths) - 1))] if lengths else 0
    full = sum(length > 0.85 * width for length in lengths)
    return width if width >= 30 and full > 0.4 * len(lengths) else 0


def _depth(line: str, titles: Mapping[str, int]) -> int:
    return titles.get(heading_key(line), 0) if titles and line else 0


def heading_key(title: str) -> str:
    """A title's letters without its number, for comparison."""
    return "".join(re.findall(r"\w+", NUMBERED.sub("", title.strip()).translate(LIGATURES).casefold()))


def _forced(line: str, following: str, width: float) -> bool:
    if not width:
        return False
    ended = line.endswith((".", "?", "!", ":"))
    if following[:1].islower() and not ended:
        return len(line) > 0.6 * width
    return len(line) + 1 + len(following.split(" ", 1)[0]) > (1.0 if ended else 0.92) * width


def _made(lines: list[str], page: int, compounds: set[str]) -> Paragraph:
    text = lines[0]
    for line in lines[1:]:
        text = _joined(text, line, compounds)
    return Paragraph(BULLET.sub("- ", text.rstrip("\u00ad")), page, loose=len(lines) == 1)


def _joined(text: str, line: str, compounds: set[str]) -> str:
    if text.endswith("\u00ad"):
        return text[:-1] + line
    cut = WORD_BREAK.search(text)
    if cut and line[:1].islower():
        word = re.match(r"\w+", line)
        compound = f"{cut[1]}-{word[0] if word else ''}".casefold()
        return text.rstrip() + line if compound in compounds else text.rstrip().removesuffix("-") + line
    return text + line if _wide(text[-1]) and _wide(line[:1]) else f"{text} {line}"


def _wide(letter: str) -> bool:
    """A letter of a script that is written without spaces."""
    return bool(letter) and unicodedata.east_asian_width(letter) in "WF" and not "\uac00" <= letter <= "\ud7af"
