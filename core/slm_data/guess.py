"""What the rows of a source may be for: a task, and the columns of its fields, by their names or by what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from attrs import field, frozen

from slm.errors import SlmError
from slm_data.columns import Column, choose_columns, read_field

ORDER = ("preference", "chat", "instruction", "qa", "classification", "completion")
SHORT = 40
"""Characters that a label may have."""


@frozen
class Guess:
    """A task that the rows fit, the columns that must be named for it, why, and which other tasks they fit too."""

    task: str
    why: str
    columns: Mapping[str, str] = field(factory=dict)
    also: tuple[str, ...] = ()


def guess_task(table: Any) -> Guess | None:
    """The most likely task for rows like these, by the names of the columns, else by their values; None for neither."""
    fitting = {task: mapping for task in ORDER if (mapping := _by_name(task, table.column_names))}
    if "instruction" in fitting and "qa" in fitting:
        del fitting["qa" if "instruction" in fitting["instruction"]["prompt"].columns[0].casefold() else "instruction"]
    labelled = fitting.get("classification")
    if labelled and not _are_labels(_texts(table, labelled["label"].columns[0])):
        del fitting["classification"]
    if not fitting:
        return _by_value(table)
    task, mapping = next(iter(fitting.items()))
    names = " and ".join(f"{name!r} is its {part}" for part in mapping for name in mapping[part].columns[:1])
    return Guess(task, f"by the names of its columns: {names}", also=tuple(fitting)[1:])


def _by_name(task: str, found: Sequence[str]) -> dict[str, Column]:
    """The mapping of a task by usual names; for chat only whole conversations, for qa and instruction only pairs."""
    try:
        mapping = choose_columns(task, {}, found, "")
    except SlmError:
        return {}
    if task in ("chat", "qa", "instruction") and ("messages" in mapping) is not (task == "chat"):
        return {}
    return mapping


def _by_value(table: Any) -> Guess | None:
    texts = {name: _texts(table, name) for name in table.column_names}
    texts = {name: values for name, values in texts.items() if 2 * len(values) >= len(table)}
    wordy = {name: values for name, values in texts.items() if _is_wordy(values)}
    labels = [name for name, values in texts.items() if name not in wordy and _are_labels(values)]
    if not wordy:
        return None
    longest = max(wordy, key=lambda name: median(map(len, wordy[name])))
    if labels and len(wordy) == 1:
        few = len(set(texts[labels[0]]))
        why = f"{labels[0]!r} holds {few} different short values, {longest!r} text"
        return Guess("classification", why, {"text": longest, "label": labels[0]}, ("completion",))
    if len(wordy) > 1:
        others = [name for name in wordy if name != longest]
        asked = max(others, key=lambda name: (_asking(wordy[name]), -list(wordy).index(name)))
        if median(map(len, wordy[longest])) < 1.5 * median(map(len, wordy[asked])) and _asking(wordy[asked]) <= _asking(
            wordy[longest]
        ):
            asked, longest = (name for name in wordy if name in (asked, longest))
        why = f"{asked!r} and {longest!r} hold text, the first like questions or shorter"
        return Guess("qa", why, {"prompt": asked, "response": longest}, ("completion",))
    return Guess("completion", f"only {longest!r} holds text", {"text": longest})


def _texts(table: Any, name: str) -> list[str]:
    """The texts that a column holds, without the blank."""
    texts, _ = read_field(table, Column((name,), ""))
    return [text for text in texts.to_pylist() if text and text.strip()]


def _is_wordy(values: Sequence[str]) -> bool:
    return bool(values) and median(len(value.split()) for value in values) >= 3


def _are_labels(values: Sequence[str]) -> bool:
    """Whether values repeat and are short, as labels are; of a few rows one can't say, and labels are believed."""
    if not values or max(map(len, values)) > SHORT * 2 or median(map(len, values)) > SHORT:
        return False
    return 1 < len(set(values)) <= max(2, len(values) // 2) or len(values) < 10


def _asking(values: Sequence[str]) -> float:
    return sum(value.rstrip().endswith(("?", "\uff1f", "\u061f")) for value in values) / len(values)
