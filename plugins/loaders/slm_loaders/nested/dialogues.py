"""Lists of turns that speak by turns, as in the ChatterBot corpus: `categories` and `conversations`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .paths import Found, called


def is_corpus(value: Mapping[str, Any]) -> bool:
    """Whether an object holds conversations that are lists of texts."""
    rows = value.get("conversations")
    return (
        isinstance(rows, list)
        and bool(rows)
        and any(isinstance(row, list) for row in rows[:100])
        and not any(
            isinstance(turn, dict) and ("role" in turn or "from" in turn)
            for row in rows[:100]
            if isinstance(row, list)
            for turn in row
        )
    )


def read_corpus(value: Mapping[str, Any]) -> Iterator[Found]:
    """Each conversation: the first question and answer, all turns as `messages`, and the file's categories."""
    categories = value.get("categories")
    named = [categories] if isinstance(categories, str) else categories if isinstance(categories, list) else []
    category = {"category": ", ".join(map(str, named))} if named else {}
    rows = value["conversations"]
    for row, line in zip(rows, getattr(rows, "lines", [None] * len(rows)), strict=True):
        turns = [_said(turn) for turn in row] if isinstance(row, list) else []
        if not turns or None in turns:
            odd = next((turn for turn, text in zip(row, turns, strict=True) if text is None), row) if turns else row
            yield Found(row, {}, f"{called(odd)} where {'a text' if turns else 'a list of turns'} should be", line=line)
            continue
        roles = ("user", "assistant")
        messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(turns)]
        answer = turns[1] if len(turns) > 1 else None
        yield Found({"question": turns[0], "answer": answer, "messages": messages, **category}, {}, line=line)


def _said(turn: Any) -> str | None:
    """The text of a turn; a text with a colon in it, which YAML takes for an object, is put together again."""
    if isinstance(turn, str):
        return turn
    if isinstance(turn, bool | int | float):
        return str(turn).lower() if isinstance(turn, bool) else str(turn)
    if isinstance(turn, dict) and len(turn) == 1:
        ((name, value),) = turn.items()
        return f"{name}: {'' if value is None else value}" if not isinstance(value, dict | list) else None
    return None
