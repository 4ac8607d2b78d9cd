"""Where a long text is cut, so that no piece has more tokens than it may and few sentences are broken."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence

from attrs import define, field

from .measure import Spans
from .sentences import Unit, units

Piece = tuple[int, int]


@define
class Cutter:
    """A text, its tokens and its units, to be cut into pieces of `size` tokens that overlap by `overlap`."""

    text: str
    spans: Spans
    overlap: int = 0
    starts: list[int] = field(init=False)
    marks: list[Unit] = field(init=False)
    places: list[int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.starts = [start for start, _ in self.spans]
        self.marks = units(self.text)
        self.places = [unit.start for unit in self.marks]

    def pieces(self, room: Callable[[int], int]) -> Iterator[Piece]:
        """The pieces, one after the other; `room` says how many tokens one that begins at a place may have."""
        start = after = 0
        content = len(self.text.rstrip())
        while after < content:
            first = bisect_left(self.starts, start)
            last = first + room(start)
            if last >= len(self.starts):
                yield start, len(self.text)
                return
            end = self._break(start, after, max(self.starts[last], after + 1), content)
            yield start, end
            after, start = end, self._back(start, end)

    def _break(self, start: int, after: int, limit: int, content: int) -> int:
        """Where to end a piece that begins at `start`, says something new from `after` on, and must end by `limit`:
        before a heading if it is a quarter full, else between blocks if it is half full, else between sentences."""
        low, high = bisect_right(self.places, after), bisect_right(self.places, min(limit, content - 1))
        found = [n for n in range(low, high) if not self.marks[n - 1].level]
        headings = [n for n in found if self.marks[n].level and self._full(start, self.places[n], limit, 4)]
        if headings:
            top = min(self.marks[n].level for n in headings)
            return self.places[max(n for n in headings if self.marks[n].level == top)]
        blocks = [n for n in found if self.marks[n].block != self.marks[n - 1].block]
        for chosen in ([n for n in blocks if self._full(start, self.places[n], limit, 2)], found):
            if chosen:
                return self.places[chosen[-1]]
        return self._between_words(after, min(limit, content - 1) if content > after + 1 else limit)

    def _full(self, start: int, end: int, limit: int, part: int) -> bool:
        return (end - start) * part >= limit - start

    def _between_words(self, after: int, limit: int) -> int:
        """The last place behind a space; where there is none, the limit."""
        for n in range(limit, after + 1, -1):
            if self.text[n - 1].isspace() and not self.text[n].isspace():
                return n
        return max(limit, after + 1)

    def _back(self, start: int, end: int) -> int:
        """Where the next piece begins: at `end`, or as many tokens before it as may overlap, at a sentence or a word.
        Before a heading nothing overlaps."""
        at = bisect_left(self.places, end)
        if not self.overlap or (at < len(self.marks) and self.places[at] == end and self.marks[at].level):
            return end
        earliest = max(self.starts[max(0, bisect_left(self.starts, end) - self.overlap)], start + 1)
        n = bisect_left(self.places, earliest)
        if n < len(self.places) and self.places[n] < end:
            return self.places[n]
        words = (n for n in range(earliest, end) if self.text[n - 1].isspace() and not self.text[n].isspace())
        return next(words, end)

    def headings(self, at: int) -> list[str]:
        """The headings that a place stands under, the outermost first."""
        path: list[Unit] = []
        for unit in self.marks[: bisect_right(self.places, at)]:
            if unit.level:
                path = [each for each in path if each.level < unit.level]
                if unit.start < at:
                    path.append(unit)
        return [self.text[unit.start : unit.end].strip() for unit in path]


def cut(
    text: str,
    spans: Spans,
    size: int,
    overlap: int,
    count: Callable[[Sequence[str]], list[int]],
    headings: bool,
) -> list[str]:
    """The text in chunks of at most `size` tokens, each with the headings above it if asked for.

    A piece by itself may have a token more than within its text; then all is cut again with less room.
    """
    cutter = Cutter(text, spans, overlap)
    for spare in range(size):
        prefix = Prefix(cutter, count, size // 4) if headings else None

        def room(at: int, spare: int = spare, prefix: Prefix | None = prefix) -> int:
            return max(1, size - spare - (prefix.tokens(at) if prefix else 0))

        made = [(start, text[start:end]) for start, end in cutter.pieces(room)]
        chunks = [(prefix.text(start) if prefix else "") + part for start, part in made if part.strip()]
        if max(count(chunks), default=0) <= size:
            return chunks
    return chunks


@define
class Prefix:
    """The headings to be carried into each piece, within a limit of tokens: the outermost go first."""

    cutter: Cutter
    count: Callable[[Sequence[str]], list[int]]
    limit: int
    known: dict[str, int] = field(factory=dict)

    def text(self, at: int) -> str:
        lines = self.cutter.headings(at)
        while lines:
            made = "\n".join(lines) + "\n\n"
            if made not in self.known:
                self.known[made] = self.count([made])[0]
            if self.known[made] <= self.limit:
                return made
            lines = lines[1:]
        return ""

    def tokens(self, at: int) -> int:
        return self.known.get(self.text(at), 0)
