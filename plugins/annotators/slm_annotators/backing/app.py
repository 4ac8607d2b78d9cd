"""The ASGI application: Label Studio's five addresses, each answered with JSON, whatever happens.

It knows nothing of frameworks: a request is one body in and one JSON object out, worked out in a thread.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from attrs import define, field

from slm_annotators.backing.door import check_caller, headers_of, parse, read
from slm_annotators.backing.guessing import Models
from slm_annotators.backing.refusals import LOG, Refused, told

if TYPE_CHECKING:
    from slm_annotators.backend import Backend

METHODS = {
    "/": "GET", "/health": "GET", "/versions": "GET", "/setup": "POST", "/predict": "POST", "/webhook": "POST",
}  # fmt: skip
Reply = tuple[int, bytes]


@define(eq=False)
class Application:
    """Answers for the models within the limits; counts what the webhook heard, and keeps none of it."""

    models: Models
    key: str | None
    train: Callable[[], str] | None
    limits: Backend
    events: int = 0
    training: str = ""
    lock: Lock = field(init=False, factory=Lock)
    pool: ThreadPoolExecutor = field(init=False)

    @pool.default
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.limits.threads, thread_name_prefix="slm-label-studio")

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(f"no {scope['type']} here")
        try:
            reply = await self.reply(scope, receive)
            if reply is not None:
                await answer(send, *reply)
        except Refused as refused:
            await answer(send, *packed(refused.status, {"error": refused.line}), refused.headers)

    async def reply(self, scope: Mapping[str, Any], receive: Any) -> Reply | None:
        """The status and the JSON for a request; None where the client left before its end."""
        headers = headers_of(scope)
        check_caller(headers, self.key, self.limits.allowed_hosts)
        path = scope["path"].removeprefix(scope.get("root_path", "")).removeprefix(self.limits.path).rstrip("/") or "/"
        check_address(path, scope["method"])
        if METHODS[path] == "GET":
            return packed(200, self.about(path))
        raw = await read(headers, receive, self.limits.max_request, self.limits.patience)
        if raw is None:
            return None
        try:
            if path == "/predict":
                return await self.while_connected(receive, lambda gone: self.predict(raw, gone))
            return await asyncio.to_thread(self.setup if path == "/setup" else self.hear, raw)
        except Exception as error:
            raise told(error, path) from None

    def about(self, path: str) -> dict[str, Any]:
        """What GET tells: the versions alone, or how things stand."""
        versions = [served.version for served in self.models.served]
        if path == "/versions":
            return {"versions": versions}
        return {"status": "UP", "versions": versions, "events": self.events, "training": self.training}

    def setup(self, raw: bytes) -> Reply:
        """The version of the model that fits the project. The access token that comes with it is not looked at."""
        return packed(200, {"model_version": self.models.version(str(parse(raw).get("schema") or ""))})

    def predict(self, raw: bytes, gone: Event) -> Reply:
        """A prediction for each task."""
        body = parse(raw)
        return packed(200, {"results": self.models.predict(body.get("tasks"), body.get("label_config"), gone)})

    def hear(self, raw: bytes) -> Reply:
        """Start a training where that is asked; else count the event: what changed is asked for, never believed."""
        action = parse(raw).get("action")
        if not isinstance(action, str) or not action:
            raise Refused(422, "action: expected the name of an event, such as ANNOTATION_CREATED")
        if action != "START_TRAINING":
            with self.lock:
                self.events += 1
            return packed(201, {"status": "noted"})
        if self.train is None:
            raise Refused(409, "the served model has no pipeline to train with; serve its run, or its pipeline file")
        self.training = self.train()
        LOG.warning("%s", self.training)
        return packed(201, {"status": "ok", "training": self.training})

    async def while_connected(self, receive: Any, work: Callable[[Event], Reply]) -> Reply | None:
        """Work in a thread, which is told when the client is gone: what it has begun it ends, and no more."""
        gone = Event()
        working = asyncio.wrap_future(self.pool.submit(work, gone))
        leaving = asyncio.ensure_future(left(receive))
        both: list[asyncio.Future[Any]] = [working, leaving]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            return await working if working.done() else None
        finally:
            gone.set()
            leaving.cancel()
            working.cancel()


def check_address(path: str, method: str) -> None:
    """Refused 404 for what is no address here, 405 for a method that it does not take."""
    if path not in METHODS:
        raise Refused(404, f"no such address; there is {', '.join(METHODS)}")
    taken = ("GET", "HEAD") if METHODS[path] == "GET" else ("POST",)
    if method not in taken:
        raise Refused(405, f"{path} takes {METHODS[path]}, not {method}", {"Allow": ", ".join(taken)})


async def left(receive: Any) -> None:
    """Wait until the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass


def packed(status: int, reply: Mapping[str, Any]) -> Reply:
    """A JSON object as it is sent, in ASCII: a text may hold halves of surrogate pairs."""
    return status, json.dumps(reply, allow_nan=False).encode("ascii")


async def answer(send: Any, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    """Send JSON."""
    named = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    raw = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
