"""Which column of a source is which field of a record: as the user says, else by the names that are usual."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

from attrs import frozen

from slm.errors import SlmError

FIELDS: Mapping[str, tuple[str, ...]] = {
    "completion": ("text",),
    "classification": ("text", "label"),
    "qa": ("messages", "prompt", "response", "context", "system"),
    "instruction": ("messages", "prompt", "response", "context", "system"),
    "chat": ("messages", "prompt", "response", "context", "system"),
    "preference": ("messages", "prompt", "chosen", "rejected", "context", "system"),
}
"""The fields of each task's records that a column may fill."""

AWAITED: Mapping[str, tuple[str, ...]] = {
    "classification": ("label",),
    "qa": ("response",),
    "instruction": ("response",),
    "chat": ("response",),
}
"""The fields that people can fill in later: records that go to them may lack these."""

USUAL: Mapping[str, tuple[str, ...]] = {
    "text": ("text", "sentence", "utterance", "content", "document", "body", "message", "review", "tweet",
             "comment", "article", "story", "passage", "query", "question", "prompt", "input"),
    "label": ("label_text", "label_name", "label", "category", "intent", "class", "target", "tag", "topic",
              "sentiment"),
    "prompt": ("instruction", "question", "prompt", "query", "request", "user", "input", "q"),
    "response": ("answer", "response", "output", "completion", "reply", "target", "assistant", "solution", "a"),
    "context": ("context", "passage", "background", "input"),
    "system": ("system", "system_prompt", "system_message"),
    "messages": ("messages", "conversations", "conversation", "dialog", "dialogue"),
    "chosen": ("chosen", "preferred", "chosen_response", "response_chosen", "response_j"),
    "rejected": ("rejected", "dispreferred", "rejected_response", "response_rejected", "response_k"),
}  # fmt: skip
"""The usual names of a field's column, the first before the next; case, spaces and hyphens don't count."""

OF_QUESTIONS = ("query", "question", "prompt", "input")
"""Names that mean text where there is a label, and half of a pair where there is none."""

FORM = re.compile(r"\{((?:[^{}]|\{[^{}]*\})+)\}")
PLACE = re.compile(r"(file|folder)(?::(.+))?")


def is_place(name: str) -> bool:
    """Whether a name in braces is no column's, but the source's: `file` (its name without suffix), `folder` (the name
    of the folder it is in), or the part of one that a pattern finds, as in `file:train_(.+)_full`."""
    return PLACE.fullmatch(name) is not None


def place_value(name: str, address: str) -> str | None:
    """What `file`, `folder` or a pattern on one is for rows of this address; None where the pattern finds nothing."""
    kind, pattern = PLACE.fullmatch(name).groups()  # type: ignore[union-attr]
    parts = re.split(r"[?#]", address)[0].rstrip("/").replace("\\", "/").split("/")
    text = parts[-1].partition(".")[0] or parts[-1] if kind == "file" else "".join(parts[-2:-1])
    if pattern is None:
        return text
    found = re.search(pattern, text)
    return None if found is None else found[1] if found.groups() else found[0]


@frozen
class Column:
    """The columns that fill a field, and why. A row takes its value from the first that has one; `joined` columns are
    all taken, a blank line between them; a `form` says where in a text each is put."""

    columns: tuple[str, ...]
    why: str
    joined: bool = False
    form: str = ""


def choose_columns(
    task: str,
    wanted: Mapping[str, str | Sequence[str]],
    found: Sequence[str],
    place: str,
    awaited: Collection[str] = (),
) -> dict[str, Column]:
    """The columns of each field of a task's records, by field; those `awaited` may have none.

    Raises SlmError for a field the task has not, a column that is not there, and a needed field without a column.
    """
    chosen = {name: _wanted(task, name, value, found, place) for name, value in wanted.items()}
    taken = {column for each in chosen.values() for column in each.columns}
    pairs = {"prompt", "response"} & set(chosen)
    for name in FIELDS[task]:
        if (
            name in chosen
            or (name == "messages" and pairs)
            or (name in ("prompt", "response") and "messages" in wanted)
        ):
            continue
        if names := _usual(task, name, [each for each in found if each not in taken]):
            also = f", then {', '.join(names[1:])}" if len(names) > 1 else ""
            chosen[name] = Column(names, f"a usual name for it{also}")
            taken.update(names)
    if task == "completion" and not chosen and len(found) == 1:
        chosen["text"] = Column((found[0],), "the only column")
    if lacking := missing_field(task, chosen, awaited):
        raise SlmError(_lacking(task, lacking, found, place))
    return chosen


def missing_field(task: str, chosen: Mapping[str, Column], awaited: Collection[str] = ()) -> str:
    """A needed field that has no column and isn't awaited; empty where none is missing."""
    if task in ("completion", "classification"):
        needed = FIELDS[task]
    elif task == "preference":
        needed = ("chosen", "rejected")
    else:
        needed = () if "messages" in chosen else ("prompt", "response")
    return next((name for name in needed if name not in chosen and name not in awaited), "")


def _wanted(task: str, name: str, value: str | Sequence[str], found: Sequence[str], place: str) -> Column:
    if name not in FIELDS[task]:
        raise SlmError(f"{place}: columns.{name}: a {task} record has no such field; it has {', '.join(FIELDS[task])}")
    if isinstance(value, str) and value not in found and FORM.search(value):
        parts = [part[1] for part in FORM.finditer(value)]
        named = {part: part if is_place(part) else _existing(part, name, found, place) for part in parts}
        form = FORM.sub(lambda part: "{" + named[part[1]] + "}", value)
        return Column(tuple(dict.fromkeys(named.values())), "named in columns", form=form)
    if isinstance(value, str):
        names = [value] if value in found else [part.strip() for part in value.split(" + ")]
    else:
        names = list(value)
    return Column(
        tuple(_existing(each, name, found, place) for each in names), "named in columns", joined=len(names) > 1
    )


def _existing(column: str, name: str, found: Sequence[str], place: str) -> str:
    if column in found:
        return column
    same = [each for each in found if each.casefold() == column.casefold()]
    if len(same) == 1:
        return same[0]
    close = difflib.get_close_matches(column, found, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    raise SlmError(f"{place}: columns.{name}: no column '{column}'{hint} (found: {listed(found)})")


def _usual(task: str, name: str, found: Iterable[str]) -> tuple[str, ...]:
    usual = [each for each in USUAL[name] if task == "classification" or name != "text" or each not in OF_QUESTIONS]
    plain = {column: column.strip().casefold().replace(" ", "_").replace("-", "_") for column in found}
    names = tuple(column for each in usual for column, form in plain.items() if form == each)
    if name == "prompt" and len(names) > 1:  # beside another, `input` is what an instruction is about: its context
        return tuple(column for column in names if plain[column] != "input")
    return names


def _lacking(task: str, name: str, found: Sequence[str], place: str) -> str:
    if task == "completion" and len(_usual("qa", "prompt", found)) and len(_usual("qa", "response", found)):
        pair = f"{_usual('qa', 'prompt', found)[0]} + {_usual('qa', 'response', found)[0]}"
        return (
            f"{place}: questions and answers, where completion wants text; set task = 'qa' or columns.text = '{pair}'"
        )
    say = f'columns = {{ {name} = "..." }}'
    return f"{place}: no column is known as the {task} record's {name}; say which is: {say} (found: {listed(found)})"


def listed(names: Sequence[str]) -> str:
    """The names in a line; of very many, the first."""
    shown = [name if len(name) <= 40 else f"{name[:37]}..." for name in names[:20]]
    return ", ".join(shown) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def read_field(table: Any, column: Column | None) -> tuple[Any, dict[int, str]]:
    """A field's text for each row of a table, null where there is none; for rows with something else there, what."""
    import pyarrow
    from pyarrow import compute

    names = [name for name in column.columns if name in table.column_names] if column else []
    if column is None or not names:
        return pyarrow.nulls(len(table), pyarrow.string()), {}
    parts, odd = [], dict[int, str]()
    for name in names:
        part, wrong = _texts(table.column(name), table.schema.field(name))
        parts.append(part)
        odd = {**wrong, **odd}
    if column.form:
        return formed(column.form, dict(zip(names, parts, strict=True)), len(table)), odd
    if column.joined:
        filled = [compute.if_else(has_text(part), part, None) for part in parts]
        return reduce(join_texts, filled), odd
    return (parts[0] if len(parts) == 1 else compute.coalesce(*parts)), odd


def formed(form: str, parts: Mapping[str, Any], rows: int) -> Any:
    """The form with each part in its place, an absent one as nothing; null where all that is from columns is blank."""
    import pyarrow
    from pyarrow import compute

    pieces, at = [], 0
    for found in FORM.finditer(form):
        texts = parts.get(found[1])
        pieces += [form[at : found.start()], compute.fill_null(texts, "") if texts is not None else ""]
        at = found.end()
    joined = compute.binary_join_element_wise(*pieces, form[at:], "")
    told = [texts for name, texts in parts.items() if not is_place(name)] or list(parts.values())
    seen = reduce(compute.or_, map(has_text, told))
    return compute.if_else(seen, joined, pyarrow.nulls(rows, pyarrow.string()))


def join_texts(above: Any, below: Any) -> Any:
    """Two texts with a blank line between them, or the one there is."""
    from pyarrow import compute

    return compute.coalesce(compute.binary_join_element_wise(above, below, "\n\n"), above, below)


def has_text(array: Any) -> Any:
    """For each text whether there is a visible character in it; false for null."""
    from pyarrow import compute

    seen = compute.and_not(compute.greater(compute.binary_length(array), 0), compute.utf8_is_space(array))
    return compute.fill_null(seen, False)


def _texts(column: Any, field: Any) -> tuple[Any, dict[int, str]]:
    import pyarrow

    types, kind = pyarrow.types, field.type
    if types.is_null(kind):
        return pyarrow.nulls(len(column), pyarrow.string()), {}
    if (field.metadata or {}).get(b"slm") == b"json":
        return _picked([None if value is None else json.loads(value) for value in column.to_pylist()])
    if types.is_nested(kind):
        return _picked(column.to_pylist())
    if types.is_binary(kind) or types.is_large_binary(kind):
        return _picked([_decoded(value) for value in column.to_pylist()])
    return flat(column.cast(pyarrow.string())), {}


def flat(column: Any) -> Any:
    """A table's column as one array."""
    import pyarrow

    if column.num_chunks == 1:
        return column.chunk(0)
    return pyarrow.concat_arrays(column.chunks) if column.num_chunks else pyarrow.array([], column.type)


def _picked(values: Sequence[Any]) -> tuple[Any, dict[int, str]]:
    """The texts and numbers among values; of the rest, what they are."""
    import pyarrow

    texts: list[str | None] = []
    odd = {}
    for n, value in enumerate(values):
        plain = isinstance(value, str | int | float) and not isinstance(value, bool)
        texts.append(str(value) if plain else None)
        if value is not None and not plain:
            names = {list: "a list", dict: "an object", bool: "true or false", bytes: "bytes that are not UTF-8"}
            odd[n] = names.get(type(value), type(value).__name__)
    return pyarrow.array(texts, pyarrow.string()), odd


def _decoded(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return value
