"""`slm annotate`: the records of a pipeline and its annotation project in step, with the guesses of a model named."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from slm.call import Caller, told_of
from slm.errors import SlmError
from slm.pipeline import AnnotateKeys, Pipeline
from slm.plan import Plan
from slm.plugin import Event, Work
from slm.registry import Registry
from slm.run import Show, planned, run, runs_folder
from slm_annotation.mirror import Changes, Mirror
from slm_annotation.records import given
from slm_annotation.rows import answer_rows, rows, write_rows
from slm_annotation.stage import Items, held, labels_of, mirror_folder, picker, shape_of, together
from slm_annotation.syncing import Pick, Pushed, Say, pull, push
from slm_annotation.values import Guess, Item, Project
from slm_data.dataset import read_splits

BATCH = 256
"""Records that are guessed at once: progress is seen, and Ctrl-C soon heard."""


@frozen
class Annotated:
    """A pipeline with an `[annotate]` table, planned."""

    pipeline: Pipeline
    plan: Plan
    registry: Registry
    runs: Path
    keys: AnnotateKeys

    @classmethod
    def planned(cls, pipeline: Pipeline, runs: Path | None, registry: Registry) -> Annotated:
        """Plan the pipeline; SlmError where it has nothing to annotate."""
        stages = pipeline.named("annotate")
        if not stages:
            raise SlmError(
                'no [annotate] table in the pipeline: add one, such as use = "label_studio", project = "faqs"'
            )
        keys = stages[0].keys
        assert isinstance(keys, AnnotateKeys)
        return cls(pipeline, planned(pipeline, registry), registry, runs_folder(pipeline, runs), keys)

    @property
    def told(self) -> dict[str, Any]:
        """The annotator, as a caller is told of it."""
        step = next(step for step in self.plan.steps if step.kind == "annotate")
        assert step.choice is not None
        return told_of(step.choice)

    @property
    def folder(self) -> Path:
        """Where the project's mirror is, and what pull writes."""
        return mirror_folder(self.runs / "store", self.told)

    @property
    def shape(self) -> str:
        return shape_of(self.pipeline.head.task, self.keys.shape)

    def splits(self, show: Show) -> dict[str, Any]:
        """The records as they go to people: loaded and cleaned, from the store where nothing changed."""
        done = run(self.pipeline, self.runs, self.registry, show, before="annotate")
        step = next(step for step in self.plan.steps if step.kind == "annotate")
        return read_splits(*(done.results[path].folder for path in step.inputs))

    @contextmanager
    def opened(self, labels: tuple[str, ...] = (), show: Show = lambda event: None) -> Iterator[tuple[Project, Mirror]]:
        """The project and its mirror, held against a second command."""

        def emit(kind: str, data: Mapping[str, Any]) -> None:
            show(Event(kind, "annotate", time.time(), data))

        with held(self.folder) as mirror:
            work = Work(self.folder, self.folder, self.plan.hardware, emit=emit, root=self.pipeline.folder)
            project = Caller().call(self.told, shape=self.shape, labels=labels, work=work)
            try:
                yield project, mirror
            finally:
                project.close()


def push_records(
    annotated: Annotated, show: Show, say: Say, *, model: Path | None, prefer: str, select: str, limit: int | None
) -> tuple[Pushed, list[str]]:
    """Send the records that the project has not, with the model's guesses; gives what was done, and remarks."""
    keys = annotated.keys
    splits = annotated.splits(show)
    labels = labels_of(annotated.shape, keys.labels, splits.values())
    items = Items(together(splits, keys.splits), annotated.shape, keys.id)
    how, most = select or keys.select, keys.limit if limit is None else limit
    contested = how == "disagreement"
    if model:
        pick = guesser(annotated, model, labels, how, most, say, said_by(items.split, annotated) if contested else {})
    else:
        pick = picker(how, most, annotated.pipeline.head.seed)
    with annotated.opened(labels, show) as (project, mirror):
        remarks = project.prepare()
        done = push(
            project,
            mirror,
            items,
            named=bool(keys.id),
            prefer=prefer or keys.prefer,
            changed_at=file_time(annotated.pipeline.folder),
            pick=pick,
            say=say,
        )
    return done, remarks


def guesser(
    annotated: Annotated,
    model: Path,
    labels: Sequence[str],
    how: str,
    limit: int | None,
    say: Say,
    known: Mapping[str, Mapping[str, Any]],
) -> Pick:
    """Picks items by what a model guesses of them, and by what is `known`, and gives them those guesses."""

    def pick(new: Sequence[Item], there: Sequence[Item]) -> Sequence[Item]:
        from slm_annotation.selecting import select

        if not new:
            return new
        guesses = guesses_of(annotated, model, new, labels, say)
        seed, most = annotated.pipeline.head.seed, limit or len(new)
        chosen = (
            new[:limit] if how == "all" else select(how, new, most, seed, guesses=guesses, known=known, covered=there)
        )
        return [attrs.evolve(item, guess=guesses.get(item.key)) for item in chosen]

    return pick


def said_by(split: Any, annotated: Annotated) -> dict[str, dict[str, Any]]:
    """What the records say themselves of what is asked, by key."""
    shape, key = annotated.shape, annotated.keys.id
    found = {str(record[key] if key else record["id"]): given(record, shape) for record in split}
    return {name: said for name, said in found.items() if said}


def guesses_of(
    annotated: Annotated, model: Path, items: Sequence[Item], labels: Sequence[str], say: Say
) -> dict[str, Guess]:
    """What a run's model guesses of items, by key; nothing of those that it can't be asked."""
    from slm_annotation.guessing import guess, version_of
    from slm_doors.opening import find, open_engine

    found = find(model, annotated.runs)
    engine, _ = open_engine(found, registry=annotated.registry)
    guesses = dict[str, Guess]()
    try:
        name = version_of(found.name, engine)
        for at in range(0, len(items), BATCH):
            part = items[at : at + BATCH]
            made = guess(engine, annotated.shape, [item.fields for item in part], labels, name)
            guesses |= {item.key: each for item, each in zip(part, made, strict=True) if each.values}
            say(min(at + BATCH, len(items)), len(items), "tasks guessed")
    finally:
        engine.close()
    return guesses


def file_time(folder: Path) -> Callable[[Item], str]:
    """When the file that a record is from was changed last (ISO 8601, UTC); empty for what is no file."""

    def changed_at(item: Item) -> str:
        file = folder / item.source.rpartition(":")[0]
        if not file.is_file():
            return ""
        return datetime.fromtimestamp(file.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    return changed_at


@frozen
class Brought:
    """What a pull brought, and the files it wrote: the records as people decided them, and every answer."""

    changes: Changes
    records: Path
    answers: Path
    count: int


def pull_answers(annotated: Annotated, show: Show, say: Say, to: Path | None = None) -> Brought:
    """Bring what people did since the last time, and write it as a data set."""
    with annotated.opened(show=show) as (project, mirror):
        changes = pull(project, mirror, say)
        return written(annotated, project, mirror, changes, to)


def written(annotated: Annotated, project: Project, mirror: Mirror, changes: Changes, to: Path | None) -> Brought:
    """The files of a pull."""
    records = to or annotated.folder / "records.jsonl"
    answers = annotated.folder / "answers.jsonl"
    count = write_lines(records, rows(mirror.entries(), project.shape, annotated.keys.resolve))
    write_lines(answers, answer_rows(mirror.entries()))
    return Brought(changes, records, answers, count)


def write_lines(file: Path, made: Iterator[Mapping[str, Any]]) -> int:
    """Write rows to a file that the user may have named; gives their number."""
    try:
        return write_rows(file, made)
    except OSError as error:
        raise SlmError(f"{file}: {(error.strerror or str(error)).lower()}; name another file with --to") from None
