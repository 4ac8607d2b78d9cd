"""Like texts together: clusters of those that hang together, and in each the ones that stand for the others."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from .grams import mixed
from .near import Sets, jaccards

EFFORT = 100_000_000
EFFORT_EACH = 100


@frozen(eq=False)
class Clusters:
    """Which texts hang together: `of` is, for each, the lowest row of its cluster; `partly` counts groups of candidates
    that were too large to be compared to the end."""

    of: Any
    partly: int


def cluster(sets: Sets, threshold: float, labels: Any = None) -> Clusters:
    """Texts that are like each other, directly or through others; with `labels`, only those of one label.

    Within a band, texts of one key are compared with the first of them, then those that are not in its cluster with the
    second, and so on; what is in one cluster already is not compared again, so many like texts take one pass.
    """
    import numpy as np

    of = _same(sets.prints, labels)
    heads = np.flatnonzero(of == np.arange(len(of)))
    effort, partly = EFFORT + EFFORT_EACH * int(sets.sizes[heads].sum()), 0
    for keys in sets.bands:
        order = heads[np.argsort(keys[heads], kind="stable")]
        begins = np.flatnonzero(np.concatenate([[True], keys[order][1:] != keys[order][:-1]])) if len(order) else order
        counts = np.diff(np.concatenate([begins, [len(order)]]))
        begins, counts = begins[counts > 1], counts[counts > 1]
        while len(begins):
            one, other, group = _pairs(order, begins, counts)
            open_ = of[one] != of[other]
            begins, counts = begins[np.unique(group[open_])] + 1, counts[np.unique(group[open_])] - 1
            one, other = _possible(sets, threshold, labels, one[open_], other[open_])
            effort -= len(group) + int((sets.sizes[one] + sets.sizes[other]).sum())
            like = jaccards(sets, one, other) >= threshold
            of = joined(of, one[like], other[like])
            begins, counts = begins[counts > 1], counts[counts > 1]
            if effort < 0:
                partly += len(begins)
                break
    return Clusters(of, partly)


def _same(prints: Any, labels: Any) -> Any:
    """For each text the first that has the same set (and label)."""
    import numpy as np

    keys = prints if labels is None else mixed(prints + labels.astype(np.uint64))
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    return first[which]


def _pairs(order: Any, begins: Any, counts: Any) -> tuple[Any, Any, Any]:
    """The first text of each group with each other one of it, and the number of the group."""
    import numpy as np

    group = np.repeat(np.arange(len(begins)), counts - 1)
    before = np.cumsum(counts - 1) - (counts - 1)
    other = begins[group] + 1 + np.arange(len(group)) - before[group]
    return order[begins[group]], order[other], group


def _possible(sets: Sets, threshold: float, labels: Any, one: Any, other: Any) -> tuple[Any, Any]:
    """The pairs whose sizes (and labels) allow them to be alike."""
    import numpy as np

    left, right = sets.sizes[one], sets.sizes[other]
    fit = np.minimum(left, right) >= threshold * np.maximum(left, right)
    if labels is not None:
        fit &= labels[one] == labels[other]
    return one[fit], other[fit]


def joined(of: Any, one: Any, other: Any) -> Any:
    """The clusters with those of each pair made one; a cluster is named by its lowest row."""
    import numpy as np

    while len(one):
        left, right = of[one], of[other]
        np.minimum.at(of, np.maximum(left, right), np.minimum(left, right))
        while (of[of] != of).any():
            of = of[of]
        apart = of[one] != of[other]
        one, other = one[apart], other[apart]
    return of


@frozen(eq=False)
class Doubles:
    """Texts that another stands for: their rows, that other's, and how like they are; `partly` counts texts that were
    left because comparing all would have taken too long."""

    rows: Any
    stands: Any
    likeness: Any
    partly: int


def doubles(sets: Sets, of: Any, threshold: float, rank: Any, fixed: Any = None) -> Doubles:
    """In each cluster the text of the lowest rank stands for all that are like it; of the others the next, and so on.

    So no text goes that is not like one that stays, and no two that stay are alike. With `fixed` (true for some, whose
    ranks are the lowest) only these stand for others, and none of them goes.
    """
    import numpy as np

    size = np.bincount(of, minlength=len(of))
    rows = np.flatnonzero(size[of] > 1)
    rows = rows[np.lexsort((rank[rows], of[rows]))]
    found: list[tuple[Any, Any, Any]] = [(rows[:0], rows[:0], np.zeros(0))]
    effort = EFFORT + EFFORT_EACH * int(sets.sizes[rows].sum())
    while len(rows) and effort > 0:
        leads = np.concatenate([[True], of[rows][1:] != of[rows][:-1]])
        stands, other = rows[leads][np.cumsum(leads) - 1][~leads], rows[~leads]
        if fixed is not None:
            stands, other = stands[fixed[stands]], other[fixed[stands]]
        likeness = jaccards(sets, stands, other)
        like = (likeness >= threshold) & (True if fixed is None else ~fixed[other])
        found.append((other[like], stands[like], likeness[like]))
        effort -= int((sets.sizes[stands] + sets.sizes[other]).sum())
        rows = other[~like]
    gone, stands, likeness = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(gone)
    return Doubles(gone[order], stands[order], likeness[order], len(rows))
