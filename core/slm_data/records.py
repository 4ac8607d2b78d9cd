"""From a loader's rows to records on disk: columns mapped, ids given, rows that can't be used set aside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from hashlib import blake2b
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO, Any

import attrs
from attrs import field, frozen

from slm.errors import SlmError
from slm.plugin import Batch, Reject
from slm_data.columns import Column, choose_columns, has_text, join_texts, missing_field, read_field
from slm_data.dataset import write_tables
from slm_data.turns import conversation, preference, to_turns, turn_type

ROWS = 10_000


@frozen
class Loaded:
    """What was loaded: rows kept and set aside, which columns filled which field and why, and all columns found."""

    rows: int
    rejected: int
    mapping: Mapping[str, Column]
    columns: tuple[str, ...]


@attrs.define
class _Tally:
    """What was seen so far."""

    rows: int = 0
    rejected: int = 0
    first: list[Reject] = field(factory=list)
    mapping: dict[str, Column] = field(factory=dict)
    columns: dict[str, None] = field(factory=dict)


def write_records(
    batches: Iterable[Batch],
    *,
    task: str,
    columns: Mapping[str, str | Sequence[str]],
    split: str,
    folder: Path,
    address: str,
    max_bad_rows: int | float = 0.1,
    progress: Callable[[float, float, str], None] | None = None,
) -> Loaded:
    """Map rows to the task's records and write them as `<split>.arrow`; rows that can't be used into `rejected.jsonl`.

    Raises SlmError where a column is missing, no row is left, or more rows are bad than `max_bad_rows`: a share of
    all rows if it is a float up to 1.0, else a count.
    """
    tally = _Tally()
    with ExitStack() as stack:
        tables = _mapped(batches, task, columns, address, tally, _Aside(folder / "rejected.jsonl", stack), progress)
        write_tables(tables, schema_of(task), folder / f"{split}.arrow")
    _refuse_bad(tally, address, max_bad_rows)
    if not tally.rows:
        raise SlmError(f"{address}: no rows")
    return Loaded(tally.rows, tally.rejected, tally.mapping, tuple(tally.columns))


def schema_of(task: str) -> Any:
    """The Arrow schema of a task's records."""
    import pyarrow

    text, turns = pyarrow.string(), pyarrow.list_(turn_type())
    kinds = {
        "completion": [("text", text)],
        "classification": [("text", text), ("label", text)],
        "preference": [("messages", turns), ("chosen", text), ("rejected", text)],
    }
    return pyarrow.schema([("id", text), ("source", text), *kinds.get(task, [("messages", turns)])])


@frozen
class _Aside:
    """The file of rejected rows, made when the first is."""

    path: Path
    stack: ExitStack
    opened: list[IO[str]] = field(factory=list)

    def put(self, rejects: Iterable[Reject]) -> None:
        for reject in rejects:
            if not self.opened:
                self.opened.append(self.stack.enter_context(self.path.open("w", encoding="utf-8")))
            self.opened[0].write(json.dumps(attrs.asdict(reject), ensure_ascii=False) + "\n")


def _mapped(
    batches: Iterable[Batch],
    task: str,
    wanted: Mapping[str, str | Sequence[str]],
    address: str,
    tally: _Tally,
    aside: _Aside,
    progress: Callable[[float, float, str], None] | None,
) -> Iterator[Any]:
    for batch in batches:
        _note(batch.rejected, tally, aside)
        if len(batch.rows):
            found = batch.rows.column_names
            tally.columns.update(dict.fromkeys(found))
            mapping = _mapping(task, wanted, found, tally, address)
            for at in range(0, len(batch.rows), ROWS):
                numbers = batch.numbers[at : at + ROWS]
                table, rejects = map_rows(batch.rows.slice(at, ROWS), numbers, batch.address, task, mapping)
                _note(rejects, tally, aside)
                tally.rows += len(table)
                yield table
        if progress is not None:
            progress(tally.rows, 0, "rows")


def _mapping(
    task: str, wanted: Mapping[str, str | Sequence[str]], found: Sequence[str], tally: _Tally, address: str
) -> dict[str, Column]:
    """The mapping for these columns. What an earlier batch's columns allowed may be lacking in a later one's: then its
    rows are set aside, one by one, instead of an error."""
    try:
        mapping = choose_columns(task, wanted, found, address)
    except SlmError:
        if not tally.mapping:
            raise
        return tally.mapping
    for name, column in mapping.items():
        known = tally.mapping.get(name)
        names = dict.fromkeys([*(known.columns if known else ()), *column.columns])
        tally.mapping[name] = attrs.evolve(known or column, columns=tuple(names))
    return mapping


def _note(rejects: Sequence[Reject], tally: _Tally, aside: _Aside) -> None:
    aside.put(rejects)
    tally.rejected += len(rejects)
    tally.first += rejects[: 3 - len(tally.first)]


def _refuse_bad(tally: _Tally, address: str, limit: int | float) -> None:
    total = tally.rows + tally.rejected
    share = isinstance(limit, float) and limit <= 1
    if tally.rejected <= (limit * total if share else limit):
        return
    shown = "; ".join(f"{reject.place}: {reject.why}" for reject in tally.first)
    allowed = f"{limit:.0%} of them" if share else f"{limit:g}"
    raise SlmError(
        f"{address}: {tally.rejected:,} of {total:,} rows can't be used ({shown}); mend them, "
        f"or raise max_bad_rows (now {allowed})"
    )


def map_rows(
    table: Any, numbers: Sequence[int], address: str, task: str, mapping: Mapping[str, Column]
) -> tuple[Any, list[Reject]]:
    """The records of a table's rows, and the rows that make none."""
    import pyarrow

    if missing_field(task, {k: v for k, v in mapping.items() if set(v.columns) & set(table.column_names)}):
        columns: dict[str, Any] = {}
        whys: dict[int, str] = dict.fromkeys(range(len(table)), "none of the columns it needs")
    elif "messages" in mapping or task == "preference":
        columns, whys = _conversations(table, task, mapping)
    else:
        columns, whys = _fields(table, task, mapping)
    good = [n for n in range(len(table)) if n not in whys]
    rejects = [Reject(f"{address}:{numbers[n]}", why, _raw(table, n)) for n, why in sorted(whys.items())]
    schema = schema_of(task)
    if not good:
        return schema.empty_table(), rejects
    kept = {name: column.take(pyarrow.array(good)) if whys else column for name, column in columns.items()}
    kept["id"] = pyarrow.array(content_ids([_values_of(kept[name]) for name in schema.names[2:]]))
    kept["source"] = pyarrow.array([f"{address}:{numbers[n]}" for n in good])
    return pyarrow.table([kept[name] for name in schema.names], schema=schema), rejects


def content_ids(columns: Sequence[Sequence[Any]]) -> list[str]:
    """The id of each record: 128 bits of BLAKE2 over its fields' values, as JSON, in the schema's order."""
    return [
        blake2b(json.dumps(values, ensure_ascii=False).encode(), digest_size=16).hexdigest()
        for values in zip(*columns, strict=True)
    ]


def _values_of(column: Any) -> list[Any]:
    """A column's texts; of messages, each row's roles and then its texts (dicts for each would be slow to make)."""
    import pyarrow

    if pyarrow.types.is_string(column.type):
        return list(column.to_pylist())
    turns = column.flatten()
    roles, texts = turns.field("role").to_pylist(), turns.field("content").to_pylist()
    ends = list(accumulate(column.value_lengths().to_pylist(), initial=0))
    return [roles[at:end] + texts[at:end] for at, end in pairwise(ends)]


def _raw(table: Any, n: int) -> str:
    row = {name: value for name, value in table.slice(n, 1).to_pylist()[0].items() if value is not None}
    return json.dumps(row, ensure_ascii=False, default=str)[:2000]


def _needed(table: Any, names: Sequence[str], mapping: Mapping[str, Column], whys: dict[int, str]) -> list[Any]:
    """The texts of fields that no record may lack; rows that do are noted in `whys`."""
    import numpy as np

    found = []
    for name in names:
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


def _fields(table: Any, task: str, mapping: Mapping[str, Column]) -> tuple[dict[str, Any], dict[int, str]]:
    """The columns of records that are made of one text a field."""
    whys: dict[int, str] = {}
    if task == "completion":
        return {"text": _needed(table, ["text"], mapping, whys)[0]}, whys
    if task == "classification":
        from pyarrow import compute

        text, label = _needed(table, ["text", "label"], mapping, whys)
        return {"text": text, "label": compute.utf8_trim_whitespace(label)}, whys
    prompt, response = _needed(table, ["prompt", "response"], mapping, whys)
    user = _asked(table, task, prompt, mapping)
    turns = to_turns(("system", _optional(table, "system", mapping)), ("user", user), ("assistant", response))
    return {"messages": turns}, whys


def _asked(table: Any, task: str, prompt: Any, mapping: Mapping[str, Column]) -> Any:
    """The user's turn: a context stands before a question, and behind an instruction (it is what that works on)."""
    context = _optional(table, "context", mapping)
    behind = task == "instruction" or ("context" in mapping and mapping["context"].columns[0].casefold() == "input")
    return join_texts(prompt, context) if behind else join_texts(context, prompt)


def _conversations(table: Any, task: str, mapping: Mapping[str, Column]) -> tuple[dict[str, Any], dict[int, str]]:
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
        record, why = preference(row) if task == "preference" else conversation(row)
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
