"""A look at a source before anything is built: its columns, its first records as they would be mapped, and why."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import frozen

from slm.call import Caller, told_of
from slm.choose import Choice, Chooser
from slm.errors import SlmError
from slm.pipeline import LoadKeys, Stage, expand_address
from slm.plugin import Base, Batch, Hardware, Job, Reject, Source, Work
from slm.registry import Registry
from slm_data.columns import Column, choose_columns
from slm_data.guess import Guess, guess_task
from slm_data.records import with_places
from slm_data.rows import map_rows

ROWS, BATCHES = 200, 20
"""How much of a source is looked at."""
WIDTH = 100


@frozen(eq=False)
class Seen:
    """What was looked at: the choice of the loader, its first batches, and what it warned of."""

    choice: Choice
    batches: tuple[Batch, ...]
    warnings: tuple[str, ...]
    whole: bool

    @property
    def rows(self) -> Any:
        """The rows as one table: of batches that differ in their columns, the first with its like."""
        import pyarrow

        tables = [batch.rows for batch in self.batches if len(batch.rows)]
        alike = [table for table in tables if table.schema == tables[0].schema]
        return pyarrow.concat_tables(alike) if alike else pyarrow.table({})


def look(
    address: str, *, use: str | None = None, options: Mapping[str, Any] | None = None, registry: Registry | None = None
) -> Seen:
    """Read the beginning of a source with the loader that claims it, or the one named."""
    keys = LoadKeys(use=use, source=address)
    source = Source(expand_address(address), Path.cwd())
    chooser = Chooser(registry or Registry(), Job("preview", "completion", Base("scratch")), Hardware())
    choice = chooser.stage(Stage("load", "load", keys, options or {}), None if use else source)
    if choice is None or chooser.found:
        raise SlmError("; ".join(mistake.say for mistake in chooser.found))
    warnings: list[str] = []

    def emit(kind: str, data: Mapping[str, Any]) -> None:
        if kind == "warning":
            warnings.append(data["text"])

    found: list[Batch] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder) / "out", Path(folder) / "aside", Hardware(), root=Path.cwd(), emit=emit)
        work.folder.mkdir()
        work.checkpoints.mkdir()
        with closing(Caller().call(told_of(choice), source=source, work=work)) as batches:
            whole = not any(enough(found, batch) for batch in batches)
    return Seen(choice, tuple(found), tuple(warnings), whole)


def enough(found: list[Batch], batch: Batch) -> bool:
    """Put the batch to those found; whether they are enough to look at."""
    found.append(Batch(batch.rows.slice(0, ROWS), batch.address, batch.numbers[:ROWS], tuple(batch.rejected[:ROWS])))
    return sum(len(each.numbers) for each in found) >= ROWS or len(found) >= BATCHES


def describe(seen: Seen, address: str, task: str | None, columns: Mapping[str, str], count: int) -> Iterator[str]:
    """The lines of a preview."""
    yield f"loader: {seen.choice.name}, {seen.choice.why}"
    yield from (f"note: {text}" for text in seen.warnings)
    rows = seen.rows
    if not rows.column_names:
        yield from rejected_lines([each for batch in seen.batches for each in batch.rejected], seen)
        raise SlmError(f"{Source(address).shown}: no rows in what was looked at")
    yield from column_lines(rows)
    guess = Guess(task, "as you said", dict(columns)) if task else guess_task(rows)
    if guess is None:
        raise SlmError(f"{Source(address).shown}: no task fits these columns; say --task and --column field=column")
    also = f"; it could also be {' or '.join(guess.also)}" if guess.also else ""
    yield f"\ntask: {guess.task}, {guess.why}{also}"
    wanted = {**guess.columns, **columns}
    mapping = choose_columns(guess.task, wanted, rows.column_names, Source(address).shown)
    for name, column in mapping.items():
        why = "guessed from its values" if name in guess.columns and name not in columns else column.why
        yield f"    {name}: {mapped(column)}, {why}"
    yield from record_lines(seen, guess.task, mapping, count)
    yield f"\n{snippet(address, guess.task, seen.choice, wanted)}"


def mapped(column: Column) -> str:
    """A field's columns, as the user would name them."""
    if column.form:
        return repr(column.form)
    return " + ".join(column.columns) if column.joined else column.columns[0]


def column_lines(rows: Any) -> Iterator[str]:
    """Each column: its kind, how much of it is filled, and a value."""
    yield f"\ncolumns, in the first {len(rows):,} rows:"
    width = min(24, max(map(len, rows.column_names)))
    for field, column in zip(rows.schema, rows.columns, strict=True):
        values = [value for value in column.to_pylist() if value not in (None, "")]
        filled = "" if len(values) == len(rows) else f" ({len(values):,} filled)"
        yield f"    {field.name:{width}}  {kind_of(field)}{filled}  {shorten(values[0]) if values else ''}".rstrip()


def kind_of(field: Any) -> str:
    """What a column holds, in a word."""
    import pyarrow

    kind = field.type
    if pyarrow.types.is_null(kind):
        return "empty"
    if pyarrow.types.is_nested(kind) or (field.metadata or {}).get(b"slm") == b"json":
        return "nested"
    return "text" if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind) else str(kind)


def record_lines(seen: Seen, task: str, mapping: Mapping[str, Column], count: int) -> Iterator[str]:
    """The first records, then how many rows make none and why."""
    shown, rejects = 0, list[Reject]()
    for batch in seen.batches:
        rejects += batch.rejected
        if not len(batch.rows):
            continue
        rows = with_places(batch.rows, batch.address, mapping)
        table, bad = map_rows(rows, batch.numbers, batch.address, task, mapping)
        rejects += bad
        for record in table.slice(0, count - shown).to_pylist():
            shown += 1
            yield from ("", f"{record.pop('source')}")
            yield from told(record)
    if not shown:
        yield "\nno row makes a record:"
    yield from rejected_lines(rejects, seen)


def told(record: Mapping[str, Any]) -> Iterator[str]:
    """The fields of a record, a line each."""
    for name, value in record.items():
        if name == "messages":
            yield from (f"    {turn['role']}: {shorten(turn['content'])}" for turn in value)
        elif name != "id":
            yield f"    {name}: {shorten(value)}"


def rejected_lines(rejects: list[Reject], seen: Seen) -> Iterator[str]:
    """How many rows can't be used, and the first of them."""
    if rejects:
        part = "" if seen.whole else " so far"
        yield f"\n{len(rejects):,} rows can't be used{part}:"
        yield from (f"    {reject.place}: {reject.why}" for reject in rejects[:5])


def shorten(value: Any) -> str:
    """The value in one line."""
    text = " ".join(value.split()) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def snippet(address: str, task: str, choice: Choice, columns: Mapping[str, str]) -> str:
    """The lines of a pipeline file that say the same."""
    lines = [f'task = "{task}"', "", "[[load]]", f"from = {json.dumps(Source(address).shown)}"]
    if choice.why == "named in the pipeline":
        lines.append(f'use = "{choice.name}"')
    lines += [f"{key} = {json.dumps(value)}" for key, value in choice.options.items()]
    if columns:
        pairs = ", ".join(f"{name} = {json.dumps(column)}" for name, column in columns.items())
        lines.append(f"columns = {{ {pairs} }}")
    return "\n".join(["in pipeline.toml:", *(f"    {line}".rstrip() for line in lines)])
