"""Where records stand in nested data: `data[].paragraphs[].qas[]`, with `*` for any key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from attrs import frozen

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


def walk(
    value: Any, steps: Sequence[Step], around: Mapping[str, Any], *, doubt: bool = False, line: int | None = None
) -> Iterator[Found]:
    """All that stands at the end of the steps.

    Of each object on the way the other fields are taken along, inner names before outer ones; a key that `*` stands
    for is taken along as `key`. A list at the end of the steps is gone through, if the last of them is a key.
    """
    if not steps:
        yield Found(value, around, doubt=doubt, line=line)
        return
    step, rest = steps[0], steps[1:]
    lines = getattr(value, "lines", None)
    if step.kind == "each":
        if not isinstance(value, list):
            yield Found(value, around, f"{called(value)} where the path has a list", line=line)
            return
        for n, each in enumerate(value):
            yield from walk(each, rest, around, doubt=doubt, line=lines[n] if lines else line)
    elif not isinstance(value, dict):
        yield Found(value, around, f"{called(value)} where the path has an object", line=line)
    elif step.kind == "any":
        for name, each in value.items():
            yield from walk(each, rest, with_key(around, name), doubt=doubt, line=lines[name] if lines else line)
    elif step.name not in value:
        yield Found(value, around, f"no '{step.name}' in it", line=line)
    else:
        inner = value[step.name]
        more = {name: each for name, each in value.items() if name != step.name}
        rest = rest or ((EACH,) if isinstance(inner, list) else ())
        yield from walk(inner, rest, {**around, **more}, doubt=doubt, line=lines[step.name] if lines else line)


def with_key(around: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The fields with a key that `*` stood for."""
    count = sum(name.startswith("key") for name in around)
    return {**around, f"key_{count + 1}" if count else "key": key}


def called(value: Any) -> str:
    """What a value is, in JSON's words."""
    names = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), "true or false")
