"""TOML to attrs: strict, all mistakes at once, each with file:line, the key's path and a suggestion."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs
import cattrs
from attrs import frozen
from cattrs import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError

from slm.errors import SlmError

T = TypeVar("T")
NAMES = {int: "an integer", float: "a number", str: "a string", bool: "true or false", NoneType: "nothing"}


@frozen
class Mistake:
    """One thing wrong in a config: the key's dotted path and what to say of it."""

    path: str
    say: str


class ConfigError(SlmError):
    """Every mistake found in one config file; `paths` are the keys they are about."""

    def __init__(self, text: str, paths: frozenset[str] = frozenset()) -> None:
        super().__init__(text)
        self.paths = paths


@frozen
class Place:
    """A config text and its name, to turn a key's path into `file:line: path`."""

    name: str
    text: str = ""

    def error(self, mistakes: Sequence[Mistake]) -> ConfigError:
        """The mistakes in the file's order, one a line."""
        lines = positions(self.text)
        found = sorted({(line_of(lines, m.path), m.path, m.say) for m in mistakes})
        where = [f"{self.name}:{n}" if n else self.name for n, _, _ in found]
        lines_said = [f"{w}: {p}: {s}" if p else f"{w}: {s}" for w, (_, p, s) in zip(where, found, strict=True)]
        return ConfigError("\n".join(lines_said), frozenset(m.path for m in mistakes))


def structure(table: Mapping[str, Any], cls: type[T], root: str = "", source: Path | None = None) -> T:
    """Build `cls` from the table found at path `root`, or raise every mistake at once."""
    made, found = attempt(table, cls, root)
    if made is None:
        text = source.read_text(encoding="utf-8") if source and source.suffix == ".toml" else ""
        raise Place(str(source) if source else cls.__name__, text).error(found)
    return made


def attempt(table: Mapping[str, Any], cls: type[T], root: str) -> tuple[T | None, list[Mistake]]:
    """Build `cls`, or say what is wrong with the table."""
    try:
        return strict().structure(table, cls), []
    except (ClassValidationError, IterableValidationError) as error:
        return None, list(mistakes(error, root))


def strict() -> cattrs.Converter:
    """TOML values are already typed: refuse the coercions that cattrs makes for untyped sources."""
    conv = cattrs.Converter(forbid_extra_keys=True)
    for kind in (bool, int, float, str):
        conv.register_structure_hook(kind, exactly)
    conv.register_structure_hook(Path, lambda value, _: Path(exactly(value, str)))
    conv.register_structure_hook_func(made_by(Literal), one_of)
    conv.register_structure_hook_factory(made_by(Union, UnionType), either_of)
    conv.register_structure_hook_factory(made_by(tuple), array_of)
    return conv


def made_by(*origins: Any) -> Callable[[Any], bool]:
    """Whether a type is made by one of these: `tuple[int, ...]` by tuple."""
    return lambda kind: get_origin(kind) in origins


def exactly(value: Any, kind: Any) -> Any:
    """The value, if it is of the kind; an integer is also a number."""
    if type(value) is kind or (kind is float and type(value) is int):
        return kind(value)
    raise TypeError(f"expected {NAMES.get(kind, kind)}, got {value!r}")


def one_of(value: Any, kind: Any) -> Any:
    """The value, if it is one of a Literal's."""
    if value in get_args(kind):
        return value
    raise ValueError(
        f"expected one of {', '.join(map(repr, get_args(kind)))}, got {value!r}{suggestion(value, get_args(kind))}"
    )


def either_of(kind: Any, conv: Any) -> Callable[[Any, Any], Any]:
    """A hook for unions: the first member that takes the value as it is."""

    def either(value: Any, _: Any) -> Any:
        said = []
        for member in get_args(kind):
            if member is NoneType:
                if value is None:
                    return None
                continue
            try:
                return conv.structure(value, member)
            except (TypeError, ValueError, ClassValidationError, IterableValidationError) as error:
                said.append(str(error.args[0]))
        raise TypeError(next((text for text in said if "expected one of" in text), said[0]))

    return either


def array_of(kind: Any, conv: Any) -> Callable[[Any, Any], Any]:
    """A hook for tuples; else cattrs would split "q_proj" into letters."""
    members = get_args(kind)

    def array(value: Any, _: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise TypeError(f"expected an array, got {value!r}")
        kinds = [members[0]] * len(value) if members[-1] is Ellipsis else members
        return tuple(conv.structure(item, member) for item, member in zip(value, kinds, strict=True))

    return array


def mistakes(error: BaseException, path: str) -> Iterator[Mistake]:
    """Walk cattrs' exception group; unlike its transform_error, keep each validator's own words."""
    if isinstance(error, ClassValidationError | IterableValidationError):
        noted, plain = error.group_exceptions()
        for child, note in noted:
            key = getattr(note, "name", None) or getattr(note, "index", "")
            yield from mistakes(child, f"{path}.{key}".lstrip("."))
        for other in plain:
            yield from mistakes(other, path)
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [a.alias for a in attrs.fields(error.cl)]
        for key in sorted(error.extra_fields):
            yield unknown(key, known, path)
    elif isinstance(error, KeyError):
        yield Mistake(path, "required, and missing")
    else:
        yield refused(str(error.args[0]) if error.args else type(error).__name__, path)


def refused(text: str, path: str) -> Mistake:
    """What a validator said of a value; attrs' own begin with the field's name, which belongs to the path."""
    named = re.fullmatch(r"'(\w+)' (must .*)", text, re.DOTALL)
    return Mistake(f"{path}.{named[1]}".lstrip("."), named[2]) if named else Mistake(path, text)


def unknown(key: str, known: Sequence[str], path: str) -> Mistake:
    """A key that nobody knows, and the one that was perhaps meant."""
    hint = suggestion(key, known) or f"; known: {', '.join(sorted(known)) or 'none'}"
    return Mistake(f"{path}.{key}".lstrip("."), f"unknown key{hint}")


def suggestion(word: Any, known: Sequence[Any]) -> str:
    """`; did you mean 'x'?`, or nothing."""
    near = get_close_matches(str(word), [str(each) for each in known], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


KEY = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
HEADER = re.compile(rf"\s*(\[\[?)\s*({KEY}(?:\s*\.\s*{KEY})*)\s*\]")
SETTING = re.compile(rf"\s*({KEY}(?:\s*\.\s*{KEY})*)\s*=")


def positions(text: str) -> dict[str, int]:
    """The line that sets each dotted path (tomllib keeps none); `[[load]]` tables count as load.0, load.1."""
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    table, quote = "", ""
    for number, line in enumerate(text.splitlines(), 1):
        if quote:
            quote = "" if quote in line else quote
            continue
        if header := HEADER.match(line):
            table = dotted(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = f"{table}.{counts[table]}"
            found.setdefault(table, number)
        elif setting := SETTING.match(line):
            found[f"{table}.{dotted(setting[1])}".lstrip(".")] = number
        for mark in ('"""', "'''"):
            if line.count(mark) % 2:
                quote = mark
    return found


def dotted(key: str) -> str:
    """A TOML key without quotes and spaces."""
    return ".".join(part.strip(" \t\"'") for part in re.findall(KEY, key))


def line_of(lines: Mapping[str, int], path: str) -> int:
    """The line of a path, or of the nearest table above it; 1 where the file says nothing of it, 0 without a file."""
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines[path] if path else min(1, len(lines))
