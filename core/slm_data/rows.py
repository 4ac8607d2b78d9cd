"""Rows of a source as a task's records: columns mapped, ids given, and what can't be a record named with its reason."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from slm.plugin import Reject
from slm_data.columns import Column, has_text, join_texts, missing_field, read_field
from slm_data.ids import content_ids
from slm_data.turns import conversation, preference, to_turns, turn_type


def schema_of(task: str, keep: Sequence[str] = ()) -> Any:
    """The Arrow schema of a task's records; the columns to `keep` follow the record's own."""
    import pyarrow

    text, turns = pyarrow.string(), pyarrow.list_(turn_type())
    kinds = {
        "completion": [("text", text)],
        "classification": [("text", text), ("label", text)],
        "preference": [("messages", turns), ("chosen", text), ("rejected", text)],
    }
    own = [("id", text), ("source", text), *kinds.get(task, [("messages", turns)])]
    return pyarrow.schema([*own, *((name, text) for name in keep)])


def map_rows(
    table: Any,
    numbers: Sequence[int],
    address: str,
    task: str,
    mapping: Mapping[str, Column],
    keep: Sequence[str] = (),
    awaited: Collection[str] = (),
) -> tuple[Any, list[Reject]]:
    """The records of a table's rows, and the rows that make none; a row may lack the fields `awaited`."""
    import pyarrow

    if missing_field(task, {k: v for k, v in mapping.items() if set(v.columns) & set(table.column_names)}, awaited):
        columns: dict[str, Any] = {}
        whys: dict[int, str] = dict.fromkeys(range(len(table)), "none of the columns it needs")
    elif "messages" in mapping or task == "preference":
        columns, whys = _conversations(table, task, mapping, "response" in awaited)
    else:
        columns, whys = _fields(table, task, mapping, awaited)
    rejects = [Reject(f"{address}:{numbers[n]}", why, _raw(table, n)) for n, why in sorted(whys.items())]
    schema = schema_of(task, keep)
    if len(whys) == len(table):
        return schema.empty_table(), rejects
    columns |= {name: _kept(table, name) for name in keep}
    columns["source"] = _places(numbers, address)
    if whys:
        good = pyarrow.array([n for n in range(len(table)) if n not in whys])
        columns = {name: column.take(good) for name, column in columns.items()}
    columns["id"] = content_ids(pyarrow.table({name: columns[name] for name in schema_of(task).names[2:]}))
    return pyarrow.table([columns[name] for name in schema.names], schema=schema), rejects


def _places(numbers: Sequence[int], address: str) -> Any:
    """Where each row stands, as `faqs.csv:17`."""
    import pyarrow
    from pyarrow import compute

    return compute.binary_join_element_wise(f"{address}:", pyarrow.array(numbers).cast(pyarrow.string()), "")


def _kept(table: Any, name: str) -> Any:
    """A column to be kept, as text; what is nested, as JSON."""
    import pyarrow

    if name not in table.column_names:
        return pyarrow.nulls(len(table), pyarrow.string())
    column = table.column(name)
    if not pyarrow.types.is_nested(column.type):
        return read_field(table, Column((name,), ""))[0]
    texts = [
        None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in column.to_pylist()
    ]
    return pyarrow.array(texts, pyarrow.string())


def _raw(table: Any, n: int) -> str:
    row = {name: value for name, value in table.slice(n, 1).to_pylist()[0].items() if value is not None}
    return json.dumps(row, ensure_ascii=False, default=str)[:2000]


def _needed(
    table: Any, names: Sequence[str], mapping: Mapping[str, Column], whys: dict[int, str], awaited: Collection[str] = ()
) -> list[Any]:
    """The texts of fields that no record may lack but those `awaited`; rows that do are noted in `whys`."""
    import numpy as np

    found = []
    for name in names:
        if name in awaited:
            found.append(_optional(table, name, mapping))
            continue
        texts, odd = read_field(table, mapping.get(name))
        bad = np.flatnonzero(~has_text(texts).to_numpy(zero_copy_only=False))
        shown = " or ".join(mapping[name].columns) if name in mapping else name
        for n in bad.tolist():
            what = f"{odd[n]}, not text" if n in odd else "empty" if texts[n].is_valid else "missing"
            whys.setdefault(n, f"{shown}: {what}")
        found.append(texts)
    return found


def _optional(table: Any, name: str, mapping: Mapping[str, Column]) -> Any:
    from pyarrow import compute

    texts, _ = read_field(table, mapping.get(name))
    return compute.if_else(has_text(texts), texts, None)


def _fields(
    table: Any, task: str, mapping: Mapping[str, Column], awaited: Collection[str] = ()
) -> tuple[dict[str, Any], dict[int, str]]:
    """The columns of records that are made of one text a field."""
    whys: dict[int, str] = {}
    if task == "completion":
        return {"text": _needed(table, ["text"], mapping, whys)[0]}, whys
    if task == "classification":
        from pyarrow import compute

        text, label = _needed(table, ["text", "label"], mapping, whys, awaited)
        return {"text": text, "label": compute.utf8_trim_whitespace(label)}, whys
    prompt, response = _needed(table, ["prompt", "response"], mapping, whys, awaited)
    turns = [("user", _asked(table, task, prompt, mapping)), ("assistant", response)]
    if "system" in mapping:
        turns.insert(0, ("system", _optional(table, "system", mapping)))
    return {"messages": to_turns(*turns)}, whys


def _asked(table: Any, task: str, prompt: Any, mapping: Mapping[str, Column]) -> Any:
    """The user's turn: a context stands before a question, and behind an instruction (it is what that works on)."""
    if "context" not in mapping:
        return prompt
    context = _optional(table, "context", mapping)
    behind = task == "instruction" or mapping["context"].columns[0].casefold() == "input"
    return join_texts(prompt, context) if behind else join_texts(context, prompt)


def _conversations(
    table: Any, task: str, mapping: Mapping[str, Column], awaited: bool
) -> tuple[dict[str, Any], dict[int, str]]:
    """The columns of records that are, or may be, whole conversations: row by row."""
    import pyarrow

    whys: dict[int, str] = {}
    names = ("prompt", "response", "context", "system")
    texts = {name: read_field(table, mapping.get(name))[0] for name in names}
    texts["user"] = _asked(table, task, texts["prompt"], mapping)
    plain = {name: array.to_pylist() for name, array in texts.items()}
    whole = {name: _values(table, mapping.get(name)) for name in ("messages", "chosen", "rejected")}
    rows = []
    for n in range(len(table)):
        row = {name: values[n] for name, values in {**plain, **whole}.items()}
        record, why = preference(row) if task == "preference" else conversation(row, awaited)
        if why:
            whys[n] = why
        rows.append(record)
    schema = schema_of(task)
    return {
        name: pyarrow.array([row.get(name) for row in rows], schema.field(name).type) for name in schema.names[2:]
    }, whys


def _values(table: Any, column: Column | None) -> list[Any]:
    """A field's values as Python's, the first that is not null of its columns."""
    found: list[Any] = [None] * len(table)
    for name in column.columns if column else ():
        if name in table.column_names:
            coded = (table.schema.field(name).metadata or {}).get(b"slm") == b"json"
            values = [json.loads(v) if coded and v is not None else v for v in table.column(name).to_pylist()]
            found = [value if old is None else old for old, value in zip(found, values, strict=True)]
    return found
