"""Conversations as lists of turns: out of prompts and answers, or out of the shapes that others write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

ROLES: Mapping[str, str] = {
    "human": "user",
    "prompter": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
}
"""Other names of the roles."""


def to_turns(*columns: tuple[str, Any]) -> Any:
    """A list array of messages, a turn for each (role, texts) in their order; a null text is no turn."""
    import numpy as np
    import pyarrow
    from pyarrow import compute

    present = np.stack([compute.is_valid(texts).to_numpy(zero_copy_only=False) for _, texts in columns], axis=1)
    content = _interleaved([texts for _, texts in columns], present)
    roles = _repeated([role for role, _ in columns], present)
    each = np.full(len(present), len(columns)) if present.all() else present.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(each)]).astype(np.int32)
    turns = pyarrow.StructArray.from_arrays([roles, content], fields=list(turn_type()))
    return pyarrow.ListArray.from_arrays(pyarrow.array(offsets), turns).cast(pyarrow.list_(turn_type()))


def _repeated(roles: Sequence[str], present: Any) -> Any:
    """The roles of each row, one after the other, row after row."""
    import numpy as np
    import pyarrow

    rows, width = present.shape
    if not present.all():
        at = np.broadcast_to(np.arange(width), (rows, width))[present]
        return pyarrow.array(roles).take(pyarrow.array(at))
    lengths = np.tile(np.array([len(role) for role in roles]), rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    characters = "".join(roles).encode("ascii") * rows
    return pyarrow.StringArray.from_buffers(present.size, pyarrow.py_buffer(offsets), pyarrow.py_buffer(characters))


def _interleaved(columns: Sequence[Any], present: Any) -> Any:
    """The texts of each row, one after the other, row after row."""
    import numpy as np
    import pyarrow
    from pyarrow import compute

    if not present.all():
        rows, width = present.shape
        order = (np.arange(rows)[:, None] + rows * np.arange(width)[None, :])[present]
        return pyarrow.concat_arrays(columns).take(pyarrow.array(order))
    characters = compute.binary_join_element_wise(*columns, "").buffers()[2]
    lengths = [compute.binary_length(texts).to_numpy(zero_copy_only=False) for texts in columns]
    offsets = np.concatenate([[0], np.cumsum(np.stack(lengths, axis=1))]).astype(np.int32)
    return pyarrow.StringArray.from_buffers(present.size, pyarrow.py_buffer(offsets), characters)


def turn_type() -> Any:
    """Arrow's type of one message."""
    import pyarrow

    return pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])


def read_turns(value: Any) -> tuple[list[dict[str, str]], str]:
    """The turns of a conversation (role and content, or from and value; JSON text too), or what is wrong with it."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return [], "not a list of messages but text"
    if isinstance(value, Mapping) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if not isinstance(value, list) or not value:
        return [], "no messages in it"
    turns = []
    for n, each in enumerate(value, start=1):
        turn, why = read_turn(each)
        if why:
            return [], f"message {n} {why}"
        turns.append(turn)
    return turns, ""


def read_turn(value: Any) -> tuple[dict[str, str], str]:
    """One turn, or what is wrong with it."""
    if not isinstance(value, Mapping):
        return {}, "is no object"
    role, content = value.get("role") or value.get("from"), value.get("content")
    content = _words(content if content is not None else value.get("value"))
    if not isinstance(role, str) or not role:
        return {}, "has no role"
    if content is None:
        return {}, "has no text"
    return {"role": ROLES.get(role.casefold(), role.casefold()), "content": content}, ""


def _words(content: Any) -> str | None:
    """Text, or the joined texts of parts (`{"type": "text", ...}`); None for anything else."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    found = [part.get("text") or part.get("value") if isinstance(part, Mapping) else part for part in content]
    parts = [part for part in found if isinstance(part, str)]
    return "".join(parts) if len(parts) == len(found) else None


def answered(turns: Sequence[dict[str, str]]) -> tuple[list[dict[str, str]], str]:
    """The turns up to the last answer (what follows it has none), or what keeps them from being learned from."""
    last = max((n for n, turn in enumerate(turns) if turn["role"] == "assistant"), default=None)
    if last is None:
        return [], "no answer in it"
    if not turns[last]["content"].strip():
        return [], "its last answer is empty"
    if not any(turn["role"] != "system" for turn in turns[:last]):
        return [], "no question before its answer"
    return list(turns[: last + 1]), ""


def conversation(row: Mapping[str, Any], awaited: bool = False) -> tuple[dict[str, Any], str]:
    """The record of one row, its conversation up to the last answer or its prompt and response; or why it has none.
    Where an answer is `awaited`, the conversation may end with a question."""
    turns, why = _turns(row)
    if awaited and not why and turns[-1]["role"] == "user" and not (row["response"] or "").strip():
        return {"messages": turns}, ""
    if why or row["messages"] is not None:
        turns, why = (turns, why) if why else answered(turns)
        return {"messages": turns}, why
    if not (row["response"] or "").strip():
        return {}, "no answer in it"
    return {"messages": [*turns, {"role": "assistant", "content": row["response"]}]}, ""


def _turns(row: Mapping[str, Any]) -> tuple[list[dict[str, str]], str]:
    """The turns before the answer: a conversation, or a prompt; a system text is put first where none is."""
    if row["messages"] is not None:
        turns, why = read_turns(row["messages"])
    elif (row["prompt"] or "").strip():
        turns, why = [{"role": "user", "content": row["user"]}], ""
    else:
        turns, why = [], "no messages and no prompt in it"
    if (row["system"] or "").strip() and turns and turns[0]["role"] != "system":
        turns = [{"role": "system", "content": row["system"]}, *turns]
    return turns, why


def preference(row: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A prompt with a better and a worse answer; answers may be texts, turns, or conversations with one beginning."""
    sides: dict[str, list[dict[str, str]]] = {}
    for name in ("chosen", "rejected"):
        turns, why = _side(row[name])
        if why or not turns[-1]["content"].strip():
            return {}, f"{name}: {why or 'empty'}"
        sides[name] = turns
    chosen, rejected = sides["chosen"], sides["rejected"]
    if chosen[:-1] != rejected[:-1]:
        return {}, "chosen and rejected don't answer the same conversation"
    if len(chosen) > 1:
        turns = chosen[:-1]
    else:
        turns, why = _turns(row)
        if why:
            return {}, why
    return {"messages": turns, "chosen": chosen[-1]["content"], "rejected": rejected[-1]["content"]}, ""


def _side(value: Any) -> tuple[list[dict[str, str]], str]:
    """One of two answers: a text, a turn, or a conversation that ends with it."""
    if isinstance(value, str):
        turns, why = read_turns(value)
        return ([{"role": "assistant", "content": value}], "") if why else (turns, "")
    return read_turns([value] if isinstance(value, Mapping) and "messages" not in value else value)
