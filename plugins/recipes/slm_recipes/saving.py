"""A trained model's folder: weights, tokenizer, interface, generation settings, and what happened in training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from slm.plugin import Interface, Model, Work
from slm_models.template import write_interface
from slm_recipes.precision import Precision
from slm_recipes.settings import Settings
from slm_recipes.training import Progress

TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "vocab.txt")


def copy_tokenizer(base: Path, folder: Path) -> None:
    """Take the base's tokenizer files over unchanged."""
    for name in TOKENIZER:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)


def save_model(model: Any, interface: Interface, work: Work) -> Model:
    """Write weights and interface into the work folder, beside the tokenizer files that are there."""
    model.save_pretrained(work.folder)
    (work.folder / "README.md").unlink(missing_ok=True)  # peft's model card, with nothing filled in
    if interface.labels == ():
        generation(interface).save_pretrained(work.folder)
    write_interface(interface, work.folder)
    return Model(path=work.folder, format="transformers", interface=interface)


def generation(interface: Interface) -> Any:
    """The settings that tell transformers' `generate` which tokens end an answer."""
    from transformers import GenerationConfig

    first = next(iter(interface.begin), None)
    return GenerationConfig(eos_token_id=list(interface.stop), pad_token_id=interface.pad, bos_token_id=first)


def write_losses(progress: Progress, folder: Path) -> None:
    """`losses.csv` and `validation.csv`: nothing in them depends on the clock, so two runs can be compared."""
    rows = ((n + 1, *row) for n, row in enumerate(progress.losses))
    table(folder / "losses.csv", "step,loss,learning_rate,gradient_norm,targets,tokens", rows)
    if progress.validation:
        table(folder / "validation.csv", "step,loss", progress.validation)


def table(file: Path, head: str, rows: Iterable[Iterable[float]]) -> None:
    """Write numbers as CSV with all their digits; whole ones without a point."""
    lines = (",".join(str(int(x)) if x == int(x) else repr(float(x)) for x in row) for row in rows)
    file.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")


def write_record(
    folder: Path, model: Any, progress: Progress, settings: Settings, precision: Precision, *reasons: str
) -> None:
    """`training.json`: what was done, how long it took, and why it was done so."""
    import torch

    tokens = sum(int(row[4]) for row in progress.losses)
    record = {
        "device": precision.device,
        "threads": torch.get_num_threads(),
        "precision": precision.compute,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "trained": sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
        "steps": progress.step,
        "epochs": round(progress.step / settings.per_epoch, 3),
        "tokens": tokens,
        "targets": sum(int(row[3]) for row in progress.losses),
        "seconds": round(progress.seconds, 2),
        "tokens_per_second": round(tokens / max(progress.seconds, 1e-9), 1),
        "batch_tokens": settings.budget,
        "learning_rate": settings.learning_rate,
        "seed": settings.seed,
        "kept_step": progress.best_step if settings.keep == "best" and progress.best_step else progress.step,
        "reasons": [precision.why, *settings.reasons, *reasons],
    }
    (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
