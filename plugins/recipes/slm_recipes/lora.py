"""The lora recipe: adapters on a frozen decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attrs import frozen

from slm.plugin import Bid, Hardware, Job, Model, Rank, Work, hookimpl
from slm_recipes import options, sizing

if TYPE_CHECKING:
    import datasets


@frozen
class Lora:
    """Train small adapters on a frozen base: the least memory, and a result of a few megabytes."""

    rank: int = options.rank()
    alpha: float | None = options.alpha()
    dropout: float = options.dropout()
    targets: tuple[str, ...] = options.targets()
    epochs: float | None = options.epochs()
    learning_rate: float | None = options.learning_rate()
    batch_tokens: int | None = options.batch_tokens()
    max_length: int | None = options.max_length()
    schedule: Literal["cosine", "linear", "constant"] = options.schedule()
    warmup: float = options.warmup()
    weight_decay: float = options.weight_decay(0.0)
    clip: float = options.clip()
    precision: Literal["auto", "float32", "bfloat16"] = options.precision()
    evaluate_every: int | None = options.evaluate_every()
    checkpoint_every: int | None = options.checkpoint_every()
    keep: Literal["best", "last"] = options.keep()
    patience: int = options.patience()

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """Best for answers of a base too large to be trained whole."""
        if refused := sizing.refusal(job):
            return Bid(Rank.NO, refused)
        needs = sizing.adapters(job, hardware, self.rank, self.epochs)
        size = f"{job.base.parameters / 1e6:.1f}M weights stay as they are, adapters of rank {self.rank} are trained"
        if job.task == "qa" and not sizing.trains_whole(job, hardware, self.epochs):
            return sizing.fitting(Bid(Rank.BEST, size, needs), hardware)
        return sizing.fitting(Bid(Rank.GOOD, size, needs), hardware)

    @hookimpl
    def recipe(self, job: Job, train: datasets.Dataset, validation: datasets.Dataset | None, work: Work) -> Model:
        """Put adapters on the base, train them, and write the adapter folder."""
        from functools import partial

        from slm_recipes.adapters import add_adapters
        from slm_recipes.generation import tune_decoder
        from slm_recipes.settings import adapter_defaults

        adapt = partial(add_adapters, rank=self.rank, alpha=self.alpha, dropout=self.dropout, targets=self.targets)
        return tune_decoder(self, job, (train, validation), work, adapt, adapter_defaults(job.base.parameters))
