"""Training in the background: the pipeline of a served model is run again, in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from attrs import define, field

from slm.errors import SlmError
from slm.pipeline import Pipeline
from slm.run import run_folder, runs_folder

PATIENCE = 20.0  # seconds for a run to write down where it stopped


def pipeline_of(what: Path, runs: Path | None) -> tuple[Path, Path] | None:
    """The pipeline file and the folder of runs that a served model comes from; None for a bare folder of a model.

    Of a run, the file is looked for where its runs stand beside it (its overrides aside, it gives the same run); else
    it is the copy in the run, whose relative paths lead nowhere where it had any: its log will say so.
    """
    if what.suffix == ".toml":
        return what.absolute(), runs_folder(Pipeline.from_toml(what), runs)
    if not (what / "run.json").is_file() or not (what / "pipeline.toml").is_file():
        return None
    folder = what.resolve()
    for file in sorted(folder.parent.parent.glob("*.toml")):
        try:
            if run_folder(Pipeline.from_toml(file), folder.parent) == folder:
                return file, folder.parent
        except SlmError:  # another kind of file, or a pipeline that was broken since
            continue
    return folder / "pipeline.toml", folder.parent


@define(eq=False)
class Training:
    """Runs of one pipeline, one at a time, each in a process of its own.

    A run ends with the server: whoever stops the server means all of it to stop, and the next run goes on from the
    checkpoints of this one. Only where the server is killed outright does the run go on to its end.
    """

    pipeline: Path
    runs: Path
    process: subprocess.Popen[bytes] | None = None
    watcher: threading.Thread | None = None
    lock: threading.Lock = field(factory=threading.Lock)

    @property
    def log(self) -> Path:
        """Where the runs' output goes, beside the runs; each start has a line with its time."""
        return self.runs / f"{Pipeline.from_toml(self.pipeline).head.name}.training.log"

    def start(self) -> str:
        """Start a run, unless one is under way; says which in a line, with the place of its log."""
        command = [sys.executable, "-P", "-m", "slm_doors.cli", "run", str(self.pipeline), "--runs", str(self.runs)]
        with self.lock:
            if self.process and self.process.poll() is None:
                return f"a training is running already; its log: {self.log}"
            log = self.log
            try:
                log.parent.mkdir(parents=True, exist_ok=True)
                with log.open("a", encoding="utf-8") as out:
                    print(time.strftime("--- started at %Y-%m-%d %H:%M:%S"), file=out, flush=True)
                    self.process = subprocess.Popen(
                        command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
                    )
            except OSError as error:
                raise SlmError(f"{log}: {error.strerror or error}; a training can't be started") from None
            self.watcher = threading.Thread(target=self.watch, args=(self.process, log), daemon=True)
            self.watcher.start()
        return f"training started; its log: {log}"

    def watch(self, process: subprocess.Popen[bytes], log: Path) -> None:
        """Wait for a run, and say on standard error how it ended."""
        print(f"{outcome(process.wait(), log)}; log: {log}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Stop the run under way, as Ctrl-C would."""
        if self.process is None or self.watcher is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        self.watcher.join(PATIENCE)
        self.process.kill()


def outcome(code: int, log: Path) -> str:
    """How a run ended; of one that failed the last line of its log."""
    if code == 0:
        return "training ended; start the server again to serve the new model"
    if code in (130, -signal.SIGINT):
        return "training stopped; started again, it goes on from there"
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
    last = next((line for line in reversed(lines) if line.strip()), "")
    return f"training failed (exit code {code}): {last.removeprefix('error: ')}"
