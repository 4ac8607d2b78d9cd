"""How many requests are answered at once, and how many may wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field

from slm_servers.errors import ApiError


@define(eq=False)
class Gate:
    """Lets `concurrency` requests through at a time and `queue` wait, first come first served."""

    concurrency: int
    queue: int
    running: int = 0
    waiting: int = 0
    slots: asyncio.Semaphore = field(init=False)

    @slots.default
    def _slots(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(self.concurrency)

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """Wait for a place and hold it; ApiError 429 where too many wait already."""
        if self.slots.locked() and self.waiting >= self.queue:
            raise ApiError(429, "too many requests; try again soon", code="overloaded", headers={"Retry-After": "1"})
        self.waiting += 1
        try:
            await self.slots.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self.slots.release()
