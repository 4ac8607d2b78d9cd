"""A third party's package of test plugins, found by entry point like any other, and the command as a user runs it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROBE = '''
import ctypes, errno, os, signal, time
from typing import ClassVar, Literal
import attrs
from attrs import field, frozen
from slm.plugin import *

@frozen
class Lines(Loader):
    """Reads one text a line."""
    claims: ClassVar[tuple[str, ...]] = (".lines", "probe://")
    secret: str = field(default="", metadata={"help": "A password."})
    def bid(self, job, hardware):
        return Bid(Rank.GOOD, "reads lines")
    @hookimpl
    def load(self, source, work):
        import pyarrow
        print("noise on standard output")
        if self.secret:
            raise SlmError(f"{source.address}: wrong password {self.secret!r}")
        lines = source.path.read_text().splitlines()
        yield Batch(pyarrow.table({"text": lines}), source.address, range(1, len(lines) + 1))

@frozen
class Crash(Recipe):
    """Ends badly, in the way it is told."""
    how: Literal["raise", "segfault", "killed", "memory", "disk", "exit", "nothing", "user"] = field(
        default="raise", metadata={"help": "The way to end."})
    def bid(self, job, hardware):
        if job.task == "preference":
            return Bid(Rank.NO, "not for pairs")
        return Bid(Rank.POSSIBLE, "only when it is named", Needs(memory=10**6, seconds=1))
    @hookimpl
    def recipe(self, work):
        (work.folder / "half").write_text("half a model")
        if self.how == "raise": raise RuntimeError("the plugin went wrong")
        if self.how == "segfault": ctypes.string_at(0)
        if self.how == "killed": os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "memory": bytearray(1 << 60)
        if self.how == "disk": raise OSError(errno.ENOSPC, "No space left on device", str(work.folder / "half"))
        if self.how == "exit": os._exit(7)
        if self.how == "user": raise SlmError("the data are too few: add some")

@frozen
class Twin(Recipe):
    """Bids as high as its twin, to make a tie."""
    twinned: int = field(default=1, metadata={"help": "Which one."})
    def bid(self, job, hardware):
        return Bid(Rank.BEST, "it is the twin")
    @hookimpl
    def recipe(self, work):
        return None

@frozen
class OtherTwin(Twin):
    """The other one."""

@frozen
class Forgetful(Recipe):
    """Forgot its hookimpl."""
    def bid(self, job, hardware):
        return Bid(Rank.NO if job.task == "preference" else Rank.POSSIBLE, "never")
    def recipe(self, work):
        return None

@frozen
class Notes(Observer):
    """Writes each event's kind into a file."""
    file: str = field(default="notes.txt", metadata={"help": "Where."})
    def bid(self, job, hardware):
        return Bid(Rank.GOOD, "watches")
    @hookimpl
    def observe(self, event):
        with open(self.file, "a") as notes:
            notes.write(f"{event.kind} {event.stage}\\n")
'''
ENTRY_POINTS = """[slm.load]
lines = slm_probe:Lines
[slm.recipe]
crash = slm_probe:Crash
twin = slm_probe:Twin
othertwin = slm_probe:OtherTwin
forgetful = slm_probe:Forgetful
broken = slm_probe_broken:Broken
[slm.observe]
notes = slm_probe:Notes
"""
TWINS = "recipe.twin,recipe.othertwin"
Slm = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH that holds the package slm-plugin-probe as pip would have installed it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "slm_probe.py").write_text(PROBE)
    (folder / "slm_probe_broken.py").write_text("raise OSError('libmissing.so: cannot open shared object file')\n")
    info = folder / "slm_plugin_probe-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slm-plugin-probe\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


@pytest.fixture
def env(site: Path) -> dict[str, str]:
    """The environment with the test plugins, the twins switched off."""
    return {**os.environ, "PYTHONPATH": str(site), "SLM_DISABLE_PLUGINS": TWINS, "HF_HUB_OFFLINE": "1"}


@pytest.fixture
def slm(env: dict[str, str], tmp_path: Path) -> Slm:
    """The command, run in tmp_path."""

    def call(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "slm_doors.cli", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env={**env, **more}, capture_output=True, text=True, timeout=300, check=False
        )

    return call


@pytest.fixture
def pipeline(tmp_path: Path) -> Callable[..., Path]:
    """Writes a pipeline over 80 questions with their answers, with whatever tables a test adds."""

    def write(tables: str = "", head: str = 'name = "bot"\ntask = "qa"', load: str = "") -> Path:
        colours = ["red", "green", "blue", "black", "white", "grey", "pink", "brown"]
        things = ["car", "door", "house", "hat", "wall", "boat", "bird", "book", "cup", "coat"]
        pairs = [
            f"What colour is the {thing} number {n}?,{colour}" for n, colour in enumerate(colours) for thing in things
        ]
        (tmp_path / "faqs.csv").write_text("\n".join(["Question,Answer", *pairs]) + "\n")
        file = tmp_path / "pipeline.toml"
        file.write_text(f'{head}\n[[load]]\nfrom = "faqs.csv"\n{load}\n{tables}')
        return file

    return write
