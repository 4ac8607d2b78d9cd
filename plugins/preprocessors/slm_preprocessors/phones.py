"""Telephone numbers: by their country's plan, by a form that few other numbers have, or by the words beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from .patterns import CHECKED, FORM, GUESS, Found

NUMBER = re.compile(
    r"(?<![\w@#=%$€£¥+])(?<![\d][.,:/-])(?:\+\s?|\(\+?)?\d(?:[ \u00a0\u202f.()/\u2010-\u2013-]{0,3}\d){5,17}"
    r"(?:\s*(?:x|ext\.?|extension|durchwahl|poste|anexo)\s?\d{1,6})?(?![\w%€$£¥]|[.,:]\d|-\d)",
    re.IGNORECASE,
)
EXTENSION = re.compile(r"\s*(?:x|ext\.?|extension|durchwahl|poste|anexo)\s?\d+$", re.IGNORECASE)
NANP = re.compile(r"(?:\+?0{0,2}1[ .-]?)?(?:\([2-9]\d\d\) ?|[2-9]\d\d[.-])\d{3}[.-]\d{4}")
TRUNK = re.compile(r"\(?0[1-9]\d{0,4}\)?[ ./-]?\(?\d{2,8}\)?(?:[ .-]\d{2,5}){0,4}")
DATE = re.compile(
    r"(?:19|20)\d\d[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12]\d|3[01])(?:\b.*)?"
    r"|(?:0?[1-9]|[12]\d|3[01])[-./ ](?:0?[1-9]|[12]\d|3[01])[-./ ](?:19|20)?\d\d(?:[ ,].*)?"
    r"|(?:19|20)\d\d ?[-/\u2013] ?(?:19|20)\d\d"
)
YES = (
    r"phones?|tele(?:phone|fon[oe]?)|tel|tlf|tfno|t[eé]l[eé](?:phone|fono)|mobiles?|m[oó]vil|mobil(?:nummer|telefon)?|cell(?:phone)?"
    r"|celular|cellulare|handy|portable|fax|call(?:ed|ing|s|er)?|calling|ring|rang|dial(?:led|ed)?|sms|txt|text(?:ed|ing)?"
    r"|messages?|voicemail|whats ?app|viber|signal|hot-?line|help-?line|land-?line|contact|reach(?:ed)?|answering|pager|desk"
    r"|office|rufnummer|durchwahl|anrufen|rufen|appele[zr]|llam(?:ar|e|a)|ligue|chiama(?:re|te)?|bel|puhelin|telefono|телефон|тел"
    r"|电话|電話|手机|手機|携帯|전화|هاتف|τηλ(?:έφωνο)?|registered"
)
NO = (
    r"order|invoice|rechnung|facture|account|acct|konto|ref(?:erence)?|ticket|case|serial|isbn|issn|doi|model|part|sku|item"
    r"|product|tracking|shipment|flight|zip|postal|postcode|plz|id|ids|identifier|version|build|population|price|cost|cards?"
    r"|ssn|security|tax|vat|passport|licen[cs]e|policy|room|page|pages|line|year|born|since|date|code|pin|otp|iban|routing|swift|serie|patent"
)
WORDS = re.compile(rf"(?<![^\W_])(?:({YES})|({NO}))(?![^\W_])|(电话|電話|手机|手機|携帯|전화)|([#№])", re.IGNORECASE)
BEHIND = re.compile(
    r"\W{1,3}(?:\(?(?:office|fax|mobile|cell|home|work|desk|direct|tel|phone|main|mobil|handy)\b)", re.IGNORECASE
)
WINDOW = 45


def phones(text: str, regions: Sequence[str] = ()) -> Iterator[Found]:
    """Telephone numbers: international ones, North American ones and those with a trunk 0 by their form, national
    ones of `regions` by the country's plan, and any others by a word such as "call" before them."""
    for match in NUMBER.finditer(text):
        yield from _within(text, match.start(), match.end(), regions)


def _within(text: str, start: int, end: int, regions: Sequence[str]) -> Iterator[Found]:
    """The number between these places, or those that are parts of it: a house number may stand before it."""
    for at, to in _spans(text, start, end):
        if certainty := _certainty(text, at, to, regions):
            yield Found(at, to, "phone", certainty)
            if to < end and (rest := NUMBER.match(text, _digit(text, to))):
                yield from _within(text, rest.start(), min(rest.end(), end), regions)
            return


def _digit(text: str, at: int) -> int:
    """The next place where a number may begin."""
    while at < len(text) and text[at] in " \u00a0":
        at += 1
    return at


def _spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The whole, then what is left without its first or its last groups, where a space sets them apart."""
    yield start, end
    gaps = [n for n in range(start, end) if text[n] in " \u00a0"]
    for n in gaps:
        if text[n + 1] in "+(0123456789":
            yield n + 1, end
    for n in reversed(gaps):
        yield start, n


def _certainty(text: str, start: int, end: int, regions: Sequence[str]) -> int:
    """How sure it is that this is a telephone number; 0 if it is none."""
    number = EXTENSION.sub("", text[start:end])
    digits = re.sub(r"\D", "", number)
    if not 7 <= len(digits) <= 15 or number.count("(") != number.count(")") or DATE.fullmatch(number):
        return 0
    if len(set(digits)) == 1 or number.startswith(")"):
        return 0
    said = _said(text, start, end)
    if number.startswith(("+", "(+")) or (number.startswith("00") and (number[2:3] in " 123456789")):
        return _international(digits.removeprefix("00"), said, number.startswith("00"))
    if said < 0:
        return 0
    if NANP.fullmatch(number):
        return FORM
    if any(_national(number, region) for region in regions):
        return CHECKED
    groups = re.findall(r"\d+", number)
    if TRUNK.fullmatch(number) and 9 <= len(digits) <= 12 and len(groups) > 1 and max(map(len, groups)) <= 8:
        return FORM
    return GUESS if said > 0 and _phone_like(number, groups) else 0


def _phone_like(number: str, groups: Sequence[str]) -> bool:
    """Whether the groups could be a telephone number's, where a word says that there is one."""
    return (
        max(map(len, groups)) >= 2
        and "," not in number
        and not re.search(r"[^\d)]{3}|/.*/", number)
        and len(groups) <= 7
    )


def _said(text: str, start: int, end: int) -> int:
    """1 where the words beside speak of telephones, -1 where the nearest one before speaks of another number."""
    last = None
    for match in WORDS.finditer(text, max(0, start - WINDOW), start):
        last = match
    if last and (last[2] or last[4]) and (last[2] is None or start - last.end() < 25):
        return -1
    if last and (last[1] or last[3]):
        return 1
    return 1 if BEHIND.match(text, end) else 0


def _international(digits: str, said: int, zeros: bool) -> int:
    import phonenumbers

    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return 0
    if phonenumbers.is_valid_number(number):
        return CHECKED
    possible = phonenumbers.is_possible_number(number)
    return FORM if possible and (not zeros or said > 0 or len(digits) > 9) else GUESS if said > 0 else 0


@lru_cache(maxsize=4096)
def _national(number: str, region: str) -> bool:
    import phonenumbers

    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(number, region.upper())))
    except phonenumbers.NumberParseException:
        return False
