"""Records held out for test and validation, so that nothing trained on is also measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen
from attrs.validators import and_, ge, le, lt

from slm.plugin import Bid, Hardware, Job, Processed, Rank, SlmError, Work, hookimpl

from .contents.aside import put_aside, taken
from .contents.content import fields, prints, values
from .dividing.dates import read_dates
from .dividing.shares import fold_rows, held_out, latest
from .likeness.clusters import joined
from .likeness.leakage import Likeness, clusters_among, divisible, likeness, pieces, repeated, together

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
    group: str = field(
        default="", metadata={"help": "A kept column: records with the same value there never stand in two sets."}
    )
    time: str = field(default="", metadata={"help": "A kept column of dates: the latest records are the test set."})
    folds: int = field(
        default=0,
        validator=ge(0),
        metadata={"help": "Cross-validation: into how many parts the records go; one of them is the test set."},
    )
    fold: int = field(default=0, validator=ge(0), metadata={"help": "Which of the folds is the test set, from 0."})
    leakage: Literal["move", "report", "off"] = field(
        default="move",
        metadata={"help": "Near duplicates: move keeps them in one set; report only counts those across sets."},
    )
    threshold: float = field(
        default=0.8,
        validator=and_(ge(0.2), le(1.0)),
        metadata={"help": "How alike near duplicates are: the share of runs of three words that both have."},
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
        share = 1 / self.folds if self.folds else self.test
        if not any(name.startswith("test") for name in splits) and share:
            made["test"] = share
        if "validation" not in splits and self.validation:
            made["validation"] = self.validation
        return made

    @hookimpl
    def preprocess(self, splits: Mapping[str, datasets.Dataset], job: Job, work: Work) -> Processed:
        import numpy as np

        self._check(splits)
        train, given = splits["train"], {name: each for name, each in splits.items() if name != "train"}
        found = prints(train, "input", "punctuation")
        leaked, names = repeated(found, {n: prints(each, "input", "punctuation") for n, each in given.items()})
        whys = dict(zip(np.flatnonzero(leaked).tolist(), (f"leaked: it stands in {n} too" for n in names), strict=True))
        near = likeness([train, *given.values()], self.threshold, work) if self.leakage != "off" else None
        if near and near.clusters.partly:
            work.warn("split: too many are half alike to compare them all; some near duplicates may be across sets")
        if near and self.leakage == "move" and given:
            whys = self._near_given(near, train, given, work) | whys
        rest = np.setdiff1d(np.arange(len(train)), list(whys))
        of = self._clusters(near, train, rest, found[rest], work)
        keys = self._keys(train, rest, found[rest], of)
        parts = {name: rest[rows] for name, rows in self._parts(train, rest, keys, splits, work.seed).items()}
        made = {name: taken(train, rows, name, work) for name, rows in parts.items()}
        moved = sum(len(rows) for name, rows in parts.items() if name != "train")
        report = {"kept": len(parts["train"]), "moved": moved, "leaked": len(whys)}
        rows = sorted(whys)
        dropped = {"train": put_aside(train, rows, [whys[n] for n in rows], "train", work)} if rows else {}
        examples = [f"{row['source']}: {row['why']}" for each in dropped.values() for row in each.take(3)]
        if len(alike := np.flatnonzero(found[rest] != found[rest[of]])):
            report["alike"] = len(alike)
            pairs = zip(*(values(train, rest[each[:3]], "source") for each in (alike, of[alike])), strict=True)
            examples += [f"{place}: like {first}; both stay in one set" for place, first in pairs]
        if near and self.leakage == "report":
            across = self._across(near, train, given, parts["train"])
            report["alike"] = len(across)
            examples += across[:3]
        return Processed({**splits, **made}, report, dropped, tuple(examples))

    def _check(self, splits: Mapping[str, datasets.Dataset]) -> None:
        """Raise SlmError for what can't be done with these splits."""
        if "train" not in splits:
            raise SlmError(f"split: no source gives training records (only {', '.join(splits)})")
        if (self.folds or self.fold) and not self.fold < self.folds > 1:
            raise SlmError(
                f"split.fold: {self.fold} is none of {self.folds} folds; they count from 0, and are 2 or more"
            )
        if sum(self.lacking(splits).values()) >= 1:
            raise SlmError("split: test and validation together are the whole set; hold out less")
        if self.folds and self.time:
            raise SlmError("split.folds: by time, there is one latest part and no folds; set folds or time, not both")
        if self.folds and "test" not in self.lacking(splits):
            raise SlmError("split.folds: a source is a test set already; leave out that source, or folds")
        names = splits["train"].column_names
        for option, name in (("group", self.group), ("time", self.time)):
            if name and name not in names:
                raise SlmError(
                    f'split.{option}: records carry no {name!r}; say keep = ["{name}"] where they are loaded'
                )
        if self.stratify == "label" and "label" not in fields(names):
            raise SlmError("split.stratify: the records have no label; set stratify = 'none'")

    def _near_given(
        self, near: Likeness, train: datasets.Dataset, given: Mapping[str, datasets.Dataset], work: Work
    ) -> dict[int, str]:
        """Training records that are like one of a given set, and which."""
        import numpy as np

        found = near.like(np.arange(len(near.clusters.of)) >= len(train))
        if len(found.rows) * 2 > len(train):
            work.warn(
                f"split: {len(found.rows):,} of {len(train):,} training records are like one of a given set (most of "
                "their words are the same in all?); they stay"
            )
            return {}
        places = _places([("train", train), *given.items()], found.stands)
        return {
            n: f"leaked: {how:.2f} like {place}"
            for n, how, place in zip(found.rows.tolist(), found.likeness.tolist(), places, strict=True)
        }

    def _clusters(self, near: Likeness | None, train: datasets.Dataset, rest: Any, found: Any, work: Work) -> Any:
        """For each record the first that it is kept together with, as a near duplicate or a piece of the same text;
        itself where there is none."""
        import numpy as np

        if not near or self.leakage != "move":
            return np.arange(len(rest))
        of = clusters_among(near.clusters.of, rest)
        parts = pieces(values(train, rest, "source"))
        of = joined(of, np.arange(len(rest)), parts)
        kept = divisible(of, found, len(self.lacking(["train"])))
        if (together(found, of) != together(found, kept)).any():
            undone = int(np.isin(of, of[of != kept]).sum())
            work.warn(
                f"split: {undone:,} of {len(rest):,} records are alike, or pieces of one text: too many for one set, "
                "so they are divided"
            )
        return kept

    def _keys(self, train: datasets.Dataset, rest: Any, found: Any, of: Any) -> Any:
        """A number for each record, the same for those that must stand in one set."""
        import numpy as np

        if self.group:
            owners = values(train, rest, self.group)
            codes = [str(owner) if owner not in (None, "") else f"\0{n}" for n, owner in enumerate(owners)]
            return together(found, of, np.unique(codes, return_inverse=True)[1])
        return together(found, of)

    def _parts(
        self, train: datasets.Dataset, rest: Any, keys: Any, splits: Mapping[str, datasets.Dataset], seed: int
    ) -> dict[str, Any]:
        """The rows of each set."""
        import numpy as np

        shares = self.lacking(splits)
        units = len(np.unique(keys))
        if self.group and units <= len(shares):
            raise SlmError(
                f"split.group: {units} groups by {self.group!r} are too few to hold out {' and '.join(shares)}"
            )
        if self.time:
            dates = read_dates(values(train, rest, self.time), values(train, rest, "source"), "split.time")
            return latest(keys, np.asarray(dates), shares)
        stratified = self.stratify != "none" and "label" in fields(train.column_names)
        labels = list(map(str, values(train, rest, "label"))) if stratified else None
        if not self.folds:
            return held_out(keys, labels, shares, seed)
        test = fold_rows(keys, labels, self.folds, self.fold, seed)
        other = np.setdiff1d(np.arange(len(keys)), test)
        left = {name: share * len(keys) / len(other) for name, share in shares.items() if name != "test"}
        kept = held_out(keys[other], labels and [labels[n] for n in other.tolist()], left, seed)
        return {name: other[rows] for name, rows in kept.items()} | {"test": test}

    def _across(
        self, near: Likeness, train: datasets.Dataset, given: Mapping[str, datasets.Dataset], kept: Any
    ) -> list[str]:
        """Training records that are like one of another set, with their places."""
        import numpy as np

        held = np.ones(len(near.clusters.of), bool)
        held[kept] = False
        found = near.like(held)
        named = [("train", train), *given.items()]
        mine, other = _places(named, found.rows), _places(named, found.stands)
        return [
            f"{a}: {how:.2f} like {b}, which is held out" for a, how, b in zip(mine, found.likeness, other, strict=True)
        ]


def _places(named: Sequence[tuple[str, datasets.Dataset]], rows: Any) -> list[str]:
    """The places of rows that are counted through several splits."""
    import numpy as np

    places, begin = np.empty(len(rows), object), 0
    for name, split in named:
        mine = np.flatnonzero((rows >= begin) & (rows < begin + len(split)))
        found = values(split, rows[mine] - begin, "source") if len(mine) else []
        places[mine] = [place if name == "train" else f"{place} in {name}" for place in found]
        begin += len(split)
    return list(places)
