"""Texts made regular: broken letters mended, one form for each character, tidy white space, HTML out if asked."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

from slm.plugin import Bid, Hardware, Job, Processed, Rank, Work, hookimpl

from .contents.arrays import plain
from .contents.aside import put_aside, written
from .contents.content import changed, contents, differing, empty_rows, shorten, tables
from .mending.letters import mender
from .mending.markup import to_text

if TYPE_CHECKING:
    import datasets

SPACES = str.maketrans({"\u00a0": " ", "\u2007": " ", "\u202f": " ", "\r": "\n", "\u2028": "\n", "\u2029": "\n\n"})
LINE_END = re.compile(r"[ \t]+\n")
ODD_SPACE = re.compile("[\u00a0\u2007\u202f\r\u2028\u2029]")
GAPS = re.compile(r"\n{3,}")


@frozen
class Normalize:
    """Mends broken letters, brings characters into one form, tidies white space, and takes HTML out if asked to."""

    repair: bool = field(default=True, metadata={"help": "Whether letters broken by a wrong encoding are mended."})
    unicode: Literal["NFC", "NFKC", "keep"] = field(
        default="NFC", metadata={"help": "The Unicode form of characters; NFKC also makes look-alikes one."}
    )
    whitespace: Literal["tidy", "collapse", "keep"] = field(
        default="tidy",
        metadata={"help": "tidy: none at the ends of texts and lines; collapse: also no runs, and no line breaks."},
    )
    html: Literal["keep", "entities", "text"] = field(
        default="keep", metadata={"help": "entities: &amp; becomes &; text: tags go too, blocks become lines."}
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "runs where the pipeline names it")

    @hookimpl
    def preprocess(self, splits: Mapping[str, datasets.Dataset], job: Job, work: Work) -> Processed:
        clean = self.cleaner(mender())
        made, dropped, examples = {}, {}, list[str]()
        report = {"kept": 0, "changed": 0, "dropped": 0}
        total = sum(map(len, splits.values()))
        for name, split in splits.items():
            aside: list[tuple[int, str]] = []
            rows = self._rows(split, clean, report, aside, examples)
            made[name] = written(rows, split.features.arrow_schema, name, work)
            work.progress(sum(map(len, made.values())), total, "records")
            if aside:
                dropped[name] = put_aside(split, [n for n, _ in aside], [why for _, why in aside], name, work)
        return Processed(made, report, dropped, tuple(examples))

    def cleaner(self, mend: Callable[[str], str]) -> Callable[[str], str]:
        """What is done to a text: a function of one."""

        def clean(text: str) -> str:
            if self.html == "entities":
                text = html.unescape(text)
            elif self.html == "text":
                text = to_text(text)
            if self.repair and not (text.isascii() and text.replace("\n", "").replace("\t", "").isprintable()):
                text = mend(text)
            if self.unicode != "keep":
                text = unicodedata.normalize(self.unicode, text)
            return self._spaced(text)

        return clean

    def _clean(self, texts: Any) -> Any:
        """For each of an Arrow array of texts whether it is sure to stay as it is."""
        from pyarrow import compute

        found = plain(texts)
        if self.html != "keep":
            marked = compute.fill_null(compute.match_substring_regex(texts, "[&<]"), False)
            found &= ~marked.to_numpy(zero_copy_only=False)
        return found

    def _spaced(self, text: str) -> str:
        if self.whitespace == "keep":
            return text
        if ODD_SPACE.search(text):
            text = text.replace("\r\n", "\n").translate(SPACES)
        if self.whitespace == "collapse":
            return " ".join(text.split())
        if "\n" in text:
            text = GAPS.sub("\n\n", LINE_END.sub("\n", text))
        return text.strip()

    def _rows(
        self,
        split: datasets.Dataset,
        clean: Callable[[str], str],
        report: dict[str, int],
        aside: list[tuple[int, str]],
        examples: list[str],
    ) -> Iterator[Any]:
        at = 0
        for table in tables(split):
            new = changed(table, clean, self._clean)
            empty = empty_rows(new)
            aside += [(at + n, f"{why} after normalizing") for n, why in sorted(empty.items())]
            differ = [n for n in differing(table, new).tolist() if n not in empty]
            examples += [_example(table.slice(n, 1), new.slice(n, 1)) for n in differ[: 5 - len(examples)]]
            report["changed"] += len(differ)
            report["dropped"] += len(empty)
            report["kept"] += len(table) - len(differ) - len(empty)
            yield new.take([n for n in range(len(table)) if n not in empty]) if empty else new
            at += len(table)


def _example(before: Any, after: Any) -> str:
    (old,), (new,) = contents(before, "record", "none"), contents(after, "record", "none")
    return f"{before.column('source')[0].as_py()}: {' -> '.join(map(shorten, _difference(old, new)))}"


def _difference(before: str, after: str) -> tuple[str, str]:
    """The two texts around the first place where they differ."""
    at = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    start = max(0, at - 20)
    return before[start : at + 40], after[start : at + 40]
