"""Records as items to annotate, and answers as records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from slm.errors import SlmError
from slm_annotation.values import Item

Record = Mapping[str, Any]


def to_item(record: Record, shape: str, key: str = "") -> Item:
    """The record as people see it; `key` names the kept column that holds its name, else its id is its name."""
    fields = to_fields(record, shape)
    if key and not record.get(key):
        raise SlmError(f"{record['source']}: annotate.id: the column {key!r} is empty; every record needs its own name")
    return Item(
        str(record[key] if key else record["id"]), digest(fields, given(record, shape)), record["source"], fields
    )


def to_fields(record: Record, shape: str) -> dict[str, Any]:
    """What is shown of a record."""
    if shape == "preference":
        a, b = swapped(record, record["chosen"], record["rejected"])
        return {"dialogue": turns(record["messages"]), "a": a or "", "b": b or ""}
    if shape not in ("qa", "chat"):
        return {"text": record["text"]}
    before, response = parted(record["messages"])
    if shape == "chat":
        return {"dialogue": before, "response": response}
    asked = before[-1]["content"] if before else ""
    return {"question": asked, "answer": response, "context": "\n\n".join(turn["content"] for turn in before[:-1])}


def given(record: Record, shape: str) -> dict[str, Any]:
    """What the record itself says of what is asked; empty where it says nothing."""
    if shape == "classification":
        return {"label": record["label"]} if record.get("label") else {}
    if shape == "preference":
        return {"choice": "a" if swapped(record, True, False)[0] else "b"}
    fields = to_fields(record, shape)
    shown = {"qa": ("question", "answer"), "chat": ("response",), "completion": ("text",)}.get(shape, ())
    return {name: fields[name] for name in shown} if all(fields[name] for name in shown) else {}


def answered(record: Record, shape: str, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record with what people answered; None where they threw it out: a verdict `bad`, a tie, no label."""
    made = dict(record)
    if values.get("verdict") == "bad":
        return None
    if shape in ("qa", "chat"):
        made["messages"] = spoken(record["messages"], values, "answer" if shape == "qa" else "response")
        return made if made["messages"][-1]["content"].strip() else None
    if shape == "preference":
        if values.get("choice") not in ("a", "b"):
            return None
        sides = swapped(record, record["chosen"], record["rejected"])
        better, worse = sides if values["choice"] == "a" else sides[::-1]
        return {**made, "chosen": better, "rejected": worse}
    if shape == "classification":
        return {**made, "label": values["label"]} if values.get("label") else None
    if shape == "multilabel":
        return {**made, "labels": sorted(values.get("labels", ()))}
    if shape == "spans":
        return {**made, "spans": json.dumps(values.get("spans", []), ensure_ascii=False)}
    return {**made, "text": values.get("text") or record["text"]}


def with_fields(record: Record, shape: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The record with the fields of its entry, which may have been edited there."""
    if shape == "preference":
        chosen, rejected = swapped(record, fields["a"], fields["b"])
        return {**record, "messages": turns(fields["dialogue"]), "chosen": chosen, "rejected": rejected}
    if shape not in ("qa", "chat"):
        return {**record, "text": fields["text"]}
    if shape == "chat":
        last = {"role": "assistant", "content": fields["response"]}
        return {**record, "messages": [*turns(fields["dialogue"]), last]}
    return {**record, "messages": spoken(record["messages"], fields, "answer")}


def spoken(messages: Sequence[Mapping[str, Any]], values: Mapping[str, Any], answer: str) -> list[dict[str, str]]:
    """The conversation with its last question and answer as they were answered."""
    before, response = parted(messages)
    if before and values.get("question"):
        before = [*before[:-1], {**before[-1], "content": values["question"]}]
    said = values.get(answer)
    return [*before, {"role": "assistant", "content": response if said is None else said}]


def parted(messages: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, str]], str]:
    """The turns before the last answer, and that answer; empty where none was given."""
    said = turns(messages)
    if said and said[-1]["role"] == "assistant":
        return said[:-1], said[-1]["content"]
    return said, ""


def turns(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The turns as plain dicts, texts never null."""
    return [{"role": turn["role"], "content": turn["content"] or ""} for turn in messages]


def swapped(record: Record, first: Any, second: Any) -> tuple[Any, Any]:
    """The two in an order that the record's id draws: or else `a` would always be the one chosen before."""
    return (second, first) if int(record["id"][:1] or "0", 16) % 2 else (first, second)


def digest(fields: Mapping[str, Any], said: Mapping[str, Any] | None = None) -> str:
    """128 bits of XXH3 over fields, and what the record says itself, in hexadecimal."""
    from xxhash import xxh3_128_hexdigest

    return xxh3_128_hexdigest(json.dumps([fields, said or {}], sort_keys=True).encode("ascii"))
