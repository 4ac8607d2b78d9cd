"""Datasets of the Hugging Face Hub, and folders laid out as `datasets` lays them out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote

from attrs import evolve, field, frozen

from slm.plugin import Batch, Bid, Hardware, Job, Rank, SlmError, Source, Work, hookimpl

from .querying.features import text_columns, to_rows
from .querying.hub_files import cached, commit_of, offline, refused

ADDRESS = re.compile(r"([\w.-]+/[\w.-]+)(?:@(refs/(?:convert|pr)/[^/]+|[^/]+))?(?:/(.+))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
KNOWN = ("config", "split", "revision", "token")
ROWS = 10_000
STREAMED = 500
"""Rows of a batch that are held in memory, not mapped from a file."""


@frozen
class _Asked:
    """What an address and the options name: a dataset of the Hub, or a folder here."""

    shown: str
    repo: str
    config: str = ""
    split: str = ""
    revision: str = ""
    token: str = field(default="", repr=False)
    files: str = ""
    folder: Path | None = None

    @property
    def address(self) -> str:
        """How records name it."""
        revision = "" if "@" in self.shown else self.revision
        said = {"config": self.config, "split": self.split, "revision": revision}
        query = "&".join(f"{name}={value}" for name, value in said.items() if value)
        return f"{self.shown}?{query}" if query else self.shown


@frozen
class Hub:
    """Reads a dataset of the Hugging Face Hub, or a folder that `datasets` has saved."""

    claims: ClassVar[tuple[str, ...]] = ("hub://", "hf://datasets/*")

    config: str = field(default="", metadata={"help": "The dataset's configuration (subset), if it has several."})
    part: str = field(
        default="", metadata={"help": "The dataset's split to read, also as ?split= in the address; train if empty."}
    )
    revision: str = field(default="", metadata={"help": "A branch, tag or commit of the dataset; main if empty."})
    streaming: bool = field(
        default=False, metadata={"help": "Read over the network as it comes, without keeping a copy in the cache."}
    )
    token: str = field(
        default="",
        repr=False,
        metadata={"secret": True, "help": "A token of the Hub for gated data; that of `hf auth login` if empty."},
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "reads datasets of the Hugging Face Hub")

    def state(self, source: Source) -> str | None:
        """The commit that the revision stands for now; None where the Hub can't be asked."""
        asked = self._asked(source)
        if COMMIT.fullmatch(asked.revision):
            return asked.revision
        return commit_of(asked.repo, asked.revision, asked.token) if asked.folder is None else None

    @hookimpl
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        asked = self._asked(source)
        parts = _saved(asked) if asked.folder else None
        if parts is None:
            parts = _opened(asked, work, streaming=self.streaming)
        asked = evolve(asked, split=_split(asked, list(parts), work))
        yield from _batches(parts[asked.split], asked, work)

    def _asked(self, source: Source) -> _Asked:
        """The address and the options together; an option that says otherwise than the address is refused."""
        shown, _, query = source.address.partition("?")
        said = {name: values[-1] for name, values in parse_qs(query).items()}
        if source.is_path:
            asked = _Asked(source.shown, "", folder=source.path)
            said = {}
        else:
            place = re.sub(r"^hub://|^hf://datasets/", "", shown, flags=re.IGNORECASE).rstrip("/")
            found = ADDRESS.fullmatch(place)
            if not found:
                raise SlmError(f"{source.shown}: is no dataset of the Hub; write hub://owner/name")
            shown = source.shown.partition("?")[0]
            asked = _Asked(shown, found[1], revision=unquote(found[2] or ""), files=unquote(found[3] or ""))
        if strange := [name for name in said if name not in KNOWN]:
            raise SlmError(f"{asked.shown}: unknown ?{strange[0]}=; known are {', '.join(KNOWN)}")
        options = {"config": self.config, "split": self.part, "revision": self.revision, "token": self.token}
        chosen: dict[str, Any] = {}
        for name, value in options.items():
            there = said.get(name, "") or getattr(asked, name)
            if value and there not in ("", value):
                raise SlmError(f"{asked.shown}: two of {name}, in the address and as an option; leave one out")
            chosen[name] = value or there
        return evolve(asked, **chosen)


def _saved(asked: _Asked) -> dict[str, Any] | None:
    """The splits of a folder that `save_to_disk` wrote; None for another."""
    from datasets import Dataset, load_from_disk

    folder = asked.folder
    assert folder is not None
    if not folder.is_dir():
        raise SlmError(f"{asked.shown}: {'is a file; name its folder' if folder.exists() else 'no such folder'}")
    if not ((folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()):
        return None
    with refused(asked.shown, asked.token):
        found = load_from_disk(str(folder))
    return {"train": found} if isinstance(found, Dataset) else dict(found)


def _opened(asked: _Asked, work: Work, *, streaming: bool) -> dict[str, Any]:
    """The splits of a dataset, as a builder of `datasets` makes them; never by code from the dataset."""
    with refused(asked.shown, asked.token):
        builder = _builder(asked, work)
        if type(builder).__module__.endswith(".cache.cache") and (asked.revision or not offline()):
            work.warn(f"{asked.shown}: the Hub is not to be had; the newest copy in the cache is read")
        if streaming and not offline():
            return dict(builder.as_streaming_dataset())
        builder.download_and_prepare()
        return dict(builder.as_dataset())


def _builder(asked: _Asked, work: Work) -> Any:
    """The builder of a folder or a dataset; without the Hub of what it left in its caches, prepared or as files."""
    from datasets import load_dataset_builder

    options: dict[str, Any] = {"data_files": asked.files or None, "token": asked.token or None}
    own = {**options, "cache_dir": str(work.checkpoints / "datasets")}
    if asked.folder is not None:
        return load_dataset_builder(str(asked.folder.resolve()), asked.config or None, **own)
    options["revision"] = asked.revision or None
    try:
        return load_dataset_builder(f"hf://datasets/{asked.repo}", asked.config or None, **options)
    except (OSError, ValueError):
        folder = cached(asked.repo, asked.revision) if offline() else None
        if folder is None:
            raise
        return load_dataset_builder(str(folder), asked.config or None, **own)


def _split(asked: _Asked, found: list[str], work: Work) -> str:
    """The split to read: the one asked for, the only one, or `train`."""
    if asked.split:
        if asked.split not in found:
            raise SlmError(f"{asked.shown}: no split '{asked.split}' (there: {', '.join(found)})")
        return asked.split
    if len(found) == 1:
        return found[0]
    if "train" not in found:
        raise SlmError(f"{asked.shown}: which split? set part = '...' (there: {', '.join(found)})")
    others = ", ".join(name for name in found if name != "train")
    work.warn(f"{asked.shown}: its split train is read; part = '...' takes another ({others})")
    return "train"


def _batches(data: Any, asked: _Asked, work: Work) -> Iterator[Batch]:
    from datasets import Dataset

    names = text_columns(data.features) if data.features else None
    if names is not None and (left := [name for name in data.features if name not in names]):
        work.warn(f"{asked.address}: columns of pictures, sound or video are left out: {', '.join(left)}")
        data = data.select_columns(names)
    size, done = ROWS if isinstance(data, Dataset) else STREAMED, 0
    batches = data.with_format("arrow").iter(batch_size=size)
    while True:
        with refused(asked.shown, asked.token):
            table = next(batches, None)
        if table is None:
            return
        rows = to_rows(table, data.features)
        yield Batch(rows, asked.address, range(done + 1, done + len(rows) + 1))
        done += len(rows)
