"""Letters broken by a wrong encoding, mended by ftfy; texts that it would leave alone are known at a glance."""

from __future__ import annotations

import re
from collections.abc import Callable

INNOCENT = ("common", "lower_common", "upper_common")
ALONE = "\\x1b\u0085\u2028\u2029\u0402ÂÃŒœ"
LOST = re.compile("â€(?=[\\s.,;:!?)]|$)")


def mender() -> Callable[[str], str]:
    """A function that mends a text: its encoding, the width of its characters, control characters, line ends.

    A closing quote read as Windows-1252 ends in a byte which that has no character for, and many programs drop it: it
    is put back, for ftfy would take what is left, and the space behind it, for a dagger.
    """
    import ftfy

    config = ftfy.TextFixerConfig(
        unescape_html=False, uncurl_quotes=False, fix_latin_ligatures=False, normalization=None, explain=False
    )
    broken = doubtful().search

    def mend(text: str) -> str:
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return ftfy.fix_text(LOST.sub("â€\x9d", text), config) if broken(text) else text

    return mend


def doubtful() -> re.Pattern[str]:
    """What every text has that ftfy changes (and a few that it leaves alone have too).

    ftfy removes or replaces some characters wherever they stand. Beyond that it acts on signs of a wrong encoding:
    by its rules each is one of a few characters beside another that is not ASCII, or one of those in ALONE.
    """
    from ftfy.badness import MOJIBAKE_CATEGORIES
    from ftfy.chardata import CONTROL_CHARS, WIDTH_MAP

    replaced = "".join(re.escape(chr(code)) for code in sorted({*CONTROL_CHARS, *WIDTH_MAP}))
    suspects = "".join(letters for name, letters in MOJIBAKE_CATEGORIES.items() if name not in INNOCENT)
    return re.compile(f"[{replaced}{ALONE}\x80-\x9f]|[{suspects}][^\\x00-\\x7f]|[^\\x00-\\x7f][{suspects}]")
