"""Lines of JSON as Arrow tables: fast by pyarrow where every line is clean, else line by line with care.

A column whose values don't fit one Arrow type (text in one line, a list in another) is kept as JSON text, and its
field says so: metadata `slm` = `json`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from slm.plugin import Batch, Reject

from ..opening.decoding import is_utf8

JSON = {b"slm": b"json"}
NEWLINE, RETURN = 10, 13
WIDE = 256
"""Keys of a column's objects from which on it is kept as JSON text: they are values, such as ids, and no fields."""

DEEP = 1000
"""Brackets in a line from which on it is read with care."""


def read_quick(block: bytes, address: str, line: int) -> Batch | None:
    """The rows of a block of whole lines that begins at `line`; None unless each line holds just one sound object."""
    import numpy as np

    if not block.isascii() and not is_utf8(block):
        return None
    data = np.frombuffer(block, np.uint8)
    breaks = np.flatnonzero(data == NEWLINE)
    starts = np.concatenate([[0], breaks + 1])
    ends = np.append(breaks, len(data))
    ends = ends - ((ends > starts) & (data[np.maximum(ends - 1, 0)] == RETURN))
    starts, ends = starts[ends > starts], ends[ends > starts]
    if not len(starts) or not _whole(data, starts, ends) or _deep(data, starts):
        return None
    table = _parsed(block)
    if table is None or table.num_rows != len(starts):
        return None
    return Batch(table, address, np.searchsorted(breaks, starts) + line)


def _whole(data: Any, starts: Any, ends: Any) -> bool:
    """Whether every line begins and ends as an object does: none can span such lines, so as many rows are one each.

    It also keeps `null` lines from pyarrow, which a first one crashes.
    """
    return bool((data[starts] == ord("{")).all() and (data[ends - 1] == ord("}")).all())


def _deep(data: Any, starts: Any) -> bool:
    """Whether a line may be nested more than `DEEP` levels: pyarrow's parser overflows its stack on very many."""
    import numpy as np

    if sum(np.count_nonzero(data == ord(opener)) for opener in "{[") < len(starts) + DEEP:
        return False
    openers = np.flatnonzero((data == ord("{")) | (data == ord("[")))
    return bool(np.diff(np.searchsorted(openers, np.append(starts, len(data)))).max(initial=0) > DEEP)


def _parsed(block: bytes, schema: Any = None) -> Any:
    """The table; None where pyarrow finds a fault, or would change a value (a date in text, an integer too large)."""
    import pyarrow
    from pyarrow import json as arrow_json

    read = arrow_json.ReadOptions(block_size=max(len(block) // 2, 1 << 20) + 1)
    parse = arrow_json.ParseOptions(explicit_schema=schema, newlines_in_values=False)
    try:
        table = arrow_json.read_json(pyarrow.BufferReader(pyarrow.py_buffer(block)), read, parse)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError):
        return None
    if schema is None:
        plain = pyarrow.schema([field.with_type(_plain(field.type)) for field in table.schema])
        if plain != table.schema:
            return _parsed(block, plain)
    return None if _rounded(table) else table


def _plain(kind: Any) -> Any:
    """The type with text in place of times: pyarrow takes text that looks like a date for one."""
    import pyarrow

    if pyarrow.types.is_temporal(kind):
        return pyarrow.string()
    if pyarrow.types.is_list(kind):
        return pyarrow.list_(_plain(kind.value_type))
    if pyarrow.types.is_struct(kind):
        return pyarrow.struct([field.with_type(_plain(field.type)) for field in kind])
    return kind


def _rounded(table: Any) -> bool:
    """Whether a column of floats may hold an integer that a float can't, or what JSON has not (NaN, Infinity)."""
    import pyarrow
    from pyarrow import compute

    floats = [column for column in table.columns if pyarrow.types.is_floating(column.type)]
    return not all(compute.all(compute.less(compute.abs(column), 2.0**53)).as_py() is not False for column in floats)


def read_lines(block: bytes, address: str, line: int) -> Batch:
    """The rows of a block, line by line; a line that isn't one object is rejected with its place and reason."""
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    rejected: list[Reject] = []
    for n, raw in enumerate(block.split(b"\n"), start=line):
        if not raw.strip():
            continue
        value, why = read_object(raw)
        if value is None:
            rejected.append(Reject(f"{address}:{n}", why, raw.decode("utf-8", "replace").rstrip("\r")))
        else:
            rows.append(value)
            numbers.append(n)
    return Batch(to_table(rows), address, numbers, tuple(rejected))


def read_object(raw: bytes) -> tuple[dict[str, Any] | None, str]:
    """The object that a line holds, or None and why it holds none. NaN and Infinity, which JSON has not, are null."""
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=lambda _: None)
    except UnicodeDecodeError as error:
        return None, f"byte 0x{raw[error.start]:02x} at column {error.start + 1} is not UTF-8"
    except json.JSONDecodeError as error:
        return None, f"not JSON: {error.msg.removesuffix(' at')} at column {error.colno}"
    except RecursionError:
        return None, "not JSON: nested too deeply"
    except ValueError as error:
        return None, str(error)
    if not isinstance(value, dict):
        return None, f"not an object but {_called(value)}"
    if "\\u" in text and not _sound(value):
        return None, "holds half of a surrogate pair, which is no character"
    return value, ""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key '{twice}' stands twice")
    return found


def _called(value: Any) -> str:
    names = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false"}
    return names.get(type(value), "null")


def _sound(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def to_table(rows: Sequence[dict[str, Any]]) -> Any:
    """A table with a column for every key, null where a row lacks it."""
    import pyarrow

    names = dict.fromkeys(name for row in rows for name in row)
    arrays, fields = [], []
    for name in names:
        values = [row.get(name) for row in rows]
        array, metadata = _column(values)
        arrays.append(array)
        fields.append(pyarrow.field(name, array.type, metadata=metadata))
    if not names:
        return pyarrow.table({"": pyarrow.nulls(len(rows))}) if rows else pyarrow.table({})
    return pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields))


def _column(values: list[Any]) -> tuple[Any, dict[bytes, bytes] | None]:
    import pyarrow

    if len({key for value in values if isinstance(value, dict) for key in value}) > WIDE:
        return _encoded(values), JSON
    try:
        array = pyarrow.array(values)
    except (pyarrow.ArrowException, OverflowError, TypeError):
        return _encoded(values), JSON
    if array.to_pylist() != values and not pyarrow.types.is_nested(array.type):
        return _encoded(values), JSON
    return array, None


def _encoded(values: list[Any]) -> Any:
    import pyarrow

    texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    return pyarrow.array(texts, pyarrow.string())
