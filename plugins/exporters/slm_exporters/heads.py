"""Attention heads made wide enough for onnxruntime, whose attention wants a multiple of 16, by adding zeros.

The answers do not change: the added parts of queries, keys and values are 0. Queries are scaled up because the
kernel divides by the root of the new width, and the rotary base is raised to the power new/old, which leaves the
frequencies of the old pairs as they were: b'^(-2i/new) = b^(-2i/old).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slm.plugin import SlmError

WIDTH = 16
ROPES = ("default", "linear")
WIDENED = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM")  # nothing else depends on the width there


def head_size(config: Mapping[str, Any]) -> int:
    """The width of one attention head, from a config as a table."""
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def widen(network: Any) -> Any:
    """The network with heads of the next multiple of 16; SlmError where that cannot be done exactly."""
    config = network.config
    old = head_size(config.to_dict())
    new = -(-old // WIDTH) * WIDTH
    rope = dict(getattr(config, "rope_parameters", None) or {})
    known = type(network).__name__ in WIDENED and rope.get("rope_type", "default") in ROPES
    if not known:
        raise SlmError(
            f"{config.model_type}: onnxruntime wants heads of a multiple of {WIDTH}, not {old}; use = 'torchscript'"
        )
    for layer in network.model.layers:
        attention = layer.self_attn
        for name, scale in (("q_proj", (new / old) ** 0.5), ("k_proj", 1.0), ("v_proj", 1.0)):
            rows(getattr(attention, name), old, new, scale)
        columns(attention.o_proj, old, new)
    config.head_dim = new
    config.rope_parameters = {**rope, "rope_theta": float(rope["rope_theta"]) ** (new / old)}
    return network


def rows(linear: Any, old: int, new: int, scale: float) -> None:
    """Widen a projection's output heads. The halves that rotary embedding pairs are padded each by itself."""
    import torch

    for name in ("weight", "bias"):
        given = getattr(linear, name)
        if given is not None:
            halves = given.detach().reshape(-1, 2, old // 2, *given.shape[1:]) * scale
            wide = torch.zeros(halves.shape[0], 2, new // 2, *given.shape[1:], dtype=given.dtype)
            wide[:, :, : old // 2] = halves
            setattr(linear, name, torch.nn.Parameter(wide.reshape(-1, *given.shape[1:]), requires_grad=False))
    linear.out_features = linear.weight.shape[0]


def columns(linear: Any, old: int, new: int) -> None:
    """Widen a projection's input heads, in the same order as `rows`."""
    import torch

    given = linear.weight.detach()
    wide = torch.zeros(len(given), given.shape[1] // old, 2, new // 2, dtype=given.dtype)
    wide[..., : old // 2] = given.reshape(len(given), -1, 2, old // 2)
    linear.weight = torch.nn.Parameter(wide.reshape(len(given), -1), requires_grad=False)
    linear.in_features = linear.weight.shape[1]
