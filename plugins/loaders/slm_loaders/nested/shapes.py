"""Known shapes of records whose texts lie deeper than a column: answers in lists, instances, texts in pieces."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field


@define
class Shaper:
    """Adds plain columns beside those of a known shape, and says once which were found.

    answer (SQuAD, Natural Questions) -- the first of `answers` or of an `answer` that is a list
    context, answer, label (PubMedQA) -- the joined `CONTEXTS`, the `LONG_ANSWER` and the `final_decision`
    text, intent (SNIPS)              -- the joined pieces of `data`, and the key they stand under
    input, output (Self-Instruct)     -- a row for each of `instances`
    """

    address: str
    warn: Callable[[str], None]
    no_answer: str = ""
    said: set[str] = field(factory=set)

    def shape(self, table: Any, numbers: Sequence[int]) -> tuple[Any, Sequence[int]]:
        """The table and its row numbers, shaped; as they are where no shape is known."""
        names = {name.casefold(): name for name in table.column_names}
        if "instances" in names and "output" not in names and _is_deep(table, names["instances"]):
            table, numbers = self._instances(table, numbers, names["instances"])
            names = {name.casefold(): name for name in table.column_names}
        for source in ("answer", "answers"):
            if source in names and (source == "answer" or "answer" not in names) and _is_deep(table, names[source]):
                table = self._answers(table, names[source], bool({"answers"} & set(names)))
        if {"question", "contexts"} <= set(names) and "context" not in names:
            table = self._pubmedqa(table, names)
        if "data" in names and "text" not in names and _is_deep(table, names["data"]):
            table = self._pieces(table, names)
        return table, numbers

    def _say(self, text: str) -> None:
        if text not in self.said:
            self.said.add(text)
            self.warn(f"{self.address}: {text}")

    def _answers(self, table: Any, name: str, both: bool) -> Any:
        values = _values(table, name)
        firsts = [_first(value) for value in values]
        if not any(firsts) and not all(map(_is_empty, values)):
            return table
        several = sum(isinstance(value, list) and len(value) > 1 for value in values)
        if several or name.casefold() == "answers":
            self._say("several answers may stand to a question; the first is taken as its answer")
        lacking = sum(not first for first in firsts)
        if lacking and self.no_answer:
            firsts = [first or self.no_answer for first in firsts]
        elif lacking:
            self._say("there are questions without an answer; no_answer = '...' would give them one")
        if name.casefold() == "answers":
            return _with(table, "answer", firsts)
        kept = table if both else table.append_column(_field_like(table, name, "answers"), table.column(name))
        return _with(kept.drop_columns([name]), name, firsts)

    def _pubmedqa(self, table: Any, names: dict[str, str]) -> Any:
        texts = [_joined(value, "\n\n") for value in _values(table, names["contexts"])]
        if not any(texts):
            return table
        self._say("PubMedQA: contexts are joined, the long answer is the answer, the final decision the label")
        table = _with(table, "context", texts)
        for source, name in (("long_answer", "answer"), ("final_decision", "label")):
            if source in names and name not in names:
                table = _with(table, name, _values(table, names[source]))
        return table

    def _pieces(self, table: Any, names: dict[str, str]) -> Any:
        values = _values(table, names["data"])
        texts = [_joined([_text(each) for each in value], "") if isinstance(value, list) else None for value in values]
        if not any(texts):
            return table
        table = _with(table, "text", texts)
        if "key" in names and "intent" not in names and "label" not in names:
            table = _with(table, "intent", _values(table, names["key"]))
        return table

    def _instances(self, table: Any, numbers: Sequence[int], name: str) -> tuple[Any, Sequence[int]]:
        import pyarrow

        values = _values(table, name)
        pairs = [(n, each) for n, value in enumerate(values) for each in (value or [None])]
        if not all(each is None or (isinstance(each, dict) and "output" in each) for _, each in pairs):
            return table, numbers
        self._say("Self-Instruct: each instance is a row, with its instruction")
        rows = table.drop_columns([name]).take(pyarrow.array([n for n, _ in pairs], pyarrow.int64()))
        for key in ("input", "output"):
            rows = _with(rows, key, [_text(each, key) for _, each in pairs])
        return rows, [numbers[n] for n, _ in pairs]


def _is_coded(table: Any, name: str) -> bool:
    return (table.schema.field(name).metadata or {}).get(b"slm") == b"json"


def _is_deep(table: Any, name: str) -> bool:
    import pyarrow

    return pyarrow.types.is_nested(table.schema.field(name).type) or _is_coded(table, name)


def _values(table: Any, name: str) -> list[Any]:
    values = table.column(name).to_pylist()
    if _is_coded(table, name):
        return [None if value is None else json.loads(value) for value in values]
    return list(values)


def _field_like(table: Any, name: str, called: str) -> Any:
    return table.schema.field(name).with_name(called)


def _with(table: Any, name: str, values: Sequence[Any]) -> Any:
    import pyarrow

    return table.append_column(name, pyarrow.array(values, pyarrow.string()))


def _text(value: Any, key: str = "text") -> str | None:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None if found is None else json.dumps(found, ensure_ascii=False)


def _joined(value: Any, between: str) -> str | None:
    """The texts of a list, joined; a text as it is."""
    if isinstance(value, dict):
        value = value.get("contexts")
    if isinstance(value, str):
        return value
    parts = [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
    return between.join(parts) or None


def _first(value: Any) -> str | None:
    """The first answer of a list of texts or of `{"text": ...}`, or of an object of lists; a text as it is."""
    if isinstance(value, dict):
        value = value.get("text")
    if isinstance(value, list):
        return next((text for each in value if (text := _first(each))), None)
    if isinstance(value, bool) or value is None:
        return None
    return value if isinstance(value, str) else str(value)


def _is_empty(value: Any) -> bool:
    return not value or (isinstance(value, dict) and "text" in value and not value["text"])
