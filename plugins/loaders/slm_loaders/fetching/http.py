"""Files of the web: fetched once into a folder that survives a kill, and again only when they changed."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path, PurePosixPath
from shutil import disk_usage

from slm.plugin import SlmError, Source, Work

from .addresses import Failure, parsed, shown, stated_headers
from .answers import Answer, Limits
from .client import Client, open_client, retried

LARGEST = 8 << 30
"""Bytes a fetched file may have."""

LONGEST = 6 * 3600
"""Seconds that fetching one may take."""

STEP = 8 << 20
FILES = (
    ".csv",
    ".tsv",
    ".json",
    ".jsonl",
    ".ndjson",
    ".parquet",
    ".txt",
    ".md",
    ".yaml",
    ".yml",
    ".xlsx",
    ".gz",
    ".zip",
)


def download(source: Source, work: Work, *, private: bool = False, limit: int = LARGEST) -> Path:
    """The file at an http(s) address, in `work.checkpoints` under its own suffix; SlmError where it can't be had.

    One that is there from before is asked for again only if it changed; one that broke off goes on where it was, if
    the server can do that, also after a kill.
    """
    limits = Limits(total=LONGEST, size=limit)
    work.checkpoints.mkdir(parents=True, exist_ok=True)
    file = work.checkpoints / _name(source.address)
    with open_client(source.address, private=private, limits=limits) as client:
        retried(lambda: _fetch(client, source.address, file, work), limits)
    return file


def remote_state(source: Source, *, private: bool = False, headers: tuple[str, ...] = ()) -> str | None:
    """The ETag, or the date and size, of what is at an address; None where the server says neither or fails."""
    limits = Limits(connect=5, read=10, total=20, retries=0)
    try:
        secret = stated_headers(headers)
        with open_client(source.address, private=private, secret=secret, limits=limits) as client:
            found = client.get(source.address, {"accept-encoding": "identity"}, "HEAD").headers
    except SlmError:
        return None
    parts = [found.get("etag"), found.get("last-modified"), found.get("content-length")]
    return " ".join(part for part in parts if part) if parts[0] or parts[1] else None


def _name(url: str) -> str:
    """A name that tells nothing of the address (it may hold a token), with the suffixes that say what it is."""
    suffixes = PurePosixPath(parsed(url).path).suffixes[-2:]
    sound = [each.lower() for each in suffixes if re.fullmatch(r"\.[A-Za-z0-9]{1,12}", each)]
    return "fetched-" + sha256(url.encode()).hexdigest()[:24] + "".join(sound)


def _fetch(client: Client, url: str, file: Path, work: Work) -> None:
    """One attempt. A file's `.state` names the version it is of; it is there only when the file is."""
    part = file.with_name(file.name + ".part")
    begun, headers = _asked(file, part)
    try:
        with client.open(url, headers) as answer:
            if answer.status == 304 and file.is_file():
                return
            if answer.status == 206 and not answer.headers.get("content-range", "").startswith(f"bytes {begun}-"):
                raise Failure(url, "the server sends another part than was asked for; try again later", status=416)
            _write(answer, part, begun if answer.status == 206 else 0, work)
    except Failure as failure:
        if failure.status == 416 and begun:
            part.unlink(missing_ok=True)
            raise Failure(url, failure.why, again=True) from None
        raise
    _state(file).unlink(missing_ok=True)
    part.replace(file)
    _state(part).replace(_state(file))


def _state(file: Path) -> Path:
    return file.with_name(file.name + ".state")


def _asked(file: Path, part: Path) -> tuple[int, dict[str, str]]:
    """The bytes that are there of a fetch that broke off, and the headers that ask for what is not."""
    headers = {"accept-encoding": "identity"}
    known = _version(part)
    lasting = known.get("etag", "W/")
    lasting = known.get("last-modified", "") if lasting.startswith("W/") else lasting
    if lasting and (begun := part.stat().st_size):
        return begun, {**headers, "range": f"bytes={begun}-", "if-range": lasting}
    names = {"etag": "if-none-match", "last-modified": "if-modified-since"}
    return 0, headers | {names[name]: value for name, value in _version(file).items()}


def _version(file: Path) -> dict[str, str]:
    """The ETag and date of what is in the file; nothing where there is no file."""
    try:
        return dict(json.loads(_state(file).read_text(encoding="utf-8"))) if file.is_file() else {}
    except (OSError, ValueError):
        return {}


def _write(answer: Answer, part: Path, start: int, work: Work) -> None:
    """Write the body behind the `start` bytes that are there."""
    said = answer.headers.get("content-length", "")
    total = start + int(said) if said.isdigit() else 0
    if total - start > disk_usage(part.parent).free:
        raise SlmError(f"{shown(answer.url)}: the answer is larger than the disk has room for; free some space")
    size, told = start, start
    with part.open("ab" if start else "wb") as out:
        version = {name: answer.headers[name] for name in ("etag", "last-modified") if answer.headers.get(name)}
        _state(part).write_text(json.dumps(version), encoding="utf-8")
        for chunk in answer.chunks:
            if not size:
                _refuse_page(answer, chunk)
            out.write(chunk)
            size += len(chunk)
            if size >= told + STEP:
                work.progress(told := size, total, "bytes")


def _refuse_page(answer: Answer, head: bytes) -> None:
    """A web page in place of a file is a login, or the page that shows the file."""
    suffix = PurePosixPath(parsed(answer.url).path).suffix.lower()
    page = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:14].lower().startswith((b"<!doctype html", b"<html"))
    if page and suffix in FILES:
        raise Failure(answer.url, f"is a web page, not a {suffix} file; take the address of the raw file, or log in")
