"""Items that lie far apart, by their words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

from slm_annotation.opinions import words
from slm_annotation.values import Item

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 256  # of a vector; the cosine of two is known to about 1 / sqrt(WIDTH)
TABLE = 1 << 18  # how many different features are counted
CHARACTERS = 2000  # of a text that are looked at
POOL = 20_000  # the most items that are compared at once: 20 MB of vectors
ROUNDS = 1000  # after which several are chosen at a time
SAMPLE = 5000  # texts that tell how rare a feature is
FEW = 128  # covered items compared at once


def spread(items: Sequence[Item], limit: int, seed: int, covered: Sequence[Item] = ()) -> list[Item]:
    """At most `limit` items, each drawn with a chance that grows with its squared distance from the nearest of those
    drawn before and those covered (k-means++: D. Arthur, S. Vassilvitskii, 2007).

    Taking the farthest each time (k-center) finds the oddest texts instead. Of more items than POOL and more than four
    times the limit, the first so many are looked at: put them in an order by lot. Distance is that of unit vectors of
    TF-IDF over words and runs of three characters, hashed into WIDTH numbers.
    """
    import numpy as np

    if limit >= len(items):
        return list(items)
    pool, near_to = items[: max(POOL, 4 * limit)], covered[-POOL:]
    table = vectors([shown(item) for item in [*pool, *near_to]])
    points, known = table[: len(pool)], table[len(pool) :]
    near = np.full(len(pool), 2.0, dtype=np.float32)
    for at in range(0, len(known), FEW):
        closer(near, points, known[at : at + FEW])
    random = np.random.default_rng(seed)
    chosen: list[int] = []
    while len(chosen) < limit:
        some = draw(near, min(-(-limit // ROUNDS), limit - len(chosen)), random)
        if not some:  # what is left is all like something chosen: take it as it comes
            taken = set(chosen)
            chosen += [n for n in range(len(pool)) if n not in taken][: limit - len(chosen)]
            break
        chosen += some
        closer(near, points, points[some])
        near[some] = 0
    return [pool[n] for n in chosen]


def draw(chances: NDArray[Any], count: int, random: Any) -> list[int]:
    """At most `count` different places, each by its chance."""
    import numpy as np

    steps = np.cumsum(chances, dtype=np.float64)
    if steps[-1] <= 0:
        return []
    found = np.searchsorted(steps, random.random(count) * steps[-1], side="right")
    return [int(n) for n in np.unique(np.minimum(found, len(chances) - 1)) if chances[n] > 0]


def closer(near: NDArray[Any], points: NDArray[Any], chosen: NDArray[Any]) -> None:
    """Lower squared distances to those from the nearest of `chosen`, where that is nearer."""
    import numpy as np

    found = 2 - 2 * (points @ chosen.T).max(axis=1)
    found[found < 1e-5] = 0  # the same, but for rounding
    np.minimum(near, found, out=near)


def shown(item: Item) -> str:
    """The words of an item's fields, turns included."""
    return "\n".join(strings(item.fields))[:CHARACTERS]


def strings(value: Any) -> Iterator[str]:
    """All texts in a value but names of roles."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name in sorted(value):
            if name != "role":
                yield from strings(value[name])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from strings(each)


def vectors(texts: Sequence[str]) -> NDArray[Any]:
    """A unit vector (WIDTH, float32) for each text; one without words is like its like only. How rare a feature is,
    SAMPLE texts tell."""
    import numpy as np

    seen = np.zeros(TABLE, dtype=np.int64)
    sample = texts[:: -(-len(texts) // SAMPLE) or 1]
    for text in sample:
        seen[np.unique(features(text)[0] % TABLE)] += 1
    weight = np.log((1 + len(sample)) / (1 + seen)) + 1
    table = np.zeros((len(texts), WIDTH), dtype=np.float32)
    for row, text in zip(table, texts, strict=True):
        hashes, counts = features(text)
        signs = np.where(hashes >> 31, 1.0, -1.0)
        row += np.bincount(hashes // TABLE % WIDTH, signs * (1 + np.log(counts)) * weight[hashes % TABLE], WIDTH)
        row /= np.linalg.norm(row) or 1.0
    return table


def features(text: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """The hash of each different word, and run of three characters within words; and how often it comes."""
    import numpy as np

    parts = words(text)
    runs = [f" {part} "[n : n + 3] for part in parts for n in range(len(part))]
    counts = Counter([f"{part}\n" for part in parts] + runs or [""])
    return np.array([crc32(part.encode()) for part in counts]), np.array(list(counts.values()), dtype=np.float64)
