"""From a model and token arrays to a trained model folder: the steps that all recipes of generating models share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slm.plugin import Interface, Job, Model, SlmError, Work
from slm_models.template import Prompter
from slm_recipes.loss import Loss, choose_loss, packed_loss, padded_loss
from slm_recipes.options import Training
from slm_recipes.precision import Precision
from slm_recipes.saving import generation, save_model, write_losses, write_record
from slm_recipes.settings import Defaults, settle, shape
from slm_recipes.sizing import at_once
from slm_recipes.tokenizing import Tokens, tokenize
from slm_recipes.training import Split, Trainer, Vary, train

if TYPE_CHECKING:
    import datasets


def train_generator(
    model: Any,
    interface: Interface,
    splits: tuple[Tokens, Tokens | None],
    options: Training,
    defaults: Defaults,
    precision: Precision,
    work: Work,
) -> Model:
    """Train `model` to predict the targets of the first split, watch the second, and write the model folder."""
    model.to(precision.device)
    loss, padded, why = choose_loss(model, packed_loss, padded_loss(model, interface.pad))
    model.generation_config = generation(interface)
    counted = [Split(tokens, tokens.counts()) if tokens is not None and len(tokens) else None for tokens in splits]
    return train_and_save(model, interface, (loss, padded, why), counted, options, defaults, precision, work)


def train_and_save(
    model: Any,
    interface: Interface,
    chosen: tuple[Loss, bool, str],
    splits: list[Split | None],
    options: Training,
    defaults: Defaults,
    precision: Precision,
    work: Work,
    vary: Vary | None = None,
) -> Model:
    """Run the training loop on a model and its chosen loss, and write the model folder."""
    hardware, (loss, padded, why), (first, held_out) = work.hardware, chosen, splits
    assert first is not None
    memory = hardware.gpu_memory if precision.device == "cuda" else hardware.memory
    trained, frozen = (
        sum(weight.numel() for weight in model.parameters() if weight.requires_grad is kind) for kind in (True, False)
    )
    limit = at_once(memory, trained, frozen, *shape(model.config), 4 if precision.compute == "float32" else 2)
    settings = settle(options, defaults, first.tokens, limit=limit, seed=work.seed)
    run = Trainer(model, loss, padded, first, held_out, settings, precision, work, vary)
    progress, products = train(run)
    write_losses(progress, work.folder)
    write_record(work.folder, model, progress, settings, precision, products, why)
    return save_model(model, interface, work)


def tune_decoder(
    options: Training,
    job: Job,
    records: tuple[datasets.Dataset, datasets.Dataset | None],
    work: Work,
    adapt: Callable[[Any], Any] | None,
    defaults: Defaults,
) -> Model:
    """Fine-tune a decoder base: all of its weights, or the adapters that `adapt` puts on it."""
    from slm_recipes import checkpoint, precision
    from slm_recipes.starting import open_decoder

    checkpoint.seed(work.seed)
    chosen = precision.choose(work.hardware, job.base.parameters, options.precision)
    model, interface, tokenizer = open_decoder(job, work, chosen.base if adapt else "float32")
    prompter, limit = Prompter(tokenizer, interface), min(options.max_length or 1024, interface.context)
    splits = tokenize_splits(prompter, records, limit, work)
    model = adapt(model) if adapt else model
    return train_generator(model, interface, splits, options, defaults, chosen, work)


def tokenize_splits(
    prompter: Prompter,
    records: tuple[datasets.Dataset, datasets.Dataset | None],
    limit: int,
    work: Work,
    loss_on: str = "answers",
) -> tuple[Tokens, Tokens | None]:
    """Training and validation records as samples; SlmError where there is nothing to train on."""
    train, validation = records
    if not len(train):
        raise SlmError("train: no records to train on; check the sources and the steps before this one")
    held_out = tokenize(prompter, validation, limit, work, "validation", loss_on) if validation else None
    return tokenize(prompter, train, limit, work, "train", loss_on), held_out
