"""From a loader's rows to records on disk: columns mapped, ids given, rows that can't be used set aside."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import attrs
from attrs import field, frozen

from slm.errors import SlmError
from slm.plugin import Batch, Reject
from slm_data.ahead import read_ahead
from slm_data.columns import Column, choose_columns, is_place, listed, place_value
from slm_data.dataset import write_tables
from slm_data.rows import map_rows, schema_of

ROWS = 50_000


@frozen
class Loaded:
    """What was loaded: rows kept and set aside, which columns filled which field and why, and all columns found."""

    rows: int
    rejected: int
    mapping: Mapping[str, Column]
    columns: tuple[str, ...]


@attrs.define
class _Tally:
    """What was seen so far."""

    rows: int = 0
    rejected: int = 0
    first: list[Reject] = field(factory=list)
    mapping: dict[str, Column] = field(factory=dict)
    columns: dict[str, None] = field(factory=dict)


def write_records(
    batches: Iterable[Batch],
    *,
    task: str,
    columns: Mapping[str, str | Sequence[str]],
    split: str,
    folder: Path,
    address: str,
    keep: Sequence[str] = (),
    awaited: Collection[str] = (),
    max_bad_rows: int | float = 0.1,
    progress: Callable[[float, float, str], None] | None = None,
) -> Loaded:
    """Map rows to the task's records and write them as `<split>.arrow`; rows that can't be used into `rejected.jsonl`.

    The columns to `keep` stand beside a record's own fields, as text; fields that are `awaited` may be lacking. Raises
    SlmError where a column is missing, no row is left, or more rows are bad than `max_bad_rows`: a share of all rows if
    it is a float up to 1.0, else a count.
    """
    tally, schema = _Tally(), schema_of(task, keep)
    if taken := set(keep) & set(schema_of(task).names):
        raise SlmError(f"{address}: keep: {listed(sorted(taken))}: a {task} record has a field of that name already")
    with ExitStack() as stack:
        ahead = stack.enter_context(read_ahead(batches))
        wanted = _Wanted(task, columns, keep, address, awaited)
        aside = _Aside(folder / "rejected.jsonl", stack.enter_context(ExitStack()))  # closed when the mapping has ended
        tables = _mapped(ahead, wanted, tally, aside, progress)
        write_tables(stack.enter_context(read_ahead(tables)), schema, folder / f"{split}.arrow")
    if lost := [name for name in keep if name not in tally.columns]:
        raise SlmError(f"{address}: keep: no column {lost[0]!r} (found: {listed(list(tally.columns))})")
    _refuse_bad(tally, address, max_bad_rows)
    if not tally.rows:
        raise SlmError(f"{address}: no rows")
    return Loaded(tally.rows, tally.rejected, tally.mapping, tuple(tally.columns))


@frozen
class _Aside:
    """The file of rejected rows, made when the first is."""

    path: Path
    stack: ExitStack
    opened: list[IO[str]] = field(factory=list)

    def put(self, rejects: Iterable[Reject]) -> None:
        for reject in rejects:
            if not self.opened:
                self.opened.append(self.stack.enter_context(self.path.open("w", encoding="utf-8")))
            self.opened[0].write(json.dumps(attrs.asdict(reject), ensure_ascii=False) + "\n")


@frozen
class _Wanted:
    """What is asked of the rows."""

    task: str
    columns: Mapping[str, str | Sequence[str]]
    keep: Sequence[str]
    address: str
    awaited: Collection[str] = ()


def _mapped(
    batches: Iterable[Batch],
    wanted: _Wanted,
    tally: _Tally,
    aside: _Aside,
    progress: Callable[[float, float, str], None] | None,
) -> Iterator[Any]:
    for batch in batches:
        _note(batch.rejected, tally, aside)
        if len(batch.rows):
            tally.columns.update(dict.fromkeys(batch.rows.column_names))
            mapping = _mapping(wanted, batch.rows.column_names, tally)
            rows = with_places(batch.rows, batch.address, mapping)
            for at in range(0, len(rows), ROWS):
                numbers = batch.numbers[at : at + ROWS]
                table, rejects = map_rows(
                    rows.slice(at, ROWS), numbers, batch.address, wanted.task, mapping, wanted.keep, wanted.awaited
                )
                _note(rejects, tally, aside)
                tally.rows += len(table)
                yield table
        if progress is not None:
            progress(tally.rows, 0, "rows")


def with_places(table: Any, address: str, mapping: Mapping[str, Column]) -> Any:
    """The table with a column for each thing of its source (`file`, `folder`) that the mapping names."""
    import pyarrow

    names = dict.fromkeys(name for column in mapping.values() if column.form for name in column.columns)
    for name in names:
        if is_place(name) and name not in table.column_names:
            value = pyarrow.scalar(place_value(name, address), pyarrow.string())
            table = table.append_column(name, pyarrow.repeat(value, len(table)))
    return table


def _mapping(wanted: _Wanted, found: Sequence[str], tally: _Tally) -> dict[str, Column]:
    """The mapping for these columns. What an earlier batch's columns allowed may be lacking in a later one's: then its
    rows are set aside, one by one, instead of an error."""
    try:
        mapping = choose_columns(wanted.task, wanted.columns, found, wanted.address, wanted.awaited)
    except SlmError:
        if not tally.mapping:
            raise
        return tally.mapping
    for name, column in mapping.items():
        known = tally.mapping.get(name)
        names = dict.fromkeys([*(known.columns if known else ()), *column.columns])
        tally.mapping[name] = attrs.evolve(known or column, columns=tuple(names))
    return mapping


def _note(rejects: Sequence[Reject], tally: _Tally, aside: _Aside) -> None:
    aside.put(rejects)
    tally.rejected += len(rejects)
    tally.first += rejects[: 3 - len(tally.first)]


def _refuse_bad(tally: _Tally, address: str, limit: int | float) -> None:
    total = tally.rows + tally.rejected
    share = isinstance(limit, float) and limit <= 1
    if tally.rejected <= (limit * total if share else limit):
        return
    shown = "; ".join(f"{reject.place}: {reject.why}" for reject in tally.first)
    allowed = f"{limit:.0%} of them" if share else f"{limit:g}"
    raise SlmError(
        f"{address}: {tally.rejected:,} of {total:,} rows can't be used ({shown}); mend them, "
        f"or raise max_bad_rows (now {allowed})"
    )
