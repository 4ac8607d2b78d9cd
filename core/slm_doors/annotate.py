"""The commands of `slm annotate`: read arguments, call, and say in a few lines what happened."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slm.errors import SlmError
from slm_doors.paths import shortest

if TYPE_CHECKING:
    from slm.run import Show
    from slm_annotation.mirror import Changes
    from slm_annotation.syncing import Pushed, Say
    from slm_doors import annotating
    from slm_doors.progress import Progress

app = typer.Typer(no_args_is_help=True, help="Records and an annotation project, kept in step.")

File = Annotated[Path, typer.Argument(help="The pipeline file; its [annotate] table says where.")]
Sets = Annotated[list[str], typer.Option("--set", help="Override a key: annotate.project=faqs.")]
Runs = Annotated[Path | None, typer.Option("--runs", help="Where runs are kept (default: runs beside the pipeline).")]
Model = Annotated[Path | None, typer.Option("--model", help="A run or model whose guesses are sent along.")]
Prefer = Annotated[str, typer.Option(help="Whose content stands where both sides changed: local, remote or newest.")]
Select = Annotated[str, typer.Option(help="What goes first: all, random, uncertain, diverse, mixed or disagreement.")]
Limit = Annotated[int | None, typer.Option(min=1, help="The most records to send.")]
To = Annotated[Path | None, typer.Option(help="Write the records to this file.")]


@app.command("push")
def push(
    pipeline: File,
    model: Model = None,
    select: Select = "",
    limit: Limit = None,
    prefer: Prefer = "",
    set_: Sets = [],  # noqa: B006
    runs: Runs = None,
) -> None:
    """Send the records that the project does not have yet; makes the project if it isn't there."""
    from slm_doors import annotating

    annotated = planned(pipeline, set_, runs)
    with shown() as (show, say):
        chosen: dict[str, Any] = {"prefer": prefer, "select": select, "limit": limit}
        done, remarks = annotating.push_records(annotated, show, say, model=model, **checked(chosen))
    tell([*remarks, *pushed_lines(done)])


@app.command("pull")
def pull(pipeline: File, to: To = None, set_: Sets = [], runs: Runs = None) -> None:  # noqa: B006
    """Bring what people did since the last time, and write it as a data set with who said what, when."""
    from slm_doors import annotating

    annotated = planned(pipeline, set_, runs)
    with shown() as (show, say):
        brought = annotating.pull_answers(annotated, show, say, to)
    tell(brought_lines(brought))


@app.command("sync")
def sync(
    pipeline: File,
    model: Model = None,
    select: Select = "",
    limit: Limit = None,
    prefer: Prefer = "",
    watch: Annotated[bool, typer.Option("--watch", help="Keep going until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")] = 10.0,
    hints: Annotated[
        str | None, typer.Option(help="Where slm serve hears Label Studio's webhooks: look at once when it heard one.")
    ] = None,
    to: To = None,
    set_: Sets = [],  # noqa: B006
    runs: Runs = None,
) -> None:
    """Push, then pull. Safe to repeat, and to stop at any moment."""
    from slm_doors import annotating

    chosen = checked({"prefer": prefer, "select": select, "limit": limit})
    said: list[str] | None = None
    while True:
        try:
            annotated = planned(pipeline, set_, runs)
            with shown() as (show, say):
                done, remarks = annotating.push_records(annotated, show, say, model=model, **chosen)
                brought = annotating.pull_answers(annotated, show, say, to)
            lines = [*remarks, *pushed_lines(done), *brought_lines(brought, done.changes)]
        except SlmError as error:
            if said is None:  # what is wrong from the start is not a server that went away
                raise
            lines = [f"{error}; looking again in {every:g} s"]
        tell(lines if lines != said else [])
        said = lines
        if not watch:
            return
        pause(every, hints)


def pause(seconds: float, hints: str | None) -> None:
    """Wait so many seconds, or until something is heard of at `hints`."""
    until, heard = time.monotonic() + seconds, events(hints)
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 1.0))
        if (now := events(hints)) is not None and now != heard:
            return


def events(hints: str | None) -> int | None:
    """How many events a served model was told of; None where nobody answers: it is a hint, and looking goes on."""
    if not hints:
        return None
    import httpx

    key = os.environ.get("SLM_KEY")
    try:
        reply = httpx.get(f"{hints.rstrip('/')}/health", headers={"authorization": f"Bearer {key}"} if key else {})
        found = reply.json()["events"]
    except (httpx.HTTPError, ValueError, KeyError):
        return None
    return int(found)


@app.command("status")
def status(pipeline: File, set_: Sets = [], runs: Runs = None) -> None:  # noqa: B006
    """Say what is done, waiting, skipped and disputed, by annotator; and the model against the people."""
    from slm_annotation.describing import describe
    from slm_annotation.standing import standing
    from slm_annotation.syncing import pull

    annotated = planned(pipeline, set_, runs)
    with shown() as (show, say), annotated.opened(show=show) as (project, mirror):
        pull(project, mirror, say)
        found = standing(project.shape, mirror.entries(), mirror.guesses(), annotated.keys.resolve)
        place = project.place
    tell([place, *describe(found)])


@app.command("loop")
def loop(
    pipeline: File,
    budget: Annotated[int, typer.Option(min=1, help="Labels in all.")] = 1000,
    batch: Annotated[int, typer.Option(min=1, help="Labels a round.")] = 100,
    patience: Annotated[int, typer.Option(min=1, help="Rounds without gain that end it.")] = 3,
    select: Annotated[
        str, typer.Option(help="How records are chosen: uncertain, mixed, diverse or random.")
    ] = "uncertain",
    beside_random: Annotated[
        bool, typer.Option("--beside-random", help="Choose as many at random too, and show both curves.")
    ] = False,
    metric: Annotated[str, typer.Option(help="The figure that counts; the evaluator's first if left out.")] = "",
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks at the project.")] = 10.0,
    set_: Sets = [],  # noqa: B006
    runs: Runs = None,
) -> None:
    """Choose, ask people, train, measure and promote, round after round, until the budget ends or nothing is gained."""
    from slm_annotation.looping import curve
    from slm_doors.looping import Loop, Terms

    if select not in ("uncertain", "diverse", "mixed", "random"):
        raise SlmError(f"--select {select}: say one of uncertain, diverse, mixed, random")
    arms = (select, "random") if beside_random and select != "random" else (select,)
    annotated = planned(pipeline, set_, runs)
    with shown() as (show, say):
        terms = Terms(budget, batch, patience, arms, metric, every)
        course = Loop.begun(annotated, terms, show, say, print).go()
    lines = curve(course)
    (annotated.folder / "loop" / "curve.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tell(["", *lines, "", f"promoted: {course.promoted}", f"Serve it:  slm serve {course.promoted}"])


def planned(pipeline: Path, sets: list[str], runs: Path | None) -> annotating.Annotated:
    """The pipeline, planned."""
    from slm.pipeline import Pipeline
    from slm.registry import Registry, disabled
    from slm_doors.annotating import Annotated

    return Annotated.planned(Pipeline.from_toml(pipeline, sets), runs, Registry(blocked=disabled()))


def checked(chosen: dict[str, Any]) -> dict[str, Any]:
    """The options; SlmError for a word that is none of theirs."""
    words = {
        "prefer": ("", "local", "remote", "newest"),
        "select": ("", "all", "random", "uncertain", "diverse", "mixed", "disagreement"),
    }
    for name, allowed in words.items():
        if chosen[name] not in allowed:
            raise SlmError(f"--{name} {chosen[name]}: say one of {', '.join(filter(None, allowed))}")
    return chosen


@contextmanager
def shown() -> Iterator[tuple[Show, Say]]:
    """Progress on the terminal: of the stages that run, and of what goes to and fro."""
    from slm.values import Event
    from slm_doors.progress import Progress

    with Progress() as progress:
        begun = set[str]()

        def say(done: float, total: float, unit: str) -> None:
            stage = f"annotate {unit}"
            if unit not in begun:
                begun.add(unit)
                progress.show(Event("start", stage, time.time(), {"title": "annotate"}))
            progress.show(Event("progress", stage, time.time(), {"done": done, "total": total, "unit": unit}))
            if 0 < total <= done:
                begun.discard(unit)
                progress.close(stage)

        yield quiet(progress), say


def quiet(progress: Progress) -> Show:
    """What is kept from before needs no line at each command."""

    def without(event: Any) -> None:
        if event.kind in ("warning", "error", "progress"):
            progress.show(event)
        elif event.kind == "end":
            progress.close(event.stage)

    return without


def tell(lines: list[str]) -> None:
    """Print lines."""
    for line in lines:
        print(line)


def pushed_lines(done: Pushed) -> list[str]:
    """What a push did, in a line; then each conflict in one."""
    counts = {
        "sent": done.new,
        "updated": done.updated,
        "there already": done.unchanged,
        "not picked": done.left,
        "said twice": done.twins,
        "no longer in the data": done.gone,
    }
    said = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "nothing to send"
    return [f"push: {said}", *(f"conflict: {conflict}" for conflict in done.conflicts)]


def brought_lines(brought: annotating.Brought, before: Changes | None = None) -> list[str]:
    """What a pull brought, and where it is."""
    changes = brought.changes + before if before else brought.changes
    counts = {
        "answered": changes.created,
        "corrected": changes.corrected,
        "skipped": changes.skipped,
        "deleted": changes.deleted,
        "tasks edited": changes.edited,
        "tasks gone": changes.went,
    }
    said = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "nothing new"
    return [
        f"pull: {said}",
        f"{brought.count:,} records: {shortest(brought.records)}",
        f"every answer: {shortest(brought.answers)}",
    ]
