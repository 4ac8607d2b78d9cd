"""From the engine's threads to the event loop: the loop never waits for a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import closing
from threading import Event
from typing import Any, TypeVar

from slm.plugin import Chunk, Engine, Request

T = TypeVar("T")


async def call(pool: Executor, function: Callable[[Any], T], argument: object) -> T:
    """The function's result, worked out in a thread."""
    return await asyncio.get_running_loop().run_in_executor(pool, function, argument)


async def generate(pool: Executor, engine: Engine, requests: Sequence[Request]) -> AsyncGenerator[Chunk, None]:
    """The engine's chunks as they come; the engine's iterator lives in one thread from first to last.

    Closing this generator closes the engine's before its next chunk: a client that leaves stops the work.
    """
    loop, found, gone = asyncio.get_running_loop(), asyncio.Queue[Chunk | BaseException | None](), Event()

    def put(item: Chunk | BaseException | None) -> None:
        try:
            loop.call_soon_threadsafe(found.put_nowait, item)
        except RuntimeError:  # the loop has closed: nobody listens any more
            gone.set()

    def work() -> None:
        try:
            chunks: Any = engine.generate(requests)
            with closing(chunks):
                for chunk in chunks:
                    if gone.is_set():
                        return
                    put(chunk)
            put(None)
        except BaseException as error:
            put(error)

    job = pool.submit(work)
    try:
        while (item := await found.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        gone.set()
        job.cancel()
