"""Records held out for test and validation, so that nothing trained on is also measured on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen
from attrs.validators import and_, ge, lt

from slm.plugin import Bid, Hardware, Job, Processed, Rank, SlmError, Work, hookimpl

from .aside import put_aside
from .content import prints
from .shares import held_out

if TYPE_CHECKING:
    import datasets


@frozen
class Split:
    """Holds records out for test and validation where no source gives them; like ones stay together."""

    test: float = field(
        default=0.1,
        validator=and_(ge(0), lt(1)),
        metadata={"help": "The share held out as test set, where no source is one."},
    )
    validation: float = field(
        default=0.1,
        validator=and_(ge(0), lt(1)),
        metadata={"help": "The share held out as validation set, where no source is one."},
    )
    stratify: Literal["auto", "label", "none"] = field(
        default="auto", metadata={"help": "label: each label in proportion; auto: where there are labels."}
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        lacking = self.lacking(job.splits)
        if not lacking:
            return Bid(Rank.POSSIBLE, "runs where the pipeline names it: no set is lacking")
        (name, share), *_ = lacking.items()
        return Bid(Rank.BEST, f"no source is a {name} set: {share:.0%} are held out")

    def lacking(self, splits: Any) -> dict[str, float]:
        """The sets to be made, and their shares."""
        made = {}
        if not any(name.startswith("test") for name in splits) and self.test:
            made["test"] = self.test
        if "validation" not in splits and self.validation:
            made["validation"] = self.validation
        return made

    @hookimpl
    def preprocess(self, splits: Mapping[str, datasets.Dataset], job: Job, work: Work) -> Processed:
        import numpy as np

        if "train" not in splits:
            raise SlmError(f"split: no source gives training records (only {', '.join(splits)})")
        train = splits["train"]
        shares = self.lacking(splits)
        if sum(shares.values()) >= 1:
            raise SlmError("split: test and validation together are the whole set; hold out less")
        found = prints(train, "input", "punctuation")
        leaked, whys = _leaked(found, {name: each for name, each in splits.items() if name != "train"})
        rest = np.flatnonzero(~leaked)
        labels = train.select(rest)["label"] if self._stratified(train) else None
        parts = {name: rest[rows] for name, rows in held_out(found[rest], labels, shares, work.seed).items()}
        made = {name: train.select(rows) for name, rows in parts.items()}
        dropped = {"train": put_aside(train, np.flatnonzero(leaked), whys, "train", work)} if leaked.any() else {}
        moved = sum(len(rows) for name, rows in parts.items() if name != "train")
        report = {"kept": len(parts["train"]), "moved": moved, "leaked": int(leaked.sum())}
        examples = tuple(f"{row['source']}: {row['why']}" for each in dropped.values() for row in each.take(3))
        return Processed({**splits, **made}, report, dropped, examples)

    def _stratified(self, train: datasets.Dataset) -> bool:
        if self.stratify == "label" and "label" not in train.column_names:
            raise SlmError("split.stratify: the records have no label; set stratify = 'none'")
        return self.stratify != "none" and "label" in train.column_names


def _leaked(found: Any, given: Mapping[str, datasets.Dataset]) -> tuple[Any, list[str]]:
    """Which training records ask what a given set asks too, and for each of those in which set it stands."""
    import numpy as np

    where = np.zeros(len(found), int)
    for n, each in enumerate(given.values(), start=1):
        where[np.isin(found, prints(each, "input", "punctuation")) & (where == 0)] = n
    names = list(given)
    return where > 0, [f"leaked: it stands in {names[n - 1]} too" for n in where[where > 0].tolist()]
