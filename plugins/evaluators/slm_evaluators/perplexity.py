"""How surprised a model is by the test answers, a token on average."""

from __future__ import annotations

import math
from functools import partial
from operator import mul
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen
from attrs.validators import ge

from slm.plugin import Bid, Engine, Evaluator, Hardware, Job, Metric, Metrics, Needs, Rank, SlmError, Work, hookimpl
from slm_evaluators.intervals import ratio
from slm_evaluators.sample import sample
from slm_evaluators.windows import Window, batches, windows

if TYPE_CHECKING:
    import datasets

BATCH_TOKENS = 8192


@frozen
class Perplexity(Evaluator):
    """Perplexity of the tokens that training counts (answers, or the whole text), beside that of the base model."""

    limit: int = field(default=2000, validator=ge(0), metadata={"help": "Most test records to score; 0 scores all."})
    window: int = field(
        default=1024, validator=ge(2), metadata={"help": "Most tokens scored in one pass; longer texts are cut."}
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """For every task whose model generates text."""
        if job.task not in ("qa", "instruction", "chat", "completion"):
            return Bid(Rank.NO, f"a {job.task} record has no text to predict")
        return Bid(Rank.GOOD, "measures the text that training counts", Needs(5 * job.base.parameters))

    @hookimpl
    def evaluate(  # type: ignore[override]  # it asks for no more than it uses
        self, engine: Engine, data: datasets.Dataset, base: Engine | None, job: Job, work: Work
    ) -> Metrics:
        """Perplexity is exp of the mean negative log-likelihood (nats) over all target tokens together.

        The interval draws windows anew: records that fit one window, or the pieces of a longer one. Perplexities
        compare only between models that share a tokenizer; bits per byte (completion) between any. The end token is a
        target too: a base that was never taught to end can owe it much of its figure where texts are short.
        """
        records = sample(data, self.limit, work)
        found: list[Metric] = []
        for subject, asked in (("model", engine), ("base", base)):
            if asked is not None:
                found += self.measure(asked, records, subject, job, work)
        return Metrics(tuple(found))

    def measure(
        self, engine: Engine, records: list[dict[str, Any]], subject: str, job: Job, work: Work
    ) -> list[Metric]:
        """The figures of one engine."""
        longest = min(self.window, engine.prompter.interface.context)
        examples = list(engine.prompter.examples(records))
        found = [window for example in examples for window in windows(example, longest)]
        if not found:
            raise SlmError("evaluate: no test record has a token to predict; give it longer texts")
        tokens, losses = score(engine, found, subject, work)
        values = [ratio("perplexity", losses, tokens, subject, work.seed, shape=exp)]
        size = sum(len(record["text"].encode()) for record in records) if job.task == "completion" else 0
        if size:
            # a first token that nothing precedes has no score: it counts like the mean of the others
            bits = sum(sum(example.targets) for example in examples) / size / math.log(2)
            values.append(ratio("bits_per_byte", losses, tokens, subject, work.seed, shape=partial(mul, bits)))
        return [evolve(value, count=len(records)) for value in values]


def score(engine: Engine, found: list[Window], subject: str, work: Work) -> tuple[list[float], list[float]]:
    """Of each window, in the order they were scored: how many targets, and their negative log-likelihood in nats."""
    tokens: list[float] = []
    losses: list[float] = []
    for batch in batches(found, BATCH_TOKENS):
        for window, row in zip(batch, engine.score([window.ids for window in batch]), strict=True):
            tokens.append(len(window.scored))
            losses.append(-math.fsum(row[n - 1] for n in window.scored))
        work.progress(len(tokens), len(found), "texts" if subject == "model" else "texts of the base")
    return tokens, losses


def exp(mean: float) -> float:
    """e to the mean, and infinity where that is no float."""
    return math.exp(mean) if mean < 700 else math.inf
