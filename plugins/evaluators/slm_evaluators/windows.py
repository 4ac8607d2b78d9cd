"""Texts longer than a context, cut so that every target token is scored exactly once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from slm_models.template import Example


@frozen
class Window:
    """Token ids of one pass, and the positions in them whose log-probability counts."""

    ids: tuple[int, ...]
    scored: tuple[int, ...]


def windows(example: Example, size: int) -> Iterator[Window]:
    """The example in windows of at most `size` tokens that hold a target.

    From the second on, the first half of a window repeats what came before and is not scored again. The very first
    token has nothing before it and is never scored.
    """
    ids, targets = example.ids, example.targets
    fresh = 1
    for start in range(0, len(ids), max(size // 2, 1)):
        end = min(start + size, len(ids))
        scored = tuple(n - start for n in range(max(fresh, start + 1), end) if targets[n])
        if scored:
            yield Window(tuple(ids[start:end]), scored)
        fresh = max(fresh, end)
        if end == len(ids):
            return


def batches(found: Sequence[Window], tokens: int) -> Iterator[list[Window]]:
    """The windows, longest first, in batches of about `tokens` tokens: a batch holds like lengths."""
    batch: list[Window] = []
    held = 0
    for window in sorted(found, key=lambda window: -len(window.ids)):
        if batch and held + len(window.ids) > tokens:
            yield batch
            batch, held = [], 0
        batch.append(window)
        held += len(window.ids)
    if batch:
        yield batch
