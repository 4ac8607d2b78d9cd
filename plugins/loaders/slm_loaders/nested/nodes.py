"""YAML as plain values with their lines, from a parser that no file can overflow, and with words left as words.

Only what is data is read: no tag makes an object. Of plain scalars, numbers are numbers where they are written as
Python writes them, `true`, `false` and `null` are what they say, and all else (`yes`, `no`, `1.10`, dates, times) is
the text that stands there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from slm.plugin import SlmError

DEPTH = 200
GROWTH, FREE = 10, 1_000_000
"""Values that aliases may stand for: so many times those written, or this many however few are written."""

NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d+)?(?:e[-+]\d+)?")
WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
MERGE = "tag:yaml.org,2002:merge"
PLAIN = "tag:yaml.org,2002:str"


class Lines(list[Any]):
    """A list, and the line of each of its values."""

    lines: list[int]


class Keys(dict[str, Any]):
    """An object, and the line of each of its keys."""

    lines: dict[str, int]


def read_documents(text: str, address: str) -> Iterator[tuple[Any, int]]:
    """The documents of a YAML text, each with its line; SlmError where the text is broken or a bomb."""
    import yaml

    try:
        _refuse_deep(text, address)
        loader = _loader()(text)
        try:
            while loader.check_node():
                node = loader.get_node()
                _refuse_growth(node, address)
                yield _value(node, loader, address), node.start_mark.line + 1
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise SlmError(_broken(error, address)) from None
    except RecursionError:
        raise SlmError(f"{address}: its aliases are nested too deeply; write them out") from None


@cache
def _loader() -> Any:
    """PyYAML's reader in C, or in Python where that was not built, which knows no tag but the merge key."""
    import yaml

    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    merge = {"<": [(MERGE, re.compile("<<$"))]}
    return type("Loader", (base,), {"yaml_implicit_resolvers": merge})


def _refuse_deep(text: str, address: str) -> None:
    """Refuse what is nested so deeply that the C reader would overflow its stack."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=_loader()):
        if isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            depth += 1
            if depth > DEPTH:
                raise SlmError(f"{address}:{event.start_mark.line + 1}: nested more than {DEPTH} levels deep")
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            depth -= 1


def _refuse_growth(root: Any, address: str) -> None:
    """Refuse a document whose aliases stand for far more than is written, or for themselves."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: Any) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in open_nodes:
            raise SlmError(f"{address}:{node.start_mark.line + 1}: a value that holds itself")
        open_nodes.add(id(node))
        parts = node.value if isinstance(node.value, list) else []
        total = 1 + sum(size(each) for part in parts for each in (part if isinstance(part, tuple) else (part,)))
        open_nodes.discard(id(node))
        sizes[id(node)] = total
        return total

    total = size(root)
    if total > max(FREE, GROWTH * len(sizes)):
        raise SlmError(
            f"{address}: its aliases stand for {min(total, 10**18):,} values where {len(sizes):,} are written "
            "(a bomb?); write them out"
        )


def _value(node: Any, loader: Any, address: str) -> Any:
    """The value of a node; what an alias stands for is made anew at each place."""
    import yaml

    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        made = Lines(_value(each, loader, address) for each in node.value)
        made.lines = [each.start_mark.line + 1 for each in node.value]
        return made
    _refuse_twins(node, address)
    loader.flatten_mapping(node)
    keys = Keys()
    keys.lines = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise SlmError(f"{address}:{key.start_mark.line + 1}: a key that is no text; write it as one")
        keys[key.value] = _value(value, loader, address)
        keys.lines[key.value] = key.start_mark.line + 1
    return keys


def _scalar(node: Any) -> Any:
    text = node.value
    if node.style or (node.tag != PLAIN and not node.tag.startswith("tag:yaml.org,2002:")):
        return text
    if text in WORDS:
        return WORDS[text]
    if NUMBER.fullmatch(text):
        number = float(text) if set(text) & {".", "e"} else int(text)
        return number if repr(number) == text else text
    return text


def _refuse_twins(node: Any, address: str) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key.value, str) and key.tag != MERGE:
            if key.value in seen:
                raise SlmError(f"{address}:{key.start_mark.line + 1}: the key '{key.value}' stands twice; rename one")
            seen.add(key.value)


def _broken(error: Any, address: str) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"{address}:{mark.line + 1}:{mark.column + 1}" if mark else address
    why = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
    context = getattr(error, "context", None)
    return " ".join(f"{place}: not YAML: {why}{f' ({context})' if context else ''}; mend it there".split())
