"""`slm serve`: check what can be checked before anything is loaded, then run the server plugin's application."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from slm.errors import SlmError
from slm.pipeline import expand
from slm_doors.opening import application, find, merged, newest, open_engine, serve_keys
from slm_doors.training import Training, pipeline_of

LOCAL = ("127.0.0.1", "localhost", "::1")


def serve(
    what: Path | None,
    *,
    model: str | None = None,
    engine: str | None = None,
    host: str | None = None,
    port: int | None = None,
    key: str | None = None,
    runs: Path | None = None,
) -> None:
    """Serve until interrupted. Raises SlmError for a port in use, or an open address without a key.

    What is mounted may start a training (`slm_doors.training`) where the model has a pipeline; it ends with the server.
    """
    keys, options = serve_keys(what, runs)
    keys = merged(keys, model=model, engine=engine, host=host, port=port, key=key)
    secret = expand(keys.key)
    if keys.host not in LOCAL and not secret:
        raise SlmError(f"serve.host: {keys.host} can be reached from elsewhere: give a key (--key or SLM_KEY)")
    found = find(what, runs, keys.model)
    try:
        import uvicorn
    except ImportError:
        raise SlmError("serving needs uvicorn: pip install 'slm-builder[serve]'") from None
    source = pipeline_of(what or newest((runs or Path("runs")).absolute()), runs)
    training = Training(*source) if source else None
    with bound(keys.host, keys.port) as listening, orderly():
        opened, choice = open_engine(found, keys.engine)
        app = application({found.name: opened}, secret, options, keys.use, train=training.start if training else None)
        host, port = listening.getsockname()[:2]
        print(
            f"{found.name} ({found.model.format}, engine {choice.name}) at http://{host}:{port}  (Ctrl-C ends)",
            *(f"  and http://{host}:{port}{path}" for path in app.mounts),
            sep="\n",
            flush=True,
        )
        try:
            uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
        finally:
            if training:
                training.end()
            opened.close()


@contextmanager
def orderly() -> Iterator[None]:
    """Let the system's request to end (SIGTERM) unwind as Ctrl-C does, so that what was started is ended too."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def bound(host: str, port: int) -> socket.socket:
    """A listening socket; SlmError where the port is taken or not ours to take."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise SlmError(
            f"serve.port: {host}:{port}: {(error.strerror or str(error)).lower()}; choose another with --port"
        ) from None
    return listening
