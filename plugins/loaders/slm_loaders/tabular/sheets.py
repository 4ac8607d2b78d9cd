"""Spreadsheets by calamine, called in a child process: the sheets of a workbook, and one sheet's cells as text."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slm.plugin import SlmError

from ..opening.archives import check_archive

ROWS = 5_000
"""Rows that are handed over at once."""

HEAD = 200
"""Rows in which merged ranges may make up a header."""

OLD = b"\xd0\xcf\x11\xe0"


def read_sheet(path: str, address: str, sheet: str | int) -> Iterator[Any]:
    """First a description: the sheet's name, the names of all visible sheets that hold rows, and the merged ranges that
    begin in its first rows (first row and column, last row and column, from 0). Then the rows in chunks, from the
    sheet's first on, each a list of texts, null where a cell is empty; merged cells are filled down.

    Columns to the left of the first that holds anything are left out.
    """
    book = _opened(Path(path), address)
    name, full = _chosen(book, sheet, address)
    found = book.get_sheet_by_name(name)
    left = (found.start or (0, 0))[1]
    ranges = [(a, b - left, c, d - left) for (a, b), (c, d) in found.merged_cell_ranges or () if a < HEAD]
    yield {"sheet": name, "full": full, "merged": ranges}
    merged = _merged_down(found)
    carried: dict[int, tuple[int, Any]] = {}
    chunk = []
    for n, row in enumerate(found.iter_rows()):
        cells = [cell_text(value) for value in row]
        for column, last in merged.get(n, ()):
            carried[column] = (last, cells[column])
        for column, (last, text) in carried.items():
            cells[column] = text if cells[column] is None and n <= last else cells[column]
        chunk.append(cells)
        if len(chunk) == ROWS:
            yield chunk
            chunk = []
    yield chunk


def _opened(path: Path, address: str) -> Any:
    import python_calamine

    with path.open("rb") as file:
        head = file.read(8)
        rest = file.read(1 << 20) if head.startswith(OLD) else b""
    if not head:
        raise SlmError(f"{address}: empty file")
    if "EncryptedPackage".encode("utf-16-le") in rest:
        raise SlmError(f"{address}: is encrypted; save it anew without a password")
    if head.startswith(b"PK"):
        check_archive(path, address)
        _refuse_locked(path, address)
    try:
        return python_calamine.CalamineWorkbook.from_path(str(path))
    except python_calamine.PasswordError:
        raise SlmError(f"{address}: is encrypted; save it anew without a password") from None
    except python_calamine.CalamineError as error:
        said = " ".join(str(error).split())[:150]
        raise SlmError(f"{address}: is no spreadsheet that can be read ({said}); save it anew as .xlsx") from None


def _refuse_locked(path: Path, address: str) -> None:
    """OpenDocument keeps its encrypted parts in an ordinary archive."""
    with zipfile.ZipFile(path) as archive:
        name = "META-INF/manifest.xml"
        if name in archive.NameToInfo and b"encryption-data" in archive.open(name).read(1 << 20):
            raise SlmError(f"{address}: is encrypted; save it anew without a password")


def _chosen(book: Any, sheet: str | int, address: str) -> tuple[str, list[str]]:
    """The sheet's name, and the visible sheets that hold rows."""
    import python_calamine

    names = [each.name for each in book.sheets_metadata if each.typ == python_calamine.SheetTypeEnum.WorkSheet]
    shown = ", ".join(f"'{name}'" for name in names[:20])
    if sheet != "":
        if isinstance(sheet, int) and 1 <= sheet <= len(names):
            return names[sheet - 1], []
        if sheet in names:
            return str(sheet), []
        raise SlmError(f"{address}: has no sheet {sheet!r} (it has {shown})")
    visible = python_calamine.SheetVisibleEnum.Visible
    seen = [each.name for each in book.sheets_metadata if each.visible == visible and each.name in names]
    full = [name for name in seen if book.get_sheet_by_name(name).start is not None]
    if not full:
        hidden = " (hidden ones are left out; name one: sheet = ...)" if len(names) > len(seen) else ""
        raise SlmError(f"{address}: no sheet holds a row{hidden}")
    return full[0], full


def _merged_down(sheet: Any) -> dict[int, list[tuple[int, int]]]:
    """For each row in which merged cells of several rows begin: their column and last row."""
    left = (sheet.start or (0, 0))[1]
    width = sheet.width
    found: dict[int, list[tuple[int, int]]] = {}
    for (first, column), (last, _) in sheet.merged_cell_ranges or ():
        if last > first and 0 <= column - left < width:
            found.setdefault(first, []).append((column - left, last))
    return found


def cell_text(value: Any) -> str | None:
    """A cell's value as it would be written: whole numbers without `.0`, dates as ISO has them; None if empty."""
    if isinstance(value, str):
        return value.replace("\r\n", "\n") if value.strip() else None
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, datetime.timedelta):
        seconds = int(value.total_seconds())
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return str(value)
