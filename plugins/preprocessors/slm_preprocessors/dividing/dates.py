"""Dates as people write them, as numbers that can be ordered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from slm.plugin import SlmError

CLOCK = (
    r"(?:[ T,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?(?:\.\d+)?\s*(?P<half>[AaPp]\.?[Mm])?)?"
    r"\s*(?:Z|UTC|GMT)?"
)
NUMBERS = re.compile(r"(?P<one>\d{1,2})(?P<mark>[./-])(?P<two>\d{1,2})[./-](?P<year>\d{4}|\d{2})(?!\d)" + CLOCK)
YEAR = re.compile(r"(\d{4})(?:-(\d{2}))?")
YEAR_FIRST = re.compile(r"(?P<year>\d{4})[./-](?P<two>\d{1,2})[./-](?P<one>\d{1,2})(?!\d)" + CLOCK)
DAY_MONTH = re.compile(
    r"(?:[A-Za-z]+,? +)?(?P<one>\d{1,2})(?:st|nd|rd|th|\.)?[ -]+(?P<name>[A-Za-z]{3,9})[ .,-]+(?P<year>\d{4})" + CLOCK
)
MONTH_DAY = re.compile(
    r"(?:[A-Za-z]+,? +)?(?P<name>[A-Za-z]{3,9})\.? +(?P<one>\d{1,2})(?:st|nd|rd|th)?,? +(?P<year>\d{4})" + CLOCK
)
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905
STAMPS = {10: 1, 13: 1_000}


def read_dates(found: Sequence[Any], places: Sequence[str], option: str) -> list[float]:
    """Seconds since 1970 for each value; one without a time zone counts as UTC.

    `3/4/2024` is read day first or month first as the column's other dates tell. Raises SlmError, with the first
    places, where some can't be read.
    """
    day_first = _day_first(found, option)
    read = [_seconds(value, day_first) for value in found]
    bad = [n for n, value in enumerate(read) if value is None]
    if bad:
        shown = ", ".join(f"{places[n]}: {found[n]!r}" for n in bad[:3])
        raise SlmError(
            f"{option}: {len(bad):,} of {len(read):,} dates can't be read ({shown}); mend them, "
            "write them as 2024-12-31, or leave such rows out"
        )
    return [value for value in read if value is not None]


def _day_first(found: Sequence[Any], option: str) -> bool:
    """Whether `3/4/2024` is in April: as dates with a number over 12 say; month first where none does."""
    matches = [match for value in found if isinstance(value, str) and (match := NUMBERS.fullmatch(value.strip()))]
    pairs = {(int(match["one"]) > 12, int(match["two"]) > 12) for match in matches if match["mark"] != "."}
    if (True, False) in pairs and (False, True) in pairs:
        raise SlmError(f"{option}: some dates have the day first and some the month; write them as 2024-12-31")
    return (True, False) in pairs


def _seconds(value: Any, day_first: bool) -> float | None:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{value:.0f}"
    try:
        when = (
            value
            if isinstance(value, datetime)
            else _read(re.sub("[年月]", "-", str(value or "").strip()).removesuffix("日"), day_first)
        )
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() if when else None
    except (ValueError, OverflowError):
        return None


def _read(text: str, day_first: bool) -> datetime | None:
    if text.isdecimal() and len(text) in STAMPS:
        return datetime.fromtimestamp(int(text) / STAMPS[len(text)], UTC)
    if match := YEAR.fullmatch(text):
        return datetime(int(match[1]), int(match[2] or 1), 1)
    try:
        return datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        return _written_out(text, day_first)


def _written_out(text: str, day_first: bool) -> datetime | None:
    from email.utils import parsedate_to_datetime

    if match := NUMBERS.fullmatch(text):
        turned = match["mark"] == "." or day_first
        day, month = (match["one"], match["two"]) if turned else (match["two"], match["one"])
        return _moment(match, int(day), int(month))
    if match := YEAR_FIRST.fullmatch(text):
        return _moment(match, int(match["one"]), int(match["two"]))
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        pass  # no mail's date: one more way is left
    match = DAY_MONTH.fullmatch(text) or MONTH_DAY.fullmatch(text)
    if not match or match["name"][:3].lower() not in MONTHS:
        return None
    return _moment(match, int(match["one"]), MONTHS.index(match["name"][:3].lower()) + 1)


def _moment(match: re.Match[str], day: int, month: int) -> datetime:
    year = int(match["year"])
    year += (1900 if year > 68 else 2000) if len(match["year"]) == 2 else 0
    hour = int(match["hour"] or 0)
    if match["half"]:
        hour = hour % 12 + (12 if match["half"][0] in "pP" else 0)
    return datetime(year, month, day, hour, int(match["minute"] or 0), int(match["second"] or 0))
