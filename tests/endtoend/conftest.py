"""The command run as a user runs it, and served models asked over HTTP."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

Slm = Callable[..., str]
Served = Callable[..., AbstractContextManager[str]]


@pytest.fixture
def slm(tmp_path: Path) -> Slm:
    """Run `slm` in tmp_path; it must succeed. Gives what it printed."""

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "slm_doors.cli", *arguments],
            cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """Serve a run on any free port while the block runs; gives the address."""

    @contextmanager
    def serve(*arguments: str) -> Iterator[str]:
        command = [sys.executable, "-m", "slm_doors.cli", "serve", *arguments, "--port", "0"]
        with (tmp_path / "serve.log").open("w") as log:
            process = subprocess.Popen(
                command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ}
            )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            found = re.search(r"at (http://\S+)", line)
            assert found, line + (tmp_path / "serve.log").read_text()
            yield found[1]
        finally:
            process.terminate()
            process.wait(timeout=30)
            process.stdout.close()

    return serve
