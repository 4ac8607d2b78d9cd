"""The pretrain recipe: a tokenizer and a small Llama from the data alone, or more plain text for a decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attrs import field, frozen
from attrs.validators import ge

from slm.plugin import Bid, Hardware, Job, Model, Rank, SlmError, Work, hookimpl
from slm_recipes import scratch, sizing
from slm_recipes.options import Making
from slm_recipes.settings import Defaults

if TYPE_CHECKING:
    import datasets

SCRATCH = Defaults(learning_rate=3e-3, steps=1500, passes=(3, 60), tokens=(1024, 4096))
ON = Defaults(learning_rate=3e-4, steps=200, passes=(1, 5), tokens=(1024, 16384))


@frozen
class Pretrain(Making):
    """Train a model and its tokenizer from the data alone, or go on training a base on plain text."""

    loss_on: Literal["answers", "all"] = field(
        default="answers", metadata={"help": "Learn the answers only, or the questions too."}
    )
    weight_decay: float = field(default=0.1, validator=ge(0), metadata={"help": "Weight decay of AdamW, on matrices."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """Best where there are no weights to start from, and for plain text."""
        if job.base.kind != "decoder":
            return self._bid_new(job, hardware)
        if refused := sizing.refusal(job):
            return Bid(Rank.NO, refused)
        if job.task != "completion":
            return Bid(Rank.NO, f"{job.base.name} has weights and the task is {job.task}; use 'full' or 'lora'")
        base, tokens = job.base, sizing.tokens_of(job)
        trained = tokens * sizing.passes(tokens, self.epochs, ON.steps, ON.tokens[0], ON.passes)
        needs = sizing.full(base.parameters, base.parameters, trained, base.layers, base.hidden, hardware)
        why = f"goes on training all {base.parameters / 1e6:.1f}M weights on plain text"
        return sizing.fitting(Bid(Rank.BEST, why, needs), hardware)

    def _bid_new(self, job: Job, hardware: Hardware) -> Bid:
        new = job.base.kind in ("scratch", "config")
        if job.task in ("preference", "classification") or not new:
            return Bid(Rank.NO, sizing.refusal(job, generates=not new) or "")
        tokens = sizing.tokens_of(job)
        layers, hidden = scratch.shape_for(tokens * 4)
        layers, hidden = self.layers or job.base.layers or layers, self.hidden or job.base.hidden or hidden
        vocabulary = self.vocabulary or job.base.vocabulary or scratch.vocabulary_for(tokens * 4)
        parameters = job.base.parameters or 12 * layers * hidden**2 + vocabulary * hidden
        seen = tokens * sizing.passes(tokens, self.epochs, SCRATCH.steps, SCRATCH.tokens[0], SCRATCH.passes)
        needs = sizing.full(parameters, parameters, seen, layers, hidden, hardware)
        why = f"no weights to start from: trains a {parameters / 1e6:.1f}M-parameter model from the data"
        return sizing.fitting(Bid(Rank.BEST, why, needs), hardware)

    @hookimpl
    def recipe(self, job: Job, train: datasets.Dataset, validation: datasets.Dataset | None, work: Work) -> Model:
        """Make or open the model, train it, and write its folder."""
        from slm_models.template import Prompter
        from slm_recipes import checkpoint, precision
        from slm_recipes.generation import tokenize_splits, train_generator
        from slm_recipes.starting import new_decoder, open_decoder

        checkpoint.seed(work.seed)
        if not len(train):
            raise SlmError("train: no records to train on; check the sources and the steps before this one")
        on = job.base.kind == "decoder"
        model, interface, tokenizer = open_decoder(job, work) if on else new_decoder(self, job, train, work)
        limit = min(self.max_length or 1024, interface.context)
        splits = tokenize_splits(Prompter(tokenizer, interface), (train, validation), limit, work, self.loss_on)
        chosen = precision.choose(work.hardware, model.num_parameters(), self.precision)
        return train_generator(model, interface, splits, self, ON if on else SCRATCH, chosen, work)
