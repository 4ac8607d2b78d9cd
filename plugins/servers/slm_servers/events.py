"""A stream of server-sent events, as OpenAI's clients read them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from attrs import define
from starlette.types import Send

from slm_servers.errors import told

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the events back
]


@define(eq=False)
class Stream:
    """Sends events. The response begins with the first: until then a failure can still be an HTTP error."""

    send: Send
    begun: bool = False

    async def run(self, events: AsyncGenerator[dict[str, Any], None]) -> None:
        """Send all events, and OpenAI's last."""
        async with aclosing(events):
            async for event in events:
                await self.event(event)
        await self.end()

    async def fail(self, error: Exception) -> None:
        """End a stream that has begun with the error as its last event but one."""
        await self.event(told(error).body())
        await self.end()

    async def event(self, data: Mapping[str, Any]) -> None:
        """Send one event."""
        if not self.begun:
            self.begun = True
            await self.send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        await self.send({"type": "http.response.body", "body": f"data: {text}\n\n".encode(), "more_body": True})

    async def end(self) -> None:
        """Say that no more follows."""
        await self.send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})
