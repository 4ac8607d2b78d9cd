"""What a JSON or YAML object holds, and so where its records are: a list, a table, splits, or records by key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field, frozen

from slm.plugin import SlmError

from .paths import ANY, EACH, Step

SPLITS = frozenset(["train", "training", "test", "testing", "validation", "valid", "val", "dev", "eval", "oos"])
SINGLE = frozenset(["messages", "conversations", "conversation", "instruction", "prompt", "question"])
"""Keys of which an object is one record itself."""

HOLDERS = frozenset(["data", "rows", "records", "items", "examples", "entries", "results"])
"""Keys that usually hold records."""

SAMPLE = 1000
MANY = 50
"""From so many keys on an object of plain values is a mapping, not a record."""


@define
class Entry:
    """The value of one key: what it is; of a list, how many elements it has, of which kinds, and the first of them."""

    kind: str
    count: int = 0
    kinds: set[str] = field(factory=set)
    first: Any = None

    def add(self, value: Any) -> None:
        """Note one element of a list."""
        if not self.count:
            self.first = value
        self.count += 1
        self.kinds.add(kind_of(value))


@frozen
class Choice:
    """Where the records are, and what the user should know of it. `columns` for a table by columns (`whole`)."""

    steps: tuple[Step, ...] = ()
    note: str = ""
    table: str = ""


def kind_of(value: Any) -> str:
    """`object`, `list` or `plain`."""
    return "object" if isinstance(value, dict) else "list" if isinstance(value, list) else "plain"


def entry_of(value: Any) -> Entry:
    """The entry of a value in memory; of an object, `first` is the object."""
    if isinstance(value, list):
        made = Entry("list")
        for each in value[:SAMPLE]:
            made.add(each)
        made.count = len(value)
        return made
    return Entry(kind_of(value), first=value)


def choose_records(entries: Mapping[str, Entry], total: int, address: str) -> Choice:
    """Where the records of an object are, by the entries of its first keys (of `total`).

    Raises SlmError where there are several lists of records: which are wanted is the user's to say.
    """
    kinds = Counter(entry.kind for entry in entries.values())
    lists = {name: entry for name, entry in entries.items() if entry.kind == "list" and entry.kinds - {"plain"}}
    if len(entries) == 1 and lists and _pieces(next(iter(lists.values())).first):
        return Choice((ANY, EACH), "SNIPS: texts are joined of their pieces, their intent is the key")
    if SINGLE & {name.casefold() for name in entries}:
        return _by_columns(entries) or Choice((), "one object, read as one record")
    if {"columns", "data"} <= set(entries) and entries["columns"].kinds == {"plain"}:
        return Choice((), "a table as columns and data", table="split")
    usual = [name for name in lists if name.casefold() in HOLDERS]
    if len(lists) == 1 or len(usual) == 1:
        name = usual[0] if usual else next(iter(lists))
        return _in_list(name, lists[name])
    if lists:
        raise SlmError(f"{address}: {_several(entries, lists)}")
    for name, entry in entries.items():
        if name.casefold() in HOLDERS and entry.kind == "list" and not entry.count:
            return _in_list(name, entry)
    return _by_columns(entries) or _plain_lists(entries, address) or _in_objects(entries, kinds, total, address)


def _pieces(value: Any) -> bool:
    data = value.get("data") if isinstance(value, dict) else None
    return isinstance(data, list) and bool(data) and all(isinstance(each, dict) and "text" in each for each in data)


def _in_list(name: str, entry: Entry) -> Choice:
    steps: tuple[Step, ...] = (Step("key", name), EACH)
    if isinstance(entry.first, dict) and isinstance(entry.first.get("paragraphs"), list):
        return Choice(
            (*steps, Step("key", "paragraphs"), EACH, Step("key", "qas"), EACH),
            f"SQuAD: questions of {name}[].paragraphs[].qas[], with their context and first answer",
        )
    return Choice(steps, f"the records are those of {name}[]")


def _several(entries: Mapping[str, Entry], lists: Mapping[str, Entry]) -> str:
    shown = ", ".join(f"{name} ({entry.count:,})" for name, entry in list(lists.items())[:12])
    longest = max(lists, key=lambda name: (name == "train", lists[name].count))
    every = ", or all of them by records = '*[]'" if len(lists) == len(entries) else ""
    return f"holds several lists: {shown}; say which by records = '{longest}[]'{every}"


def _by_columns(entries: Mapping[str, Entry]) -> Choice | None:
    """A table whose columns are lists of one length, or objects with one set of row numbers."""
    if len(entries) < 2 and not SINGLE & set(entries):
        return None
    counts = {entry.count for entry in entries.values()}
    if all(entry.kind == "list" for entry in entries.values()) and len(counts) == 1:
        plain = all(entry.kinds <= {"plain"} for entry in entries.values())
        flat = any(name.casefold() in SINGLE and "object" not in entry.kinds for name, entry in entries.items())
        if (plain or flat) and not all(names_split(name) for name in entries):
            return Choice((), f"a table by columns ({', '.join(list(entries)[:8])})", table="lists")
    firsts = [entry.first for entry in entries.values()]
    rows = [list(each) if isinstance(each, dict) else None for each in firsts]
    if rows[0] and rows[0] == [str(n) for n in range(len(rows[0]))] and all(each == rows[0] for each in rows):
        return Choice((), f"a table by columns ({', '.join(list(entries)[:8])})", table="objects")
    return None


def _plain_lists(entries: Mapping[str, Entry], address: str) -> Choice | None:
    lists = {name: entry for name, entry in entries.items() if entry.kind == "list" and entry.count > 1}
    if len(lists) == 1 and len(entries) <= 3 and next(iter(lists.values())).count > 3:
        name = next(iter(lists))
        return Choice((Step("key", name), EACH), f"the records are the texts of {name}[]")
    if len(lists) > 1 and all(names_split(name) for name in lists):
        raise SlmError(f"{address}: {_several(entries, lists)}")
    return None


def names_split(name: str) -> bool:
    """Whether a key is called like a part of a data set: `train`, `oos_val`."""
    return any(part in SPLITS for part in name.casefold().replace("-", "_").split("_"))


def _in_objects(entries: Mapping[str, Entry], kinds: Counter[str], total: int, address: str) -> Choice:
    objects = {name: entry for name, entry in entries.items() if entry.kind == "object"}
    if len(objects) == 1:
        name, entry = next(iter(objects.items()))
        inner = {key: entry_of(value) for key, value in entry.first.items()}
        chosen = choose_records(inner, len(inner), f"{address}: {name}") if inner else Choice()
        if chosen.steps or chosen.table:
            steps = (Step("key", name), *chosen.steps)
            return Choice(steps, f"in '{name}' {chosen.note}", chosen.table)
    if len(objects) == len(entries) > 1:
        return Choice((ANY,), "records by key; it is kept as the column 'key'")
    if kinds["plain"] == len(entries) and total >= MANY:
        return Choice((ANY,), "values by key, as columns 'key' and 'value'")
    return Choice((), "one object, read as one record")


def table_rows(table: str, value: Mapping[str, Any]) -> tuple[Iterable[Any], tuple[str, ...]]:
    """The rows of a table that is written by columns, as lists, and the columns' names."""
    if table == "split":
        return value["data"], tuple(map(str, value["columns"]))
    columns = [list(each.values()) if table == "objects" else each for each in value.values()]
    return (list(row) for row in zip(*columns, strict=True)), tuple(value)
