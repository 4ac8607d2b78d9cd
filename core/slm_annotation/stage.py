"""The stage between cleaning and training: records go to people, and come back with what they said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen
from filelock import FileLock, Timeout

from slm.errors import SlmError
from slm.values import Work
from slm_annotation.matching import Match, identity, matched
from slm_annotation.mirror import Changes, Mirror
from slm_annotation.records import answered, given, to_item, with_fields
from slm_annotation.resolving import resolve
from slm_annotation.rows import answer_rows, valid, write_rows
from slm_annotation.syncing import Pick, Pushed, pull, push
from slm_annotation.values import SHAPES, Entry, Item, Project
from slm_runs.store import digest

if TYPE_CHECKING:
    import datasets

Open = Callable[[str, tuple[str, ...]], Project]


def mirror_folder(store: Path, told: Mapping[str, Any]) -> Path:
    """Where a project's mirror lies, beside the run store: one for each plugin with its options."""
    return store.parent / "annotation" / f"{told['name']}-{digest(told['options'])[:8]}"


def shape_of(task: str, shape: str) -> str:
    """The shape that is asked: the usual one of the task, or the one named; SlmError where that doesn't fit."""
    fitting = SHAPES[task]
    if shape and shape not in fitting:
        raise SlmError(f"annotate.shape: {shape!r} does not fit the task {task}; it takes {' or '.join(fitting)}")
    return shape or fitting[0]


def labels_of(shape: str, named: Sequence[str], splits: Iterable[Any]) -> tuple[str, ...]:
    """The labels to choose from: those named, else those in the data; SlmError where there are none."""
    if shape not in ("classification", "multilabel", "spans"):
        return ()
    found = list(dict.fromkeys(named))
    if not found and shape != "spans":
        found = sorted({label for split in splits for label in split.unique("label") if label})
    if not found:
        raise SlmError("annotate.labels: say which labels people may give (the records have none)")
    return tuple(found)


@contextmanager
def held(folder: Path) -> Iterator[Mirror]:
    """The mirror in a folder, held against a second command."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise SlmError(f"{folder}: another command is in step with this project; wait for it, or end it") from None
    mirror = Mirror(folder / "mirror.sqlite3")
    try:
        yield mirror
    finally:
        mirror.close()
        lock.release()


@frozen(eq=False)
class Items(Sequence[Item]):
    """The records of a split as items, made when they are asked for."""

    split: Any
    shape: str
    key: str = ""

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, at: Any) -> Any:
        return to_item(self.split[at], self.shape, self.key)

    def __iter__(self) -> Iterator[Item]:
        return (to_item(record, self.shape, self.key) for record in self.split)


def together(splits: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The records of the splits that go to people."""
    import datasets

    chosen = [splits[name] for name in names if name in splits]
    if not chosen:
        raise SlmError(f"annotate.splits: there is no split {' or '.join(names)}; there is {', '.join(splits)}")
    return chosen[0] if len(chosen) == 1 else datasets.concatenate_datasets(chosen)


def picker(how: str, limit: int | None, seed: int) -> Pick:
    """What is sent first, where no model has an opinion."""
    if how in ("uncertain", "disagreement"):
        raise SlmError(f"annotate.select: '{how}' needs a model's opinion: slm annotate push --model RUN, or the loop")
    if how == "all":
        return lambda new, there: new[:limit]

    from slm_annotation.selecting import select

    return lambda new, there: select(how, new, limit or len(new), seed, covered=there)


def annotate(
    opened: Open, folder: Path, splits: Mapping[str, Any], task: str, keys: Mapping[str, Any], work: Work
) -> tuple[dict[str, datasets.Dataset], dict[str, int]]:
    """Push, wait until as many are answered as `keys` want, pull; gives the splits with the answers, and counts."""
    shape = shape_of(task, keys["shape"])
    if shape in ("multilabel", "spans"):
        raise SlmError(f"annotate.shape: no recipe trains on {shape}; use slm annotate push and pull, without training")
    asked = together(splits, keys["splits"])
    items = Items(asked, shape, keys["id"])
    with held(folder) as mirror:
        project = opened(shape, labels_of(shape, keys["labels"], splits.values()))
        try:
            for remark in project.prepare():
                work.warn(remark)
            pick = picker(keys["select"], keys["limit"], work.seed)
            named, prefer = bool(keys["id"]), keys["prefer"]
            done = push(project, mirror, items, named=named, prefer=prefer, pick=pick, say=work.progress)
            for conflict in done.conflicts:
                work.warn(str(conflict))
            waited(project, mirror, keys, work)
        finally:
            project.close()
        write_rows(work.folder / "answers.jsonl", answer_rows(mirror.entries()))
        return applied(splits, mirror, shape, keys, done)


def waited(project: Project, mirror: Mirror, keys: Mapping[str, Any], work: Work) -> None:
    """Wait until as many entries are answered as wanted; they are counted anew only where something changed."""
    pull(project, mirror)
    done, wanted = counted(mirror, keys["wait"])
    while done < wanted:
        work.progress(done, wanted, "answered")
        time.sleep(keys["every"])
        if pull(project, mirror) != Changes():
            done, wanted = counted(mirror, keys["wait"])
    work.progress(done, wanted, "answered")


def counted(mirror: Mirror, wait: float) -> tuple[int, int]:
    """How many entries of ours are answered, and how many should be: so many, or a share of all."""
    places = [place for place in mirror.places() if place.digest]
    share = isinstance(wait, float) and wait <= 1
    wanted = round(wait * len(places)) if share else min(int(wait), len(places))
    return sum(place.answered > 0 for place in places), wanted


def applied(
    splits: Mapping[str, Any], mirror: Mirror, shape: str, keys: Mapping[str, Any], pushed: Pushed
) -> tuple[dict[str, Any], dict[str, int]]:
    """The splits with what people said, and what became of their records."""
    import datasets

    entries = {entry.number: entry for entry in mirror.entries() if entry.digest}
    places = list(mirror.places())
    report = dict.fromkeys(("answered", "unanswered", "left out", "ties"), 0)
    made = dict(splits)
    for name in keys["splits"]:
        if name in splits:
            items = Items(splits[name], shape, keys["id"])
            match = matched(items, places, bool(keys["id"]))
            found = joined(splits[name], items, match, entries, shape, keys, report)
            features = splits[name].features
            made[name] = datasets.Dataset.from_list(found, features=features) if found else splits[name].select([])
    if not len(made["train"]):
        raise SlmError("annotate: no training record is complete yet: annotate some, then run the same command")
    return made, {**report, "sent": pushed.new, "conflicts": len(pushed.conflicts)}


def joined(
    split: Any,
    items: Items,
    match: Match,
    entries: Mapping[int, Entry],
    shape: str,
    keys: Mapping[str, Any],
    report: dict[str, int],
) -> list[dict[str, Any]]:
    """The records of a split with what people said of them; `report` counts what became of each."""
    named = bool(keys["id"])
    known = {identity(item, named): entries.get(place.number) for item, place in match.same}
    found: list[dict[str, Any]] = []
    for record, item in zip(split, items, strict=True):
        entry = known.get(identity(item, named))
        record = with_fields(record, shape, entry.fields) if entry else record
        resolved = resolve(shape, valid(entry) if entry else (), keys["resolve"])
        report["ties"] += resolved.tie
        rows = [row for values, _ in resolved.found if (row := answered(record, shape, values))]
        if resolved.found:
            report["answered" if rows else "left out"] += 1
        elif given(record, shape) and keys["keep"] == "all" and not resolved.tie:
            report["unanswered"] += 1
            rows = [dict(record)]
        else:
            report["left out"] += 1
        found += rows
    return found
