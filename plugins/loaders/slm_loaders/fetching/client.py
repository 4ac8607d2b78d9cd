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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from ipaddress import ip_network
from socket import gaierror
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import field, frozen

from slm.plugin import SlmError

from .addresses import Failure, at_home, joined, login, origin, parsed, shown
from .answers import Answer, Limits, bounded, decoded, refuse

if TYPE_CHECKING:
    from .dialing import Clock

T = TypeVar("T")
ANYWHERE = ("0.0.0.0/0", "::/0")
REDIRECTS = (301, 302, 303, 307, 308)


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
            try:
                with self._sent(target, headers or {}, method, content) as answer:
                    if answer.status not in REDIRECTS or not answer.headers.get("location"):
                        refuse(answer, self.limits)
                        yield answer
                        return
                    target = joined(target, answer.headers["location"])
            except Failure as failure:
                raise failure if failure.url == url else failure.redirected(url) from None
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
        secret = self.secret if at_home(self.home, origin(url)) else {}
        named = {name.lower(): value for name, value in {**own, **headers, **secret}.items()}
        sent = [(name.encode("ascii"), value.encode("latin-1")) for name, value in named.items()]
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
            chunks = decoded(reply.iter_stream(), "" if method == "HEAD" else found.get("content-encoding", ""), url)
            yield Answer(url, reply.status, found, bounded(chunks, found, limits, url))

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
    try:
        context = httpx.create_ssl_context()
    except OSError:
        raise SlmError("SSL_CERT_FILE: can't be read as certificates; name a PEM file, or unset it") from None
    pools = _pools(context, dialer, proxied=private)
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
