"""Values as JSON: what crosses between the kernel and its workers, and what the store keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import cattrs
from cattrs.preconf.json import make_converter

T = TypeVar("T")


def converter() -> cattrs.Converter:
    """Values to plain JSON types and back; a path is its text, an enum its number."""
    conv = make_converter()
    conv.register_unstructure_hook(Path, str)
    conv.register_structure_hook(Path, lambda value, _: Path(value))
    return conv


def pack(value: Any) -> Any:
    """The value as JSON types."""
    return converter().unstructure(value)


def unpack(table: Any, cls: type[T]) -> T:
    """The value of a class that `pack` made plain."""
    return converter().structure(table, cls)
