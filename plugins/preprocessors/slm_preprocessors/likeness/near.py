"""Texts that are nearly the same: found by MinHash and banding, made sure of by the exact Jaccard similarity.

A text is the set of its runs of words (or characters). Its MinHash is, for each of many hash functions, the least value
over the set; two texts have the same value with the probability of their Jaccard similarity. A band is some of these
values taken together: texts that agree in any whole band are compared exactly (Broder 1997; Leskovec, Rajaraman and
Ullman, Mining of Massive Datasets, chapter 3).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from .grams import Unit, batches, hash_words, mixed, runs

FUNCTIONS = 128
MISSED = 0.005
BITS = 48
AT_ONCE = 1_000_000
LONGEST = 5_000_000


@frozen(eq=False)
class Sets:
    """The sets of many texts, on disk, and what is kept in memory of each: some 100 bytes.

    hashes -- 48-bit hashes, each text's in rising order and once; offsets, sizes -- where each text's are
    bands  -- a 32-bit key for each text and band; prints -- texts of one print have one set
    """

    hashes: Any
    offsets: Any
    bands: Any
    prints: Any
    sizes: Any


def banding(threshold: float) -> tuple[int, int]:
    """Bands, and values in each: as many values as leave all but 1 of 200 pairs at the threshold to be found."""
    for rows in range(FUNCTIONS, 1, -1):
        bands = math.ceil(math.log(MISSED) / math.log1p(-(threshold**rows))) if threshold < 1 else 1
        if bands * rows <= FUNCTIONS:
            return bands, rows
    return FUNCTIONS, 1


def gather(texts: Iterable[Sequence[str]], count: int, file: Path, threshold: float, unit: Unit, size: int) -> Sets:
    """The sets of `count` texts that come in batches; their hashes are written into `file`.

    Of a text, the first LONGEST characters count.
    """
    import numpy as np

    bands, rows = banding(threshold)
    keys = np.zeros((bands, count), np.uint32)
    lengths, prints, at = np.zeros(count + 1, np.int64), np.zeros(count, np.uint64), 0
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as out:
        for batch in (part for each in texts for part in batches([text[:LONGEST] for text in each])):
            hashes, counts = _sets(batch, unit, size)
            out.write(hashes)
            end = at + len(batch)
            lengths[at + 1 : end + 1] = counts
            begins = np.cumsum(counts) - counts
            prints[at:end] = np.add.reduceat(mixed(hashes), begins)
            keys[:, at:end] = _keys(hashes, begins, bands, rows)
            at = end
    offsets = np.cumsum(lengths)
    stored = np.memmap(file, np.uint64, "r") if offsets[-1] else np.zeros(0, np.uint64)
    return Sets(stored, offsets, keys, prints, np.diff(offsets))


def _sets(texts: Sequence[str], unit: Unit, size: int) -> tuple[Any, Any]:
    """Each text's runs as rising 48-bit hashes, and how many they are; a text without words counts as one run."""
    import numpy as np

    words = hash_words(texts, unit)
    hashes, begins = runs(words, size)
    row = np.searchsorted(words.begins, begins, "right") - 1
    bare = np.flatnonzero(np.diff(words.begins) == 0)
    whole = np.array([_number(texts[n]) for n in bare.tolist()], np.uint64)
    keys = np.sort(_tagged(np.concatenate([row, bare]), np.concatenate([hashes >> np.uint64(64 - BITS), whole])))
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys
    counts = np.bincount((keys >> np.uint64(BITS)).astype(np.int64), minlength=len(texts))
    return keys & np.uint64(2**BITS - 1), counts


def _number(text: str) -> int:
    """A number of a text in which there is no word."""
    from hashlib import blake2b

    return int.from_bytes(blake2b(" ".join(text.split()).encode(), digest_size=BITS // 8).digest())


def _tagged(rows: Any, hashes: Any) -> Any:
    """Numbers that sort by row, then by hash; rows below 65,536."""
    import numpy as np

    return (rows.astype(np.uint64) << np.uint64(BITS)) | hashes


def _keys(hashes: Any, begins: Any, bands: int, rows: int) -> Any:
    """Each text's key in each band."""
    import numpy as np

    factors = mixed(np.arange(1, bands * rows + 1, dtype=np.uint64))
    values = (hashes & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    product = np.empty_like(values)
    keys = np.empty((bands, len(begins)), np.uint32)
    for band in range(bands):
        key = np.zeros(len(begins), np.uint64)
        for factor in factors[band * rows : (band + 1) * rows].tolist():
            np.multiply(values, np.uint32((factor & 0xFFFFFFFF) | 1), out=product)
            key = mixed(key ^ np.minimum.reduceat(product, begins))
        keys[band] = key >> np.uint64(32)
    return keys


def jaccards(sets: Sets, one: Any, other: Any) -> Any:
    """The exact Jaccard similarity of each pair of texts."""
    import numpy as np

    found = np.ones(len(one))
    differ = np.flatnonzero(sets.prints[one] != sets.prints[other])
    found[differ] = _compared(sets, one[differ], other[differ])
    return found


def _compared(sets: Sets, one: Any, other: Any) -> Any:
    import numpy as np

    sizes = sets.sizes
    total = sizes[one] + sizes[other]
    shared = np.zeros(len(one), np.int64)
    for begin, end in _portions(total):
        rows = np.arange(end - begin)
        left, right = _members(sets, one[begin:end]), _members(sets, other[begin:end])
        tags = np.concatenate([np.repeat(rows, sizes[one[begin:end]]), np.repeat(rows, sizes[other[begin:end]])])
        keys = np.sort(_tagged(tags, np.concatenate([left, right])))
        twice = keys[1:][keys[1:] == keys[:-1]] >> np.uint64(BITS)
        shared[begin:end] = np.bincount(twice.astype(np.int64), minlength=end - begin)
    return shared / (total - shared)


def _portions(total: Any) -> Iterator[tuple[int, int]]:
    """Runs of pairs that are compared at once: at most 65,536, and some million hashes unless it is one pair."""
    import numpy as np

    upto, at = np.cumsum(total), 0
    while at < len(total):
        done = upto[at - 1] if at else 0
        end = max(at + 1, int(np.searchsorted(upto, done + AT_ONCE, "right")))
        end = min(end, at + 2**16, len(total))
        yield at, end
        at = end


def _members(sets: Sets, rows: Any) -> Any:
    """The hashes of the given texts, one text after the other."""
    import numpy as np

    sizes = sets.sizes[rows]
    before = np.cumsum(sizes) - sizes
    return sets.hashes[np.repeat(sets.offsets[rows] - before, sizes) + np.arange(int(sizes.sum()))]
