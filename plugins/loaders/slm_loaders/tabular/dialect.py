"""How a table of text is written: delimiter, quote and header, found from the file's first rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from attrs import frozen

from slm.plugin import SlmError

from .rows import Row, read_rows

DELIMITERS = (",", "\t", ";", "|")
HEADINGS = frozenset(
    [
        "id",
        "text",
        "sentence",
        "content",
        "document",
        "body",
        "title",
        "message",
        "question",
        "query",
        "prompt",
        "instruction",
        "input",
        "context",
        "answer",
        "response",
        "output",
        "completion",
        "target",
        "label",
        "category",
        "intent",
        "class",
        "source",
        "name",
        "date",
        "url",
        "chosen",
        "rejected",
        "messages",
    ]
)
SEPARATOR = re.compile(r'"?sep=(.)"?[ \t]*(?:\r\n|\r|\n)')
"""Excel's own line that names the delimiter."""

TITLES = 20
LACKING = frozenset(["", "-", "na", "n/a", "nan", "none", "null", "?"])
ONE = "\x1f"
"""A delimiter that stands in no file: it makes a column of whole lines."""

NUMBER = re.compile(r"[-+]?[\d.,]*\d(?:[eE][-+]?\d+)?%?")


@frozen
class Layout:
    """A table's form: how cells are parted, what the columns are called, and where its rows begin.

    `start` is the offset in characters of the first row of data, `line` its line; `notes` say what was found that a
    user may not expect. Quotes may stand behind a space (`spaced`), and in cells behind a backslash (`escaped`).
    """

    delimiter: str
    quote: str
    names: tuple[str, ...]
    start: int
    line: int
    header: str = ""
    notes: tuple[str, ...] = ()
    spaced: bool = False
    escaped: bool = False


def find_layout(
    head: str,
    address: str,
    *,
    delimiter: str,
    quote: str | None,
    header: bool | None,
    names: Sequence[str],
    skip: int,
    final: bool,
) -> Layout:
    """The layout of a file that begins with `head` (its whole text if `final`); what the arguments state is not looked
    for.

    Raises SlmError for a file without rows or with two columns of one name.
    """
    if not head.strip():
        raise SlmError(f"{address}: empty file")
    quote = find_quote(head) if quote is None else quote
    escaped = finds_escapes(head, quote)
    head = plain_quotes(head, quote) if escaped else head
    if not skip and (stated := SEPARATOR.match(head)):
        delimiter, skip = delimiter or stated[1], 1
    delimiter, doubt = (delimiter, "") if delimiter else find_delimiter(head, quote, skip)
    spaced = finds_spaces(head, delimiter, quote)
    found = read_rows(head, delimiter, quote, final=final, spaced=spaced)
    rows, notes = _without_preamble([row for row in found if row.cells != () and row.line > skip])
    notes += [doubt] if doubt else []
    cells = rows[0].cells if rows else None
    if not cells:
        raise SlmError(f"{address}: no header line can be read in it; say which lines to leave out (skip = ...)")
    first = rows[0]
    if header is None:
        header, why = find_header([row.cells for row in rows if row.cells])
        notes += [] if header else [f"the first line is read as data ({why}); columns are column_1, column_2, ..."]
    called = tuple(names) or header_names(cells if header else [""] * len(cells))
    refuse_twins(called, f"{address}:{first.line}")
    start, line = (
        (first.end, first.line + _breaks(head[first.start : first.end])) if header else (first.start, first.line)
    )
    raw = head[first.start : first.end].rstrip("\r\n") if header else ""
    said = tuple(f"{address}: {note}" for note in notes)
    return Layout(delimiter, quote, called, start, line, raw, said, spaced, escaped)


def find_quote(head: str) -> str:
    """`"`, unless cells are wrapped in `'` throughout and never in `"`."""
    single = len(re.findall(r"(?m)(?:^|[,;\t|])'", head)), len(re.findall(r"(?m)'(?:$|[,;\t|\r])", head))
    double = re.search(r'(?m)(?:^|[,;\t|])"', head)
    return "'" if not double and single[0] >= 4 and single[0] == single[1] else '"'


def finds_escapes(head: str, quote: str) -> bool:
    """Whether quotes within cells stand behind a backslash; where they are doubled none stands so before a letter."""
    return (
        quote in ("'", '"')
        and re.search(rf"(?<!\\)\\{re.escape(quote)}[^\r\n,;\t|{re.escape(quote)}]", head) is not None
    )


def plain_quotes(text: str, quote: str) -> str:
    """The text with each quote behind a backslash doubled instead: it keeps its length."""
    return re.sub(rf"(?<!\\)((?:\\\\)*)\\{re.escape(quote)}", lambda found: found[1] + 2 * quote, text)


def finds_spaces(head: str, delimiter: str, quote: str) -> bool:
    """Whether quoted cells begin with a space before the quote, and never without one."""
    d, q = re.escape(delimiter), re.escape(quote)
    return bool(quote) and len(re.findall(f"{d} +{q}", head)) > 1 and not re.search(f"{d}{q}", head)


def find_delimiter(head: str, quote: str, skip: int = 0) -> tuple[str, str]:
    """The delimiter that gives most rows the header's number of cells (two at least), and what a user should know.

    A comma where none does; where even the best fits under half of the rows, they are lines of one column.
    """
    best, found, lines = (0.0, 0), ",", False
    for delimiter in DELIMITERS:
        found_rows = read_rows(head[:65536], delimiter, quote, final=False)
        rows = [row for row in found_rows if row.cells != () and row.line > skip]
        rows = _without_preamble(rows)[0][:500]
        widths = [len(row.cells) if row.cells else 0 for row in rows]
        if not widths or widths[0] < 2:
            continue
        score = (round(sum(width == widths[0] for width in widths) / len(widths), 2), widths[0])
        if score > best:
            best, found = score, delimiter
            named = any(cell.strip().casefold() in HEADINGS for cell in rows[0].cells or ())
            lines = len(rows) >= 5 and 1 in widths and not named
    if lines and best[0] < 0.5:
        return ONE, f"its lines are read as one column; state the delimiter if that is wrong (delimiter = '{found}')"
    return found, ""


def find_header(rows: Sequence[Sequence[str]]) -> tuple[bool, str]:
    """Whether the first row names the columns; and if not, why not."""
    first, rest = rows[0], [row for row in rows[1:] if len(row) == len(rows[0]) and row != rows[0]]
    if any(cell.strip().casefold().replace(" ", "_") in HEADINGS for cell in first):
        return True, "its names are usual"
    for n, cell in enumerate(first):
        below = [row[n].strip() for row in rest]
        word = cell.strip().casefold() not in LACKING and not NUMBER.fullmatch(cell.strip())
        if word and below and all(NUMBER.fullmatch(each) for each in below):
            return True, "it stands over numbers"
    filled = [cell for cell in first if cell.strip()]
    if filled and all(NUMBER.fullmatch(cell.strip()) for cell in filled):
        return False, "it holds numbers only"
    for n, cell in enumerate(first):
        if len(cell) > 100 or cell.rstrip().endswith("?"):
            return False, f"cell {n + 1} reads like a text"
        column = [row[n] for row in rest]
        if cell.strip() and not NUMBER.fullmatch(cell.strip()) and Counter(column)[cell]:
            return False, f"'{cell}' is also a value of its column"
        if _counts(cell) and len(column) > 0 and all(NUMBER.fullmatch(each.strip()) for each in column):
            return False, f"cell {n + 1} is a number like those below it"
    return True, "no sign of data in it"


def _counts(cell: str) -> bool:
    """A number that is hardly a heading: a year may well be one."""
    return bool(NUMBER.fullmatch(cell.strip())) and not re.fullmatch(r"(1[89]|2[01])\d\d", cell.strip())


def _without_preamble(rows: list[Row]) -> tuple[list[Row], list[str]]:
    """Rows without the remarks before the header, and without a title: lines of one cell above a wider table."""
    rows, notes = _without_comments(rows)
    widths = Counter(len(row.cells) for row in rows[:500] if row.cells)
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
    if width < 2 or count < 3:
        return rows, notes
    at = 0
    while at < len(rows) and _is_title(rows[at].cells or (), width):
        at += 1
    if not at or at > TITLES or len(rows[at : at + 1]) == 0 or len(rows[at].cells or ()) != width:
        return rows, notes
    return rows[at:], [*notes, f"the lines before line {rows[at].line} are a title and left out"]


def _is_title(cells: Sequence[str], width: int) -> bool:
    """Whether a row has one cell where the table has more, or only its first of many is filled."""
    filled = [n for n, cell in enumerate(cells) if cell.strip()]
    return len(cells) == 1 or (width > 2 and len(cells) == width and filled == [0])


def _without_comments(rows: list[Row]) -> tuple[list[Row], list[str]]:
    """Rows without the remarks (`# exported ...`) before the header; a header may begin with `#` itself."""
    at = 0
    while at < len(rows) and "".join(rows[at].cells or ()).startswith("#"):
        at += 1
    body = rows[at:]
    if not at or not body or len(body[0].cells or ()) == len(rows[at - 1].cells or ()):
        return rows, []
    first, last = rows[0].line, rows[at - 1].line
    return body, [
        f"line {first} is a remark before the header"
        if first == last
        else f"lines {first} to {last} are remarks before the header"
    ]


def header_names(cells: Sequence[str]) -> tuple[str, ...]:
    """The names of the columns: the header's cells, and a number where one is empty."""
    return tuple(cell.strip() or f"column_{n + 1}" for n, cell in enumerate(cells))


def refuse_twins(names: Sequence[str], place: str) -> None:
    """SlmError where two columns have one name."""
    for name, count in Counter(names).items():
        if count > 1:
            at = " and ".join(str(n + 1) for n, each in enumerate(names) if each == name)
            raise SlmError(
                f"{place}: columns {at} are both named '{name}'; rename one, or state all names (names = [...])"
            )


def _breaks(text: str) -> int:
    return len(re.findall(r"\r\n|\r|\n", text))
