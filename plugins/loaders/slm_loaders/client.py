"""Requests over HTTP: bounded in size and time, retried where that helps, redirects followed with care.

Every failure is one line that names the address, with its secrets hidden, and says what to do. Credentials go to the
host they were given for and to no other. Proxies of the environment are used only where private addresses are allowed:
behind a proxy nobody here can see which address a name leads to.
"""

from __future__ import annotations

import random
import re
import ssl
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import partial
from importlib.metadata import version
from ipaddress import ip_network
from socket import gaierror
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import field, frozen

from slm.plugin import SlmError, Source

if TYPE_CHECKING:
    from .dialing import Clock

T = TypeVar("T")
ANYWHERE = ("0.0.0.0/0", "::/0")
REDIRECTS = (301, 302, 303, 307, 308)
BUSY = (429, 502, 503, 504)
SAYS = {
    400: "the server can't understand the request (400); check the address and its parameters",
    401: "a login is wanted (401); state the right user and password, or token",
    403: "access is refused (403); check that the login may read it, and that the site allows programs",
    404: "there is no such page (404); check the address",
    410: "the page is gone (410); leave it out",
    429: "too many requests (429), still after {retries} retries; lower the rate or come again later",
}


class Failure(SlmError):
    """What became of a request. `why` is the message without the address; `again` whether a repetition may help."""

    def __init__(self, url: str, why: str, *, status: int = 0, again: bool = False, wait: float = 0) -> None:
        super().__init__(f"{shown(url)}: {why}")
        self.why, self.status, self.again, self.wait = why, status, again, wait


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


@frozen(eq=False)
class Page:
    """An answer that was read."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


@frozen(eq=False)
class Client:
    """Makes requests. `secret` headers go to `home` alone, the origin of the address that they were stated for."""

    pools: Mapping[str, Any]
    clock: Clock
    limits: Limits
    home: str = ""
    secret: Mapping[str, str] = field(factory=dict, repr=False)

    def get(
        self, url: str, headers: Mapping[str, str] | None = None, method: str = "GET", content: bytes | None = None
    ) -> Page:
        """The answer with its body; Failure for one that is no success (2xx, or 304 to a conditional request)."""
        return retried(lambda: self._page(url, headers, method, content), self.limits)

    def _page(self, url: str, headers: Mapping[str, str] | None, method: str, content: bytes | None) -> Page:
        with self.open(url, headers, method, content) as answer:
            return Page(answer.url, answer.status, answer.headers, b"".join(answer.chunks))

    @contextmanager
    def open(
        self, url: str, headers: Mapping[str, str] | None = None, method: str = "GET", content: bytes | None = None
    ) -> Iterator[Answer]:
        """One attempt at a request, redirects followed."""
        self.clock.start(self.limits.total)
        target, seen = url, {url}
        for _ in range(self.limits.redirects + 1):
            with self._sent(target, headers or {}, method, content) as answer:
                if answer.status not in REDIRECTS or not answer.headers.get("location"):
                    _refuse(answer, self.limits)
                    yield answer
                    return
                target = joined(target, answer.headers["location"])
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, content = "GET", None
            if target in seen:
                raise Failure(url, f"redirects in a circle, by {shown(target)}; check the address")
            seen.add(target)
        raise Failure(url, f"redirects more than {self.limits.redirects} times; check the address")

    @contextmanager
    def _sent(self, url: str, headers: Mapping[str, str], method: str, content: bytes | None) -> Iterator[Answer]:
        import httpcore

        parts = parsed(url)
        own = {"user-agent": f"slm/{version('slm-builder')}", "accept-encoding": "gzip, deflate", "accept": "*/*"}
        secret = self.secret if _at_home(self.home, origin(url)) else {}
        sent = {name.lower(): value for name, value in {**own, **headers, **secret}.items()}
        limits = self.limits
        timeouts = {"connect": limits.connect, "read": limits.read, "write": limits.read, "pool": limits.connect}
        target = httpcore.URL(scheme=parts.raw_scheme, host=parts.raw_host, port=parts.port, target=parts.raw_path)
        with (
            _clear(url),
            self._pool(parts).stream(
                method, target, headers=sent, content=content, extensions={"timeout": timeouts}
            ) as reply,
        ):
            found: dict[str, str] = {}
            for name, value in reply.headers:
                key, text = name.decode("latin-1").lower(), value.decode("latin-1")
                found[key] = f"{found[key]}, {text}" if key in found else text
            chunks = _decoded(reply.iter_stream(), "" if method == "HEAD" else found.get("content-encoding", ""), url)
            yield Answer(url, reply.status, found, _bounded(chunks, found, limits, url))

    def _pool(self, parts: Any) -> Any:
        from urllib.request import proxy_bypass

        if parts.host in ("localhost", "127.0.0.1", "::1") or proxy_bypass(parts.host):
            return self.pools[""]
        return self.pools.get(parts.scheme) or self.pools[""]


@contextmanager
def open_client(
    url: str,
    *,
    private: bool = False,
    allowed: tuple[str, ...] = (),
    secret: Mapping[str, str] | None = None,
    limits: Limits | None = None,
) -> Iterator[Client]:
    """A client for requests that begin at `url`, whose user and password, if it has them, it will send there.

    `allowed` are networks that may be reached although they are private; `private` allows all.
    """
    import httpx

    from .dialing import Clock, Dialer

    clock = Clock()
    dialer = Dialer(clock, tuple(ip_network(each) for each in (ANYWHERE if private else allowed)))
    pools = _pools(httpx.create_ssl_context(), dialer, proxied=private)
    sent = {**login(url), **(secret or {})}
    for name, value in sent.items():
        if re.search(r"[^\x20-\x7e\x80-\xff]", value) or not re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name, re.ASCII):
            raise SlmError(f"{shown(url)}: the header '{name}' holds characters that no header may have; check it")
    try:
        yield Client(pools, clock, limits or Limits(), origin(url), sent)
    finally:
        for pool in pools.values():
            pool.close()


def _pools(context: ssl.SSLContext, dialer: Any, *, proxied: bool) -> dict[str, Any]:
    from urllib.request import getproxies

    import httpcore

    pools: dict[str, Any] = {"": httpcore.ConnectionPool(context, network_backend=dialer, max_connections=4)}
    proxies = getproxies() if proxied else {}
    for scheme in ("http", "https"):
        if proxy := proxies.get(scheme) or proxies.get("all"):
            parts = parsed(proxy if "://" in proxy else f"http://{proxy}")
            place = httpcore.URL(scheme=parts.raw_scheme, host=parts.raw_host, port=parts.port, target=b"/")
            auth = (parts.username.encode(), parts.password.encode()) if parts.userinfo else None
            pools[scheme] = httpcore.HTTPProxy(place, auth, ssl_context=context, network_backend=dialer)
    return pools


def retried(attempt: Callable[[], T], limits: Limits) -> T:
    """What the attempt gives, made again after failures that may pass, after longer and longer pauses."""
    for n in range(limits.retries):
        try:
            return attempt()
        except Failure as failure:
            if not failure.again or failure.wait > limits.patience:
                raise
            time.sleep(failure.wait or min(30.0, 0.5 * 2**n) * random.uniform(0.5, 1.0))
    return attempt()


def shown(url: str) -> str:
    """The address as messages may name it."""
    return Source(url).shown


def parsed(url: str) -> Any:
    """The address in parts (httpx.URL); SlmError for one that is none, or not of the web."""
    import httpx

    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        raise SlmError(f"{shown(url)}: is not an address of the web; check its host and characters") from None
    if parts.scheme not in ("http", "https") or not parts.host or not 0 < (parts.port or 80) < 65536:
        raise SlmError(f"{shown(url)}: is not an address of the web; it needs https:// and a host")
    return parts


def joined(url: str, link: str) -> str:
    """The address that a link on a page leads to, without a user or password."""
    import httpx

    try:
        return str(httpx.URL(url).join(link).copy_with(userinfo=b""))
    except (httpx.InvalidURL, UnicodeError):
        raise Failure(url, "leads to something that is not an address of the web; check the address") from None


def origin(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = parsed(url)
    return f"{parts.scheme}://{parts.host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _at_home(home: str, place: str) -> bool:
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


def _refuse(answer: Answer, limits: Limits) -> None:
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


def _bounded(chunks: Iterator[bytes], headers: Mapping[str, str], limits: Limits, url: str) -> Iterator[bytes]:
    size, said = 0, headers.get("content-length", "")
    large = f"over the limit of {_bytes(limits.size)}"
    if said.isdigit() and int(said) > limits.size:
        raise Failure(url, f"the answer has {_bytes(int(said))}, {large}; fetch it by other means and name the file")
    for chunk in chunks:
        size += len(chunk)
        if size > limits.size:
            raise Failure(url, f"the answer is {large}; fetch it by other means and name the file")
        yield chunk


def _bytes(size: int) -> str:
    for unit, name in ((30, "GB"), (20, "MB"), (10, "KB")):
        if size >= 1 << unit:
            return f"{size / (1 << unit):.3g} {name}"
    return f"{size} bytes"


def _decoded(chunks: Iterator[bytes], encoding: str, url: str) -> Iterator[bytes]:
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


@contextmanager
def _clear(url: str) -> Iterator[None]:
    """Failures of the network in a user's words."""
    import httpcore

    from .dialing import PrivateAddress

    fail = partial(Failure, url)
    try:
        yield
    except PrivateAddress as error:
        raise fail(f"leads to a private address ({error}); set private = true if it is one of yours") from None
    except gaierror as error:
        raise fail(_lost_name(url), again=error.errno == -3) from None
    except httpcore.ConnectTimeout:
        raise fail("no connection in time; check the address and the network", again=True) from None
    except httpcore.TimeoutException:
        raise fail("the answer takes too long; try again later", again=True) from None
    except httpcore.ConnectError as error:
        raise _unconnected(error, url) from None
    except httpcore.ProxyError as error:
        raise fail(f"the proxy refuses ({str(error)[:80]}); check HTTPS_PROXY") from None
    except httpcore.NetworkError:
        raise fail("the connection broke; try again later", again=True) from None
    except (httpcore.ProtocolError, httpcore.UnsupportedProtocol):
        raise fail("the answer broke off or is not HTTP; check the address, or try again later", again=True) from None


def _lost_name(url: str) -> str:
    from urllib.request import getproxies

    proxies = "; proxies of the environment are used only with private = true" if getproxies() else ""
    return f"no host '{parsed(url).host}' was found; check the spelling and the network{proxies}"


def _unconnected(error: BaseException, url: str) -> Failure:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message.rstrip(".")
            return Failure(
                url, f"its certificate is not valid ({why}); check the address, or trust it by SSL_CERT_FILE"
            )
        if isinstance(cause, ssl.SSLError):
            return Failure(url, "no secure connection could be made; check the address, its port and https")
        if isinstance(cause, ConnectionRefusedError):
            return Failure(url, "the connection is refused; check host and port, and that the server runs", again=True)
        cause = cause.__cause__ or cause.__context__
    return Failure(url, "no connection could be made; check the address and the network", again=True)
