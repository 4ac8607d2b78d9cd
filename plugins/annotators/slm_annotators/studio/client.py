"""Requests to a Label Studio server over its HTTP interface.

The SDK is not used for this: it sends imports again by itself, which makes tasks twice; its models do not fit the
server's answers; and importing it costs more time than a whole `slm annotate status`. Here only what can't do harm is
sent again: GET, where a failure may pass, and what was refused for a stale access token.
"""

from __future__ import annotations

import json
import os
import random
import ssl
import time
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from slm.plugin import SlmError

from .errors import Refusal, is_locked, refusal, shown, unreached
from .keys import is_personal, lifetime

RETRIES = 4
BUSY = (429, 502, 503, 504)
PATIENCE = 60.0
"""Seconds that a server may ask to wait for."""
CONNECT = 10.0
EARLY = 60.0
"""Seconds before an access token's end at which a new one is asked for."""


@frozen
class Ask:
    """A request; `what` says in an error what was being done."""

    method: str
    path: str
    what: str
    params: Mapping[str, Any]
    content: bytes | None = field(default=None, repr=False)
    timeout: float | None = None


@define(eq=False)
class Client:
    """The way to one server. `met` says whether it has answered before, `clock` the time it told last and `size` the
    bytes of its last answer; `access` is good until `due`."""

    url: str
    key: str = field(repr=False)
    http: Any = field(repr=False)
    met: bool = False
    access: str = field(default="", repr=False)
    due: float = 0.0
    clock: str = ""
    size: int = 1

    def get(self, path: str, what: str, **params: Any) -> Any:
        """The JSON at a path; asked for again after failures that may pass."""
        ask, pause = Ask("GET", path, what, params), 0.5
        for left in range(RETRIES, -1, -1):
            try:
                return self._told(self._allowed(ask), ask)
            except Refusal as failure:
                wait = self._pause(failure, pause)
                if wait is None or not left:
                    raise
            time.sleep(wait)
            pause *= 2
        raise AssertionError("the last attempt gives or raises")

    def send(
        self, method: str, path: str, what: str, body: Any = None, *, timeout: float | None = None, **params: Any
    ) -> Any:
        """The JSON that answers a change; sent once."""
        try:
            content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode() if body is not None else None
        except ValueError as error:
            raise SlmError(f"{self.url}: {what}: can't be written as JSON ({error}); mend the data") from None
        ask = Ask(method, path, what, params, content, timeout)
        return self._told(self._allowed(ask), ask)

    def close(self) -> None:
        self.http.close()

    def _pause(self, failure: Refusal, pause: float) -> float | None:
        """The seconds after which a GET may do better; None where it won't."""
        if failure.wait > PATIENCE:
            return None
        again = failure.status in BUSY or failure.unsaid or is_locked(failure.detail) or (failure.broke and self.met)
        return (failure.wait or pause * random.uniform(0.5, 1.0)) if again else None

    def _allowed(self, ask: Ask) -> Any:
        """The answer, with a new access token where the old one was refused."""
        reply = self._sent(ask, self._authorization())
        if reply.status_code == 401 and self.access:
            self.access = ""
            reply = self._sent(ask, self._authorization())
        return reply

    def _sent(self, ask: Ask, authorization: str) -> Any:
        import httpx

        headers = {"content-type": "application/json"} | ({"authorization": authorization} if authorization else {})
        limits = {} if ask.timeout is None else {"timeout": httpx.Timeout(ask.timeout, connect=CONNECT)}
        given = {"params": dict(ask.params)} if ask.params else {}
        try:
            reply = self.http.request(
                ask.method, self.url + ask.path, headers=headers, content=ask.content, **given, **limits
            )
        except httpx.RequestError as error:
            raise unreached(self.url, ask.what, error) from None
        self.met, self.size = True, len(reply.content) or 1
        self.clock = reply.headers.get("date", "")
        return reply

    def _told(self, reply: Any, ask: Ask) -> Any:
        if not 200 <= reply.status_code < 300:
            raise refusal(self.url, ask.what, reply, is_personal(self.key))
        if reply.status_code == 204 or not reply.content:
            return None
        try:
            return reply.json()
        except ValueError:
            kind = reply.headers.get("content-type", "no type").partition(";")[0]
            raise Refusal(f"{self.url}: {ask.what}: the answer is not Label Studio's ({kind}); check url") from None

    def _authorization(self) -> str:
        if not is_personal(self.key):
            return f"Token {self.key}"
        if not self.access or time.monotonic() > self.due:
            ask = Ask("POST", "/api/token/refresh/", "logging in", {}, json.dumps({"refresh": self.key}).encode())
            told = self._told(self._sent(ask, ""), ask)
            if not isinstance(told, dict) or not isinstance(told.get("access"), str):
                raise Refusal(f"{self.url}: {ask.what}: the answer is not Label Studio's; check url")
            self.access = told["access"]
            self.due = time.monotonic() + max(lifetime(self.access) - EARLY, 30.0)
        return f"Bearer {self.access}"


def open_client(url: str, key: str, verify: bool | str, timeout: float, folder: Path) -> Client:
    """A client for the server at `url`; a path in `verify` is relative to `folder`."""
    import httpx

    parts = checked_url(url)
    secure = parts.scheme == "https"
    # The server that Label Studio brings along answers in two pieces, and on a kept connection the second waits 40 ms
    # for the first to be acknowledged: 60 ms a request against 17 on a fresh one. Behind TLS others serve.
    headers = {"user-agent": f"slm/{version('slm-builder')}", "accept": "application/json"}
    headers |= {} if secure else {"connection": "close"}
    http = httpx.Client(
        verify=trusted(verify, folder) if secure else False,
        headers=headers,
        timeout=httpx.Timeout(timeout, connect=CONNECT),
        cookies=CookieJar(
            DefaultCookiePolicy(allowed_domains=[])
        ),  # a session's cookie would be asked for its CSRF token
        trust_env=parts.host not in ("localhost", "127.0.0.1", "::1"),
    )
    return Client(str(parts).rstrip("/"), key, http)


def checked_url(url: str) -> Any:
    """The address (httpx.URL); SlmError for what is none, and for that of a page."""
    import httpx

    try:
        parts = httpx.URL(url.strip())
    except httpx.InvalidURL:
        raise SlmError(f"url: {shown(url)!r} is not an address; write it as http://127.0.0.1:8080") from None
    if parts.scheme not in ("http", "https") or not parts.host:
        raise SlmError(f"url: {shown(url)!r} is not an address; write it as http://127.0.0.1:8080")
    if parts.userinfo:
        raise SlmError(f"url: {shown(url)!r} has a login in it, which would take the key's place; leave it out")
    for page in ("/projects", "/user/", "/api"):
        if page in parts.path:
            start = str(parts.copy_with(raw_path=(parts.path.partition(page)[0] or "/").encode()))
            raise SlmError(f"url: names a page of Label Studio; write where it starts, {start}")
    return parts.copy_with(query=None, fragment=None)


def trusted(verify: bool | str, folder: Path) -> Any:
    """What checks the server's certificate."""
    import httpx

    if verify is False:
        return httpx.create_ssl_context(verify=False)
    file = folder / Path(verify).expanduser() if isinstance(verify, str) else None
    try:
        return ssl.create_default_context(cafile=file) if file else httpx.create_ssl_context()
    except (OSError, ssl.SSLError):
        named = f"verify: {verify}" if file else f"SSL_CERT_FILE: {os.environ.get('SSL_CERT_FILE', '')}"
        raise SlmError(f"{named}: can't be read as certificates; name a PEM file") from None
