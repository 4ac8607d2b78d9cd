"""Records that say the same as an earlier one go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

from slm.plugin import Bid, Hardware, Job, Processed, Rank, Work, hookimpl

from .contents.aside import put_aside, without
from .contents.content import Fold, all_prints, values

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
            same, other = all_prints(split, (self.key, "input" if self.key == "record" else "record"), self.fold)
            keep, drop, first = firsts(same)
            clash = _conflicts(keep, other) if self.key == "record" else drop[other[drop] != other[first]]
            report["conflicts"] += len(clash)
            report["kept"] += len(keep)
            report["dropped"] += len(drop)
            made[name] = without(split, drop, name, work)
            if len(drop):
                whys = [f"the same as {place}" for place in values(split, first, "source")]
                dropped[name] = put_aside(split, drop, whys, name, work)
                examples += [f"{row['source']}: {row['why']}" for row in dropped[name].select(range(min(3, len(drop))))]
            places = values(split, clash[:3], "source")
            examples += [f"{place}: another answer to the same question" for place in places]
        return Processed(made, report, dropped, tuple(examples))


def firsts(found: Any) -> tuple[Any, Any, Any]:
    """The rows whose print is new, those whose print is not, and for each of the latter the row that had it first."""
    import numpy as np

    _, first, which = np.unique(found, return_index=True, return_inverse=True)
    rows = np.arange(len(found))
    again = first[which] != rows
    return rows[~again], rows[again], first[which][again]


def _conflicts(kept: Any, asked: Any) -> Any:
    """The kept rows that ask what an earlier one asks; having another print as a whole, they answer otherwise."""
    return kept[firsts(asked[kept])[1]]
