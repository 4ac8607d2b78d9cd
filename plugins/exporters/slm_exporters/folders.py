"""What every exported folder holds besides its weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from slm.plugin import Interface, Model
from slm_exporters.merging import base_folder
from slm_models.template import load_tokenizer, write_interface

BESIDES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json")


def furnish(folder: Path, model: Model) -> None:
    """Put tokenizer, interface, chat template and configs into an artifact's folder, so that it needs no other.

    SlmError where the model has no `tokenizer.json`.
    """
    sources = (model.path, base_folder(model))
    load_tokenizer(model.path if (model.path / "tokenizer.json").is_file() else sources[1])
    for name in ("config.json", *BESIDES):
        found = next((source / name for source in sources if (source / name).is_file()), None)
        if found and (name in BESIDES or not (folder / name).is_file()):  # a tool's own rewrite of a tokenizer differs
            shutil.copyfile(found, folder / name)
    if model.interface.template is not None:
        (folder / "chat_template.jinja").write_text(model.interface.template, encoding="utf-8")
    write_interface(model.interface, folder)


def read_config(model: Model) -> dict[str, Any]:
    """The `config.json` of the model, or for an adapter of its base; empty where there is none."""
    file = base_folder(model) / "config.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found if isinstance(found, dict) else {}


def classifies(interface: Interface) -> bool:
    """Whether the model sorts texts into labels instead of writing."""
    return interface.task == "classification"
