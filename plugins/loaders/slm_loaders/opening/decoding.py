"""Bytes of any encoding as a stream of UTF-8, in pieces that end where a line ends.

Knows nothing of formats. Without a stated encoding: a byte order mark or the zeros of UTF-16 decide; else it is
UTF-8 until bytes come that are not. If no other UTF-8 letter was seen by then, the whole file is in an older
encoding, which is guessed and reported; else single bytes are stray, and are left for the reader (`mend`).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain

from slm.plugin import SlmError

from .files import File, looks_wide, read_chunks

MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
HIGH = re.compile(rb"[\x80-\xff]+")
LONGEST = 512 << 20
STRAY = re.compile("[\udc80-\udcff]+")


def check_encoding(name: str) -> str:
    """The name as Python knows it; SlmError for an encoding that there is not."""
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise SlmError(f"encoding: '{name}' is not known; say for instance 'utf-8', 'cp1252' or 'utf-16'") from None


def is_utf8(block: bytes) -> bool:
    """Whether the bytes are UTF-8: as `decode` would say, in a sixth of its time."""
    import numpy as np
    import pyarrow

    ends = pyarrow.py_buffer(np.array([0, len(block)], np.int64))
    text = pyarrow.Array.from_buffers(pyarrow.large_string(), 1, [None, ends, pyarrow.py_buffer(block)])
    try:
        text.validate(full=True)
    except pyarrow.ArrowInvalid:
        return False
    return True


def read_utf8(
    file: File, encoding: str, warn: Callable[[str], None], *, guess: bool = True, lines: bool = True
) -> Iterator[bytes]:
    """The file as UTF-8 without a byte order mark, cut at line ends; or, without `lines`, between letters.

    `encoding` is what the user stated, or empty. Bytes that are no UTF-8 in a UTF-8 file come through as they are.
    With `guess` off no encoding is guessed that has no sign of its own.
    """
    chunks = read_chunks(file)
    first = next(chunks, b"")
    stated = check_encoding(encoding) if encoding else ""
    found, mark = _signed(first)
    name = stated if stated and not stated.startswith("utf-16") else found or stated or "utf-8"
    first = first[len(mark) :] if mark and name == found else first
    whole = _joined(first, chunks)
    cut = partial(_whole_lines, address=file.address) if lines else _whole_letters
    if name not in ("utf-8", "ascii"):
        return cut(_transcoded(whole, name, file.address))
    pieces = cut(whole)
    return pieces if stated or not guess else _guessed(pieces, file.address, warn)


def _signed(head: bytes) -> tuple[str, bytes]:
    for mark, name in MARKS.items():
        if head.startswith(mark):  # UTF-32's mark begins with UTF-16's and stands before it
            return name, mark
    return looks_wide(head[:4096]), b""


def _joined(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _transcoded(chunks: Iterable[bytes], name: str, address: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(name)()
    try:
        for chunk in chunks:
            yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
        yield decoder.decode(b"", True).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        bad = error.object[error.start : error.start + 4].hex(" ")
        raise SlmError(f"{address}: bytes {bad} are not {name} ({error.reason}); state its encoding") from None


def _whole_lines(chunks: Iterable[bytes], address: str) -> Iterator[bytes]:
    rest: list[memoryview] = []
    for chunk in chunks:
        cut = chunk.rfind(b"\n") + 1 or chunk.rfind(b"\r", 0, len(chunk) - 1) + 1
        view = memoryview(chunk)
        if cut:
            yield b"".join([*rest, view[:cut]])
            rest = []
        rest.append(view[cut:])
        if len(rest) * len(chunk) > LONGEST:
            raise SlmError(f"{address}: a line of over {LONGEST >> 20} MB; break it into lines")
    if any(rest):
        yield b"".join(rest)


def _whole_letters(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        chunk = rest + chunk
        cut = len(chunk) - _begun(chunk[-3:])
        yield chunk[:cut]
        rest = chunk[cut:]
    if rest:
        yield rest


def _begun(tail: bytes) -> int:
    """How many bytes at the end begin a letter that they don't end."""
    for n, byte in enumerate(reversed(tail), start=1):
        if byte >= 0xC0:
            return n if n < 2 + (byte >= 0xE0) + (byte >= 0xF0) else 0
        if byte < 0x80:
            return 0
    return 0


def _guessed(pieces: Iterator[bytes], address: str, warn: Callable[[str], None]) -> Iterator[bytes]:
    letters, warned = False, False
    for piece in pieces:
        try:
            if not is_utf8(piece):
                piece.decode("utf-8")
            letters = letters or not piece.isascii()
        except UnicodeDecodeError:
            if letters or _mixed(piece):
                if not warned:
                    warn(f"{address}: some lines are not UTF-8; their stray bytes are read as cp1252")
                warned = True
            else:
                legacy = guess_encoding(piece)
                warn(f"{address}: not UTF-8, read as {legacy}; state its encoding if that is wrong")
                yield from _transcoded(chain([piece], pieces), legacy, address)
                return
        yield piece


def _mixed(piece: bytes) -> bool:
    lines = [line for line in piece.splitlines() if not line.isascii()]
    return sum(_is_utf8(line) for line in lines) > 0.1 * len(lines)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def guess_encoding(sample: bytes) -> str:
    """The encoding of bytes that are not UTF-8.

    Where under 1% of the bytes are beyond ASCII, or only a few that stand alone (an accent here and there), there is
    too little to tell languages apart, and cp1252 is by far the most usual.
    """
    from charset_normalizer import from_bytes

    high = len(sample) - len(sample.translate(None, bytes(range(128, 256))))
    alone = high < 16 and len(HIGH.findall(sample)) == high
    if (high < 0.01 * len(sample) or alone) and _fits(sample, "cp1252"):
        return "cp1252"
    lines = [line for line in sample.splitlines() if not line.isascii()]
    best = from_bytes(b"\n".join(lines)[:65536]).best()
    if best is not None and _fits(sample, best.encoding):
        same = _fits(sample, "cp1252") and sample.decode("cp1252") == sample.decode(best.encoding)
        return "cp1252" if same else str(best.encoding)
    return "cp1252" if _fits(sample, "cp1252") else "latin-1"


def _fits(sample: bytes, name: str) -> bool:
    try:
        sample.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def mend(text: str) -> str:
    """Text decoded with `surrogateescape`, its stray bytes read as cp1252; UnicodeDecodeError where that has none."""
    return STRAY.sub(lambda found: found[0].encode("utf-8", "surrogateescape").decode("cp1252"), text)
