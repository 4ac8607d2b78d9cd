"""Stand-ins for personal data: the same value gives the same one, everywhere and always, and none is anybody's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b

CARD_PREFIXES = {12: "676770", 13: "400000", 14: "305693", 15: "378282", 16: "400000", 19: "400000"}
IPV4_DOCUMENTATION = ("192.0.2.", "198.51.100.", "203.0.113.")
NANP = re.compile(r"(?:\+?0{0,2}(1)\D{0,2})?\(?([2-9]\d\d)\D{0,2}\d{3}\D?\d{4}$")
EXTENSION = re.compile(r"\s*(?:x|ext\.?|extension|durchwahl|poste|anexo)\s?\d+$", re.IGNORECASE)


def stand_in(kind: str, value: str, salt: str) -> str:
    """What stands for a value of this kind: drawn by a keyed hash of the value, written as the value is written."""
    draw = Draw(kind, _same(kind, value), salt)
    return MAKERS.get(kind, _named)(value, draw)


def _same(kind: str, value: str) -> str:
    """The value without what does not tell two of its kind apart: spaces and dashes, case."""
    if kind == "phone":
        return re.sub(r"\D", "", EXTENSION.sub("", value))[-9:]  # with or without a country's code
    if kind in ("card", "iban", "national_id", "mac"):
        return re.sub(r"[\W_]", "", value).upper()
    return value.casefold() if kind in ("email", "ip", "person", "location", "group") else value


class Draw:
    """Endless digits and letters that a value and a salt decide."""

    def __init__(self, kind: str, value: str, salt: str) -> None:
        key = blake2b(salt.encode(), digest_size=32).digest()
        digest = blake2b(f"{kind}\x1f{value}".encode("utf-8", "surrogatepass"), key=key, digest_size=64).digest()
        self.kind, self.number = kind, int.from_bytes(digest, "big")

    def below(self, limit: int) -> int:
        """The next number from 0 up to, and without, `limit`."""
        self.number, found = divmod(self.number, limit)
        return found

    def digits(self, count: int) -> str:
        return "".join(str(self.below(10)) for _ in range(count))

    def hexadecimal(self, count: int) -> str:
        return "".join("0123456789abcdef"[self.below(16)] for _ in range(count))


def _email(value: str, draw: Draw) -> str:
    return f"user-{draw.hexadecimal(10)}@example.org"


def _phone(value: str, draw: Draw) -> str:
    """Of numbers for use in fiction: 555-01xx in North America, 07700 900xxx in Britain; elsewhere 555 and random
    digits behind the country code or the zero, for which no range is reserved."""
    number = EXTENSION.sub("", value)
    digits = re.sub(r"\D", "", number)
    if match := NANP.match(number.strip()):
        made = digits[: len(digits) - 10] + f"{2 + draw.below(8)}{draw.digits(2)}55501{draw.digits(2)}"
    elif match := re.match(r"(?:00)?44(?:0)?7|07", digits):
        made = digits[: match.end() - 1] + "7700900" + draw.digits(max(3, len(digits) - match.end() - 6))
    else:
        head = _prefix(number, digits)
        made = head + "555" + draw.digits(len(digits))
    return _into(number, made)


def _prefix(number: str, digits: str) -> str:
    """The country code or the zeros before the number, which stay."""
    zeros = digits[: len(digits) - len(digits.lstrip("0"))]
    if not number.lstrip("(").startswith("+") and zeros != "00":
        return zeros[:1]
    import phonenumbers

    try:
        code = str(phonenumbers.parse(f"+{digits.lstrip('0')}").country_code)
    except phonenumbers.NumberParseException:
        code = digits.lstrip("0")[:2]
    return zeros + code + ("0" if "(0)" in number else "")


def _card(value: str, draw: Draw) -> str:
    from .accounts import luhn

    length = len(re.sub(r"\D", "", value))
    head = CARD_PREFIXES.get(length, "400000")
    body = head + draw.digits(length - len(head) - 1)
    return _into(value, next(body + str(n) for n in range(10) if luhn(body + str(n))))


def _iban(value: str, draw: Draw) -> str:
    from stdnum import iban

    old = re.sub(r"[\W_]", "", value).upper()
    bban = "".join("TEST"[n % 4] if c.isalpha() else str(draw.below(10)) for n, c in enumerate(old[4:]))
    return _into(value, old[:2] + iban.calc_check_digits(f"{old[:2]}00{bban}") + bban)


def _national(value: str, draw: Draw) -> str:
    """Of the same form, and given to nobody: its checksum is wrong; a US number begins with 9 and has a group 00."""
    if re.fullmatch(r"\d{3}-\d{2}-\d{4}", value):
        return f"9{draw.digits(2)}-00-{draw.digits(4)}"
    from .national import national_ids

    for _ in range(20):
        made = _scrambled(value, draw)
        if made != value and not list(national_ids(made)):
            return made
    return re.sub(r"\w", "0", value)


def _scrambled(value: str, draw: Draw) -> str:
    """Other digits for the digits, other letters for the letters."""
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    return "".join(str(draw.below(10)) if c.isdigit() else letters[draw.below(24)] if c.isalpha() else c for c in value)


def _ip(value: str, draw: Draw) -> str:
    """Of the ranges for documentation: RFC 5737 and RFC 3849."""
    if ":" not in value:
        return IPV4_DOCUMENTATION[draw.below(3)] + str(1 + draw.below(254))
    return "2001:db8:" + ":".join(draw.hexadecimal(4) for _ in range(6))


def _mac(value: str, draw: Draw) -> str:
    """Of the range for documentation: RFC 7042."""
    return _into(value, "00005e0053" + draw.hexadecimal(2))


def _url(value: str, draw: Draw) -> str:
    return f"{value.partition('://')[0]}://example.org/{draw.hexadecimal(12)}"


def _secret(value: str, draw: Draw) -> str:
    return f"EXAMPLE{draw.hexadecimal(max(8, min(len(value), 40) - 7))}"


def _wallet(value: str, draw: Draw) -> str:
    if value.startswith("0x"):
        return "0x" + draw.hexadecimal(40)
    return value[:2] + "EXAMPLE" + draw.hexadecimal(max(8, len(value) - 9))


def _named(value: str, draw: Draw) -> str:
    """A name that says what it stands for."""
    return f"{draw.kind.capitalize()}-{draw.hexadecimal(6)}"


def _into(shape: str, characters: str) -> str:
    """The characters in the places of the letters and digits of a text, in its case."""
    rest = iter(characters)
    made = "".join((next(rest, "") if c.isalnum() else c) for c in shape)
    return made.lower() if shape.islower() else made


MAKERS: Mapping[str, Callable[[str, Draw], str]] = {
    "email": _email,
    "phone": _phone,
    "card": _card,
    "iban": _iban,
    "national_id": _national,
    "ip": _ip,
    "mac": _mac,
    "url": _url,
    "secret": _secret,
    "wallet": _wallet,
}
