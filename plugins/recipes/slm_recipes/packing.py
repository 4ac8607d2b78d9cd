"""Samples to steps, steps to micro-batches, micro-batches to packed rows or padded batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from attrs import frozen

from slm_recipes.attention import Layout, lay_out

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from slm_recipes.tokenizing import Tokens


@frozen(eq=False)
class Row:
    """A micro-batch as one packed row of T tokens: `ids` and `positions` [1, T], positions restarting at each sample.

    before -- [M] row positions whose next token is a target; wanted -- [M] those tokens
    """

    ids: torch.Tensor
    positions: torch.Tensor
    layout: Layout
    before: torch.Tensor
    wanted: torch.Tensor


@frozen(eq=False)
class Padded:
    """A micro-batch as a padded batch: `ids`, `mask` [n, L]; `before`, `wanted` as in `Row`, on the flat batch."""

    ids: torch.Tensor
    mask: torch.Tensor
    before: torch.Tensor
    wanted: torch.Tensor


def epoch_steps(lengths: NDArray[Any], count: int, seed: int, epoch: int) -> list[NDArray[Any]]:
    """The samples of each of an epoch's `count` steps: shuffled by seed and epoch, cut so that all have about as many
    tokens.

    A sample belongs to the step its middle token falls into, so that none is empty as long as the longest sample has
    no more tokens than a step.
    """
    import numpy as np

    order = np.random.default_rng((seed, epoch)).permutation(len(lengths))
    ends = np.cumsum(lengths[order])
    step = (2 * ends - lengths[order]) * count // (2 * int(ends[-1]))
    return np.split(order, np.searchsorted(step, np.arange(1, count)))


def steps_per_epoch(lengths: NDArray[Any], budget: int) -> int:
    """How many steps an epoch takes."""
    return max(1, int(lengths.sum()) // max(budget, int(lengths.max())))


def micro_batches(samples: NDArray[Any], lengths: NDArray[Any], limit: int, padded: bool) -> Iterator[NDArray[Any]]:
    """Cut a step's samples, longest first, into parts of at most `limit` tokens; padding counts where there is any."""
    order = samples[(-lengths[samples]).argsort(kind="stable")]
    begin, filled = 0, 0
    for at, sample in enumerate(order):
        longest = int(lengths[order[begin]])
        size = longest * (at - begin + 1) if padded else filled + int(lengths[sample])
        if at > begin and size > limit:
            yield order[begin:at]
            begin, size = at, int(lengths[sample])
        filled = size
    yield order[begin:]


def spans(tokens: Tokens, samples: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Of these samples, one after another: the place of each token in `tokens`, its position, each sample's length."""
    import numpy as np

    lengths = tokens.lengths[samples]
    starts = np.cumsum(lengths) - lengths
    positions = np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
    return positions + np.repeat(tokens.offsets[samples], lengths), positions, lengths


def pack(tokens: Tokens, samples: NDArray[Any], device: Any) -> Row:
    """Lay samples, longest first, one after another in one row."""
    places, positions, lengths = spans(tokens, samples)
    ids = tokens.ids[places].astype("int64")
    wanted = tokens.targets[places].nonzero()[0]
    move = mover(device)
    return Row(move(ids[None]), move(positions[None]), lay_out(lengths, device), move(wanted - 1), move(ids[wanted]))


def pad(tokens: Tokens, samples: NDArray[Any], filler: int, device: Any) -> Padded:
    """Lay samples below one another, padded on the right."""
    import numpy as np

    places, positions, lengths = spans(tokens, samples)
    longest = int(lengths.max())
    slots = np.repeat(np.arange(len(samples)) * longest, lengths) + positions
    ids = np.full(len(samples) * longest, filler, dtype="int64")
    mask = np.zeros(len(ids), dtype="int64")
    ids[slots], mask[slots] = tokens.ids[places], 1
    wanted = slots[tokens.targets[places]]
    shape, move = (len(samples), longest), mover(device)
    return Padded(move(ids.reshape(shape)), move(mask.reshape(shape)), move(wanted - 1), move(ids[wanted]))


def mover(device: Any) -> Any:
    """A function that makes an array a tensor on the device, without waiting for the copy."""
    import torch

    return lambda array: torch.from_numpy(array).to(device, non_blocking=True)
