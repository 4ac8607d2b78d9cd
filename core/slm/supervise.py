"""The kernel's side of a worker: start it, hear it, and say in one line why it ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import psutil
from attrs import define, frozen

from slm.errors import PluginError, SlmError, StageError
from slm_facts.units import gigabytes
from slm_runs.store import Aside, write_text

FULL = 1 << 20
DISK = "the disk is full; free some space, then run the same command"


@frozen
class Stage:
    """What messages call a stage: its path in the pipeline and its plugin."""

    path: str
    plugin: str

    def __str__(self) -> str:
        return f"{self.path} ({self.plugin})" if self.plugin else self.path


@define
class Watch:
    """The most memory that a process was seen to hold, in bytes; looked at every half second."""

    process: psutil.Process
    done: threading.Event
    most: int = 0

    def run(self) -> None:
        while not self.done.wait(0.5):
            try:
                self.most = max(self.most, self.process.memory_info().rss)
            except psutil.Error:
                return


def supervise(
    told: Mapping[str, Any], aside: Aside, stage: Stage, log: Path, hear: Callable[[str, Mapping[str, Any]], None]
) -> Mapping[str, Any]:
    """Do one stage in a worker; every event but the last goes to `hear`. Gives {value, memory}.

    Raises SlmError (the user's mistake), PluginError or StageError, each one line. A KeyboardInterrupt ends the
    worker at once: what it has checkpointed stays.
    """
    write_text(aside.root / "task.json", json.dumps(told, default=str))
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    with log.open("ab") as errors, start(aside.root / "task.json", errors, int(told["hardware"]["cores"])) as process:
        watch = Watch(psutil.Process(process.pid), threading.Event())
        threading.Thread(target=watch.run, daemon=True).start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                event = json.loads(line)
                match event["kind"]:
                    case "result":
                        result = event["data"]
                    case "error":
                        error = event["data"]
                    case kind:
                        hear(kind, event["data"])
            code = process.wait()
        finally:
            watch.done.set()
            process.kill()
    if error:
        raise refusal(error, stage, log)
    if result is None or code:
        full = shutil.disk_usage(aside.root).free < FULL  # some libraries abort where they can't write
        raise StageError(f"{stage}: {DISK if full else death(code, watch.most)}; log: {log}")
    return result


def start(task: Path, errors: IO[bytes], cores: int) -> subprocess.Popen[bytes]:
    """Start a worker in a session of its own, so that a terminal's Ctrl-C reaches only the kernel.

    Its threads spin only briefly while they wait. Where the cores have other work, threads that spin for long stop
    each other (20 times slower steps were measured); threads that sleep at once cost an idle machine 40% of its speed.
    """
    env = {"OMP_NUM_THREADS": str(cores), "GOMP_SPINCOUNT": "10000"}
    # oneDNN keeps code for each shape of matrix it met, and packed batches have a thousand shapes: 1 GB without a bound
    env |= {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16", "LRU_CACHE_CAPACITY": "16"}
    # Arrow's own pool gives pages back and faults them in anew, batch after batch: a tenth of a load's time
    env |= {"ARROW_DEFAULT_MEMORY_POOL": "system"}
    env |= {"TOKENIZERS_PARALLELISM": "true", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "slm.worker", str(task)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**env, **os.environ},
        start_new_session=True,
    )


def refusal(error: Mapping[str, Any], stage: Stage, log: Path) -> Exception:
    """The exception for what a worker reported."""
    match error["kind"]:
        case "user":
            return SlmError(f"{stage}: {error['text']}")
        case "plugin":
            return PluginError(f"{stage}: {error['text']}; log: {log}")
        case _:
            return StageError(f"{stage}: {error['text']}; log: {log}")


def death(code: int, most: int) -> str:
    """What an exit code says of a worker that reported nothing."""
    if code == -signal.SIGKILL:
        return (
            f"the system killed it, most likely for memory: it held {gigabytes(most)} of "
            f"{gigabytes(psutil.virtual_memory().total)}; give it a smaller batch, shorter texts or a smaller base"
        )
    if code in (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE):
        name = {-signal.SIGSEGV: "segmentation fault"}.get(code, signal.Signals(-code).name)
        return f"it crashed ({name}) in the plugin or a library of its; run again, and report it if it happens twice"
    if code < 0:
        return f"it was ended by {signal.Signals(-code).name}; run the same command to go on"
    return f"it ended with exit code {code} and no result; report it to the plugin's author"
