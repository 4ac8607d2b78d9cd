"""Running a plan: each step from the store or by a worker, every event told, and the manifest of the run."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

import attrs
from attrs import define, field, frozen

from slm.call import Caller, told_of
from slm.config import ConfigError, Mistake
from slm.errors import PluginError, SlmError, StageError
from slm.pipeline import Pipeline
from slm.plan import CHECKED, Plan, Step, make_plan
from slm.plugin import Artifact, Event, Metrics, Model
from slm.registry import Registry
from slm.supervise import Stage, supervise
from slm_facts.base import fetch, missing
from slm_runs.manifest import about, joined, resolved, summary, write_manifest
from slm_runs.store import Aside, Result, Store, digest, write_text
from slm_runs.wire import pack, unpack

LIBRARIES = ("torch", "transformers", "peft", "datasets", "pyarrow", "tokenizers", "onnxruntime", "onnxruntime-genai")
Show = Callable[[Event], None]


@frozen
class Run:
    """A finished run: its folder, and what each step gave."""

    folder: Path
    plan: Plan
    results: Mapping[str, Result]
    kept: tuple[str, ...] = ()

    @property
    def model(self) -> Model:
        """The trained model."""
        trained: Model = rebased(self.results["recipe"], "model", Model)
        return trained

    @property
    def artifacts(self) -> dict[str, Artifact]:
        """The exported models by their exporter's name."""
        steps = [step for step in self.plan.steps if step.kind == "export"]
        return {step.plugin: rebased(self.results[step.path], "artifact", Artifact) for step in steps}

    @property
    def metrics(self) -> dict[str, Metrics]:
        """What was measured, by test set."""
        return joined([self.results[step.path].value for step in self.plan.steps if step.kind == "evaluate"])


def rebased(result: Result, what: str, cls: type[Any]) -> Any:
    """The model or artifact of a result, with its path made whole."""
    made = unpack(result.value[what], cls)
    return attrs.evolve(made, path=result.folder / made.path)


def run(
    pipeline: Pipeline,
    runs: Path | None = None,
    registry: Registry | None = None,
    show: Show = lambda event: None,
    only: Collection[str] = (),
    before: str = "",
) -> Run:
    """Run every stage that is not kept from before; with `only`, stages of those kinds; none from the first of the kind
    `before` on.

    Raises ConfigError (nothing was done), SlmError, PluginError or StageError (what is done is kept: the same command
    goes on), KeyboardInterrupt likewise.
    """
    plan = planned(pipeline, registry or Registry())
    if only:
        plan = attrs.evolve(plan, steps=tuple(step for step in plan.steps if step.kind in only))
    plan = attrs.evolve(plan, steps=tuple(takewhile(lambda step: step.kind != before, plan.steps)))
    store = Store(runs_folder(pipeline, runs) / "store")
    with store.locked():
        folder = run_folder(pipeline, store.root.parent)
        folder.mkdir(exist_ok=True)
        return Runner(plan, store, folder, show, whole=not only and not before).run()


def planned(pipeline: Pipeline, registry: Registry) -> Plan:
    """The plan; a base that is only missing from this machine is downloaded, once all else is right."""
    try:
        return make_plan(pipeline, registry)
    except ConfigError as error:
        if error.paths != {"base"} or not missing(pipeline.head.base, pipeline.folder):
            raise
    try:
        fetch(pipeline.head.base)
    except SlmError as error:
        raise pipeline.place.error([Mistake("base", str(error))]) from None
    return make_plan(pipeline, registry)


def runs_folder(pipeline: Pipeline, runs: Path | None = None) -> Path:
    """Where runs are kept: as told, else SLM_RUNS, else `runs` beside the pipeline file."""
    return (runs or Path(os.environ.get("SLM_RUNS") or pipeline.folder / "runs")).absolute()


def run_folder(pipeline: Pipeline, runs: Path) -> Path:
    """The folder of a pipeline's run: the same file and overrides give the same run."""
    return runs / f"{pipeline.head.name}-{digest(pipeline.table)[:8]}"


@define
class Runner:
    """One run under way."""

    plan: Plan
    store: Store
    folder: Path
    show: Show
    whole: bool = True
    results: dict[str, Result] = field(factory=dict)
    steps: list[dict[str, Any]] = field(factory=list)
    kept: list[str] = field(factory=list)
    began: float = field(factory=time.time)
    deaf: set[str] = field(factory=set)
    caller: Caller = field(factory=Caller)

    def run(self) -> Run:
        """Do each step in turn; the manifest is written however it ends."""
        for observer in self.plan.observers:
            self.caller.add(told_of(observer))
        if self.whole:
            write_text(self.folder / "pipeline.toml", resolved(self.plan))
        state = "failed"
        try:
            for step in self.plan.steps:
                self.results[step.path] = self.do(step)
            state = "done"
        except KeyboardInterrupt:
            state = "interrupted"
            raise
        finally:
            if self.whole:
                write_manifest(self.folder, self.plan, self.steps, self.began, state)
        return Run(self.folder, self.plan, self.results, tuple(self.kept))

    def do(self, step: Step) -> Result:
        """The step's result, kept or made; a failed export check ends the run."""
        key = self.plan.key(step, self.results, self.store)
        result = self.store.find(key)
        kept = result is not None
        if step.choice:
            self.tell("choice", step, plugin=step.plugin, why=step.choice.why, others=dict(step.choice.others))
        self.tell(
            "start",
            step,
            title=step.title,
            plugin=step.plugin,
            predicted=pack(step.choice.bid.needs if step.choice else None),
        )
        try:
            result = result or self.work(step, self.store.aside(key))
        except (SlmError, PluginError, StageError) as error:
            self.tell(
                "error",
                step,
                title=step.title,
                message=str(error).splitlines()[0].removeprefix(f"{Stage(step.path, step.plugin)}: "),
            )
            raise
        self.kept += [step.path] if kept else []
        said = result.record
        self.tell(
            "end",
            step,
            title=step.title,
            seconds=said["seconds"],
            memory=said["memory"],
            kept=kept,
            summary=summary(step, result),
        )
        self.steps.append(
            {
                **about(step),
                "key": key,
                "digest": result.digest,
                "kept": kept,
                **{k: said[k] for k in ("seconds", "memory", "value")},
            }
        )
        self.link(step, result)
        if step.kind == "check" and not result.value["comparison"]["passed"]:
            raise StageError(
                f"{step.path}: the artifact is not the model that was tested: {result.value['comparison']['reason']}"
            )
        return result

    def work(self, step: Step, aside: Aside) -> Result:
        """Do the step in a worker and keep its result."""
        try:
            aside.start()
        except OSError as error:
            raise StageError(f"{step.path}: {aside.root}: {error.strerror or error}; free it, or use --runs") from None
        began = time.time()
        told = task(self.plan, step, self.results, aside)
        stage = Stage(step.path, step.plugin)
        done = supervise(told, aside, stage, self.folder / "log.txt", lambda kind, data: self.tell(kind, step, **data))
        about_it = {"seconds": round(time.time() - began, 2), "memory": done["memory"]}
        return self.store.keep(aside, done["value"], about_it)

    def tell(self, kind: str, step: Step, **data: Any) -> None:
        """Tell everyone who listens; an observer that fails is told of once, and the run goes on."""
        event = Event(kind, step.path, time.time(), data)
        with (self.folder / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(attrs.asdict(event), default=str, ensure_ascii=False) + "\n")
        self.show(event)
        if not self.plan.observers:
            return
        try:
            self.caller.manager.hook.observe(event=event)
        except Exception as error:
            if type(error).__name__ not in self.deaf:
                self.deaf.add(type(error).__name__)
                self.show(Event("warning", step.path, event.time, {"text": f"an observer failed: {error!r}"}))

    def link(self, step: Step, result: Result) -> None:
        """Show a result in the run's folder."""
        names = {"recipe": "model", "export": f"exports/{step.plugin}", "evaluate": f"evaluation/{step.plugin}"}
        place = self.folder / names.get(step.kind, f"stages/{step.path}")
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_symlink() or place.exists():
            place.unlink() if place.is_symlink() else shutil.rmtree(place)
        try:
            place.symlink_to(os.path.relpath(result.folder, place.parent), target_is_directory=True)
        except OSError:  # a file system without links
            shutil.copytree(result.folder, place)


def task(plan: Plan, step: Step, results: Mapping[str, Result], aside: Aside) -> dict[str, Any]:
    """All that a worker needs to know of a step, as JSON types."""
    inputs = [results[path] for path in step.inputs]
    told: dict[str, Any] = {
        "stage": step.kind,
        "plugin": told_of(step.choice) if step.choice else None,
        "job": pack(plan.job),
        "hardware": pack(plan.hardware),
        "aside": str(aside.root),
        "folder": str(plan.pipeline.folder.absolute()),
        "observers": [told_of(observer) for observer in plan.observers],
        "data": [str(result.folder) for result in inputs if "splits" in result.value],
    }
    if step.kind in ("load", "annotate") and step.stage:
        told["keys"] = attrs.asdict(step.stage.keys)
        told["awaited"] = plan.pipeline.named("annotate") != ()
    for what, cls in (("model", Model), ("artifact", Artifact)):
        for result in inputs:
            if what in result.value:
                told[what] = pack(rebased(result, what, cls))
    if step.kind in ("evaluate", "check"):
        told["engines"] = {form: told_of(engine) for form, engine in plan.engines(step, results).items()}
    if step.kind == "check":
        told |= {"limit": CHECKED, "plugin": next(map(told_of, plan.measuring()), None)}
    return told
