"""Texts are mended and tidied, and nothing else about a record changes."""

import random
from collections.abc import Callable
from typing import Any

import datasets
import pyarrow
import pytest

from slm.plugin import Base, Job, Work
from slm_preprocessors.contents.arrays import blank, plain
from slm_preprocessors.contents.content import fold, folded
from slm_preprocessors.mending.letters import doubtful
from slm_preprocessors.normalize import Normalize

JOB = Job("t", "qa", Base("scratch"))


@pytest.mark.parametrize(
    ("options", "before", "after"),
    [
        ({}, "plain", "plain"),
        ({}, "  a \t\n\n\n\n b\r\nc\xa0d  ", "a\n\n b\nc d"),
        ({}, "def f():\n\treturn  1", "def f():\n\treturn  1"),
        ({}, "GrÃ¼ÃŸe", "Grüße"),
        ({}, "â€œHiâ€ and â€œitâ€™s.â€", "“Hi” and “it’s.”"),  # noqa: RUF001
        ({}, "cafe\u0301", "café"),
        ({}, "“curly” ﬁne", "“curly” ﬁne"),
        ({"unicode": "NFKC"}, "ﬁne ①", "fine 1"),
        ({"repair": False}, "GrÃ¼ÃŸe", "GrÃ¼ÃŸe"),
        ({"whitespace": "collapse"}, " a \n b\t c ", "a b c"),
        ({"whitespace": "keep"}, " a \n\n\n\nb ", " a \n\n\n\nb "),
        ({}, "a &amp; <b>c</b>", "a &amp; <b>c</b>"),
        ({"html": "entities"}, "a &amp; <b>c</b> &lt;", "a & <b>c</b> <"),
        ({"html": "text"}, "<p>a &amp; b</p><ul><li>c</li><li>d<br>e</li></ul>", "a & b\n- c\n- d\ne"),
        ({"html": "text"}, "if a < b and List<String> x > 3", "if a < b and List<String> x > 3"),
        ({"html": "text"}, "<style>p {}</style>x<script>alert(1)</script>y", "xy"),
    ],
)
def test_a_text_is_normalized(
    options: dict[str, Any], before: str, after: str, split_of: Callable[..., Any], work: Work
) -> None:
    split = split_of([{"question": before, "answer": f"|{before}|"}], "qa")
    done = Normalize(**options).preprocess({"train": split}, JOB, work)
    (record,) = done.splits["train"].to_list()
    assert record["messages"][0] == {"role": "user", "content": after}
    assert record["id"] == split[0]["id"]
    assert dict(done.report)["dropped"] == 0


def test_every_text_field_is_normalized(split_of: Callable[..., Any], work: Work) -> None:
    split = split_of([{"prompt": "a ", "chosen": "b ", "rejected": "c "}], "preference")
    (record,) = Normalize().preprocess({"train": split}, JOB, work).splits["train"].to_list()
    assert (record["messages"][0]["content"], record["chosen"], record["rejected"]) == ("a", "b", "c")


def test_what_is_empty_then_is_dropped_and_kept_aside(split_of: Callable[..., Any], work: Work) -> None:
    rows = [{"question": "q", "answer": "a"}, {"question": "<p></p>", "answer": "a"}, {"question": "x ", "answer": "y"}]
    done = Normalize(html="text").preprocess({"train": split_of(rows, "qa")}, JOB, work)
    assert dict(done.report) == {"kept": 1, "changed": 1, "dropped": 1}
    assert done.splits["train"]["source"][:] == ["train:1", "train:3"]
    (dropped,) = done.dropped["train"].to_list()
    assert (dropped["source"], dropped["why"]) == ("train:2", "its question or its answer is empty after normalizing")
    assert done.examples == ("train:3: 'x \\x1fy' -> 'x\\x1fy'",)


def test_kept_columns_are_left_as_they_are(split_of: Callable[..., Any], work: Work) -> None:
    split = split_of([{"question": "a ", "answer": "b  "}, {"question": "GrÃ¼ÃŸe", "answer": "c"}], "qa")
    split = split.add_column("label", [" kept ", None]).add_column("number", [1, 2])
    done = Normalize().preprocess({"train": split}, JOB, work).splits["train"]
    assert (done["label"][:], done["number"][:]) == ([" kept ", None], [1, 2])
    assert [turns[0]["content"] for turns in done["messages"]] == ["a", "Grüße"]
    assert done.features == split.features


def test_records_without_turns_and_split_tables_are_read(work: Work) -> None:
    turns = [[], [{"role": "user", "content": "a "}, {"role": "assistant", "content": "b"}]]
    rows = [{"id": str(n), "source": f"s:{n}", "messages": turns[n % 2]} for n in range(6)]
    split = datasets.concatenate_datasets([datasets.Dataset.from_list(rows[:3]), datasets.Dataset.from_list(rows[3:])])
    done = Normalize().preprocess({"train": split.select([1, 3, 4, 5])}, JOB, work)
    assert dict(done.report) == {"kept": 1, "changed": 3, "dropped": 0}
    assert [len(turns) for turns in done.splits["train"]["messages"]] == [2, 2, 0, 2]


ALPHABET = (
    "aZ 1.,\t\r\n\x00\x07\x1b[31m\x7f\x85\x9d\xa0\xad"
    "°é߀Žœ“”’«»ÃÂâ€™ï¬ÐÑØÙà¤вЂГўʼΒΟβā‚√≈×²│▀яЯ漢Ａｱ\u2028\u200b\ufeff\ufffd😀"  # noqa: RUF001
)


def test_texts_that_are_said_to_be_whole_are_left_alone_by_ftfy() -> None:
    import ftfy

    draw, broken = random.Random(0), doubtful().search
    config = ftfy.TextFixerConfig(
        unescape_html=False, uncurl_quotes=False, fix_latin_ligatures=False, normalization=None, explain=False
    )
    others = [chr(code) for code in range(0xA0, 0x2600)]
    whole = 0
    for _ in range(20_000):
        letters = [*draw.choices(draw.choice((ALPHABET, others)), k=2), "a", "b", " "]
        text = "".join(draw.choices(letters, k=draw.randint(1, 7)))
        if "\r" not in text and not broken(text):
            whole += 1
            assert ftfy.fix_text(text, config) == text, ascii(text)
    assert whole > 2_000


@pytest.mark.parametrize("how", ["none", "space", "case", "punctuation"])
def test_many_texts_are_folded_as_one_is(how: Any) -> None:
    draw = random.Random(1)
    texts = ["".join(draw.choices(ALPHABET + "    aB.", k=draw.randint(0, 9))) for _ in range(3000)]
    array = pyarrow.array(texts)
    assert folded(array, how).to_pylist() == [fold(text, how) for text in texts]
    assert folded(array.slice(100, 50), how).to_pylist() == [fold(text, how) for text in texts[100:150]]


def test_plain_and_blank_texts_are_known_by_their_bytes() -> None:
    draw = random.Random(2)
    texts = ["".join(draw.choices("ab  \té\u3000\x1c", k=draw.randint(0, 5))) for _ in range(3000)]
    for array, own in ((pyarrow.array(texts), texts), (pyarrow.array(texts).slice(7, 1000), texts[7:1007])):
        assert blank(array).tolist() == [not text.strip() for text in own]
        for text, is_plain in zip(own, plain(array).tolist(), strict=True):
            assert not is_plain or (text.isascii() and text.isprintable() and text == " ".join(text.split()))
    assert plain(pyarrow.array(["a b", "c", "", "d e f"])).all()
    assert (
        plain(pyarrow.array([], pyarrow.string())).tolist() == blank(pyarrow.array([], pyarrow.string())).tolist() == []
    )
