"""A record's own texts, row by row, and the table with others in their place; kept columns stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Any

from slm_data.ids import FIELDS

from .arrays import whole

TEXTS = ("text", "chosen", "rejected")
OWN = ("id", "source", *FIELDS)


def kept_columns(names: Iterable[str]) -> list[str]:
    """The columns that no task has: those that the user asked to keep."""
    return [name for name in names if name not in OWN]


def row_texts(table: Any) -> list[list[str]]:
    """Each row's texts: those of its turns, then its text, chosen and rejected; never null."""
    rows: list[list[str]] = [[] for _ in range(len(table))]
    if "messages" in table.column_names:
        turns, lengths = flat_turns(table)
        texts = [text or "" for text in turns.field("content").to_pylist()]
        rows = [texts[at:end] for at, end in pairwise(accumulate(lengths, initial=0))]
    for name in TEXTS:
        if name in table.column_names:
            for row, text in zip(rows, table.column(name).to_pylist(), strict=True):
                row.append(text or "")
    return rows


def with_texts(table: Any, rows: Sequence[Sequence[str]]) -> Any:
    """The table with these texts in the places where `row_texts` found its own."""
    import pyarrow

    at = [0] * len(table)
    if "messages" in table.column_names:
        turns, lengths = flat_turns(table)
        texts = [text for row, count in zip(rows, lengths, strict=True) for text in row[:count]]
        parts = [pyarrow.array(texts, f.type) if f.name == "content" else turns.field(f.name) for f in turns.type]
        inner = pyarrow.StructArray.from_arrays(parts, fields=list(turns.type))
        offsets = pyarrow.array(accumulate(lengths, initial=0), pyarrow.int32())
        table = replaced(table, "messages", pyarrow.ListArray.from_arrays(offsets, inner))
        at = list(lengths)
    for name in TEXTS:
        if name in table.column_names:
            table = replaced(table, name, pyarrow.array([row[n] for row, n in zip(rows, at, strict=True)]))
            at = [n + 1 for n in at]
    return table


def replaced(table: Any, name: str, column: Any) -> Any:
    """The table with another column of this name, of the type that the old one has."""
    n = table.column_names.index(name)
    field = table.schema.field(n)
    return table.set_column(n, field, column.cast(field.type))


def flat_turns(table: Any) -> tuple[Any, list[int]]:
    """All turns of all rows as one array of structs, and how many each row has."""
    from pyarrow import compute

    array = whole(table, "messages")
    return array.flatten(), [count or 0 for count in compute.list_value_length(array).to_pylist()]
