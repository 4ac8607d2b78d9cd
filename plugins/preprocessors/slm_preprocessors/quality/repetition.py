"""How much of a text repeats itself: the ratios and limits of the MassiveText filter.

Source: J. W. Rae et al., "Scaling Language Models: Methods, Analysis & Insights from Training Gopher",
arXiv:2112.11446, table A1. Words are counted as they stand between spaces; a script without spaces is counted by
characters, which the paper does not say.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

Strictness = Literal["extreme", "gopher", "off"]
LIMITS: Mapping[str, float] = {
    "repeated lines": 0.30,
    "repeated paragraphs": 0.30,
    "characters in repeated lines": 0.20,
    "characters in repeated paragraphs": 0.20,
    "characters in the top 2-gram": 0.20,
    "characters in the top 3-gram": 0.18,
    "characters in the top 4-gram": 0.16,
    "characters in repeated 5-grams": 0.15,
    "characters in repeated 6-grams": 0.14,
    "characters in repeated 7-grams": 0.13,
    "characters in repeated 8-grams": 0.12,
    "characters in repeated 9-grams": 0.11,
    "characters in repeated 10-grams": 0.10,
}
EXTREME = {"characters in the top 2-gram": 0.6, "characters in repeated 5-grams": 0.8}
SHORTEST = {"extreme": 20, "gopher": 50}
TIMES = {"extreme": 4, "gopher": 2}
"""How often an n-gram is there when it counts as repeated."""
LONGEST = 20_000
NUMBER = re.compile(r"\d+")


def repeats(text: str, how: Strictness) -> str:
    """Which limit the text breaks, and by how much; empty if none.

    `gopher` holds the paper's limits, for texts of 50 words or more; `extreme` only what is hardly a text any more, of
    20 or more. Only the first 20,000 words are looked at.
    """
    words = text.split(None, LONGEST)[:LONGEST]
    if sum(map(len, words)) > 12 * len(words) and not text.isascii():
        words = [c for c in text if not c.isspace()][:LONGEST]
    if how == "off" or len(words) < SHORTEST[how]:
        return ""
    limits = LIMITS if how == "gopher" else EXTREME
    for name, limit in limits.items():
        share = _ratio(name, text, words, TIMES[how])
        if share > limit:
            return f"{name}: {share:.0%} (at most {limit:.0%})"
    return ""


def _ratio(name: str, text: str, words: Sequence[str], times: int) -> float:
    if "gram" in name:
        size = int(NUMBER.findall(name)[0])
        return top_gram(words, size) if "top" in name else repeated_grams(words, size, times)
    parts = _parts(text, "\n\n" if "paragraphs" in name else "\n")
    weight: Callable[[str], int] = len if "characters" in name else lambda part: 1
    return repeated_parts(parts, weight)


def _parts(text: str, gap: str) -> list[str]:
    return [part for part in map(str.strip, text.split(gap)) if part]


def repeated_parts(parts: Sequence[str], weight: Callable[[str], int]) -> float:
    """The share of the parts that say what an earlier one says."""
    again = sum(map(weight, parts)) - sum(map(weight, set(parts)))
    return again / max(1, sum(map(weight, parts)))


def top_gram(words: Sequence[str], size: int) -> float:
    """The share of the characters that are in the commonest n-gram, if it is there more than once."""
    counts = Counter(zip(*(words[n:] for n in range(size)), strict=False))
    if not counts:
        return 0.0
    gram, count = counts.most_common(1)[0]
    return min(1.0, count * sum(map(len, gram)) / sum(map(len, words))) if count > 1 else 0.0


def repeated_grams(words: Sequence[str], size: int, times: int = 2) -> float:
    """The share of the characters that are in n-grams that are there `times` or more; each character counts once."""
    grams = list(zip(*(words[n:] for n in range(size)), strict=False))
    counts = Counter(grams)
    within = bytearray(len(words))
    for n, gram in enumerate(grams):
        if counts[gram] >= times:
            within[n : n + size] = b"\1" * size
    return sum(len(word) for word, inside in zip(words, within, strict=True) if inside) / max(1, sum(map(len, words)))
