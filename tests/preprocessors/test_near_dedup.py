"""Near duplicates are found nearly always, nothing else goes, and no text is too odd, too long or too frequent."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import datasets
import numpy as np
import pytest

from slm.plugin import Base, Job, Work
from slm_data.dataset import read_splits, write_tables
from slm_preprocessors.likeness.clusters import cluster, doubles
from slm_preprocessors.likeness.grams import batches, hash_words, runs, split_words
from slm_preprocessors.likeness.near import Sets, banding, gather, jaccards
from slm_preprocessors.near_dedup import NearDedup

JOB = Job("t", "completion", Base("scratch"))
WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]


def shingles(text: str, size: int = 3) -> set[tuple[str, ...]]:
    words = split_words(text)
    return {tuple(words[at : at + size]) for at in range(max(1, len(words) - size + 1))}


def similarity(one: str, other: str) -> float:
    left, right = shingles(one), shingles(other)
    return len(left & right) / len(left | right)


def texts(count: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(20, 60))) for _ in range(count)]


def edited(text: str, draw: random.Random, wanted: float) -> str:
    """The text with words replaced, as many as leave it at least that alike."""
    words = text.split()
    for _ in range(30):
        new = words[:]
        new[draw.choice((draw.randrange(len(words)), -1))] = draw.choice(WORDS)
        if similarity(text, " ".join(new)) >= wanted:
            words = new
    return " ".join(words)


@pytest.fixture
def split_from(tmp_path: Path) -> Callable[..., datasets.Dataset]:
    def of(found: list[str], name: str = "train", **columns: list[Any]) -> datasets.Dataset:
        import pyarrow

        rows = {"id": list(map(str, range(len(found)))), "source": [f"a.txt:{n}" for n in range(len(found))]}
        table = pyarrow.table({**rows, "text": pyarrow.array(found, pyarrow.string()), **columns})
        (tmp_path / name).mkdir()
        write_tables([table], table.schema, tmp_path / name / f"{name}.arrow")
        return read_splits(tmp_path / name)[name]

    return of


def places(split: datasets.Dataset) -> list[int]:
    return [int(place.removeprefix("a.txt:")) for place in split["source"][:]]


def sets_of(found: list[str], folder: Path, threshold: float = 0.8) -> Sets:
    return gather([found], len(found), folder / "runs", threshold, "words", 3)


def test_planted_duplicates_are_found_and_nothing_else_goes(split_from: Callable[..., Any], work: Work) -> None:
    draw = random.Random(1)
    made = texts(1500)
    planted = {1500 + n: n for n in range(500)}
    made += [edited(made[n], draw, draw.choice((0.6, 0.7, 0.8, 0.8, 0.85, 0.9))) for n in range(500)]
    done = NearDedup().preprocess({"train": split_from(made)}, JOB, work)
    gone = set(places(done.dropped["train"]))
    true = {n for n, other in planted.items() if similarity(made[n], made[other]) >= 0.8}
    assert len(true) > 200
    assert len(gone & true) >= 0.98 * len(true)
    assert gone <= true
    assert dict(done.report) == {"kept": 2000 - len(gone), "dropped": len(gone), "clusters": len(gone)}
    assert sorted(places(done.splits["train"]) + list(gone)) == list(range(2000))
    for row in done.dropped["train"]:
        n = int(row["id"])
        assert row["why"] == f"{similarity(made[n], made[planted[n]]):.2f} like a.txt:{planted[n]}"
    assert len(done.examples) == 3
    assert done.examples[0].startswith("a.txt:")


def test_what_goes_is_like_what_stays_and_what_stays_is_not_alike(tmp_path: Path) -> None:
    words = WORDS[:40]
    chain = [" ".join([*(f"x{n}" for n in range(step)), *words[step:]]) for step in range(0, 40, 2)]
    sets = sets_of(chain, tmp_path)
    of = cluster(sets, 0.8).of
    assert of.tolist() == [0] * 20
    found = doubles(sets, of, 0.8, np.arange(20))
    kept = sorted(set(range(20)) - set(found.rows.tolist()))
    assert set(found.stands.tolist()) <= set(kept)
    assert all(similarity(chain[a], chain[b]) >= 0.8 for a, b in zip(found.rows, found.stands, strict=True))
    assert all(similarity(chain[a], chain[b]) < 0.8 for a in kept for b in kept if a != b)


def test_similarities_are_exact(tmp_path: Path) -> None:
    draw = random.Random(2)
    one = texts(50)
    other = [edited(text, draw, draw.random()) for text in one]
    sets = sets_of(one + other, tmp_path)
    found = jaccards(sets, np.arange(50), np.arange(50, 100))
    assert found.tolist() == pytest.approx([similarity(a, b) for a, b in zip(one, other, strict=True)])


@pytest.mark.parametrize(
    ("options", "found", "kept"),
    [
        ({}, [], []),
        ({}, ["only one"], [0]),
        ({}, ["yes", "Yes!", "no", "YES"], [0, 2]),
        ({}, ["?!", "...", "?!", ""], [0, 1, 3]),
        ({}, ["a b c d", "a b c e"], [0, 1]),
        ({}, ["two and two is 2+2", "two and two is 2-2", "two and two is 2 + 2"], [0, 1]),
        ({}, ["ＬＯＵＤ noises here", "loud noises here"], [0]),  # noqa: RUF001
        ({}, ["天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往", "天地玄黃，宇宙洪荒。日月盈昃，辰宿列張。寒來暑往"], [0]),  # noqa: RUF001
        ({}, ["x" * 100, "x" * 99], [0, 1]),
        ({"unit": "characters", "size": 5}, ["x" * 100 + "abcdefghijk", "x" * 99 + " abcdefghijk"], [0]),
        (
            {"unit": "characters", "size": 5},
            ["colour of the large autumn leaves", "color of the large autumn leaf"],
            [0, 1],
        ),
        ({"threshold": 0.5}, ["a b c d e f g h", "a b c d e f g x"], [0]),
        ({"threshold": 1}, ["a b c d e f g h", "A b c d e, f g h", "a b c d e f g i"], [0, 2]),
        ({"size": 1, "threshold": 0.7}, ["reset my old password", "my old password reset"], [0]),
        ({"keep": "longest"}, [" ".join(WORDS[:30]), " ".join(WORDS[:33]), "other"], [1, 2]),
        ({}, ["a\x1eb", "a b", "\x1e\x1e"], [0, 2]),
        ({}, ["\u0301 \u200d e\u0301 \U0001f600 \U0001f600", "é 😀 😀"], [0, 1]),
    ],
)
def test_which_texts_are_alike(
    options: dict[str, Any], found: list[str], kept: list[int], split_from: Callable[..., Any], work: Work
) -> None:
    done = NearDedup(**options).preprocess({"train": split_from(found)}, JOB, work)
    assert places(done.splits["train"]) == kept


def test_labels_and_kept_columns_stay_apart(split_from: Callable[..., Any], work: Work) -> None:
    text = " ".join(WORDS[:30])
    owners = ["a", None, "c"]
    split = split_from([text, text, f"{text} x"], label=["ham", "spam", "ham"], customer=owners)
    done = NearDedup().preprocess({"train": split}, attrs.evolve(JOB, task="classification"), work)
    assert places(done.splits["train"]) == [0, 1]
    assert done.splits["train"]["customer"][:] == ["a", None]
    assert done.dropped["train"]["customer"][:] == ["c"]
    assert places(NearDedup(key="input").preprocess({"train": split}, JOB, work).splits["train"]) == [0]


@pytest.mark.parametrize("kind", ["same", "template", "half"])
def test_many_like_texts_take_no_longer_for_each(kind: str, split_from: Callable[..., Any], work: Work) -> None:
    count, draw = 20_000, random.Random(0)
    frame = " ".join(WORDS[:20])
    found = {
        "same": lambda n: frame,
        "template": lambda n: f"{frame} {n}",
        "half": lambda n: f"{frame} {' '.join(draw.choices(WORDS, k=9))}",
    }[kind]
    done = NearDedup().preprocess({"train": split_from([found(n) for n in range(count)])}, JOB, work)
    kept = len(done.splits["train"])
    assert kept == 1 if kind != "half" else kept > 0.9 * count


def test_a_very_long_text_is_one_of_many(split_from: Callable[..., Any], work: Work) -> None:
    long = " ".join(random.Random(0).choices(WORDS, k=250_000))
    done = NearDedup().preprocess({"train": split_from([long, "short", f"{long} more", *texts(20)])}, JOB, work)
    assert len(long) > 900_000
    assert [n for n in range(23) if n not in places(done.splits["train"])] == [2]


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8, 0.9, 1.0])
def test_bands_let_few_pairs_slip(threshold: float) -> None:
    bands, rows = banding(threshold)
    assert bands * rows <= 128
    assert threshold == 1 or (1 - threshold**rows) ** bands <= 0.0051


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_words_are_hashed_as_they_are_split(unit: Any, data: Path) -> None:
    lines = (data / "raw-text/udhr-first-article").rglob("*.*")
    found = [line for file in lines for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    found += ["", " ", "a\x1eb", "x" * 3000, "½ ﬁne ß İ ǅ", "日本 語x", "a-b_c*d", "\u00ad\u200b", "e\u0301e"]
    known: dict[str, int] = {}
    for batch in batches(found):
        words = hash_words(batch, unit)
        for n, text in enumerate(batch):
            mine = words.hashes[words.begins[n] : words.begins[n + 1]].tolist()
            split = split_words(text, unit)
            assert len(mine) == len(split), text
            assert all(known.setdefault(word, number) == number for word, number in zip(split, mine, strict=True))
    assert len(set(known.values())) == len(known) > 1000 or unit == "characters"


def test_runs_do_not_cross_texts_and_short_texts_are_one() -> None:
    words = hash_words(["a b c d", "", "a b", "a b c", "b c d"])
    found, begins = runs(words, 3)
    assert begins.tolist() == [0, 1, 4, 6, 9]
    assert found[0] == found[3] != found[2]
    assert found[1] == found[4]
