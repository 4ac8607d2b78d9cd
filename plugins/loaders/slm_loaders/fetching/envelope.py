"""An API's answer: its JSON, and where in it the records are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import define, field

from slm.plugin import SlmError

from ..nested.paths import ANY, EACH, Found, Step, Walk, called, parse_path, show_path, walk
from .addresses import Failure
from .client import Page

USUAL = (
    "data", "items", "results", "records", "rows", "entries", "hits", "value", "values", "documents", "docs", "objects",
    "content", "list", "nodes", "edges", "elements", "result", "response", "articles", "posts", "messages",
)  # fmt: skip
BESIDE = ("errors", "included", "links", "warnings", "facets", "aggregations", "meta", "messages")


def parse_answer(page: Page) -> Any:
    """The JSON of an answer, or of its lines; Failure for what is none, and for errors that come as a success."""
    kind = page.headers.get("content-type", "").partition(";")[0].strip()
    try:
        if "ndjson" in kind or "jsonl" in kind:
            return [_parsed(line) for line in page.body.splitlines() if line.strip()]
        body = _parsed(page.body)
    except RecursionError:
        raise Failure(page.url, "the JSON is nested too deeply; check the address") from None
    except ValueError:
        what = f"is {kind[:60]}, not JSON" if kind and "json" not in kind else "is not JSON"
        raise Failure(page.url, f"the answer {what}; check the address and the login") from None
    if isinstance(body, dict) and body.get("errors") and body.get("data") in (None, {}, []):
        raise Failure(page.url, "the answer holds errors and no data; check the query and the login")
    return body


def _parsed(text: bytes) -> Any:
    return json.loads(text, parse_constant=lambda _: None)


@define
class Records:
    """Finds the records in an answer; where they were in the first, they are in all."""

    stated: str
    address: str
    steps: tuple[Step, ...] | None = None
    whole: bool = False
    named: tuple[Step, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.named = parse_path(self.stated)

    def of(self, body: Any) -> list[Found]:
        """The records; SlmError where it can't be told which list they are."""
        if self.named:
            return self._stated(body)
        return [Found(each, {}, doubt=True) for each in self._values(body)]

    def _values(self, body: Any) -> list[Any]:
        if isinstance(body, list):
            return body
        if not isinstance(body, dict):
            raise SlmError(f"{self.address}: the answer is {called(body)}, not records; check the address")
        if self.steps is None:
            self.steps = self._found(body)
            self.whole = not self.steps
        if self.whole:
            return [body]
        inner = _inside(body, self.steps)
        return inner if isinstance(inner, list) else []

    def _stated(self, body: Any) -> list[Found]:
        outer = [step.kind for step in self.named].index("each") if EACH in self.named else len(self.named)
        inner = _inside(body, self.named[:outer])
        if inner is None:
            raise SlmError(
                f"{self.address}: records = '{self.stated}': no such place in the answer; it has {_keys(body)}"
            )
        if rest := self.named[outer:]:
            return list(walk(inner, rest, Walk(doubt=True)))
        by_key = isinstance(inner, dict) and inner and all(isinstance(each, dict) for each in inner.values())
        if by_key:
            return list(walk(inner, (ANY,), Walk(doubt=True)))
        return [Found(each, {}, doubt=True) for each in (inner if isinstance(inner, list) else [inner])]

    def _found(self, body: Mapping[str, Any]) -> tuple[Step, ...]:
        lists = list(_lists(body))
        objects = [each for each in lists if each[1] and all(isinstance(one, dict) for one in each[1])]
        empty = [each for each in lists if not each[1]]
        for chosen in (objects, empty, [each for each in lists if _name(each) in USUAL]):
            main = [each for each in chosen if _name(each) not in BESIDE] or chosen
            usual = [each for each in main if _name(each) in USUAL]
            first = usual[:1] if usual and (len(usual) == 1 or len(usual[0][0]) < len(usual[1][0])) else main
            if len(first) == 1:
                return first[0][0]
            if len(first) > 1 and chosen is objects:
                shown = ", ".join(f"{show_path(path)} ({len(found):,})" for path, found in first[:8])
                raise SlmError(f"{self.address}: the answer holds several lists: {shown}; say which by records = '...'")
        return ()


def _lists(body: Mapping[str, Any]) -> Iterator[tuple[tuple[Step, ...], Sequence[Any]]]:
    """The lists of an answer, in its objects to the third level, the outer ones first."""
    level: list[tuple[tuple[Step, ...], Mapping[str, Any]]] = [((), body)]
    for _ in range(3):
        inner: list[tuple[tuple[Step, ...], Mapping[str, Any]]] = []
        for path, each in level:
            for name, value in each.items():
                step = (*path, Step("key", name))
                if isinstance(value, list):
                    yield step, value
                elif isinstance(value, dict):
                    inner.append((step, value))
        level = inner


def _name(found: tuple[tuple[Step, ...], Sequence[Any]]) -> str:
    return found[0][-1].name.casefold()


def _inside(value: Any, steps: Sequence[Step]) -> Any:
    for step in steps:
        value = value.get(step.name) if isinstance(value, dict) and step.kind == "key" else None
    return value


def _keys(body: Any) -> str:
    return ", ".join(list(body)[:12]) if isinstance(body, dict) else called(body)
