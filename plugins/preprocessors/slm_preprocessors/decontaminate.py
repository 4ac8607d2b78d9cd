"""Training records that give away what the model will be tested on go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen
from attrs.validators import and_, ge, le

from slm.plugin import Bid, Hardware, Job, Processed, Rank, Work, hookimpl

from .contents.aside import put_aside, without
from .contents.content import contents, shorten, tables, values
from .likeness.grams import split_words
from .likeness.probes import SHORTEST, Probes, hits, probes, read_records

if TYPE_CHECKING:
    import datasets


@frozen
class Decontaminate:
    """Drops training records that have a run of words in common with a test set (as in GPT-3's paper, appendix C)."""

    size: int = field(
        default=13,
        validator=and_(ge(SHORTEST), le(100)),
        metadata={"help": "How many words in a row must be the same; a shorter test question must occur whole."},
    )
    against: str = field(
        default="",
        metadata={"help": "A file of test texts (txt, jsonl, json, csv, tsv), besides the pipeline's test sets."},
    )
    common: int = field(
        default=10,
        validator=ge(1),
        metadata={"help": "A run in more training (or test) records than this is boilerplate, and does not count."},
    )
    action: Literal["drop", "report"] = field(
        default="drop", metadata={"help": "report: only count such records, and show some."}
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "runs where the pipeline names it")

    def state(self, folder: Path) -> str | None:
        """The content of the file of test texts: another file finds other records."""
        from hashlib import file_digest

        path = folder / Path(self.against).expanduser()
        if not self.against or not path.is_file():
            return None
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()

    @hookimpl
    def preprocess(self, splits: Mapping[str, datasets.Dataset], job: Job, work: Work) -> Processed:
        tests = {name: split for name, split in splits.items() if name.startswith("test")}
        records = [record for name, split in tests.items() for record in _records(name, split)]
        if self.against:
            records += read_records(work.root / Path(self.against).expanduser(), self.against)
        if not records:
            work.warn("decontaminate: there is no test set yet: put `split` before it, or name a file in against")
        found = probes(records, self.size)
        made, dropped, examples = dict(splits), {}, list[str]()
        report = {"kept": 0, "dropped": 0} | ({"contaminated": 0} if self.action == "report" else {})
        for name in [name for name in splits if name not in tests]:
            whys = self._contaminated(splits[name], name, found, work) if records else {}
            examples += _shown(splits[name], whys)
            if self.action == "report":
                report["contaminated"] += len(whys)
            elif whys:
                rows = list(whys)
                made[name] = without(splits[name], rows, name, work)
                dropped[name] = put_aside(splits[name], rows, list(whys.values()), name, work)
                report["dropped"] += len(rows)
            report["kept"] += len(made[name])
        return Processed(made, report, dropped, tuple(examples))

    def _contaminated(self, split: datasets.Dataset, name: str, found: Probes, work: Work) -> dict[int, str]:
        """The rows that have a test record's run, and which run of which record; each made sure of word by word."""
        import numpy as np

        rows, numbers = _hits(split, name, found, work)
        runs, counts = np.unique(numbers, return_counts=True)
        wide = np.concatenate([runs[counts > self.common], np.flatnonzero(found.spread > self.common)])
        left = ~np.isin(numbers, wide)
        rows, numbers = rows[left], numbers[left]
        texts = dict(zip(np.unique(rows).tolist(), _texts(split, np.unique(rows)), strict=True))
        whys: dict[int, str] = {}
        for row, number in zip(rows.tolist(), numbers.tolist(), strict=True):
            if row not in whys and _within(run := found.run(number), split_words(texts[row])):
                place = found.places[int(found.of[number])]
                whys[row] = f"{len(run)} words in a row as in {place}: {shorten(' '.join(run), 160)}"
        return dict(sorted(whys.items()))


def _records(name: str, split: datasets.Dataset) -> Iterator[tuple[str, str, str]]:
    """A test split's records: place, all that it says, what it asks."""
    for table in tables(split):
        places = [f"{place} in {name}" for place in table.column("source").to_pylist()]
        yield from zip(places, contents(table, "record", "none"), contents(table, "input", "none"), strict=True)


def _hits(split: datasets.Dataset, name: str, found: Probes, work: Work) -> tuple[Any, Any]:
    """Rows and the probes' runs that they seem to have, each pair once."""
    import numpy as np

    pairs, at = [(np.zeros(0, int), np.zeros(0, int))], 0
    for table in tables(split):
        texts, asked = contents(table, "record", "none"), contents(table, "input", "none")
        pairs += [(rows + at, numbers) for rows, numbers in hits(texts, asked, found) if len(rows)]
        at += len(table)
        work.progress(at, len(split), f"{name} records")
    rows, numbers = (np.concatenate(part) for part in zip(*pairs, strict=True))
    once = np.unique(rows * max(1, len(found.hashes)) + numbers)
    return once // max(1, len(found.hashes)), once % max(1, len(found.hashes))


def _texts(split: datasets.Dataset, rows: Any) -> list[str]:
    return [text for table in tables(split.select(rows)) for text in contents(table, "record", "none")]


def _within(run: list[str], words: list[str]) -> bool:
    return any(words[at : at + len(run)] == run for at in range(len(words) - len(run) + 1))


def _shown(split: datasets.Dataset, whys: Mapping[int, str]) -> list[str]:
    rows = list(whys)[:3]
    return [f"{place}: {whys[n]}" for place, n in zip(values(split, rows, "source"), rows, strict=True)]
