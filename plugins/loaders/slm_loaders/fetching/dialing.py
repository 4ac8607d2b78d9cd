"""Connections for HTTP: only to addresses that were checked, and never longer than a request may take.

A name is resolved here, every address it has is checked, and the connection is made to a checked address: a name that
changes its address in between gains nothing. Imported by functions only: it needs httpcore.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from time import monotonic
from typing import Any

import httpcore
from attrs import define, field, frozen

from slm.plugin import SlmError

NAT64 = IPv6Network("64:ff9b::/96")


class PrivateAddress(SlmError):
    """A name whose address is not on the public internet."""


@define
class Clock:
    """When the present request must be over; the streams look at it."""

    end: float = float("inf")

    def start(self, seconds: float) -> None:
        self.end = monotonic() + seconds

    def left(self, timeout: float | None) -> float:
        """The seconds to wait at most; httpcore's ReadTimeout where there are none left."""
        left = self.end - monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("over the total time")
        return left if timeout is None else min(left, timeout)


@frozen(eq=False)
class Stream(httpcore.NetworkStream):
    """A connection that keeps to the clock."""

    inner: httpcore.NetworkStream
    clock: Clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.inner.read(max_bytes, self.clock.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.inner.write(buffer, self.clock.left(timeout))

    def close(self) -> None:
        self.inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return Stream(self.inner.start_tls(ssl_context, server_hostname, self.clock.left(timeout)), self.clock)

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


@frozen(eq=False)
class Dialer(httpcore.NetworkBackend):
    """Makes the connections; `allowed` are networks that may be reached although they are not public."""

    clock: Clock
    allowed: tuple[IPv4Network | IPv6Network, ...] = ()
    plain: httpcore.NetworkBackend = field(factory=httpcore.SyncBackend)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failed: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self.addresses(host, port):
            try:
                left = self.clock.left(timeout)
                return Stream(self.plain.connect_tcp(address, port, left, local_address, socket_options), self.clock)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a name, IPv4 before IPv6; PrivateAddress where one of them may not be reached."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError:  # a part of the name is empty or too long
            raise socket.gaierror(socket.EAI_NONAME, "no such name") from None
        addresses = dict.fromkeys(str(place[0]) for _, _, _, _, place in sorted(found, key=lambda each: each[0]))
        for address in addresses:
            if not self.may_reach(address):
                raise PrivateAddress(address)
        return list(addresses)

    def may_reach(self, address: str) -> bool:
        """Whether an address is public, or in a network that is allowed."""
        ip = embedded(ip_address(address.partition("%")[0]))
        if any(ip.version == network.version and ip in network for network in self.allowed):
            return True
        return ip.is_global and not ip.is_multicast and not ip.is_reserved


def embedded(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address leads to (mapped, 6to4, Teredo, NAT64); else the address itself."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or ip
