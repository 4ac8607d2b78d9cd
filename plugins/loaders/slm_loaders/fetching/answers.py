"""What comes back: refusals in a user's words, bodies unpacked and bounded."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

from attrs import frozen

from .addresses import Failure

BUSY = (429, 502, 503, 504)
SAYS = {
    400: "the server can't understand the request (400); check the address and its parameters",
    401: "a login is wanted (401); state the right user and password, or token",
    403: "access is refused (403); check that the login may read it, and that the site allows programs",
    404: "there is no such page (404); check the address",
    410: "the page is gone (410); leave it out",
    429: "too many requests (429), still after {retries} retries; lower the rate or come again later",
}


@frozen
class Limits:
    """What a request may take: seconds to connect, between two pieces, and in all; bytes; redirects; repetitions after
    a failure that may pass, and the seconds that a server may ask to wait for one."""

    connect: float = 10
    read: float = 30
    total: float = 120
    size: int = 64 << 20
    redirects: int = 10
    retries: int = 4
    patience: float = 120


@frozen(eq=False)
class Answer:
    """An answer whose body is still to be read; names of headers are in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


def refuse(answer: Answer, limits: Limits) -> None:
    status = answer.status
    if 200 <= status < 300 or status == 304:
        return
    wait = _asked_pause(answer.headers.get("retry-after", "")) if status in BUSY else 0
    say = SAYS.get(status, "").format(retries=limits.retries)
    if wait > limits.patience:
        say = f"the server asks to wait {wait:,.0f} s ({status}); come again then"
    elif not say and status >= 500:
        say = f"the server failed ({status}); try again later"
    say = say or f"the server answers {status}, which is no page; check the address"
    raise Failure(answer.url, say, status=status, again=status in BUSY, wait=wait)


def _asked_pause(text: str) -> float:
    """The seconds that a Retry-After header asks for, which may be a date."""
    if re.fullmatch(r"\s*\d{1,9}\s*", text):
        return max(0.01, float(text))
    try:
        return max(0.01, parsedate_to_datetime(text).timestamp() - time.time()) if text else 0
    except (ValueError, OverflowError):
        return 0


def bounded(chunks: Iterator[bytes], headers: Mapping[str, str], limits: Limits, url: str) -> Iterator[bytes]:
    size, said = 0, headers.get("content-length", "")
    large = f"over the limit of {bytes_shown(limits.size)}"
    if said.isdigit() and int(said) > limits.size:
        raise Failure(
            url, f"the answer has {bytes_shown(int(said))}, {large}; fetch it by other means and name the file"
        )
    for chunk in chunks:
        size += len(chunk)
        if size > limits.size:
            raise Failure(url, f"the answer is {large}; fetch it by other means and name the file")
        yield chunk


def bytes_shown(size: int) -> str:
    for unit, name in ((30, "GB"), (20, "MB"), (10, "KB")):
        if size >= 1 << unit:
            return f"{size / (1 << unit):.3g} {name}"
    return f"{size} bytes"


def decoded(chunks: Iterator[bytes], encoding: str, url: str) -> Iterator[bytes]:
    """The body without its transport compression, in pieces of bounded size."""
    kinds = [kind for kind in re.split(r"[,\s]+", encoding.lower()) if kind not in ("", "identity")]
    if not kinds:
        yield from chunks
        return
    if len(kinds) > 1 or kinds[0] not in ("gzip", "x-gzip", "deflate"):
        raise Failure(url, f"the answer is packed as '{encoding[:40]}', which was not asked for; report it to the site")
    unpack, seen = zlib.decompressobj(47), False
    try:
        for chunk in chunks:
            if not seen and kinds == ["deflate"] and not _has_zlib_head(chunk):
                unpack = zlib.decompressobj(-15)  # many servers mean this by deflate
            seen = seen or bool(chunk)
            while chunk:
                if unpack.eof:
                    unpack = zlib.decompressobj(47)
                yield unpack.decompress(chunk, 1 << 20)
                chunk = unpack.unconsumed_tail or unpack.unused_data
    except zlib.error:
        raise Failure(url, "the answer's compression is broken; try again later", again=True) from None
    if seen and not unpack.eof:
        raise Failure(url, "the compressed answer broke off; try again later", again=True)


def _has_zlib_head(chunk: bytes) -> bool:
    return len(chunk) > 1 and chunk[0] & 15 == 8 and int.from_bytes(chunk[:2]) % 31 == 0
