"""pipeline.toml, read strictly: the job's own keys, and for each stage the kernel's keys apart from the plugin's."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import attrs
from attrs import Factory, field, frozen
from attrs.validators import matches_re

from slm.config import ConfigError, Mistake, Place, attempt, unknown
from slm.errors import SlmError
from slm.source import Source

SECRET = re.compile(r"\$\{env:(\w+)\}")
USERINFO = re.compile(r"(?<=://)[^/?#]*@")


@frozen
class Head:
    """What stands at the top of a pipeline file."""

    name: str = field(validator=matches_re(r"[A-Za-z0-9][\w.-]*"), metadata={"help": "The model's name."})
    task: Literal["qa", "instruction", "chat", "completion", "classification", "preference"] = field(
        metadata={"help": "What the model is to do."}
    )
    base: str = field(default="scratch", metadata={"help": "The model to start from: a folder, a hub id, or scratch."})
    seed: int = field(default=0, metadata={"help": "Seed of everything that is drawn at random."})
    licence: str = field(default="", metadata={"help": "Licence of the model, as its card will say."})


@frozen
class Keys:
    """The kernel's keys of a stage's table; the others are the plugin's options."""

    use: str | None = field(default=None, metadata={"help": "The plugin's name; chosen where it is left out."})


@frozen
class LoadKeys(Keys):
    """The kernel's keys of `[[load]]`."""

    source: str = field(
        kw_only=True, metadata={"key": "from", "help": "Where the records are: a path, glob or address."}
    )
    columns: dict[str, str] = field(
        factory=dict, metadata={"help": "Which column is which field: a name, 'a + b', or a text with {names}."}
    )
    keep: tuple[str, ...] = field(
        default=(), metadata={"help": "Columns to keep beside the record, for steps that ask for them by name."}
    )
    split: str = field(
        default="train", validator=matches_re(r"[a-z][a-z0-9_]*"), metadata={"help": "Which split the records are for."}
    )
    max_bad_rows: int | float = field(
        default=0.1, metadata={"help": "How many unreadable rows stop the stage: a number, or a share below 1."}
    )


@frozen
class ServeKeys(Keys):
    """The kernel's keys of `[serve]`."""

    host: str = field(default="127.0.0.1", metadata={"help": "The address to listen on; another needs a key."})
    port: int = field(default=8080, metadata={"help": "The port to listen on."})
    key: str | None = field(default=None, metadata={"help": "Only requests that send this key are answered."})
    engine: str | None = field(default=None, metadata={"help": "The engine to serve with."})
    model: str | None = field(default=None, metadata={"help": "Which result to serve: model, or an export's name."})


@frozen
class NamedKeys(Keys):
    """The kernel's keys of a stage that must be named."""

    use: str = field(metadata={"help": "The plugin's name."})


@frozen
class AnnotateKeys(NamedKeys):
    """The kernel's keys of `[annotate]`."""

    shape: str = field(default="", metadata={"help": "What is asked of people; the usual for the task if left out."})
    labels: tuple[str, ...] = field(default=(), metadata={"help": "Labels to choose from; those in the data if none."})
    id: str = field(default="", metadata={"help": "The kept column that names a record for good."})
    splits: tuple[str, ...] = field(default=("train",), metadata={"help": "Which splits go to people."})
    select: Literal["all", "random", "uncertain", "diverse", "mixed", "disagreement"] = field(
        default="all", metadata={"help": "Which of the records that people don't have yet are sent first."}
    )
    limit: int | None = field(default=None, metadata={"help": "The most records to send at once."})
    prefer: Literal["", "local", "remote", "newest"] = field(
        default="", metadata={"help": "Whose content stands where both sides changed; undecided if left out."}
    )
    wait: int | float = field(
        default=0, metadata={"help": "How many records must be answered before the run goes on: a number, or a share."}
    )
    every: float = field(default=10.0, metadata={"help": "Seconds between two looks while waiting."})
    resolve: str = field(
        default="majority", metadata={"help": "What counts of several answers: latest, majority, all, or one's e-mail."}
    )
    keep: Literal["all", "answered"] = field(
        default="all", metadata={"help": "Whether complete records that nobody answered stay."}
    )


KEYS: Mapping[str, type[Keys]] = {
    "load": LoadKeys,
    "preprocess": NamedKeys,
    "annotate": AnnotateKeys,
    "recipe": Keys,
    "evaluate": NamedKeys,
    "export": Keys,
    "serve": ServeKeys,
    "observe": NamedKeys,
}
SINGLE = ("annotate", "recipe", "serve")


@frozen
class Stage:
    """One table of the file: its hook, its path (`load.0`), the kernel's keys, and the plugin's options."""

    hook: str
    path: str
    keys: Keys
    options: Mapping[str, Any]


@frozen
class Pipeline:
    """A checked pipeline. `folder` is what relative paths are relative to; `place` turns key paths into lines."""

    head: Head
    stages: tuple[Stage, ...]
    folder: Path
    place: Place
    table: Mapping[str, Any] = field(eq=False, default=Factory(dict))

    @classmethod
    def from_toml(cls, path: Path | str, sets: Sequence[str] = ()) -> Pipeline:
        """Read a file; `sets` are overrides such as `recipe.epochs=1`. Raises ConfigError with every mistake."""
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8")
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"at line (\d+)", str(error))
            raise ConfigError(f"{path}{f':{line[1]}' if line else ''}: not TOML: {error}") from None
        except UnicodeDecodeError:
            raise SlmError(f"{path}: not UTF-8 text") from None
        except OSError as error:
            raise SlmError(f"{path}: {(error.strerror or str(error)).lower()}; name a pipeline file") from None
        for each in sets:
            override(table, each)
        table.setdefault("name", file.resolve().parent.name)
        return cls.from_table(table, file.parent, Place(str(path), text))

    @classmethod
    def from_table(cls, table: Mapping[str, Any], folder: Path = Path(), place: Place | None = None) -> Pipeline:
        """Check a table that was read, or made in Python."""
        place = place or Place("pipeline")
        heads = {a.name: table[a.name] for a in attrs.fields(Head) if a.name in table}
        head, found = attempt(heads, Head, "")
        stages: list[Stage] = []
        known = [a.name for a in attrs.fields(Head)]
        for key, value in table.items():
            if key in KEYS:
                stages += read_stages(key, value, found)
            elif key not in known:
                found.append(unknown(key, [*known, *KEYS], ""))
        if not table.get("load"):
            found.append(Mistake("", 'no [[load]]: say where the records are, as in from = "faqs.csv"'))
        if found or head is None:
            raise place.error(found)
        order = list(KEYS)
        stages.sort(key=lambda stage: order.index(stage.hook))
        return cls(head, tuple(stages), folder, place, table)

    def named(self, hook: str) -> tuple[Stage, ...]:
        """The stages of one hook, in the file's order."""
        return tuple(stage for stage in self.stages if stage.hook == hook)

    def run(self, **how: Any) -> Any:
        """Run every stage; see `slm.run.run` for what can be said of how. Returns the Run."""
        from slm.run import run

        return run(self, **how)


def read_stages(hook: str, value: Any, found: list[Mistake]) -> Iterator[Stage]:
    """The stages of one hook; mistakes go into `found`."""
    shape = f"[{hook}]" if hook in SINGLE else f"[[{hook}]]"
    tables = [value] if hook in SINGLE else value
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        found.append(Mistake(hook, f"write it as {shape}"))
        return
    kind = KEYS[hook]
    names = list(key_names(kind))
    for n, table in enumerate(tables):
        path = hook if hook in SINGLE else f"{hook}.{n}"
        keys, wrong = attempt_keys({key: table[key] for key in table if key in names}, kind, path)
        found += wrong
        if keys is not None:
            yield Stage(hook, path, keys, {key: table[key] for key in table if key not in names})


def key_names(kind: type[Keys]) -> dict[str, str]:
    """The keys of a table and the fields they fill: `from` is no name in Python."""
    return {a.metadata.get("key", a.name): a.name for a in attrs.fields(kind)}


def attempt_keys(table: dict[str, Any], kind: type[Keys], path: str) -> tuple[Keys | None, list[Mistake]]:
    """`attempt`, with the file's names for the keys."""
    named = key_names(kind)
    made, wrong = attempt({named[key]: value for key, value in table.items()}, kind, path)
    keys = {f"{path}.{name}": f"{path}.{key}" for key, name in named.items()}
    return made, [Mistake(keys.get(m.path, m.path), m.say) for m in wrong]


def override(table: dict[str, Any], text: str) -> None:
    """Set one key of the table, as `recipe.epochs=1` or `load.0.from=a.csv`; a value that is no TOML is a string."""
    path, sign, value = text.partition("=")
    if not sign or not path.strip():
        raise SlmError(f"--set {text}: write it as key=value, such as recipe.epochs=1")
    *parents, last = path.strip().split(".")
    here: Any = table
    try:
        for part in parents:
            here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
        here[int(last) if isinstance(here, list) else last] = toml_value(value.strip())
    except (IndexError, ValueError, TypeError, AttributeError):
        raise SlmError(f"--set {text}: the pipeline has no {path.strip()}") from None


def toml_value(text: str) -> Any:
    """The TOML value, or else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def expand(value: Any, secrets: set[str] | None = None) -> Any:
    """Replace `${env:NAME}` in every string; the values found are added to `secrets`, to be kept out of messages."""
    if isinstance(value, Mapping):
        return {key: expand(each, secrets) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [expand(each, secrets) for each in value]
    if not isinstance(value, str):
        return value

    def read(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise SlmError(f"${{env:{match[1]}}}: the environment has no {match[1]}; export it first")
        if secrets is not None and os.environ[match[1]]:
            secrets.add(os.environ[match[1]])
        return os.environ[match[1]]

    return SECRET.sub(read, value)


def expand_address(address: str, secrets: set[str] | None = None) -> str:
    """`expand` for an address: what is filled in before its `@` is a name or a password, with any characters in it."""
    hidden = set[str]() if secrets is None else secrets

    def quoted(part: re.Match[str]) -> str:
        return SECRET.sub(lambda name: quote(expand(name[0], hidden), safe=""), part[0])

    found: str = expand(USERINFO.sub(quoted, address), hidden)
    hidden |= {quote(secret, safe="") for secret in hidden} | set(Source(found).secrets)
    return found
