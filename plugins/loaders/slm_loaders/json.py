"""JSON: a list of records, or whatever else holds some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from attrs import field, frozen

from slm.plugin import Batch, Bid, Hardware, Job, Rank, SlmError, Source, Work, hookimpl

from .nested.lines import read_json_lines
from .nested.outline import Choice, Entry, choose_records, entry_of, names_split, table_rows
from .nested.paths import EACH, Found, Step, Walk, called, parse_path, show_path, walk, with_key
from .nested.records import Maker
from .nested.scanner import Scanner
from .opening.decoding import read_utf8
from .opening.files import File, claims_of, file_state, find_files

KINDS = (".json",)
KEYS, ELEMENTS = 1_000, 20_000
"""So many objects by key, or in a list, are the records, whatever follows them."""


def _path(instance: Any, attribute: Any, value: str) -> None:
    parse_path(value)


@frozen
class Json:
    """Reads JSON: lists of records, records by key, tables by columns, SQuAD and others; or what a path leads to."""

    claims: ClassVar[tuple[str, ...]] = claims_of(*KINDS)

    records: str = field(
        default="",
        validator=_path,
        metadata={"help": "Where the records are, such as data[].paragraphs[].qas[] or *[]; found if empty."},
    )
    names: tuple[str, ...] = field(default=(), metadata={"help": "Names for the values of records that are lists."})
    no_answer: str = field(
        default="", metadata={"help": "The answer of questions that have none (SQuAD 2); if empty, they have none."}
    )
    encoding: str = field(default="", metadata={"help": "The file's encoding, such as utf-16; found if empty."})
    private: bool = field(default=False, metadata={"help": "Whether an address in a private network may be fetched."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "reads JSON")

    def state(self, source: Source) -> str | None:
        return file_state(source, private=self.private)

    @hookimpl
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        for file in find_files(source, work, kinds=KINDS, private=self.private):
            lines = "" if self.records else _lines_of(file, self.encoding, work)
            if lines:
                work.warn(f"{file.address}: {lines}")
                yield from read_json_lines(file, self.encoding, work, self.no_answer)
            else:
                yield from read_json(file, work, self.records, self.names, self.no_answer, self.encoding)


def read_json(
    file: File, work: Work, records: str = "", names: Sequence[str] = (), no_answer: str = "", encoding: str = ""
) -> Iterator[Batch]:
    """The records of a JSON file, batch by batch; the file is gone through twice where they must be looked for."""
    steps = parse_path(records)
    choice = Choice(steps) if steps else _looked_for(_scanner(file, encoding, _silent), file.address)
    if choice.note:
        work.warn(f"{file.address}: {choice.note}")
    maker = Maker(file.address, work.warn, tuple(names), no_answer)
    scanner = _scanner(file, encoding, work.warn)
    for found in _values(scanner, choice, maker):
        maker.add(found, scanner)
        if maker.full:
            yield maker.batch()
    if maker.some:
        yield maker.batch()
    if scanner.passed and not records:
        work.warn(f"{file.address}: other lists in it are left out: {', '.join(scanner.passed[:12])}")
    if not maker.number:
        place = "" if choice.steps in ((), (EACH,)) else f" in {show_path(choice.steps)}"
        raise SlmError(f"{file.address}: no records{place}")


def _silent(text: str) -> None:
    """The first reading says nothing: the second one will."""


def _scanner(file: File, encoding: str, warn: Any) -> Scanner:
    pieces = read_utf8(file, encoding, warn, lines=False)
    return Scanner((piece.decode("utf-8", "surrogateescape") for piece in pieces), file.address)


def _lines_of(file: File, encoding: str, work: Work) -> str:
    """What to say of a file that holds an object a line; empty for one that does not."""
    import json

    block = next(read_utf8(file, encoding, _silent, lines=False), b"").lstrip()
    first, _, rest = block.partition(b"\n")
    try:
        sound = first.startswith(b"{") and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return ""
    return "holds JSON Lines, an object a line, and is read so" if sound and rest.lstrip()[:1] == b"{" else ""


def _looked_for(scanner: Scanner, address: str) -> Choice:
    """Where the records are, found by going through the whole file once unless it is a list."""
    kind = scanner.peek()
    if not kind:
        raise SlmError(f"{address}: empty file")
    if kind == "[":
        return Choice((EACH,))
    if kind != "{":
        value = scanner.value()
        scanner.end()
        raise SlmError(f"{address}: holds {called(value)}, no records")
    entries, total, whole = _entries(scanner)
    if not whole:
        return choose_records(entries, total, address)
    if scanner.peek() == "{":
        return Choice((), "holds one JSON object after another, each read as a record")
    scanner.end()
    if not total:
        raise SlmError(f"{address}: no records")
    return choose_records(entries, total, address)


def _entries(scanner: Scanner) -> tuple[dict[str, Entry], int, bool]:
    """The object's entries, how many there are, and whether it was gone through: of a large one its beginning tells."""
    entries: dict[str, Entry] = {}
    total = 0
    for total, name in enumerate(scanner.members(), start=1):
        if total > KEYS:
            scanner.skip()
            continue
        if name in entries:
            raise scanner.fault(f"the key '{name}' stands twice", what="")
        if scanner.peek() != "[":
            entries[name] = entry_of(scanner.value())
            if total == KEYS and len(kinds := {entry.kind for entry in entries.values()}) == 1 and kinds != {"list"}:
                return entries, total, False
            continue
        entries[name] = Entry("list")
        for n in scanner.elements():
            entries[name].add(scanner.value())
            if n >= ELEMENTS and entries[name].kinds == {"object"} and not names_split(name):
                return entries, total, False
    return entries, total, True


def _values(scanner: Scanner, choice: Choice, maker: Maker) -> Iterator[Found]:
    """All values at the end of the path, read as the file is."""
    if choice.table:
        (found,) = _inner(scanner, choice.steps, {})
        scanner.end()
        if found.why:
            raise SlmError(f"{scanner.address}: {found.why}")
        rows, maker.names = table_rows(choice.table, found.value)
        yield from (Found(row, {}, doubt=found.doubt) for row in rows)
        return
    found_values = _streamed(scanner, choice.steps, {})
    if choice.steps == (EACH,) and not maker.names:
        found_values = maker.headed(found_values)
    yield from found_values
    while not choice.steps and scanner.peek() == "{":
        yield from _inner(scanner, (), {})
    scanner.end()


def _streamed(scanner: Scanner, steps: Sequence[Step], around: Mapping[str, Any]) -> Iterator[Found]:
    """What `walk` gives, without ever holding more than an element of the outermost list or object on the path."""
    kind = scanner.peek()
    wanted = {"key": "{", "any": "{", "each": "["}[steps[0].kind] if steps else kind
    if kind != wanted:
        value = scanner.value()
        what = "an object" if wanted == "{" else "a list"
        yield Found(value, around, f"{called(value)} where the path has {what}")
    elif not steps:
        yield from _inner(scanner, (), around)
    elif steps[0].kind == "each":
        for _ in scanner.elements():
            yield from _inner(scanner, steps[1:], around)
    elif steps[0].kind == "any":
        seen: set[int] = set()
        for name in scanner.members():
            twice = f"the key '{name}' stands twice" if hash(name) in seen else ""
            seen.add(hash(name))
            if twice:
                yield Found(scanner.value(), with_key(around, name), twice)
            else:
                yield from _inner(scanner, steps[1:], with_key(around, name))
    else:
        yield from _of_key(scanner, steps, around)


def _inner(scanner: Scanner, steps: Sequence[Step], around: Mapping[str, Any]) -> Iterator[Found]:
    if steps and steps[0].kind != "key":
        yield from _streamed(scanner, steps, around)
    else:
        value = scanner.value()
        if scanner.faults:
            yield Found(value, around, scanner.faults[0])
        else:
            yield from walk(value, steps, Walk(around, inside=True, doubt=scanner.doubt))


def _of_key(scanner: Scanner, steps: Sequence[Step], around: Mapping[str, Any]) -> Iterator[Found]:
    names = []
    for name in scanner.members():
        names.append(name)
        if name != steps[0].name:
            scanner.passed += [name] if scanner.peek() == "[" else []
            scanner.skip()
        elif names.count(name) > 1:
            raise scanner.fault(f"the key '{name}' stands twice", what="")
        else:
            last = len(steps) == 1 and scanner.peek() == "["
            yield from _streamed(scanner, (EACH,) if last else steps[1:], around)
    if steps[0].name not in names:
        shown = ", ".join(names[:12]) or "nothing"
        raise SlmError(f"{scanner.address}: records: no '{steps[0].name}' in it; it has {shown}")
