"""Records that say nearly the same as another go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen
from attrs.validators import and_, ge, le

from slm.plugin import Bid, Hardware, Job, Processed, Rank, Work, hookimpl

from .contents.aside import put_aside, without
from .contents.content import Part, contents, shorten, tables, values
from .likeness.clusters import Doubles, cluster, doubles
from .likeness.grams import Unit
from .likeness.near import gather

if TYPE_CHECKING:
    import datasets


@frozen
class NearDedup:
    """Drops records that are nearly the same as one that stays, found by MinHash and checked by exact similarity."""

    threshold: float = field(
        default=0.8,
        validator=and_(ge(0.2), le(1.0)),
        metadata={"help": "How alike two records must be: the share of their runs that both have (Jaccard)."},
    )
    unit: Unit = field(
        default="words",
        metadata={"help": "What runs are made of: words (a Han, kana or Thai character is one), or characters."},
    )
    size: int = field(
        default=3,
        validator=and_(ge(1), le(50)),
        metadata={"help": "How many units a run has; a shorter text is one run, so only its like is like it."},
    )
    key: Part = field(
        default="record",
        metadata={"help": "What must be alike: the whole record (of one label), or only what is asked."},
    )
    keep: Literal["first", "longest"] = field(
        default="first", metadata={"help": "Which of like records stays: the first, or the longest."}
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "runs where the pipeline names it")

    @hookimpl
    def preprocess(self, splits: Mapping[str, datasets.Dataset], job: Job, work: Work) -> Processed:
        made, dropped, examples = {}, {}, list[str]()
        report = {"kept": 0, "dropped": 0, "clusters": 0}
        for name, split in splits.items():
            found = self._doubles(split, name, work)
            made[name] = without(split, found.rows, name, work)
            report["kept"] += len(made[name])
            report["dropped"] += len(found.rows)
            report["clusters"] += len(set(found.stands.tolist()))
            if len(found.rows):
                places = values(split, found.stands, "source")
                whys = [f"{how:.2f} like {place}" for how, place in zip(found.likeness, places, strict=True)]
                dropped[name] = put_aside(split, found.rows, whys, name, work)
                examples += _examples(split, found)
            if found.partly:
                work.warn(f"near_dedup: {name}: too many are half alike to compare them all; some pairs may be left")
            work.progress(sum(map(len, made.values())), sum(map(len, splits.values())), "records")
        return Processed(made, report, dropped, tuple(examples))

    def _doubles(self, split: datasets.Dataset, name: str, work: Work) -> Doubles:
        import numpy as np

        file = work.checkpoints / f"{name}.runs"
        sets = gather(_texts(split, self.key, name, work), len(split), file, self.threshold, self.unit, self.size)
        labels = _labels(split) if self.key == "record" else None
        clusters = cluster(sets, self.threshold, labels)
        rows = np.arange(len(split))
        rank = rows if self.keep == "first" else np.lexsort((rows, -sets.sizes)).argsort()
        found = doubles(sets, clusters.of, self.threshold, rank)
        return Doubles(found.rows, found.stands, found.likeness, found.partly + clusters.partly)


def _texts(split: datasets.Dataset, part: Part, name: str, work: Work) -> Iterator[list[str]]:
    done = 0
    for table in tables(split):
        yield contents(table.drop_columns(["label"]) if _labelled(table.column_names) else table, part, "none")
        done += len(table)
        work.progress(done, len(split), f"{name} records read")


def _labelled(names: list[str]) -> bool:
    return "label" in names and "messages" not in names


def _labels(split: datasets.Dataset) -> Any:
    """A number for each record's label; None without labels."""
    import numpy as np

    if not _labelled(split.column_names):
        return None
    return np.unique(np.asarray(values(split, range(len(split)), "label"), str), return_inverse=True)[1]


def _examples(split: datasets.Dataset, found: Doubles) -> list[str]:
    """The largest clusters: the place of the one that stays, of some that go, and how they begin."""
    import numpy as np

    stands, counts = np.unique(found.stands, return_counts=True)
    shown = []
    for stand in stands[np.argsort(-counts, kind="stable")[:3]].tolist():
        gone = found.rows[found.stands == stand]
        rows = split.select([stand, *gone[:3]])
        text = contents(rows.with_format("arrow")[:1], "record", "none")[0]
        more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
        first, *others = rows["source"]
        shown.append(f"{first}: also {', '.join(others)}{more}: {shorten(text)}")
    return shown
