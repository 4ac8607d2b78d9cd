"""The texts of test sets, indexed by their runs of words, and which other texts have such a run."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from slm.plugin import SlmError

from .grams import Words, batches, hash_words, runs, split_words

SHORTEST = 8


@frozen(eq=False)
class Probes:
    """Texts to look for: runs of `size` words of the long ones, the short ones whole.

    hashes -- of all runs, rising; lengths -- in words; of -- the number of the text that each stands in first; starts
    -- the word of it that the run begins with; spread -- how many texts it stands in
    """

    texts: Sequence[str]
    places: Sequence[str]
    hashes: Any
    lengths: Any
    of: Any
    starts: Any
    spread: Any

    def run(self, number: int) -> list[str]:
        """The words of one run."""
        start = int(self.starts[number])
        return split_words(self.texts[int(self.of[number])])[start : start + int(self.lengths[number])]


def probes(records: Sequence[tuple[str, str, str]], size: int) -> Probes:
    """Index test records, each given as its place, all that it says, and what it asks.

    What is asked in fewer words than `size` is looked for as a whole.
    """
    import numpy as np

    def lengths_of(texts: Sequence[str]) -> list[int]:
        return [n for _, words in _hashed(texts) for n in np.diff(words.begins).tolist()]

    long = lengths_of([text for _, text, _ in records])
    short = lengths_of([asked for _, _, asked in records])
    chosen = [(place, text) for (place, text, _), n in zip(records, long, strict=True) if n >= size]
    chosen += [(place, asked) for (place, _, asked), n in zip(records, short, strict=True) if 0 < n < size]
    places, texts = [place for place, _ in chosen], [text for _, text in chosen]
    parts = [(np.zeros(0, np.uint64), *(np.zeros(0, int) for _ in range(3)))]
    for first, words in _hashed(texts):
        hashes, begins = runs(words, size)
        of = np.searchsorted(words.begins, begins, "right") - 1
        lengths = np.minimum(size, words.begins[of + 1] - begins)
        parts.append((hashes, lengths, of + first, begins - words.begins[of]))
    hashes, lengths, of, starts = (np.concatenate(part) for part in zip(*parts, strict=True))
    hashes, once, which = np.unique(hashes, return_index=True, return_inverse=True)
    pairs = np.unique(which * max(1, len(texts)) + of) // max(1, len(texts))
    spread = np.bincount(pairs, minlength=len(hashes))
    return Probes(texts, places, hashes, lengths[once], of[once], starts[once], spread)


def _hashed(texts: Sequence[str]) -> Iterator[tuple[int, Words]]:
    first = 0
    for batch in batches(texts):
        yield first, hash_words(batch)
        first += len(batch)


def hits(texts: Sequence[str], asked: Sequence[str], found: Probes) -> Iterator[tuple[Any, Any]]:
    """For each size of run: which of the texts have one of the probes' runs, and its number; a pair may come often.

    Runs of fewer than SHORTEST words count only where they are all that a text asks.
    """
    import numpy as np

    sizes = np.unique(found.lengths)
    for first, words in _hashed(texts):
        for size in sizes[sizes >= SHORTEST].tolist():
            rows, numbers = _matched(words, size, found)
            exact = found.lengths[numbers] == size
            yield rows[exact] + first, numbers[exact]
    if len(sizes) and sizes[0] < SHORTEST:
        for first, words in _hashed(asked):
            rows, numbers = _matched(words, SHORTEST, found)
            exact = (found.lengths[numbers] == np.diff(words.begins)[rows]) & (found.lengths[numbers] < SHORTEST)
            yield rows[exact] + first, numbers[exact]


def _matched(words: Words, size: int, found: Probes) -> tuple[Any, Any]:
    """The texts and the probes whose runs have the same hash."""
    import numpy as np

    hashes, begins = runs(words, size)
    at = np.minimum(np.searchsorted(found.hashes, hashes), len(found.hashes) - 1)
    same = np.flatnonzero(found.hashes[at] == hashes)
    return np.searchsorted(words.begins, begins[same], "right") - 1, at[same]


def read_records(file: Path, shown: str) -> Iterator[tuple[str, str, str]]:
    """The records of a file of test texts: its place, all its texts, and the longest of them.

    One record is a line of a text file, an object of JSON or JSON Lines, or a row of a CSV or TSV file.
    """
    suffix = file.suffix.lower()
    if suffix not in (".txt", ".jsonl", ".ndjson", ".json", ".csv", ".tsv"):
        raise SlmError(f"{shown}: against: give a .txt, .jsonl, .json, .csv or .tsv file")
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            for n, value in _values(lines, suffix, shown):
                texts = [text for text in _strings(value) if text.strip()]
                if texts:
                    yield f"{shown}:{n}", "\n".join(texts), max(texts, key=len)
    except OSError as error:
        raise SlmError(
            f"{shown}: against: {error.strerror or error}; give a file, relative to the pipeline's"
        ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise SlmError(f"{shown}: against: can't be read as UTF-8 {suffix[1:]}: {error}") from None


def _values(lines: Any, suffix: str, shown: str) -> Iterator[tuple[int, Any]]:
    if suffix in (".csv", ".tsv"):
        reader = csv.reader(lines, delimiter="\t" if suffix == ".tsv" else ",")
        for row in reader:
            yield reader.line_num, row
    elif suffix == ".json":
        whole = _parsed(lines.read(), f"{shown}:1")
        yield from enumerate(whole if isinstance(whole, list) else [whole], start=1)
    else:
        for n, line in enumerate(lines, start=1):
            if line.strip():
                yield n, line if suffix == ".txt" else _parsed(line, f"{shown}:{n}")


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SlmError(f"{place}: against: no JSON: {error}") from None


def _strings(value: Any) -> Iterator[str]:
    """Every text in a value, in its order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(each)
