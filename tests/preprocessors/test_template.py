"""Texts get the words that are asked for around them, and nothing else about a record changes."""

from collections.abc import Callable
from typing import Any

import pytest

from slm.config import attempt
from slm.plugin import Base, Job, SlmError, Work
from slm_preprocessors.template import Template, filled, names_in

QA = Job("t", "qa", Base("scratch"))


def turns(split: Any, n: int = 0) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in split[n]["messages"]]


CHAT = [
    {"role": "system", "content": "Old."},
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "1"},
    {"role": "user", "content": "two {user}"},
    {"role": "assistant", "content": "2"},
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["Old.", "one", "1", "two {user}", "2"]),
        ({"user": "Q: {user}"}, ["Old.", "Q: one", "1", "Q: two {user}", "2"]),
        ({"user": "Q: {user}", "turns": "last"}, ["Old.", "one", "1", "Q: two {user}", "2"]),
        ({"user": "Q: {user}", "turns": "first"}, ["Old.", "Q: one", "1", "two {user}", "2"]),
        ({"assistant": "{user} -> {assistant}"}, ["Old.", "one", "one -> 1", "two {user}", "two {user} -> 2"]),
        ({"assistant": "{{{assistant}}}"}, ["Old.", "one", "{1}", "two {user}", "{2}"]),
        ({"system": "New."}, ["New.", "one", "1", "two {user}", "2"]),
        ({"system": "{system} More."}, ["Old. More.", "one", "1", "two {user}", "2"]),
    ],
)
def test_turns_get_their_words(
    options: dict[str, Any], expected: list[str], split_of: Callable[..., Any], work: Work
) -> None:
    split = split_of([{"messages": CHAT}], "chat")
    done = Template(**options).preprocess({"train": split}, Job("t", "chat", Base("scratch")), work)
    assert [text for _, text in turns(done.splits["train"])] == expected
    assert [role for role, _ in turns(done.splits["train"])] == [turn["role"] for turn in CHAT]
    assert dict(done.report) == {"kept": not options, "changed": bool(options)}
    assert (done.splits["train"]["id"][:], done.splits["train"]["source"][:]) == (split["id"][:], split["source"][:])


def test_a_system_turn_is_added_where_there_is_none(split_of: Callable[..., Any], work: Work) -> None:
    split = split_of([{"question": "q", "answer": "a"}], "qa")
    done = Template(system="Be kind.", user="{user}?").preprocess({"train": split}, QA, work)
    assert turns(done.splits["train"]) == [("system", "Be kind."), ("user", "q?"), ("assistant", "a")]
    assert done.examples == ("train:1: '' -> 'Be kind.'",)


def test_kept_columns_may_be_named_and_stay(split_of: Callable[..., Any], work: Work) -> None:
    split = split_of([{"question": "q", "answer": "a"}, {"question": "r", "answer": "b"}], "qa")
    split = split.add_column("product name", ["router", None])
    done = Template(user="[{product name}] {user}").preprocess({"train": split}, QA, work)
    assert [turns(done.splits["train"], n)[0][1] for n in range(2)] == ["[router] q", "[] r"]
    assert done.splits["train"]["product name"][:] == ["router", None]


@pytest.mark.parametrize(
    ("rows", "task", "options", "expected"),
    [
        (
            [{"text": "x", "label": "a"}],
            "classification",
            {"text": "Review: {text}"},
            {"text": "Review: x", "label": "a"},
        ),
        ([{"text": "x"}], "completion", {"text": "# {text}\n"}, {"text": "# x\n"}),
        (
            [{"prompt": "p", "chosen": "c", "rejected": "r"}],
            "preference",
            {"user": "Q: {user}", "assistant": "{assistant}."},
            {"messages": [{"role": "user", "content": "Q: p"}], "chosen": "c.", "rejected": "r."},
        ),
    ],
)
def test_every_task_has_its_places(
    rows: Any, task: str, options: Any, expected: Any, split_of: Callable[..., Any], work: Work
) -> None:
    done = Template(**options).preprocess({"train": split_of(rows, task)}, Job("t", task, Base("scratch")), work)
    (record,) = done.splits["train"]
    assert {name: record[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("options", "say"),
    [
        ({"user": "Q: {user"}, "expected '}' before end of string"),
        ({"user": "Q: user}"}, "a brace that is meant is doubled"),
        ({"user": "{0}"}, "{0} is not the name of a field"),
        ({"user": "{}"}, "{} is not the name of a field"),
        ({"user": "{user!r}"}, "is not the name of a field"),
        ({"user": "Question"}, "names no field"),
        ({"user": "{user} {assistant}"}, "{assistant} would tell the answer"),
        ({"text": "{text} is {label}"}, "{label} would tell the answer"),
        ({"turns": "some"}, "expected one of 'all', 'first', 'last'"),
    ],
)
def test_wrong_templates_are_said_when_they_are_read(options: dict[str, Any], say: str) -> None:
    made, (mistake,) = attempt(options, Template, "p")
    assert made is None
    assert say in mistake.say


@pytest.mark.parametrize(
    ("options", "say"),
    [
        ({"user": "{usr}"}, r"template.user: no field 'usr'; did you mean \{user\}\? \(there is \{user\}, \{system\}"),
        ({"text": "{text}"}, "template.text: the records have no text; there is user and assistant and system"),
    ],
)
def test_what_the_records_lack_is_said_before_the_first(
    options: dict[str, Any], say: str, split_of: Callable[..., Any], work: Work
) -> None:
    with pytest.raises(SlmError, match=say):
        Template(**options).preprocess({"train": split_of([{"question": "q", "answer": "a"}], "qa")}, QA, work)


def test_values_are_no_templates() -> None:
    assert filled("<{a}> {{b}}", {"a": "{b} {{"}) == "<{b} {{> {b}"
    assert names_in("{a} {{b}} {c d}") == ["a", "c d"]
