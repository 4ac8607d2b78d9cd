"""The training loop: steps, validation, checkpoints. It knows neither task nor architecture, only a summed loss."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from slm.plugin import Work
from slm_recipes import checkpoint, optimizer
from slm_recipes.loss import Loss
from slm_recipes.packing import epoch_steps, micro_batches
from slm_recipes.precision import Precision, autocast, fast_float32
from slm_recipes.settings import Settings
from slm_recipes.tokenizing import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

VALIDATED = 32_768
"""Tokens of the validation set that are looked at, so that looking stays cheap."""


@frozen(eq=False)
class Split:
    """Samples, and how many losses each counts for."""

    tokens: Tokens
    counts: NDArray[Any]


Vary = Callable[[Split, int], Split]
"""A split and the number of an epoch -> the same samples as this epoch sees them."""


@define(eq=False)
class Progress:
    """Where a run is: what a checkpoint holds besides weights. `losses` has a row of figures for each step."""

    step: int = 0
    losses: list[list[float]] = field(factory=list)
    validation: list[list[float]] = field(factory=list)
    best: float = float("inf")
    best_step: int = 0
    seconds: float = 0.0


@frozen(eq=False)
class Trainer:
    """One run's parts: what is trained, on what, and how."""

    model: Any
    loss: Loss
    padded: bool
    train: Split
    held_out: Split | None
    settings: Settings
    precision: Precision
    work: Work
    vary: Vary | None = None

    def split(self, epoch: int) -> Split:
        """What an epoch learns."""
        return self.vary(self.train, epoch) if self.vary else self.train


def train(run: Trainer) -> tuple[Progress, str]:
    """Train to the end, from the last checkpoint if there is one, and leave the model with the weights to keep.

    A killed run that is started again takes the same steps: all chance comes from the seed, the step's number and
    the generators' states in the checkpoint. Gives the figures, and how matrices were multiplied.
    """
    settings, checkpoints = run.settings, run.work.checkpoints
    adamw = optimizer.adamw(run.model, settings.learning_rate, settings.weight_decay)
    run.model.train()
    progress = resume(run, adamw)
    with fast_float32(run.precision, run.work.hardware) as products:
        begun = saved = time.monotonic() - progress.seconds
        meter, planned, plan, split = Meter(run.work, settings.steps), -1, [], run.train
        while progress.step < settings.steps and not stopped(progress, settings):
            epoch, at = divmod(progress.step, settings.per_epoch)
            if epoch != planned:
                planned, split = epoch, run.split(epoch)
                plan = epoch_steps(split.tokens.lengths, settings.per_epoch, settings.seed, epoch)
            progress.losses.append(take_step(run, adamw, split, plan[at], progress.step))
            progress.step += 1
            if run.held_out and (progress.step % settings.evaluate_every == 0 or progress.step == settings.steps):
                judge(run, progress)
            meter.tell(progress)
            progress.seconds = time.monotonic() - begun
            if due(settings, progress.step, saved):
                save(run, adamw, progress)
                saved = time.monotonic()
    if settings.keep == "best" and progress.best_step:
        checkpoint.restore(run.model, checkpoint.read(checkpoints / "best.pt"))
    return progress, products


def take_step(run: Trainer, adamw: Any, split: Split, samples: NDArray[Any], step: int) -> list[float]:
    """One optimizer step, normalised by its targets over all micro-batches: [loss, rate, norm, targets, tokens]."""
    settings = run.settings
    lengths = split.tokens.lengths
    targets = int(split.counts[samples].sum())
    total = 0.0
    for part in micro_batches(samples, lengths, settings.limit, run.padded):
        with autocast(run.precision):
            loss = run.loss(split.tokens, part) / targets
        loss.backward()
        total += float(loss.detach())
    rate = optimizer.rate(step, settings.steps, settings.learning_rate, settings.schedule, settings.warmup)
    norm = optimizer.apply(adamw, run.model, rate, settings.clip)
    return [total, rate, norm, targets, int(lengths[samples].sum())]


def validate(run: Trainer, split: Split) -> float:
    """Mean loss over a sample of a split, the same at every look, in nats a target."""
    import numpy as np
    import torch

    lengths = split.tokens.lengths
    order = np.random.default_rng(0).permutation(len(lengths))
    samples = order[: max(1, int((np.cumsum(lengths[order]) <= VALIDATED).sum()))]
    run.model.eval()
    with torch.no_grad(), autocast(run.precision):
        parts = micro_batches(samples, lengths, run.settings.limit, run.padded)
        total = sum(float(run.loss(split.tokens, part)) for part in parts)
    run.model.train()
    return total / max(1, int(split.counts[samples].sum()))


def judge(run: Trainer, progress: Progress) -> None:
    """Look at the validation loss, and put the weights aside where it is the best so far."""
    assert run.held_out is not None
    loss = validate(run, run.held_out)
    progress.validation.append([progress.step, loss])
    if loss < progress.best:
        progress.best, progress.best_step = loss, progress.step
        if run.settings.keep == "best":
            checkpoint.write(run.work.checkpoints / "best.pt", checkpoint.trained(run.model))


def stopped(progress: Progress, settings: Settings) -> bool:
    """Whether validation has not improved for `patience` looks."""
    since = sum(1 for step, _ in progress.validation if step > progress.best_step)
    return bool(settings.patience) and since >= settings.patience


def due(settings: Settings, step: int, saved: float) -> bool:
    """Whether to write a checkpoint now: by steps if asked, else by time, and always at the end."""
    if step == settings.steps:
        return True
    if settings.checkpoint_every is not None:
        return step % settings.checkpoint_every == 0
    return time.monotonic() - saved >= 30


def save(run: Trainer, adamw: Any, progress: Progress) -> None:
    """Write all that the next steps depend on."""
    import attrs

    state = {
        "weights": checkpoint.trained(run.model),
        "optimizer": adamw.state_dict(),
        "generators": checkpoint.generators(),
        "progress": attrs.asdict(progress, recurse=False),
    }
    checkpoint.save(run.work.checkpoints, progress.step, state)


def resume(run: Trainer, adamw: Any) -> Progress:
    """The state of the last checkpoint, put into model, optimizer and generators; a new one without any."""
    state = checkpoint.latest(run.work.checkpoints)
    if state is None:
        return Progress()
    checkpoint.restore(run.model, state["weights"])
    adamw.load_state_dict(state["optimizer"])
    checkpoint.reseed(state["generators"])
    return Progress(**state["progress"])


@define(eq=False)
class Meter:
    """Tells the progress, five times a second at most."""

    work: Work
    steps: int
    told: float = 0.0
    since: float = field(factory=time.monotonic)
    seen: int | None = None

    def tell(self, progress: Progress) -> None:
        """Say where the run is, with the speed since it was last said."""
        now, (loss, rate, *_) = time.monotonic(), progress.losses[-1]
        if self.seen is None:
            self.seen = progress.step - 1
        if now - self.told < 0.2 and progress.step < self.steps:
            return
        tokens = sum(row[4] for row in progress.losses[self.seen :])
        figures = {"loss": loss, "learning_rate": rate, "tokens_per_second": tokens / max(1e-9, now - self.since)}
        if progress.validation:
            figures["validation_loss"] = progress.validation[-1][1]
        self.work.progress(progress.step, self.steps, "steps", **figures)
        self.told = self.since = now
        self.seen = progress.step
