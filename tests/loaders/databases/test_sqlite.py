"""SQLite files are read in place, whatever state they are in, and never written."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slm.plugin import SlmError, Source
from slm_loaders.sql import Sql

FAQ = (
    "CREATE TABLE faq (id INTEGER PRIMARY KEY, question TEXT, answer TEXT)",
    "INSERT INTO faq VALUES (7, 'What?', 'That.'), (3, 'Wer? 100%', 'ü😀'), (9, 'None', NULL)",
)
ROWS = [
    {"id": 3, "question": "Wer? 100%", "answer": "ü😀"},
    {"id": 7, "question": "What?", "answer": "That."},
    {"id": 9, "question": "None", "answer": None},
]


def made(file: Path, *statements: str) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    return connection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made(tmp_path / "kb.db", *FAQ).close()
    return tmp_path


@pytest.mark.parametrize(
    ("loader", "address", "shown"),
    [
        (Sql(), "kb.db", "kb.db?table=faq"),
        (Sql(table="faq"), "kb.db", "kb.db?table=faq"),
        (Sql(), "sqlite:///kb.db", "sqlite:///kb.db?table=faq"),
        (Sql(), "sqlite:///kb.db?table=faq", "sqlite:///kb.db?table=faq"),
        (Sql(), "sqlite:///{folder}/kb.db", "sqlite:///{folder}/kb.db?table=faq"),
        (Sql(), "file://{folder}/kb.db", "file://{folder}/kb.db?table=faq"),
    ],
)
def test_a_table_is_read_in_the_order_of_its_key(
    loader: Sql, address: str, shown: str, folder: Path, read: Callable[..., Any]
) -> None:
    found = read(loader, address.format(folder=folder))
    assert found.rows == ROWS
    assert found.numbers == [3, 7, 9]
    assert set(found.addresses) == {shown.format(folder=folder)}


def test_a_query_is_read_with_its_own_names(folder: Path, read: Callable[..., Any]) -> None:
    query = "-- all\nSELECT question AS q, ':name' AS p FROM faq WHERE question LIKE '%100%'; -- that is it"
    found = read(Sql(query=query), "kb.db")
    assert (found.rows, found.numbers, found.addresses) == ([{"q": "Wer? 100%", "p": ":name"}], [1], ["kb.db"])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("DELETE FROM faq", "it begins with DELETE; a source is only read"),
        ("PRAGMA user_version = 4", "it begins with PRAGMA"),
        ("ATTACH 'other.db' AS other", "it begins with ATTACH"),
        ("SELECT 1; DROP TABLE faq", "several statements"),
        ("WITH x AS (SELECT 1) DELETE FROM faq", r"it writes \(DELETE\)"),
        ("WITH x AS (SELECT 1) REPLACE INTO faq SELECT 1, 2, 3", r"it writes \(REPLACE\)"),
        ("SELECT load_extension('x')", "not authorized"),
        ("SELECT id, id FROM faq", "two columns are named 'id'; name one otherwise with AS"),
        ("SELECT nope FROM faq", r"kb\.db: no such column \(no such column: nope\)"),
        ("SELECT * FROM nope", r"kb\.db: no such table \(no such table: nope\)"),
        ("SELECT * FRM faq", "the query is not understood"),
        ("SELECT 'a", r"a quote \('\) is not closed"),
        ("SELECT 1 /* a", "is not closed"),
        ("-- nothing", "query: empty"),
        ("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT sum(x) FROM n", "no answer in 0.2 s"),
    ],
)
def test_a_query_that_writes_fails_or_never_ends_is_one_line(
    query: str, message: str, folder: Path, read: Callable[..., Any]
) -> None:
    before = (folder / "kb.db").read_bytes()
    with pytest.raises(SlmError, match=message) as caught:
        read(Sql(query=query, timeout=0.2), "kb.db")
    assert "\n" not in str(caught.value)
    assert (folder / "kb.db").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["kb.db"]


@pytest.mark.parametrize(
    ("statements", "loader", "message"),
    [
        (("CREATE TABLE a (x)", "CREATE TABLE b (x)"), Sql(), r"which table\? set table = '...' \(there: a, b\)"),
        (("CREATE TABLE articles (x)",), Sql(table="artikles"), "no table 'artikles'; did you mean 'articles'"),
        (("CREATE TABLE a (x)", "DROP TABLE a"), Sql(), "holds no table"),
        (("CREATE TABLE a (x)",), Sql(table="a", query="SELECT 1"), "a query and a table; leave one out"),
    ],
)
def test_the_tables_are_named_where_none_is_meant(
    statements: tuple[str, ...], loader: Sql, message: str, tmp_path: Path, read: Callable[..., Any]
) -> None:
    made(tmp_path / "t.db", *statements).close()
    with pytest.raises(SlmError, match=message):
        read(loader, "t.db")


def test_two_tables_asked_for_are_one_too_many(folder: Path, read: Callable[..., Any]) -> None:
    with pytest.raises(SlmError, match="two tables, faq and other"):
        read(Sql(table="other"), "sqlite:///kb.db?table=faq")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"t\.db: no such file"),
        (b"", r"t\.db: is empty"),
        (b"id,text\n1,a\n", r"t\.db: is no SQLite database"),
        (b"SQLite format 3\0" + b"\xff" * 5000, r"t\.db: "),
    ],
)
def test_a_file_that_is_no_database_is_one_line(
    content: bytes | None, message: str, tmp_path: Path, read: Callable[..., Any]
) -> None:
    if content is not None:
        (tmp_path / "t.db").write_bytes(content)
    with pytest.raises(SlmError, match=message) as caught:
        read(Sql(), "t.db")
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_is_no_table_of_zeros(folder: Path, read: Callable[..., Any]) -> None:
    whole = (folder / "kb.db").read_bytes()
    (folder / "kb.db").write_bytes(whole[: len(whole) - 2000])
    with pytest.raises(SlmError, match=r"kb\.db: the file is cut short"):
        read(Sql(), "kb.db")


@pytest.mark.parametrize(
    ("address", "message"),
    [("sqlite:///.", "is a folder"), ("sqlite://", "names no file"), ("sqlite:///:memory:", "names no file")],
)
def test_an_address_that_names_no_file_is_refused(
    address: str, message: str, tmp_path: Path, read: Callable[..., Any]
) -> None:
    with pytest.raises(SlmError, match=message):
        read(Sql(), address)


def test_a_locked_file_is_named_as_such(folder: Path, read: Callable[..., Any]) -> None:
    writer = made(folder / "kb.db", "BEGIN EXCLUSIVE")
    with pytest.raises(SlmError, match=r"kb\.db: the file is locked by a program that writes to it"):
        read(Sql(timeout=0.2), "kb.db")
    writer.close()


def test_what_is_written_but_not_merged_counts(tmp_path: Path, read: Callable[..., Any]) -> None:
    writer = made(tmp_path / "t.db", "PRAGMA journal_mode = WAL", "CREATE TABLE t (x)", "INSERT INTO t VALUES ('a')")
    source = Source("sqlite:///t.db", tmp_path)
    before, content = Sql().state(source), (tmp_path / "t.db").read_bytes()
    writer.execute("INSERT INTO t VALUES ('b')")
    assert (tmp_path / "t.db").read_bytes() == content
    assert Sql().state(source) != before
    assert read(Sql(), "t.db").rows == [{"x": "a"}, {"x": "b"}]
    writer.close()
    assert read(Sql(), "t.db").rows == [{"x": "a"}, {"x": "b"}]
    assert [path.name for path in tmp_path.iterdir()] == ["t.db"]


def test_a_database_in_a_folder_that_may_not_be_written_is_read(tmp_path: Path, read: Callable[..., Any]) -> None:
    folder = tmp_path / "fixed"
    folder.mkdir()
    made(folder / "t.db", "PRAGMA journal_mode = WAL", "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)").close()
    (folder / "t.db").chmod(0o444)
    folder.chmod(0o555)
    assert read(Sql(), "t.db", folder).rows == [{"x": 1}]
    folder.chmod(0o755)


def test_a_column_holds_whatever_sqlite_lets_into_it(tmp_path: Path, read: Callable[..., Any]) -> None:
    connection = made(tmp_path / "t.db", "CREATE TABLE t (a, b, c, d, e)")
    rows = [("x", 1, b"caf\xe9", 1.5, 1), (2, 2, "ü", None, 2), (None, 3, b"\x81", 1e300, 3.5)]
    connection.executemany("INSERT INTO t VALUES (?, ?, CAST(? AS TEXT), ?, ?)", rows)
    connection.close()
    found = read(Sql(), "t.db")
    columns = {name: [row[name] for row in found.rows] for name in "abcde"}
    assert columns == {
        "a": ["x", "2", None],
        "b": [1, 2, 3],
        "c": ["café".encode(), "ü".encode(), b"\x81"],
        "d": [1.5, None, 1e300],
        "e": ["1", "2", "3.5"],
    }
    assert found.warnings == ["t.db: some texts are not UTF-8; their stray bytes are read as cp1252"]


def test_odd_names_are_quoted(tmp_path: Path, read: Callable[..., Any]) -> None:
    name = 'a "b" %s? #.db'
    made(tmp_path / name, 'CREATE TABLE "x ""y"" %(z)s" ("order" TEXT PRIMARY KEY, "a:b")').execute(
        """INSERT INTO "x ""y"" %(z)s" VALUES ('1', '2')"""
    ).connection.close()
    found = read(Sql(), name)
    assert (found.rows, found.numbers) == ([{"order": "1", "a:b": "2"}], [1])


def test_a_view_is_read_where_there_is_no_table(tmp_path: Path, read: Callable[..., Any]) -> None:
    made(tmp_path / "t.db", "CREATE VIEW v AS SELECT 'a' AS text").close()
    assert read(Sql(), "t.db").rows == [{"text": "a"}]


def test_long_and_many_rows_come_in_batches_of_bounded_size(tmp_path: Path, read: Callable[..., Any]) -> None:
    connection = made(tmp_path / "t.db", "CREATE TABLE t (n INTEGER PRIMARY KEY, text)", "BEGIN")
    connection.executemany("INSERT INTO t VALUES (?, ?)", ((n, f"short {n}") for n in range(25_000)))
    connection.executemany("INSERT INTO t VALUES (?, ?)", ((n, f"{n}" * 60_000) for n in range(25_000, 25_300)))
    connection.execute("COMMIT")
    connection.close()
    found = read(Sql(), "t.db")
    assert found.numbers == list(range(25_300))
    assert 10_000 <= max(len(batch.rows) for batch in found.batches) < 11_000
    assert max(batch.rows.nbytes for batch in found.batches) < 40_000_000


def test_reading_may_end_early(folder: Path) -> None:
    from slm.plugin import Hardware, Work

    batches = Sql().load(Source("kb.db", folder), Work(folder, folder, Hardware()))
    next(iter(batches))
    batches.close()  # type: ignore[attr-defined]
    made(folder / "kb.db", "BEGIN EXCLUSIVE").close()
