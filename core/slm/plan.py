"""The plan: which plugin does each stage of a job on this machine, why, and what it will take. It spends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_hex
from typing import Any

import attrs
from attrs import frozen

from slm.choose import ASIDE, Choice, Chooser, engine_for
from slm.config import Mistake
from slm.errors import SlmError
from slm.pipeline import SECRET, LoadKeys, Pipeline, Stage, expand_address
from slm.plugin import Base, Hardware, Job, Rank, Source
from slm.registry import Registry
from slm_facts.base import resolve_base
from slm_facts.hardware import profile
from slm_runs.store import Store, digest, files_of

CHECKED = 200
"""How many records an artifact's metric is compared on with its source model's."""


@frozen
class Step:
    """One stage of the plan: `kind` is the hook, or `check`; `inputs` are the paths of the stages it follows."""

    kind: str
    path: str
    inputs: tuple[str, ...]
    choice: Choice | None
    stage: Stage | None = None

    @property
    def plugin(self) -> str:
        return self.choice.name if self.choice else ""

    @property
    def title(self) -> str:
        """What progress calls the stage."""
        return f"{self.kind} {self.plugin}".strip()


@frozen
class Plan:
    """Every step of a pipeline in order, and what the steps were chosen for."""

    pipeline: Pipeline
    job: Job
    hardware: Hardware
    steps: tuple[Step, ...]
    chooser: Chooser
    observers: tuple[Choice, ...] = ()

    def key(self, step: Step, results: Mapping[str, Any], store: Store) -> str:
        """The fingerprint of a step whose inputs are done: plugin, options, inputs, and what else it depends on. Where
        nobody can say what that is, `~` and something new follow: the step is done again."""
        once = ""
        job: dict[str, Any] = {"task": self.job.task, "seed": self.job.seed}
        made_of: dict[str, Any] = {"inputs": [results[path].digest for path in step.inputs], "kind": step.kind}
        if step.choice:
            made_of |= {"plugin": step.choice.offer.digest(), "options": step.choice.options}
        if step.kind == "preprocess" and step.choice and (state := getattr(step.choice.plugin, "state", None)):
            made_of["state"] = state(self.pipeline.folder)
        if step.kind == "load" and step.stage:
            content = self.source_digest(step, store)
            made_of |= {"keys": attrs.asdict(step.stage.keys), "source": content}
            once = f"~{token_hex(4)}" if content is None else ""
            if self.pipeline.named("annotate"):
                made_of["awaited"] = True
        if step.kind in ("recipe", "evaluate") and self.job.base.path:
            job["base"] = [str(self.job.base.path), store.content(self.job.base.path)]
        if step.kind == "recipe":
            job["gpus"] = [gpu.name for gpu in self.hardware.gpus]
        if step.kind in ("evaluate", "check"):
            made_of["engines"] = [choice.offer.digest() for choice in self.engines(step, results).values()]
        if step.kind == "check":
            made_of["evaluator"] = [c.offer.digest() for c in self.measuring()[:1]]
        if step.kind == "annotate" and step.stage:
            made_of["keys"] = attrs.asdict(step.stage.keys)
            once = f"~{token_hex(4)}"  # people may have answered since
        return f"{step.path.replace('.', '-')}-{step.plugin}-{digest([made_of, job])[:16]}{once}"

    def source_digest(self, step: Step, store: Store) -> str | None:
        """What stands for the present content of a load step's source; None where nobody knows."""
        source = source_of(self.pipeline, step.stage)
        state = getattr(step.choice.plugin, "state", None) if step.choice else None
        found: str | None = state(source) if state else None
        return f"{store.content(source.path)} {found or ''}".strip() if source.is_path else found

    def engines(self, step: Step, results: Mapping[str, Any]) -> dict[str, Choice]:
        """The engine for each format that a step opens: the model's, its base's, an artifact's."""
        formats = [
            results[p].value[k]["format"] for p in step.inputs for k in ("model", "artifact") if k in results[p].value
        ]
        if self.job.base.path and self.job.base.kind in ("decoder", "encoder"):
            formats.append(self.job.base.format)
        return {form: engine_for(self.chooser, form) for form in dict.fromkeys(formats)}

    def measuring(self) -> list[Choice]:
        """The evaluators of the plan."""
        return [step.choice for step in self.steps if step.kind == "evaluate" and step.choice]


def make_plan(pipeline: Pipeline, registry: Registry, hardware: Hardware | None = None) -> Plan:
    """Choose a plugin for every stage; raises ConfigError with every mistake, each with its line."""
    hardware = hardware or profile(pipeline.folder)
    found: list[Mistake] = []
    base = Base("scratch")
    try:
        base = resolve_base(pipeline.head.base, pipeline.folder)
    except SlmError as error:
        found.append(Mistake("base", str(error)))
    chooser = Chooser(registry, job_of(pipeline, base, found), hardware, found)
    steps = [*data_steps(pipeline, chooser)]
    data = steps[-1:] if steps and steps[-1].kind != "load" else steps
    inputs = tuple(step.path for step in data)
    if not any(m.path == "base" for m in found):
        steps += model_steps(pipeline, chooser, inputs)
    for stage in pipeline.named("serve"):
        chooser.stage(stage)
    observers = tuple(c for stage in pipeline.named("observe") if (c := chooser.stage(stage)))
    if found:
        raise pipeline.place.error(found)
    return Plan(pipeline, chooser.job, hardware, tuple(steps), chooser, observers)


def job_of(pipeline: Pipeline, base: Base, found: list[Mistake]) -> Job:
    """The job: what the pipeline asks for, with the size of its training files as far as they are files."""
    splits, size, unknown = set(), 0, False
    for stage in pipeline.named("load"):
        assert isinstance(stage.keys, LoadKeys)
        splits.add(stage.keys.split)
        if Source(SECRET.sub("", stage.keys.source)).secrets:
            found.append(Mistake(f"{stage.path}.from", f"a secret stands in the file; {ASIDE}"))
            continue
        try:
            source = source_of(pipeline, stage)
        except SlmError as error:
            found.append(Mistake(f"{stage.path}.from", str(error)))
            continue
        if not source.is_path:
            unknown = True
        elif stage.keys.split == "train":
            size += sum(file.stat().st_size for file in files_of(source.path))
        if source.is_path and not files_of(source.path) and not source.path.is_dir():
            found.append(Mistake(f"{stage.path}.from", f"{stage.keys.source}: no such file or folder"))
    head = pipeline.head
    return Job(head.name, head.task, base, head.seed, tuple(sorted(splits)), size=None if unknown else size)


def source_of(pipeline: Pipeline, stage: Stage | None) -> Source:
    """The source of a load stage."""
    assert stage is not None
    assert isinstance(stage.keys, LoadKeys)
    return Source(expand_address(stage.keys.source), pipeline.folder)


def data_steps(pipeline: Pipeline, chooser: Chooser) -> list[Step]:
    """Loads, then the preprocessors that are named, annotation, and the preprocessors that bid BEST unasked."""
    steps = []
    for stage in pipeline.named("load"):
        try:
            choice = chooser.stage(stage, None if stage.keys.use else source_of(pipeline, stage))
        except SlmError:  # already noted by job_of
            continue
        steps.append(Step("load", stage.path, (), choice, stage))
    loads = tuple(step.path for step in steps)
    named = [(stage, chooser.stage(stage)) for stage in pipeline.named("preprocess")]
    names = [stage.keys.use or "" for stage, _ in named]
    asked = [(stage.path, choice) for stage, choice in named if choice]
    unasked = chooser.willing("preprocess", Rank.BEST, "preprocess", names)
    last = loads
    for path, choice in asked:
        steps.append(Step("preprocess", path, last, choice))
        last = (path,)
    for stage in pipeline.named("annotate"):
        steps.append(Step("annotate", stage.path, last, chooser.stage(stage), stage))
        last = (stage.path,)
    for n, choice in enumerate(unasked, start=len(asked)):
        steps.append(Step("preprocess", f"preprocess.{n}", last, choice))
        last = (f"preprocess.{n}",)
    return steps


def model_steps(pipeline: Pipeline, chooser: Chooser, data: tuple[str, ...]) -> list[Step]:
    """The recipe, the evaluators, and each export with its check."""
    (stage,) = pipeline.named("recipe") or (Stage("recipe", "recipe", chosen_keys(), {}),)
    steps = [Step("recipe", "recipe", data, chooser.stage(stage), stage)]
    asked = [(stage.path, chooser.stage(stage)) for stage in pipeline.named("evaluate")]
    willing = [] if asked else chooser.willing("evaluate", Rank.GOOD, "evaluate")
    for path, choice in asked or [(f"evaluate.{n}", choice) for n, choice in enumerate(willing)]:
        steps.append(Step("evaluate", path, ("recipe", *data), choice))
    for stage in pipeline.named("export"):
        steps.append(Step("export", stage.path, ("recipe",), chooser.stage(stage), stage))
        checked = stage.path.replace("export", "check")
        steps.append(Step("check", checked, ("recipe", stage.path, *data), None))
    return steps


def chosen_keys() -> Any:
    """The keys of a table that isn't there."""
    from slm.pipeline import Keys

    return Keys()
