"""Texts made regular: broken letters mended, one form for each character, tidy white space, HTML out if asked."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

from slm.plugin import Bid, Hardware, Job, Processed, Rank, Work, hookimpl

from .aside import put_aside, written
from .content import changed, contents, empty_rows, shorten, tables
from .markup import to_text

if TYPE_CHECKING:
    import datasets

SPACES = str.maketrans({"\u00a0": " ", "\u2007": " ", "\u202f": " ", "\r": "\n", "\u2028": "\n", "\u2029": "\n\n"})
LINE_END = re.compile(r"[ \t]+\n")
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
        import ftfy

        config = ftfy.TextFixerConfig(
            unescape_html=False, uncurl_quotes=False, fix_latin_ligatures=False, normalization=None
        )
        clean = self.cleaner(lambda text: ftfy.fix_text(text, config))
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
            plain = self.html == "keep" or not ("&" in text or "<" in text)
            if plain and text.isascii() and text.isprintable() and "  " not in text:
                return text.strip() if self.whitespace != "keep" else text
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

    def _spaced(self, text: str) -> str:
        if self.whitespace == "keep":
            return text
        text = text.replace("\r\n", "\n").translate(SPACES)
        if self.whitespace == "collapse":
            return " ".join(text.split())
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
            new = changed(table, clean)
            empty = empty_rows(new)
            aside += [(at + n, f"{why} after normalizing") for n, why in sorted(empty.items())]
            before, after = contents(table, "record", "none"), contents(new, "record", "none")
            differ = [n for n in range(len(table)) if n not in empty and before[n] != after[n]]
            for n in differ[: 5 - len(examples)]:
                place = table.column("source")[n].as_py()
                examples.append(f"{place}: {' -> '.join(map(shorten, _difference(before[n], after[n])))}")
            report["changed"] += len(differ)
            report["dropped"] += len(empty)
            report["kept"] += len(table) - len(differ) - len(empty)
            yield new.take([n for n in range(len(table)) if n not in empty]) if empty else new
            at += len(table)


def _difference(before: str, after: str) -> tuple[str, str]:
    """The two texts around the first place where they differ."""
    at = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    start = max(0, at - 20)
    return before[start : at + 40], after[start : at + 40]
