"""Addresses of the web: taken apart, joined, and shown without their secrets; and what fails at one."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from slm.plugin import SlmError, Source

LONGEST = 8000
"""Characters an address may have that a page or a server names."""


class Failure(SlmError):
    """What became of a request. `why` is the message without the address; `again` whether a repetition may help."""

    def __init__(self, url: str, why: str, *, status: int = 0, again: bool = False, wait: float = 0) -> None:
        super().__init__(f"{shown(url)}: {why}")
        self.url, self.why, self.status, self.again, self.wait = url, why, status, again, wait

    def redirected(self, start: str) -> Failure:
        """The same failure, said of the address that led here."""
        why = f"redirects to {shown(self.url)}: {self.why}"
        return Failure(start, why, status=self.status, again=self.again, wait=self.wait)


def shown(url: str) -> str:
    """The address as messages may name it."""
    return Source(url).shown


def parsed(url: str) -> Any:
    """The address in parts (httpx.URL); Failure for one that is none, or not of the web."""
    import httpx

    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        raise Failure(url, "is not an address of the web; check its host and characters") from None
    sound = re.fullmatch(rb"[\w.:-]+", parts.raw_host)
    if parts.scheme not in ("http", "https") or not sound or not 0 < (parts.port or 80) < 65536:
        raise Failure(url, "is not an address of the web; it needs https:// and a host")
    return parts


def joined(url: str, link: str) -> str:
    """The address that a link on a page leads to, without a user or password."""
    import httpx

    if len(link) > LONGEST:
        raise Failure(url, f"leads to an address of over {LONGEST:,} characters; check the address")
    try:
        return str(httpx.URL(url).join(link).copy_with(userinfo=b""))
    except (httpx.InvalidURL, UnicodeError):
        raise Failure(url, "leads to something that is not an address of the web; check the address") from None


def origin(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = parsed(url)
    return f"{parts.scheme}://{parts.host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def at_home(home: str, place: str) -> bool:
    """Whether credentials for `home` may go to `place`: the same origin, or its change to https on the usual ports."""
    secure = re.sub(r"^http://(.*):80$", r"https://\1:443", home)
    return place in (home, secure)


def login(url: str) -> dict[str, str]:
    """The header for the user and password that stand in an address."""
    parts = parsed(url)
    return basic(parts.username, parts.password) if parts.userinfo else {}


def basic(user: str, password: str) -> dict[str, str]:
    """The header for a user and a password."""
    return {"authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def stated_headers(lines: Iterable[str]) -> dict[str, str]:
    """The headers that are stated as `Name: value`."""
    parts = [line.partition(":") for line in lines]
    if wrong := [n for n, (name, colon, _) in enumerate(parts, start=1) if not colon or not name.strip()]:
        raise SlmError(f"headers: number {wrong[0]} is not of the form 'Name: value'; write it so")
    return {name.strip(): value.strip() for name, _, value in parts}
