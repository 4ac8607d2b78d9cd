"""A real Label Studio server, in both ways of logging in, and projects on it."""

import datetime
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
        # Reading certificates that nobody asks for would take longer than the request.
        asked = {"json": body, "params": params, "headers": head, "timeout": 120, "verify": False}
        reply = httpx.request(method, self.url + path, **asked)
        assert reply.is_success, f"{reply.status_code} {reply.text[:500]}"
        return reply.json() if reply.content else None

    def answer(self, task: int, *regions: dict[str, Any], user: int = 0, **more: Any) -> int:
        """Answer a task as people do, by the first user or another; gives the annotation's id."""
        said = {"result": list(regions), **({"completed_by": user} if user else {}), **more}
        return int(self.api("POST", f"/api/tasks/{task}/annotations/", said)["id"])

    def _access(self) -> str:
        import httpx

        address, body = f"{self.url}/api/token/refresh/", {"refresh": self.key}
        return str(httpx.post(address, json=body, verify=False).json()["access"])


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


@pytest.fixture(scope="session")
def studio_strict() -> Iterator[Studio]:
    """A server that refuses predictions which don't fit the label config."""
    yield from started("legacy", "--strict-predictions")


@pytest.fixture
def server() -> Iterator[Callable[..., Studio]]:
    """Start a server of the test's own, with options of the tool; ended behind the test."""
    running: list[Iterator[Studio]] = []

    def start(*options: str) -> Studio:
        running.append(started("legacy", *options))
        return next(running[-1])

    yield start
    for each in running:
        next(each, None)


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


Answer = tuple[int, Mapping[str, str], bytes]
Rule = Callable[[str, str, bytes], "Answer | str | bytes | None"]


class Between:
    """A proxy before a server, as teams have them. `rule` says of a request's method, path and body what becomes of it:
    an answer of the proxy's own, other bytes to send on, `lost` to cut the connection, `stored` to cut it once the
    server has done its work, None to let it pass. `seen` holds the requests; `prefix` is taken off their paths."""

    def __init__(self, target: str, prefix: str = "") -> None:
        self.target, self.prefix = target, prefix
        self.rule: Rule = lambda method, path, body: None
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.url = ""

    def counted(self, method: str, part: str) -> int:
        return sum(way == method and part in path for way, path, _ in self.seen)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        import httpx

        self.seen.append((method, path, headers))
        said = self.rule(method, path, body)
        if isinstance(said, tuple) or said == "lost":
            return said if isinstance(said, tuple) else None
        kept = {name: value for name, value in headers.items() if name in ("authorization", "content-type")}
        content = said if isinstance(said, bytes) else body
        target = self.target + path.removeprefix(self.prefix)
        reply = httpx.request(method, target, content=content, headers=kept, timeout=120, verify=False)
        given = {name: reply.headers[name] for name in ("content-type", "date") if name in reply.headers}
        return None if said == "stored" else (reply.status_code, given, reply.content)


def proxied(between: Between, context: ssl.SSLContext | None = None) -> Iterator[Between]:
    """A running proxy, ended behind the test."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = between.answer(self.command, self.path, headers, body)
            if answer is None:
                self.close_connection = True
                return
            status, given, content = answer
            self.send_response_only(status)
            for name, value in {**given, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = pass_on

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up is what these tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    scheme = "https" if context else "http"
    between.url = f"{scheme}://127.0.0.1:{server.server_address[1]}{between.prefix}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    yield between
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def proxy() -> Iterator[Callable[..., Between]]:
    """Put a proxy before a server: at a path, or with a certificate in a PEM file."""
    running: list[Iterator[Between]] = []

    def start(server: Any, prefix: str = "", certificate: Path | None = None) -> Between:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if context and certificate:
            context.load_cert_chain(certificate)
        running.append(proxied(Between(server.url, prefix), context))
        return next(running[-1])

    yield start
    for each in running:
        next(each, None)


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[..., Path]:
    """Make a self-signed certificate with its key: for a host, valid for some days."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def make(host: str = "127.0.0.1", days: int = 10) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        now = datetime.datetime.now(datetime.UTC)
        built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        built = built.serial_number(x509.random_serial_number())
        built = built.not_valid_before(now - datetime.timedelta(days=30))
        built = built.not_valid_after(now + datetime.timedelta(days=days))
        address = x509.IPAddress(ipaddress.ip_address(host))
        built = built.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        made = built.sign(key, hashes.SHA256())
        coding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        secret = key.private_bytes(coding, form, serialization.NoEncryption())
        file = tmp_path / f"{host}-{days}.pem"
        file.write_bytes(secret + made.public_bytes(coding))
        return file

    return make
