"""The run store: each stage's result under the fingerprint of what made it, written aside, then renamed."""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from attrs import frozen
from filelock import FileLock, Timeout

from slm.errors import SlmError


def digest(value: Any) -> str:
    """128 bits that stand for a JSON value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def file_digest(file: Path) -> str:
    """128 bits that stand for a file's content."""
    hashed = blake2b(digest_size=16)
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            hashed.update(block)
    return hashed.hexdigest()


def files_of(path: Path) -> list[Path]:
    """The files that a path, folder or glob pattern names."""
    if path.is_file():
        return [path]
    found = path.rglob("*") if path.is_dir() else map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207
    return [file for file in found if file.is_file()]


@frozen
class Result:
    """A finished stage: where its files are, what it said of itself, and the digest of both."""

    key: str
    folder: Path
    value: Mapping[str, Any]
    digest: str
    record: Mapping[str, Any]


@frozen
class Aside:
    """Where a stage works before its result is kept."""

    key: str
    root: Path

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    def start(self) -> None:
        """Make an empty `out`; checkpoints stay as a killed worker left them, and that worker must be gone."""
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / "worker.lock", timeout=30):
                shutil.rmtree(self.out, ignore_errors=True)
        except Timeout:
            raise SlmError(f"{self.root}: an earlier worker still runs on this stage; end it first") from None
        self.out.mkdir()
        self.checkpoints.mkdir(exist_ok=True)


@frozen
class Store:
    """The results under one folder; also remembers digests of source files by size and time of change."""

    root: Path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store against a second run; SlmError where another has it, or it can't be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.root / ".lock", timeout=0)
            lock.acquire()
        except Timeout:
            raise SlmError(
                f"{self.root}: another run is using it; wait for it, or name another folder with --runs"
            ) from None
        except OSError as error:
            raise SlmError(f"{self.root}: {error.strerror or error}; name a folder you may write with --runs") from None
        try:
            yield
        finally:
            lock.release()

    def find(self, key: str) -> Result | None:
        """The result kept under a key, if it is whole: a file of another size or time is hashed again."""
        folder = self.root / key
        try:
            record = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        for name, (size, changed, hashed) in record["files"].items():
            file = folder / "out" / name
            if not file.is_file() or file.stat().st_size != size:
                return None
            if file.stat().st_mtime_ns != changed and file_digest(file) != hashed:
                return None
        return Result(key, folder / "out", record["value"], record["digest"], record)

    def aside(self, key: str) -> Aside:
        """The place to make the result of a key; those that differ only behind a `~` have one place."""
        return Aside(key, self.root / f".{key.partition('~')[0]}")

    def keep(self, aside: Aside, value: Mapping[str, Any], about: Mapping[str, Any]) -> Result:
        """Make what stands aside the key's result, in one rename."""
        files = {str(f.relative_to(aside.out)): f for f in sorted(aside.out.rglob("*")) if f.is_file()}
        listed = {name: [f.stat().st_size, f.stat().st_mtime_ns, file_digest(f)] for name, f in files.items()}
        stands_for = digest([value, {name: hashed for name, (_, _, hashed) in listed.items()}])
        record = {"key": aside.key, "value": value, "digest": stands_for, "files": listed, **about}
        final, place = self.root / aside.key, aside.root.with_name(f".kept{aside.key}")
        for old in (final, place):
            shutil.rmtree(old, ignore_errors=True)
        place.mkdir()
        aside.out.rename(place / "out")
        write_text(place / "result.json", json.dumps(record, indent=1, ensure_ascii=False))
        place.rename(final)
        if "~" not in aside.key:  # a source that is read each time finds again what it put by
            shutil.rmtree(aside.root, ignore_errors=True)
        return Result(aside.key, final / "out", value, stands_for, record)

    def content(self, path: Path) -> str:
        """What stands for the content of a file, a folder's files or a glob's; empty where there are none."""
        if path.is_file():
            return self.known(path)
        found = {str(file): self.known(file) for file in sorted(files_of(path))}
        return digest(found) if found else ""

    def known(self, file: Path) -> str:
        """`file_digest`, remembered for as long as size and time of change stay."""
        index = self.root / "digests.json"
        status = file.stat()
        try:
            seen = json.loads(index.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            seen = {}
        entry = seen.get(str(file.resolve()))
        if not entry or entry[:2] != [status.st_size, status.st_mtime_ns]:
            entry = [status.st_size, status.st_mtime_ns, file_digest(file)]
            if self.root.is_dir() and os.access(self.root, os.W_OK):
                write_text(index, json.dumps({**seen, str(file.resolve()): entry}))
        return str(entry[2])


def write_text(file: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new, never a part."""
    part = file.with_name(f"{file.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)
