"""Items that lie far apart, by their words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any
from zlib import crc32

from slm_annotation.opinions import words
from slm_annotation.values import Item

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 256  # of a vector; the cosine of two is known to about 1 / sqrt(WIDTH)
TABLE = 1 << 18  # how many different features are counted
CHARACTERS = 2000  # of a text that are looked at
POOL = 20_000  # the most items that are compared at once: 40 MB of vectors
ROUNDS = 1000  # after which several are chosen at a time
SAMPLE = 5000  # texts that tell how rare a feature is
FEW = 128  # covered items compared at once
BLOCK = 512  # points compared with all middles at once
ITERATIONS = 8  # of k-means: it hardly moves after
WORK = 20_000_000_000  # multiplications after which it stops sooner
ALIKE = 1e-5  # a squared distance that is nothing but rounding
PLACES = 6  # of a cosine: products differ in their last digits from call to call, and texts alike would be told apart


def spread(items: Sequence[Item], limit: int, seed: int, covered: Sequence[Item] = ()) -> list[Item]:
    """At most `limit` items that stand for the others: k-means clusters what is there, and of each cluster the item
    nearest to its middle is taken, those of the largest first. What is nearer to a covered item than to any middle
    belongs to no cluster.

    The first middles are drawn far from each other and from what is covered (k-means++: D. Arthur, S. Vassilvitskii,
    2007). Those drawn are the oddest texts rather than the usual ones, so they are not taken as they are. Of more items
    than POOL and more than four times the limit, the first so many are looked at: put them in an order by lot.
    """
    import numpy as np

    if limit >= len(items):
        return list(items)
    pool, near_to = items[: max(POOL, 4 * limit)], covered[-POOL:]
    table = vectors([shown(item) for item in [*pool, *near_to]])
    points, known = table[: len(pool)], table[len(pool) :]
    likeness = np.full(len(pool), -1.0, dtype=np.float64)
    for at in range(0, len(known), FEW):
        np.maximum(likeness, cosines(points, known[at : at + FEW]).max(axis=1), out=likeness)
    chosen = middles(points, apart(points, likeness, limit, seed), likeness)
    left = iter(sorted(set(range(len(pool))) - set(chosen)))
    return [pool[n] for n in [*chosen, *islice(left, limit - len(chosen))]]


def apart(points: NDArray[Any], likeness: NDArray[Any], count: int, seed: int) -> list[int]:
    """At most `count` places, each drawn with a chance that is its squared distance from the nearest of those drawn
    before, or of what `likeness` (cosines) is to; fewer where nothing is left that differs."""
    import numpy as np

    random = np.random.default_rng(seed)
    near = 2 - 2 * likeness
    drawn: list[int] = []
    while len(drawn) < count:
        near[near < ALIKE] = 0
        steps = np.cumsum(near, dtype=np.float64)
        if steps[-1] <= 0:
            break
        some = np.searchsorted(steps, random.random(min(-(-count // ROUNDS), count - len(drawn))) * steps[-1], "right")
        new = [int(n) for n in np.unique(np.minimum(some, len(near) - 1)) if near[n] > 0]
        np.minimum(near, 2 - 2 * cosines(points, points[new]).max(axis=1), out=near)
        near[new] = 0
        drawn += new
    return drawn


def middles(points: NDArray[Any], first: Sequence[int], likeness: NDArray[Any]) -> list[int]:
    """The place nearest to the middle of each cluster that k-means finds from the `first` middles, the largest cluster
    first. Middles have unit length: likeness is their cosine (I. Dhillon, D. Modha, 2001)."""
    import numpy as np

    if not first:
        return []
    centers = points[list(first)]
    for _ in range(min(ITERATIONS, max(2, WORK // (points.size * len(centers))))):
        owner, _ = nearest(points, centers, likeness)
        total = np.zeros((len(centers) + 1, WIDTH), dtype=np.float64)
        np.add.at(total, owner, points)
        length = np.linalg.norm(total[:-1], axis=1, keepdims=True)
        centers = np.where(length > 0, total[:-1] / np.maximum(length, 1e-9), centers)
    owner, close = nearest(points, centers, likeness)
    order = np.lexsort((-close, owner))
    order = order[owner[order] < len(centers)]
    _, at, size = np.unique(owner[order], return_index=True, return_counts=True)
    return [int(n) for n in order[at[np.argsort(-size, kind="stable")]]]


def nearest(points: NDArray[Any], centers: NDArray[Any], likeness: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of each point the nearest middle, or their number where `likeness` to something else is more; and its cosine."""
    import numpy as np

    owner = np.empty(len(points), dtype=np.int64)
    close = np.empty(len(points), dtype=np.float64)
    for at in range(0, len(points), BLOCK):
        found = cosines(points[at : at + BLOCK], centers)
        owner[at : at + BLOCK] = found.argmax(axis=1)
        close[at : at + BLOCK] = found.max(axis=1)
    owner[likeness > close] = len(centers)
    return owner, close


def cosines(points: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """The cosine of each point with each of the others, a row a point."""
    found: NDArray[Any] = (points @ others.T).round(PLACES)
    return found


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
    """A unit vector (WIDTH, float64) for each text; one without words is like its like only. How rare a feature is,
    SAMPLE texts tell."""
    import numpy as np

    seen = np.zeros(TABLE, dtype=np.int64)
    sample = texts[:: -(-len(texts) // SAMPLE) or 1]
    for text in sample:
        seen[np.unique(features(text)[0] % TABLE)] += 1
    weight = np.log((1 + len(sample)) / (1 + seen)) + 1
    table = np.zeros((len(texts), WIDTH), dtype=np.float64)
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
