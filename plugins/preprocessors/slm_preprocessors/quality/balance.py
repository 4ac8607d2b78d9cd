"""Labels brought nearer to each other in number: which records are too many is drawn, and the draw is the seed's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING

from ..contents.content import tables

if TYPE_CHECKING:
    import datasets

Reasons = dict[int, tuple[str, str]]


def unbalanced(
    splits: Mapping[str, datasets.Dataset], gone: Mapping[str, set[int]], low: int, high: int | None, seed: int
) -> dict[str, Reasons]:
    """The rows that go, by split, besides those that are `gone` already.

    Labels are counted in `train` (in all splits where there is none). Those with fewer than `low` go everywhere; of
    those with more than `high`, `high` stay in `train`. Test sets keep the shares that they have.
    """
    rows = {name: _labels(split, gone[name]) for name, split in splits.items()}
    drawn = ["train"] if "train" in splits else list(splits)
    counts = Counter(label for name in drawn for label, _ in rows[name].values())
    rare = {label for label, count in counts.items() if count < low}
    found: dict[str, Reasons] = {}
    for name, each in rows.items():
        found[name] = {
            n: ("rare label", f"only {counts[label]:,} records are {label!r}")
            for n, (label, _) in each.items()
            if label in rare or (low and not counts[label])
        }
        if high is not None and name in drawn:
            found[name] |= _surplus({n: v for n, v in each.items() if n not in found[name]}, high, seed)
    return found


def _surplus(rows: Mapping[int, tuple[str, str]], high: int, seed: int) -> Reasons:
    """The rows beyond the limit of their label, in an order that their ids and the seed decide."""
    key = str(seed).encode()
    order = sorted(rows, key=lambda n: (blake2b(rows[n][1].encode(), key=key, digest_size=8).digest(), n))
    taken, found = Counter[str](), Reasons()
    for n in order:
        label = rows[n][0]
        taken[label] += 1
        if taken[label] > high:
            found[n] = ("common label", f"more than {high:,} records are {label!r}")
    return found


def _labels(split: datasets.Dataset, gone: set[int]) -> dict[int, tuple[str, str]]:
    """The label and id of each row that is left."""
    found, at = {}, 0
    for table in tables(split.select_columns(["label", "id"])):
        pairs = zip(table.column("label").to_pylist(), table.column("id").to_pylist(), strict=True)
        found.update({at + n: pair for n, pair in enumerate(pairs) if at + n not in gone})
        at += len(table)
    return found
