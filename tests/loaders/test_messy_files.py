"""Every messy file of text: rows, each of them accounted for, or one line that names the file."""

import csv
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slm.plugin import SlmError
from slm_loaders.csv import Csv
from slm_loaders.json import Json
from slm_loaders.jsonl import Jsonl
from slm_loaders.text import Text
from slm_loaders.yaml import Yaml

DATA = Path(os.environ.get("SLM_TEST_DATA", Path(__file__).parents[3] / "shared/data")) / "messy"
LOADERS: list[tuple[str, type[Any]]] = [
    (r"\.(csv|tsv)(\.(gz|bz2|xz|zip|txt))?$|\.zip$", Csv),
    (r"\.json$", Json),
    (r"\.(jsonl|ndjson)$", Jsonl),
    (r"\.ya?ml$", Yaml),
    (r"\.(txt|md|rst|org|bad)$|/testfixed", Text),
]
FOLDERS = ("csv-spectrum", "csvkit-examples", "derived", "documents", "encodings", "frictionless", "html-pages")
FILES = sorted(
    str(path.relative_to(DATA)) for folder in FOLDERS for path in (DATA / folder).rglob("*") if path.is_file()
)
CASES = [(name, loader) for name in FILES for pattern, loader in LOADERS if re.search(pattern, name)]

ROWS = {
    "csvkit-examples/bad.csv": (1, 2),
    "csvkit-examples/dummy.csv.bz2": (1, 0),
    "csvkit-examples/dummy3.csv": (2, 0),
    "csvkit-examples/iris.csv": (150, 0),
    "csvkit-examples/join_a.csv": (3, 0),
    "csvkit-examples/mac_newlines.csv": (2, 0),
    "csvkit-examples/no_header_row.csv": (1, 0),
    "csvkit-examples/null_byte.csv": (1, 0),
    "csvkit-examples/optional_quote_characters.csv": (1, 0),
    "csvkit-examples/realdata/census_2000/determination.csv": (1555, 0),
    "csvkit-examples/realdata/census_2010/ilgeo2010_excerpt.csv": (1000, 0),
    "csvkit-examples/realdata/ks_1033_data.csv": (1575, 0),
    "csvkit-examples/test_header_newline.csv": (1, 0),
    "csvkit-examples/test_latin1.csv": (2, 0),
    "csvkit-examples/test_skip_lines.csv": (1, 0),
    "csvkit-examples/test_utf16_little.csv": (2, 0),
    "csvkit-examples/test_utf8_bom.csv": (2, 0),
    "csvkit-examples/testjson.json": (5, 0),
    "csvkit-examples/testjson_multiline.json": (2, 0),
    "derived/blank-lines-no-final-newline.jsonl": (60, 0),
    "derived/bom-crlf.jsonl": (60, 0),
    "derived/columns-of-lists.json": (60, 0),
    "derived/concatenated-pretty.json": (20, 0),
    "derived/faq-cr-only.csv": (100, 0),
    "derived/faq-no-header.csv": (100, 0),
    "derived/faq-semicolon-cp1252.csv": (100, 0),
    "derived/faq-tab-utf16.tsv": (100, 0),
    "derived/json-array-named.jsonl": (60, 0),
    "derived/jsonl-named.json": (60, 0),
    "derived/mixed-schemas.jsonl": (60, 0),
    "derived/one-huge-field.jsonl": (10, 0),
    "derived/one-row.csv": (1, 0),
    "derived/only-header.csv": (0, 0),
    "derived/truncated-download.jsonl": (59, 1),
    "derived/utf16le-bom.jsonl": (60, 0),
    "derived/wrapped-in-data-key.json": (60, 0),
    "documents/arbitrary-records.json": (3, 0),
    "documents/arbitrary-records.ndjson": (3, 0),
    "documents/csv-with-line-delimiter.csv": (3, 0),
    "documents/single-column.csv": (8, 0),
    "documents/stanley-cups-utf-16.csv": (3, 0),
    "documents/stanley-cups.tsv": (3, 0),
    "frictionless/delimiter.csv": (2, 0),
    "frictionless/doublequote.csv.zip": (5, 0),
    "frictionless/encoding-issue-274.csv": (507, 0),
    "frictionless/escaping.csv": (3, 0),
    "frictionless/issue-1109.csv": (3, 0),
    "frictionless/latin1.csv": (2, 0),
    "frictionless/skip-rows.csv": (2, 1),
    "frictionless/table-with-accents.csv": (638, 0),
    "frictionless/table.csv.bz2": (2, 0),
    "frictionless/table.csv.xz": (2, 0),
    "frictionless/table.json": (2, 0),
    "frictionless/table.jsonl": (2, 0),
    "frictionless/table.keyed.yaml": (2, 0),
    "frictionless/table.ndjson": (2, 0),
    "frictionless/table.yaml": (2, 0),
    "frictionless/without-headers.csv": (3, 0),
    "frictionless/Таблица.csv": (2, 0),
}
"""Rows read and rejected, where they are known from the origin or counted by hand."""


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("name", "loader"), CASES)
def test_a_messy_file_gives_rows_or_one_line(name: str, loader: type[Any], read: Callable[..., Any]) -> None:
    try:
        found = read(loader(), name.replace("[", "[[]"), DATA)
    except SlmError as error:
        found, said = None, str(error)
    else:
        said = ""
    if found is None:
        assert name not in ROWS
        assert said.startswith((name, name.replace("[", "[[]")))
        assert "\n" not in said
        return
    assert (len(found.rows), len(found.rejected)) == ROWS.get(name, (len(found.rows), len(found.rejected)))
    assert len(found.rows) == len(found.numbers)
    assert all(reject.place.startswith(name) and reject.why and "\n" not in reject.why for reject in found.rejected)
    assert found.rows or found.rejected or ".csv" in name
    assert all("\n" not in warning for warning in found.warnings)
    if loader is Csv and name.endswith(".csv"):
        _all_lines_are_there(DATA / name, found)


def _all_lines_are_there(path: Path, found: Any) -> None:
    """As many records as Python's own reader finds, but for the header, remarks before it and blank lines."""
    raw = path.read_bytes()
    if b"\0" in raw or '"' not in raw.decode("latin-1") or raw.count(b'"') % 2 or any(found.rejected):
        return
    lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", raw.decode("utf-8-sig", "replace"))
    delimiter = max(",;\t|", key=lines[0].count)
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    assert len(rows) - len(found.rows) in (0, 1, 2)


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("derived/") and "expected" not in name])
def test_a_derived_file_has_the_rows_of_its_key(name: str, read: Callable[..., Any]) -> None:
    key = json.loads((DATA / "derived/EXPECTED.json").read_bytes())
    loader = next((loader for pattern, loader in LOADERS if re.search(pattern, name)), Csv)
    file = name.removeprefix("derived/")
    if file in key["sheet files"]:
        assert len(read(Csv(), name, DATA).rows) == key["sheet rows (header excluded)"]
    elif file in key["jsonl rows"]:
        rows = int(re.match(r"\d+", str(key["jsonl rows"][file]))[0])  # type: ignore[index]
        assert len(read(loader(), name, DATA).rows) == rows
