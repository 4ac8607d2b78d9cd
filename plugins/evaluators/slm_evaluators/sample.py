"""Which test records are measured."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from slm.plugin import SlmError, Work

if TYPE_CHECKING:
    import datasets


def sample(data: datasets.Dataset, limit: int, work: Work) -> list[dict[str, Any]]:
    """The records, or `limit` of them drawn by the seed and kept in their order; 0 takes all.

    Says so where it leaves some out; SlmError for an empty test set.
    """
    if not len(data):
        raise SlmError("evaluate: the test set is empty; give it records, or a larger share in [[preprocess]] split")
    if not limit or len(data) <= limit:
        return list(data)
    work.warn(f"measured on {limit:,} of {len(data):,} test records, drawn by the seed; 'limit = 0' takes all")
    drawn = sorted(random.Random(work.seed).sample(range(len(data)), limit))
    return list(data.select(drawn))
