"""From tokens to text as they come: whole characters only, and stop texts that never show. Knows no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

UNFINISHED = "�"


class Detokenizer:
    """Turns a growing list of tokens into text, piece by piece; the pieces joined are the decoded list.

    Text is decoded in a window that begins some tokens back, because a decoder drops the first space it sees. Text
    that ends within a character is held until the rest has come.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self.decode = decode
        self.tokens: list[int] = []
        self.window = 0
        self.shown = 0

    def push(self, token: int) -> str:
        """The text that the token completes; empty while a character is unfinished."""
        self.tokens.append(token)
        text = self._new()
        if not text or text.endswith(UNFINISHED):
            return ""
        self._advance()
        return text

    def flush(self) -> str:
        """What is still held, an unfinished character as U+FFFD."""
        text = self._new()
        self._advance()
        return text

    def _new(self) -> str:
        known = self.decode(self.tokens[self.window : self.shown])
        return self.decode(self.tokens[self.window :])[len(known) :]

    def _advance(self) -> None:
        if self.decode(self.tokens[self.shown :]):  # a window of nothing but silent tokens would lose a space
            self.window = self.shown
        self.shown = len(self.tokens)


class Stopper:
    """Passes text on, but holds back what may become a stop text and cuts at one that came."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.stops = tuple(stop for stop in stops if stop)
        self.held = ""

    def push(self, text: str) -> tuple[str, bool]:
        """The text that can be shown now, and whether a stop text has come."""
        self.held += text
        found = [at for stop in self.stops if (at := self.held.find(stop)) >= 0]
        if found:
            shown, self.held = self.held[: min(found)], ""
            return shown, True
        keep = max((overlap(self.held, stop) for stop in self.stops), default=0)
        shown, self.held = self.held[: len(self.held) - keep], self.held[len(self.held) - keep :]
        return shown, False

    def flush(self) -> str:
        """What was held back for nothing."""
        text, self.held = self.held, ""
        return text


def overlap(text: str, stop: str) -> int:
    """The length of the longest end of `text` that begins `stop` (and is not all of it)."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
