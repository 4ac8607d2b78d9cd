"""Records that say the same as an earlier one go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

from slm.plugin import Bid, Hardware, Job, Processed, Rank, Work, hookimpl

from .aside import put_aside
from .content import Fold, prints

if TYPE_CHECKING:
    import datasets


@frozen
class Dedup:
    """Drops records that repeat an earlier one of the same split, up to spaces, case and punctuation if asked to."""

    key: Literal["record", "input"] = field(
        default="record",
        metadata={"help": "What must be the same: the whole record, or only what is asked (text, question, prompt)."},
    )
    fold: Fold = field(
        default="case",
        metadata={"help": "What does not count: none, space, case too, or punctuation around words too."},
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "runs where the pipeline names it")

    @hookimpl
    def preprocess(self, splits: Mapping[str, datasets.Dataset], job: Job, work: Work) -> Processed:
        made, dropped, examples = {}, {}, list[str]()
        report = {"kept": 0, "dropped": 0, "conflicts": 0}
        for name, split in splits.items():
            keep, drop, first = firsts(prints(split, self.key, self.fold))
            kept = split.select(keep) if len(drop) else split
            clash = _conflicts(kept, self.fold) if self.key == "record" else _conflicting(split, drop, first, self.fold)
            report["conflicts"] += len(clash)
            report["kept"] += len(keep)
            report["dropped"] += len(drop)
            made[name] = kept
            if len(drop):
                places = split.select(first)["source"]
                whys = [f"the same as {place}" for place in places]
                dropped[name] = put_aside(split, drop, whys, name, work)
                examples += [f"{row['source']}: {row['why']}" for row in dropped[name].select(range(min(3, len(drop))))]
            examples += [f"{place}: another answer to the same question" for place in clash[:3]]
        return Processed(made, report, dropped, tuple(examples))


def firsts(found: Any) -> tuple[Any, Any, Any]:
    """The rows whose print is new, those whose print is not, and for each of the latter the row that had it first."""
    import numpy as np

    _, first, which = np.unique(found, return_index=True, return_inverse=True)
    rows = np.arange(len(found))
    again = first[which] != rows
    return rows[~again], rows[again], first[which][again]


def _conflicts(split: datasets.Dataset, how: Fold) -> list[str]:
    """The places of records that answer a question otherwise than an earlier record does."""
    _, again, _ = firsts(prints(split, "input", how))
    return list(split.select(again)["source"]) if len(again) else []


def _conflicting(split: datasets.Dataset, drop: Any, first: Any, how: Fold) -> list[str]:
    """The places of dropped records whose answer is another than that of the record that is kept."""
    whole = prints(split, "record", how)
    rows = drop[whole[drop] != whole[first]]
    return list(split.select(rows)["source"]) if len(rows) else []
