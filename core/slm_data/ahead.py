"""Reading ahead: a source is read in a thread of its own while what it gave before is mapped and written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

from attrs import frozen

T = TypeVar("T")
AHEAD = 2
"""Batches that may wait: enough to keep both sides busy, and little memory."""


@frozen
class _End:
    """What ends the batches: nothing more, or what went wrong."""

    error: BaseException | None = None


@contextmanager
def read_ahead(batches: Iterable[T]) -> Iterator[Iterator[T]]:
    """The same batches, read by a thread. An error there is raised here; on leaving, the source is closed."""
    waiting: Queue[T | _End] = Queue(AHEAD)
    left = Event()
    reader = Thread(target=_read, args=(batches, waiting, left), name="read-ahead", daemon=True)
    reader.start()
    try:
        yield _given(waiting)
    finally:
        left.set()
        reader.join()


def ahead(batches: Iterable[T]) -> Iterator[T]:
    """`read_ahead` as a generator; closed, it closes the source."""
    with read_ahead(batches) as given:
        yield from given


def _read(batches: Iterable[T], waiting: Queue[T | _End], left: Event) -> None:
    try:
        for batch in batches:
            if not _put(waiting, batch, left):
                break
    except BaseException as error:
        _put(waiting, _End(error), left)
        return
    finally:
        if close := getattr(batches, "close", None):
            close()
    _put(waiting, _End(), left)


def _put(waiting: Queue[T | _End], each: T | _End, left: Event) -> bool:
    """Put it where it waits; false once nobody will take it."""
    while not left.is_set():
        try:
            waiting.put(each, timeout=0.1)
        except Full:
            continue
        return True
    return False


def _given(waiting: Queue[T | _End]) -> Iterator[T]:
    while True:
        each = waiting.get()
        if isinstance(each, _End):
            if each.error is not None:
                raise each.error
            return
        yield each
