"""What a record says: its texts, its question and its answer, and a short print by which like ones are known."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

from slm.plugin import SlmError

if TYPE_CHECKING:
    import datasets

Fold = Literal["none", "space", "case", "punctuation"]
ROWS = 10_000
MARKS = ".,;:!?…\"'`´“”„‘’‚«»()[]{}<>¿¡。、，；：！？（）「」『』*_~"  # noqa: RUF001
APART = "\x1f"


def fold(text: str, how: Fold) -> str:
    """The text without what does not tell texts apart; each way folds what those before it do.

    none: nothing; space: runs of white space are one space; case: letters are small, and look-alike forms of a
    character are one (NFKC); punctuation: marks around words go, those within (`3.5`, `a-b`) and signs stay.
    """
    if how == "none":
        return text
    if how != "space":
        text = text.casefold() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    words = text.split()
    if how == "punctuation":
        words = [bare for word in words if (bare := word.strip(MARKS))] or words
    return " ".join(words)


def tables(split: datasets.Dataset) -> Iterator[Any]:
    """The records as Arrow tables of some thousand rows."""
    yield from split.with_format("arrow").iter(batch_size=ROWS)


def prints(split: datasets.Dataset, part: Literal["record", "input"], how: Fold) -> Any:
    """A 16-byte print of each record, or of what its answer or label is for; an array of one element a record."""
    import numpy as np

    found = np.empty(len(split), "S16")
    at = 0
    for table in tables(split):
        for text in contents(table, part, how):
            found[at] = blake2b(text.encode("utf-8"), digest_size=16).digest()
            at += 1
    return found


def contents(table: Any, part: Literal["record", "input"], how: Fold) -> list[str]:
    """Each row's texts, folded and joined."""
    names = set(table.column_names)
    if "messages" in names:
        whole = part == "record" or "chosen" in names
        rows = [APART.join(fold(text, how) for text in (turns if whole else turns[:-1])) for turns in _turns(table)]
    elif "text" in names:
        rows = [fold(text, how) for text in table.column("text").to_pylist()]
    else:
        raise SlmError(f"records without text or messages (columns: {', '.join(sorted(names))})")
    for name in ("label", "chosen", "rejected"):
        if part == "record" and name in names:
            values = table.column(name).to_pylist()
            rows = [row + APART + fold(value, how) for row, value in zip(rows, values, strict=True)]
    return rows


def _turns(table: Any) -> Iterator[list[str]]:
    """The texts of each row's turns."""
    from pyarrow import compute

    column = table.column("messages")
    texts = compute.struct_field(compute.list_flatten(column), "content").to_pylist()
    at = 0
    for count in compute.list_value_length(column).to_pylist():
        yield texts[at : at + count]
        at += count


def changed(table: Any, change: Callable[[str], str]) -> Any:
    """The table with every text of its records passed through `change`; `id` and `source` stay."""
    import pyarrow
    from pyarrow import compute

    for n, name in enumerate(table.column_names):
        column = table.column(name).combine_chunks()
        column = pyarrow.concat_arrays(column.chunks) if isinstance(column, pyarrow.ChunkedArray) else column
        if name in ("id", "source"):
            continue
        if pyarrow.types.is_string(column.type):
            new = pyarrow.array(list(map(change, column.to_pylist())), column.type)
        elif name == "messages":
            turns = column.flatten()
            texts = pyarrow.array(list(map(change, turns.field("content").to_pylist())), pyarrow.string())
            parts = {field.name: turns.field(field.name) for field in turns.type} | {"content": texts}
            lengths = compute.list_value_length(column).cast(pyarrow.int32())
            offsets = pyarrow.concat_arrays([pyarrow.array([0], pyarrow.int32()), compute.cumulative_sum(lengths)])
            inner = pyarrow.StructArray.from_arrays(list(parts.values()), fields=list(turns.type))
            new = pyarrow.ListArray.from_arrays(offsets, inner).cast(column.type)
        else:
            continue
        table = table.set_column(n, table.schema.field(n), new)
    return table


def empty_rows(table: Any) -> dict[int, str]:
    """Rows that lack a needed text by now, and which."""
    empty: dict[int, str] = {}
    for name in ("text", "label", "chosen", "rejected"):
        if name in table.column_names:
            values = table.column(name).to_pylist()
            empty.update({n: f"{name} is empty" for n, value in enumerate(values) if not value.strip()})
    if "messages" in table.column_names:
        for n, turns in enumerate(_turns(table)):
            if not turns[-1].strip() or not any(turn.strip() for turn in turns[:-1] or turns):
                empty[n] = "its question or its answer is empty"
    return empty


def shorten(text: str, length: int = 80) -> str:
    """The text as one line of at most `length` characters, quoted."""
    shown = repr(text)
    return shown if len(shown) <= length else f"{shown[: length - 4]}...'"
