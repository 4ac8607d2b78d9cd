"""Words of texts and the runs of them (shingles, n-grams) as 64-bit hashes, many texts at a time.

Texts are folded (NFKC, case) first. A word is a run of letters, marks and digits; a character of a script that is
written without spaces (Han, kana, Thai, ...) is a word of its own, and so is a sign (`+`, `%`, an emoji). Punctuation
and white space only part words. The same text gives the same hashes everywhere.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from attrs import frozen

from ..contents.content import MARKS

Unit = Literal["words", "characters"]
END = "\x1e"
SPACELESS = (  # first and last code points
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x312F),
    (0x3190, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip
APART, IN_WORD, ALONE = 0, 1, 2
BASE = 0x9E3779B97F4A7C15
CHARACTERS, TEXTS = 1_000_000, 50_000


@frozen(eq=False)
class Words:
    """The words of some texts: a hash each, and the first word of each text (one more: the number of words)."""

    hashes: Any
    begins: Any


def fold_all(text: str) -> str:
    """How texts are folded before they are taken apart."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def kind(character: str) -> int:
    """Whether a (folded) character parts words, belongs to one, or is one."""
    code = ord(character)
    if character in MARKS or character.isspace() or unicodedata.category(character)[0] in "CZ":
        return APART
    if unicodedata.category(character)[0] in "LMN":
        return ALONE if any(first <= code <= last for first, last in SPACELESS) else IN_WORD
    return ALONE


def split_words(text: str, unit: Unit = "words") -> list[str]:
    """The words of one text, as `hash_words` sees them: for examples, and to make sure."""
    found: list[str] = []
    before = APART
    for character in fold_all(text):
        now = kind(character)
        if unit == "characters" and now == IN_WORD:
            now = ALONE
        if now == IN_WORD and before == IN_WORD:
            found[-1] += character
        elif now != APART:
            found.append(character)
        before = now
    return found


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in batches that are hashed at once: of some million characters, or of one long text."""
    begin, size = 0, 0
    for n, text in enumerate(texts):
        if n > begin and (size + len(text) > CHARACTERS or n - begin == TEXTS):
            yield texts[begin:n]
            begin, size = n, 0
        size += len(text)
    if begin < len(texts):
        yield texts[begin:]


def hash_words(texts: Sequence[str], unit: Unit = "words") -> Words:
    """The words of each text, hashed.

    A word's hash is the sum of its characters' random numbers, each times a power of an odd base; the powers are those
    of the character's place in the batch, and those of the word's first are divided out.
    """
    import numpy as np

    codes = _codes(texts)
    kinds, numbers = _tables(codes)
    of = kinds[codes]
    ends = np.flatnonzero(codes == ord(END))
    if unit == "characters":
        of = np.where(of == IN_WORD, ALONE, of)
    starts = of == ALONE
    starts[1:] |= (of[1:] == IN_WORD) & (of[:-1] != IN_WORD)
    starts[:1] |= of[:1] == IN_WORD
    first = np.flatnonzero(starts)
    begins = np.concatenate([[0], np.searchsorted(first, ends)])
    if not len(first):
        return Words(np.zeros(0, np.uint64), begins)
    weights = numbers[codes]
    weights[of == APART] = 0
    weights *= _powers(BASE, len(codes))
    sums = np.add.reduceat(weights, first)
    return Words(mixed(sums * _powers(pow(BASE, -1, 2**64), len(codes))[first]), begins)


def _codes(texts: Sequence[str]) -> Any:
    """All code points, the folded texts one after the other, each closed by END."""
    import numpy as np

    whole = fold_all(END.join(texts)) + END
    if whole.count(END) != len(texts):
        whole = "".join(fold_all(text).replace(END, " ") + END for text in texts)
    return np.frombuffer(whole.encode("utf-32-le", "surrogatepass"), np.uint32)


def _tables(codes: Any) -> tuple[Any, Any]:
    """The kind and the random number of each code point, by code point (only those that occur are filled in)."""
    import numpy as np

    found = np.flatnonzero(np.bincount(codes))
    kinds = np.zeros(found[-1] + 1, np.uint8)
    kinds[found] = [kind(chr(code)) for code in found.tolist()]
    numbers = np.zeros(found[-1] + 1, np.uint64)
    numbers[found] = mixed(found.astype(np.uint64) + np.uint64(1))
    return kinds, numbers


def _powers(base: int, count: int) -> Any:
    """The powers of an odd number from 0, modulo 2**64."""
    import numpy as np

    powers = np.full(count, base, np.uint64)
    powers[:1] = 1
    return np.cumprod(powers, dtype=np.uint64)


def mixed(numbers: Any) -> Any:
    """Well-mixed 64-bit numbers (the finalizer of SplitMix64)."""
    import numpy as np

    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def runs(words: Words, size: int) -> tuple[Any, Any]:
    """The hash of each run of `size` words within a text, and the number of the word it begins with; a text with
    fewer words is one run."""
    import numpy as np

    counts = np.diff(words.begins)
    ends = np.repeat(words.begins[1:], counts)
    at = np.arange(len(words.hashes))
    begins = np.flatnonzero((at + size <= ends) | (at == np.repeat(words.begins[:-1], counts)))
    padded = np.concatenate([words.hashes, np.zeros(size, np.uint64)])
    found = np.zeros(len(begins), np.uint64)
    for n, factor in enumerate(_powers(BASE, size).tolist()):
        part = padded[begins + n] * np.uint64(factor)
        found += part if n == 0 else np.where(begins + n < ends[begins], part, np.uint64(0))
    return mixed(found), begins
