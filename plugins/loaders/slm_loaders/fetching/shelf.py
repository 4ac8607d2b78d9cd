"""Answers of the web kept in a folder, so that a killed run goes on where it was.

Names tell nothing of the addresses, secrets that are known are not in the files, and an answer is there whole or not at
all. What was fetched since the last finished run, within a day, is taken as it is.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from attrs import field, frozen

from .addresses import shown
from .client import Page

FRESH = 24 * 3600
MARK = b"\0\xff\xfe%d\xfe\xff\0"
"""What stands for a secret: bytes that no text and hardly anything else has."""

HEADERS = ("content-type", "content-language", "etag", "last-modified", "link")


def both_spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """The secrets as they are and as they stand in addresses, the longest first."""
    found = {form for each in secrets if each for form in (each, quote(each), quote(each, safe=""))}
    return tuple(sorted(found, key=lambda each: (-len(each), each)))


@frozen(eq=False)
class Shelf:
    """The folder, and the secrets that are taken out of what is put there and put back in when it is read."""

    folder: Path
    secrets: tuple[str, ...] = field(default=(), converter=both_spellings, repr=False)

    def get(self, key: str) -> tuple[Page | None, bool]:
        """The answer kept under a key, if there is one, and whether it may be taken as it is."""
        try:
            head, _, body = self._file(key).read_bytes().partition(b"\n")
            told = json.loads(self._filled(head))
            page = Page(told["url"], 200, told["headers"], self._filled(zlib.decompress(body)))
        except (OSError, ValueError, KeyError, zlib.error):
            return None, False
        return page, told["time"] > max(time.time() - FRESH, self._finished())

    def put(self, key: str, page: Page) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        headers = {name: page.headers[name] for name in HEADERS if name in page.headers}
        head = json.dumps({"url": shown(page.url), "headers": headers, "time": time.time()}, ensure_ascii=False)
        aside = self._file(key).with_suffix(".new")
        aside.write_bytes(self._emptied(head.encode()) + b"\n" + zlib.compress(self._emptied(page.body), 1))
        aside.replace(self._file(key))

    def finish(self) -> None:
        """Note that a run came to its end: the next one asks the sites again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "finished").write_text(str(time.time()), encoding="utf-8")

    def _finished(self) -> float:
        try:
            return float((self.folder / "finished").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0.0

    def _file(self, key: str) -> Path:
        return self.folder / f"page-{sha256(key.encode()).hexdigest()[:32]}"

    def _emptied(self, data: bytes) -> bytes:
        for n, secret in enumerate(self.secrets):
            data = data.replace(secret.encode(), MARK % n)
        return data

    def _filled(self, data: bytes) -> bytes:
        for n, secret in reversed(list(enumerate(self.secrets))):
            data = data.replace(MARK % n, secret.encode())
        return data
