"""Files with a JSON object a line, block by block."""

from __future__ import annotations

from collections.abc import Iterator

from slm.plugin import Batch, SlmError, Work
from slm_data.ahead import ahead

from ..opening.decoding import read_utf8
from ..opening.files import File
from .objects import NEWLINE, read_lines, read_quick
from .shapes import Shaper


def read_json_lines(file: File, encoding: str, work: Work, no_answer: str = "") -> Iterator[Batch]:
    """The rows of a file with an object a line; SlmError where there is none."""
    shaper = Shaper(file.address, work.warn, no_answer)
    line, started = 1, False
    for block in ahead(read_utf8(file, encoding, work.warn, guess=False)):
        started = started or bool(block.strip())
        batch = read_quick(block, file.address, line) or read_lines(block, file.address, line)
        if batch.rejected or len(batch.numbers):
            rows, numbers = shaper.shape(batch.rows, batch.numbers)
            yield Batch(rows, file.address, numbers, batch.rejected)
        line += count_lines(block)
    if not started:
        raise SlmError(f"{file.address}: empty file")


def count_lines(block: bytes) -> int:
    """The line ends in a block."""
    import numpy as np

    return int(np.count_nonzero(np.frombuffer(block, np.uint8) == NEWLINE))
