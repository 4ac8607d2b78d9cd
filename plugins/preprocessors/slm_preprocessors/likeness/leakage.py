"""Which records say the same, or nearly, across sets or before they are divided."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from slm.plugin import Work

from ..contents.content import contents, tables
from .clusters import Clusters, Doubles, cluster, doubles, joined
from .near import Sets, gather

if TYPE_CHECKING:
    import datasets

SIZE = 3
PIECE = re.compile(r"#\d+$")


@frozen(eq=False)
class Likeness:
    """What is asked in some splits, one after the other: their sets of runs, and the clusters of those alike."""

    sets: Sets
    clusters: Clusters
    threshold: float

    def like(self, held: Any) -> Doubles:
        """The records that are like one of those `held` (true for each), and which."""
        import numpy as np

        rank = np.empty(len(held), int)
        rank[np.lexsort((np.arange(len(held)), ~held))] = np.arange(len(held))
        return doubles(self.sets, self.clusters.of, self.threshold, rank, held)


def likeness(splits: Sequence[datasets.Dataset], threshold: float, work: Work) -> Likeness:
    """Compare what the records of these splits ask."""
    file = work.checkpoints / "asked.runs"
    count = sum(map(len, splits))

    def texts() -> Iterator[list[str]]:
        done = 0
        for split in splits:
            for table in tables(split):
                yield contents(table, "input", "none")
                done += len(table)
                work.progress(done, count, "records compared")

    sets = gather(texts(), count, file, threshold, "words", SIZE)
    return Likeness(sets, cluster(sets, threshold), threshold)


def repeated(found: Any, given: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """Which records' prints are among those of a given set, and for each of these the set's name."""
    import numpy as np

    where = np.zeros(len(found), int)
    for n, prints in enumerate(given.values(), start=1):
        where[np.isin(found, prints) & (where == 0)] = n
    names = list(given)
    return where > 0, [names[n - 1] for n in where[where > 0].tolist()]


def together(found: Any, *codes: Any) -> Any:
    """A number for each record, made of its print, and the same for those that share a print or any of the codes."""
    import numpy as np

    print_of = np.unique(found, return_inverse=True)[1]
    of = np.arange(len(found))
    for code in (print_of, *codes):
        _, first, which = np.unique(code, return_index=True, return_inverse=True)
        of = joined(of, np.arange(len(found)), first[which])
    lowest = np.full(len(found), len(found))
    np.minimum.at(lowest, of, print_of)
    return lowest[of]


def clusters_among(of: Any, rows: Any) -> Any:
    """The clusters of some of the records, each named by its lowest place among these."""
    import numpy as np

    _, first, which = np.unique(of[rows], return_index=True, return_inverse=True)
    return first[which]


def pieces(sources: Sequence[str]) -> Any:
    """For each record the first that is a piece of the same one (`guide.md:1#2`); itself where it is no piece."""
    import numpy as np

    first: dict[str, int] = {}
    found = [PIECE.sub("", source) for source in sources]
    return np.array([first.setdefault(whole, n) for n, whole in enumerate(found)], int)


def divisible(of: Any, found: Any, sets: int) -> Any:
    """The clusters, but those undone that can't stand in one set: any of more than half of the records, and all where
    too few different records would be left."""
    import numpy as np

    rows = np.arange(len(of))
    size = np.bincount(of, minlength=len(of))[of]
    cut = np.where(size * 2 > len(of), rows, of)
    return cut if len(np.unique(together(found, cut))) > sets else rows
