"""MongoDB's values as those of JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import Any

from ..opening.decoding import mend
from ..tabular.cells import as_text


def plain(value: Any) -> Any:
    """A value as JSON has it: dates by ISO in UTC, ids and exact numbers as text, no NaN; others as their text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {_text(key): plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return _other(value)


def _text(value: str) -> str:
    """Text with its stray bytes, if it has any, read as cp1252."""
    try:
        return str(value) if value.isascii() else value.encode().decode()
    except UnicodeEncodeError:
        try:
            return mend(value)
        except UnicodeDecodeError:
            return value.encode("utf-8", "replace").decode()


def _other(value: Any) -> Any:
    from bson import Binary, DatetimeMS, DBRef, Decimal128, MaxKey, MinKey, Regex, Timestamp

    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Timestamp):
        return plain(value.as_datetime())
    if isinstance(value, Decimal128):
        return as_text(value.to_decimal())
    if isinstance(value, Binary) and value.subtype == UUID:
        return str(value.as_uuid(UUID))
    if isinstance(value, DBRef):
        return plain(dict(value.as_doc()))
    if isinstance(value, Regex):
        return value.pattern
    if isinstance(value, MinKey | MaxKey):
        return type(value).__name__
    return str(int(value)) if isinstance(value, DatetimeMS) else as_text(value)


UUID = 4
"""BSON's subtype of binary data that is a UUID."""
