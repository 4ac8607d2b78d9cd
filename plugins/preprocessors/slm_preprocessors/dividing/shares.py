"""Which records are held out: drawn by seed and content, like ones together, each label in proportion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slm.plugin import SlmError


def held_out(found: Any, labels: Sequence[str] | None, shares: Mapping[str, float], seed: int) -> dict[str, Any]:
    """The rows of each set, `train` included, in their order; rows of one print go to one set.

    The draw depends on the prints and the seed, not on the order of the rows. Of each label at least one group stays
    for training. Raises SlmError where there are too few different records for every set to have one.
    """
    import numpy as np

    _, first, which = np.unique(found, return_index=True, return_inverse=True)
    sizes = np.bincount(which, minlength=len(first))
    _enough(len(first), shares)
    order = np.random.default_rng(seed).permutation(len(first))
    of = _codes(labels, first)
    place = np.zeros(len(first), int)
    for n, (_, share) in enumerate(shares.items(), start=1):
        quotas = _quotas(np.bincount(of, weights=sizes), share, len(found))
        _draw(place, n, order, sizes, of, quotas)
    return _sets(place[which], ["train", *shares])


def latest(found: Any, times: Any, shares: Mapping[str, float]) -> dict[str, Any]:
    """The rows of each set: the latest records are the first of `shares`, those before them the next, the rest `train`.

    Rows of one print stand where the earliest of them does: what repeats something known is nothing new to be tested.
    """
    import numpy as np

    _, first, which = np.unique(found, return_index=True, return_inverse=True)
    _enough(len(first), shares)
    sizes, earliest = np.bincount(which), np.full(len(first), np.inf)
    np.minimum.at(earliest, which, times)
    order = np.lexsort((first, earliest))[::-1]
    place = np.zeros(len(first), int)
    for n, share in enumerate(shares.values(), start=1):
        _draw(place, n, order, sizes, np.zeros(len(first), int), np.array([max(1, round(len(found) * share))]))
    return _sets(place[which], ["train", *shares])


def fold_rows(found: Any, labels: Sequence[str] | None, folds: int, fold: int, seed: int) -> Any:
    """The rows of one of `folds` parts of about the same size, each label in proportion; rows of one print are in one.

    The parts are the same whichever is asked for, and together they are all rows.
    """
    import numpy as np

    _, first, which = np.unique(found, return_index=True, return_inverse=True)
    if len(first) < folds:
        raise SlmError(f"split: {len(first)} different records are too few for {folds} folds")
    sizes, of = np.bincount(which), _codes(labels, first)
    order = np.random.default_rng(seed).permutation(len(first))
    order = order[np.argsort(-sizes[order], kind="stable")]
    full, all_full = [[0] * folds for _ in range(int(of.max()) + 1)], [0] * folds
    place = np.zeros(len(first), int)
    for group in order.tolist():
        label = full[of[group]]
        part = min(range(folds), key=lambda n: (label[n], all_full[n]))
        label[part] += int(sizes[group])
        all_full[part] += int(sizes[group])
        place[group] = part
    return np.flatnonzero(place[which] == fold)


def _enough(count: int, shares: Mapping[str, float]) -> None:
    if count <= len(shares):
        wanted = " and ".join(shares)
        raise SlmError(
            f"split: {count} different records are too few to hold out {wanted}; add some, or set both shares to 0"
        )


def _sets(place: Any, names: Sequence[str]) -> dict[str, Any]:
    import numpy as np

    return {name: np.flatnonzero(place == n) for n, name in enumerate(names)}


def _codes(labels: Sequence[str] | None, first: Any) -> Any:
    """A number for each group's label: that of its first row; all 0 without labels."""
    import numpy as np

    if labels is None:
        return np.zeros(len(first), int)
    return np.unique(np.asarray(labels)[first], return_inverse=True)[1]


def _quotas(counts: Any, share: float, rows: int) -> Any:
    """Rows to take of each label: together the share of all rows (one at least), by the largest remainders."""
    import numpy as np

    exact = counts * share
    quotas = np.floor(exact).astype(int)
    lacking = max(1, round(rows * share)) - int(quotas.sum())
    quotas[np.argsort(-(exact - quotas), kind="stable")[:lacking]] += 1
    return quotas


def _draw(place: Any, number: int, order: Any, sizes: Any, of: Any, quotas: Any) -> None:
    """Put groups into set `number` until each label's quota is full; a group that would overfill it is passed over."""
    import numpy as np

    free = np.bincount(of[place == 0], minlength=len(quotas))
    left = quotas.copy()
    for group in order.tolist():
        label = of[group]
        if place[group] == 0 and sizes[group] <= left[label] and free[label] > 1:
            place[group] = number
            left[label] -= sizes[group]
            free[label] -= 1
    if not (place == number).any():
        spare = [group for group in order.tolist() if place[group] == 0]
        place[min(spare, key=lambda group: (free[of[group]] == 1, sizes[group]))] = number
