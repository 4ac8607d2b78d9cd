"""A request's body: read within bounds, and its fields taken out one by one with a clear word for each mistake."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

from attrs import frozen
from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from slm_servers.errors import ApiError

PATIENCE = 30.0  # seconds in which the body has to arrive


async def read(scope: Scope, receive: Receive, limit: int) -> Fields | None:
    """The JSON object that was sent; None where the client left before its end."""
    headers = Headers(scope=scope)
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "send JSON, with the header 'Content-Type: application/json'")
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limit:
        raise too_large(limit)
    try:
        async with asyncio.timeout(PATIENCE):
            raw = await collect(receive, limit)
    except TimeoutError:
        raise ApiError(408, "the request's body did not arrive in time") from None
    return None if raw is None else parse(raw)


async def collect(receive: Receive, limit: int) -> bytes | None:
    """The bytes of a body of at most `limit`; None where the client left."""
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


def too_large(limit: int) -> ApiError:
    """The refusal of a body over `limit` bytes."""
    return ApiError(413, f"the request is larger than {limit:,} bytes; send less", code="request_too_large")


def parse(raw: bytes) -> Fields:
    """The fields of a JSON object."""

    def refuse(word: str) -> NoReturn:
        raise ValueError(f"{word} is not JSON")

    try:
        found = json.loads(raw, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ApiError(400, 'the body has to be a JSON object, such as {"model": ...}')
    return Fields(found)


@frozen
class Fields:
    """A JSON object whose values are checked as they are taken; `null` is the same as nothing."""

    values: Mapping[str, Any]
    place: str = ""

    def wrong(self, name: str, wanted: str) -> ApiError:
        """What is said of a field that is not what it has to be."""
        shown = json.dumps(self.values.get(name))
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        return ApiError(400, f"{self.place}{name}: expected {wanted}, got {shown}", param=f"{self.place}{name}")

    def get(self, name: str) -> Any:
        """The value, whatever it is."""
        return self.values.get(name)

    def check(self, used: Collection[str], ignored: Collection[str], neutral: Mapping[str, list[Any]]) -> None:
        """Refuse fields that are unknown, and those of `neutral` that ask for more than their harmless values."""
        for name, value in self.values.items():
            if value is None or name in used or name in ignored or value in neutral.get(name, ()):
                continue
            if name in neutral:
                what = f"{name}: this server does not support it; leave it out"
                raise ApiError(400, what, name, "unsupported_parameter")
            near = get_close_matches(name, [*used, *neutral], 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ApiError(400, f"{name}: unknown parameter{hint}", name, "unknown_parameter")

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A finite number from `low` to `high`."""
        value = self.get(name)
        if value is None:
            return default
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        if not fits or not math.isfinite(value) or not low <= value <= high:
            raise self.wrong(name, f"a number from {low:g} to {high:g}")
        return float(value)

    def integer(self, name: str, low: int) -> int | None:
        """A whole number of at least `low` and at most 64 bits."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value < 1 << 63:
            raise self.wrong(name, f"a whole number from {low}" if low > -(1 << 63) else "a whole number")
        return value

    def flag(self, name: str) -> bool:
        """true or false; false where it is not said."""
        value = self.get(name)
        if value not in (None, True, False) or (isinstance(value, int) and not isinstance(value, bool)):
            raise self.wrong(name, "true or false")
        return bool(value)

    def text(self, name: str, wanted: str = "a text") -> str:
        """A text that UTF-8 can write: half of a surrogate pair is refused."""
        value = self.get(name)
        if not isinstance(value, str):
            raise self.wrong(name, wanted)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise self.wrong(name, "a text without halves of surrogate pairs") from None
        return value

    def texts(self, name: str, limit: int, wanted: str = "a text or a list of texts") -> tuple[str, ...]:
        """A text or a list of at most `limit` texts, as a tuple; () where it is not said."""
        value = self.get(name)
        if value is None:
            return ()
        if isinstance(value, list) and len(value) > limit:
            raise ApiError(400, f"{self.place}{name}: at most {limit} are allowed, got {len(value)}", param=name)
        if isinstance(value, list):
            fields = Fields({f"{name}[{n}]": each for n, each in enumerate(value)}, self.place)
            return tuple(fields.text(each) for each in fields.values)
        return (self.text(name, wanted),)
