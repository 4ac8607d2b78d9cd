"""JSON read from a stream, value by value: memory for one of them, not for the file.

Where the text is broken, the error names line and column. What Python's reader is too lenient or too strict about:
NaN and Infinity, which JSON has not, are null; a key that stands twice is noted, as the value is only half known; a
number of more digits than Python converts is kept as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from attrs import define, field

from slm.plugin import SlmError

from ..opening.decoding import STRAY

BLANK = re.compile(r"[ \t\n\r]*")
LONGEST = 256 << 20
"""Characters one value may have."""

NEAR = 16
"""An error so near to where the text read so far ends may be gone when there is more."""

DIGITS = 4300


@define
class Scanner:
    """A JSON text, read from its beginning.

    Of the value read last: `span` is its length, `faults` what is wrong in it, `doubt` whether its texts may hold what
    is no character: halves of surrogate pairs or, where the text has `strays`, bytes that are not UTF-8. `passed` are
    the keys of lists that nobody asked for.
    """

    pieces: Iterator[str]
    address: str
    text: str = ""
    at: int = 0
    lines: int = 0
    column: int = 0
    span: int = 0
    doubt: bool = False
    strays: bool = False
    faults: list[str] = field(factory=list)
    passed: list[str] = field(factory=list)
    decoder: json.JSONDecoder = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=lambda _: None, parse_int=_integer
        )

    def peek(self) -> str:
        """The first character of what comes next; empty at the end."""
        while True:
            found = BLANK.match(self.text, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more():
                return ""

    def take(self, character: str) -> None:
        """Go on behind this character; SlmError where another stands."""
        if self.peek() != character:
            raise self.fault(f"'{character}' is missing")
        self.at += 1

    def value(self) -> Any:
        """The whole value that comes next."""
        if not self.peek():
            raise self.fault("the file ends where a value should be")
        while True:
            self.faults.clear()
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                near = error.pos >= len(self.text) - NEAR or error.msg.startswith("Unterminated string")
                behind = error.pos - self.at
                if near and self._more():
                    continue
                why = error.msg.removesuffix(" at").removesuffix(" starting")
                raise self.fault(why, self.at + behind) from None
            except RecursionError:
                raise self.fault("nested too deeply") from None
            if end == len(self.text) and self._more():  # a number may go on
                continue
            self.doubt = self.strays or self.text.find("\\u", self.at, end) >= 0
            self.span, self.at = end - self.at, end
            return value

    def skip(self, levels: int = 2) -> None:
        """Go on behind the next value without keeping it."""
        kind = self.peek()
        if levels and kind == "[":
            for _ in self.elements():
                self.skip(levels - 1)
        elif levels and kind == "{":
            for _ in self.members():
                self.skip(levels - 1)
        else:
            self.value()

    def elements(self) -> Iterator[int]:
        """Stand before each element of the list that comes next; who asks reads it (`value`) before going on."""
        self.take("[")
        if self.peek() == "]":
            self.at += 1
            return
        for n in range(1 << 62):
            if self.peek() in ("]", ","):
                raise self.fault("a value is missing behind the comma")
            yield n
            if self.peek() == "]":
                self.at += 1
                return
            self._comma()

    def members(self) -> Iterator[str]:
        """Stand before the value of each key of the object that comes next; who asks reads it before going on."""
        self.take("{")
        if self.peek() == "}":
            self.at += 1
            return
        while True:
            if self.peek() != '"':
                raise self.fault("a key in double quotes is missing")
            name = self.value()
            self.take(":")
            yield name
            if self.peek() == "}":
                self.at += 1
                return
            self._comma()

    def end(self) -> None:
        """SlmError unless nothing comes."""
        if self.peek():
            raise self.fault("something stands behind the end of the JSON value")

    def fault(self, why: str, at: int | None = None, what: str = "not JSON: ") -> SlmError:
        """The error that the text is broken, at an offset of the text held or where it is read."""
        at = self.at if at is None else at
        line = self.lines + self.text.count("\n", 0, at) + 1
        begin = self.text.rfind("\n", 0, at)
        column = at - begin if begin >= 0 else self.column + at + 1
        return SlmError(f"{self.address}:{line}:{column}: {what}{why}; mend it there")

    def _comma(self) -> None:
        if self.peek() != ",":
            raise self.fault("a comma or a closing bracket is missing" if self.peek() else "the file ends too early")
        self.at += 1

    def _more(self) -> bool:
        """Read on, at least as much as is held: so a long value is not begun too often."""
        done = self.text[: self.at]
        if "\n" in done:
            self.lines += done.count("\n")
            self.column = 0
        self.column += len(done) - done.rfind("\n") - 1
        held = [self.text[self.at :]]
        added, wanted = 0, len(held[0])
        if wanted > LONGEST:
            raise self.fault(f"a value of over {LONGEST >> 20} million characters")
        for piece in self.pieces:
            held.append(piece)
            self.strays = self.strays or (not piece.isascii() and STRAY.search(piece) is not None)
            added += len(piece)
            if added and added >= wanted:
                break
        self.text, self.at = "".join(held), 0
        return bool(added)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            self.faults.append(f"the key '{twice[:80]}' stands twice")
        return made


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) < DIGITS else digits
