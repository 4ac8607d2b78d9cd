"""Sequences of different lengths in padded batches of bounded size, for scoring and classification."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from slm.plugin import SlmError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELLS = 1 << 25  # logits held at once: 128 MB in float32


def batches(
    sequences: Sequence[Sequence[int]], pad: int, cells: int, rows: int = 64
) -> Iterator[tuple[list[int], NDArray[Any], NDArray[Any]]]:
    """Yield (indices, ids, mask) with sequences of like length together, padded on the right.

    A batch has at most `rows` rows and `cells` tokens, padding included; a single sequence may be longer.
    """
    import numpy as np

    order = sorted((n for n, each in enumerate(sequences) if len(each)), key=lambda n: len(sequences[n]))
    while order:
        group = [order.pop()]  # the longest left gives the width
        width = len(sequences[group[0]])
        while order and len(group) < min(rows, max(1, cells // width)):
            group.append(order.pop())
        ids = np.full((len(group), width), pad, dtype=np.int64)
        mask = np.zeros((len(group), width), dtype=np.int64)
        for row, n in enumerate(group):
            ids[row, : len(sequences[n])] = sequences[n]
            mask[row, : len(sequences[n])] = 1
        yield group, ids, mask


def score(
    sequences: Sequence[Sequence[int]],
    pad: int,
    vocabulary: int,
    forward: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]],
) -> list[list[float]]:
    """Log-probabilities of each sequence's tokens after the first.

    `forward(ids, mask)` gives those of the tokens `ids[:, 1:]`, shape (rows, width - 1), natural logarithm.
    """
    found: list[list[float]] = [[] for _ in sequences]
    usable = [each if len(each) > 1 else () for each in sequences]
    for group, ids, mask in batches(usable, pad, max(1, CELLS // vocabulary)):
        for row, n in zip(forward(ids, mask), group, strict=True):
            found[n] = [float(value) for value in row[: len(sequences[n]) - 1]]
    return found


def log_probabilities(logits: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
    """Log-softmax of `logits` (..., vocabulary) at the ids `targets` (...), in float32."""
    import numpy as np

    logits = logits.astype(np.float32, copy=False)
    top = logits.max(-1, keepdims=True)
    chosen = np.take_along_axis(logits, targets[..., None], -1) - top
    scores: NDArray[Any] = chosen - np.log(np.exp(logits - top).sum(-1, keepdims=True))
    return scores[..., 0]


def check_ids(ids: Sequence[int], vocabulary: int, context: int) -> None:
    """SlmError for ids that the model has no token for, or more of them than its context holds."""
    if len(ids) > context:
        raise SlmError(f"{len(ids)} tokens do not fit the model's context of {context}; shorten the text")
    if ids and not 0 <= min(ids) <= max(ids) < vocabulary:
        wrong = next(i for i in ids if not 0 <= i < vocabulary)
        raise SlmError(f"token id {wrong} is not in the vocabulary (0 to {vocabulary - 1}); use the model's tokenizer")
