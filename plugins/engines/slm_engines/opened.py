"""The open model that every engine of this folder gives back: a prompter, a scheduler, and the runtime's functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from slm.plugin import Chunk, Request, SlmError
from slm_engines import batching
from slm_engines.decoding import Decoder, Scheduler
from slm_models.template import Prompter

if TYPE_CHECKING:
    from numpy.typing import NDArray

Forward = Callable[["NDArray[Any]", "NDArray[Any]"], "NDArray[Any]"]


@frozen(eq=False)
class TextModel:
    """An open model that generates text. `forward(ids, mask)` gives the log-probabilities of `ids[:, 1:]`."""

    prompter: Prompter
    forward: Forward
    vocabulary: int
    scheduler: Scheduler

    def generate(self, requests: Sequence[Request]) -> Iterator[Chunk]:
        """Answer the requests together; an answer's tokens do not include the stop token that ended it."""
        return self.scheduler.generate(requests)

    def classify(self, texts: Sequence[str]) -> list[list[float]]:
        """SlmError: this model has no labels."""
        task = self.prompter.interface.task
        raise SlmError(f"a {task} model does not classify; train one with task = 'classification'")

    def score(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """Log-probabilities of each token but the first, given those before it."""
        for sequence in sequences:
            batching.check_ids(sequence, self.vocabulary, self.prompter.interface.context)
        return batching.score(sequences, self.prompter.interface.pad, self.vocabulary, self.forward)

    def close(self) -> None:
        """Stop answering."""
        self.scheduler.close()


@frozen(eq=False)
class TextClassifier:
    """An open model that sorts texts into the interface's labels. `forward(ids, mask)` gives logits (rows, labels)."""

    prompter: Prompter
    forward: Forward
    cells: int = field(default=1 << 13)

    def generate(self, requests: Sequence[Request]) -> Iterator[Chunk]:
        """SlmError: this model has no words."""
        raise SlmError("a classification model does not generate text; call classify")

    def classify(self, texts: Sequence[str]) -> list[list[float]]:
        """Probabilities by softmax, a row a text; a text longer than the context is cut."""
        import numpy as np

        sequences = [self.prompter.text(text) for text in texts]
        if not all(sequences):
            raise SlmError("a text without tokens cannot be classified; give it some words")
        found: list[list[float]] = [[] for _ in texts]
        for group, ids, mask in batching.batches(sequences, self.prompter.interface.pad, self.cells):
            logits = self.forward(ids, mask).astype(np.float64)
            weights = np.exp(logits - logits.max(-1, keepdims=True))
            for n, row in zip(group, weights / weights.sum(-1, keepdims=True), strict=True):
                found[n] = [float(value) for value in row]
        return found

    def score(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """SlmError: this model has no words."""
        raise SlmError("a classification model gives no log-probabilities of tokens; call classify")

    def close(self) -> None:
        """Nothing runs on its own here."""


def text_model(decoder: Decoder, forward: Forward, prompter: Prompter, rows: int) -> TextModel:
    """An open text model whose requests are decoded by `decoder`, at most `rows` at a time."""
    return TextModel(prompter, forward, decoder.vocabulary, Scheduler(decoder, prompter, rows))
