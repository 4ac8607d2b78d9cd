"""Steps of the user's own: a function in a Python file beside the pipeline, without a package."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from attrs import field, frozen

from slm.plugin import Bid, Hardware, Job, Processed, Rank, SlmError, Work, hookimpl
from slm_data.ids import FIELDS, content_ids

from .contents.aside import put_aside, written
from .contents.content import tables

if TYPE_CHECKING:
    import datasets

Step = Callable[..., Any]
BATCH = ("batch", "records", "rows")


@frozen(eq=False)
class Custom:
    """Calls a function of your own on every record, or on batches of them: `use = "my_steps.py:clean"`."""

    claims: ClassVar[tuple[str, ...]] = ("*.py:*",)

    use: str = field(default="", metadata={"help": "The file and the function in it: my_steps.py:clean."})
    per: Literal["auto", "record", "batch"] = field(
        default="auto",
        metadata={"help": "What the function takes; auto: a batch if its first parameter is batch, records or rows."},
    )
    arguments: dict[str, Any] = field(factory=dict, metadata={"help": "Further arguments of the function, by name."})
    splits: tuple[str, ...] = field(default=(), metadata={"help": "The splits that it is for; all if empty."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, f"calls {self.use or 'a function of your own'}")

    def state(self, folder: Path) -> str | None:
        """The content of the file: a changed function is another step."""
        file = folder / self.use.rpartition(":")[0]
        return blake2b(file.read_bytes(), digest_size=16).hexdigest() if file.is_file() else None

    @hookimpl
    def preprocess(self, splits: Mapping[str, datasets.Dataset], job: Job, work: Work) -> Processed:
        if not self.use:
            return Processed(splits, {"kept": sum(map(len, splits.values()))})
        file, _, name = self.use.rpartition(":")
        step = _function(work.root / file, name, self.use)
        call = _Call(step, self.use, self.arguments, self._batched(step))
        made, dropped, examples = {}, {}, list[str]()
        report = {"kept": 0, "changed": 0, "dropped": 0, "added": 0}
        total = sum(map(len, splits.values()))
        for split_name, split in splits.items():
            if self.splits and split_name not in self.splits:
                made[split_name] = split
                report["kept"] += len(split)
                continue
            gone: list[tuple[int, str]] = []
            rows = _rows(split, call, report, gone, examples)
            made[split_name] = written(rows, split.features.arrow_schema, split_name, work)
            work.progress(sum(map(len, made.values())), total, "records")
            if gone:
                dropped[split_name] = put_aside(split, [n for n, _ in gone], [why for _, why in gone], split_name, work)
        return Processed(made, report, dropped, tuple(examples))

    def _batched(self, step: Step) -> bool:
        first = next(iter(inspect.signature(step).parameters), "")
        return self.per == "batch" or (self.per == "auto" and first in BATCH)


@frozen(eq=False)
class _Call:
    """The function, and how it is called."""

    step: Step
    use: str
    arguments: Mapping[str, Any]
    batched: bool

    def on(self, records: Sequence[dict[str, Any]]) -> Iterator[tuple[int, str, list[dict[str, Any]]]]:
        """For each record its place in the list, why it was dropped if it was, and what it has become."""
        if self.batched:
            yield from self._on_batch(records)
            return
        for n, record in enumerate(records):
            with self._blamed(record["source"]):
                value = self.step(dict(record), **self.arguments)
            if value is None or isinstance(value, str):
                yield n, value or f"dropped by {self.use}", []
            else:
                many = isinstance(value, Iterable) and not isinstance(value, Mapping)
                found = [self._checked(each, record) for each in (value if many else [value])]
                yield n, "" if found else f"dropped by {self.use}", found

    def _on_batch(self, records: Sequence[dict[str, Any]]) -> Iterator[tuple[int, str, list[dict[str, Any]]]]:
        with self._blamed(records[0]["source"]):
            given = list(self.step([dict(record) for record in records], **self.arguments))
        places = {record["source"]: n for n, record in enumerate(records)}
        found: dict[int, list[dict[str, Any]]] = {}
        for each in given:
            at = places.get(each.get("source")) if isinstance(each, Mapping) else None
            if at is None:
                raise SlmError(f"{self.use}: gave {_short(each)}; give records with the `source` that they came with")
            found.setdefault(at, []).append(self._checked(each, records[at]))
        for n in range(len(records)):
            yield n, "" if n in found else f"dropped by {self.use}", found.get(n, [])

    def _checked(self, value: Any, record: Mapping[str, Any]) -> dict[str, Any]:
        """What the function gave, as a record with the fields that records have here."""
        if not isinstance(value, Mapping):
            raise SlmError(f"{self.use}: gave {_short(value)} for {record['source']}; give a record, None or a reason")
        if strange := [name for name in value if name not in record]:
            raise SlmError(f"{self.use}: {strange[0]!r} is no field of these records ({', '.join(record)})")
        return {**record, **value}

    @contextmanager
    def _blamed(self, place: str) -> Iterator[None]:
        try:
            yield
        except SlmError:
            raise
        except Exception as error:
            line = extract_tb(error.__traceback__)[-1].lineno
            where = f"{self.use.rpartition(':')[0]}:{line}"
            raise SlmError(f"{where}: {type(error).__name__}: {_short(error)}, at {place}") from error


def _function(file: Path, name: str, use: str) -> Step:
    """The function of that name in a Python file, which may import its neighbours."""
    if not file.is_file():
        raise SlmError(f"{use}: there is no file {file}")
    spec = spec_from_file_location(f"slm_custom_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise SlmError(f"{file}: does not import: {type(error).__name__}: {_short(error)}") from error
    found = getattr(module, name, None)
    if not callable(found):
        names = [each for each, value in vars(module).items() if inspect.isfunction(value)]
        raise SlmError(f"{use}: no function {name!r} in it (there is {', '.join(names) or 'none'})")
    step: Step = found
    return step


def _rows(
    split: datasets.Dataset, call: _Call, report: dict[str, int], gone: list[tuple[int, str]], examples: list[str]
) -> Iterator[Any]:
    """The records after the call, table by table; an id changes only where a record becomes several."""
    at, schema = 0, split.features.arrow_schema
    for table in tables(split):
        before = table.to_pylist()
        after: list[dict[str, Any]] = []
        for n, why, found in call.on(before):
            if why:
                gone.append((at + n, why))
                report["dropped"] += 1
                continue
            changed = len(found) > 1 or found[0] != before[n]
            report["changed" if changed else "kept"] += 1
            report["added"] += len(found) - 1
            after += _told_apart(found, schema) if len(found) > 1 else found
            if changed and len(examples) < 5:
                examples.append(f"{before[n]['source']}: {_difference(before[n], found[0])}")
        yield _table(after, schema, call.use)
        at += len(table)


def _told_apart(found: list[dict[str, Any]], schema: Any) -> list[dict[str, Any]]:
    """Several records made of one: each with an id of its own, and its number behind the source."""
    import pyarrow

    ids = content_ids(pyarrow.Table.from_pylist(found, schema=schema)).to_pylist()
    return [
        {**record, "id": id_, "source": f"{record['source']}#{n}"}
        for n, (record, id_) in enumerate(zip(found, ids, strict=True), start=1)
    ]


def _table(records: list[dict[str, Any]], schema: Any, use: str) -> Any:
    import pyarrow

    try:
        return pyarrow.Table.from_pylist(records, schema=schema)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError) as error:
        raise SlmError(f"{use}: gave a value of another type than the field has: {_short(error)}") from None


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    name = next(name for name in (*FIELDS, *before) if name in before and before[name] != after[name])
    return f"{name}: {_short(before[name])} -> {_short(after[name])}"


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 120 else f"{text[:117]}..."
