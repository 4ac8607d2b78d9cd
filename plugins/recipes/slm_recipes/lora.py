"""The lora recipe: adapters on a frozen decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from slm.plugin import Bid, Hardware, Job, Model, Rank, Work, hookimpl
from slm_recipes import sizing
from slm_recipes.options import Adapting

if TYPE_CHECKING:
    import datasets


@frozen
class Lora(Adapting):
    """Train small adapters on a frozen base: the least memory, and a result of a few megabytes."""

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
