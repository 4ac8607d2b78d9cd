"""Where records stand in nested data: `data[].paragraphs[].qas[]`, with `*` for any key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from attrs import evolve, field, frozen

from slm.plugin import SlmError

TOKEN = re.compile(r'\.?(?:(\*)|"((?:[^"\\]|\\.)+)"|([^.\[\]*"\s][^.\[\]*"]*))|(\[\])')


@frozen
class Step:
    """One step into nested data: the value of a key, each element of a list, or the value of any key."""

    kind: Literal["key", "each", "any"]
    name: str = ""

    def __str__(self) -> str:
        return {"key": f".{self.name}", "each": "[]", "any": ".*"}[self.kind]


EACH, ANY = Step("each"), Step("any")


@frozen
class Found:
    """What stands at the end of a path, or why nothing does; `around` are the fields of the levels outside of it.

    `doubt` says that texts in it may hold what is no character; `line` is where it stands, if that is known.
    """

    value: Any
    around: Mapping[str, Any]
    why: str = ""
    doubt: bool = False
    line: int | None = None


def parse_path(path: str) -> tuple[Step, ...]:
    """The steps of a path; SlmError for one that is none."""
    steps, at = [], 0
    while at < len(path):
        found = TOKEN.match(path, at)
        if found is None or (found.end() < len(path) and path[found.end()] not in ".["):
            raise SlmError(
                f"records: '{path}' is not a path (at '{path[at:]}'); write it like data[].paragraphs[].qas[]"
            )
        wild, quoted, plain, _ = found.groups()
        name = json.loads(f'"{quoted}"') if quoted else plain
        steps.append(ANY if wild else Step("key", name) if name else EACH)
        at = found.end()
    return tuple(steps)


def show_path(steps: Sequence[Step]) -> str:
    """The steps as a user writes them."""
    return "".join(map(str, steps)).removeprefix(".")


@frozen
class Walk:
    """A walk along steps: what it takes along, and whether it passed a list or `*` (before, nothing is taken)."""

    around: Mapping[str, Any] = field(factory=dict)
    inside: bool = False
    doubt: bool = False
    line: int | None = None

    def found(self, value: Any, why: str = "") -> Found:
        """The end of the walk."""
        return Found(value, self.around, why, self.doubt, self.line)


def walk(value: Any, steps: Sequence[Step], way: Walk) -> Iterator[Found]:
    """All that stands at the end of the steps.

    Of each object on the way the other fields are taken along, inner names before outer ones; a key that `*` stands
    for is taken along as `key`. A list at the end of the steps is gone through, if the last of them is a key.
    """
    if not steps:
        yield way.found(value)
        return
    step, rest = steps[0], steps[1:]
    lines = getattr(value, "lines", None)
    if step.kind == "each" and isinstance(value, list):
        for n, each in enumerate(value):
            yield from walk(each, rest, evolve(way, inside=True, line=lines[n] if lines else way.line))
    elif step.kind == "each":
        yield way.found(value, f"{called(value)} where the path has a list")
    elif not isinstance(value, dict):
        yield way.found(value, f"{called(value)} where the path has an object")
    elif step.kind == "any":
        for name, each in value.items():
            line, around = lines[name] if lines else way.line, with_key(way.around, name)
            yield from walk(each, rest, evolve(way, around=around, inside=True, line=line))
    elif step.name not in value:
        yield way.found(value, f"no '{step.name}' in it")
    else:
        inner = value[step.name]
        more = {name: each for name, each in value.items() if name != step.name} if way.inside else {}
        line, rest = lines[step.name] if lines else way.line, rest or ((EACH,) if isinstance(inner, list) else ())
        yield from walk(inner, rest, evolve(way, around={**way.around, **more}, line=line))


def with_key(around: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The fields with a key that `*` stood for."""
    count = sum(name.startswith("key") for name in around)
    return {**around, f"key_{count + 1}" if count else "key": key}


def called(value: Any) -> str:
    """What a value is, in JSON's words."""
    names = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), "true or false")
