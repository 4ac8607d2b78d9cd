"""A workbook's sheet gives the rows a reader of it would see, or one clear error."""

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

from slm.plugin import SlmError
from slm_loaders.excel import Excel
from slm_loaders.tabular.sheets import cell_text

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def write(
    path: Path, sheets: Mapping[str, Mapping[str, str | float]], merged: Sequence[str] = (), hidden: str = ""
) -> None:
    """Write an .xlsx of sheets, each a mapping of cells (`B2`) to values; `merged` ranges are of every sheet."""
    names = list(sheets)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types"/>')
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r" Type="{OFFICE}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        secret = ' state="hidden"'
        listed = "".join(
            f'<sheet name="{escape(name)}" sheetId="{n}" r:id="r{n}"{secret * (name == hidden)}/>'
            for n, name in enumerate(names, start=1)
        )
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{listed}</sheets></workbook>'
        )
        related = "".join(
            f'<Relationship Id="r{n}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(names) + 1)
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{PACKAGE}/relationships">{related}</Relationships>'
        )
        for n, cells in enumerate(sheets.values(), start=1):
            archive.writestr(f"xl/worksheets/sheet{n}.xml", sheet_of(cells, merged))


def sheet_of(cells: Mapping[str, str | float], merged: Sequence[str]) -> str:
    rows: dict[int, str] = {}
    for place, value in cells.items():
        row = int(place.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        if isinstance(value, str):
            cell = f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
        else:
            cell = f'<c r="{place}"><v>{value}</v></c>'
        rows[row] = rows.get(row, "") + cell
    data = "".join(f'<row r="{row}">{rows[row]}</row>' for row in sorted(rows))
    ranges = "".join(f'<mergeCell ref="{each}"/>' for each in merged)
    return (
        f'<worksheet xmlns="{MAIN}"><sheetData>{data}</sheetData>'
        + (f"<mergeCells>{ranges}</mergeCells>" if merged else "")
        + "</worksheet>"
    )


FAQ = {"A1": "Question", "B1": "Answer", "A2": "Why?", "B2": "Because.", "A4": "How?", "B4": 2.0}


def test_rows_keep_their_numbers_and_whole_numbers_have_no_point(tmp_path: Path, read: Callable[..., Any]) -> None:
    write(tmp_path / "t.xlsx", {"faq": FAQ})
    found = read(Excel(), "t.xlsx")
    assert found.rows == [{"Question": "Why?", "Answer": "Because."}, {"Question": "How?", "Answer": "2"}]
    assert (found.numbers, found.warnings) == ([2, 4], [])


def test_a_header_is_found_below_titles_and_beside_empty_columns(tmp_path: Path, read: Callable[..., Any]) -> None:
    cells = {"C2": "Our FAQ, all of it", "C5": "Question", "D5": "Answer \n(short)", "E5": "n", "C6": "a", "D6": "b"}
    write(tmp_path / "t.xlsx", {"faq": {**cells, "E6": 3.0, "C7": "c", "D7": "d", "E7": 4.5}}, merged=["C2:E2"])
    found = read(Excel(), "t.xlsx")
    assert found.rows == [
        {"Question": "a", "Answer (short)": "b", "n": "3"},
        {"Question": "c", "Answer (short)": "d", "n": "4.5"},
    ]
    assert (found.numbers, found.warnings) == ([6, 7], ["t.xlsx: left out above the header: rows 1 to 4"])


def test_a_header_of_several_rows_is_one(tmp_path: Path, read: Callable[..., Any]) -> None:
    cells = {"A1": "Region", "B1": "Share", "B2": "old", "C2": "new", "A3": "North", "B3": 1.0, "C3": 2.0}
    write(tmp_path / "t.xlsx", {"s": cells}, merged=["A1:A2", "B1:C1"])
    found = read(Excel(), "t.xlsx")
    assert (found.rows, found.numbers) == ([{"Region": "North", "Share old": "1", "Share new": "2"}], [3])


def test_merged_cells_are_filled_down(tmp_path: Path, read: Callable[..., Any]) -> None:
    cells = {"A1": "label", "B1": "text", "A2": "ham", "B2": "a", "B3": "b", "A4": "spam", "B4": "c"}
    write(tmp_path / "t.xlsx", {"s": cells}, merged=["A2:A3"])
    assert [row["label"] for row in read(Excel(), "t.xlsx").rows] == ["ham", "ham", "spam"]


def test_the_sheet_is_the_first_with_rows_unless_named(tmp_path: Path, read: Callable[..., Any]) -> None:
    write(
        tmp_path / "t.xlsx", {"cover": {}, "secret": FAQ, "one": FAQ, "two": {"A1": "text", "A2": "x"}}, hidden="secret"
    )
    found = read(Excel(), "t.xlsx")
    assert len(found.rows) == 2
    assert found.warnings == ["t.xlsx: the sheet 'one' is read, and not 'two' (say which: sheet = ...)"]
    assert read(Excel(sheet="two"), "t.xlsx").rows == read(Excel(sheet=4), "t.xlsx").rows == [{"text": "x"}]
    assert len(read(Excel(sheet="secret"), "t.xlsx").rows) == 2
    with pytest.raises(SlmError, match=r"t\.xlsx: has no sheet 'three' \(it has 'cover', 'secret', 'one', 'two'\)"):
        read(Excel(sheet="three"), "t.xlsx")


def test_columns_without_a_name_are_numbered_and_twins_refused_until_names_are_given(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    write(tmp_path / "t.xlsx", {"s": {"A1": "text", "C1": "label", "A2": "a", "B2": "b", "C2": "c"}})
    assert read(Excel(), "t.xlsx").rows == [{"text": "a", "column_2": "b", "label": "c"}]
    write(tmp_path / "t.xlsx", {"s": {"A1": "text", "B1": "text", "A2": "a", "B2": "b"}})
    with pytest.raises(SlmError, match=r"t\.xlsx:1: columns 1 and 2 are both named 'text'"):
        read(Excel(), "t.xlsx")
    assert read(Excel(names=("x", "y")), "t.xlsx").rows == [{"x": "a", "y": "b"}]
    with pytest.raises(SlmError, match=r"t\.xlsx:1: 2 columns, but names has 1"):
        read(Excel(names=("x",)), "t.xlsx")


@pytest.mark.parametrize(
    ("options", "columns", "count"),
    [
        ({}, ["column_1", "column_2"], 2),
        ({"header": True}, ["1", "one?"], 1),
        ({"skip": 1}, ["column_1", "column_2"], 1),
    ],
)
def test_a_sheet_without_header_is_read_from_its_first_row(
    options: Any, columns: list[str], count: int, tmp_path: Path, read: Callable[..., Any]
) -> None:
    write(tmp_path / "t.xlsx", {"s": {"A1": 1.0, "B1": "one?", "A2": 2.0, "B2": "two?"}})
    found = read(Excel(**options), "t.xlsx")
    assert (list(found.rows[0]), len(found.rows)) == (columns, count)


def test_a_repeated_header_is_rejected(tmp_path: Path, read: Callable[..., Any]) -> None:
    write(tmp_path / "t.xlsx", {"s": {**FAQ, "A5": "Question", "B5": "Answer", "A6": "x", "B6": "y"}})
    found = read(Excel(), "t.xlsx")
    assert (found.numbers, [reject.place for reject in found.rejected]) == ([2, 4, 6], ["t.xlsx:5"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (0.1 + 0.2, "0.3"),
        (1e300, "1e+300"),
        (True, "TRUE"),
        ("  ", None),
        ("a\r\nb", "a\nb"),
        (" a", " a"),
    ],
)
def test_cells_are_text_as_written(value: Any, text: str | None) -> None:
    assert cell_text(value) == text


@pytest.mark.parametrize(
    ("name", "date", "time"),
    [
        ("frictionless/table-with-ints-floats-dates.ods", "2009-08-16", "2009-08-16 05:43:21"),
        ("csvkit-examples/test.xlsx", "1971-01-01", "1971-01-01 04:14:00"),
        ("csvkit-examples/test.xls", "1971-01-01", "1971-01-01 04:14:00"),
    ],
)
def test_dates_are_iso(name: str, date: str, time: str, data: Path, read: Callable[..., Any]) -> None:
    row = {key.lower(): value for key, value in read(Excel(), name, data / "messy").rows[0].items()}
    assert (row["date"], row["datetime"]) == (date, time)


def test_what_is_no_workbook_is_one_line(tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "text.xlsx").write_text("text,label\na,b\n")
    (tmp_path / "empty.xls").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "other.xlsx", "w") as archive:
        archive.writestr("hello.txt", "hello")
    write(tmp_path / "void.xlsx", {"s": {}})
    locked = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le") + bytes(600)
    (tmp_path / "locked.xlsx").write_bytes(locked)
    for name, said in {
        "text.xlsx": "is no spreadsheet that can be read",
        "empty.xls": "empty file",
        "other.xlsx": "is no spreadsheet that can be read",
        "void.xlsx": "no sheet holds a row",
        "locked.xlsx": "is encrypted; save it anew without a password",
    }.items():
        with pytest.raises(SlmError, match=rf"^{name}: {said}") as caught:
            read(Excel(), name)
        assert "\n" not in str(caught.value)


def test_a_workbook_that_would_fill_memory_is_refused(tmp_path: Path, read: Callable[..., Any]) -> None:
    write(tmp_path / "far.xlsx", {"s": {"A1": "x", "XFD1048576": "y"}})
    with pytest.raises(SlmError, match=r"far\.xlsx: crashes its reader, or needs over 4 GB of memory"):
        read(Excel(), "far.xlsx")
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(50 << 20))
    with pytest.raises(SlmError, match=r"bomb\.xlsx: unpacks from .* \(a zip bomb\?\)"):
        read(Excel(), "bomb.xlsx")


def test_every_row_of_the_two_forms_of_a_table_is_the_same(data: Path, read: Callable[..., Any]) -> None:
    folder = data / "messy/csvkit-examples"
    old, new = (read(Excel(), f"test.{kind}", folder).rows for kind in ("xls", "xlsx"))
    assert json.dumps(old) == json.dumps(new)
