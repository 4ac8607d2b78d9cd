"""From what a user names (a run, a pipeline file, a model's folder, or nothing) to an open engine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from slm.call import Caller, told_of
from slm.choose import Choice, Chooser, engine_for
from slm.errors import SlmError
from slm.pipeline import Pipeline
from slm.plugin import Base, Engine, Job, Model
from slm.registry import Registry
from slm.run import run_folder, runs_folder
from slm_doors.mounting import Mounted, mounted
from slm_facts.hardware import profile
from slm_models.template import read_interface


@frozen
class Found:
    """A model that can be opened, and the name it is served under."""

    name: str
    model: Model


def find(what: Path | None, runs: Path | None = None, model: str | None = None) -> Found:
    """The model meant; `model` picks among a run's: `model`, or an export's name. Raises SlmError where there is none.

    Of a run that exported, the first export whose check passed: what was verified is what is served.
    """
    if what is None:
        what = newest((runs or Path("runs")).absolute())
    if what.suffix == ".toml":
        pipeline = Pipeline.from_toml(what)
        what = run_folder(pipeline, runs_folder(pipeline, runs))
        if not (what / "run.json").is_file():
            raise SlmError(f"{what.name} has not been run: slm run it first")
    if (what / "run.json").is_file():
        return of_run(what, model)
    if not what.is_dir():
        raise SlmError(f"{what}: no such folder; name a run, a pipeline file or a model's folder")
    return Found(what.resolve().name, read_model(what))


def newest(runs: Path) -> Path:
    """The run that ended last in a folder of runs."""
    done = sorted(runs.glob("*/run.json"), key=lambda file: file.stat().st_mtime)
    if not done:
        raise SlmError(f"{runs}: no runs here; name a run's folder, a pipeline file or a model's folder")
    return done[-1].parent


def of_run(folder: Path, model: str | None) -> Found:
    """One of a run's models."""
    manifest = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    exports = {path.name: path for path in sorted((folder / "exports").glob("*"))}
    steps = {step["path"]: step for step in manifest["steps"]}
    passed = [
        step["plugin"]
        for path, step in steps.items()
        if step["kind"] == "export"
        and steps.get(path.replace("export", "check"), {}).get("value", {}).get("comparison", {}).get("passed")
    ]
    choice = model or next((name for name in passed if name in exports), "model")
    places = {"model": folder / "model", **exports}
    if choice not in places or not places[choice].is_dir():
        there = ", ".join(name for name, place in places.items() if place.is_dir()) or "nothing yet"
        raise SlmError(f"{folder}: no model {choice!r} in this run; it has {there}")
    return Found(manifest["name"], read_model(places[choice]))


def read_model(folder: Path) -> Model:
    """The model in a folder that slm wrote."""
    interface = read_interface(folder)
    try:
        form = json.loads((folder / "artifact.json").read_text(encoding="utf-8"))["format"]
    except (OSError, ValueError, KeyError):
        raise SlmError(f"{folder}: its artifact.json, which names its format, is missing or broken") from None
    return Model(folder.resolve(), form, interface)


def open_engine(found: Found, engine: str | None = None, registry: Registry | None = None) -> tuple[Engine, Choice]:
    """Open the model with the engine named, or the best for its format here."""
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # read when torch is loaded; see supervise.start
    hardware = profile(found.model.path)
    job = Job(found.name, found.model.interface.task, Base(str(found.model.path), path=found.model.path))
    choice = engine_for(Chooser(registry or Registry(), job, hardware), found.model.format, engine)
    caller = Caller()
    opened: Engine = caller.call(told_of(choice), model=found.model, hardware=hardware)
    return opened, choice


def application(
    engines: dict[str, Engine],
    key: str | None,
    options: dict[str, Any],
    use: str | None,
    registry: Registry | None = None,
    train: Callable[[], str] | None = None,
) -> Mounted:
    """The ASGI application that serves the engines, by the server plugin named or chosen, and all that is mounted."""
    from slm.pipeline import ServeKeys, Stage

    job = Job(next(iter(engines)), next(iter(engines.values())).prompter.interface.task, Base("scratch"))
    chooser = Chooser(registry or Registry(), job, profile())
    choice = chooser.stage(Stage("serve", "serve", ServeKeys(use=use), options))
    if choice is None or chooser.found:
        raise SlmError("; ".join(f"{m.path}: {m.say}" for m in chooser.found))
    app = Caller().call(told_of(choice), engines=engines, key=key)
    return mounted(app, chooser, options, engines, key, train)


def serve_keys(what: Path | None, runs: Path | None) -> tuple[Any, dict[str, Any]]:
    """The `[serve]` table of the pipeline that a run was made by: the kernel's keys, and the server's options."""
    from slm.pipeline import ServeKeys

    folder = what if what is not None else newest((runs or Path("runs")).absolute())
    file = folder if folder.suffix == ".toml" else folder / "pipeline.toml"
    if not file.is_file():
        return ServeKeys(), {}
    stages = Pipeline.from_toml(file).named("serve")
    return (stages[0].keys, dict(stages[0].options)) if stages else (ServeKeys(), {})


def merged(keys: Any, **given: Any) -> Any:
    """The keys, with what the command line gave in their place."""
    return attrs.evolve(keys, **{name: value for name, value in given.items() if value is not None})
