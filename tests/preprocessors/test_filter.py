"""What is not worth training on goes, with the reason; what is odd but sound stays."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from slm.config import attempt
from slm.plugin import Base, Job, Processed, SlmError, Work
from slm_preprocessors.filter import Filter
from slm_preprocessors.quality.degenerate import refuses, says_nothing
from slm_preprocessors.quality.languages import languages_of
from slm_preprocessors.quality.repetition import repeats

TEXT = Job("t", "completion", Base("scratch"))
QA = Job("t", "qa", Base("scratch"))
LABELS = Job("t", "classification", Base("scratch"))


def texts_left(done: Processed) -> list[str]:
    return list(done.splits["train"]["text"][:])


@pytest.mark.parametrize(
    ("question", "answer", "why"),
    [
        ("What?", "A fine answer.", ""),
        ("How many?", "3", ""),
        ("An empty list?", "[]", ""),
        ("Happy?", "🙂", ""),
        ("Which?", "None of them", ""),
        ("Say yes", "yes", ""),
        ("Hi", "hi", ""),
        ("What?", "...", "the answer is only punctuation"),
        ("What?", " - ", "the answer is only punctuation"),
        ("What?", "N/A", "the answer is a placeholder"),
        ("What?", "#REF!", "the answer is a placeholder"),
        ("What?", "nan", "the answer is a placeholder"),
        ("Where is the key?", "where is  the key?", "the answer repeats the question"),
    ],
)
def test_by_default_answers_that_say_nothing_go(
    question: str, answer: str, why: str, split_of: Callable[..., Any], work: Work
) -> None:
    rows = [{"question": question, "answer": answer}, {"question": "q", "answer": "a"}]
    done = Filter().preprocess({"train": split_of(rows, "qa")}, QA, work)
    assert [row["why"] for row in done.dropped.get("train", [])] == ([why] if why else [])
    assert done.report["kept"] == (1 if why else 2)
    assert done.report["dropped"] == done.report.get("empty", 0) == (1 if why else 0)


def test_both_answers_of_a_preference_must_say_something(split_of: Callable[..., Any], work: Work) -> None:
    rows = [{"prompt": "p", "chosen": "a", "rejected": "b"}, {"prompt": "p", "chosen": "a", "rejected": "N/A"}]
    done = Filter().preprocess({"train": split_of(rows, "preference")}, Job("t", "preference", Base("scratch")), work)
    assert (done.report["kept"], done.dropped["train"][0]["why"]) == (1, "the answer is a placeholder")


def test_short_messages_with_a_label_stay(split_of: Callable[..., Any], work: Work) -> None:
    rows = [{"text": text, "label": "a"} for text in (":)", "?", "ok", "n/a")]
    assert len(texts_left(Filter().preprocess({"train": split_of(rows, "classification")}, LABELS, work))) == 4


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"min_words": 3}, ["one two three", "one two three four"]),
        ({"max_words": 1}, ["one"]),
        ({"min_characters": 4, "max_characters": 13}, ["one two three"]),
        ({"min_tokens": 3}, ["one two three", "one two three four"]),
        ({"max_tokens": 1}, ["one"]),
        ({"match": "two|four"}, ["one two three", "one two three four"]),
        ({"without": r"(?i)\bFOUR\b"}, ["one", "one two three"]),
        ({"match": "^one", "without": "three$"}, ["one", "one two three four"]),
    ],
)
def test_lengths_and_patterns(
    options: dict[str, Any], left: list[str], split_of: Callable[..., Any], work: Work
) -> None:
    split = split_of([{"text": text} for text in ("one", "one two three", "one two three four")], "completion")
    done = Filter(**options).preprocess({"train": split}, TEXT, work)
    assert texts_left(done) == left
    assert sorted([*done.splits["train"]["source"][:], *done.dropped["train"]["source"][:]]) == split["source"][:]


def test_tokens_are_the_bases_own(data: Path, split_of: Callable[..., Any], work: Work) -> None:
    job = attrs.evolve(TEXT, base=Base("phi", "decoder", data / "tokenizers/phi-3-mini"))
    split = split_of([{"text": "hello"}, {"text": "internationalization of tokenizers"}], "completion")
    done = Filter(max_tokens=3).preprocess({"train": split}, job, work)
    assert texts_left(done) == ["hello"]
    assert re.fullmatch(r"\d tokens of phi, more than 3", done.dropped["train"][0]["why"])


def test_symbols(split_of: Callable[..., Any], work: Work) -> None:
    split = split_of([{"text": "plain words, really."}, {"text": "@@## $$%% ab"}], "completion")
    done = Filter(max_symbols=0.3).preprocess({"train": split}, TEXT, work)
    assert texts_left(done) == ["plain words, really."]
    assert done.dropped["train"][0]["why"] == "80% of its characters are signs"


SAID = {
    "en": "All human beings are born free and equal in dignity and rights.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "zh": "人人生而自由,在尊严和权利上一律平等。",
}


def test_languages_stay_as_asked_and_are_counted(split_of: Callable[..., Any], work: Work) -> None:
    split = split_of([{"text": text} for text in (*SAID.values(), "ok")], "completion")
    done = Filter(languages=("en", "de")).preprocess({"train": split}, TEXT, work)
    assert texts_left(done) == [SAID["en"], SAID["de"], "ok"]
    counts = {name: count for name, count in done.report.items() if name.startswith("language: ")}
    assert counts == {**{f"language: {code}": 1 for code in SAID}, "language: too short to tell": 1}
    assert done.report["language"] == 2
    assert re.fullmatch(r"seems to be fr \(\d+%\)", done.dropped["train"][0]["why"])


def test_probabilities_of_languages_sum_to_one() -> None:
    chances = languages_of(SAID["de"])
    assert chances is not None
    assert sum(chances.values()) == pytest.approx(1, abs=1e-3)
    assert languages_of("OK 12345 !!") is None


def test_real_questions_are_known_by_their_language(data: Path) -> None:
    right = Counter[str]()
    for code in ("en", "es", "zh", "ar"):
        whole = json.loads((data / f"qa/xquad/xquad.{code}.json").read_text(encoding="utf-8"))
        asked = [qa["question"] for each in whole["data"] for p in each["paragraphs"] for qa in p["qas"]][:200]
        for text in asked:
            chances = languages_of(text)
            right[code] += chances is None or max(chances, key=chances.__getitem__) == code
    assert min(right.values()) >= 180


def test_an_unknown_language_is_an_error(split_of: Callable[..., Any], work: Work) -> None:
    split = split_of([{"text": "x"}], "completion")
    with pytest.raises(SlmError, match=r"filter.languages: 'eng' is not known; did you mean 'en'\?"):
        Filter(languages=("eng",)).preprocess({"train": split}, TEXT, work)


@pytest.mark.parametrize(
    ("text", "how", "what"),
    [
        ("ha " * 50, "extreme", "top 2-gram"),
        ("buy our fine new shoes today " * 20, "extreme", "repeated 5-grams"),
        ("ha " * 10, "extreme", ""),
        ("哈" * 300, "extreme", "top 2-gram"),
        ("A sentence with many words that says one thing and then stops. " * 2, "extreme", ""),
        ("\n".join(f"line {n // 2} of a text that has some words" for n in range(40)), "gopher", "repeated lines: 50%"),
        (" ".join(f"word{n}" for n in range(200)), "gopher", ""),
        ("ha " * 500, "off", ""),
    ],
)
def test_what_repeats_itself(text: str, how: Any, what: str) -> None:
    said = repeats(text, how)
    assert what in said if what else said == ""


def test_real_prose_and_code_are_not_taken_for_repetition(data: Path) -> None:
    pages = [page.read_text(encoding="utf-8") for page in sorted((data / "raw-text/rust-book/src").glob("*.md"))]
    assert [repeats(page, "extreme") for page in pages] == [""] * len(pages)


def test_labels_are_balanced_by_the_seed(split_of: Callable[..., Any], work: Work) -> None:
    rows = [{"text": f"text {n}", "label": "rare" if n < 2 else "often" if n < 40 else "some"} for n in range(50)]
    split, test = split_of(rows, "classification"), split_of(rows[:5], "classification", "test")

    def left(seed: int, order: int = 1) -> tuple[Counter[str], set[str], int]:
        part = split.select(range(50)[::order])
        done = Filter(min_per_label=3, max_per_label=10).preprocess(
            {"train": part, "test": test}, LABELS, attrs.evolve(work, seed=seed)
        )
        return Counter(done.splits["train"]["label"][:]), set(texts_left(done)), len(done.splits["test"])

    counts, texts, tested = left(1)
    assert (counts, tested) == ({"often": 10, "some": 10}, 3)
    assert left(1)[1] == left(1, -1)[1] == texts != left(2)[1]


def test_balance_without_labels_is_an_error(split_of: Callable[..., Any], work: Work) -> None:
    with pytest.raises(SlmError, match="the records have no label"):
        Filter(max_per_label=3).preprocess({"train": split_of([{"text": "x"}], "completion")}, TEXT, work)


@pytest.mark.parametrize(
    ("options", "path", "say"),
    [
        ({"match": "(a"}, "p.match", "'(a' is not a regular expression: missing )"),
        ({"min_words": -1}, "p.min_words", "must be >= 0"),
        ({"max_symbols": 2.0}, "p.max_symbols", "must be <= 1"),
        ({"repetition": "some"}, "p.repetition", "expected one of 'extreme', 'gopher', 'off'"),
    ],
)
def test_wrong_options_are_said_when_they_are_read(options: dict[str, Any], path: str, say: str) -> None:
    made, (mistake,) = attempt(options, Filter, "p")
    assert made is None
    assert say in mistake.say


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("As an AI language model, I do not have feelings.", True),
        ("Unfortunately, I cannot assist with this request.", True),
        ("I'm an AI and I won't help with that.", True),
        ("You can't help it.", False),
        ("I can help you with that.", False),
        ("Sorry to hear that! Please restart the router.", False),
        ("An AI language model is a program that predicts words.", False),
    ],
)
def test_refusals_are_known_by_how_they_begin(answer: str, refused: bool) -> None:
    assert refuses(answer) == refused


@pytest.mark.parametrize("text", ["0", "No", "None", "x", "C", "√", "+", "{}", "null pointer", "not available in blue"])
def test_short_answers_say_something(text: str) -> None:
    assert says_nothing(text) == ""
