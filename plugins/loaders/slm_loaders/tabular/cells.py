"""What database drivers give for a column, as Arrow: nothing is rounded, and what Arrow has no like of is text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

JSON = {b"slm": b"json"}


def to_columns(names: Sequence[str], rows: Sequence[Sequence[Any]], coded: Sequence[bool]) -> Any:
    """A table of rows; `coded` columns hold JSON text already."""
    import pyarrow

    arrays, fields = [], []
    for name, values, text in zip(names, zip(*rows, strict=True), coded, strict=True):
        array, metadata = _column(values)
        metadata = JSON if text and pyarrow.types.is_string(array.type) else metadata
        arrays.append(array)
        fields.append(pyarrow.field(name, array.type, metadata=metadata))
    return pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields))


def _column(values: Sequence[Any]) -> tuple[Any, dict[bytes, bytes] | None]:
    import pyarrow

    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {str}:
        return pyarrow.array(values, pyarrow.string()), None
    if kinds in ({bool}, {int}, {float}):
        try:
            return pyarrow.array(values), None
        except (OverflowError, pyarrow.ArrowInvalid):
            return _texts(values), None
    if kinds & {list, tuple, dict}:
        return _encoded(values), JSON
    if kinds <= {bytes, bytearray, memoryview, str} and kinds & {bytes, bytearray, memoryview}:
        raw = [value.encode() if isinstance(value, str) else value and bytes(value) for value in values]
        return pyarrow.array(raw, pyarrow.binary()), None
    return _texts(values), None


def _texts(values: Sequence[Any]) -> Any:
    import pyarrow

    return pyarrow.array([None if value is None else as_text(value) for value in values], pyarrow.string())


def _encoded(values: Sequence[Any]) -> Any:
    import pyarrow

    texts = [None if value is None else json.dumps(value, ensure_ascii=False, default=as_text) for value in values]
    return pyarrow.array(texts, pyarrow.string())


def as_text(value: Any) -> str:
    """A value as people write it: a date by ISO, a decimal number without exponent, bytes as hexadecimal digits."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return str(value)
