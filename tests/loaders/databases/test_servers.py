"""PostgreSQL and MariaDB are read as they are, in one transaction that can't write; mistakes are one line."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slm.plugin import Hardware, SlmError, Source, Work
from slm_data.columns import Column, read_field
from slm_loaders.sql import Sql

FAQ = [
    "CREATE TABLE faq (id INTEGER PRIMARY KEY, question VARCHAR(200), answer TEXT)",
    "INSERT INTO faq VALUES (7, 'What? 100%', 'That.'), (3, 'Wer?', 'ü😀'), (9, 'None', NULL)",
]
ROWS = [
    {"id": 3, "question": "Wer?", "answer": "ü😀"},
    {"id": 7, "question": "What? 100%", "answer": "That."},
    {"id": 9, "question": "None", "answer": None},
]


@pytest.fixture
def faq(server: Any) -> Iterator[Any]:
    """A server with the table `faq`."""
    server.run(*FAQ)
    yield server
    server.run("DROP TABLE faq")


def test_a_table_is_read_in_the_order_of_its_key(faq: Any, read: Callable[..., Any]) -> None:
    for loader, address in [(Sql(), faq.address(query={"table": "faq"})), (Sql(), faq.address())]:
        found = read(loader, address)
        assert (found.rows, found.numbers) == (ROWS, [3, 7, 9])
        assert all(each.endswith("/kb?table=faq") and ":***@" in each for each in found.addresses)


def test_a_query_may_hold_any_sign(faq: Any, read: Callable[..., Any]) -> None:
    query = "SELECT question AS q, ':a %s %(b)s' AS s FROM faq WHERE question LIKE '%100%';"
    assert read(Sql(query=query), faq.address()).rows == [{"q": "What? 100%", "s": ":a %s %(b)s"}]


def test_the_password_may_stand_apart(faq: Any, read: Callable[..., Any]) -> None:
    address = faq.url.set(password=None).render_as_string().replace("+psycopg", "").replace("+pymysql", "")
    assert read(Sql(password=faq.url.password), address).rows == ROWS
    with pytest.raises(SlmError, match="wrong user or password"):
        read(Sql(), address)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg"])
def test_other_names_of_postgresql_are_known(scheme: str, postgresql: Any, read: Callable[..., Any]) -> None:
    address = postgresql.address().replace("postgresql", scheme)
    assert read(Sql(query="SELECT 1 AS one"), address).rows == [{"one": 1}]


@pytest.mark.parametrize("scheme", ["mariadb", "mysql+pymysql"])
def test_other_names_of_mysql_are_known(scheme: str, mariadb: Any, read: Callable[..., Any]) -> None:
    address = mariadb.address().replace("mysql", scheme)
    assert read(Sql(query="SELECT 1 AS one"), address).rows == [{"one": 1}]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"user": "owner", "password": "wr0ng"}, "wrong user or password"),
        ({"user": "nobody", "password": "wr0ng"}, "wrong user or password"),
        ({"database": "nope"}, "the server has no database of this name"),
        ({"host": "nowhere.invalid"}, "no such host is known"),
        ({"port": 1}, "no server answers there; check host and port"),
    ],
)
def test_a_server_that_can_t_be_entered_is_one_line(
    parts: dict[str, Any], message: str, server: Any, read: Callable[..., Any]
) -> None:
    with pytest.raises(SlmError, match=message) as caught:
        read(Sql(), server.address(**parts))
    told = str(caught.value)
    assert "\n" not in told
    assert "wr0ng" not in told
    assert server.url.password not in told


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        (Sql(table="faqs"), r"no table 'faqs'; did you mean 'faq'\? \(there: faq\)"),
        (Sql(query="SELECT nope FROM faq"), "no such column"),
        (Sql(query="SELECT * FROM nope"), "no such table"),
        (Sql(query="SELECT * FRM faq WHERE"), "the query is not understood"),
        (Sql(query="SELECT a.id, b.id FROM faq a JOIN faq b ON a.id = b.id"), "two columns are named 'id'"),
        (Sql(query="DROP TABLE faq"), "it begins with DROP"),
        (Sql(query="SELECT 1; DROP TABLE faq"), "several statements"),
        (Sql(query="SELECT * FROM faq FOR UPDATE"), "it locks rows"),
        (Sql(query="SELECT * INTO copied FROM faq"), r"it writes its rows elsewhere \(INTO\)"),
    ],
)
def test_a_mistake_is_one_line(loader: Sql, message: str, faq: Any, read: Callable[..., Any]) -> None:
    with pytest.raises(SlmError, match=message) as caught:
        read(loader, faq.address())
    assert "\n" not in str(caught.value)
    assert read(Sql(), faq.address()).rows == ROWS


def test_functions_that_write_are_stopped_by_the_transaction(
    postgresql: Any, mariadb: Any, read: Callable[..., Any]
) -> None:
    for server in (postgresql, mariadb):
        server.run(*FAQ, "CREATE SEQUENCE counter")
    postgresql.run(
        "CREATE FUNCTION wr() RETURNS int LANGUAGE plpgsql AS 'begin delete from faq; return 1; end'",
        "CREATE FUNCTION off() RETURNS text LANGUAGE sql"
        " AS $$SELECT set_config('transaction_read_only', 'off', false)$$",
    )
    mariadb.run("CREATE FUNCTION wr() RETURNS INT DETERMINISTIC BEGIN DELETE FROM faq; RETURN 1; END")
    queries = [(postgresql, each) for each in ("wr()", "nextval('counter')", "off(), wr()")]
    for server, call in [*queries, (mariadb, "wr()"), (mariadb, "nextval(counter)")]:
        with pytest.raises(SlmError, match="the query writes; a source is only read"):
            read(Sql(query=f"SELECT {call}"), server.address())
    read(Sql(query="SELECT lo_create(0)"), postgresql.address())  # before version 16 no write to it: it is rolled back
    kept = read(Sql(query="SELECT count(*) AS n FROM pg_largeobject_metadata"), postgresql.address())
    assert kept.rows == [{"n": 0}]
    for server in (postgresql, mariadb):
        assert read(Sql(table="faq"), server.address()).rows == ROWS
        server.run("DROP FUNCTION wr", "DROP TABLE faq", "DROP SEQUENCE counter")


def test_what_the_words_of_a_write_stand_for_is_known(postgresql: Any, mariadb: Any, read: Callable[..., Any]) -> None:
    fine = "SELECT replace('a;b', ';', '--') AS x, 'INSERT INTO' AS \"delete\", $$;'$$ AS z /* ; /* DROP */ ; */"
    assert read(Sql(query=fine), postgresql.address()).rows == [{"x": "a--b", "delete": "INSERT INTO", "z": ";'"}]
    fine = "SELECT replace('a\\';b', ';', '--') AS x, 'INSERT INTO' AS `delete` # ; DROP"
    assert read(Sql(query=fine), mariadb.address()).rows == [{"x": "a'--b", "delete": "INSERT INTO"}]
    with pytest.raises(SlmError, match="a comment that the server would run"):
        read(Sql(query="SELECT 1 /*! INTO OUTFILE '/tmp/x' */"), mariadb.address())
    with pytest.raises(SlmError, match=r"it writes \(DELETE\)"):
        read(Sql(query="WITH gone AS (DELETE FROM faq RETURNING *) SELECT * FROM gone"), postgresql.address())


@pytest.mark.parametrize("sleep", ["pg_sleep(5)", "sleep(5)"])
def test_a_slow_answer_is_not_waited_for(sleep: str, postgresql: Any, mariadb: Any, read: Callable[..., Any]) -> None:
    server = postgresql if sleep.startswith("pg") else mariadb
    with pytest.raises(SlmError, match=r"no answer in 0\.3 s; raise timeout"):
        read(Sql(query=f"SELECT {sleep} AS s", timeout=0.3), server.address())


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
def test_a_silent_server_is_not_waited_for(scheme: str, read: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"{scheme}://me:s3cret@127.0.0.1:{silent.getsockname()[1]}/kb?connect_timeout=1"
        with pytest.raises(SlmError, match="the server does not answer; check host and port"):
            read(Sql(), address)


def test_who_may_not_read_is_told(faq: Any, read: Callable[..., Any]) -> None:
    postgresql = faq.url.get_backend_name() == "postgresql"
    made = "CREATE ROLE poor LOGIN PASSWORD 'pw'" if postgresql else "CREATE USER poor IDENTIFIED BY 'pw'"
    faq.run(made, "CREATE TABLE other (x INT)", "GRANT SELECT ON other TO poor")
    with pytest.raises(SlmError, match="this user may not read it; grant SELECT"):
        read(Sql(query="SELECT * FROM faq"), faq.address("poor", "pw"))
    faq.run("DROP TABLE other", "DROP ROLE poor" if postgresql else "DROP USER poor")


def test_rows_that_change_meanwhile_are_read_as_they_were(faq: Any, tmp_path: Path) -> None:
    faq.run("CREATE TABLE big (n INT PRIMARY KEY, t VARCHAR(20))", "CREATE TABLE ten (x INT)")
    faq.run("INSERT INTO ten VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)")
    ten = "a.x + 10 * b.x + 100 * c.x + 1000 * d.x + 10000 * e.x"
    faq.run(f"INSERT INTO big SELECT {ten}, 'old' FROM ten a, ten b, ten c, ten d, ten e")
    batches = Sql(table="big").load(Source(faq.address(), tmp_path), Work(tmp_path, tmp_path, Hardware()))
    first = next(iter(batches))
    texts, count = set(first.rows["t"].to_pylist()), len(first.rows)
    assert count < 20_000
    faq.run("UPDATE big SET t = 'new'", "INSERT INTO big VALUES (100001, 'new')")
    for batch in batches:
        texts |= set(batch.rows["t"].to_pylist())
        count += len(batch.rows)
    assert (texts, count) == ({"old"}, 100_000)
    early = Sql(table="big").load(Source(faq.address(), tmp_path), Work(tmp_path, tmp_path, Hardware()))
    next(iter(early))
    early.close()  # type: ignore[attr-defined]
    faq.run("DROP TABLE big", "DROP TABLE ten")


def test_a_state_says_whether_there_is_something_new(faq: Any) -> None:
    source = Source(faq.address(), Path())
    for loader in (Sql(table="faq", since="id"), Sql(query="SELECT * FROM faq -- all", since="id")):
        assert loader.state(source) == "3 rows, id up to 9"
    faq.run("INSERT INTO faq VALUES (10, 'a', 'b')")
    assert Sql(table="faq", since="id").state(source) == "4 rows, id up to 10"
    assert Sql(table="faq").state(source) is None
    with pytest.raises(SlmError, match="no such column"):
        Sql(table="faq", since="nope").state(source)


def test_every_type_of_postgresql_comes_as_it_is_written(postgresql: Any, read: Callable[..., Any]) -> None:
    columns = {
        "k uuid": ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000001"),
        "d date": ("infinity", "infinity"),
        "ts timestamptz": ("2020-01-02 03:04:05+02", "2020-01-02 01:04:05+00"),
        "bc date": ("0044-03-15 BC", "0044-03-15 BC"),
        "iv interval": ("1 mon 2 days", "1 mon 2 days"),
        "n numeric": ("NaN", "NaN"),
        "m numeric(10,2)": ("1.5", "1.50"),
        "j json": ('{"a": [1, 2.50]}', '{"a": [1, 2.50]}'),
        "jb jsonb": ('"x"', '"x"'),
        "a text[]": ("{x,NULL,ü}", '["x", null, "ü"]'),
        "na numeric[]": ("{1.50}", '["1.50"]'),
        "b bytea": (r"\xff00", b"\xff\0"),
        "f float8": ("0.1", 0.1),
        "r int4range": ("[1,3)", "[1, 3)"),
        "ip inet": ("10.0.0.1", "10.0.0.1"),
        "bo boolean": ("true", True),
        "big bigint": ("9223372036854775807", 9223372036854775807),
        "x xml": ("<a/>", "<a/>"),
        "e mood": ("glad", "glad"),
    }
    postgresql.run(
        "CREATE SCHEMA odd",
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        f"CREATE TABLE odd.types ({', '.join(columns)})",
    )
    values = [f"'{value}'" for value, _ in columns.values()]
    postgresql.run(f"INSERT INTO odd.types VALUES ({', '.join(values)})")
    found = read(Sql(table="odd.types"), postgresql.address())
    expected = {name.split()[0]: value for name, (_, value) in columns.items()}
    assert found.rows == [expected]
    table = found.batches[0].rows
    assert read_field(table, Column(("jb",), ""))[0].to_pylist() == ["x"]
    assert read_field(table, Column(("a",), ""))[1] == {0: "a list"}
    postgresql.run("DROP SCHEMA odd CASCADE", "DROP TYPE mood")


def test_every_type_of_mysql_comes_as_it_is_written(mariadb: Any, read: Callable[..., Any]) -> None:
    columns = {
        "d DATE": ("'2020-01-02'", "2020-01-02"),
        "dt DATETIME(3)": ("'2020-01-02 03:04:05.5'", "2020-01-02 03:04:05.500"),
        "ti TIME": ("'-800:01:02'", "-800:01:02"),
        "de DECIMAL(30,10)": ("1.5", "1.5000000000"),
        "j JSON": ("'[1]'", "[1]"),
        "b BLOB": ("x'ff00'", b"\xff\0"),
        "bi BIT(9)": ("b'100000001'", 257),
        "e ENUM('a','b')": ("'b'", "b"),
        "s SET('x','y')": ("'x,y'", "x,y"),
        "f DOUBLE": ("0.1", 0.1),
        "u BIGINT UNSIGNED": ("18446744073709551615", "18446744073709551615"),
        "y YEAR": ("2020", 2020),
        "t LONGTEXT": ("'ü😀'", "ü😀"),
    }
    mariadb.run(f"CREATE TABLE types ({', '.join(columns)})")
    mariadb.run(f"INSERT INTO types VALUES ({', '.join(value for value, _ in columns.values())})")
    rows = read(Sql(table="types"), mariadb.address()).rows
    assert rows == [{name.split()[0]: value for name, (_, value) in columns.items()}]
    mariadb.run("DROP TABLE types")


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:s3cr/t@127.0.0.1/kb",
        "postgresql://u:s3cr@t@127.0.0.1/kb",
        "mysql://u:s3cr?t@127.0.0.1/kb",
        "mysql://u:s3cret@127.0.0.1:port/kb",
    ],
)
def test_an_address_that_may_be_misread_is_refused_without_being_shown(address: str, read: Callable[..., Any]) -> None:
    with pytest.raises(SlmError, match=r"://\.\.\.: is no address of a database; write \w+://user:password@") as caught:
        read(Sql(), address)
    assert "s3cr" not in str(caught.value)


def test_other_databases_are_refused(read: Callable[..., Any]) -> None:
    with pytest.raises(SlmError, match="oracle: is not read here; sqlite, postgresql, mysql and mariadb are"):
        read(Sql(), "oracle://u:p@host/db")
