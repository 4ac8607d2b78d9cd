"""Chunks are never too long, lose nothing, and begin where a reader would begin."""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slm.config import attempt
from slm.plugin import Base, Job, Work
from slm_preprocessors.chunk import Chunk
from slm_preprocessors.pieces.measure import Measure, measure_of
from slm_preprocessors.pieces.sentences import sentences, units

NONE = Base("scratch")
JOB = Job("t", "completion", NONE)
PIECES = (
    *("Word ", "two three. ", "Dr. Who came! ", "# Title\n", "## Sub\n\n", "- item\n", "| a | b |\n", "x" * 40),
    *("```\ncode = 1\n```\n", "```py\n", "一句话。", "你好!", "\u00e9\U0001f600", "a\u0301"),
    *("\n\n", "\n", "  ", "\t", "\r\n", "\u2028", "\x0c"),
)


@lru_cache
def measure(data: Path) -> Measure:
    return measure_of(Base("phi", "decoder", data / "tokenizers/phi-3-mini"))


def chunks(text: str, by: Measure, **options: Any) -> list[str]:
    chunk = Chunk(**options)
    (made,) = chunk.parts([text], chunk.size, by)
    return made


@pytest.mark.parametrize("tokenizer", [False, True])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.sampled_from(PIECES) | st.text(max_size=30), max_size=40), size=st.integers(16, 60))
def test_nothing_is_lost_and_no_chunk_is_too_long(tokenizer: bool, parts: list[str], size: int, data: Path) -> None:
    text, by = "".join(parts).encode("utf-8", "replace").decode(), measure(data) if tokenizer else measure_of(NONE)
    made = chunks(text, by, size=size)
    assert "".join(made) == text or blank_runs(text, made)
    assert max(by.counts(made)) <= size
    assert all(chunk.strip() for chunk in made) or len(made) == 1
    again = chunks(text, by, size=size, overlap=size // 3, headings=True)
    assert max(by.counts(again)) <= size


def blank_runs(text: str, made: list[str]) -> bool:
    """Whether only white space is lacking: a run of it that fills a chunk is left out."""
    return "".join("".join(made).split()) == "".join(text.split())


def test_real_books_are_cut_without_loss(data: Path) -> None:
    by = measure(data)
    pages = [
        page.read_text(encoding="utf-8") for page in sorted((data / "raw-text/rust-book/src").glob("ch0[2-4]*.md"))
    ]
    pages.append((data / "raw-text/udhr-first-article/UDHR_first_article_all.txt").read_text(encoding="utf-8")[:30_000])
    for text in pages:
        made = chunks(text, by, size=256)
        counts = by.counts(made)
        assert "".join(made) == text
        assert max(counts) <= 256
        assert sum(counts) / len(counts) > 128 or len(made) < 4


def words(count: int, name: str = "w") -> str:
    return " ".join(f"{name}{n % 10}" for n in range(count))


def test_headings_begin_chunks_and_may_be_carried() -> None:
    by = measure_of(NONE)
    text = f"# Guide\n\n{words(9)}.\n\n## Setup\n\n{words(9)}.\n\n{words(9)}.\n\n## Use\n\n{words(9)}.\n\n{words(9)}.\n"
    made = chunks(text, by, size=48)
    assert "".join(made) == text
    assert [chunk.split("\n")[0] for chunk in made] == ["# Guide", "## Setup", "## Use"]
    carried = chunks(text, by, size=30, headings=True)
    assert [chunk.split("\n")[:3] for chunk in carried] == [
        ["# Guide", "", "w0 w1 w2 w3 w4 w5 w6 w7 w8."],
        ["# Guide", "", "## Setup"],
        ["# Guide", "## Setup", ""],
        ["# Guide", "", "## Use"],
        ["# Guide", "## Use", ""],
    ]


def test_a_code_block_stays_whole_and_its_comments_are_no_headings() -> None:
    code = "```python\n# not a heading\nx = 1\n\n\ny = 2\n```\n"
    text = f"{words(20)}.\n\n{code}\n{words(20)}.\n"
    assert sum(code in chunk for chunk in chunks(text, measure_of(NONE), size=64)) == 1
    assert [unit.level for unit in units(text)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two? Three!", ["One. ", "Two? ", "Three!"]),
        ("Dr. Who paid 3.50 at 5 p. m. today. Yes.", ["Dr. Who paid 3.50 at 5 p. m. today. ", "Yes."]),
        ('He said "Stop." Then left.', ['He said "Stop." ', "Then left."]),
        ("第一句。第二句！「好。」完", ["第一句。", "第二句！", "「好。」", "完"]),  # noqa: RUF001
        ("See e.g. this. And that.", ["See e.g. this. ", "And that."]),
        ("هل هذا؟ نعم.", ["هل هذا؟ ", "نعم."]),
    ],
)
def test_sentences_end_where_they_end(text: str, parts: list[str]) -> None:
    assert [text[at:to] for at, to in sentences(text, 0, len(text))] == parts


def test_a_sentence_too_long_is_cut_between_words_and_a_word_within() -> None:
    by = measure_of(NONE)
    made = chunks(words(60), by, size=16)
    assert all(chunk.endswith(" ") for chunk in made[:-1])
    assert {len(chunk) for chunk in chunks("x" * 400, by, size=16)} == {96, 16}


def test_chunks_overlap_by_whole_sentences_if_asked_to() -> None:
    by = measure_of(NONE)
    text = " ".join(f"This is number {n}." for n in range(40))
    made = chunks(text, by, size=40, overlap=10)
    for before, after in pairwise(made):
        first = after[: after.index(". ") + 2]
        assert before.endswith(first)
    assert chunks(text, by, size=40)[1] not in made


def test_chunks_get_ids_and_sources_and_short_texts_keep_theirs(split_of: Callable[..., Any], work: Work) -> None:
    split = split_of([{"text": "short"}, {"text": words(40)}], "completion").add_column("kept", ["a", "b"])
    done = Chunk(size=16).preprocess({"train": split}, JOB, work)
    rows = done.splits["train"].to_list()
    assert rows[0] == split[0]
    assert [row["source"] for row in rows[1:]] == [f"train:2#{n}" for n in range(1, len(rows))]
    assert {row["kept"] for row in rows[1:]} == {"b"}
    assert len({row["id"] for row in rows}) == len({row["text"] for row in rows})
    assert all(row["id"] != split[1]["id"] for row in rows)
    assert dict(done.report) == {"kept": 1, "changed": 1, "chunks": len(rows) - 1}
    assert "".join(row["text"] for row in rows[1:]) == words(40)


def test_other_tasks_stay_as_they_are(split_of: Callable[..., Any], work: Work) -> None:
    said: list[str] = []
    telling = attrs.evolve(work, emit=lambda kind, told: said.append(told.get("text", "")))
    split = split_of([{"question": "q", "answer": words(900)}], "qa")
    done = Chunk().preprocess({"train": split}, Job("t", "qa", NONE), telling)
    assert done.splits["train"] is split
    assert said == ["chunk: only texts of a completion task are cut; the qa records stay as they are"]


def test_chunks_fit_the_bases_context(split_of: Callable[..., Any], work: Work, data: Path) -> None:
    base = Base("phi", "decoder", data / "tokenizers/phi-3-mini", context=34)
    said: list[str] = []
    telling = attrs.evolve(work, emit=lambda kind, told: said.append(told.get("text", "")))
    done = Chunk().preprocess(
        {"train": split_of([{"text": words(90)}], "completion")}, attrs.evolve(JOB, base=base), telling
    )
    assert max(measure(data).counts(done.splits["train"]["text"][:])) <= 32
    assert said[0] == "chunk: chunks have 32 tokens, not 512: the base's context is 34"
    assert done.examples[-1] == "sizes are in tokens of phi: 32 at most"


def test_too_much_overlap_is_said_when_it_is_read() -> None:
    made, (mistake,) = attempt({"size": 64, "overlap": 40}, Chunk, "p")
    assert made is None
    assert mistake.say == "overlap: 40 is more than half of size (64)"
