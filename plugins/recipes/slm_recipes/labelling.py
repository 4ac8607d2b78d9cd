"""From a classifier and records to a trained model folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slm.plugin import Interface, Model, Work
from slm_models.template import Prompter
from slm_recipes.generation import train_and_save
from slm_recipes.loss import choose_loss, packed_label_loss, padded_label_loss
from slm_recipes.options import Training
from slm_recipes.precision import Precision
from slm_recipes.settings import Defaults
from slm_recipes.subwords import parts, varied
from slm_recipes.tokenizing import label
from slm_recipes.training import Split, Vary

if TYPE_CHECKING:
    import datasets
    from tokenizers import Tokenizer


def train_classifier(
    made: tuple[Any, Interface, Tokenizer],
    records: tuple[datasets.Dataset, datasets.Dataset | None],
    options: Training,
    defaults: Defaults,
    precision: Precision,
    work: Work,
    subword_dropout: float = 0.0,
) -> Model:
    """Train a classifier on texts and labels, watch the second split, and write the model folder."""
    import numpy as np

    model, interface, tokenizer = made
    prompter = Prompter(tokenizer, interface)
    tokens = [label(prompter, split) if split else None for split in records]
    model.to(precision.device)
    loss, padded, why = choose_loss(model, packed_label_loss, padded_label_loss(model, interface.pad))
    if padded and interface.context <= 128:
        model.set_attn_implementation("eager")
    splits = [Split(each, np.ones(len(each), dtype="int64")) if each is not None else None for each in tokens]
    vary = cutting(tokenizer, subword_dropout, interface.context, work.seed) if subword_dropout else None
    return train_and_save(model, interface, (loss, padded, why), splits, options, defaults, precision, work, vary)


def cutting(tokenizer: Tokenizer, share: float, limit: int, seed: int) -> Vary:
    """Each epoch with this share of its merges undone."""
    merged = parts(tokenizer)

    def vary(split: Split, epoch: int) -> Split:
        return Split(varied(split.tokens, merged, share, limit, (seed, epoch)), split.counts)

    return vary
