"""Collections are read by the real driver, from a server that speaks MongoDB's protocol (see conftest)."""

import json
import socket
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from slm.plugin import SlmError
from slm_data.columns import Column, read_field
from slm_loaders.mongodb import Mongodb
from slm_loaders.querying.bson_values import plain


def test_documents_of_several_answers_come_in_the_order_of_their_ids(mongodb: Any, read: Callable[..., Any]) -> None:
    mongodb.collections = {"faq": [{"_id": n, "q": f"question {n}", "a": "ü😀"} for n in reversed(range(12_000))]}
    found = read(Mongodb(), mongodb.address)
    assert found.rows == [{"_id": n, "q": f"question {n}", "a": "ü😀"} for n in range(12_000)]
    assert found.numbers == list(range(1, 12_001))
    assert set(found.addresses) == {f"{mongodb.address}?collection=faq"}
    assert sum("getMore" in each for each in mongodb.asked) == 2


def test_a_filter_and_fields_are_the_servers_work(mongodb: Any, read: Callable[..., Any]) -> None:
    one = ObjectId()
    mongodb.collections = {"faq": [{"_id": one, "q": "a", "lang": "en"}, {"_id": ObjectId(), "q": "b", "lang": "de"}]}
    assert read(Mongodb(filter='{"lang": "en"}', fields=("q",)), mongodb.address).rows == [{"_id": str(one), "q": "a"}]
    asked = json.dumps({"_id": {"$oid": str(one)}})
    assert [row["q"] for row in read(Mongodb(filter=asked), mongodb.address).rows] == ["a"]


def test_nothing_but_reading_is_asked_of_the_server(mongodb: Any, read: Callable[..., Any]) -> None:
    mongodb.collections = {"faq": [{"_id": 1, "q": "a"}]}
    read(Mongodb(), mongodb.address)
    names = {next(iter(each)).lower() for each in mongodb.asked}
    assert names <= {"hello", "ismaster", "listcollections", "find", "getmore", "endsessions", "killcursors"}


def test_documents_of_different_fields_make_one_table(mongodb: Any, read: Callable[..., Any]) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    mongodb.collections = {"chats": [{"_id": 1, "messages": turns}, {"_id": 2, "note": 5}, {"_id": 3, "note": "x"}]}
    found = read(Mongodb(), mongodb.address)
    assert [row["note"] for row in found.rows] == [None, "5", "x"]
    assert found.batches[0].rows.schema.field("messages").metadata == {b"slm": b"json"}


def test_a_nested_text_is_read_as_a_field(mongodb: Any, read: Callable[..., Any]) -> None:
    mongodb.collections = {"faq": [{"_id": 1, "a": Decimal128("1.50"), "b": 2.5}]}
    table = read(Mongodb(), mongodb.address).batches[0].rows
    assert [read_field(table, Column((name,), ""))[0].to_pylist() for name in ("a", "b")] == [["1.50"], ["2.5"]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ObjectId("65a000000000000000000001"), "65a000000000000000000001"),
        (datetime(2020, 1, 2, 3, 4, 5, 6000), "2020-01-02T03:04:05.006000Z"),
        (datetime(2020, 1, 2, tzinfo=UTC), "2020-01-02T00:00:00Z"),
        (DatetimeMS(10**15), "1000000000000000"),
        (Timestamp(1577934245, 1), "2020-01-02T03:04:05Z"),
        (Decimal128("1E+3"), "1000"),
        (Decimal128("NaN"), "NaN"),
        (Int64(2**40), 2**40),
        (float("nan"), None),
        (True, True),
        (Binary(b"\xff\x00"), "ff00"),
        (Binary.from_uuid(uuid.UUID(int=1)), "00000000-0000-0000-0000-000000000001"),
        (Regex("^a"), "^a"),
        (Code("x => 1"), "x => 1"),
        (MinKey(), "MinKey"),
        (MaxKey(), "MaxKey"),
        (DBRef("c", ObjectId("65a000000000000000000001")), {"$ref": "c", "$id": "65a000000000000000000001"}),
        ({"a": [ObjectId("65a000000000000000000001"), {"b": None}]}, {"a": ["65a000000000000000000001", {"b": None}]}),
        ("caf\udce9", "café"),
    ],
)
def test_a_value_becomes_one_of_json(value: Any, expected: Any) -> None:
    assert plain(value) == expected


@pytest.mark.parametrize(
    ("loader", "address", "message"),
    [
        (Mongodb(), "{server}", r"which collection\? set collection = '...' \(there: chats, faq\)"),
        (Mongodb(collection="faqs"), "{server}", r"no collection 'faqs'; did you mean 'faq'\? \(there: chats, faq\)"),
        (Mongodb(), "{server}?collection=nope", r"no collection 'nope' \(there: chats, faq\)"),
        (Mongodb(), "mongodb://127.0.0.1:{port}/", r"names no database; write mongodb://host/NAME"),
        (Mongodb(filter="{lang: en}"), "{server}?collection=faq", r"filter: not MongoDB's JSON"),
        (Mongodb(filter="[1]"), "{server}?collection=faq", r"filter: not an object"),
        (Mongodb(), "mongodb://me:s3cret@127.0.0.1:{port}/kb", r"mongodb://me:\*\*\*@.*: wrong user or password"),
        (Mongodb(), "mongodb://me:s3cret:x@127.0.0.1:{port}/kb", r"mongodb://\.\.\.: is no address of a database"),
        (Mongodb(), "mongodb://me:s3cret/x@127.0.0.1/kb", r"mongodb://\.\.\.: is no address of a database"),
    ],
)
def test_a_mistake_is_one_line_without_the_password(
    loader: Mongodb, address: str, message: str, mongodb: Any, read: Callable[..., Any]
) -> None:
    mongodb.collections = {"faq": [{"_id": 1}], "chats": []}
    with pytest.raises(SlmError, match=message) as caught:
        read(loader, address.format(server=mongodb.address, port=mongodb.server_address[1]))
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        ({"code": 13, "errmsg": "not authorized on kb to execute command"}, "this user may not read it"),
        ({"code": 50, "errmsg": "operation exceeded time limit"}, "no answer in 300 s; raise timeout"),
        ({"code": 2, "errmsg": "unknown operator: $nope"}, "the filter is not understood"),
    ],
)
def test_a_servers_refusal_is_one_line(
    refusal: dict[str, Any], message: str, mongodb: Any, read: Callable[..., Any]
) -> None:
    mongodb.collections, mongodb.refused = {"faq": []}, {"find": refusal}
    with pytest.raises(SlmError, match=message) as caught:
        read(Mongodb(collection="faq"), mongodb.address)
    assert "\n" not in str(caught.value)


def test_who_may_not_list_may_still_read(mongodb: Any, read: Callable[..., Any]) -> None:
    mongodb.collections = {"faq": [{"_id": 1, "q": "a"}]}
    mongodb.refused = {"listCollections": {"code": 13, "errmsg": "not authorized"}}
    assert read(Mongodb(collection="faq"), mongodb.address).rows == [{"_id": 1, "q": "a"}]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("mongodb://127.0.0.1:{port}/kb", "no server answers there; check host and port"),
        ("mongodb://nowhere.invalid/kb", "no such host is known"),
    ],
)
def test_no_server_is_one_line(address: str, message: str, read: Callable[..., Any]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        asked = address.format(port=probe.getsockname()[1]) + "?serverSelectionTimeoutMS=300"
        with pytest.raises(SlmError, match=message) as caught:
            read(Mongodb(), asked)
    assert "\n" not in str(caught.value)
