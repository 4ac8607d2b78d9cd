"""Texts are mended and tidied, and nothing else about a record changes."""

from collections.abc import Callable
from typing import Any

import pytest

from slm.plugin import Base, Job, Work
from slm_preprocessors.normalize import Normalize

JOB = Job("t", "qa", Base("scratch"))


@pytest.mark.parametrize(
    ("options", "before", "after"),
    [
        ({}, "plain", "plain"),
        ({}, "  a \t\n\n\n\n b\r\nc\xa0d  ", "a\n\n b\nc d"),
        ({}, "def f():\n\treturn  1", "def f():\n\treturn  1"),
        ({}, "GrÃ¼ÃŸe", "Grüße"),
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
