"""Every real office file, page, PDF and table gives sensible text, or is one clear error that names it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slm.plugin import SlmError
from slm_loaders.converting.kinds import OLD, READERS
from slm_loaders.documents import Documents
from slm_loaders.excel import KINDS as SHEETS
from slm_loaders.excel import Excel
from slm_loaders.parquet import Parquet

DATA = Path(os.environ.get("SLM_TEST_DATA", Path(__file__).parents[4] / "shared/data")) / "messy"
TWINS = "both named"
NO_TEXT = "has no text layer (scanned pages): run OCR first"

REFUSED = {
    "fake-doc-emphasized-text.doc": "is of the old binary format",
    "fake.doc": "is of the old binary format",
    "simple.doc": "is of the old binary format",
    "empty.xlsx": "no sheet holds a row",
    "libreoffice-writer-password.pdf": "is encrypted; give its password",
    "imagemagick-ASCII85Decode.pdf": NO_TEXT,
    "imagemagick-CCITTFaxDecode.pdf": NO_TEXT,
    "imagemagick-lzw.pdf": NO_TEXT,
    "grayscale-image.pdf": NO_TEXT,
    "issue-312.xlsx": TWINS,
    "issue-320.xlsx": TWINS,
    "issue-1024.xlsx": TWINS,
}
"""Files that hold no text, or not without help, and what is said of them."""

ONE_CELL = ("emoji.xlsx", "merged-cells.xls", "merged-cells.xlsx", "merged-cells-boolean.xls")
"""Sheets of a header and nothing below it."""

WORDS = {
    "fake.docx": "Lorem ipsum dolor sit amet.",
    "fake.odt": "| Leader | Sarah | Mark | Ryan |",
    "fake-doc.rtf": "| Row 1, Cell 1 | Row 1, Cell 2 |",
    "fake-html-cp1252.html": "Das war köstlich!",
    "fake-power-point-malformed.pptx": "# Test Slide",
    "winter-sports.epub": "## CHAPTER I THE SUN-SEEKER",
    "simple.docx": "- Hockey",
    "habibi.pdf": "حَبيبي",
    "multicolumn.pdf": "consectetuer adipiscing elit. Ut purus elit, vestibulum ut, placerat ac,",
    "crazyones-pdfa.pdf": "The misfits. The rebels.",
    "libreoffice-form.pdf": "First Name: Alice",
    "stanley-cups.xlsx": "Maple Leafs",
    "table.ods": "中国人",
    "nested_lists.snappy.parquet": "['a', 'b']",
    "byte_array_decimal.parquet": "24.00",
}
"""What some of them must say."""

LOADERS: dict[str, type[Any]] = {
    **dict.fromkeys((*READERS, *OLD), Documents),
    **dict.fromkeys(SHEETS, Excel),
    ".parquet": Parquet,
}


def files() -> list[str]:
    folders = ("documents", "pdf", "html-pages", "parquet", "csvkit-examples", "frictionless")
    found = (path for folder in folders for path in (DATA / folder).rglob("*") if path.suffix.lower() in LOADERS)
    return sorted(path.relative_to(DATA).as_posix() for path in found)


@pytest.mark.parametrize("name", files())
def test_a_real_file_gives_sensible_rows_or_one_clear_error(name: str, read: Callable[..., Any]) -> None:
    path = Path(name)
    loader = LOADERS[path.suffix.lower()]()
    said = REFUSED.get(path.name)
    if said:
        with pytest.raises(SlmError) as caught:
            read(loader, name, DATA)
        line = str(caught.value)
        assert line.startswith(name)
        assert said in line
        assert "\n" not in line
        return
    found = read(loader, name, DATA)
    assert bool(found.rows) == (path.name not in ONE_CELL)
    assert len(found.rows) == len(found.numbers)
    assert set(found.addresses) <= {name}
    assert all(reject.place.startswith(name) and reject.why for reject in found.rejected)
    assert all("\n" not in warning for warning in found.warnings)
    if loader.__class__ is Documents:
        assert all(row["text"].strip() and "\x00" not in row["text"] for row in found.rows)
    assert WORDS.get(path.name, "") in "\n".join(str(value) for row in found.rows for value in row.values())


def test_every_file_is_there_to_be_read(data: Path) -> None:
    assert len(files()) > 110
    assert {Path(name).name for name in files()} >= {*REFUSED, *WORDS, *ONE_CELL}


def test_a_folder_of_all_of_them_is_read_to_its_end(data: Path, read: Callable[..., Any]) -> None:
    found = read(Documents(), "messy/pdf/", data)
    places = {reject.place.partition(",")[0] for reject in found.rejected} | set(found.addresses)
    assert places == {f"messy/{name}" for name in files() if name.endswith(".pdf")}
    assert all(row["text"].strip() for row in found.rows)
