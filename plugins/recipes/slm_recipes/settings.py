"""Options, data and model to the numbers of a training run, each automatic one with its reason."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from slm_recipes.options import Training
from slm_recipes.packing import steps_per_epoch
from slm_recipes.tokenizing import Tokens


@frozen
class Defaults:
    """What a recipe wants for data of ordinary size.

    steps  -- at least so many, by repeating small data, within `passes` (fewest, most) passes
    tokens -- (fewest, most) tokens a step
    """

    learning_rate: float
    steps: int
    passes: tuple[float, float]
    tokens: tuple[int, int]

    def budget(self, tokens: int) -> int:
        """Tokens a step for data of so many tokens: about 50 steps a pass."""
        fewest, most = self.tokens
        return min(most, max(fewest, tokens // 50))


def by_size(parameters: int, tiny: float, small: float, large: float) -> float:
    """A learning rate for models under 5M, under 50M, and above: the larger, the smaller its steps."""
    return tiny if parameters < 5e6 else small if parameters < 50e6 else large


def whole_defaults(parameters: int) -> Defaults:
    """For training all weights of a base."""
    return Defaults(by_size(parameters, 1e-3, 2e-4, 3e-5), steps=200, passes=(3, 20), tokens=(512, 8192))


def adapter_defaults(parameters: int) -> Defaults:
    """For training adapters: larger steps, since few weights move."""
    return Defaults(by_size(parameters, 3e-3, 1e-3, 2e-4), steps=200, passes=(3, 20), tokens=(512, 8192))


def classifier_defaults(new: bool, parameters: int) -> Defaults:
    """For classifiers: new ones from random weights, or with a new head on a base."""
    if new:
        return Defaults(1e-3, steps=1000, passes=(5, 40), tokens=(512, 2048))
    return Defaults(by_size(parameters, 1e-3, 1e-4, 3e-5), steps=300, passes=(3, 20), tokens=(512, 2048))


@frozen
class Settings:
    """The numbers of a run. `budget` is tokens a step, `limit` tokens a micro-batch; `reasons` explain them."""

    steps: int
    per_epoch: int
    budget: int
    limit: int
    learning_rate: float
    schedule: str
    warmup: float
    weight_decay: float
    clip: float
    evaluate_every: int
    checkpoint_every: int | None
    keep: str
    patience: int
    seed: int
    reasons: tuple[str, ...]


def settle(options: Training, defaults: Defaults, tokens: Tokens, *, limit: int, seed: int) -> Settings:
    """Fill in what the options leave open; `limit` is how many tokens memory allows at once."""
    lengths, reasons = tokens.lengths, []
    budget = options.batch_tokens
    if budget is None:
        budget, (fewest, most) = defaults.budget(int(lengths.sum())), defaults.tokens
        reasons.append(f"batch_tokens = {budget}: about 50 steps a pass, within {fewest} to {most}")
    per_epoch = steps_per_epoch(lengths, budget)
    epochs = options.epochs
    if epochs is None:
        least, most_passes = defaults.passes
        epochs = min(most_passes, max(least, defaults.steps / per_epoch))
        reasons.append(f"epochs = {epochs:.3g}: {per_epoch} steps a pass, and {defaults.steps} steps wanted")
    steps = max(1, round(epochs * per_epoch))
    return Settings(
        steps=steps,
        per_epoch=per_epoch,
        budget=budget,
        limit=min(limit, 2 * max(budget, int(lengths.max()))),  # steps differ in size: no remainders
        learning_rate=options.learning_rate or defaults.learning_rate,
        evaluate_every=options.evaluate_every or max(1, steps // 20),
        seed=seed,
        reasons=tuple(reasons),
        **{name: getattr(options, name) for name in COPIED},
    )


COPIED: tuple[str, ...] = ("schedule", "warmup", "weight_decay", "clip", "checkpoint_every", "keep", "patience")


def shape(config: Any) -> tuple[int, int]:
    """Layers and width of a transformers configuration."""
    text = config.get_text_config()
    return int(getattr(text, "num_hidden_layers", 12)), int(getattr(text, "hidden_size", 768))
