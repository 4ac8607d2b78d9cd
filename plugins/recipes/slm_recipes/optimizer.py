"""AdamW, the learning rate's path, and the clipped step."""

from __future__ import annotations

import math
from typing import Any


def adamw(model: Any, learning_rate: float, weight_decay: float) -> Any:
    """AdamW over the trainable weights; matrices decay, vectors (norms, biases) do not."""
    import torch

    trained = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in trained if w.dim() >= 2], "weight_decay": weight_decay},
        {"params": [w for w in trained if w.dim() < 2], "weight_decay": 0.0},
    ]
    used = [group for group in groups if group["params"]]
    return torch.optim.AdamW(used, lr=learning_rate, betas=(0.9, 0.99), eps=1e-8, fused=True)


def rate(step: int, total: int, peak: float, schedule: str, warmup: float) -> float:
    """The learning rate of a step, the first being 0.

    It rises over the share `warmup` of all steps, then falls to a tenth (cosine) or to zero (linear), or stays.
    """
    rise = max(1, round(warmup * total))
    if step < rise:
        return peak * (step + 1) / rise
    done = (step - rise) / max(1, total - rise)
    if schedule == "cosine":
        return peak * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))
    return peak * (1 - done) if schedule == "linear" else peak


def apply(optimizer: Any, model: Any, learning_rate: float, clip: float) -> float:
    """Clip the gradient, take the step, forget the gradient; give the gradient's norm before clipping."""
    import torch

    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    trained = [weight for group in optimizer.param_groups for weight in group["params"]]
    norm = float(torch.nn.utils.clip_grad_norm_(trained, clip or math.inf))
    optimizer.step()
    optimizer.zero_grad()
    return norm
