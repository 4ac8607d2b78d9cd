"""How long texts are: in tokens of the base's tokenizer, or near that where there is none."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from attrs import field, frozen

from slm.plugin import Base

PIECE = re.compile(r"\s*(?:[^\W\d_]{1,6}|\d{1,3}|[^\w\s]|_|\w)|\s+")
WIDE = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
)

Spans = Sequence[tuple[int, int]]


@frozen
class Measure:
    """Cuts texts into tokens; `name` says whose. Tokens are stretches (start, end) of characters; several may share
    one character."""

    name: str
    spans: Callable[[Sequence[str]], list[Spans]] = field(eq=False)

    def counts(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has."""
        return [len(spans) for spans in self.spans(texts)]


def measure_of(base: Base) -> Measure:
    """The base's own tokenizer, or pieces of words: up to six letters, three digits, or one sign each."""
    if base.path is None or not (base.path / "tokenizer.json").is_file():
        return Measure("pieces of words (the base has no tokenizer yet)", lambda texts: [_pieces(t) for t in texts])
    from slm_models.template import load_tokenizer

    tokenizer = load_tokenizer(base.path)

    def spans(texts: Sequence[str]) -> list[Spans]:
        return [each.offsets for each in tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    return Measure(f"tokens of {base.name}", spans)


def _pieces(text: str) -> list[tuple[int, int]]:
    """An ideograph or another letter of a script without spaces counts as one."""
    found = [match.span() for match in PIECE.finditer(text)]
    if text.isascii() or not WIDE.search(text):
        return found
    cuts = sorted({0, len(text), *(n for span in found for n in span), *(m.start() for m in WIDE.finditer(text))})
    return list(pairwise(cuts))
