"""Low-rank adapters on a frozen base."""

from __future__ import annotations

from typing import Any


def add_adapters(model: Any, *, rank: int, alpha: float | None, dropout: float, targets: tuple[str, ...]) -> Any:
    """Freeze the model and put float32 adapters on its linear layers; all but the head unless `targets` name some."""
    from peft import LoraConfig, get_peft_model

    from slm.plugin import SlmError

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha if alpha is not None else 2 * rank,
        lora_dropout=dropout,
        target_modules=list(targets) or "all-linear",
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise SlmError(f"targets: {str(error).splitlines()[0]}") from None
