"""`slm annotate loop`: choose, ask people, train, measure, and again, until it is enough."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from attrs import define, field, frozen

from slm.errors import SlmError
from slm.pipeline import Pipeline
from slm.plugin import Metric
from slm.run import Run, Show, run
from slm_annotation.looping import RANDOM, Course, Point, trained_table
from slm_annotation.matching import matched
from slm_annotation.mirror import Changes, Mirror
from slm_annotation.records import answered, to_item, with_fields
from slm_annotation.resolving import resolve
from slm_annotation.rows import valid, write_rows
from slm_annotation.selecting import select
from slm_annotation.stage import labels_of
from slm_annotation.syncing import Say, pull, push
from slm_annotation.values import Guess, Item, Project
from slm_doors.annotating import Annotated, guesses_of


@frozen
class Terms:
    """What was agreed: labels in all, labels a round, how many rounds without gain end it, how the arms choose, the
    metric that counts (the evaluator's first if empty), and the seconds between two looks at the project."""

    budget: int = 1000
    batch: int = 100
    patience: int = 3
    arms: tuple[str, ...] = ("uncertain",)
    metric: str = ""
    every: float = 10.0


@define
class Loop:
    """A loop under way."""

    annotated: Annotated
    terms: Terms
    show: Show
    say: Say
    tell: Any
    splits: dict[str, Any]
    course: Course
    items: dict[str, Item] = field(factory=dict)
    records: dict[str, Mapping[str, Any]] = field(factory=dict)
    said: dict[str, dict[str, Any]] = field(factory=dict)
    gone: set[str] = field(factory=set)

    @classmethod
    def begun(cls, annotated: Annotated, terms: Terms, show: Show, say: Say, tell: Any) -> Loop:
        """Read the records; SlmError where there is no test set that stays the same."""
        splits = annotated.splits(show)
        if not any(name.startswith("test") for name in splits):
            raise SlmError('the loop measures on records that stay the same: give a [[load]] with split = "test"')
        folder = annotated.folder / "loop"
        folder.mkdir(parents=True, exist_ok=True)
        loop = cls(annotated, terms, show, say, tell, splits, Course.opened(folder / "course.json", terms.arms))
        for name in annotated.keys.splits:
            for record in splits.get(name, ()):
                item = to_item(record, annotated.shape, annotated.keys.id)
                loop.items.setdefault(item.key, item)
                loop.records.setdefault(item.key, record)
        return loop

    def go(self) -> Course:
        """Round after round; gives the course at its end."""
        keys = self.annotated.keys
        labels = labels_of(self.annotated.shape, keys.labels, self.splits.values())
        with self.annotated.opened(labels, self.show) as (project, mirror):
            for remark in project.prepare():
                self.tell(remark)
            while not (why := self.enough()):
                guesses = {arm: self.guessed(arm, labels) for arm in self.terms.arms if not self.asked(arm)}
                self.ask(project, mirror, guesses)
                for arm in self.terms.arms:
                    if self.asked(arm):
                        self.train(arm)
        self.tell(why)
        return self.course

    def asked(self, arm: str) -> bool:
        """Whether an arm has chosen a batch that it has not trained on yet."""
        return len(self.course.chosen[arm]) > len(self.course.of(arm))

    def enough(self) -> str:
        """Why the loop ends; empty where it goes on."""
        main, terms = self.terms.arms[0], self.terms
        spent = len(self.course.keys(main))
        if any(self.asked(arm) for arm in terms.arms):
            return ""
        if spent >= min(terms.budget, len(self.items)):
            return f"the budget is spent: {spent:,} labels"
        if self.course.stands_still(main, terms.patience):
            return f"{self.course.metric} stands still since {terms.patience} rounds"
        return ""

    def ask(self, project: Project, mirror: Mirror, guesses: Mapping[str, Mapping[str, Guess]]) -> None:
        """Choose each arm's next batch, send it, and wait until people are done with it."""
        for arm, found in guesses.items():
            self.course.chosen[arm].append(self.next(arm, found))
        self.course.save()
        wanted = {key for arm in self.terms.arms for key in self.course.keys(arm)}
        main = guesses.get(self.terms.arms[0], {})

        def pick(new: Sequence[Item], there: Sequence[Item]) -> list[Item]:
            return [attrs.evolve(item, guess=main.get(item.key)) for item in new if item.key in wanted]

        push(project, mirror, list(self.items.values()), named=bool(self.annotated.keys.id), pick=pick, say=self.say)
        waiting = self.waiting(mirror, wanted)
        while waiting > 0:
            self.say(len(wanted) - waiting, len(wanted), "labelled")
            time.sleep(self.terms.every)
            if pull(project, mirror) != Changes():
                waiting = self.waiting(mirror, wanted)
        self.say(len(wanted), len(wanted), "labelled")

    def next(self, arm: str, guesses: Mapping[str, Guess]) -> list[str]:
        """An arm's next batch. Where there is no model yet to ask, it is drawn: the same for all that begin so."""
        terms, seed = self.terms, self.annotated.pipeline.head.seed
        taken = set(self.course.keys(arm))
        pool = [item for key, item in self.items.items() if key not in taken]
        count = min(terms.batch, terms.budget - len(taken))
        how = arm if guesses or arm == "diverse" else RANDOM
        covered = [self.items[key] for key in taken]
        round_ = len(self.course.chosen[arm])
        return [item.key for item in select(how, pool, count, seed + round_, guesses=guesses, covered=covered)]

    def waiting(self, mirror: Mirror, wanted: set[str]) -> int:
        """How many of the wanted items nobody has answered or skipped; keeps what was said of the others."""
        shape, how = self.annotated.shape, self.annotated.keys.resolve
        entries = {entry.number: entry for entry in mirror.entries() if entry.answers}
        match = matched(list(self.items.values()), list(mirror.places()), bool(self.annotated.keys.id))
        seen = set[str]()
        for item, place in match.same:
            entry = entries.get(place.number)
            if item.key not in wanted or entry is None:
                continue
            seen.add(item.key)
            record = with_fields(self.records[item.key], shape, entry.fields)
            found = resolve(shape, valid(entry), how).found
            made = [row for values, _ in found if (row := answered(record, shape, values))]
            if made:
                self.said[item.key] = made[0]
        return len(wanted - seen)

    def train(self, arm: str) -> None:
        """Train on what an arm's people said, measure, and promote it if it is the best yet."""
        number = len(self.course.of(arm))
        keys = [key for batch in self.course.chosen[arm][: number + 1] for key in batch]
        rows = [self.said[key] for key in keys if key in self.said]
        if not rows:
            raise SlmError("annotate: nobody labelled anything yet: every record so far was skipped or thrown out")
        files = self.files(f"{arm}-{number}", rows)
        known = self.known(files["train"])
        point = attrs.evolve(known, arm=arm, labels=len(keys)) if known else self.measured(arm, len(keys), files)
        self.course.points.append(point)
        name = self.course.metric
        self.tell(f"{arm}: {len(keys):,} labels, {name} {point.value:.3f} ({point.low:.3f} to {point.high:.3f})")
        if self.course.best() is point:
            self.promote(Path(point.run))
        self.course.save()

    def known(self, file: Path) -> Point | None:
        """A training on the very same records, as of the first batch, which all arms draw alike."""
        for arm in self.terms.arms:
            for number, point in enumerate(self.course.of(arm)):
                there = file.with_name(f"{arm}-{number}.jsonl")
                if there.is_file() and there.read_bytes() == file.read_bytes():
                    return point
        return None

    def measured(self, arm: str, labels: int, files: Mapping[str, Path]) -> Point:
        """Train and measure."""
        annotated = self.annotated
        name = f"{annotated.pipeline.head.name}-{files['train'].stem}"
        table = trained_table(annotated.pipeline.table, files, name)
        pipeline = Pipeline.from_table(table, annotated.pipeline.folder)
        done = run(pipeline, annotated.runs, annotated.registry, self.show)
        metric = chosen_metric(done, self.course.metric or self.terms.metric)
        self.course.metric, self.course.better = metric.name, metric.better
        return Point(arm, labels, metric.value, metric.low, metric.high, str(done.folder))

    def files(self, name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Path]:
        """The labelled records and the other splits, as files."""
        folder = self.course.file.parent
        found = {"train": folder / f"{name}.jsonl"}
        write_rows(found["train"], rows)
        for split, records in self.splits.items():
            if split not in self.annotated.keys.splits:
                found[split] = folder / f"{split}.jsonl"
                if not found[split].is_file():
                    records.to_json(str(found[split]), force_ascii=False)
        return found

    def promote(self, folder: Path) -> None:
        """Make the run the one that is served: `promoted` beside the course."""
        self.course.promoted = str(folder)
        link = self.annotated.folder / "promoted"
        aside = link.with_name("promoted.part")
        aside.unlink(missing_ok=True)
        aside.symlink_to(os.path.relpath(folder, link.parent), target_is_directory=True)
        aside.replace(link)
        self.tell(f"promoted: {folder}")

    def guessed(self, arm: str, labels: Sequence[str]) -> dict[str, Guess]:
        """What an arm's newest model guesses of the records that it has no label of; nothing where it draws, or has no
        model yet."""
        if arm in (RANDOM, "diverse") or not self.course.of(arm):
            return {}
        taken = set(self.course.keys(arm))
        pool = [item for key, item in self.items.items() if key not in taken]
        newest = Path(self.course.of(arm)[-1].run)
        return guesses_of(self.annotated, newest, pool, labels, self.say)


def chosen_metric(done: Run, name: str) -> Metric:
    """The model's figure that counts: the one named, else the first."""
    found = [m for metrics in done.metrics.values() for m in metrics.values if m.subject == "model"]
    metric = next((m for m in found if not name or m.name == name), None)
    if metric is None:
        there = ", ".join(dict.fromkeys(m.name for m in found)) or "none"
        raise SlmError(f"--metric {name}: the evaluator gives no such figure; it gives {there}")
    return metric
