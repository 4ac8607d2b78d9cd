"""From a model and token arrays to a trained model folder: the steps that all recipes of generating models share."""

from __future__ import annotations

from typing import Any

from slm.plugin import Interface, Model, Work

from slm_recipes.loss import choose_loss
from slm_recipes.precision import Precision
from slm_recipes.saving import save_model, set_generation, write_losses, write_record
from slm_recipes.settings import Defaults, Options, micro_limit, settle, shape
from slm_recipes.tokenizing import Tokens
from slm_recipes.training import Split, Trainer, train


def train_generator(
    model: Any,
    interface: Interface,
    splits: tuple[Tokens, Tokens | None],
    options: Options,
    defaults: Defaults,
    precision: Precision,
    work: Work,
) -> Model:
    """Train `model` to predict the targets of the first split, watch the second, and write the model folder."""
    hardware = work.hardware
    model.to(precision.device)
    memory = hardware.gpu_memory if precision.device == "cuda" else hardware.memory
    limit = micro_limit(memory, *shape(model.config), sum(weight.numel() for weight in model.parameters()))
    settings = settle(options, defaults, splits[0], limit=limit, seed=work.seed)
    loss, padded, why = choose_loss(model, interface.pad)
    held_out = Split(splits[1], splits[1].counts()) if splits[1] is not None and len(splits[1]) else None
    run = Trainer(model, loss, padded, Split(splits[0], splits[0].counts()), held_out, settings, precision, work)
    progress, products = train(run)
    write_losses(progress, work.folder)
    write_record(work.folder, model, progress, settings, precision, products, why)
    model.set_attn_implementation("sdpa" if not padded else model.config._attn_implementation)
    set_generation(model, interface)
    return save_model(model, interface, work)
