"""Bytes, seconds and figures in words a person reads at a glance."""

from __future__ import annotations


def gigabytes(count: float) -> str:
    """`1.8 GB`, `25 MB`, `512 B`: decimal units, as disks and models are sold in."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= size * 0.9995:
            value = count / size
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"
    return f"{count:.0f} B"


def duration(seconds: float) -> str:
    """`0.4 s`, `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    for size, unit, part, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit} {rest} {small}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def figure(value: float) -> str:
    """A measured number with four significant digits at most: `12,345`, `97.31`, `0.0412`."""
    if value != value or abs(value) == float("inf"):
        return str(value)
    if (value == int(value) and abs(value) < 1e15) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) < 1 else f"{value:.{3 if abs(value) < 10 else 2 if abs(value) < 100 else 1}f}"
