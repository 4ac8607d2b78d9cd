"""What is known here of a project: its entries, answers and guesses, in an SQLite file that a kill can't harm."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from attrs import field, frozen

from slm.errors import SlmError
from slm_annotation.matching import Place
from slm_annotation.records import digest
from slm_annotation.values import Answer, Counts, Entry, Guess

VERSION = 1
TABLES = """
create table facts (name text primary key, value text) without rowid;
create table entries (number integer primary key, key text, digest text, source text, fields text, updated text,
                      pushed text, since text);
create index entries_key on entries (key);
create index entries_digest on entries (digest);
create table answers (id integer primary key, number integer, annotator text, created text, updated text, seconds real,
                      skipped integer, said text, fault text);
create index answers_number on answers (number);
create table moved (number integer primary key, source text);
create table guesses (key text, model text, score real, said text, primary key (key, model)) without rowid;
"""


@frozen
class Changes:
    """What reading a project brought: entries that came, were edited or went; answers that came, changed or went."""

    came: int = 0
    edited: int = 0
    went: int = 0
    created: int = 0
    corrected: int = 0
    skipped: int = 0
    deleted: int = 0

    def __add__(self, other: Changes) -> Changes:
        mine, theirs = attrs.astuple(self), attrs.astuple(other)
        return Changes(*(a + b for a, b in zip(mine, theirs, strict=True)))


@frozen(eq=False)
class Mirror:
    """A project's state in one file; each method is one transaction. `pushed` tells an entry's fields as they were
    sent or first seen: others than the present ones were edited there."""

    path: Path
    base: sqlite3.Connection = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        base = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        object.__setattr__(self, "base", base)
        try:
            base.execute("pragma journal_mode = wal")
            base.execute("pragma synchronous = normal")
            with self.transaction():
                (version,) = base.execute("pragma user_version").fetchone()
                if version not in (0, VERSION):
                    raise SlmError(f"{self.path}: was written by another version of slm; delete it, nothing is lost")
                if version == 0:
                    for statement in filter(str.strip, TABLES.split(";")):
                        base.execute(statement)
                    base.execute(f"pragma user_version = {VERSION}")
        except sqlite3.DatabaseError as error:
            raise SlmError(f"{self.path}: is broken ({error}); delete it, and everything is read again") from None

    def close(self) -> None:
        self.base.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done within is kept, or nothing."""
        self.base.execute("begin immediate")
        try:
            yield
        except BaseException:
            self.base.execute("rollback")
            raise
        self.base.execute("commit")

    def fact(self, name: str) -> Any:
        """A fact that was noted; None for none."""
        found = self.base.execute("select value from facts where name = ?", [name]).fetchone()
        return json.loads(found[0]) if found else None

    def note(self, **facts: Any) -> None:
        """Note facts; None forgets one."""
        rows = [(name, json.dumps(value)) for name, value in facts.items()]
        with self.transaction():
            self.base.executemany("insert or replace into facts values (?, ?)", rows)

    def counts(self) -> Counts:
        """How many entries and answers are known."""
        (entries,) = self.base.execute("select count(*) from entries").fetchone()
        (answers,) = self.base.execute("select count(*) from answers").fetchone()
        return Counts(entries, answers)

    def read(self, entries: Sequence[Entry]) -> Changes:
        """Take in entries as they stand in the project now."""
        changes = Changes()
        with self.transaction():
            for entry in entries:
                changes += self._read(entry)
        return changes

    def _read(self, entry: Entry) -> Changes:
        now = digest(entry.fields)
        asked = "select pushed, fields, digest from entries where number = ?"
        known = self.base.execute(asked, [entry.number]).fetchone()
        # Another digest is a push: by another mirror, or by a call of ours that ended before it could note it.
        ours = known is not None and known[2] == entry.digest
        row = (entry.number, entry.key, entry.digest, entry.source, coded(entry.fields), entry.updated)
        self.base.execute(
            "insert or replace into entries values (?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, known[0] if ours else now, entry.since),
        )
        old = dict(
            self.base.execute("select id, updated || said || skipped from answers where number = ?", [entry.number])
        )
        rows = [answer_row(entry.number, answer) for answer in entry.answers]
        self.base.execute("delete from answers where number = ?", [entry.number])
        self.base.executemany("insert or replace into answers values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        fresh = [answer for answer in entry.answers if answer.id not in old]
        changed = [row for row in rows if row[0] in old and old[row[0]] != f"{row[4]}{row[7]}{row[6]}"]
        return Changes(
            came=int(known is None),
            edited=int(ours and known[1] != row[4]),
            created=sum(not answer.skipped for answer in fresh),
            skipped=sum(answer.skipped for answer in fresh),
            corrected=len(changed),
            deleted=len(old.keys() - {answer.id for answer in entry.answers}),
        )

    def sent(self, entries: Iterable[Entry]) -> None:
        """Note entries that were just put there, or whose fields were: what stands there now is what was sent."""
        rows = [
            (e.number, e.key, e.digest, e.source, coded(e.fields), e.updated, digest(e.fields), e.since)
            for e in entries
        ]
        with self.transaction():
            self.base.executemany("insert or replace into entries values (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def numbers(self) -> set[int]:
        """The numbers of all known entries."""
        return {number for (number,) in self.base.execute("select number from entries")}

    def forget(self, numbers: Iterable[int]) -> Changes:
        """Entries that are no longer there, and their answers."""
        gone = [[number] for number in numbers]
        with self.transaction():
            lost = sum(self.base.execute("delete from answers where number = ?", number).rowcount for number in gone)
            self.base.executemany("delete from entries where number = ?", gone)
        return Changes(went=len(gone), deleted=lost)

    def clear(self) -> None:
        """Forget everything: the project is another one."""
        with self.transaction():
            for table in ("facts", "entries", "answers", "guesses", "moved"):
                self.base.execute(f"delete from {table}")

    def places(self) -> Iterator[Place]:
        """All entries, as far as matching asks."""
        rows = self.base.execute(
            "select number, key, digest, coalesce(moved.source, entries.source), fields, pushed, updated "
            "from entries left join moved using (number) order by number"
        ).fetchall()
        counted = dict(
            self.base.execute(
                "select number, count(*) from answers join entries using (number) "
                "where not skipped and answers.updated >= since group by number"
            )
        )
        for number, key, said, source, fields, pushed, updated in rows:
            edited = digest(json.loads(fields)) != pushed
            yield Place(number, key, said, source, edited, counted.get(number, 0), updated)

    def last_answer(self, number: int) -> str:
        """The time of the newest answer to an entry; empty for none."""
        (found,) = self.base.execute(
            "select coalesce(max(updated), '') from answers where number = ?", [number]
        ).fetchone()
        return str(found)

    def moved(self, sources: Mapping[int, str]) -> None:
        """Note where the records of entries stand now: what is edited next is known by its place."""
        with self.transaction():
            self.base.executemany("insert or replace into moved values (?, ?)", sources.items())

    def answered(self) -> set[int]:
        """The numbers of entries that have an answer, be it old or skipped."""
        return {number for (number,) in self.base.execute("select distinct number from answers")}

    def waiting(self, keys: Set[str]) -> list[Place]:
        """The entries with one of these keys that nobody edited or answered."""
        return [place for place in self.places() if place.key in keys and not place.touched] if keys else []

    def entry(self, number: int) -> Entry:
        """One entry, without its answers."""
        row = self.base.execute("select * from entries where number = ?", [number]).fetchone()
        return Entry(row[0], row[1], row[2], row[3], json.loads(row[4]), row[5], since=row[7])

    def figures(self, since: str) -> tuple[int, int, int, str]:
        """How many entries and answers are known, how many entries changed since, or were sent and not read, and the
        newest change of those."""
        asked = "select count(*), coalesce(max(updated), '') from entries where updated >= ? or updated = ''"
        changed, newest = self.base.execute(asked, [since]).fetchone()
        counts = self.counts()
        return counts.entries, counts.answers, changed, newest

    def dated(self, moment: str) -> None:
        """Give entries that were sent and not read since the time at which sending began."""
        with self.transaction():
            self.base.execute("update entries set updated = ? where updated = ''", [moment])

    def entries(self) -> Iterator[Entry]:
        """All entries with their answers, by number."""
        answers = self.base.execute("select * from answers order by number, id")
        waiting = answers.fetchone()
        for row in self.base.execute("select * from entries order by number"):
            found = []
            while waiting and waiting[1] <= row[0]:
                found += [to_answer(waiting)] if waiting[1] == row[0] else []
                waiting = answers.fetchone()
            yield Entry(row[0], row[1], row[2], row[3], json.loads(row[4]), row[5], tuple(found), row[7])

    def guessed(self, guesses: Mapping[str, Guess]) -> None:
        """Keep what a model guessed of items, by key, in the place of what was guessed before."""
        rows = [(key, guess.model, guess.score, coded(guess.values)) for key, guess in guesses.items()]
        with self.transaction():
            self.base.executemany("delete from guesses where key = ?", [[key] for key in guesses])
            self.base.executemany("insert or replace into guesses values (?, ?, ?, ?)", rows)

    def guesses(self) -> dict[str, Guess]:
        """The last guess of each item."""
        rows = self.base.execute("select key, model, score, said from guesses")
        return {key: Guess(json.loads(said), score, model) for key, model, score, said in rows}


def coded(values: Mapping[str, Any]) -> str:
    """Values as JSON."""
    return json.dumps(values, ensure_ascii=False, sort_keys=True)


def answer_row(number: int, answer: Answer) -> tuple[Any, ...]:
    """An answer as it is kept."""
    times = (answer.created, answer.updated, answer.seconds, int(answer.skipped))
    return (answer.id, number, answer.annotator, *times, coded(answer.values), answer.fault)


def to_answer(row: Sequence[Any]) -> Answer:
    """An answer from its row."""
    id_, _, annotator, created, updated, seconds, skipped, said, fault = row
    return Answer(id_, annotator, created, updated, seconds, bool(skipped), json.loads(said), fault)
