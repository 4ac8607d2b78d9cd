"""Columnar files of every kind give plain rows, or one clear error."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from slm.plugin import SlmError
from slm_data.columns import Column, read_field
from slm_loaders.parquet import Parquet


def write(table: pa.Table, path: Path) -> None:
    """Write a table in the format of the path's suffix; `.arrows` is a stream."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".parquet", ".pq"):
        parquet.write_table(table, path)
        return
    new = pa.ipc.new_stream if path.suffix == ".arrows" else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize("name", ["t.parquet", "t.pq", "t.arrow", "t.arrows", "t.feather", "t.ipc"])
def test_every_format_gives_the_same_rows(name: str, tmp_path: Path, read: Callable[..., Any]) -> None:
    write(pa.table({"text": ["a", None, "c"], "label": [1, 2, 3]}), tmp_path / name)
    found = read(Parquet(), name)
    assert found.rows == [{"text": "a", "label": 1}, {"text": None, "label": 2}, {"text": "c", "label": 3}]
    assert (found.numbers, found.addresses) == ([1, 2, 3], [name] * 3)


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (pa.array(["a", None]).dictionary_encode(), ["a", None]),
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pa.array(["a", None], pa.string_view()), ["a", None]),
        (pa.array([b"a", None], pa.binary_view()), ["a", None]),
        (pa.array([b"ab", None], pa.binary(2)), ["ab", None]),
        (pa.array([Decimal("1.50"), None]), ["1.50", None]),
        (pa.array([1.0, None]), ["1", None]),
        (pa.array([1.5, None], pa.float16()), ["1.5", None]),
        (pa.array([datetime.date(2020, 1, 2), None]), ["2020-01-02", None]),
        (pa.array([datetime.datetime(2020, 1, 2, 3, 4), None], pa.timestamp("ns")), ["2020-01-02 03:04:00", None]),
        (pa.array([316516204800, None], pa.timestamp("s")), ["12000-01-01 00:00:00", None]),
        (pa.array([datetime.timedelta(hours=5), None]), ["5:00:00", None]),
        (pa.array([b"0" * 16, None], pa.uuid()), ["30303030-3030-3030-3030-303030303030", None]),
        (pa.nulls(2), [None, None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_a_column_of_any_plain_type_becomes_text(
    array: pa.Array, texts: list[str | None], tmp_path: Path, read: Callable[..., Any]
) -> None:
    write(pa.table({"text": array}), tmp_path / "t.arrow")
    (batch,) = read(Parquet(), "t.arrow").batches
    assert read_field(batch.rows, Column(("text",), ""))[0].to_pylist() == texts


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_conversations_keep_their_turns_whatever_their_types(
    name: str, tmp_path: Path, read: Callable[..., Any]
) -> None:
    turn = pa.struct([("role", pa.dictionary(pa.int8(), pa.string())), ("content", pa.large_string())])
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    write(pa.table({"messages": pa.array([turns, None], pa.large_list(turn))}), tmp_path / name)
    assert read(Parquet(), name).rows == [{"messages": turns}, {"messages": None}]


def test_maps_and_list_views_are_kept_as_json(tmp_path: Path, read: Callable[..., Any]) -> None:
    maps = pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64()))
    views = pa.array([["x"], None], pa.list_view(pa.string()))
    write(pa.table({"map": maps, "view": views}), tmp_path / "t.arrow")
    found = read(Parquet(), "t.arrow")
    assert found.rows == [{"map": '{"a": 1}', "view": '["x"]'}, {"map": None, "view": None}]
    assert found.batches[0].rows.schema.field("map").metadata == {b"slm": b"json"}


def test_columns_of_one_name_are_told_apart(tmp_path: Path, read: Callable[..., Any]) -> None:
    write(
        pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"]), pa.array(["c"])], ["t", "t", ""]), tmp_path / "t.arrow"
    )
    assert read(Parquet(), "t.arrow").rows == [{"t": "a", "t_2": "b", "column_3": "c"}]


def test_bytes_that_are_no_utf8_cost_their_row(tmp_path: Path, read: Callable[..., Any]) -> None:
    raw = pa.array([b"good", b"\xff\xfe", b"fine"])
    write(pa.table({"text": pa.Array.from_buffers(pa.string(), 3, raw.buffers())}), tmp_path / "t.parquet")
    found = read(Parquet(), "t.parquet")
    assert ([row["text"] for row in found.rows], found.numbers) == (["good", "fine"], [1, 3])
    assert [(each.place, each.why) for each in found.rejected] == [("t.parquet:2", "text: bytes that are not UTF-8")]


def test_a_pattern_reads_all_its_files_and_folders_of_values_become_columns(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    write(pa.table({"text": ["a"]}), tmp_path / "data/label=ham/part-0.parquet")
    write(pa.table({"text": ["b"]}), tmp_path / "data/label=spam/part-0.parquet")
    found = read(Parquet(), "data/**/*.parquet")
    assert found.rows == [{"text": "a", "label": "ham"}, {"text": "b", "label": "spam"}]
    assert found.addresses == ["data/label=ham/part-0.parquet", "data/label=spam/part-0.parquet"]


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_batches_are_bounded_in_rows_and_bytes(name: str, tmp_path: Path, read: Callable[..., Any]) -> None:
    write(pa.table({"n": range(50_000)}), tmp_path / name)
    assert max(len(batch.numbers) for batch in read(Parquet(), name).batches) <= 10_000
    write(pa.table({"text": [chr(97 + n % 26) * 4_000_000 for n in range(30)]}), tmp_path / name)
    found = read(Parquet(), name)
    assert found.numbers == list(range(1, 31))
    assert max(batch.rows.nbytes for batch in found.batches) <= 48 << 20


def test_a_file_without_rows_gives_none(tmp_path: Path, read: Callable[..., Any]) -> None:
    write(pa.table({"text": pa.array([], pa.string())}), tmp_path / "t.parquet")
    assert read(Parquet(), "t.parquet").rows == []


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("t.parquet", lambda data: data[: len(data) // 2], r"t\.parquet: is broken or cut short"),
        ("t.parquet", lambda data: data[:4] + b"\xff" * 40 + data[44:], r"t\.parquet: is broken or cut short"),
        ("t.arrow", lambda data: data[:-200], r"t\.arrow: is broken or cut short"),
        ("t.arrows", lambda data: data[:-200], r"t\.arrows.*: is broken or cut short"),
        ("t.parquet", lambda data: b"", r"t\.parquet: is empty"),
        ("t.parquet", lambda data: b"text,label\n", r"t\.parquet: is neither Parquet nor Arrow"),
        ("t.parquet", lambda data: b"PARE" + data, r"t\.parquet: is encrypted Parquet"),
        ("t.feather", lambda data: b"FEA1" + data, r"t\.feather: is Feather of version 1"),
    ],
)
def test_a_damaged_file_is_one_line_that_names_it(
    name: str, damage: Callable[[bytes], bytes], message: str, tmp_path: Path, read: Callable[..., Any]
) -> None:
    write(pa.table({"text": [f"row {n}" for n in range(1000)]}), tmp_path / name)
    (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    with pytest.raises(SlmError, match=message) as caught:
        read(Parquet(), name)
    assert "\n" not in str(caught.value)
