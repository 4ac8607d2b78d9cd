"""What Label Studio and the network answer when they refuse, in a user's words."""

from __future__ import annotations

import json
import re
import ssl
from typing import Any

from slm.plugin import SlmError

LONGEST = 300
AGAIN = "run it again: what is there is asked for first"
REFUSED = (400, 401, 403, 404, 405, 406, 411, 413, 414, 415, 422, 431)
"""Answers behind which nothing was done. Not 408, 409, 425 and 429, which a proxy may give while the server is at work.
"""


class Refusal(SlmError):
    """A request that came to nothing. `status` is the server's answer, 0 where there was none; `wait` the seconds that
    it asks for; `broke` whether the connection did; `unsaid` whether the server failed without a reason, as it does
    where its SQLite database is locked before the request is looked at; `undone` whether it surely did nothing: it was
    never reached, or refused."""

    def __init__(
        self, text: str, status: int = 0, detail: str = "", wait: float = 0, broke: bool = False, unsent: bool = False
    ) -> None:
        super().__init__(text)
        self.status, self.detail, self.wait, self.broke = status, detail, wait, broke
        self.unsaid = status == 500 and not detail
        self.undone = unsent or (status in REFUSED and not is_locked(detail))


def refusal(place: str, what: str, reply: Any, personal: bool) -> Refusal:
    """The error for an answer (httpx.Response) that is no success; `what` was being done."""
    status, detail = reply.status_code, detail_of(reply)
    asked = reply.headers.get("retry-after", "")
    wait = float(asked) if asked.isascii() and asked.isdigit() else 0.0
    return Refusal(f"{place}: {what}: {_say(status, detail, reply, personal)}", status, detail, wait)


def _say(status: int, detail: str, reply: Any, personal: bool) -> str:
    told = f": {detail}" if detail else ""
    if status in (301, 302, 303, 307, 308):
        return _moved(reply.headers.get("location", ""))
    if is_locked(detail):
        return f"its SQLite database is locked by other work; {AGAIN}; for several writers it needs PostgreSQL"
    if status == 401:
        return _unknown(detail, personal)
    if status == 403:
        return f"the key's owner has no right to do this (403{told}); ask for it, or take another key"
    if status == 413:
        return "one task is larger than the server takes (413); raise the limit of the proxy before it, or leave it out"
    if status in (502, 503, 504):
        return f"the server is away, says the proxy before it ({status}); {AGAIN}"
    if status == 429:
        return f"too many requests (429); wait a little, then {AGAIN}"
    if status == 404:
        return f"there is no such thing (404{told}); it may have been deleted, or url is not Label Studio's"
    if status >= 500 and not detail:
        return f"the server failed ({status}); perhaps its SQLite database is locked by other work; {AGAIN}"
    if status >= 500:
        return f"the server failed ({status}{told}); its log says why; {AGAIN}"
    return f"the server refuses ({status}{told})"


def _unknown(detail: str, personal: bool) -> str:
    if "legacy token" in detail:
        return "key: this server has switched off legacy tokens; take a personal access token from Account & Settings"
    if personal:
        return "key: this personal access token has expired or was revoked; make a new one in Account & Settings"
    return "key: the server does not know this key (401); take the one that Account & Settings shows now"


def _moved(where: str) -> str:
    if "login" in where:
        return "it answers with its login page; url has to be where Label Studio's interface is"
    return f"the server redirects to {shown(where.partition('?')[0])}; set url to where Label Studio is"


def is_locked(detail: str) -> bool:
    return "database is locked" in detail or "multiple transactions" in detail


def detail_of(reply: Any) -> str:
    """What an answer says of its reason, in a line."""
    try:
        body = reply.json()
    except ValueError:
        return ""
    if not isinstance(body, dict):
        return line(json.dumps(body))
    wrong = body.get("validation_errors") or {key: body[key] for key in body if key not in ENVELOPE}
    told = [str(body["detail"])] if body.get("detail") and body["detail"] != "Validation error" else []
    said = [f"{key}: {_flat(value)}" if key != "non_field_errors" else _flat(value) for key, value in wrong.items()]
    return line("; ".join([*told, *said]))


ENVELOPE = ("id", "status_code", "version", "detail", "exc_info", "code", "messages", "display_context")


def _flat(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def line(text: str) -> str:
    """A text as one line of bounded length."""
    text = " ".join(re.sub(r"<[^>]*>", "", text).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def shown(url: str) -> str:
    """An address without the login that may stand in it."""
    return re.sub(r"(?<=://)[^/@]*@", "***@", url)


def unreached(place: str, what: str, error: Exception) -> Refusal:
    """The error for a request that got no answer (httpx.TransportError)."""
    import httpx

    slow = isinstance(error, httpx.TimeoutException)
    broke = not slow and not any(isinstance(each, ssl.SSLError) for each in causes(error))
    unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)
    return Refusal(f"{place}: {what}: {_why(error)}", broke=broke, unsent=unsent)


def _why(error: Exception) -> str:
    import httpx

    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _distrusted(cause)
        if isinstance(cause, ssl.SSLError):
            return "no secure connection could be made; if the server speaks plain HTTP, url begins with http://"
        if isinstance(cause, ConnectionRefusedError):
            return "nothing answers there; start Label Studio, or set url to where it runs"
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection in time; check url and the network"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer in time; raise timeout, then {AGAIN}"
    if isinstance(error, httpx.ConnectError):
        return "no connection could be made; check the host in url, and the network"
    if isinstance(error, httpx.ProxyError):
        return f"the proxy refuses ({line(str(error))}); check HTTPS_PROXY and NO_PROXY"
    return f"the connection broke; {AGAIN}"


def causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _distrusted(error: ssl.SSLCertVerificationError) -> str:
    why = error.verify_message.rstrip(".")
    if "expired" in why:
        return f"its certificate is not valid ({why}); it has to be renewed there"
    if "mismatch" in why or "not valid for" in why:
        return f"its certificate is another host's ({why}); set url to the name that it is for"
    return f'its certificate is not trusted ({why}); name the file of its authority as verify = "ca.pem"'
