"""Database servers of the tests' own: each in a new folder, on a free port of the loopback, ended at the end.

PostgreSQL and MariaDB are real. MongoDB's server comes from no package registry: its place is taken by a small one
that speaks its protocol (OP_MSG and BSON) and knows the few commands that reading takes, so that the real driver runs.
"""

import os
import pwd
import shutil
import socket
import socketserver
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bson
import pytest
from sqlalchemy import URL, create_engine
from sqlalchemy.exc import OperationalError

SECRET = "s3cret@/:%"
"""A password with all that must be written otherwise in an address."""


class Server:
    """A running server: where it is, and a way to run statements as its owner."""

    def __init__(self, url: URL, process: "subprocess.Popen[bytes]") -> None:
        self.url, self.process = url, process

    def address(self, user: str = "", password: str = "", **parts: Any) -> str:
        """An address of it, its owner's unless told otherwise."""
        url = self.url.set(**({"username": user, "password": password} if user else {}), **parts)
        return url.render_as_string(hide_password=False).replace("+psycopg", "").replace("+pymysql", "")

    def run(self, *statements: str) -> None:
        """Run statements, each on its own, as the owner."""
        engine = create_engine(self.url)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT", no_parameters=True) as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()


def binary(name: str) -> str:
    """A program, also where Debian hides its servers."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/libexec")
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not found and not versions:
        pytest.skip(f"{name} is not installed")
    return found or str(versions[-1])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def owned_folder() -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder, and the user to run a server as in it: not root, which servers refuse to be."""
    folder = Path(tempfile.mkdtemp(prefix="slm-"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    try:
        yield folder, user
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(command: list[str], url: URL, folder: Path, user: dict[str, Any]) -> Iterator[Server]:
    """A server that answers; ended by its process id."""
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **user)
    server = Server(url, process)
    try:
        wait_for(server, folder / "server.log")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(server: Server, log: Path) -> None:
    last: Exception = RuntimeError("never asked")
    for _ in range(300):
        try:
            server.run("SELECT 1")
            return
        except OperationalError as error:
            last = error
        if server.process.poll() is not None:
            break
        time.sleep(0.1)
    pytest.fail(f"the server does not start: {last}\n{log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server with passwords on, and a database `kb`."""
    initdb, postgres = binary("initdb"), binary("postgres")
    with owned_folder() as (folder, user):
        (folder / "password").write_text(SECRET)
        (folder / "password").chmod(0o644)
        make = [initdb, "-D", "data", "-U", "owner", "--auth=scram-sha-256", "--pwfile=password", "--no-sync",
                "--encoding=UTF8", "--locale=C.UTF-8"]  # fmt: skip
        subprocess.run(make, cwd=folder, check=True, capture_output=True, **user)
        port = free_port()
        command = [postgres, "-D", "data", "-k", str(folder), "-h", "127.0.0.1", "-p", str(port), "-F"]
        url = URL.create("postgresql+psycopg", "owner", SECRET, "127.0.0.1", port, "postgres")
        with running(command, url, folder, user) as server:
            server.run("CREATE DATABASE kb")
            server.url = url.set(database="kb")
            yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """A MariaDB server with a database `kb`."""
    install, mariadbd = binary("mariadb-install-db"), binary("mariadbd")
    with owned_folder() as (folder, user):
        base = ["--no-defaults", f"--datadir={folder / 'data'}"]
        make = [install, *base, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(make, cwd=folder, check=True, capture_output=True, **user)
        port = free_port()
        listen = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 'socket'}"]
        tuned = ["--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--character-set-server=utf8mb4"]
        url = URL.create("mysql+pymysql", "root", "", "127.0.0.1", port, "mysql")
        with running([mariadbd, *base, *listen, *tuned], url, folder, user) as server:
            server.run(
                "CREATE DATABASE kb",
                f"CREATE USER owner IDENTIFIED BY '{SECRET}'",
                "GRANT ALL ON *.* TO owner WITH GRANT OPTION",
            )
            server.url = url.set(username="owner", password=SECRET, database="kb")
            yield server


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each server in turn."""
    found: Server = request.getfixturevalue(request.param)
    return found


class Documents(socketserver.ThreadingTCPServer):
    """Speaks MongoDB's protocol: `collections` are dicts by name; `refused` are errors by command."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        self.collections: dict[str, list[dict[str, Any]]] = {}
        self.refused: dict[str, dict[str, Any]] = {}
        self.asked: list[dict[str, Any]] = []
        self.rest: dict[int, list[dict[str, Any]]] = {}

    @property
    def address(self) -> str:
        return f"mongodb://127.0.0.1:{self.server_address[1]}/kb"

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """The answer to one command."""
        name = next(iter(command))
        self.asked.append(command)
        if name.lower() in ("hello", "ismaster"):
            limits = {"maxBsonObjectSize": 1 << 24, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000}
            versions = {"minWireVersion": 0, "maxWireVersion": 21, "helloOk": True, "isWritablePrimary": True}
            return {"ok": 1, "ismaster": True, **limits, **versions}
        if name in self.refused:
            return {"ok": 0, **self.refused[name]}
        if name == "listCollections":
            return self.reply([{"name": each, "type": "collection"} for each in self.collections], "$cmd", 10**6)
        if name == "find":
            return self.reply(self.found(command), command["find"], command.get("batchSize", 101))
        if name == "getMore":
            return self.reply(
                self.rest.pop(command["getMore"]), command["collection"], command["batchSize"], "nextBatch"
            )
        if name in ("saslStart", "saslContinue"):
            return {"ok": 0, "code": 18, "codeName": "AuthenticationFailed", "errmsg": "Authentication failed."}
        known = name in ("endSessions", "killCursors", "ping")
        return {"ok": 1} if known else {"ok": 0, "code": 59, "errmsg": f"no such command: {name!r}"}

    def found(self, command: dict[str, Any]) -> list[dict[str, Any]]:
        """The documents that equal the filter in its fields, sorted, with the fields of the projection."""
        wanted, shown = command["filter"], command.get("projection")
        rows = [row for row in self.collections[command["find"]] if wanted.items() <= row.items()]
        for field in reversed(command.get("sort", {})):
            rows = sorted(rows, key=lambda row: row[field])
        return [{k: v for k, v in row.items() if not shown or k in (*shown, "_id")} for row in rows]

    def reply(self, rows: list[dict[str, Any]], name: str, size: int, batch: str = "firstBatch") -> dict[str, Any]:
        """So many documents as fit one answer, and the number of a cursor for the rest."""
        more = len(self.asked) if rows[size:] else 0
        self.rest[more] = rows[size:]
        return {"ok": 1, "cursor": {"id": bson.Int64(more), "ns": f"kb.{name}", batch: rows[:size]}}


class Talk(socketserver.StreamRequestHandler):
    """One connection: messages with a head of 16 bytes (length, id, answered id, kind) and BSON."""

    def handle(self) -> None:
        while head := self.rfile.read(16):
            length, asked, _, kind = struct.unpack("<iiii", head)
            body = self.rfile.read(length - 16)
            assert isinstance(self.server, Documents)
            if kind == 2013:  # OP_MSG: flags, then a section that is the command
                found = bson.encode(self.server.answer(bson.decode(body[5:])))
                self.send(asked, 2013, struct.pack("<iB", 0, 0) + found)
            else:  # OP_QUERY, in which drivers say hello: flags, name, skip, limit
                found = bson.encode(self.server.answer(bson.decode(body[body.index(b"\0", 4) + 9 :])))
                self.send(asked, 1, struct.pack("<iqii", 8, 0, 0, 1) + found)

    def send(self, asked: int, kind: int, body: bytes) -> None:
        self.wfile.write(struct.pack("<iiii", 16 + len(body), 0, asked, kind) + body)


@pytest.fixture
def mongodb() -> Iterator[Documents]:
    """A server of documents; see above for what it is and is not."""
    with Documents() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
