"""Attention over packed rows: samples lie one after another in one row, and none sees another.

A row is cut into groups of similarly long samples; each group is gathered into a right-padded block, attended at
once and scattered back. Behind a causal mask right padding needs no mask; encoders get one over the keys.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

NAME = "slm_packed"

SHORT = {"float32": 64, "bfloat16": 1024}
"""Up to this length plain batched products beat the fused kernel on CPUs: at 40 tokens 4.5 ms against 7.9 (fp32)."""


@frozen(eq=False)
class Layout:
    """How a packed row of T tokens is cut for attention.

    groups  -- (samples, longest) of each padded block; their slots follow one another, S in all
    gather  -- [S] the row position in each slot; padding repeats position 0
    scatter -- [T] the slot of each row position
    padding -- [S] true where a slot holds none
    """

    groups: tuple[tuple[int, int], ...]
    gather: torch.Tensor
    scatter: torch.Tensor
    padding: torch.Tensor


def cut(lengths: NDArray[Any], waste: float = 0.15) -> list[tuple[int, int]]:
    """Group samples, sorted longest first, so that padding stays near `waste` of a block: (samples, longest)."""
    import numpy as np

    groups: list[tuple[int, int]] = []
    begin = 0
    while begin < len(lengths):
        longest = int(lengths[begin])
        filled = lengths[begin:].cumsum()
        slots = longest * np.arange(1, len(filled) + 1)
        fits = (filled >= (1 - waste) * slots).nonzero()[0]
        count = int(fits[-1]) + 1
        groups.append((count, longest))
        begin += count
    return groups


def lay_out(lengths: NDArray[Any], device: Any) -> Layout:
    """The layout of a row whose samples have these lengths, longest first."""
    import numpy as np
    import torch

    groups = cut(lengths)
    starts = np.cumsum(lengths) - lengths
    gather, padding, first = [], [], 0
    for count, longest in groups:
        slot = np.arange(longest)[None, :]
        missing = slot >= lengths[first : first + count, None]
        gather.append(np.where(missing, 0, starts[first : first + count, None] + slot).ravel())
        padding.append(missing.ravel())
        first += count
    row, empty = np.concatenate(gather), np.concatenate(padding)
    slots = (~empty).nonzero()[0]  # samples lie in the row in the same order, so these are its positions in turn
    return Layout(tuple(groups), *(torch.from_numpy(part).to(device) for part in (row, slots, empty)))


def register() -> str:
    """Make packed attention known to transformers, without a mask of its own; give its name."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, packed_attention)
    return NAME


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    layout: Layout,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    is_causal: bool | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one packed row: query [1, heads, T, dim], key and value alike -> [1, T, heads, dim].

    Keys and values may have fewer heads than queries.
    """
    import torch

    gather, scatter = moves()
    blocks = [gather.apply(x[0].transpose(0, 1), layout) for x in (query, key, value)]
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    out, at = [], 0
    for count, longest in layout.groups:
        part = slice(at, at + count * longest)
        at += count * longest
        q, k, v = (x[part].view(count, longest, *x.shape[1:]).transpose(1, 2) for x in blocks)
        mask = block_mask(layout.padding[part].view(count, longest), causal, sliding_window)
        scale = scaling if scaling is not None else q.shape[-1] ** -0.5
        out.append(attend(q, k, v, mask, causal, scale, dropout, softcap).transpose(1, 2).flatten(0, 1))
    slots = torch.cat(out) if len(out) > 1 else out[0]
    return scatter.apply(slots, layout)[None], None


def block_mask(padding: torch.Tensor, causal: bool, window: int | None) -> torch.Tensor | None:
    """What may be seen in a block, true where allowed; None where causality alone says it."""
    import torch

    longest = padding.shape[1]
    narrow = window is not None and window < longest
    if causal and not narrow:
        return None
    seen = ~padding[:, None, None, :] if not causal and bool(padding.any()) else None
    if not narrow:
        return seen
    place = torch.arange(longest, device=padding.device)
    behind = place[:, None] - place[None, :]
    if causal:
        return (behind >= 0) & (behind < window)
    near = behind.abs() < window
    return near if seen is None else near & seen | (behind == 0)  # padding sees itself: nothing seen gives no number


def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None,
    causal: bool,
    scale: float,
    dropout: float,
    softcap: float | None,
) -> torch.Tensor:
    """Attention of padded blocks [samples, heads, length, dim]; keys and values may have fewer heads."""
    import torch

    short = q.shape[2] <= SHORT["bfloat16" if q.dtype == torch.bfloat16 else "float32"]
    if softcap is None and not (short and q.device.type == "cpu"):
        settings = {"is_causal": causal and mask is None, "scale": scale, "enable_gqa": q.shape[1] != k.shape[1]}
        result: torch.Tensor = fused().apply(q, k, v, mask, dropout, settings)
        return result
    samples, heads, length, dim = q.shape
    shared = k.shape[1]
    q = q.reshape(samples * shared, heads // shared * length, dim)  # query heads of one key head, one below another
    k, v = (x.reshape(samples * shared, length, dim) for x in (k, v))
    scores = torch.bmm(q * scale, k.transpose(1, 2))
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    scores = scores.view(samples, heads, length, length)
    if mask is not None or causal:
        scores = scores + bias(mask, length, scores)
    weights = torch.nn.functional.dropout(torch.softmax(scores, -1), dropout)
    return torch.bmm(weights.view(samples * shared, -1, length), v).view(samples, heads, length, dim)


def bias(mask: torch.Tensor | None, length: int, like: torch.Tensor) -> torch.Tensor:
    """What is added to scores: 0 where a key may be seen, the lowest number elsewhere."""
    import torch

    if mask is None:
        mask = torch.ones(length, length, dtype=torch.bool, device=like.device).tril()
    lowest = torch.finfo(like.dtype).min
    return torch.zeros(mask.shape, dtype=like.dtype, device=like.device).masked_fill_(~mask, lowest)


@cache
def fused() -> Any:
    """Torch's fused attention as an autograd function that keeps its products with MKL, forward and backward.

    Many small products are what oneDNN is slow at: under "medium" precision (see `fast_float32`) the fused kernel
    takes up to eight times as long.
    """
    import torch

    def with_mkl(work: Any) -> Any:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            return work()
        finally:
            torch.set_float32_matmul_precision(before)

    class Fused(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(context: Any, q: Any, k: Any, v: Any, mask: Any, dropout: float, settings: dict[str, Any]) -> Any:
            attention = torch.nn.functional.scaled_dot_product_attention
            context.inputs = [x.detach().requires_grad_(context.needs_input_grad[n]) for n, x in enumerate((q, k, v))]
            with torch.enable_grad():
                context.output = with_mkl(lambda: attention(*context.inputs, mask, dropout, **settings))
            return context.output.detach()

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            wanted = [x for x in context.inputs if x.requires_grad]
            found = iter(with_mkl(lambda: torch.autograd.grad(context.output, wanted, gradient)))
            context.output = None
            return *(next(found) if x.requires_grad else None for x in context.inputs), None, None, None

    return Fused


@cache
def moves() -> tuple[Any, Any]:
    """Row to slots and slots to row, as autograd functions: each is the other's backward, and both only gather.

    Autograd's own backward of a gather adds into zeros, which on a CPU takes several times as long.
    """
    import torch

    class Gather(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(context: Any, row: torch.Tensor, layout: Layout) -> torch.Tensor:
            context.layout = layout
            return row.index_select(0, layout.gather)

        @staticmethod
        def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
            return gradient.index_select(0, context.layout.scatter), None

    class Scatter(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(context: Any, slots: torch.Tensor, layout: Layout) -> torch.Tensor:
            context.layout = layout
            return slots.index_select(0, layout.scatter)

        @staticmethod
        def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
            slots = gradient.index_select(0, context.layout.gather)
            shape = (-1, *[1] * (slots.dim() - 1))
            return slots.masked_fill_(context.layout.padding.view(shape), 0), None

    return Gather, Scatter
