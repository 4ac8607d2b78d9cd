"""The id of a record: a hash of what it says, the same wherever and whenever it is read."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

RECORD, UNIT = "\x1e", "\x1f"
FIELDS = ("messages", "text", "label", "chosen", "rejected")


def content_ids(table: Any) -> Any:
    """An id for each record of a table: 128 bits of XXH3 in hexadecimal, over its fields in the order of `FIELDS`.

    A field's text is followed by U+001F; each message is its role, U+001E, its text, U+001F.
    """
    from xxhash import xxh3_128_digest

    parts = [_spans(table.column(name)) for name in FIELDS if name in table.column_names]
    first, ends = parts[0]
    if len(parts) == 1:
        digests = [xxh3_128_digest(first[at:end]) for at, end in pairwise(ends)]
    else:
        rows = zip(*([buffer[at:end] for at, end in pairwise(ends)] for buffer, ends in parts), strict=True)
        digests = [xxh3_128_digest(b"".join(row)) for row in rows]
    return _hexadecimal(digests)


def _spans(column: Any) -> tuple[memoryview, list[int]]:
    """The bytes to be hashed of all rows, and where each row's begin and the last one's end."""
    import pyarrow
    from pyarrow import compute

    array = _one(column)
    ends = None
    if pyarrow.types.is_list(array.type):
        ends = list(accumulate(compute.list_value_length(array).to_pylist(), initial=0))
        turns = array.flatten()
        texts = compute.binary_join_element_wise(turns.field("role"), turns.field("content"), RECORD)
        joined = compute.binary_join_element_wise(texts, "", UNIT)
    else:
        joined = compute.binary_join_element_wise(array.fill_null(""), "", UNIT)
    buffer, offsets = _buffers(joined)
    return buffer, offsets if ends is None else [offsets[end] for end in ends]


def _buffers(texts: Any) -> tuple[memoryview, list[int]]:
    """The characters of a string array, and its offsets into them."""
    import numpy as np

    _, offsets, characters = texts.buffers()
    wide = np.int64 if "large" in str(texts.type) else np.int32
    found = np.frombuffer(offsets, wide, len(texts) + 1, texts.offset * np.dtype(wide).itemsize)
    return memoryview(characters or b""), found.tolist()


def _one(column: Any) -> Any:
    """The column as one array that begins at its buffers' beginning."""
    import pyarrow

    return pyarrow.concat_arrays(column.chunks) if isinstance(column, pyarrow.ChunkedArray) else column


def _hexadecimal(digests: list[bytes]) -> Any:
    """Digests of 16 bytes as an array of texts of 32 characters."""
    import numpy as np
    import pyarrow

    characters = b"".join(digests).hex().encode("ascii")
    offsets = np.arange(0, 32 * len(digests) + 1, 32, dtype=np.int32)
    return pyarrow.StringArray.from_buffers(len(digests), pyarrow.py_buffer(offsets), pyarrow.py_buffer(characters))
