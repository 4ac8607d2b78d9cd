"""Records that are not worth training on: too short or long, in another language, repeating themselves, or empty."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen
from attrs.validators import and_, ge, gt, le, optional

from slm.plugin import Bid, Hardware, Job, Processed, Rank, SlmError, Work, hookimpl

from .contents.aside import put_aside
from .contents.content import tables
from .contents.texts import row_texts
from .pieces.measure import Measure, measure_of
from .quality.balance import unbalanced
from .quality.degenerate import echoes, refuses, says_nothing
from .quality.languages import known_languages, languages_of
from .quality.repetition import Strictness, repeats

if TYPE_CHECKING:
    import datasets

Row = Sequence[str]
Test = Callable[[Row], str]
"""Says of a record's texts why it must go; empty if it may stay."""

BATCH = 1000


def _regex(instance: object, attribute: attrs.Attribute[Any], value: str) -> None:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from None


def _limit(text: str) -> Any:
    return field(default=None, validator=optional(ge(0)), metadata={"help": text})


@frozen
class Filter:
    """Drops records that are empty, degenerate or repeat themselves; and those too short, too long, in another language
    or of too common a label, if asked to."""

    min_tokens: int | None = _limit("The fewest tokens of a record, by the base's tokenizer.")
    max_tokens: int | None = _limit("The most tokens of a record, by the base's tokenizer.")
    min_words: int | None = _limit("The fewest words of a record, as spaces part them.")
    max_words: int | None = _limit("The most words of a record.")
    min_characters: int | None = _limit("The fewest characters of a record.")
    max_characters: int | None = _limit("The most characters of a record.")
    languages: tuple[str, ...] = field(
        default=(), metadata={"help": "The languages that stay (en, de); texts too short to tell stay too."}
    )
    language_certainty: float = field(
        default=0.5,
        validator=and_(gt(0), le(1)),
        metadata={"help": "The least probability of those languages together."},
    )
    repetition: Strictness = field(
        default="extreme",
        metadata={"help": "Texts that repeat themselves go: the extreme ones, all by the Gopher limits, or none."},
    )
    empty: bool = field(
        default=True, metadata={"help": "Whether empty, meaningless (N/A, ...) and echoing answers go."}
    )
    refusals: bool = field(default=False, metadata={"help": "Whether answers go that begin by refusing to answer."})
    match: str = field(
        default="", validator=_regex, metadata={"help": "A regular expression that a text of the record must hold."}
    )
    without: str = field(
        default="", validator=_regex, metadata={"help": "A regular expression that no text of the record may hold."}
    )
    max_symbols: float = field(
        default=1.0,
        validator=and_(ge(0), le(1)),
        metadata={"help": "The largest share of signs among the characters that are no spaces."},
    )
    min_per_label: int = field(
        default=0, validator=ge(0), metadata={"help": "Labels with fewer training records go altogether."}
    )
    max_per_label: int | None = field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "The most training records of one label; which stay is drawn by the seed."},
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "runs where the pipeline names it")

    @hookimpl
    def preprocess(self, splits: Mapping[str, datasets.Dataset], job: Job, work: Work) -> Processed:
        self._refuse(splits)
        found = Counter[str]()
        tests, measure = self.tests(job.task, found), measure_of(job.base)
        total, done = sum(map(len, splits.values())), 0
        whys: dict[str, dict[int, tuple[str, str]]] = {}
        for name, split in splits.items():
            whys[name] = dict(self._reasons(split, tests, measure))
            done += len(split)
            work.progress(done, total, "records")
        if self.min_per_label or self.max_per_label:
            gone = {name: set(each) for name, each in whys.items()}
            for name, more in unbalanced(splits, gone, self.min_per_label, self.max_per_label, work.seed).items():
                whys[name].update(more)
        return _parted(splits, whys, found, work)

    def _refuse(self, splits: Mapping[str, datasets.Dataset]) -> None:
        """Raise SlmError for languages that are not known, and for label limits where there are no labels."""
        known = known_languages() if self.languages else ()
        for code in self.languages:
            if code not in known:
                near = get_close_matches(code, known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise SlmError(
                    f"filter.languages: {code!r} is not known{hint} (two letters, such as {', '.join(known[:9])})"
                )
        if (self.min_per_label or self.max_per_label) and any("label" not in s.column_names for s in splits.values()):
            raise SlmError("filter: the records have no label; leave out min_per_label and max_per_label")

    def tests(self, task: str, found: Counter[str]) -> dict[str, Test]:
        """The tests that these options ask for, by what they find; languages are counted in `found`."""
        tests: dict[str, Test] = {}
        if self.empty:
            tests["empty"] = lambda row: _says_nothing(row, task)
        if self.refusals and task not in ("completion", "classification"):
            tests["refusal"] = lambda row: "the answer refuses" if any(map(refuses, _answers(row, task))) else ""
        tests |= self._lengths()
        if self.match:
            must = re.compile(self.match)
            tests["match"] = lambda row: "" if any(map(must.search, row)) else f"does not match {self.match!r}"
        if self.without:
            never = re.compile(self.without)
            tests["without"] = lambda row: f"matches {self.without!r}" if any(map(never.search, row)) else ""
        if self.max_symbols < 1:
            tests["symbols"] = self._symbols
        if self.repetition != "off":
            tests["repetition"] = lambda row: next(filter(None, (repeats(text, self.repetition) for text in row)), "")
        if self.languages:
            tests["language"] = lambda row: self._foreign(row, found)
        return tests

    def _lengths(self) -> dict[str, Test]:
        limits = {
            "words": (self.min_words, self.max_words, lambda row: sum(len(text.split()) for text in row)),
            "characters": (self.min_characters, self.max_characters, lambda row: sum(map(len, row))),
        }
        return {
            unit: lambda row, low=low, high=high, count=count, unit=unit: _outside(count(row), low, high, unit)  # type: ignore[misc]
            for unit, (low, high, count) in limits.items()
            if low is not None or high is not None
        }

    def _symbols(self, row: Row) -> str:
        characters = [c for text in row for c in text if not c.isspace()]
        share = sum(not c.isalnum() for c in characters) / max(1, len(characters))
        return f"{share:.0%} of its characters are signs" if share > self.max_symbols else ""

    def _foreign(self, row: Row, found: Counter[str]) -> str:
        text = "\n".join(row)
        chances = languages_of(text)
        if chances is None:
            found["language: too short to tell"] += 1
            return ""
        likeliest = max(chances, key=chances.__getitem__)
        found[f"language: {likeliest}"] += 1
        wanted = sum(chances.get(code, 0.0) for code in self.languages)
        if likeliest in self.languages or wanted >= self.language_certainty:
            return ""
        return f"seems to be {likeliest} ({chances[likeliest]:.0%})"

    def _reasons(
        self, split: datasets.Dataset, tests: Mapping[str, Test], measure: Measure
    ) -> Iterator[tuple[int, tuple[str, str]]]:
        """The rows that go, each with the test's name and what it says."""
        at = 0
        by_tokens = self.min_tokens is not None or self.max_tokens is not None
        for table in tables(split):
            rows = row_texts(table)
            for n, row in enumerate(rows):
                for name, test in tests.items():
                    if why := test(row):
                        yield at + n, (name, why)
                        break
            for n, count in enumerate(_tokens(rows, measure) if by_tokens else ()):
                if why := _outside(count, self.min_tokens, self.max_tokens, measure.name):
                    yield at + n, ("tokens", why)
            at += len(rows)


def _tokens(rows: Sequence[Row], measure: Measure) -> Iterator[int]:
    """How many tokens the texts of each row have together."""
    for at in range(0, len(rows), BATCH):
        part = rows[at : at + BATCH]
        counts = iter(measure.counts([text for row in part for text in row]))
        for row in part:
            yield sum(next(counts) for _ in row)


def _outside(count: int, low: int | None, high: int | None, unit: str) -> str:
    if low is not None and count < low:
        return f"{count:,} {unit}, fewer than {low:,}"
    return f"{count:,} {unit}, more than {high:,}" if high is not None and count > high else ""


def _answers(row: Row, task: str) -> Row:
    """What a record teaches: its last turn; both answers of a preference; a completion's text."""
    return row[-2:] if task == "preference" else row[-1:]


def _says_nothing(row: Row, task: str) -> str:
    if task == "classification":
        return "" if row[-1].strip() else "the text is empty"
    for answer in _answers(row, task):
        if why := says_nothing(answer):
            return f"the {'text' if task == 'completion' else 'answer'} is {why}"
    asked = row[:-2] if task == "preference" else row[:-1]
    if asked and not any(text.strip() for text in asked):
        return "the question is empty"
    if asked and any(echoes(asked[-1], answer) for answer in _answers(row, task)):
        return "the answer repeats the question"
    return ""


def _parted(
    splits: Mapping[str, datasets.Dataset],
    whys: Mapping[str, Mapping[int, tuple[str, str]]],
    found: Mapping[str, int],
    work: Work,
) -> Processed:
    """The splits without the rows that go, and those put aside."""
    import numpy as np

    made, dropped, examples = {}, {}, list[str]()
    report = Counter({"kept": 0, "dropped": 0})
    shown = Counter[str]()
    for name, split in splits.items():
        rows = sorted(whys[name])
        report.update(kept=len(split) - len(rows), dropped=len(rows))
        report.update(whys[name][n][0] for n in rows)
        stays = np.ones(len(split), bool)
        stays[rows] = False
        made[name] = split.select(np.flatnonzero(stays)) if rows else split
        if rows:
            dropped[name] = put_aside(split, rows, [whys[name][n][1] for n in rows], name, work)
            for n in rows:
                reason, why = whys[name][n]
                shown[reason] += 1
                if shown[reason] <= 2:
                    examples.append(f"{split[n]['source']}: {why}")
    return Processed(made, {**report, **found}, dropped, tuple(examples))
