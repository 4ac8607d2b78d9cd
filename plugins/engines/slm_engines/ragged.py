"""Rows of different lengths in one KV cache of a transformers model. Imported only where torch is wanted."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from slm.plugin import SlmError
from torch.nn.functional import pad
from transformers import DynamicCache

STEADY = {"full_attention", "sliding_attention", "chunked_attention"}


class RaggedDecoder:
    """Decodes rows with a causal language model of transformers (`slm_engines.decoding.Decoder`).

    All rows end at the same column and padding stands before them: sliding windows count distance in columns.
    Every layer keeps all its keys (`DynamicCache()` without a config), and the masks do the windows.
    """

    def __init__(self, model: Any) -> None:
        unsteady = set(getattr(model.config, "layer_types", None) or ()) - STEADY
        if unsteady or getattr(model, "_is_stateful", False):
            kinds = ", ".join(sorted(unsteady)) or "a recurrent state"
            raise SlmError(f"{model.config.model_type}: some layers have no KV cache ({kinds}); use an attention model")
        self.model = model
        self.vocabulary = int(model.get_input_embeddings().weight.shape[0])
        names = inspect.signature(model.forward).parameters
        self.placed = "position_ids" in names
        self.prefill = {"logits_to_keep": 1} if "logits_to_keep" in names else {}
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        self.lengths: list[int] = []
        self.cache = DynamicCache()

    def add(self, prompt: Sequence[int]) -> Any:
        """Read a prompt as a new last row; logits (vocabulary,) of its next token, numpy float32."""
        ids = torch.tensor([list(prompt)], device=self.model.device)
        single = DynamicCache()
        with torch.inference_mode():
            logits = self.model(input_ids=ids, past_key_values=single, use_cache=True, **self.prefill).logits
            if self.lengths:
                for whole, new in zip(self.cache.layers, single.layers, strict=True):
                    whole.keys = stack(whole.keys, new.keys)
                    whole.values = stack(whole.values, new.values)
            else:
                self.cache = single
        self.lengths.append(len(prompt))
        return logits[0, -1].float().cpu().numpy()

    def step(self, tokens: Sequence[int]) -> Any:
        """Append one token to each row; logits (rows, vocabulary), numpy float32."""
        device = self.model.device
        lengths = torch.tensor(self.lengths, device=device)[:, None]
        width = max(self.lengths)
        with torch.inference_mode():
            logits = self.model(
                input_ids=torch.tensor(list(tokens), device=device)[:, None],
                attention_mask=(torch.arange(width + 1, device=device) >= width - lengths).long(),
                past_key_values=self.cache,
                use_cache=True,
                **({"position_ids": lengths} if self.placed else {}),
            ).logits
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
        unused = width - max(self.lengths)
        for layer in self.cache.layers:
            layer.keys = without(layer.keys, row, unused)
            layer.values = without(layer.values, row, unused)


def stack(rows: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Rows (rows, heads, columns, size) with one more below, the narrower padded on its left."""
    width = max(rows.shape[2], new.shape[2])
    return torch.cat([pad(each, (0, 0, width - each.shape[2], 0)) for each in (rows, new)])


def without(rows: torch.Tensor, row: int, unused: int) -> torch.Tensor:
    """Rows without one (the last takes its place) and without their first `unused` columns."""
    kept = list(range(len(rows) - 1))
    if row < len(kept):
        kept[row] = len(kept)
    return rows[kept, :, unused:]


def logits_of(model: Any) -> Any:
    """The function (ids, mask) -> logits of a model, numpy in and numpy float32 out: for classifiers."""

    def forward(ids: Any, mask: Any) -> Any:
        given = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        with torch.inference_mode():
            return model(**{name: each.to(model.device) for name, each in given.items()}).logits.float().cpu().numpy()

    return forward


def scores_of(model: Any) -> Any:
    """The function (ids, mask) -> log-probabilities of `ids[:, 1:]`: for causal language models.

    The padding stands behind the text, where a causal model cannot see it.
    """

    def forward(ids: Any, mask: Any) -> Any:
        given, mask = (torch.from_numpy(each).to(model.device) for each in (ids, mask))
        with torch.inference_mode():
            logits = model(input_ids=given, attention_mask=mask, use_cache=False).logits[:, :-1].float()
            chosen = logits.gather(-1, given[:, 1:, None])[..., 0]
            return (chosen - logits.logsumexp(-1)).cpu().numpy()

    return forward
