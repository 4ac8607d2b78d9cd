"""Where records come from: an address, the file it names, and what of it may be shown."""

from __future__ import annotations

import re
from pathlib import Path

from attrs import frozen

from slm.errors import SlmError

LOGIN = re.compile(r"(?<=://)([^/?#:@]*):([^/?#]*)@")
WIDE_LOGIN = re.compile(r"(?<=://)([^/?#:@]*):(.*)@", re.DOTALL)
TOKENS = re.compile(r"(?i)(?<=[?&])([\w.-]*(?:key|token|secret|password|passwd|pwd|signature|auth)[\w.-]*)=([^&#]*)")


@frozen
class Source:
    """Where records come from: an address as the user wrote it, and the file or folder it names, if it names one.

    `folder` is what relative paths are relative to (the pipeline file's folder).
    """

    address: str
    folder: Path = Path()

    @property
    def scheme(self) -> str:
        """`postgresql` of `postgresql://...`; empty for a path."""
        head, found, _ = self.address.partition("://")
        return head if found else ""

    @property
    def is_path(self) -> bool:
        """Whether the address names a file, a folder or a pattern here."""
        return self.scheme in ("", "file")

    @property
    def _login(self) -> re.Pattern[str]:
        """Where a login stands: of a database's, a password with a slash that should have been quoted is one too."""
        return LOGIN if self.scheme in ("http", "https") else WIDE_LOGIN

    @property
    def shown(self) -> str:
        """The address as messages and records may name it: without the passwords and tokens that stand in it."""
        hidden = self._login.sub(r"\1:***@", self.address)
        return TOKENS.sub(r"\1=***", hidden) if self.scheme else hidden

    @property
    def secrets(self) -> tuple[str, ...]:
        """The passwords and tokens that stand in the address."""
        found = [*self._login.findall(self.address), *(TOKENS.findall(self.address) if self.scheme else ())]
        return tuple(secret for _, secret in found if secret)

    @property
    def path(self) -> Path:
        """The file, folder or glob pattern that the address names; SlmError for an address with a scheme."""
        if not self.is_path:
            raise SlmError(f"{self.shown}: not a path")
        return self.folder / Path(self.address.removeprefix("file://")).expanduser()
