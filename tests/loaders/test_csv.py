"""Delimited text, clean and broken, is read exactly or refused with its place."""

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slm.plugin import SlmError
from slm_loaders.csv import Csv
from slm_loaders.tabular import quick
from slm_loaders.tabular.quick import read_block

SPECTRUM = [
    "comma_in_quotes", "empty", "empty_crlf", "escaped_quotes", "json", "newlines",
    "quotes_and_newlines", "simple", "simple_crlf", "utf8",
]  # fmt: skip


@pytest.mark.parametrize("name", SPECTRUM)
def test_csv_spectrum_is_read_exactly(name: str, data: Path, read: Callable[..., Any]) -> None:
    folder = data / "messy/csv-spectrum"
    expected = json.loads((folder / f"json/{name}.json").read_bytes())
    assert read(Csv(), f"csvs/{name}.csv", folder).rows == (expected if isinstance(expected, list) else [expected])


def test_csv_spectrum_line_breaks_in_cells_stay_as_they_are(data: Path, read: Callable[..., Any]) -> None:
    folder = data / "messy/csv-spectrum"
    expected = json.loads((folder / "json/newlines_crlf.json").read_bytes())
    raw = (folder / "csvs/newlines_crlf.csv").read_bytes()
    if b"upon \r\n" not in raw:  # checked out with its cell's line break changed, its key's not
        expected[1]["a"] = expected[1]["a"].replace("\r\n", "\n")
    assert read(Csv(), "csvs/newlines_crlf.csv", folder).rows == expected


def test_csv_spectrum_coordinates_are_read_exactly(data: Path, read: Callable[..., Any]) -> None:
    folder = data / "messy/csv-spectrum"
    expected = json.loads((folder / "json/location_coordinates.json").read_bytes())
    (row,) = read(Csv(), "csvs/location_coordinates.csv", folder).rows
    assert row == {**expected, "Contact Phone Number": "2095257564"}  # the answer key has another number


@pytest.mark.parametrize(
    "name",
    [
        "faq-bom.csv",
        "faq-cr-only.csv",
        "faq-pipe.txt",
        "faq-tab-utf16.tsv",
        "faq-semicolon-cp1252.csv",
        "faq-no-header.csv",
    ],
)
def test_the_same_table_in_other_dialects_has_the_same_rows(name: str, data: Path, read: Callable[..., Any]) -> None:
    folder = data / "messy/derived"
    with (folder / "faq-bom.csv").open(encoding="utf-8-sig", newline="") as file:
        expected = [[cell.replace("\r\n", "\n") for cell in row] for row in list(csv.reader(file))[1:]]
    found = read(Csv(), name, folder)
    cells = [[cell.replace("\r\n", "\n").replace("\r", "\n") for cell in row.values()] for row in found.rows]
    if "1252" in name:  # what cp1252 has not was replaced when the file was made
        assert [len(row) for row in cells] == [2] * 100
        assert sum(a == b for a, b in zip(cells, expected, strict=True)) > 80
    else:
        assert cells == expected
    assert not found.rejected


def test_lines_in_another_encoding_are_read_and_reported(data: Path, read: Callable[..., Any]) -> None:
    found = read(Csv(), "faq-mixed-utf8-then-cp1252.csv", data / "messy/derived")
    assert len(found.rows) == 100
    assert not any("\ufffd" in row["answer"] or "\udc80" <= max(row["answer"]) <= "\udcff" for row in found.rows)
    assert found.warnings == [
        "faq-mixed-utf8-then-cp1252.csv: some lines are not UTF-8; their stray bytes are read as cp1252"
    ]


def test_in_a_stated_encoding_a_stray_byte_costs_its_row(tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,label\nfine,x\nbad \xe9,y\n")
    found = read(Csv(encoding="utf-8"), "a.csv")
    assert [row["text"] for row in found.rows] == ["fine"]
    assert [(reject.place, reject.why) for reject in found.rejected] == [("a.csv:3", "holds bytes that are not UTF-8")]


def test_a_column_named_twice_is_refused_until_names_are_given(data: Path, read: Callable[..., Any]) -> None:
    folder, name = data / "messy/derived", "faq-ragged-preamble-duplicate-header.csv"
    with pytest.raises(SlmError, match=r"header\.csv:3: columns 3 and 4 are both named 'answer'"):
        read(Csv(), name, folder)
    found = read(Csv(names=("id", "question", "answer", "more", "rest")), name, folder)
    odd = {place for place, _ in json.loads((folder / f"{name}.expected.json").read_bytes())["odd_rows_by_id"]}
    assert {int(reject.raw.split(",")[0]) for reject in found.rejected} | {int(row["id"]) for row in found.rows} == set(
        range(100)
    )
    assert {int(reject.raw.split(",")[0]) for reject in found.rejected} <= odd


def test_an_open_quote_costs_its_own_lines_only(data: Path, read: Callable[..., Any]) -> None:
    found = read(Csv(), "faq-unclosed-quote.csv", data / "messy/derived")
    assert len(found.rows) == 98
    assert [reject.place.rpartition(":")[2] for reject in found.rejected] == ["309", "310"]
    assert found.rejected[0].why == "a quote is opened here and not closed"


@pytest.mark.parametrize(
    ("text", "rows", "rejected"),
    [
        (
            "a,b\n1,2\n3\n4,5,6\n7,8\n",
            [["1", "2"], ["7", "8"]],
            {3: "1 cells where there are 2 columns", 4: "3 cells where there are 2 columns"},
        ),
        ("a,b\n1,2,,\n3,4\n", [["1", "2"], ["3", "4"]], {}),
        ("a,b\nx,y\na,b\nz,w\n", [["x", "y"], ["z", "w"]], {4 - 1: "the header once more"}),
        ('a,b\nx,He said "no"\ny,"He said "no" to me"\n', [["x", 'He said "no"'], ["y", 'He said "no" to me']], {}),
        ('a,b\n"two\nlines",x\ny\nz,w\n', [["two\nlines", "x"], ["z", "w"]], {4: "1 cells where there are 2 columns"}),
        ("a,b\r\n1,2\r\n\r\n3,4", [["1", "2"], ["3", "4"]], {}),
        ("a,b\n\0x,2\n", [["\0x", "2"]], {}),
        ("one\nx y\nz\n", [["x y"], ["z"]], {}),
        ("a;b\n1,5;2\n2,5;3\n", [["1,5", "2"], ["2,5", "3"]], {}),
        ("'a','b'\n'x, y','z'\n", [["x, y", "z"]], {}),
        ("# made by a tool\na,b\n1,2\n", [["1", "2"]], {}),
        ('id, text\n1, "one, two"\n2, "say ""no"""\n', [["1", "one, two"], ["2", 'say "no"']], {}),
        ('id,text\n1,"say \\"no, no\\" twice"\n2,"C:\\\\"\n', [["1", 'say "no, no" twice'], ["2", "C:\\\\"]], {}),
        ('id,text\n1,"{""a"": ""\\""b\\""""}"\n', [["1", '{"a": "\\"b\\""}']], {}),
        (
            "some, lines\nof text\nwith commas, or\nwithout\nany\nof them\n",
            [["of text"], ["with commas, or"], ["without"], ["any"], ["of them"]],
            {},
        ),
        ("Title of it\nMade in May\n\nid,text\n1,x\n2,y\n3,z\n", [["1", "x"], ["2", "y"], ["3", "z"]], {}),
        ("Report,,\nid,text,n\n1,x,\n2,y,\n3,z,\n", [["1", "x", ""], ["2", "y", ""], ["3", "z", ""]], {}),
        (",text\n0,x\n1,y\n2,z\n", [["0", "x"], ["1", "y"], ["2", "z"]], {}),
        ("sep=;\na;b\n1,5;2\n", [["1,5", "2"]], {}),
        ("a\tb\n1\t2\n\t\n", [["1", "2"], ["", ""]], {}),
        ("text,label\n" + "x," * 40 + "\n", [], {2: "41 cells where there are 2 columns"}),
    ],
)
def test_rows_and_rejects_keep_their_lines(
    text: str, rows: list[list[str]], rejected: dict[int, str], tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())
    found = read(Csv(), "t.csv")
    assert [list(row.values()) for row in found.rows] == rows
    assert {int(each.place.rpartition(":")[2]): each.why for each in found.rejected} == rejected


def test_numbers_are_lines_of_the_file_even_behind_cells_of_several_lines(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "t.csv").write_text('text,label\n"one\ntwo\n",a\n\nb,c\n"d\ne",f\ng,h\n')
    assert read(Csv(), "t.csv").numbers == [2, 6, 7, 9]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("1,english\n2,german\n", ["column_1", "column_2"]),
        ("ham,see you at the station later\nspam,win\nham,ok\n", ["column_1", "column_2"]),
        ("year,2011,2010\nx,1,2\n", ["year", "2011", "2010"]),
        ("text,label\ntext,a\n", ["text", "label"]),
        ("a,b\n1,b\n2,b\n", ["a", "b"]),
        ("x,n/a\ny,3\nx,4\n", ["column_1", "column_2"]),
        ("v1,v2,,\nham,hello,,\n", ["v1", "v2", "column_3", "column_4"]),
    ],
)
def test_the_header_is_known_from_its_cells(
    text: str, columns: list[str], tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "t.csv").write_text(text)
    found = read(Csv(), "t.csv")
    assert found.batches[0].rows.column_names == columns
    assert bool(found.warnings) == (columns[0] == "column_1")


@pytest.mark.parametrize(
    "name", ["dummy.csv.gz", "dummy.csv.bz2", "dummy.tsv", "test_utf16_big.csv", "test_utf16_little.csv"]
)
def test_packed_and_wide_tables_are_read(name: str, data: Path, read: Callable[..., Any]) -> None:
    rows = read(Csv(), name, data / "messy/csvkit-examples").rows
    assert rows[0] == {"a": "1", "b": "2", "c": "3"}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_file_cut_short_is_refused(
    pack: Callable[[bytes], bytes], tmp_path: Path, read: Callable[..., Any]
) -> None:
    whole = pack("\n".join(f"{n},text {n * 7919}" for n in range(5000)).encode())
    (tmp_path / "t.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SlmError, match=r"t\.csv\.gz: the compressed file is broken or cut short"):
        read(Csv(), "t.csv.gz")


def test_real_messages_in_cp1252_are_read_whole(data: Path, read: Callable[..., Any]) -> None:
    found = read(Csv(), "classification/sms-spam/spam.csv", data)
    assert len(found.rows) == 5572
    assert sum(row["v1"] == "ham" for row in found.rows) == 4825
    assert not found.rejected
    assert "£100" in "".join(row["v2"] for row in found.rows)


@pytest.mark.parametrize(
    ("name", "rows", "delimiter"),
    [("faq_covidbert.csv", 213, ","), ("MT_ar_faq_covidbert.csv", 213, ","), ("faq_200327.tsv", 896, "\t")],
)
def test_real_answers_with_html_are_as_pythons_reader_has_them(
    name: str, rows: int, delimiter: str, data: Path, read: Callable[..., Any]
) -> None:
    file = data / "qa/covid-faq/faqs" / name
    found = read(Csv(), name, file.parent)
    with file.open(encoding="utf-8-sig", newline="") as stream:
        expected = list(csv.reader(stream, delimiter=delimiter))[1:]
    assert [list(row.values()) for row in found.rows] == expected
    lines = file.read_text(encoding="utf-8-sig").split("\n")
    assert len(found.rows) == rows
    assert all(
        row["question"].split("\n")[0][:5] in lines[n - 1] for row, n in zip(found.rows, found.numbers, strict=True)
    )


CELLS = st.text(st.sampled_from(list("ab,;\t|\"'\n\r \0é€𝄞1#\\\u2028\u0085")), max_size=8)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(1, 5).flatmap(
        lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=12)
    ),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_pythons_writer_writes_is_read_back_exactly(
    rows: list[list[str]], delimiter: str, end: str, quoting: Any, tmp_path: Path, read: Callable[..., Any]
) -> None:
    if end == "\n" and quoting == csv.QUOTE_MINIMAL:  # then Python 3.11 leaves a lone carriage return unquoted
        rows = [[cell.replace("\r", "") for cell in row] for row in rows]
    names = [f"name {n}" for n in range(len(rows[0]))]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows([names, *rows])
    (tmp_path / "t.csv").write_bytes(out.getvalue().encode())
    found = read(Csv(delimiter=delimiter, header=True, quote='"'), "t.csv")
    assert [list(row.values()) for row in found.rows] == rows
    assert not found.rejected


def test_a_file_of_many_blocks_is_read_as_one(tmp_path: Path, read: Callable[..., Any]) -> None:
    expected = [[str(n), f'{"x" * (n % 300)} "{n}",\r\n{"é" * (n % 7)}'] for n in range(60_000)]
    expected[40_000][1] = "long " * 1_200_000
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "text"], *expected])
        file.write('60001,"an "odd" one"\r\n')
    found = read(Csv(), "t.csv")
    assert [list(row.values()) for row in found.rows] == [*expected, ["60001", 'an "odd" one']]
    assert found.numbers[:3] == [2, 4, 6]
    assert len(found.batches) >= 3
    assert not found.rejected


def test_the_quick_reader_refuses_what_it_would_read_otherwise() -> None:
    names = ("a", "b")
    assert read_block(b'x,"y ""z"""\n', ",", '"', names, final=True) is not None
    for text in (b'x,"y" z\n', b'x,y"z"\n', b"x,y\rz,w\n", b"x,\xff\n", b"x\n", b'x,"y\n'):
        assert read_block(text, ",", '"', names, final=True) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"t\.csv: no such file"),
        (b"", r"t\.csv: empty file"),
        (b"\n\n \n", r"t\.csv: empty file"),
        (b"%PDF-1.7 ...", r"t\.csv: is a PDF, not text"),
        (b"PK\x03\x04....", r"t\.csv: the zip archive is broken or cut short"),
        (bytes(range(256)) * 4, r"t\.csv: is binary, not text"),
        (b"a,b,a\n1,2,3\n", r"t\.csv:1: columns 1 and 3 are both named 'a'"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(
    content: bytes | None, message: str, tmp_path: Path, read: Callable[..., Any]
) -> None:
    if content is not None:
        (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(SlmError, match=message) as error:
        read(Csv(), "t.csv")
    assert "\n" not in str(error.value)


def test_an_accent_here_and_there_is_read_as_cp1252(tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_bytes("id,name\n1,english\n2,café\n3,£5\n".encode("cp1252"))
    found = read(Csv(), "t.csv")
    assert [row["name"] for row in found.rows] == ["english", "café", "£5"]
    assert found.warnings == ["t.csv: not UTF-8, read as cp1252; state its encoding if that is wrong"]


def test_an_unknown_encoding_is_refused(tmp_path: Path, read: Callable[..., Any]) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SlmError, match="'utf-9' is not known"):
        read(Csv(encoding="utf-9"), "t.csv")


def test_a_near_name_is_suggested_and_patterns_keep_each_files_address(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "d").mkdir()
    for name in ("faqs1.csv", "faqs2.csv", "[odd].csv"):
        (tmp_path / "d" / name).write_text("text,label\nx,y\n")
    with pytest.raises(SlmError, match=r"d/faq1\.csv: no such file; did you mean 'faqs1\.csv'\?"):
        read(Csv(), "d/faq1.csv")
    assert read(Csv(), "d/faqs*.csv").addresses == ["d/faqs1.csv", "d/faqs2.csv"]
    assert read(Csv(), "d/[odd].csv").addresses == ["d/[odd].csv"]
    with pytest.raises(SlmError, match=r"d: is a folder"):
        read(Csv(), "d")
    with pytest.raises(SlmError, match=r"d/x\*\.csv: no file matches"):
        read(Csv(), "d/x*.csv")


@pytest.mark.parametrize("file", ["csvkit-examples", "frictionless"])
def test_every_messy_table_gives_rows_or_one_line(file: str, data: Path, read: Callable[..., Any]) -> None:
    for path in sorted((data / "messy" / file).rglob("*")):
        if path.suffix in (".csv", ".tsv") or ".csv." in path.name:
            said = ""
            try:
                found = read(Csv(), path.name, path.parent)
            except SlmError as error:
                said = str(error)
            assert path.name in said.split("\n")[0] if said else len(found.rows) == len(found.numbers)


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize(
    "text",
    [
        'a,b\r\n1,"x, y"\r\n2,z\r\n',
        'a,b\n1,"two\nlines"\n\n2,"says ""so"""\n3,end',
        'a,b\r\n1,"one\r\n\r\ntwo"\r\n2,z\r\n\r\n',
        "a,b\n1,x\r\n2,y\n",
    ],
)
def test_where_a_block_is_looked_at_in_parts_nothing_changes(
    monkeypatch: pytest.MonkeyPatch, size: int, text: str
) -> None:
    names, block = ("a", "b"), text.encode()
    whole = read_block(block, ",", '"', names, final=True)
    monkeypatch.setattr(quick, "PART", size)
    parts = read_block(block, ",", '"', names, final=True)
    assert whole is not None
    assert parts is not None
    assert parts.table.to_pylist() == whole.table.to_pylist() == list(plain_rows(names, text))
    assert list(parts.lines) == list(whole.lines)
    assert (parts.used, parts.breaks) == (whole.used, whole.breaks) == (len(block), text.count("\n"))


def plain_rows(names: tuple[str, ...], text: str) -> Iterator[dict[str, str]]:
    """The rows as the standard library reads them."""
    for row in csv.reader(io.StringIO(text, newline="")):
        if row:
            yield dict(zip(names, row, strict=True))


def test_a_return_by_itself_at_the_end_of_a_part_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "PART", 4)
    assert read_block(b"a,b\r1,2\n", ",", '"', ("a", "b"), final=True) is None
    assert read_block(b"1,2\r\n3,4\r\n", ",", '"', ("a", "b"), final=True) is not None
