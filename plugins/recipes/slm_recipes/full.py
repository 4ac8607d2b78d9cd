"""The full recipe: all weights of a decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from slm.plugin import Bid, Hardware, Job, Model, Rank, Work, hookimpl
from slm_recipes import sizing
from slm_recipes.options import Training

if TYPE_CHECKING:
    import datasets


@frozen
class Full(Training):
    """Train all weights of a base: the most thorough, for small models and machines with memory."""

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """Best for questions and answers on a base small enough to be trained whole."""
        if refused := sizing.refusal(job):
            return Bid(Rank.NO, refused)
        needs = sizing.whole(job, hardware, self.epochs)
        size = f"trains all {job.base.parameters / 1e6:.1f}M weights"
        if job.task != "qa":
            other = "pretrain" if job.task == "completion" else "instruction"
            return sizing.fitting(Bid(Rank.POSSIBLE, f"{size}; {job.task} is what {other!r} is for", needs), hardware)
        if sizing.trains_whole(job, hardware, self.epochs):
            return Bid(Rank.BEST, f"{size}: small enough for that", needs)
        return sizing.fitting(Bid(Rank.GOOD, f"{size}, where adapters would do", needs), hardware)

    @hookimpl
    def recipe(self, job: Job, train: datasets.Dataset, validation: datasets.Dataset | None, work: Work) -> Model:
        """Train the base's weights and write the model folder."""
        from slm_recipes.generation import tune_decoder
        from slm_recipes.settings import whole_defaults

        return tune_decoder(self, job, (train, validation), work, None, whole_defaults(job.base.parameters))
