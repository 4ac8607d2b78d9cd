"""RTF: the text of the document, with its headings and tables."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from attrs import define, evolve, field

from slm.plugin import SlmError

from .blocks import Block, Document, make_document

TOKEN = re.compile(
    rb"\\([a-z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9a-fA-F]{2})|\\([^a-z])|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.IGNORECASE
)
SKIPPED = frozenset(
    ["fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "header", "footer", "headerl", "headerr", "footerl",
     "footerr", "headerf", "footerf", "listtable", "listoverridetable", "revtbl", "rsidtbl", "generator", "themedata",
     "datastore", "latentstyles", "fldinst", "bkmkstart", "bkmkend", "xe", "tc", "nonshppict", "listtext", "filetbl",
     "colorschememapping", "xmlnstbl", "deleted", "annotation", "atnid", "atnauthor", "pntext"]
)  # fmt: skip
SIGNS = {
    "tab": "\t", "line": "\n", "emdash": "\u2014", "endash": "\u2013", "bullet": "\u2022", "lquote": "\u2018",
    "rquote": "\u2019", "ldblquote": "\u201c", "rdblquote": "\u201d", "emspace": " ", "enspace": " ",
}  # fmt: skip
SYMBOLS = {b"~": "\u00a0", b"_": "-", b"\\": "\\", b"{": "{", b"}": "}", b"-": ""}
DEEP = 1000


@define
class _State:
    """What holds within a group: whether its text counts, how many letters stand in for a `\\u` one, the style."""

    skip: bool = False
    stand_in: int = 1
    heading: int = 0
    in_table: bool = False
    starred: bool = False


@define
class _Text:
    """The text read so far of a paragraph, a cell, a row."""

    codepage: str = "cp1252"
    parts: list[str] = field(factory=list)
    raw: bytearray = field(factory=bytearray)
    cells: list[str] = field(factory=list)
    rows: list[tuple[str, ...]] = field(factory=list)
    title: list[str] = field(factory=list)
    omit: int = 0

    def put(self, text: str) -> None:
        """Add text, behind the single bytes that came before it."""
        self.flush()
        self.parts.append(text)

    def flush(self) -> None:
        """Decode the single bytes: a letter may consist of two."""
        if self.raw:
            self.parts.append(bytes(self.raw).decode(self.codepage, "replace"))
            self.raw.clear()

    def take(self) -> str:
        """The text, which is then gone from here."""
        self.flush()
        text = "".join(self.parts)
        self.parts.clear()
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_rtf(path: Path, address: str) -> Document:
    """The document as markdown."""
    data = path.read_bytes()
    if not data.lstrip().startswith(b"{\\rt"):
        raise SlmError(f"{address}: is no RTF (it doesn't begin as one); is its suffix right?")
    found = re.search(rb"\{\\title ([^\\{}]*)\}", data[:100_000])
    return make_document(found[1].decode("cp1252", "replace") if found else "", _blocks(data, address))


def _blocks(data: bytes, address: str) -> Iterator[Block]:
    text, stack = _Text(), [_State()]
    for token in TOKEN.finditer(data):
        word, number, code, symbol, brace, plain = token.groups()
        state = stack[-1]
        if brace == b"{":
            stack.append(evolve(state, starred=False))
            if len(stack) > DEEP:
                raise SlmError(f"{address}: groups are nested over {DEEP} deep: the file is damaged")
        elif brace == b"}":
            stack = stack[:-1] or [_State()]
        elif symbol == b"*":
            state.starred = True
        elif word and word.lower() == b"bin":
            raise SlmError(f"{address}: holds raw binary data; save it anew as .docx")
        elif word:
            yield from _control(word.decode("ascii"), int(number) if number else None, state, text)
        elif not state.skip:
            _letters(text, code, symbol, plain)
    yield from _row_end(text)
    yield Block("text", text.take())


def _letters(text: _Text, code: bytes | None, symbol: bytes | None, plain: bytes | None) -> None:
    if text.omit and (code or plain):
        done = 1 if code else min(text.omit, len(plain or b""))
        text.omit -= done
        code, plain = None, (plain or b"")[done:] if plain else None
    if code:
        text.raw.append(int(code, 16))
    elif symbol and symbol in SYMBOLS:
        text.put(SYMBOLS[symbol])
    elif plain:
        text.raw.extend(plain)


def _control(word: str, number: int | None, state: _State, text: _Text) -> Iterator[Block]:
    """What a control word does: end a paragraph, a cell or a row, stand for a sign, or set the style."""
    if word in SKIPPED or (state.starred and word not in ("shpinst", "shptxt", "pn")):
        state.skip = True
    state.starred = False
    if word == "ansicpg" and number:
        text.codepage = _codepage(number)
    elif word == "uc":
        state.stand_in = number or 0
    elif state.skip:
        return
    elif word == "u" and number is not None:
        text.put(chr(number % 65536))
        text.omit = state.stand_in
    elif word in SIGNS:
        text.put(SIGNS[word])
    elif word == "pard":
        state.heading, state.in_table = 0, False
    elif word == "outlinelevel":
        state.heading = (number or 0) + 1 if (number or 0) < 9 else 0
    elif word == "intbl":
        state.in_table = True
    elif word in ("cell", "nestcell"):
        text.cells.append(text.take().strip())
    elif word in ("row", "nestrow"):
        text.rows.append(tuple(text.cells))
        text.cells.clear()
    elif word in ("par", "sect", "page"):
        yield from _paragraph(state, text)


def _paragraph(state: _State, text: _Text) -> Iterator[Block]:
    if state.in_table:
        text.put(" ")
        return
    yield from _row_end(text)
    said = text.take()
    yield Block("heading", said, state.heading) if state.heading else Block("text", said)


def _row_end(text: _Text) -> Iterator[Block]:
    if text.rows:
        yield Block("table", rows=tuple(text.rows))
        text.rows.clear()


def _codepage(number: int) -> str:
    try:
        return codecs.lookup(f"cp{number}").name
    except LookupError:
        return {10000: "mac-roman", 65001: "utf-8"}.get(number, "cp1252")
