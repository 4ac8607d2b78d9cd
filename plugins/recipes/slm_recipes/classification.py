"""The classification recipe: an encoder or decoder with a head for labels, or a small encoder from the data alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen
from attrs.validators import ge, lt, optional

from slm.plugin import Bid, Hardware, Job, Model, Rank, SlmError, Work, hookimpl
from slm_recipes import scratch, sizing
from slm_recipes.options import Making

if TYPE_CHECKING:
    import datasets


@frozen
class Classification(Making):
    """Train a model that gives a text one of the labels that the data has."""

    subword_dropout: float | None = field(
        default=None,
        validator=optional([ge(0), lt(1)]),
        metadata={"help": "Share of tokens cut anew in each pass; 0.2 for a new tokenizer, else 0 if not given."},
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """Best for its task, and for no other."""
        if job.task != "classification":
            return Bid(Rank.NO, f"learns labels, and the task is {job.task}")
        base, new = job.base, job.base.kind in ("scratch", "config")
        tokens = sizing.tokens_of(job)
        shape = scratch.classifier_shape(4 * tokens)
        layers, hidden = self.layers or base.layers or shape[0], self.hidden or base.hidden or shape[1]
        vocabulary = self.vocabulary or base.vocabulary or scratch.words_in(4 * tokens)
        parameters = base.parameters or 12 * layers * hidden**2 + vocabulary * hidden
        seen = sizing.for_classifier(tokens, self.epochs, new, parameters)
        looked_up = min(parameters, vocabulary * hidden)
        needs = sizing.full(parameters, parameters, seen, layers, hidden, hardware, looked_up)
        kind = "a new encoder and its tokenizer" if new else f"{base.name} with a head for the labels"
        return sizing.fitting(Bid(Rank.BEST, f"trains {kind}, {parameters / 1e6:.1f}M weights", needs), hardware)

    @hookimpl
    def recipe(self, job: Job, train: datasets.Dataset, validation: datasets.Dataset | None, work: Work) -> Model:
        """Make or open the classifier, train it, and write its folder."""
        from slm_recipes import checkpoint, precision
        from slm_recipes.labelling import train_classifier
        from slm_recipes.settings import classifier_defaults
        from slm_recipes.starting import has_tokenizer, new_classifier, open_classifier

        checkpoint.seed(work.seed)
        labels = sorted({str(name) for name in train["label"]})
        if len(labels) < 2:
            raise SlmError(f"train: {len(labels)} label in {len(train)} records; classification needs two or more")
        new = job.base.kind in ("scratch", "config")
        if new:
            made = new_classifier(self, job, labels, train, work)
        else:
            made = open_classifier(job, labels, self.max_length, work)
        parameters = made[0].num_parameters()
        chosen, defaults = (
            precision.choose(work.hardware, parameters, self.precision),
            classifier_defaults(new, parameters),
        )
        cut = self.subword_dropout
        if cut is None:
            cut = 0.2 if new and not has_tokenizer(job) else 0.0
        return train_classifier(made, (train, validation), self, defaults, chosen, work, cut)
