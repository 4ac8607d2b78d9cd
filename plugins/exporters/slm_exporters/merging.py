"""The trained model as one plain network: an adapter is merged into its base. Every exporter begins here."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from slm.plugin import Model, SlmError


def base_folder(model: Model) -> Path:
    """The model's folder, or for an adapter the folder of its base."""
    file = model.path / "adapter_config.json"
    if not file.is_file():
        return model.path
    try:
        named = str(json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (ValueError, KeyError, TypeError) as error:
        raise SlmError(f"{file}: names no base model ({error}); train the adapter again") from None
    base = model.path / named
    if not base.is_dir():
        raise SlmError(f"{file}: its base {named} is not there; put it back or correct the path")
    return base


def is_adapter(model: Model) -> bool:
    """Whether the folder holds an adapter only."""
    return (model.path / "adapter_config.json").is_file()


def merged(network: Any, adapter: Path) -> Any:
    """The base network with the adapter's weights added to its own."""
    from peft import PeftModel

    with warnings.catch_warnings():  # peft 0.21 reads an attribute that transformers 5 has renamed
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        return PeftModel.from_pretrained(network, adapter).merge_and_unload()


def load(model: Model, dtype: str = "auto") -> Any:
    """The network on the CPU, adapter merged in, for inference; `dtype` as torch names it, or the checkpoint's own.

    SlmError where the folder holds no model.
    """
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    classifies = model.interface.task == "classification"
    kind = transformers.AutoModelForSequenceClassification if classifies else transformers.AutoModelForCausalLM
    settings: dict[str, Any] = {"local_files_only": True, "use_safetensors": True}
    settings["dtype"] = dtype if dtype == "auto" else getattr(torch, dtype)
    if classifies:
        settings["num_labels"] = len(model.interface.labels)
    try:
        network = kind.from_pretrained(base_folder(model), **settings)
        if is_adapter(model):
            network = merged(network, model.path)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise SlmError(f"{model.path}: not a model that transformers can open ({reason[0]})") from None
    return network.eval().requires_grad_(False)
