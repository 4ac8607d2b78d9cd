"""HTML to text: the tags that HTML knows go, and what stands between them stays."""

from __future__ import annotations

from html import unescape
from html.parser import HTMLParser

BLOCKS = frozenset(
    "address article aside blockquote br caption dd details div dl dt fieldset figcaption figure footer form h1 h2 "  # noqa: SIM905
    "h3 h4 h5 h6 header hr li main nav ol p pre section summary table tbody tfoot thead tr ul".split()
)
INLINE = frozenset(
    "a abbr b bdi bdo big body button center cite code col colgroup data del dfn em font head html i iframe img input "  # noqa: SIM905
    "ins kbd label link mark meta path picture q s samp script small source span strike strong style sub sup svg td th "
    "time title tt u var video wbr".split()
)
HIDDEN = ("script", "style")


def to_text(text: str) -> str:
    """The text of an HTML fragment: a new line for each block, a dash for each list item; unknown tags stay as text."""
    if "<" not in text:
        return unescape(text)
    parser = _Text()
    parser.feed(text)
    parser.close()
    return "".join(parser.found)


class _Text(HTMLParser):
    """Gathers what a reader of the page would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.hidden = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in HIDDEN:
            self.hidden = tag
        elif tag in BLOCKS:
            self._break("- " if tag == "li" else "")
        elif tag in ("td", "th"):
            self.found.append(" ")
        elif tag not in INLINE:
            self.found.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == self.hidden:
            self.hidden = ""
        elif tag in BLOCKS:
            self._break()
        elif tag not in INLINE:
            self.found.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.found.append(data)

    def _break(self, start: str = "") -> None:
        if self.found and not self.found[-1].endswith("\n"):
            self.found.append("\n")
        if start:
            self.found.append(start)
