"""Columns of `datasets` as plain Arrow: names in place of class numbers, no pictures or sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..nested.objects import JSON
from ..tabular.arrow import plain_table


def text_columns(features: Mapping[str, Any]) -> list[str]:
    """The columns that may hold text: not those whose values are files (pictures, sound, video)."""
    return [name for name, feature in features.items() if not _holds_files(feature)]


def _holds_files(feature: Any) -> bool:
    if isinstance(feature, dict):
        return any(map(_holds_files, feature.values()))
    inner = getattr(feature, "feature", None)
    kept = type(feature).__name__ == "Json"
    return (hasattr(feature, "decode_example") and not kept) or (inner is not None and _holds_files(inner))


def to_rows(table: Any, features: Mapping[str, Any] | None) -> Any:
    """The table with the names of classes for their numbers, and JSON known as such."""
    import pyarrow

    plain = plain_table(table)
    for name, feature in (features or {}).items():
        at = plain.schema.get_field_index(name)
        if at < 0:
            continue
        if type(feature).__name__ == "Json":
            plain = plain.set_column(at, pyarrow.field(name, plain[name].type, metadata=JSON), plain[name])
        else:
            column = _named(plain[name], feature)
            kept = plain.schema.field(at).metadata
            plain = plain.set_column(at, pyarrow.field(name, column.type, metadata=kept), column)
    return plain


def _named(column: Any, feature: Any) -> Any:
    """The column, its class numbers replaced by names; those in lists too. No class (-1) is null."""
    import pyarrow
    from pyarrow import compute

    kind, inner = type(feature).__name__, getattr(feature, "feature", None)
    if kind == "ClassLabel" and pyarrow.types.is_integer(column.type):
        known = compute.if_else(compute.greater_equal(column, 0), column, None)
        return pyarrow.chunked_array([pyarrow.array(feature.names, pyarrow.string()).take(known.combine_chunks())])
    if type(inner).__name__ == "ClassLabel" and pyarrow.types.is_list(column.type):
        lists = column.combine_chunks()
        texts = _named(pyarrow.chunked_array([lists.values]), inner).combine_chunks()
        return pyarrow.chunked_array([pyarrow.ListArray.from_arrays(lists.offsets, texts, mask=lists.is_null())])
    return column
