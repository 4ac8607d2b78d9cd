"""Personal data that is known by its form: e-mail, URLs with secrets, addresses of machines and of wallets."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from attrs import frozen

GUESS, FORM, CHECKED = 1, 2, 3

AT, DOT = r"(?:@|\s?[\[(]\s?at\s?[\])]\s?)", r"(?:\.|\s?[\[(]\s?dot\s?[\])]\s?)"
EMAIL = re.compile(
    rf"(?<![\w%+-])\w(?:[\w.%+&-]|(?<=[^\W\d_])'(?=[^\W\d_])){{0,63}}{AT}"
    rf"(?:[^\W_](?:[\w-]{{0,61}}[^\W_])?{DOT}){{1,8}}[^\W\d_](?:[\w-]{{0,22}}[^\W_])",
    re.IGNORECASE,
)
AROUND = re.compile(r"@|[\[(]\s?at\s?[\])]", re.IGNORECASE)
URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://[^\s<>\"'`\\^{|}\[\]]+(?:\[[0-9a-f:.]+\][^\s<>\"'`]*)?", re.IGNORECASE)
LOGIN = re.compile(r"://[^/?#\s@:]*:([^/?#\s@]+)@")
QUERY = re.compile(
    r"[?&;#](?:[\w.-]*(?:token|secret|passw(?:or)?d|pwd|apikey|api[_-]key|access[_-]?key|signature|credential|auth)"
    r"[\w.-]*|key|sig|code|jwt|sid|session(?:id)?|x-amz-[\w-]+)=([^&#\s]{6,})",
    re.IGNORECASE,
)
HOLE = re.compile(
    r"^(?:[<\[{$*].*|x+|\.+|your.*|example|\[?redacted\]?|none|null|true|false|password|secret|token)$", re.I
)

IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d|-\d)")
IPV6 = re.compile(r"(?<![\w:.])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?::?(?:\d{1,3}\.){3}\d{1,3})?(?![\w:]|\.\d)", re.I)
VERSION = re.compile(
    r"(?:\b(?:v|ver|version|release|build|rev|revision|section|chapter|clause|table|fig(?:ure)?|step|article|appendix|ec|§|oid)\.?\s*[:=]?\s*|[a-z]/|==\s?|>=\s?|[a-z]-)$",
    re.I,
)
MAC = re.compile(
    r"(?<![\w:-])(?:[0-9a-f]{2}([:-]))(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}(?![\w:-])|(?<![\w.])(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}(?![\w.])",
    re.I,
)
DOTTED = re.compile(r"[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}\.")
WALLET = re.compile(r"(?<!\w)(?:0x[0-9a-fA-F]{40}|bc1[ac-hj-np-z02-9]{11,71}|[13][1-9A-HJ-NP-Za-km-z]{25,34})(?!\w)")


@frozen
class Found:
    """A stretch of a text that is personal: where, of which kind, and how sure: a guess by the words beside it, a form
    of its own, or a checksum."""

    start: int
    end: int
    kind: str
    certainty: int = FORM


Finder = Callable[[str], Iterable[Found]]


def emails(text: str) -> Iterator[Found]:
    """E-mail addresses, also as `name [at] host [dot] org`."""
    if AROUND.search(text):
        for match in EMAIL.finditer(text):
            if ".." not in match[0]:
                yield Found(match.start(), match.end(), "email")


def urls(text: str) -> Iterator[Found]:
    """URLs that carry a password or a token; another URL is nobody's secret."""
    if "://" not in text:
        return
    for match in URL.finditer(text):
        url = match[0].rstrip(".,;:!?)")
        secrets = [*LOGIN.findall(url), *QUERY.findall(url)]
        if any(not HOLE.match(secret) for secret in secrets):
            yield Found(match.start(), match.start() + len(url), "url")


def addresses(text: str) -> Iterator[Found]:
    """IP addresses; not version numbers, and none that every machine has (loopback, masks)."""
    if text.count(".") >= 3:
        for match in IPV4.finditer(text):
            if not VERSION.search(text, max(0, match.start() - 14), match.start()) and _ipv4(match[0]):
                yield Found(match.start(), match.end(), "ip")
    if text.count(":") >= 2:
        for match in IPV6.finditer(text):
            if _ipv6(match[0]):
                yield Found(match.start(), match.end(), "ip")


def _ipv4(text: str) -> bool:
    try:
        address = IPv4Address(text)
    except AddressValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or text.startswith(("255.", "0.")))


def _ipv6(text: str) -> bool:
    """Whether it is one of a machine: `a::b` in a program is not."""
    try:
        address = IPv6Address(text)
    except AddressValueError:
        return False
    if address.is_loopback or address.is_unspecified:
        return False
    if address.ipv4_mapped:
        return True
    first = text.partition(":")[0]
    return "::" not in text or (len(first) >= 3 and (any(c.isdigit() for c in first) or first[:2].lower() in _LOCAL))


_LOCAL = ("fe", "fc", "fd", "ff")


def hardware_addresses(text: str) -> Iterator[Found]:
    """MAC addresses; not the one of everybody, and not of nobody."""
    if text.count(":") >= 5 or text.count("-") >= 5 or (text.count(".") >= 2 and DOTTED.search(text)):
        for match in MAC.finditer(text):
            if len(set(re.sub(r"\W", "", match[0]).lower())) > 1:
                yield Found(match.start(), match.end(), "mac")


def wallets(text: str) -> Iterator[Found]:
    """Addresses of Bitcoin (by their checksum) and of Ethereum."""
    for match in WALLET.finditer(text):
        if match[0].startswith("0x") or _bitcoin(match[0]):
            yield Found(match.start(), match.end(), "wallet", CHECKED)


def _bitcoin(text: str) -> bool:
    from stdnum import bitcoin

    return bool(bitcoin.is_valid(text))


def without_overlaps(found: Iterable[Found]) -> list[Found]:
    """The finds in the text's order; where some overlap the longest stays, a guess before nothing else."""
    kept: list[Found] = []
    starts: list[int] = []
    for each in sorted(found, key=lambda f: (f.certainty == GUESS, f.start - f.end, -f.certainty, f.start)):
        n = bisect_left(starts, each.end)
        if n == 0 or kept[n - 1].end <= each.start:
            starts.insert(n, each.start)
            kept.insert(n, each)
    return kept
