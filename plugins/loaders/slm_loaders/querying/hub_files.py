"""What is asked of the Hub and its cache besides the data, and what is said where it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slm.plugin import SlmError

SECONDS = 10.0
SAYINGS: tuple[tuple[str, str], ...] = (
    (r"gated", "is gated; ask for access on its page, then set token, or run hf auth login"),
    (r"Revision '?(?P<it>[^' ]+)'? doesn't exist", "no revision {it}"),
    (
        r"doesn't exist on the Hub or cannot be accessed",
        "no such dataset, or a private one; check its name, or set token",
    ),
    (r"Config name is missing.*?(?P<it>\[.*?\])", "which configuration? set config = '...' (there: {it})"),
    (r"BuilderConfig '?(?P<it>.*?)'? not found. Available: (?P<all>\[.*?\])", "no configuration {it} (there: {all})"),
    (r"Bad split: (?P<it>\S+)\. Available splits: (?P<all>\[.*?\])", "no split {it} (there: {all})"),
    (
        r"scripts are no longer supported",
        "is made by a script, which is not run; look for a revision refs/convert/parquet",
    ),
    (r"[Oo]ffline|HF_HUB_OFFLINE", "is not in the cache, and the Hub is not asked (HF_HUB_OFFLINE); unset that once"),
    (
        r"Couldn't reach|ConnectError|ConnectTimeout|Connection refused|Name or service",
        "the Hub can't be reached, and the cache has no copy; check the network",
    ),
    (r"No \(supported\) data files|any data file|DataFilesNotFound|Unable to find", "no data files that are known"),
    (r"401|403|Unauthorized|Forbidden", "the Hub does not let you in; set token, or run hf auth login"),
    (r"Couldn't find cache for", "neither the Hub nor the cache has it; check configuration, split and file"),
    (r"disk space", "the disk is full"),
)
"""Patterns in what `datasets` and the Hub say, the first that fits, and what is said for them."""


FAULTS = (KeyError, TypeError, AttributeError)
"""What `datasets` raises over folders whose JSON is not what it wrote."""


def offline() -> bool:
    """Whether the Hub is not to be asked."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def commit_of(repo: str, revision: str, token: str) -> str | None:
    """The commit that a revision stands for; from the cache where the Hub is not asked. None if neither knows."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import OfflineModeIsEnabled

    if offline():
        folder = cached(repo, revision)
        return folder.name if folder else None
    try:
        return HfApi().dataset_info(repo, revision=revision or None, timeout=SECONDS, token=token or None).sha
    except (_http_error(), OSError, OfflineModeIsEnabled, ValueError):
        return None  # loading asks again, and says what is wrong


def cached(repo: str, revision: str) -> Path | None:
    """The folder of the Hub's cache that holds a dataset as it was downloaded; None where it is not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo, repo_type="dataset", revision=revision or None, local_files_only=True))
    except (LocalEntryNotFoundError, FileNotFoundError, ValueError):
        return None


def _http_error() -> type[Exception]:
    """What the HTTP client raises, whichever it is: the Hub's library is on its second."""
    from huggingface_hub.errors import HfHubHTTPError

    found: type[Exception] = next(base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError")
    return found


@contextmanager
def refused(shown: str, token: str) -> Iterator[None]:
    """What `datasets` and the Hub raise, as a SlmError of one line."""
    from datasets.exceptions import DatasetsError
    from pyarrow import ArrowException

    try:
        yield
    except (_http_error(), DatasetsError, ArrowException, OSError, ValueError, RuntimeError, *FAULTS) as error:
        raise SlmError(f"{shown}: {_said(error, token)}") from None


def _said(error: BaseException, token: str) -> str:
    causes: list[BaseException] = [error]
    while cause := causes[-1].__cause__:
        causes.append(cause)
    told = [re.sub(r"\s+", " ", f"{type(each).__name__}: {each}") for each in causes]
    for text in told:
        for pattern, say in SAYINGS:
            if found := re.search(pattern, text):
                return say.format(**found.groupdict())
    last = told[-1].replace(token, "***") if token else told[-1]
    return f"can't be read ({last[:300]})"
