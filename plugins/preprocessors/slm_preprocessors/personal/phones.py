"""Telephone numbers: by their country's plan, by a form that few other numbers have, or by the words beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from .patterns import CHECKED, FORM, GUESS, Found

NUMBER = re.compile(
    r"(?<![\w@#=%$€£¥+])(?<!\d[.,:/-])(?<!\w\()(?:\+\s?|\(\+?)?\d(?:[ \u00a0\u202f.()/\u2010-\u2013-]{0,3}\d){5,17}"
    r"(?:\s*(?:x|ext\.?|extension|durchwahl|poste|anexo)\s?\d{1,6})?(?![\w%€$£¥]|[.,:]\d|-\d)",
    re.IGNORECASE,
)
EXTENSION = re.compile(r"\s*(?:x|ext\.?|extension|durchwahl|poste|anexo)\s?\d+$", re.IGNORECASE)
NANP = re.compile(r"(?:\+?0{0,2}1[ .-]?)?(?:\([2-9]\d\d\) ?|[2-9]\d\d[.-])\d{3}[.-]\d{4}")
SPACED = re.compile(r"(?:1 )?[2-9]\d\d [2-9]\d\d \d{4}")
TRUNK = re.compile(r"\(?0[1-9]\d{0,4}\)?[ ./-]?\(?\d{2,8}\)?(?:[ .-]\d{2,5}){0,4}")
DATE = re.compile(
    r"(?:19|20)\d\d[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12]\d|3[01])(?: \d{1,2})?"
    r"|(?:0?[1-9]|[12]\d|3[01])[-./ ](?:0?[1-9]|[12]\d|3[01])[-./ ](?:(?:19|20)\d\d|(?<! )\d\d)(?: \d{1,2})?"
    r"|(?:19|20)\d\d ?[-/\u2013] ?(?:19|20)\d\d"
)
YES = (
    r"(?:my|your|his|her|our|their) numbers?|phones?|tele(?:phone|fon[oe]?)|tel|tlf|tfno|t[eé]l[eé](?:phone|fono)"
    r"|mobiles?|m[oó]vil|mobil(?:nummer|telefon)?|cell(?:phone)?|celular|cellulare|handy|portable|fax|pager|sms|txt"
    r"|call(?:ed|ing|s|er)?|ring|rang|dial(?:led|ed)?|text(?:ed|ing)?|messages?|answering|contact|reach(?:ed)?|registered"
    r"|voicemail|whats ?app|viber|signal|hot-?line|help-?line|land-?line|(?:office|desk|home|work)(?= ?[:.#])"
    r"|rufnummer|durchwahl|anrufen|rufen|appele[zr]|llam(?:ar|e|a)|ligue|chiama(?:re|te)?|bel|puhelin"
    r"|телефон|тел|هاتف|τηλ(?:έφωνο)?"
)
NO = (
    r"a/c|acc(?:oun)?t?|konto|order|invoice|rechnung|facture|ref(?:erence)?|ticket|case|serial|isbn|issn|doi|patent"
    r"|model|part|sku|item|product|tracking|shipment|flight|price|cost|zip|postal|postcode|plz|population|room|pages?"
    r"|ids?|identifier|ssn|security|tax|vat|passport|licen[cs]e|policy|cards?|iban|routing|swift|code|pin|otp"
    r"|line|year|born|since|date|version|build|s[ée]rie"
)
WORDS = re.compile(rf"(?<![^\W_])(?:({YES})|({NO}))(?![^\W_])|(电话|電話|手机|手機|携帯|전화)|([#№])", re.IGNORECASE)
BEHIND = re.compile(r"\W{1,3}(?:\(?(?:office|fax|mobile|cell|home|work|desk|tel|phone|mobil|handy)\b)", re.IGNORECASE)
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
    if not 7 <= len(digits) <= 15 or len(set(digits)) == 1:
        return 0
    if number.count("(") != number.count(")") or DATE.fullmatch(number):
        return 0
    if number.startswith("+ ") and text[:start].rstrip()[-1:].isalnum():
        return 0  # a sum
    said = _said(text, start, end)
    if number.startswith(("+", "(+")):
        return _international(digits, said)
    return 0 if said < 0 else _by_form(number, digits, said, regions)


def _by_form(number: str, digits: str, said: int, regions: Sequence[str]) -> int:
    if re.match("00[ .-]?[1-9]", number) and (sure := _international(digits[2:], said)) > (len(digits) < 11):
        return sure
    if NANP.fullmatch(number):
        return FORM
    if any(_national(number, region) for region in (*regions, *(["US"] if SPACED.fullmatch(number) else []))):
        return CHECKED
    groups = re.findall(r"\d+", number)
    long = len(digits) > (8 if len(groups) > 2 else 9)
    if TRUNK.fullmatch(number) and long and len(digits) <= 12 and len(groups) > 1:
        return FORM
    return GUESS if said > 0 and _phone_like(number, groups) else 0


def _phone_like(number: str, groups: Sequence[str]) -> bool:
    """Whether the groups could be a telephone number's, where a word says that there is one: no list of small numbers,
    and no fraction."""
    sizes = [len(group) for group in groups]
    usual = max(sizes) >= 3 or (len(sizes) >= 4 and set(sizes) == {2})
    return usual and sizes.count(1) <= 1 and len(sizes) <= 7 and ("/" not in number or number.lstrip("(")[0] == "0")


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


def _international(digits: str, said: int) -> int:
    import phonenumbers

    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return 0
    if phonenumbers.is_valid_number(number):
        return CHECKED
    return FORM if phonenumbers.is_possible_number(number) else GUESS if said > 0 else 0


@lru_cache(maxsize=4096)
def _national(number: str, region: str) -> bool:
    import phonenumbers

    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(number, region.upper())))
    except phonenumbers.NumberParseException:
        return False
