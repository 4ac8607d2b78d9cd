"""Turns of a dialogue in a task's data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .places import Place

KEPT = "ext_dialogue"
"""The key that keeps the turns themselves, where people see them as one text."""
NONE = "no turns before"
"""Stands as the only speaker where there are no turns: the editor breaks down over an empty list."""
ROLES = {"human": "user", "customer": "user", "prompter": "user", "bot": "assistant", "gpt": "assistant"}
ROLES |= {"model": "assistant", "ai": "assistant", "agent": "assistant"}
"""What others call the speakers."""


def written(turns: Sequence[Mapping[str, Any]] | None, place: Place) -> dict[str, Any]:
    """The turns as the config shows them."""
    given = [{"role": turn["role"], "content": turn["content"] or ""} for turn in turns or ()]
    if place.form == "turns":
        shown = given or [{"role": NONE, "content": ""}]
        return {place.key: [{place.role: turn["role"], place.content: turn["content"]} for turn in shown]}
    return {place.key: "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in given), KEPT: given}


def read_dialogue(data: Mapping[str, Any], place: Place) -> list[dict[str, str]]:
    """The turns; text that is not ours is one turn of the user."""
    found = data.get(place.key)
    kept = data.get(KEPT)
    if isinstance(found, str) and isinstance(kept, list) and written(kept, place)[place.key] == found:
        found, place = kept, Place(place.key, "turns")
    if isinstance(found, str):
        return [{"role": "user", "content": found}] if found else []
    turns = [turn for turn in found if isinstance(turn, Mapping)] if isinstance(found, list) else []
    turns = [turn for turn in turns if turn.get(place.role) != NONE]
    return [{"role": _role(turn.get(place.role)), "content": _text(turn.get(place.content))} for turn in turns]


def _role(name: Any) -> str:
    return ROLES.get(_text(name).strip().casefold(), _text(name).strip()) or "user"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
