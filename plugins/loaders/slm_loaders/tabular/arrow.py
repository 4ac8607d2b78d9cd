"""Arrow tables of any types made plain: texts, numbers, lists and structs, as records are made of."""

from __future__ import annotations

import json
from typing import Any

from ..nested.objects import JSON


def plain_table(table: Any) -> Any:
    """The table with dictionaries decoded, views and large types as their plain twins, and what has none as JSON
    text. Columns of one name are told apart by a number."""
    import pyarrow

    columns, fields, taken = [], [], set[str]()
    for name, column in zip(_names(table.column_names), table.columns, strict=True):
        taken.add(name)
        made, metadata = _plain(column)
        columns.append(made)
        fields.append(pyarrow.field(name, made.type, metadata=metadata))
    return pyarrow.Table.from_arrays(columns, schema=pyarrow.schema(fields)) if fields else table


def _names(names: list[str]) -> list[str]:
    """The names, a second `text` as `text_2`."""
    found: list[str] = []
    for n, name in enumerate(names):
        said = name or f"column_{n + 1}"
        count = 2
        while said in found or (said != name and said in names):
            said, count = f"{name or 'column'}_{count}", count + 1
        found.append(said)
    return found


def _plain(column: Any) -> tuple[Any, dict[bytes, bytes] | None]:
    import pyarrow
    from pyarrow import compute

    kind = column.type
    wanted = _target(kind)
    if wanted is None:
        return _as_json(column), JSON
    if wanted == kind:
        return column, None
    try:
        made = column.cast(wanted)
        if pyarrow.types.is_timestamp(kind):
            made = compute.replace_substring_regex(made, r"\.0+(Z|[+-].*)?$", r"\1")
        made.validate()  # casts of list views come out broken
        return made, None
    except pyarrow.ArrowException:
        return _as_json(column), JSON


def _target(kind: Any) -> Any:
    """The plain type for a type; None where there is none."""
    import pyarrow

    types = pyarrow.types
    if isinstance(kind, pyarrow.UuidType):
        return None
    if isinstance(kind, pyarrow.BaseExtensionType):
        return _target(kind.storage_type)
    if types.is_dictionary(kind):
        return _target(kind.value_type)
    if types.is_large_string(kind) or types.is_string_view(kind) or types.is_decimal(kind):
        return pyarrow.string()
    if types.is_timestamp(kind) or types.is_date(kind) or types.is_time(kind):
        return pyarrow.string()  # Python's dates end at the year 9999: a value beyond would break whoever asks for it
    if types.is_large_binary(kind) or types.is_binary_view(kind) or types.is_fixed_size_binary(kind):
        return pyarrow.binary()
    if types.is_float16(kind):
        return pyarrow.float32()
    if types.is_run_end_encoded(kind):
        return _target(kind.value_type)
    if types.is_struct(kind):
        inner = [(field.name, _target(field.type)) for field in kind]
        sound = all(each is not None for _, each in inner) and len({name for name, _ in inner}) == len(inner)
        return pyarrow.struct(inner) if sound else None
    if types.is_map(kind) or types.is_union(kind) or types.is_duration(kind) or types.is_interval(kind):
        return None
    if types.is_nested(kind):
        inner_kind = _target(kind.value_type)
        return pyarrow.list_(inner_kind) if inner_kind is not None else None
    return kind


def _as_json(column: Any) -> Any:
    """The values as JSON text; of a map, an object."""
    import pyarrow

    values = (_value(each) for each in column)
    texts = [None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in values]
    return pyarrow.chunked_array([pyarrow.array(texts, pyarrow.string())])


def _value(scalar: Any) -> Any:
    import pyarrow

    if isinstance(scalar, pyarrow.MapScalar) and scalar.is_valid:
        return {str(key): value for key, value in scalar.as_py()}
    value = scalar.as_py()
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)


def sound_rows(table: Any) -> tuple[Any, dict[int, str]]:
    """The rows whose texts are UTF-8; by number, why the others are not taken. Files may hold what their types deny."""
    import pyarrow

    try:
        table.validate(full=True)
    except pyarrow.ArrowInvalid:
        pass
    else:
        return table, {}
    faults: dict[int, str] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        for n, value in enumerate(column):
            try:
                value.as_py()
            except UnicodeDecodeError:
                faults.setdefault(n, f"{name}: bytes that are not UTF-8")
    good = pyarrow.array([n for n in range(len(table)) if n not in faults], pyarrow.int64())
    if not faults:
        table.validate(full=True)
    return table.take(good), faults
