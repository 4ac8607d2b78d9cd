"""A folder's files of certain kinds: what is left out is said, and a link that leads out of it is rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from slm.plugin import Reject, SlmError, Source, Work

from .files import File


def find_inside(source: Source, work: Work, suffixes: Collection[str], kind: str) -> tuple[list[File], list[Reject]]:
    """The files of these kinds in the folder and those below it, in order of name; hidden ones are left out.

    Those of other kinds are counted in a warning. Raises SlmError where there is no file of these kinds.
    """
    root, name = source.path.resolve(), source.address.removeprefix("file://").rstrip("/")
    files, rejected, others = [], [], Counter[str]()
    for path in sorted(source.path.rglob("*")):
        inside = path.relative_to(source.path)
        if any(part.startswith(".") for part in inside.parts) or path.is_dir():
            continue
        address = f"{name}/{inside.as_posix()}"
        if path.suffix.lower() not in suffixes:
            others[path.suffix or "no suffix"] += 1
        elif not path.resolve().is_relative_to(root):
            rejected.append(Reject(address, "a link that leads out of the folder"))
        elif not path.is_file():
            rejected.append(Reject(address, "is no file"))
        else:
            files.append(File(path, address))
    if others:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in others.most_common(8))
        work.warn(f"{source.address}: files of other kinds are left out: {kinds}")
    if not files and not rejected:
        raise SlmError(f"{source.address}: no {kind} in this folder ({', '.join(suffixes)})")
    return files, rejected
