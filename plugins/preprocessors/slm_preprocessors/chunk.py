"""Long texts cut into chunks of some tokens, at headings and between sentences where that can be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import field, frozen
from attrs.validators import ge

from slm.plugin import Bid, Hardware, Job, Processed, Rank, Work, hookimpl
from slm_data.ids import content_ids

from .contents.aside import written
from .contents.content import shorten, tables
from .contents.texts import replaced
from .pieces.cutting import cut
from .pieces.measure import Measure, measure_of

if TYPE_CHECKING:
    import datasets

BATCH = 100
ENDS = 2
"""Tokens that training puts around a text."""


@frozen
class Chunk:
    """Cuts the long texts of a completion task into chunks: at headings, else between sentences, else between words."""

    size: int = field(default=512, validator=ge(16), metadata={"help": "The most tokens of a chunk."})
    overlap: int = field(
        default=0,
        validator=ge(0),
        metadata={"help": "How many tokens of a chunk's end the next one begins with, at most."},
    )
    headings: bool = field(
        default=False, metadata={"help": "Whether each chunk begins with the markdown headings that it stands under."}
    )

    def __attrs_post_init__(self) -> None:
        if self.overlap > self.size // 2:
            raise ValueError(f"overlap: {self.overlap} is more than half of size ({self.size})")

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "runs where the pipeline names it")

    @hookimpl
    def preprocess(self, splits: Mapping[str, datasets.Dataset], job: Job, work: Work) -> Processed:
        total, done = sum(map(len, splits.values())), 0
        if job.task != "completion":
            work.warn(f"chunk: only texts of a completion task are cut; the {job.task} records stay as they are")
            return Processed(splits, {"kept": total, "changed": 0})
        measure, size = measure_of(job.base), self.fitting(job, work)
        report, examples, made = {"kept": 0, "changed": 0, "chunks": 0}, list[str](), {}
        for name, split in splits.items():
            rows = self._rows(split, size, measure, report, examples)
            made[name] = written(rows, split.features.arrow_schema, name, work)
            done += len(split)
            work.progress(done, total, "records")
        examples.append(f"sizes are in {measure.name}: {size} at most")
        return Processed(made, report, {}, tuple(examples))

    def fitting(self, job: Job, work: Work) -> int:
        """The size, or less where the base's context is shorter."""
        if not job.base.context or self.size <= job.base.context - ENDS:
            return self.size
        size = max(16, job.base.context - ENDS)
        work.warn(f"chunk: chunks have {size} tokens, not {self.size}: the base's context is {job.base.context}")
        return size

    def _rows(
        self, split: datasets.Dataset, size: int, measure: Measure, report: dict[str, int], examples: list[str]
    ) -> Iterator[Any]:
        for whole in tables(split):
            for at in range(0, len(whole), BATCH):
                table = whole.slice(at, BATCH)
                parts = self.parts([text or "" for text in table.column("text").to_pylist()], size, measure)
                for n, chunks in enumerate(parts):
                    many = len(chunks) > 1
                    report["changed" if many else "kept"] += 1
                    report["chunks"] += len(chunks) if many else 0
                    if many and len(examples) < 5:
                        place, last = table.column("source")[n].as_py(), shorten(chunks[-1])
                        examples.append(f"{place}: {len(chunks)} chunks, {shorten(chunks[0])} ... {last}")
                yield _chunked(table, parts)

    def parts(self, texts: Sequence[str], size: int, measure: Measure) -> list[list[str]]:
        """Each text's chunks; a text that fits is its own only one."""
        long = [n for n, text in enumerate(texts) if len(text) * 4 > size]
        spans = dict(zip(long, measure.spans([texts[n] for n in long]), strict=True))
        overlap = min(self.overlap, size // 2)
        return [
            cut(text, spans[n], size, overlap, measure.counts, self.headings) or [text]
            if n in spans and len(spans[n]) > size
            else [text]
            for n, text in enumerate(texts)
        ]


def _chunked(table: Any, parts: Sequence[Sequence[str]]) -> Any:
    """The table with a row for each chunk; those of texts that were cut get ids and sources of their own."""
    import pyarrow

    if all(len(chunks) == 1 for chunks in parts):
        return table
    rows = [n for n, chunks in enumerate(parts) for _ in chunks]
    numbers = [k if len(chunks) > 1 else 0 for chunks in parts for k in range(1, len(chunks) + 1)]
    new = table.take(pyarrow.array(rows))
    new = replaced(new, "text", pyarrow.array([text for chunks in parts for text in chunks]))
    made = content_ids(new).to_pylist()
    for name, values in (("id", made), ("source", None)):
        old = new.column(name).to_pylist()
        named = values or [f"{place}#{number}" for place, number in zip(old, numbers, strict=True)]
        kept = [new_value if number else value for value, new_value, number in zip(old, named, numbers, strict=True)]
        new = replaced(new, name, pyarrow.array(kept))
    return new
