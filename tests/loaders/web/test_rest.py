"""An API's records are read page by page, to the last one, however its pages follow."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from slm.plugin import Hardware, SlmError, Source, Work
from slm_loaders.rest import Rest

ROWS = [{"id": n, "text": f"record {n}", "tags": ["a"] * (n % 3)} for n in range(1, 26)]


def rest(**options: Any) -> Rest:
    return Rest(**{"private": True, "rate": 0, "retries": 0, "timeout": 5, **options})


def api(site: Any, answer: Callable[..., Any], path: str = "/items") -> str:
    """An API at `path`; the answer is made of the query's parameters."""
    site.json(path, lambda query: answer(**{name.strip("_"): value for name, value in query.items()}))
    return f"rest+{site.url}{path}"


def page_of(page: str = "1", size: int = 10) -> list[Any]:
    return ROWS[(int(page) - 1) * size : int(page) * size]


def slice_of(offset: str = "0", limit: str = "10") -> list[Any]:
    return ROWS[int(offset) : int(offset) + int(limit)]


def onward(value: str) -> str | None:
    """What leads to the page behind the one at this offset."""
    return str(int(value) + 10) if value != "20" else None


ANSWERS: dict[str, Callable[..., Any]] = {
    "a list": lambda: ROWS,
    "a list in data": lambda: {"data": ROWS, "total": 25},
    "a list beside others": lambda: {"data": ROWS, "included": [{"x": 1}], "errors": []},
    "a list in an object": lambda: {"status": "ok", "response": {"docs": ROWS, "numFound": 25}},
    "page numbers": lambda page="1": {"items": page_of(page), "page": int(page), "total_pages": 3},
    "page numbers in meta": lambda page="1": {
        "data": page_of(page),
        "meta": {"current_page": int(page), "last_page": 3},
    },
    "pages from zero": lambda page="0": {
        "content": page_of(str(int(page) + 1)),
        "number": int(page),
        "totalPages": 3,
        "last": page == "2",
    },
    "the next page's number": lambda page="1": {
        "data": page_of(page),
        "next_page": int(page) + 1 if int(page) < 3 else None,
    },
    "offsets": lambda offset="0": {"results": slice_of(offset), "offset": int(offset), "limit": 10, "total": 25},
    "a cursor": lambda cursor="0": {"items": slice_of(cursor), "next_cursor": onward(cursor) or ""},
    "a page token": lambda pageToken="0": {"items": slice_of(pageToken), "nextPageToken": onward(pageToken)},
    "a page_token": lambda page_token="0": {"items": slice_of(page_token), "next_page_token": onward(page_token)},
    "a cursor that stays": lambda cursor="0": {
        "items": slice_of(cursor),
        "meta": {"next_cursor": str(min(30, int(cursor) + 10))},
    },
    "a cursor and has_more": lambda cursor="0": {
        "items": slice_of(cursor),
        "cursor": str(int(cursor) + 10),
        "has_more": int(cursor) < 20,
    },
    "a listing": lambda after="0": {"data": {"children": slice_of(after), "after": onward(after)}},
    "an address": lambda offset="0": {
        "count": 25,
        "next": onward(offset) and f"/items?offset={onward(offset)}",
        "results": slice_of(offset),
    },
    "an address in links": lambda offset="0": {
        "data": slice_of(offset),
        "_links": {"next": {"href": f"?offset={onward(offset)}"}} if onward(offset) else {},
    },
    "odata": lambda offset="0": {
        "value": slice_of(offset),
        **({"@odata.nextLink": f"/items?offset={onward(offset)}"} if onward(offset) else {}),
    },
}


@pytest.mark.parametrize("name", list(ANSWERS))
def test_pages_are_found_and_followed_to_the_end(name: str, site: Any, read: Callable[..., Any]) -> None:
    address = api(site, ANSWERS[name])
    found = read(rest(), address)
    assert [row["id"] for row in found.rows] == list(range(1, 26))
    assert found.numbers == list(range(1, 26))
    assert set(found.addresses) == {address}
    assert found.warnings == []
    assert found.rows[0] == ROWS[0]


@pytest.mark.parametrize(
    ("query", "answer", "options"),
    [
        ("?page=1", lambda page="1": page_of(page), {}),
        ("?p=0", lambda p="0": page_of(str(int(p) + 1)), {}),
        ("?_start=0&_limit=10", lambda start="0", limit="10": slice_of(start, limit), {}),
        ("", lambda page="1": page_of(page), {"pages": "page"}),
        ("", lambda side="1": {"count": 10, "data": page_of(side)}, {"pages": "page", "parameter": "side"}),
        ("", lambda skip="0": slice_of(skip), {"pages": "offset", "parameter": "skip"}),
        ("", lambda go="0": {"a": slice_of(go), "b": {"c": onward(go)}},
         {"cursor": "b.c", "parameter": "go"}),
        ("", lambda starting_after="0": {"data": slice_of(starting_after), "has_more": starting_after != "20"},
         {"cursor": "data[].id", "parameter": "starting_after"}),
        ("", lambda offset="0": {"d": slice_of(offset), "z": onward(offset) and f"?offset={onward(offset)}"},
         {"pages": "next", "cursor": "z"}),
    ],
)  # fmt: skip
def test_pages_are_followed_as_stated(
    query: str, answer: Callable[..., Any], options: dict[str, Any], site: Any, read: Callable[..., Any]
) -> None:
    found = read(rest(**options), api(site, answer) + query)
    assert [row["id"] for row in found.rows] == list(range(1, 26))


def test_link_headers_are_followed(site: Any, read: Callable[..., Any]) -> None:
    for n in (1, 2, 3):
        link = f'<{site.url}/{n + 1}>; rel="next", </1>; rel="first"' if n < 3 else '</1>; rel="first"'
        site.on(f"/{n}", json.dumps(page_of(str(n))), kind="application/json", Link=link)
    assert len(read(rest(), f"rest+{site.url}/1").rows) == 25


def test_a_page_behind_the_last_may_be_refused(site: Any, read: Callable[..., Any]) -> None:
    def route(handler: Any) -> None:
        page = dict(parse_qsl(urlsplit(handler.path).query))["page"]
        site.on("/items", json.dumps(page_of(page)), 200 if int(page) < 4 else 404, "application/json")
        first(handler)

    def first(handler: Any) -> None:
        site.routes.pop("/items")(handler)
        site.routes["/items"] = route

    site.routes["/items"] = route
    assert len(read(rest(), f"rest+{site.url}/items?page=1").rows) == 25


def test_graphql_is_asked_by_post(site: Any, read: Callable[..., Any]) -> None:
    def route(handler: Any) -> None:
        after = json.loads(site.seen[-1][3]).get("variables", {}).get("after", "0")
        info = {"hasNextPage": after != "20", "endCursor": str(int(after) + 10)}
        content = json.dumps({"data": {"items": {"nodes": slice_of(after), "pageInfo": info}}}).encode()
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)

    site.routes["/graphql"] = route
    body = '{"query": "query($after: String) { items(after: $after) { nodes { id } pageInfo { endCursor } } }"}'
    assert len(read(rest(body=body), f"rest+{site.url}/graphql").rows) == 25
    assert site.seen[0][0] == "POST"


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"token": "very-secret"}, "Bearer very-secret"),
        ({"user": "me", "password": "very-secret"}, "Basic bWU6dmVyeS1zZWNyZXQ="),
        ({"headers": ("Authorization: Token very-secret",)}, "Token very-secret"),
        ({"params": ("key=very-secret",)}, None),
    ],
)
def test_logins_are_sent_and_never_shown_or_kept(
    options: dict[str, Any], header: str | None, site: Any, tmp_path: Path, read: Callable[..., Any]
) -> None:
    def answer(cursor: str = "0", key: str = "") -> Any:
        link = onward(cursor) and f"/items?cursor={onward(cursor)}&key=very-secret"
        return {"items": slice_of(cursor), "next": link, "echo": "very-secret"}

    address = api(site, answer)
    loader = rest(**options)
    batches = loader.load(Source(address), Work(tmp_path, tmp_path, Hardware()))
    next(batches)
    batches.close()
    assert site.seen[0][2].get("authorization") == header
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files
    assert not any(b"very-secret" in zlib.decompress(file.read_bytes().partition(b"\n")[2]) for file in files)
    assert not any(b"very-secret" in file.read_bytes() for file in files)
    assert "very-secret" not in repr(loader)
    assert len(read(loader, address).rows) == 25
    assert site.paths()[-1].endswith("key=very-secret")
    site.routes.clear()
    with pytest.raises(SlmError) as caught:
        read(loader, address)
    assert "very-secret" not in str(caught.value)


def test_what_was_fetched_is_kept_when_a_page_fails(site: Any, read: Callable[..., Any]) -> None:
    def answer(page: str = "1") -> Any:
        if page == "3" and broken:
            raise ConnectionError
        return {"items": page_of(page), "page": int(page), "total_pages": 3}

    broken = [True]
    address = api(site, answer)
    with pytest.raises(SlmError, match=r"page 3: the answer broke off.*the pages before it are kept: run again"):
        read(rest(), address)
    before = len(site.seen)
    broken.clear()
    assert len(read(rest(), address).rows) == 25
    assert len(site.seen) == before + 1


@pytest.mark.parametrize(
    ("answer", "options", "says"),
    [
        (lambda page="1": ROWS[:10], {"pages": "page"}, "page 2 has the same records .* does not heed 'page'"),
        (lambda: {"items": ROWS[:10], "next": "/items"}, {}, "page 1 leads back to one that was read"),
        (lambda cursor="": {"items": ROWS[:10], "next_cursor": "x"}, {}, "same records|leads back"),
        (lambda: {"a": ROWS, "b": ROWS}, {}, r"several lists: a \(25\), b \(25\); say which by records"),
        (lambda: "hello", {}, "the answer is a text, not records"),
        (lambda: {"a": 1}, {"records": "b.c"}, r"records = 'b\.c': no such place in the answer; it has a"),
        (lambda: {"errors": [{"message": "no"}], "data": None}, {}, "holds errors and no data"),
    ],
)
def test_answers_that_lead_nowhere_are_said(
    answer: Callable[..., Any], options: dict[str, Any], says: str, site: Any, read: Callable[..., Any]
) -> None:
    with pytest.raises(SlmError, match=says) as caught:
        read(rest(**options), api(site, answer))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ("<html>log in</html>", "text/html", "is text/html, not JSON; check the address and the login"),
        ("[1,", "application/json", "is not JSON"),
        (b"[" * 100_000, "application/json", "nested too deeply"),
        (b'"\xff"', "application/json", "is not JSON"),
        ("", "", "is not JSON"),
    ],
)
def test_what_is_no_json_is_said(body: Any, kind: str, says: str, site: Any, read: Callable[..., Any]) -> None:
    site.on("/a", body, kind=kind)
    with pytest.raises(SlmError, match=says):
        read(rest(), f"rest+{site.url}/a")


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_refusals_name_the_address_and_a_remedy(status: int, site: Any, read: Callable[..., Any]) -> None:
    site.on("/a", "{}", status)
    with pytest.raises(SlmError, match=rf"^rest\+http://127.*/a: .*\({status}\); "):
        read(rest(), f"rest+{site.url}/a")


def test_rows_that_are_none_are_rejected(site: Any, read: Callable[..., Any]) -> None:
    site.on("/a", '[{"text": "one"}, null, 7, {"text": "half \\ud800"}, "a text", {"n": NaN}]', kind="application/json")
    found = read(rest(), f"rest+{site.url}/a")
    assert [(row["text"], n) for row, n in zip(found.rows, found.numbers, strict=True)] == [
        ("one", 1), ("a text", 5), (None, 6)
    ]  # fmt: skip
    assert [(reject.place.rpartition(":")[2], reject.why) for reject in found.rejected] == [
        ("2", "not an object but null"),
        ("3", "not an object but a number"),
        ("4", "holds half of a surrogate pair, which is no character"),
    ]


def test_nested_records_are_found_by_a_path(site: Any, read: Callable[..., Any]) -> None:
    address = api(site, lambda: {"page": {"posts": [{"topic": "t", "answers": [{"text": "a"}, {"text": "b"}]}]}})
    assert read(rest(records="page.posts[].answers[]"), address).rows == [
        {"topic": "t", "text": "a"},
        {"topic": "t", "text": "b"},
    ]


def test_limits_are_kept_and_what_is_missing_is_said(site: Any, read: Callable[..., Any]) -> None:
    address = api(site, ANSWERS["page numbers"])
    found = read(rest(limit=12), address)
    assert (len(found.rows), found.warnings, len(site.seen)) == (12, [], 2)
    assert read(rest(max_pages=1), address).warnings == [f"{address}: ended after max_pages = 1; raise it to read more"]
    partial = read(rest(), api(site, lambda: {"data": ROWS[:10], "total": 25}, "/partial"))
    assert "counts 25 records and gave 10; state how pages follow" in partial.warnings[0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"params": ("key",)}, "params: number 1 is not of the form 'name=value'"),
        ({"headers": ("no header",)}, "headers: number 1 is not of the form 'Name: value'"),
        ({"token": "a", "user": "b"}, "token and user: an API takes one"),
        ({"token": "very\nsecret"}, "the header 'Authorization' holds characters"),
    ],
)
def test_options_that_are_wrong_are_said(
    options: dict[str, Any], says: str, site: Any, read: Callable[..., Any]
) -> None:
    with pytest.raises(SlmError, match=says):
        read(rest(**options), f"rest+{site.url}/a")
    with pytest.raises(SlmError, match="body: is not a JSON object"):
        rest(body="{")


def test_private_apis_are_refused_unless_allowed(site: Any, read: Callable[..., Any]) -> None:
    with pytest.raises(SlmError, match="private address"):
        read(Rest(retries=0), f"rest+{site.url}/a")
    with pytest.raises(SlmError, match="no address of the web"):
        read(Rest(), "a.json")
