"""A web server on this machine that does what the real ones do wrong."""

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

Route = Callable[[Any], None]


class Site:
    """A server: `on` says what is at a path, `seen` holds the requests that came, by method, path and headers."""

    def __init__(self, server: ThreadingHTTPServer, scheme: str = "http") -> None:
        self.server = server
        self.routes: dict[str, Route] = {}
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"

    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [path for _, path, _, _ in self.seen]

    def on(
        self, path: str, body: str | bytes = b"", status: int = 200, kind: str = "text/html", **headers: str
    ) -> None:
        """Answer at `path` with this, whatever the query."""
        content = body.encode() if isinstance(body, str) else body

        def route(handler: Any) -> None:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            handler.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **names}.items():
                handler.send_header(name, value)
            handler.end_headers()
            if handler.command != "HEAD":
                handler.wfile.write(content)

        self.routes[path] = route

    def json(self, path: str, answer: Callable[[dict[str, str]], Any]) -> None:
        """Answer at `path` with JSON that depends on the query."""
        from urllib.parse import parse_qsl, urlsplit

        def route(handler: Any) -> None:
            content = json.dumps(answer(dict(parse_qsl(urlsplit(handler.path).query)))).encode()
            handler.send_response(200)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)

        self.routes[path] = route

    def raw(self, path: str, *pieces: bytes, forever: bool = False) -> None:
        """Answer with these bytes, head and all, the last again and again if `forever`; then cut the connection."""

        def route(handler: Any) -> None:
            handler.close_connection = True
            for piece in pieces:
                handler.wfile.write(piece)
            while forever:
                handler.wfile.write(pieces[-1])

        self.routes[path] = route


def serve(context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Site]:
    """A running server, ended behind the test."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            site.seen.append((self.command, self.path, headers, body))
            path = self.path.partition("?")[0]
            try:
                if path in site.routes:
                    site.routes[path](self)
                else:
                    self.send_error(404)
            except (ConnectionError, ssl.SSLError):
                self.close_connection = True

        do_GET = do_HEAD = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up is what these tests are about."""

    server = Server((host, 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    site = Site(server, "https" if context else "http")
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    """A server at 127.0.0.1."""
    yield from serve()


@pytest.fixture
def other() -> Iterator[Site]:
    """A second server at 127.0.0.1, on another port: another origin."""
    yield from serve()


@pytest.fixture
def elsewhere() -> Iterator[Site]:
    """A server at 127.0.0.2: another host."""
    found = serve(host="127.0.0.2")
    for server in found:
        server.url = server.url.replace("127.0.0.1", "127.0.0.2")
        yield server


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[..., Path]:
    """Make a self-signed certificate with its key: for a host, valid for some days."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def make(host: str, days: int = 10) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=30))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        file = tmp_path / f"{host}-{days}.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
        return file

    return make


@pytest.fixture
def secure(certificate: Callable[..., Path]) -> Iterator[Callable[..., Site]]:
    """Start a server with a certificate for a host, valid for some days (fewer than none: expired)."""
    running: list[Iterator[Site]] = []

    def start(host: str = "127.0.0.1", days: int = 10) -> Site:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate(host, days))
        running.append(serve(context))
        return next(running[-1])

    yield start
    for each in running:
        next(each, None)
