"""What a record says: its texts, its question and its answer, and a short print by which like ones are known.

A record's own columns are `text` (and `label`), or `messages` (and `chosen`, `rejected`). Whatever else it carries was
kept for the user and is neither read nor changed here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from slm.plugin import SlmError

from .arrays import APART, blank, join_turns, mapped, plain, turns_of, whole, without_last

if TYPE_CHECKING:
    import datasets

Fold = Literal["none", "space", "case", "punctuation"]
Part = Literal["record", "input"]
ROWS = 10_000
MARKS = ".,;:!?…\"'`´“”„‘’‚«»()[]{}<>¿¡。、，；：！？（）「」『』*_~"  # noqa: RUF001


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


def values(split: datasets.Dataset, rows: Any, name: str) -> list[Any]:
    """One (small) column's values of the given rows."""
    import numpy as np
    import pyarrow

    column = [part for table in tables(split.select_columns([name])) for part in table.column(name).chunks]
    return pyarrow.chunked_array(column).take(pyarrow.array(np.asarray(rows, np.int64))).to_pylist() if column else []


def fields(names: Sequence[str]) -> tuple[str, ...]:
    """The columns that hold a record's own texts, among its columns."""
    if "messages" in names:
        return ("messages", *(("chosen", "rejected") if {"chosen", "rejected"} <= set(names) else ()))
    if "text" not in names:
        raise SlmError(f"records without text or messages (columns: {', '.join(sorted(names))})")
    return ("text", *(("label",) if "label" in names else ()))


def prints(split: datasets.Dataset, part: Part, how: Fold) -> Any:
    """A 16-byte print of each record, or of what its answer or label is for; an array of one element a record."""
    return all_prints(split, (part,), how)[0]


def all_prints(split: datasets.Dataset, parts: Sequence[Part], how: Fold) -> list[Any]:
    """The prints of several parts, in one go."""
    import numpy as np
    from xxhash import xxh3_128_digest

    found = [np.empty(len(split), "S16") for _ in parts]
    at = 0
    for table in tables(split.select_columns(list(fields(split.column_names)))):
        for array, texts in zip(found, joined(table, parts, how), strict=True):
            digests = b"".join(map(xxh3_128_digest, texts.cast("binary").to_pylist()))
            array[at : at + len(table)] = np.frombuffer(digests, "S16")
        at += len(table)
    return found


def contents(table: Any, part: Part, how: Fold) -> list[str]:
    """Each row's texts, folded and joined."""
    return list(joined(table, (part,), how)[0].to_pylist())


def joined(table: Any, parts: Sequence[Part], how: Fold) -> list[Any]:
    """Each row's texts, folded and joined, as one Arrow array for each part."""
    from pyarrow import compute

    first, *rest = fields(table.column_names)
    more = [folded(compute.fill_null(whole(table, name), ""), how) for name in rest]
    found = []
    if first == "messages":
        offsets, texts = turns_of(table)
        texts = folded(texts, how)
        for part in parts:
            full = part == "record" or "chosen" in rest
            found.append(join_turns(offsets, texts) if full else join_turns(*without_last(offsets, texts)))
    else:
        found = [folded(compute.fill_null(whole(table, first), ""), how)] * len(parts)
    return [
        compute.binary_join_element_wise(text, *more, APART) if more and part == "record" else text
        for part, text in zip(parts, found, strict=True)
    ]


def folded(texts: Any, how: Fold) -> Any:
    """`fold` of each text of an Arrow array; plain texts need no visit."""
    from pyarrow import compute

    if how == "none":
        return texts
    small = texts if how == "space" else compute.ascii_lower(texts)
    skip = plain(texts) if how != "punctuation" else None
    return mapped(texts, lambda text: fold(text, how), skip, small)


def changed(table: Any, change: Callable[[str], str], skip: Callable[[Any], Any] | None = None) -> Any:
    """The table with every text of its records passed through `change`; all other columns stay.

    `skip` tells, for an Arrow array of texts, which of them `change` would leave as they are.
    """
    import pyarrow

    for name in fields(table.column_names):
        column = whole(table, name)
        if name == "messages":
            offsets, texts = turns_of(table)
            texts = mapped(texts, change, skip(texts) if skip else None)
            turns = column.flatten()
            parts = {each.name: turns.field(each.name) for each in turns.type} | {"content": texts}
            inner = pyarrow.StructArray.from_arrays(list(parts.values()), fields=list(turns.type))
            new = pyarrow.ListArray.from_arrays(pyarrow.array(offsets), inner).cast(column.type)
        else:
            new = mapped(column, change, skip(column) if skip else None)
        n = table.column_names.index(name)
        table = table.set_column(n, table.schema.field(n), new)
    return table


def differing(before: Any, after: Any) -> Any:
    """The rows of a table whose texts differ from those of another of as many rows and turns."""
    import numpy as np
    from pyarrow import compute

    found = np.zeros(len(before), bool)
    for name in fields(before.column_names):
        if name == "messages":
            offsets, old = turns_of(before)
            differ = compute.not_equal(old, turns_of(after)[1]).to_numpy(zero_copy_only=False)
            found[np.searchsorted(offsets, np.flatnonzero(differ), "right") - 1] = True
        else:
            differ = compute.not_equal(whole(before, name), whole(after, name))
            found |= compute.fill_null(differ, False).to_numpy(zero_copy_only=False)
    return np.flatnonzero(found)


def empty_rows(table: Any) -> dict[int, str]:
    """Rows that lack a needed text by now, and which."""
    import numpy as np

    empty: dict[int, str] = {}
    names = fields(table.column_names)
    for name in names:
        if name != "messages":
            empty.update(dict.fromkeys(np.flatnonzero(blank(whole(table, name))).tolist(), f"{name} is empty"))
    if "messages" in names:
        offsets, texts = turns_of(table)
        bare = blank(texts)
        for n in np.unique(np.searchsorted(offsets, np.flatnonzero(bare), "right") - 1).tolist():
            turns = bare[offsets[n] : offsets[n + 1]]
            if turns[-1] or (turns[:-1] if len(turns) > 1 else turns).all():
                empty[n] = "its question or its answer is empty"
    return empty


def shorten(text: str, length: int = 80) -> str:
    """The text as one line of at most `length` characters, quoted."""
    shown = repr(text)
    return shown if len(shown) <= length else f"{shown[: length - 4]}...'"
