"""Personal data and secrets: found by form, checksum and the words beside them, then taken out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import attrs
from attrs import field, frozen

from slm.plugin import Bid, Hardware, Job, Processed, Rank, Work, hookimpl

from .contents.aside import put_aside, written
from .contents.content import tables
from .contents.texts import kept_columns, row_texts, with_texts
from .personal.accounts import cards, ibans
from .personal.national import national_ids
from .personal.patterns import Finder, Found, addresses, emails, hardware_addresses, urls, wallets, without_overlaps
from .personal.people import people
from .personal.phones import phones
from .personal.secrets import secrets
from .personal.standins import stand_in

if TYPE_CHECKING:
    import datasets

Kind = Literal["email", "phone", "card", "iban", "national_id", "ip", "mac", "url", "secret", "wallet"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DIGIT = re.compile(r"\d")
EXAMPLES = 10


def _readable(instance: object, attribute: attrs.Attribute[Any], value: Sequence[str]) -> None:
    for each in value:
        try:
            _pattern(each)
        except re.error as error:
            raise ValueError(f"{each!r} is not a regular expression: {error}") from None


def _pattern(allowed: str) -> re.Pattern[str]:
    """What an entry of `allow` means: /.../ is a regular expression, all else a text."""
    regex = len(allowed) > 2 and allowed.startswith("/") and allowed.endswith("/")
    return re.compile(allowed[1:-1] if regex else re.escape(allowed), re.IGNORECASE)


@frozen
class Pii:
    """Finds personal data and secrets, and puts a placeholder or a stand-in in their place, or drops the record."""

    action: Literal["redact", "pseudonymise", "drop", "report"] = field(
        default="redact",
        metadata={"help": "redact: [EMAIL]; pseudonymise: one made-up value for each; drop the record; or only count."},
    )
    kinds: tuple[Kind, ...] = field(default=KINDS, metadata={"help": "What is looked for."})
    allow: tuple[str, ...] = field(
        default=(),
        validator=_readable,
        metadata={"help": "What is never touched: whole values, or regular expressions as /.../."},
    )
    regions: tuple[str, ...] = field(
        default=(),
        metadata={"help": "Countries (US, DE) whose national phone numbers are known without a hint beside."},
    )
    salt: str = field(
        default="",
        repr=False,
        metadata={"secret": True, "help": "A secret that decides the stand-ins; the run's seed if empty."},
    )
    presidio: bool = field(default=False, metadata={"help": "Whether presidio looks for names and places too."})
    presidio_model: str = field(default="en_core_web_sm", metadata={"help": "The spaCy model that presidio uses."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "runs where the pipeline names it")

    @hookimpl
    def preprocess(self, splits: Mapping[str, datasets.Dataset], job: Job, work: Work) -> Processed:
        find, salt = self.finder(), self.salt or f"seed {work.seed}"
        seen = _Seen()
        made, dropped = {}, {}
        total = sum(map(len, splits.values()))
        for name, split in splits.items():
            if kept := kept_columns(split.column_names):
                work.warn(f"pii: the kept columns {', '.join(kept)} of {name} are not looked into")
            aside: list[tuple[int, str]] = []
            rows = self._rows(split, find, salt, seen, aside)
            made[name] = written(rows, split.features.arrow_schema, name, work)
            work.progress(sum(map(len, made.values())), total, "records")
            if aside:
                dropped[name] = put_aside(split, [n for n, _ in aside], [why for _, why in aside], name, work)
        report = {"kept": seen.kept, "changed": seen.changed, "dropped": seen.dropped, **seen.kinds}
        return Processed(made, report, dropped, tuple(seen.examples))

    def finder(self) -> Callable[[str], list[Found]]:
        """All that these options look for in a text, without overlaps and without what is allowed."""
        digits, others = self._finders()
        allowed = [_pattern(each) for each in self.allow]

        def find(text: str) -> list[Found]:
            found = [each for finder in others for each in finder(text)]
            if DIGIT.search(text):
                found += [each for finder in digits for each in finder(text)]
            if not found:
                return found
            clear = without_overlaps(found)
            return [f for f in clear if not any(each.fullmatch(text, f.start, f.end) for each in allowed)]

        return find

    def _finders(self) -> tuple[list[Finder], list[Finder]]:
        """Those that need a digit in the text, and the others."""
        digits: dict[str, Finder] = {
            "card": cards,
            "iban": ibans,
            "national_id": national_ids,
            "wallet": wallets,
            "phone": lambda text: phones(text, self.regions),
        }
        others: dict[str, Finder] = {
            "email": emails,
            "ip": addresses,
            "mac": hardware_addresses,
            "url": urls,
            "secret": secrets,
        }
        chosen = [[finder for kind, finder in each.items() if kind in self.kinds] for each in (digits, others)]
        return chosen[0], [*chosen[1], *([people(self.presidio_model)] if self.presidio else [])]

    def _rows(
        self,
        split: datasets.Dataset,
        find: Callable[[str], list[Found]],
        salt: str,
        seen: _Seen,
        aside: list[tuple[int, str]],
    ) -> Iterator[Any]:
        at = 0
        for table in tables(split):
            rows, places = row_texts(table), table.column("source")
            hits = {n: found for n, row in enumerate(rows) if any(found := [find(text) for text in row])}
            for n, found in hits.items():
                seen.note(places[n].as_py(), rows[n], found)
                rows[n] = [self._clean(text, each, salt) for text, each in zip(rows[n], found, strict=True)]
            if self.action == "drop":
                aside += [(at + n, _why(found)) for n, found in hits.items()]
                seen.dropped += len(hits)
                table = table.take([n for n in range(len(table)) if n not in hits]) if hits else table
            elif hits and self.action != "report":
                table = with_texts(table, rows)
                seen.changed += len(hits)
            seen.kept += len(rows) - (len(hits) if self.action != "report" else 0)
            at += len(rows)
            yield table

    def _clean(self, text: str, found: Sequence[Found], salt: str) -> str:
        parts, at = [], 0
        for each in found:
            value = text[each.start : each.end]
            made = stand_in(each.kind, value, salt) if self.action == "pseudonymise" else f"[{each.kind.upper()}]"
            parts += [text[at : each.start], made]
            at = each.end
        return "".join([*parts, text[at:]])


@attrs.define
class _Seen:
    """What was found so far."""

    kept: int = 0
    changed: int = 0
    dropped: int = 0
    kinds: Counter[str] = field(factory=Counter)
    examples: list[str] = field(factory=list)

    def note(self, place: str, texts: Sequence[str], found: Sequence[Sequence[Found]]) -> None:
        for text, each in zip(texts, found, strict=True):
            for one in each:
                self.kinds[one.kind] += 1
                if self.kinds[one.kind] <= 2:
                    self.examples.append(f"{place}: {one.kind} {masked(text[one.start : one.end])}")


def masked(value: str) -> str:
    """The shape of a value: x for each letter, 9 for each digit; cut where it is long."""
    shape = re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "9", value))
    return shape if len(shape) <= 40 else f"{shape[:36]}..."


def _why(found: Iterable[Sequence[Found]]) -> str:
    counts = Counter(one.kind for each in found for one in each)
    return "holds " + ", ".join(f"{kind} ({count})" for kind, count in counts.items())
