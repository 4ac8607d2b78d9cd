"""Parts of the server under paths of their own, found by entry point like any other plugin."""

import asyncio
from collections.abc import Callable, Mapping, MutableMapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import httpx
import pytest

from slm.plugin import Engine
from slm.registry import Registry
from slm_doors.mounting import Mounted
from slm_doors.opening import application
from slm_doors.training import Training, pipeline_of

PARTS = '''
from typing import ClassVar
from attrs import field, frozen
from slm.plugin import *

def echo(**told):
    async def app(scope, receive, send):
        body = " ".join([scope["root_path"], scope["path"], *map(str, told.values())]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
    return app

@frozen
class Echo(Mount):
    """Says where it is."""
    path: ClassVar[str] = "/echo"
    allowed_hosts: tuple[str, ...] = field(default=("a",), metadata={"help": "Host names."})
    def bid(self, job, hardware):
        return Bid(Rank.GOOD, "always")
    @hookimpl
    def mount(self, engines, key, train):
        return echo(engines=",".join(engines), key=key, train=train and train(), hosts=",".join(self.allowed_hosts))

@frozen
class Deeper(Echo):
    """Lies below another."""
    path: ClassVar[str] = "/echo/deeper"

@frozen
class Unwilling(Echo):
    """Does not want to."""
    path: ClassVar[str] = "/unwilling"
    def bid(self, job, hardware):
        return Bid(Rank.POSSIBLE, "only when it is asked for")

@frozen
class Failing(Echo):
    """Can't be made."""
    path: ClassVar[str] = "/failing"
    @hookimpl
    def mount(self, engines):
        raise RuntimeError("no luck today" + chr(10) + "at all")

@frozen
class Empty(Failing):
    """Gives nothing."""
    path: ClassVar[str] = "/empty"
    @hookimpl
    def mount(self, engines):
        return None

@frozen
class Lacking(Failing):
    """Wants a package that is not there."""
    path: ClassVar[str] = "/lacking"
    @hookimpl
    def mount(self, engines):
        import no_such_package

@frozen
class Everywhere(Echo):
    """Would take the whole server."""
    path: ClassVar[str] = ""

@frozen
class Breaking(Echo):
    """Can't even bid."""
    def bid(self, job, hardware):
        raise ValueError("what machine is this?")
'''
NAMES = ("Echo", "Deeper", "Unwilling", "Failing", "Empty", "Lacking", "Everywhere", "Breaking")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The built-in server, and all these mounts, one of which does not import."""
    (tmp_path / "parts_of_others.py").write_text(PARTS)
    (tmp_path / "broken_part.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    mounts = [EntryPoint(name.lower(), f"parts_of_others:{name}", "slm.mount") for name in NAMES]
    mounts.append(EntryPoint("broken", "broken_part:Broken", "slm.mount"))
    return Registry(lambda hook: mounts if hook == "mount" else entry_points(group=f"slm.{hook}"), frozenset())


def got(app: Any, *paths: str) -> list[httpx.Response]:
    """The answers to GET."""

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(ask())


def test_each_path_is_its_mounts_and_all_else_is_the_servers(registry: Registry, engines: Mapping[str, Engine]) -> None:
    options = {"allowed_hosts": ["localhost"], "queue": 3}
    app = application(dict(engines), None, options, None, registry, lambda: "started")
    found = got(app, "/echo", "/echo/a", "/echo/deeper/b", "/echoes", "/unwilling", "/health")
    names = ",".join(engines)
    assert [each.text for each in found[:3]] == [
        f"/echo /echo {names} None started localhost",
        f"/echo /echo/a {names} None started localhost",
        f"/echo/deeper /echo/deeper/b {names} None started localhost",
    ]
    assert [each.status_code for each in found] == [200, 200, 200, 404, 404, 200]


def test_a_mount_that_fails_is_one_line_and_the_server_goes_on(
    registry: Registry, engines: Mapping[str, Engine], capsys: pytest.CaptureFixture[str]
) -> None:
    app = application(dict(engines), "k", {}, None, registry)
    assert sorted(app.mounts) == ["/echo", "/echo/deeper"]
    lines = {line.split("'")[1]: line for line in capsys.readouterr().err.splitlines()}
    assert sorted(lines) == ["breaking", "broken", "empty", "everywhere", "failing", "lacking"]
    assert lines["failing"] == "warning: served without 'failing': no luck today"
    assert "does not import: ModuleNotFoundError: No module named 'no_such_package'" in lines["broken"]
    assert "returned nothing" in lines["empty"]
    assert got(app, "/health")[0].status_code == 200


def test_what_is_no_request_goes_to_the_server() -> None:
    seen = []

    def named(name: str) -> Callable[..., Any]:
        async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
            seen.append((name, scope["type"]))

        return app

    app = Mounted(named("server"), {"/part": named("part")})
    for scope in ({"type": "lifespan"}, {"type": "websocket", "path": "/part/a"}, {"type": "http", "path": "/"}):
        asyncio.run(app(dict(scope), None, None))
    assert seen == [("server", "lifespan"), ("part", "websocket"), ("server", "http")]


def test_the_pipeline_of_what_is_served_is_found(tmp_path: Path) -> None:
    from slm.pipeline import Pipeline
    from slm.run import run_folder

    file = tmp_path / "mine.toml"
    file.write_text('name = "m"\ntask = "qa"\n[[load]]\nfrom = "a.csv"\n')
    (tmp_path / "other.toml").write_text("not = [toml")
    run = run_folder(Pipeline.from_toml(file), tmp_path / "runs")
    run.mkdir(parents=True)
    assert pipeline_of(run, None) is None
    (run / "run.json").write_text("{}")
    (run / "pipeline.toml").write_text(file.read_text())
    assert pipeline_of(run, None) == (file, run.parent)
    assert pipeline_of(file, tmp_path / "elsewhere") == (file, tmp_path / "elsewhere")
    file.unlink()
    assert pipeline_of(run, None) == (run / "pipeline.toml", run.parent)


def test_a_training_that_fails_says_the_last_line_of_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "m"\ntask = "qa"\n[[load]]\nfrom = "gone.csv"\n')
    training = Training(file, tmp_path / "runs")
    line = training.start()
    assert line == f"training started; its log: {tmp_path / 'runs' / 'm.training.log'}"
    assert training.watcher is not None
    training.watcher.join(60)
    said = capsys.readouterr().err
    assert said.startswith("training failed (exit code 2): ")
    assert "gone.csv" in said
    training.end()
    assert training.start() == line
    training.end()
