"""Folders of `from_pretrained`, adapters merged, loaded for inference."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from slm.plugin import Hardware, Interface, Model, SlmError
from slm_models.template import Prompter, load_tokenizer

BIG = 4 << 30  # bytes of weights from which memory counts for more than agreement in float32


def load(folder: Path, interface: Interface, dtype: str, device: str) -> Any:
    """The model of the folder on `device`, ready for inference; of an adapter folder its base with the adapter
    merged in. SlmError where the folder holds none."""
    import torch
    import transformers

    settings: dict[str, Any] = {"dtype": getattr(torch, dtype), "local_files_only": True, "use_safetensors": True}
    if interface.task == "classification":
        settings["num_labels"] = len(interface.labels)
    transformers.utils.logging.disable_progress_bar()
    base = base_folder(folder)
    try:
        model = model_class(interface).from_pretrained(base, **settings)
        if base != folder:
            model = merged(model, folder)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise SlmError(f"{folder}: not a model that transformers can open ({reason[0]})") from None
    return model.to(device).eval().requires_grad_(False)


def merged(model: Any, adapter: Path) -> Any:
    """The base model with the adapter's weights added to its own."""
    from peft import PeftModel

    with warnings.catch_warnings():  # peft 0.21 reads an attribute that transformers 5 has renamed
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        return PeftModel.from_pretrained(model, adapter).merge_and_unload()


def model_class(interface: Interface) -> Any:
    """The transformers class for the task."""
    import transformers

    classifies = interface.task == "classification"
    return transformers.AutoModelForSequenceClassification if classifies else transformers.AutoModelForCausalLM


def base_folder(folder: Path) -> Path:
    """The folder itself, or of an adapter folder the base that its adapter_config.json names."""
    file = folder / "adapter_config.json"
    if not file.is_file():
        return folder
    try:
        named = Path(json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (ValueError, KeyError, TypeError) as error:
        raise SlmError(f"{file}: names no base model ({error}); train the adapter again") from None
    if not (base := folder / named).is_dir():
        raise SlmError(f"{file}: its base {named} is not there; put it back or export the model merged before")
    return base


def precision(option: str, folder: Path, hardware: Hardware) -> str:
    """The torch dtype's name: the option, or float32 for small models, so that scores agree with other formats."""
    if option != "auto":
        return option
    size = sum(file.stat().st_size for file in base_folder(folder).glob("*.safetensors"))
    if size < BIG:
        return "float32"
    if hardware.gpus:
        return "bfloat16" if max(gpu.capability for gpu in hardware.gpus) >= (8, 0) else "float16"
    native = {"avx512_bf16", "amx_bf16"} & set(hardware.flags)
    return "bfloat16" if native else "float32"


def prompter(model: Model) -> Prompter:
    """The model's prompter; a folder with an older tokenizer is read by transformers."""
    if not (model.path / "tokenizer.json").is_file() and not (model.path / "slm.json").is_file():
        return Prompter(converted(model.path), model.interface)
    return Prompter(load_tokenizer(model.path), model.interface)


def converted(folder: Path) -> Any:
    """The `tokenizers` tokenizer of a folder that has files of an older kind only."""
    import transformers

    try:
        backend = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    except (OSError, ValueError, AttributeError, ImportError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise SlmError(f"{folder}: its tokenizer can't be read ({reason[0]}); save it as tokenizer.json") from None
    backend.no_padding()
    backend.no_truncation()
    return backend
