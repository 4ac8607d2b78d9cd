"""The worker process: does one stage from a JSON task, sends events back, and leaves files in the stage's folder.

Events go to the standard output that it was started with, one JSON line each; what plugins print goes to the log.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import attrs
from attrs import frozen
from filelock import FileLock

from slm.call import Caller
from slm.errors import SlmError
from slm.explain import explain
from slm.pipeline import expand, expand_address
from slm.plugin import Artifact, Engine, Hardware, Job, Metrics, Model, Processed, Source, Work
from slm_data.dataset import read_splits, write_splits
from slm_runs.store import write_text
from slm_runs.wire import pack, unpack


@frozen
class Task:
    """One stage's work, as the kernel's JSON describes it."""

    told: Mapping[str, Any]
    job: Job
    work: Work
    caller: Caller

    @property
    def plugin(self) -> Mapping[str, Any]:
        plugin: Mapping[str, Any] = self.told["plugin"]
        return plugin

    def data(self) -> dict[str, Any]:
        """The splits of the stages that this one follows."""
        return read_splits(*map(Path, self.told["data"]))

    @contextmanager
    def opened(self, model: Model) -> Iterator[Engine]:
        """The model, opened by the engine that the kernel chose for its format."""
        engine = self.caller.call(self.told["engines"][model.format], model=model, hardware=self.work.hardware)
        try:
            yield engine
        finally:
            engine.close()


def load(task: Task) -> dict[str, Any]:
    """Read a source and map its rows to records."""
    from slm_data.columns import AWAITED
    from slm_data.records import write_records

    keys = task.told["keys"]
    source = Source(expand_address(keys["source"]), Path(task.told["folder"]))
    batches = task.caller.call(task.plugin, source=source, work=task.work)
    loaded = write_records(
        batches,
        task=task.job.task,
        columns=keys["columns"],
        split=keys["split"],
        keep=keys["keep"],
        awaited=AWAITED.get(task.job.task, ()) if task.told["awaited"] else (),
        folder=task.work.folder,
        max_bad_rows=keys["max_bad_rows"],
        address=source.shown,
        progress=task.work.progress,
    )
    return {"splits": {keys["split"]: loaded.rows}, **pack(loaded)}


def preprocess(task: Task) -> dict[str, Any]:
    """Change the splits; what was dropped is kept beside them."""
    done: Processed = task.caller.call(task.plugin, splits=task.data(), job=task.job, work=task.work)
    sizes = write_splits(done.splits, task.work.folder)
    if done.dropped:
        (task.work.folder / "dropped").mkdir()
        write_splits(done.dropped, task.work.folder / "dropped")
    if not sizes.get("train"):
        raise SlmError(
            f"{task.told['plugin']['name']}: no training records are left; see its report: {dict(done.report)}"
        )
    return {"splits": sizes, "report": dict(done.report), "examples": list(done.examples)}


def annotate(task: Task) -> dict[str, Any]:
    """Put records before people, wait as told, and take their answers."""
    from slm_annotation.stage import annotate, mirror_folder

    keys, splits = task.told["keys"], task.data()
    place = mirror_folder(Path(task.told["aside"]).parents[1], task.told["plugin"])

    def opened(shape: str, labels: tuple[str, ...]) -> Any:
        return task.caller.call(task.plugin, shape=shape, labels=labels, work=task.work)

    made, report = annotate(opened, place, splits, task.job.task, keys, task.work)
    return {"splits": write_splits(made, task.work.folder), "report": report}


def recipe(task: Task) -> dict[str, Any]:
    """Train."""
    data = task.data()
    model = task.caller.call(
        task.plugin, job=task.job, train=data["train"], validation=data.get("validation"), work=task.work
    )
    return {"model": signed(model, task.work.folder)}


def evaluate(task: Task) -> dict[str, Any]:
    """Measure the model on every test split."""
    data, model = task.data(), unpack(task.told["model"], Model)
    with task.opened(model) as engine:
        return {"splits": {name: pack(measured(task, engine, data[name], data, name)) for name in test_splits(data)}}


def measured(task: Task, engine: Engine, records: Any, data: Mapping[str, Any], name: str) -> Metrics:
    """One evaluator's metrics on one split; the base is opened for an evaluator that asks for it."""
    folder = task.work.folder / name
    folder.mkdir(exist_ok=True)
    arguments = {"engine": engine, "data": records, "train": data.get("train"), "job": task.job, "base": None}
    arguments["work"] = attrs.evolve(task.work, folder=folder)
    wanted = task.caller.arguments("evaluate", task.caller.add(task.plugin)[0])
    base = task.job.base
    with ExitStack() as stack:
        if "base" in wanted and base.path and base.kind != "config" and base.format in task.told["engines"]:
            model = Model(base.path, base.format, engine.prompter.interface)
            arguments["base"] = stack.enter_context(task.opened(model))
        found: Metrics = task.caller.call(task.plugin, **arguments)
    return found


def export(task: Task) -> dict[str, Any]:
    """Convert the model."""
    model = unpack(task.told["model"], Model)
    artifact = task.caller.call(task.plugin, model=model, job=task.job, work=task.work)
    size = sum(file.stat().st_size for file in task.work.folder.rglob("*") if file.is_file())
    return {"artifact": signed(artifact, task.work.folder), "size": size}


def signed(model: Model, folder: Path) -> Any:
    """The model as JSON, its path within the result; its folder also says what it is, for when it is copied away."""
    table = pack(attrs.evolve(model, path=model.path.relative_to(folder)))
    about = {key: value for key, value in table.items() if key not in ("path", "interface")}
    write_text(model.path / "artifact.json", json.dumps(about, indent=2) + "\n")
    return table


def check(task: Task) -> dict[str, Any]:
    """Compare an artifact, opened by its engine, with its source model; then the user's own metric on both."""
    from slm_models.verify import compare

    data = task.data()
    model, artifact = unpack(task.told["model"], Model), unpack(task.told["artifact"], Artifact)
    split = next(iter([*test_splits(data), "train"]))
    records = data[split].select(range(min(len(data[split]), int(task.told["limit"]))))
    with task.opened(model) as source, task.opened(artifact) as opened:
        compared = compare(source, opened, list(islice(records, 32)), artifact.tolerance)
        figures = {}
        if compared.passed and task.told["plugin"]:
            for name, engine in (("before", source), ("after", opened)):
                figures[name] = pack(measured(task, engine, records, {"train": data["train"]}, name))
    return {"comparison": pack(compared), "split": split, **figures}


def test_splits(data: Mapping[str, Any]) -> list[str]:
    """The splits to measure on: those named test..., else the validation set, else none."""
    named = sorted(name for name in data if name.startswith("test") and len(data[name]))
    return named or [name for name in ("validation",) if name in data]


STAGES: Mapping[str, Callable[[Task], dict[str, Any]]] = {
    "load": load,
    "preprocess": preprocess,
    "annotate": annotate,
    "recipe": recipe,
    "evaluate": evaluate,
    "export": export,
    "check": check,
}


def leave_with_parent() -> None:
    """End this process when the kernel's end of standard input closes: a killed kernel leaves no worker behind."""
    sys.stdin.buffer.read()
    os._exit(3)


def do(told: Mapping[str, Any], send: Callable[[str, Mapping[str, Any]], None]) -> dict[str, Any]:
    """Do the stage that a task tells of."""
    hardware, aside = unpack(told["hardware"], Hardware), Path(told["aside"])
    job = unpack(told["job"], Job)
    work = Work(aside / "out", aside / "checkpoints", hardware, job.seed, send, Path(told["folder"]))
    caller = Caller()
    for observer in told["observers"]:
        caller.add(observer)
    return STAGES[told["stage"]](Task(told, job, work, caller))


def main(file: str) -> int:
    """Run one task file; 0 when done, 2 for the user's mistake, 1 for anything else."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    faulthandler.enable()
    threading.Thread(target=leave_with_parent, daemon=True).start()
    told = json.loads(Path(file).read_text(encoding="utf-8"))
    secrets: set[str] = set()
    expand(told, secrets)
    if told["stage"] == "load":
        expand_address(told["keys"]["source"], secrets)
    guard = threading.Lock()

    def send(kind: str, data: Mapping[str, Any]) -> None:
        with guard:
            out.write(scrubbed(json.dumps({"kind": kind, "data": data}, default=str), secrets) + "\n")

    with FileLock(Path(told["aside"]) / "worker.lock", timeout=30):
        return finish(told, send, secrets, sys.stderr)


def finish(
    told: Mapping[str, Any], send: Callable[[str, Mapping[str, Any]], None], secrets: set[str], log: TextIO
) -> int:
    """Do the task and send its result, or what went wrong; the traceback goes to the log."""
    try:
        result = do(told, send)
        send("result", {"value": result, **peaks()})
    except Exception as error:
        kind, text = explain(error)
        log.write(scrubbed(traceback.format_exc(), secrets))
        send("error", {"kind": kind, "text": text})
        return 2 if kind == "user" else 1
    return 0


def peaks() -> dict[str, int]:
    """The most memory that this process held, in bytes: RAM, and GPU memory where torch used a GPU."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    found = {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        found["gpu_memory"] = torch.cuda.max_memory_allocated()
    return found


def scrubbed(text: str, secrets: set[str]) -> str:
    """The text without the secrets."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


if __name__ == "__main__":
    code = main(sys.argv[1])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # libraries' threads and finalisers have nothing left to do
