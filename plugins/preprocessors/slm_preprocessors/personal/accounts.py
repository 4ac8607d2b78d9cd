"""Numbers of cards and of bank accounts: their prefixes, their lengths and their checksums."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from .patterns import CHECKED, Found

CARD = re.compile(r"(?<![\w.+#-])(?<!\d[ .-])\d(?:[ \u00a0\u202f-]?\d){11,18}(?![\w]|[.,-]\d| \d)")
NAMED = re.compile(
    r"\b(?:cards?|cc|credit|debit|visa|master ?card|maestro|amex|american express|diners|jcb|discover|unionpay|pan"
    r"|(?:kredit|bank|giro|ec)?karten?(?:nummer)?|cartes?|tarjetas?|cart[aã]o|carta|kort)\b|卡|カード",
    re.IGNORECASE,
)
PREFIXES = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|09|[689]\d)\d{11,16}|(?:2131|1800)\d{11}|35(?:2[89]|[3-8]\d)\d{12,15}"
    r"|(?:6011|64[4-9]\d|65\d{2})\d{12,15}|62\d{14,17}|220[0-4]\d{12,15}"
    r"|(?:50[0-9]{2}|5[6-8]\d{2}|6[0-9]{3})\d{8,15}"
)
IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ \u00a0.-]?[A-Z0-9]){11,30}(?![A-Za-z0-9])", re.IGNORECASE)
APART = re.compile(r"[^A-Za-z0-9]")


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1)."""
    odd = sum(map(int, digits[-1::-2]))
    even = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (odd + even) % 10 == 0


def cards(text: str) -> Iterator[Found]:
    """Payment cards: Luhn, and a known prefix and length or a word such as "card" beside it.

    Numbers of 12, 13 and 19 digits in one piece always need the word: one in ten of any such numbers passes Luhn.
    """
    for match in CARD.finditer(text):
        digits = APART.sub("", match[0])
        if len(set(digits)) == 1 or not luhn(digits):
            continue
        grouped = _grouped(match[0])
        if grouped is None:
            continue
        known = PREFIXES.fullmatch(digits)
        plain = known and (grouped or len(digits) in (14, 15, 16)) and digits[:1] != "0"
        if plain or NAMED.search(text, max(0, match.start() - 60), min(len(text), match.end() + 30)):
            yield Found(match.start(), match.end(), "card", CHECKED)


def _grouped(text: str) -> bool | None:
    """Whether the number stands in groups as on a card; None for groups that no card has."""
    groups = [len(group) for group in APART.split(text)]
    if len(groups) == 1:
        return False
    return True if groups in ([4, 6, 5], [4, 6, 4]) or (set(groups[:-1]) == {4} and groups[-1] <= 4) else None


def ibans(text: str) -> Iterator[Found]:
    """Bank accounts as IBAN: the country's length and form, and the check digits (ISO 13616)."""
    for match in IBAN.finditer(text):
        number = APART.sub("", match[0]).upper()
        length = _length(number[:2])
        if length and length <= len(number):
            end = _end_of(text, match.start(), length)
            if (end == match.end() or not text[end].isalnum()) and _valid(number[:length]):
                yield Found(match.start(), end, "iban", CHECKED)


def _end_of(text: str, start: int, length: int) -> int:
    """Where the first `length` letters and digits from `start` on end."""
    for n in range(start, len(text)):
        length -= not APART.match(text[n])
        if not length:
            return n + 1
    return len(text)


def _valid(number: str) -> bool:
    from stdnum import iban

    return bool(iban.is_valid(number, check_country=False))


@lru_cache
def _length(country: str) -> int:
    """How long the IBANs of a country are; 0 where it has none."""
    from stdnum import numdb

    ((_, known), *_) = numdb.get("iban").info(country)
    return 4 + sum(int(count) for count in re.findall(r"(\d+)!", known.get("bban", ""))) if known else 0
