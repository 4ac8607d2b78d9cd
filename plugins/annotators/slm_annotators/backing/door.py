"""Who may ask, and what they sent: the key or the host's name, and a body within bounds."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from binascii import Error
from collections.abc import Collection, Mapping
from hmac import compare_digest
from typing import Any

from slm_annotators.backing.refusals import Refused


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """The request's headers, names in lower case; of several the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def check_caller(headers: Mapping[str, str], key: str | None, hosts: Collection[str]) -> None:
    """Refused 401 without the right key; where none is asked, 403 unless the Host header names this machine."""
    if key is None:
        host = headers.get("host", "").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name in hosts or "*" in hosts:
            return
        raise Refused(403, f"host {name!r} is not served without a key; add it to serve.allowed_hosts, or set a key")
    sent = secret_of(headers.get("authorization", ""))
    if sent is not None and any(compare_digest(sent, each) for each in encodings(key)):
        return
    line = "send the server's key: as the password of Basic authentication, or in 'Authorization: Bearer KEY'"
    raise Refused(401, line, {"WWW-Authenticate": 'Basic realm="slm", charset="UTF-8"'})


def secret_of(authorization: str) -> bytes | None:
    """The key that was sent: a bearer token, or the password of Basic authentication; None for neither."""
    scheme, _, sent = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return sent.strip().encode("latin-1")
    if scheme.lower() != "basic":
        return None
    try:
        return b64decode(sent.strip(), validate=True).partition(b":")[2]
    except (Error, ValueError):
        return None


def encodings(key: str) -> list[bytes]:
    """The key's bytes as UTF-8, and in Latin-1 where it has them: so Python's `requests` sends passwords."""
    latin = all(ord(letter) < 256 for letter in key)
    return [key.encode(), key.encode("latin-1") if latin else key.encode()]


async def read(headers: Mapping[str, str], receive: Any, limit: int, patience: float) -> bytes | None:
    """The body of at most `limit` bytes, said to be JSON (what no web form can say); None where the client left."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "send JSON, with the header 'Content-Type: application/json'")
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limit:
        raise too_large(limit)
    try:
        async with asyncio.timeout(patience):
            return await collect(receive, limit)
    except TimeoutError:
        raise Refused(408, "the request's body did not arrive in time") from None


async def collect(receive: Any, limit: int) -> bytes | None:
    """The bytes of a body; None where the client left."""
    raw = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        raw += message.get("body", b"")
        if len(raw) > limit:
            raise too_large(limit)
        if not message.get("more_body", False):
            return bytes(raw)


def too_large(limit: int) -> Refused:
    """The refusal of a body over `limit` bytes."""
    return Refused(413, f"the request is larger than {limit:,} bytes; ask for fewer tasks at a time")


def parse(raw: bytes) -> dict[str, Any]:
    """The JSON object that was sent."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Refused(400, 'the body has to be a JSON object, such as {"tasks": [...]}')
    return found
