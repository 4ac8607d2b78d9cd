"""Records to token arrays: made once by the prompter, kept beside the checkpoints, checked before training."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from slm.plugin import SlmError, Work

if TYPE_CHECKING:
    import datasets
    from numpy.typing import NDArray

    from slm_models.template import Example, Prompter


@frozen(eq=False)
class Tokens:
    """Samples one after another: sample i is `ids[offsets[i]:offsets[i + 1]]`.

    targets -- for each token, whether the loss counts its prediction; never the first of a sample, nothing predicts it
    labels  -- for each sample its class, -1 where there is none
    """

    ids: NDArray[Any]
    targets: NDArray[Any]
    offsets: NDArray[Any]
    labels: NDArray[Any]

    @property
    def lengths(self) -> NDArray[Any]:
        """Tokens of each sample."""
        lengths: NDArray[Any] = self.offsets[1:] - self.offsets[:-1]
        return lengths

    def counts(self) -> NDArray[Any]:
        """Targets of each sample."""
        import numpy as np

        return np.add.reduceat(self.targets, self.offsets[:-1], dtype="int64")

    def __len__(self) -> int:
        return len(self.labels)


def tokenize(
    prompter: Prompter, records: datasets.Dataset, limit: int, work: Work, split: str, loss_on: str = "answers"
) -> Tokens:
    """The records of a split as samples of at most `limit` tokens, from `work.checkpoints` if it was done before.

    Plain text longer than that becomes several samples; a conversation is cut, and dropped with a counted warning
    where no target is left.
    """
    kept = work.checkpoints / f"{split}-{limit}-{loss_on}"
    if (kept / "counts.json").is_file():
        return read_tokens(kept)
    drops = [0]
    whole = prompter.interface.template is None
    tokens = gather(_samples(prompter.examples(records), limit, whole, loss_on, drops))
    if drops[0]:
        dropped = f"{drops[0]} of {len(records)} examples had nothing left to learn within {limit} tokens"
        work.warn(f"{split}: {dropped}; raise max_length")
    if split == "train":
        check_targets(tokens, answers=not whole and loss_on == "answers")
    write_tokens(tokens, kept)
    return tokens


def label(prompter: Prompter, records: datasets.Dataset) -> Tokens:
    """The texts of a split, each with its label's index; SlmError for a label that training data did not have."""
    interface = prompter.interface
    index = {name: n for n, name in enumerate(interface.labels)}
    unknown = sorted({str(name) for name in records["label"]} - set(index))
    if unknown:
        raise SlmError(f"label {unknown[0]!r} is not in the training data; split the data again, or add records of it")
    rows = zip(records["text"], records["label"], strict=True)
    return gather((prompter.text(text) or [interface.pad], None, index[str(name)]) for text, name in rows)


def gather(samples: Iterable[tuple[list[int], list[bool] | None, int]]) -> Tokens:
    """Put samples of (ids, targets, label) one after another."""
    from array import array

    import numpy as np

    ids, targets, offsets, labels = array("i"), array("b"), array("q", [0]), array("q")
    for sample, wanted, name in samples:
        ids.extend(sample)
        targets.extend([False, *wanted[1:]] if wanted is not None else [False] * len(sample))
        offsets.append(len(ids))
        labels.append(name)
    flat = np.frombuffer(targets, dtype="bool") if targets else np.zeros(0, dtype="bool")
    return Tokens(np.array(ids, dtype="int32"), flat, np.array(offsets), np.array(labels))


def check_targets(tokens: Tokens, answers: bool) -> None:
    """Refuse data that trains nothing, or, where only answers are to be learned, everything."""
    if not len(tokens) or not tokens.targets.any():
        raise SlmError("train: no token is left to be learned; check the answers of the data, or raise max_length")
    first = tokens.offsets[:-1]
    if answers and int(tokens.targets.sum()) == len(tokens.targets) - len(first):
        raise SlmError("train: every token counts as an answer, nothing is asked; mend the chat template or the data")


def _samples(
    examples: Iterable[Example], limit: int, whole: bool, loss_on: str, drops: list[int]
) -> Iterator[tuple[list[int], list[bool], int]]:
    for example in examples:
        ids, targets = example.ids, example.targets
        if loss_on == "all" and any(targets):
            targets = [True] * (len(targets) - targets[::-1].index(True))
            ids = ids[: len(targets)]
        step = limit - 1 if whole else len(ids) or 1  # windows share a token: the last of one asks for the next one's
        kept = False
        for begin in range(0, max(1, len(ids) - 1), step):
            if any(targets[begin + 1 : begin + limit]):
                kept = True
                yield ids[begin : begin + limit], targets[begin : begin + limit], -1
        drops[0] += not kept


def write_tokens(tokens: Tokens, folder: Path) -> None:
    """Store the arrays; `counts.json` comes last and says that they are whole."""
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("ids", "targets", "offsets", "labels"):
        np.save(folder / f"{name}.npy", getattr(tokens, name))
    counts: dict[str, Any] = {"samples": len(tokens), "tokens": len(tokens.ids)}
    aside = folder / "counts.tmp"
    aside.write_text(json.dumps(counts), encoding="utf-8")
    aside.rename(folder / "counts.json")


def read_tokens(folder: Path) -> Tokens:
    """What `write_tokens` stored, memory-mapped."""
    import numpy as np

    names = ("ids", "targets", "offsets", "labels")
    return Tokens(*(np.load(folder / f"{name}.npy", mmap_mode="r" if name == "ids" else None) for name in names))
