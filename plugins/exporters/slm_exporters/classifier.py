"""Encoders that classify, as one graph (input_ids, attention_mask) -> logits."""

from __future__ import annotations

from typing import Any


def plain(network: Any) -> Any:
    """The network as a module that takes (input_ids, attention_mask) and gives the logits tensor only."""
    import torch

    class Plain(torch.nn.Module):  # type: ignore[misc]
        """Hides transformers' output objects, which no graph can hold."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.network(input_ids=input_ids, attention_mask=attention_mask).logits

    return Plain().eval()


def sample(rows: int, length: int, vocabulary: int) -> tuple[Any, Any]:
    """Ids and mask to trace with: the last row is one token shorter, so that padding takes part."""
    import torch

    ids = torch.arange(rows * length).reshape(rows, length) % vocabulary
    mask = torch.ones_like(ids)
    mask[-1, -1] = 0
    return ids, mask
