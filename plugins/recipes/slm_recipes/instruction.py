"""The instruction recipe: a decoder learns to follow instructions through its chat template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attrs import field, frozen

from slm.plugin import Bid, Hardware, Job, Model, Rank, Work, hookimpl
from slm_recipes import sizing
from slm_recipes.options import Adapting

if TYPE_CHECKING:
    import datasets


@frozen
class Instruction(Adapting):
    """Teach a base to answer in its chat template, learning from the answers only."""

    method: Literal["lora", "full"] = field(
        default="lora", metadata={"help": "Train adapters on the frozen base, or all of its weights."}
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """Best for instructions and conversations."""
        if refused := sizing.refusal(job):
            return Bid(Rank.NO, refused)
        if job.task == "completion":
            return Bid(Rank.NO, "plain text has no instructions and answers; use 'pretrain'")
        lora = self.method == "lora"
        needs = (
            sizing.adapters(job, hardware, self.rank, self.epochs) if lora else sizing.whole(job, hardware, self.epochs)
        )
        rank = Rank.POSSIBLE if job.task == "qa" else Rank.BEST
        part = f"adapters of rank {self.rank}" if lora else f"all {job.base.parameters / 1e6:.1f}M weights"
        return sizing.fitting(Bid(rank, f"learns the answers in the chat template, training {part}", needs), hardware)

    @hookimpl
    def recipe(self, job: Job, train: datasets.Dataset, validation: datasets.Dataset | None, work: Work) -> Model:
        """Train adapters or all weights on the answers, and write the folder."""
        from functools import partial

        from slm_recipes.adapters import add_adapters
        from slm_recipes.generation import tune_decoder
        from slm_recipes.settings import adapter_defaults, whole_defaults

        adapt = partial(add_adapters, rank=self.rank, alpha=self.alpha, dropout=self.dropout, targets=self.targets)
        lora, size = self.method == "lora", job.base.parameters
        defaults = adapter_defaults(size) if lora else whole_defaults(size)
        return tune_decoder(self, job, (train, validation), work, adapt if lora else None, defaults)
