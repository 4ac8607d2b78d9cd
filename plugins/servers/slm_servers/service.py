"""What every endpoint works with, and how it answers: bounded, in time, and only while the client is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from slm.plugin import Engine
from slm_servers.body import Fields, read
from slm_servers.errors import ApiError, told
from slm_servers.events import Stream
from slm_servers.gate import Gate

if TYPE_CHECKING:
    from slm_servers.starlette import Starlette

Reply = dict[str, Any] | AsyncGenerator[dict[str, Any], None]


@frozen(eq=False)
class Service:
    """The open engines by name, the limits, and the threads that engines run in."""

    engines: Mapping[str, Engine]
    limits: Starlette
    gate: Gate
    pool: ThreadPoolExecutor
    started: int = field(factory=lambda: int(time.time()))

    def engine(self, fields: Fields, kind: Literal["generate", "classify"], advice: str) -> tuple[str, Engine]:
        """The model that a request names, or the only one; ApiError where it is another kind of model."""
        if fields.get("model") is None and len(self.engines) == 1:
            name = next(iter(self.engines))
        else:
            name = fields.text("model", f"one of {', '.join(self.engines)}")
        if name not in self.engines:
            what = f"model {name!r} is not served here; there is {', '.join(self.engines)}"
            raise ApiError(404, what, "model", "model_not_found")
        engine = self.engines[name]
        if (engine.prompter.interface.task == "classification") != (kind == "classify"):
            raise ApiError(400, f"model {name!r} {advice}", "model", "wrong_endpoint")
        return name, engine


@frozen(eq=False)
class Endpoint:
    """An ASGI application that answers a JSON body with `answer`: a JSON reply, or a stream of events."""

    service: Service
    answer: Callable[[Service, Fields], Awaitable[Reply]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fields = await read(scope, receive, self.service.limits.max_body)
        if fields is not None:
            await while_connected(receive, self.respond(fields, scope, receive, send))

    async def respond(self, fields: Fields, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for a place, answer, and give the place back, whatever happens."""
        stream = Stream(send)
        try:
            async with asyncio.timeout(self.service.limits.timeout), self.service.gate.enter():
                reply = await self.answer(self.service, fields)
                if isinstance(reply, dict):
                    await JSONResponse(reply)(scope, receive, send)
                else:
                    await stream.run(reply)
        except Exception as error:  # raised further, it would close the connection that the client keeps
            if stream.begun:
                await stream.fail(error)
            else:
                await told(error).response()(scope, receive, send)


async def while_connected(receive: Receive, work: Any) -> None:
    """Do the work, and cancel it when the client leaves."""

    async def left() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    answering, leaving = asyncio.ensure_future(work), asyncio.ensure_future(left())
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not answering.done():
            answering.cancel()
        await asyncio.wait({answering, leaving})
    if not answering.cancelled():
        answering.result()
