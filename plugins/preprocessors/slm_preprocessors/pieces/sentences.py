"""Where a text may be cut: into units that follow each other without a gap, each a sentence, a line or a code block."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})")
HEADING = re.compile(r"[ ]{0,3}(#{1,6})[ \t]+\S")
LISTED = re.compile(r"\s*(?:[-*+•][ \t]|\d{1,3}[.)][ \t]|\||>|(?: {4}|\t)\S)")
END = re.compile(
    r"(?:[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？｡]+[」』”’）\"]*|[؟।॥]+(?=\s|$))\s*"  # noqa: RUF001
)
ABBREVIATION = re.compile(
    r"(?:^|[\s(\"“])(?:[A-Za-z]|(?:e\.g|i\.e|z\.B|d\.h|u\.a|cf|vs|etc|bzw|usw|ca|vgl|Nr|no|No|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Inc|Ltd"
    r"|Co|Corp|Fig|fig|Eq|pp?|vol|Vol|ed|al|approx|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec))\.$"
)


@frozen
class Unit:
    """A stretch of a text that is better not cut. `level` is a heading's depth, 0 for all else; `block` counts the
    paragraphs, lists and code blocks: units of one block belong together."""

    start: int
    end: int
    block: int
    level: int = 0


def units(text: str) -> list[Unit]:
    """The units of a text; joined they are the text."""
    found: list[Unit] = []
    for block, (kind, start, end) in enumerate(_blocks(text)):
        if kind == "text":
            found += [Unit(at, to, block) for at, to in sentences(text, start, end)]
        else:
            found.append(Unit(start, end, block, int(kind) if kind.isdigit() else 0))
    return found


def _blocks(text: str) -> Iterator[tuple[str, int, int]]:
    """Code blocks, headings (their level), single lines of lists and tables, and paragraphs; blank lines belong to what
    stands before them."""
    kind, start, at = "", 0, 0
    for new, length in _lines(text):
        goes_on = new in ("blank", "code") or (new == kind == "text")
        if kind and not goes_on:
            yield kind.removesuffix(" end"), start, at
            start = at
        if not goes_on:
            kind = new
        elif new == "blank" and kind == "text":
            kind = "text end"
        at += length
    if start < at:
        yield kind.removesuffix(" end") or "line", start, at


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """What each line is, and its length: `fence`, the `code` behind it, a heading's level, `line` (of a list or a
    table), `text` or `blank`."""
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = FENCE.match(line)
        if fence:
            ends = mark is not None and mark[1].startswith(fence) and not line.strip(" \t\r\n`~")
            fence = "" if ends else fence
            yield "code", len(line)
        elif mark:
            fence = mark[1]
            yield "fence", len(line)
        elif not line.strip():
            yield "blank", len(line)
        elif heading := HEADING.match(line):
            yield str(len(heading[1])), len(line)
        else:
            yield ("line" if LISTED.match(line) else "text"), len(line)


def sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The sentences between two places, each with the white space behind it."""
    at = start
    for match in END.finditer(text, start, end):
        stop = text[max(at, match.start() - 12) : match.start() + 1]
        if match.end() < end and not (text[match.start()] == "." and ABBREVIATION.search(stop)):
            yield at, match.end()
            at = match.end()
    if at < end:
        yield at, end
