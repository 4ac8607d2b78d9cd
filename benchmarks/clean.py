"""Cleaning speed side by side: normalize with dedup, near_dedup and decontaminate, each against a usual way.

    python benchmarks/clean.py [--records 200000] [--near 20000] [--rounds 3]

The data are made by a seed: records of about 200 bytes, of which 85% are clean ASCII, 10% have accents or another
script, 5% have odd spaces, broken letters or entities, and 10% repeat an earlier one. All take turns in one process;
the figures are medians of the rounds. Near duplicates are planted with a known Jaccard similarity.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from hashlib import blake2b
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import Any

import datasets
import pyarrow

from slm.plugin import Base, Hardware, Job, Work
from slm_data.dataset import read_splits, write_splits, write_tables
from slm_preprocessors.contents.content import fold
from slm_preprocessors.decontaminate import Decontaminate
from slm_preprocessors.dedup import Dedup
from slm_preprocessors.likeness.grams import split_words
from slm_preprocessors.mending.letters import mender
from slm_preprocessors.near_dedup import NearDedup
from slm_preprocessors.normalize import Normalize

JOB = Job("benchmark", "completion", Base("scratch"))
ACCENTS = "Le café de l'été était fermé à Noël — où êtes-vous allée, Zoë? Größe, naïve, «señor», "
SCRIPTS = (
    "Съешь же ещё этих мягких французских булок, да выпей чаю. ",
    "天地玄黃宇宙洪荒日月盈昃辰宿列張。",
    "Ελληνικά ",
)
BROKEN = (
    "GrÃ¼ÃŸe aus MÃ¼nchen. ",
    "it\u2019s\u00a0odd \u00a0here. ",
    "Tom &amp; Jerry &lt;br&gt; ",
    "two  spaces \r\n",
)


def texts(draw: random.Random, count: int) -> list[str]:
    """Texts of about 200 bytes, in words of a made-up language, of which some come up more often."""
    known = ["".join(draw.choices("etaoinshrdlucmfwypvbgk", k=draw.randint(2, 9))) for _ in range(20_000)]
    often = [(20_000 / n) ** 0.9 for n in range(1, 20_001)]
    made: list[str] = []
    for words in batched(draw.choices(known, cum_weights=list(accumulate(often)), k=31 * count), 31):
        kind = draw.random()
        text = " ".join(words)[:200].strip().capitalize()
        if made and draw.random() < 0.1:
            text = made[draw.randrange(len(made))]
        elif kind < 0.1:
            other = ACCENTS if draw.random() < 0.6 else draw.choice(SCRIPTS)
            text = (other * 3)[:60] + text[:120]
        elif kind < 0.15:
            text = draw.choice(BROKEN) + text[:170]
        made.append(text)
    return made


def batched(items: list[str], size: int) -> list[list[str]]:
    """The items in lists of `size`."""
    return [items[at : at + size] for at in range(0, len(items), size)]


def records(found: list[str], folder: Path) -> datasets.Dataset:
    """The texts as a split on disk."""
    folder.mkdir()
    rows = {"id": list(map(str, range(len(found)))), "source": [f"a.txt:{n}" for n in range(len(found))], "text": found}
    table = pyarrow.table(rows)
    write_tables([table], table.schema, folder / "train.arrow")
    return read_splits(folder)["train"]


def work_in(folder: Path) -> Work:
    """A place to work."""
    folder.mkdir()
    return Work(folder, folder / "checkpoints", Hardware())


def ours(split: datasets.Dataset, work: Work) -> int:
    """The two plugins, one after the other, what comes between them written as the kernel writes it."""
    done = Normalize().preprocess({"train": split}, JOB, work)
    done = Dedup().preprocess(done.splits, JOB, Work(work.folder, work.folder / "dedup", work.hardware))
    write_splits(done.splits, work.folder)
    return len(done.splits["train"])


def plain_map(split: datasets.Dataset, work: Work) -> int:
    """The same functions of a text, by datasets.map and a set of prints."""
    clean, seen = Normalize().cleaner(mender()), set[bytes]()

    def new(text: str) -> bool:
        found = blake2b(fold(text, "case").encode(), digest_size=16).digest()
        if found in seen:
            return False
        seen.add(found)
        return True

    mapped = split.map(
        lambda batch: {"text": list(map(clean, batch["text"]))},
        batched=True,
        cache_file_name=f"{work.folder}/map.cache",
    )
    kept = mapped.filter(
        lambda batch: list(map(new, batch["text"])), batched=True, cache_file_name=f"{work.folder}/filter.cache"
    )
    write_splits({"train": kept}, work.folder)
    return len(kept)


def planted(draw: random.Random, count: int) -> tuple[list[str], dict[int, tuple[int, float]]]:
    """Texts of which some are an earlier one with words replaced: for these, which one, and their exact similarity."""
    made, pairs = texts(draw, count * 4 // 5), {}
    stock = " ".join(made[:2000]).split()
    for number in range(count - len(made)):
        wanted, edited = draw.choice((0.6, 0.7, 0.8, 0.8, 0.85, 0.9)), made[number].split()
        for _ in range(20):
            new = edited[:]
            new[draw.choice((draw.randrange(len(new)), -1))] = draw.choice(stock)
            if similarity(made[number], " ".join(new)) >= wanted:
                edited = new
        likeness = similarity(made[number], " ".join(edited))
        pairs[len(made)] = (number, likeness)
        made.append(" ".join(edited))
    return made, pairs


def shingles(text: str) -> set[tuple[str, ...]]:
    """A text's runs of three words."""
    found = split_words(text)
    return {tuple(found[at : at + 3]) for at in range(max(1, len(found) - 2))}


def similarity(one: str, other: str) -> float:
    """The exact Jaccard similarity of two texts."""
    left, right = shingles(one), shingles(other)
    return len(left & right) / len(left | right)


def near(split: datasets.Dataset, work: Work) -> set[int]:
    """The plugin: the numbers of the records that it drops."""
    done = NearDedup().preprocess({"train": split}, JOB, work)
    write_splits(done.splits, work.folder)
    return set(map(int, done.dropped["train"]["id"]))


def by_datasketch(split: datasets.Dataset, work: Work) -> set[int]:
    """The usual way: an index of MinHashes, asked for each record in turn."""
    from datasketch import MinHash, MinHashLSH

    index, gone = MinHashLSH(0.8, 128), set()
    runs = ([" ".join(run).encode() for run in shingles(text)] for text in split["text"])
    for n, sketch in enumerate(MinHash.generator(runs, num_perm=128)):
        if index.query(sketch):
            gone.add(n)
        else:
            index.insert(n, sketch)
    return gone


def by_rensa(split: datasets.Dataset, work: Work) -> set[int]:
    """rensa's own index, asked and filled in one call."""
    from rensa import RMinHashDeduplicator

    found = RMinHashDeduplicator(threshold=0.8, num_perm=128, use_lsh=True)
    kept = found.add_pairs((str(n), list(map(" ".join, shingles(text)))) for n, text in enumerate(split["text"]))
    return {n for n, new in enumerate(kept) if not new}


def tested(draw: random.Random, found: list[str], count: int) -> list[str]:
    """Test texts, of which every second holds a run of 13 words of one of the texts."""
    fresh = texts(draw, count)
    for n in range(0, count, 2):
        words = found[n].split()
        fresh[n] = f"{fresh[n][:80]} {' '.join(words[2:15] if len(words) > 15 else words)} {fresh[n][80:]}"
    return fresh


def by_sets(splits: dict[str, datasets.Dataset], work: Work) -> int:
    """The usual way: a set of the test texts' runs of words, and each text's runs looked up in it."""
    known = {run for text in splits["test"]["text"] for run in windows(text)}
    return sum(any(run in known for run in windows(text)) for text in splits["train"]["text"])


def windows(text: str) -> list[tuple[str, ...]]:
    """A text's runs of 13 words."""
    found = split_words(text)
    return [tuple(found[at : at + 13]) for at in range(len(found) - 12)]


def decontaminated(splits: dict[str, datasets.Dataset], work: Work) -> int:
    """The plugin, boilerplate included."""
    return Decontaminate(common=len(splits["train"])).preprocess(splits, JOB, work).report["dropped"]


def quality(gone: set[int], found: list[str], pairs: dict[int, tuple[int, float]]) -> str:
    """Recall of the planted pairs that are alike enough; precision of all that went, by comparing with every text."""
    holders: dict[tuple[str, ...], list[int]] = {}
    for n, text in enumerate(found):
        for run in shingles(text):
            holders.setdefault(run, []).append(n)
    right = sum(
        any(other != n and similarity(found[n], found[other]) >= 0.8 for other in near_by(holders, found[n]))
        for n in gone
    )
    lines = []
    for low, high in ((0.8, 0.85), (0.85, 0.9), (0.9, 1.01)):
        true = [n for n, (other, likeness) in pairs.items() if low <= likeness < high]
        hit = sum(n in gone or pairs[n][0] in gone for n in true)
        lines.append(f"{low}: {hit}/{len(true)} = {hit / len(true):.4f}")
    return f"precision {right}/{len(gone)} = {right / max(1, len(gone)):.4f}; recall from {', '.join(lines)}"


def near_by(holders: dict[tuple[str, ...], list[int]], text: str) -> set[int]:
    """The texts that share a run with this one."""
    return {n for run in shingles(text) for n in holders[run]}


def available(*ways: tuple[str, str, Callable[[Any, Work], Any]]) -> dict[str, Callable[[Any, Work], Any]]:
    """The ways whose module is installed."""
    return {name: way for name, module, way in ways if find_spec(module)}


def compare(
    ways: dict[str, Callable[[Any, Work], Any]], split: Any, rounds: int, folder: Path, say: Callable[[Any], str] = str
) -> None:
    """Let all take turns, and print what each made and how fast, the first as measure of the others."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    results = {}
    for n in range(rounds):
        for name, way in ways.items():
            work = work_in(folder / f"{n}-{name.replace(' ', '-')}")
            begun = time.perf_counter()
            results[name] = way(split, work)
            seconds[name].append(time.perf_counter() - begun)
    base = statistics.median(next(iter(seconds.values())))
    for name, found in seconds.items():
        middle = statistics.median(found)
        print(f"{name:30} {len(split) / middle:10,.0f} records/s {base / middle:7.2f} x   {say(results[name])}")


def main() -> None:
    """Make the data, take turns, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--near", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as name:
        split = records(texts(random.Random(0), asked.records), Path(name) / "data")
        print(f"normalize + dedup of {len(split):,} records: kept")
        compare({"datasets.map and filter": plain_map, "normalize, dedup": ours}, split, asked.rounds, Path(name))
        found, pairs = planted(random.Random(1), asked.near)
        split = records(found, Path(name) / "near")
        print(f"near duplicates of {len(split):,} records, {len(pairs):,} of them planted")
        ways = available(
            ("datasketch", "datasketch", by_datasketch), ("rensa", "rensa", by_rensa), ("near_dedup", "numpy", near)
        )
        compare(ways, split, asked.rounds, Path(name), lambda gone: quality(gone, found, pairs))
        test = records(tested(random.Random(2), found, 2_000), Path(name) / "test")
        print(f"decontaminate {len(split):,} records of 2,000 test texts: dropped")
        both: dict[str, Callable[[Any, Work], Any]] = {
            "sets of runs": lambda split, work: by_sets({"train": split, "test": test}, work),
            "decontaminate": lambda split, work: decontaminated({"train": split, "test": test}, work),
        }
        compare(both, split, asked.rounds, Path(name))


if __name__ == "__main__":
    main()
