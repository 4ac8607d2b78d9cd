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
NUMBER = re.compile(r"[-+]?[\d.,]*\d(?:[eE][-+]?\d+)?%?")


@frozen
class Layout:
    """A table's form: how cells are parted, what the columns are called, and where its rows begin.

    `start` is the offset in characters of the first row of data, `line` its line; `notes` say what was found that a
    user may not expect.
    """

    delimiter: str
    quote: str
    names: tuple[str, ...]
    start: int
    line: int
    header: str = ""
    notes: tuple[str, ...] = ()


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
    delimiter = delimiter or find_delimiter(head, quote, skip)
    rows = [row for row in read_rows(head, delimiter, quote, final=final) if row.cells != () and row.line > skip]
    rows, notes = _without_comments(rows)
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
    return Layout(delimiter, quote, called, start, line, raw, tuple(f"{address}: {note}" for note in notes))


def find_quote(head: str) -> str:
    """`"`, unless cells are wrapped in `'` throughout and never in `"`."""
    single = len(re.findall(r"(?m)(?:^|[,;\t|])'", head)), len(re.findall(r"(?m)'(?:$|[,;\t|\r])", head))
    double = re.search(r'(?m)(?:^|[,;\t|])"', head)
    return "'" if not double and single[0] >= 4 and single[0] == single[1] else '"'


def find_delimiter(head: str, quote: str, skip: int = 0) -> str:
    """The delimiter that gives most rows the header's number of cells (two at least); a comma where none does."""
    best, found = (0.0, 0), ","
    for delimiter in DELIMITERS:
        found_rows = read_rows(head[:65536], delimiter, quote, final=False)
        rows = [row for row in found_rows if row.cells != () and row.line > skip]
        rows = _without_comments(rows)[0][:500]
        widths = [len(row.cells) if row.cells else 0 for row in rows]
        if not widths or widths[0] < 2:
            continue
        score = (round(sum(width == widths[0] for width in widths) / len(widths), 2), widths[0])
        if score > best:
            best, found = score, delimiter
    return found


def find_header(rows: Sequence[Sequence[str]]) -> tuple[bool, str]:
    """Whether the first row names the columns; and if not, why not."""
    first, rest = rows[0], [row for row in rows[1:] if len(row) == len(rows[0]) and row != rows[0]]
    if any(cell.strip().casefold().replace(" ", "_") in HEADINGS for cell in first):
        return True, "its names are usual"
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


def _without_comments(rows: list[Row]) -> tuple[list[Row], list[str]]:
    """Rows without the remarks (`# exported ...`) before the header; a header may begin with `#` itself."""
    at = 0
    while at < len(rows) and "".join(rows[at].cells or ()).startswith("#"):
        at += 1
    body = rows[at:]
    if not at or not body or len(body[0].cells or ()) == len(rows[at - 1].cells or ()):
        return rows, []
    return body, [f"lines {rows[0].line} to {rows[at - 1].line} are remarks before the header"]


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
