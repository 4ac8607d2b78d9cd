"""Paths as they are printed."""

from __future__ import annotations

from pathlib import Path


def shortest(path: Path) -> Path:
    """The path from here where that is shorter."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
