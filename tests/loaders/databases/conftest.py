"""Database servers of the tests' own: each in a new folder, on a free port of the loopback, ended at the end."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, create_engine, text
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
            server.run("CREATE DATABASE kb", f"CREATE USER owner IDENTIFIED BY '{SECRET}'", "GRANT ALL ON *.* TO owner")
            server.url = url.set(username="owner", password=SECRET, database="kb")
            yield server


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each server in turn."""
    found: Server = request.getfixturevalue(request.param)
    return found
