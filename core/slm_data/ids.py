"""The id of a record: a hash of what it says, the same wherever and whenever it is read."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from slm_data.columns import flat

RECORD = "\x1e"
FIELDS = ("messages", "text", "label", "chosen", "rejected")


def content_ids(table: Any) -> Any:
    """An id for each record of a table: 128 bits of XXH3 in hexadecimal, over its fields in the order of `FIELDS`.

    U+001E follows each field's text, and each message's role and text.
    """
    from xxhash import xxh3_128_digest

    parts = [_spans(table.column(name)) for name in FIELDS if name in table.column_names]
    if len(parts) == 1:
        ((buffer, ends),) = parts
        digests = [xxh3_128_digest(buffer[at:end]) for at, end in pairwise(ends)]
    else:
        rows = zip(*([buffer[at:end] for at, end in pairwise(ends)] for buffer, ends in parts), strict=True)
        digests = [xxh3_128_digest(b"".join(row)) for row in rows]
    return _hexadecimal(digests)


def _spans(column: Any) -> tuple[memoryview, list[int]]:
    """The bytes to be hashed of all rows, and where each row's begin and the last one's end."""
    import numpy as np
    import pyarrow
    from pyarrow import compute

    array = flat(column)
    if not pyarrow.types.is_list(array.type):
        buffer, offsets = _buffers(compute.binary_join_element_wise(array.fill_null(""), "", RECORD))
        return buffer, offsets.tolist()
    turns = array.flatten()
    joined = compute.binary_join_element_wise(turns.field("role"), turns.field("content"), "", RECORD)
    buffer, offsets = _buffers(joined)
    ends = np.append(0, np.cumsum(compute.list_value_length(array).to_numpy(zero_copy_only=False)))
    return buffer, offsets[ends].tolist()


def _buffers(texts: Any) -> tuple[memoryview, Any]:
    """The characters of a string array that begins at its buffers' beginning, and its offsets into them."""
    import numpy as np

    _, offsets, characters = texts.buffers()
    wide = np.int64 if "large" in str(texts.type) else np.int32
    return memoryview(characters or b""), np.frombuffer(offsets, wide, len(texts) + 1)


def _hexadecimal(digests: list[bytes]) -> Any:
    """Digests of 16 bytes as an array of texts of 32 characters."""
    import numpy as np
    import pyarrow

    characters = b"".join(digests).hex().encode("ascii")
    offsets = np.arange(0, 32 * len(digests) + 1, 32, dtype=np.int32)
    return pyarrow.StringArray.from_buffers(len(digests), pyarrow.py_buffer(offsets), pyarrow.py_buffer(characters))
