"""Rows of different lengths in one KV cache of PyTorch tensors. Imported only where torch is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.functional import pad

Caches = tuple[Any, ...]
Run = Callable[[Any, Any, Any, Caches], tuple[Any, Caches]]


class RaggedDecoder:
    """Decodes rows with a causal language model (`slm_engines.decoding.Decoder`).

    `run(ids, mask, positions, caches)` gives the logits and the caches grown by the ids; a cache is a tensor (rows,
    heads, columns, size), keys and values of each layer in turn, and `empty` are those of no tokens.
    All rows end at the same column and padding stands before them: sliding windows count distance in columns.
    """

    def __init__(self, run: Run, empty: Caches, vocabulary: int, device: Any = "cpu") -> None:
        self.run = run
        self.empty = empty
        self.vocabulary = vocabulary
        self.device = device
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        self.lengths: list[int] = []
        self.caches = self.empty

    def add(self, prompt: Sequence[int]) -> Any:
        """Read a prompt as a new last row; logits (vocabulary,) of its next token, numpy float32."""
        ids = torch.tensor([list(prompt)], device=self.device)
        with torch.inference_mode():
            logits, new = self.run(
                ids, torch.ones_like(ids), torch.arange(len(prompt), device=self.device)[None], self.empty
            )
            rows = self.caches if self.lengths else (each[:0] for each in new)
            self.caches = tuple(stack(old, each) for old, each in zip(rows, new, strict=True))
        self.lengths.append(len(prompt))
        return logits[0, -1].float().cpu().numpy()

    def step(self, tokens: Sequence[int]) -> Any:
        """Append one token to each row; logits (rows, vocabulary), numpy float32."""
        lengths = torch.tensor(self.lengths, device=self.device)[:, None]
        width = max(self.lengths)
        mask = (torch.arange(width + 1, device=self.device) >= width - lengths).long()
        with torch.inference_mode():
            ids = torch.tensor(list(tokens), device=self.device)[:, None]
            logits, self.caches = self.run(ids, mask, lengths, self.caches)
        self.lengths = [length + 1 for length in self.lengths]
        return logits[:, -1].float().cpu().numpy()

    def remove(self, row: int) -> None:
        """Forget a row; the last takes its number."""
        width = max(self.lengths)
        self.lengths[row] = self.lengths[-1]
        self.lengths.pop()
        if not self.lengths:
            self.clear()
            return
        with torch.inference_mode():
            self.caches = tuple(without(each, row, width - max(self.lengths)) for each in self.caches)


def stack(rows: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Rows (rows, heads, columns, size) with one more below, the narrower padded on its left."""
    if not len(rows):
        return new
    width = max(rows.shape[2], new.shape[2])
    return torch.cat([pad(each, (0, 0, width - each.shape[2], 0)) for each in (rows, new)])


def without(rows: torch.Tensor, row: int, unused: int) -> torch.Tensor:
    """Rows without one (the last takes its place) and without their first `unused` columns."""
    kept = list(range(len(rows) - 1))
    if row < len(kept):
        kept[row] = len(kept)
    return rows[kept, :, unused:]


def on_arrays(run: Callable[[Any, Any], Any], device: Any = "cpu") -> Any:
    """`run(ids, mask)` of torch tensors as a function of numpy arrays that gives float32."""

    def forward(ids: Any, mask: Any) -> Any:
        with torch.inference_mode():
            found = run(torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device))
        return found.float().cpu().numpy()

    return forward


def log_probabilities(logits: Any, ids: Any) -> Any:
    """Log-softmax of logits (rows, length, vocabulary) at the next ids: (rows, length - 1)."""
    logits = logits[:, :-1].float()
    return logits.gather(-1, ids[:, 1:, None])[..., 0] - logits.logsumexp(-1)
