"""A real Label Studio server, in both ways of logging in, and projects on it."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen

from slm.plugin import Hardware, Work
from slm_annotators.label_studio import LabelStudio

TOOLS = Path(os.environ.get("SLM_TEST_TOOLS", Path(__file__).parents[3] / "shared/tools"))
VENV = Path(os.environ.get("SLM_LABEL_STUDIO_VENV", Path.home() / ".cache/slm-label-studio"))


@frozen
class Studio:
    """A running server: where it is, the key of its first user, and that user's login."""

    url: str
    key: str = field(repr=False)
    email: str
    password: str = field(repr=False)
    pid: int
    auth: str
    log: str

    def title(self) -> str:
        """A title that no project has yet."""
        return f"test {uuid.uuid4().hex[:12]}"

    def api(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """Ask the server as anybody's program would; fails where it refuses."""
        import httpx

        head = {"authorization": f"Token {self.key}" if self.auth == "legacy" else f"Bearer {self._access()}"}
        reply = httpx.request(method, self.url + path, json=body, params=params, headers=head, timeout=120)
        assert reply.is_success, f"{reply.status_code} {reply.text[:500]}"
        return reply.json() if reply.content else None

    def answer(self, task: int, *regions: dict[str, Any], user: int = 0, **more: Any) -> int:
        """Answer a task as people do, by the first user or another; gives the annotation's id."""
        said = {"result": list(regions), **({"completed_by": user} if user else {}), **more}
        return int(self.api("POST", f"/api/tasks/{task}/annotations/", said)["id"])

    def _access(self) -> str:
        import httpx

        return str(httpx.post(f"{self.url}/api/token/refresh/", json={"refresh": self.key}).json()["access"])


def started(auth: str, *options: str) -> Iterator[Studio]:
    """A server that runs until the end of the tests."""
    tool = TOOLS / "start_label_studio.py"
    if not tool.is_file():
        why = f"no {tool}: set SLM_TEST_TOOLS to the folder that has it"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    command = [sys.executable, str(tool), "--venv", str(VENV), "--auth", auth, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"the server did not start; run it by hand: {' '.join(command)}"
        told = json.loads(line)
        yield Studio(
            told["url"], told["token"], told["email"], told["password"], told["server_pid"], told["auth"], told["log"]
        )
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


@pytest.fixture(scope="session")
def studio() -> Iterator[Studio]:
    """A server that takes legacy tokens."""
    yield from started("legacy")


@pytest.fixture(scope="session")
def studio_jwt() -> Iterator[Studio]:
    """A server as new ones are: it takes personal access tokens alone."""
    yield from started("jwt")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open a project of a server; closed behind the test."""
    projects: list[Any] = []

    def open_project(
        server: Studio,
        title: str,
        shape: str = "classification",
        labels: Sequence[str] = ("good", "bad"),
        **options: Any,
    ) -> Any:
        given = {"url": server.url, "key": server.key, "project": title, **options}
        work = Work(tmp_path, tmp_path, Hardware(), root=tmp_path)
        projects.append(LabelStudio(**given).annotate(shape, tuple(labels), work))
        return projects[-1]

    yield open_project
    for project in projects:
        project.close()
