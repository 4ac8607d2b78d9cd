"""Training records that hold what is tested are found, whatever the punctuation, and nothing else is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from slm.plugin import Base, Job, SlmError, Work
from slm_preprocessors.decontaminate import Decontaminate

JOB = Job("t", "completion", Base("scratch"))
WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()  # noqa: SIM905
LONG = " ".join(WORDS)


def sources(split: Any) -> list[str]:
    return list(split["source"][:])


@pytest.mark.parametrize(
    ("test", "text", "gone"),
    [
        (LONG, f"Before. {LONG.upper()}, after!", True),
        (LONG, " ".join(WORDS[:13]), True),
        (LONG, " ".join(WORDS[:12]), False),
        (LONG, " ".join([*WORDS[:12], "other", *WORDS[13:]]), False),
        ("what is the capital of the big green land", "He asked: what is the capital of the big green land?", True),
        ("what is the capital", "He asked: what is the capital?", False),
        ("what is the capital", "What is  the capital?!", True),
        ("天地玄黃宇宙洪荒日月盈昃辰", "云：天地玄黃宇宙洪荒日月盈昃辰。", True),  # noqa: RUF001
        ("...", "...", False),
    ],
)
def test_a_long_run_or_a_short_question_as_a_whole_is_found(
    test: str, text: str, gone: bool, split_of: Callable[..., Any], work: Work
) -> None:
    train = split_of([{"text": "nothing of the kind"}, {"text": text}], "completion")
    tests = split_of([{"text": test}], "completion", "test")
    done = Decontaminate().preprocess({"train": train, "test": tests}, JOB, work)
    assert dict(done.report) == {"kept": 2 - gone, "dropped": int(gone)}
    assert sources(done.splits["train"]) == ["train:1", "train:2"][: 2 - gone]
    assert sources(done.splits["test"]) == ["test:1"]
    if gone:
        (row,) = done.dropped["train"].to_list()
        assert row["source"] == "train:2"
        assert "words in a row as in test:1 in test: '" in row["why"]
        assert done.examples == (f"train:2: {row['why']}",)


def test_the_same_question_is_found_whatever_is_answered(split_of: Callable[..., Any], work: Work) -> None:
    train = split_of(
        [{"question": "Who is it?", "answer": "A cat"}, {"question": "Where?", "answer": "Who is it"}], "qa"
    )
    tests = split_of([{"question": "who is it", "answer": LONG}], "qa", "test")
    done = Decontaminate().preprocess({"train": train, "test": tests}, attrs.evolve(JOB, task="qa"), work)
    assert sources(done.splits["train"]) == ["train:2"]


def test_what_stands_in_many_records_is_boilerplate(split_of: Callable[..., Any], work: Work) -> None:
    train = split_of(
        [{"text": f"{LONG} {n}"} for n in range(11)] + [{"text": f"{' '.join(WORDS)[5:]} x"}], "completion"
    )
    tests = split_of([{"text": f"{LONG} and more"}], "completion", "test")
    assert len(Decontaminate().preprocess({"train": train, "test": tests}, JOB, work).splits["train"]) == 12
    assert len(Decontaminate(common=12).preprocess({"train": train, "test": tests}, JOB, work).splits["train"]) == 0


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("bench.txt", f"a line\n{LONG}\n", "bench.txt:2"),
        ("bench.jsonl", json.dumps({"q": ["x", {"deep": LONG}]}) + "\n", "bench.jsonl:1"),
        ("bench.json", json.dumps([{"a": 1}, {"b": LONG}]), "bench.json:2"),
        ("bench.csv", f'id,text\n1,"{LONG}"\n', "bench.csv:2"),
        ("bench.tsv", f"id\ttext\n1\t{LONG}\n", "bench.tsv:2"),
    ],
)
def test_a_file_of_test_texts_is_looked_for(
    name: str, content: str, place: str, split_of: Callable[..., Any], work: Work, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    train = split_of([{"text": "nothing of the kind"}, {"text": LONG}], "completion")
    plugin = Decontaminate(against=name, action="report")
    done = plugin.preprocess({"train": train}, JOB, attrs.evolve(work, root=tmp_path))
    assert dict(done.report) == {"kept": 2, "dropped": 0, "contaminated": 1}
    assert f"as in {place}: " in done.examples[0]
    before = plugin.state(tmp_path)
    (tmp_path / name).write_text(content + " ", encoding="utf-8")
    assert before != plugin.state(tmp_path) is not None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.txt", None, "missing.txt: against: No such file"),
        ("bench.xyz", b"x", "bench.xyz: against: give a .txt"),
        ("bench.jsonl", b'{"a": 1}\nnot json\n', "bench.jsonl:2: against: no JSON"),
        ("bench.txt", b"caf\xe9", "bench.txt: against: can't be read as UTF-8"),
    ],
)
def test_a_file_that_is_none_is_refused(
    name: str, content: bytes | None, message: str, split_of: Callable[..., Any], work: Work, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    train = split_of([{"text": "a"}], "completion")
    with pytest.raises(SlmError, match=message) as caught:
        Decontaminate(against=name).preprocess({"train": train}, JOB, attrs.evolve(work, root=tmp_path))
    assert "\n" not in str(caught.value)


def test_without_a_test_set_it_says_so(split_of: Callable[..., Any], work: Work) -> None:
    told: list[Any] = []
    work = attrs.evolve(work, emit=lambda kind, data: told.append((kind, data)))
    train = split_of([{"text": "a"}], "completion")
    assert dict(Decontaminate().preprocess({"train": train}, JOB, work).report) == {"kept": 1, "dropped": 0}
    assert "no test set yet" in told[0][1]["text"]
