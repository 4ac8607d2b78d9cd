"""Arrow arrays of texts, looked at as bytes and many at a time: only texts that need it pass through Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

APART = "\x1f"


def whole(table: Any, name: str) -> Any:
    """A table's column as one Arrow array."""
    import pyarrow

    column = table.column(name).combine_chunks()
    return pyarrow.concat_arrays(column.chunks) if isinstance(column, pyarrow.ChunkedArray) else column


def mapped(texts: Any, change: Callable[[str], str], skip: Any = None, base: Any = None) -> Any:
    """An Arrow array of texts, each passed through `change`; where `skip` is true, `base` (the texts) stays."""
    import numpy as np
    import pyarrow
    from pyarrow import compute

    base = texts if base is None else base
    if skip is None:
        return pyarrow.array(list(map(change, texts.to_pylist())), texts.type)
    if skip.all():
        return base
    new = pyarrow.array(list(map(change, texts.take(pyarrow.array(np.flatnonzero(~skip))).to_pylist())), texts.type)
    return compute.replace_with_mask(base, pyarrow.array(~skip), new)


def plain(texts: Any) -> Any:
    """For each text whether it is printable ASCII with single spaces, none at its ends; may miss a few that are."""
    import numpy as np

    offsets, data = _bytes(texts)
    full = np.flatnonzero(np.diff(offsets))
    found = np.ones(len(texts), bool)
    if len(full):
        space = data == 32
        odd = (data - np.uint8(32)) > 94
        odd[1:] |= space[1:] & space[:-1]
        begin, end = offsets[:-1][full], offsets[1:][full] - 1
        found[full] = ~(np.logical_or.reduceat(odd, begin) | space[begin] | space[end])
    return found


def blank(texts: Any) -> Any:
    """For each text whether nothing but white space is in it."""
    import numpy as np
    import pyarrow

    offsets, data = _bytes(texts)
    full = np.flatnonzero(np.diff(offsets))
    found = np.ones(len(texts), bool)
    head = data[offsets[:-1][full]]
    found[full] = (head <= 32) | (head >= 127)
    doubtful = np.flatnonzero(found)
    found[doubtful] = [not (text or "").strip() for text in texts.take(pyarrow.array(doubtful)).to_pylist()]
    return found


def _bytes(texts: Any) -> tuple[Any, Any]:
    """The offsets and the bytes of an Arrow array of texts."""
    import numpy as np

    _, offsets, data = texts.buffers()
    if not len(texts):
        return np.zeros(1, np.int32), np.zeros(0, np.uint8)
    offsets = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    found = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return offsets - offsets[0], found[offsets[0] : offsets[-1]]


def turns_of(table: Any) -> tuple[Any, Any]:
    """Where each row's turns begin among all turns, and the texts of all."""
    import numpy as np
    from pyarrow import compute

    column = whole(table, "messages")
    lengths = compute.fill_null(compute.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    texts = compute.struct_field(compute.list_flatten(column), "content")
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32), compute.fill_null(texts, "")


def without_last(offsets: Any, texts: Any) -> tuple[Any, Any]:
    """All turns but the last of each row."""
    import numpy as np
    import pyarrow

    filled = np.diff(offsets) > 0
    keep = np.ones(len(texts), bool)
    keep[offsets[1:][filled] - 1] = False
    return offsets - np.concatenate([[0], np.cumsum(filled)]).astype(np.int32), texts.filter(pyarrow.array(keep))


def join_turns(offsets: Any, texts: Any) -> Any:
    """Each row's texts, joined."""
    import pyarrow
    from pyarrow import compute

    return compute.binary_join(pyarrow.ListArray.from_arrays(pyarrow.array(offsets), texts), APART)
