"""Items go into tasks, answers come out of results, and guesses into predictions: each way and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slm.plugin import SlmError
from slm_annotation.values import CHOICES, FLAGS, SHAPES, VERDICTS, Item
from slm_annotators.studio.configs import config_for
from slm_annotators.studio.controls import Controls, read_config
from slm_annotators.studio.results import to_data, to_fields, to_result, to_values

EVERY = sorted({shape for shapes in SHAPES.values() for shape in shapes})
LABELS = ("R&D <b>", 'say "x"', "$5 off", "Music", "music", "🎵")
TEXT = "👩\u200d👩\u200d👧 Mail bob@x.io,\r\nthen\tcall e\u0301ve — café & <b>Ann</b>.\\n"
TURNS = [{"role": "system", "content": "Be <kind>."}, {"role": "user", "content": "Hi 👋\nyou?"}]
FIELDS: dict[str, dict[str, Any]] = {
    "qa": {"question": "Where?", "answer": "There.\r\nOr not.", "context": TEXT},
    "chat": {"dialogue": TURNS, "response": TEXT},
    "completion": {"text": TEXT},
    "classification": {"text": TEXT},
    "multilabel": {"text": TEXT},
    "spans": {"text": TEXT},
    "preference": {"dialogue": TURNS, "a": TEXT, "b": "no"},
}
BOB = {"start": 11, "end": 19, "label": "Music", "text": "bob@x.io"}
VALUES: dict[str, dict[str, Any]] = {
    "qa": {"question": "Where to?", "answer": "There.\r\nOr not.", "verdict": "fixed"},
    "chat": {"response": "Hello 👋", "rating": 4, "flags": ["unclear", "off-topic"]},
    "completion": {"text": "Else", "verdict": "bad"},
    "classification": {"label": "$5 off"},
    "multilabel": {"labels": ["music", "R&D <b>"]},
    "spans": {"spans": [{**BOB, "start": 6, "end": 10, "text": "Mail"}, BOB]},
    "preference": {"choice": "tie"},
}
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40)


def ours(shape: str) -> Controls:
    return read_config(config_for(shape, LABELS), shape, {})


KNOWN = {shape: ours(shape) for shape in EVERY}


def item(shape: str, **fields: Any) -> Item:
    return Item("key-1", "abc", "faqs.csv:17", {**FIELDS[shape], **fields})


def chosen(*labels: Any, name: str = "label") -> dict[str, Any]:
    return {"from_name": name, "to_name": "shown_text", "type": "choices", "value": {"choices": list(labels)}}


def written(value: Any, name: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "shown_context", "type": "textarea", "value": {"text": value}}


def marked(start: Any, end: Any, text: Any, *labels: str) -> dict[str, Any]:
    value = {"start": start, "end": end, "text": text, "labels": list(labels)}
    return {"id": "r1", "from_name": "spans", "to_name": "shown_text", "type": "labels", "value": value}


@pytest.mark.parametrize("shape", EVERY)
def test_a_task_holds_the_item_and_its_name(shape: str) -> None:
    data = to_data(item(shape), KNOWN[shape])
    assert (data["ext_id"], data["ext_hash"], data["ext_source"]) == ("key-1", "abc", "faqs.csv:17")
    assert to_fields(data, KNOWN[shape]) == FIELDS[shape]


@pytest.mark.parametrize("shape", ["chat", "preference"])
def test_a_dialogue_without_turns_still_has_something_to_show(shape: str) -> None:
    data = to_data(item(shape, dialogue=[]), KNOWN[shape])
    assert data["dialogue"]
    assert to_fields(data, KNOWN[shape])["dialogue"] == []


def test_a_dialogue_is_shown_as_the_users_own_config_wants_it() -> None:
    speakers = '<Paragraphs name="d" value="$talk" nameKey="who" textKey="says"/>'
    text = '<Text name="d" value="$talk"/>'
    for shown, expected in (
        (speakers, [{"who": "system", "says": "Be <kind>."}, {"who": "user", "says": "Hi 👋\nyou?"}]),
        (text, "system: Be <kind>.\n\nuser: Hi 👋\nyou?"),
    ):
        config = f'<View>{shown}<TextArea name="r" toName="d" value="$response"/></View>'
        controls = read_config(config, "chat", {"dialogue": "talk"})
        data = to_data(item("chat"), controls)
        assert data["talk"] == expected
        assert to_fields(data, controls)["dialogue"] == TURNS
        assert to_fields({"talk": "Hi"}, controls)["dialogue"] == [{"role": "user", "content": "Hi"}]


def test_speakers_of_other_names_are_the_roles_that_they_play() -> None:
    paragraphs = '<Paragraphs name="d" value="$dialogue"/>'
    config = f'<View>{paragraphs}<TextArea name="r" toName="d" value="$response"/></View>'
    talk = [{"author": "Human", "text": "Hi"}, {"author": "Bot", "text": None}, "?", {"author": "Eve", "text": 3}, {}]
    assert to_fields({"dialogue": talk}, read_config(config, "chat", {}))["dialogue"] == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": ""},
        {"role": "Eve", "content": "3"},
        {"role": "user", "content": ""},
    ]


def test_what_a_config_shows_is_filled_from_the_item_or_refused() -> None:
    ask = '<Choices name="l" toName="t"><Choice value="x"/><Choice value="y"/></Choices>'
    config = f'<View><Text name="t" value="$text"/><Text name="s" value="$source"/>{ask}</View>'
    assert to_data(item("classification"), read_config(config, "classification", {"text": "text"}))["source"]
    config = config.replace("$source", "$headline")
    with pytest.raises(SlmError, match=r"\$headline, which no record has"):
        to_data(item("classification"), read_config(config, "classification", {"text": "text"}))


def test_labels_that_tasks_bring_are_written_and_read_with_each_task() -> None:
    config = '<View><Text name="t" value="$text"/><Choices name="label" toName="t" value="$options"/></View>'
    bare = read_config(config, "classification", {})
    with pytest.raises(SlmError, match=r"\$options"):
        to_data(item("classification"), bare)
    controls = attrs.evolve(bare, labels=("a", "b"))
    data = to_data(item("classification"), controls)
    assert data["options"] == [{"value": "a"}, {"value": "b"}]
    assert to_values([chosen("b")], data, bare) == ({"label": "b"}, "")
    assert "'c'" in to_values([chosen("c")], data, bare)[1]
    assert to_result({"label": "b"}, {}, controls)[0]["value"] == {"choices": ["b"]}
    with pytest.raises(SlmError, match="'c' is none of"):
        to_result({"label": "c"}, {}, controls)


@pytest.mark.parametrize("shape", EVERY)
def test_values_come_back_from_the_prediction_that_was_made_of_them(shape: str) -> None:
    result = to_result(VALUES[shape], FIELDS[shape], KNOWN[shape])
    assert to_values(result, to_data(item(shape), KNOWN[shape]), KNOWN[shape]) == (VALUES[shape], "")


def spans_of(text: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    def span(places: tuple[int, int], label: str) -> dict[str, Any]:
        start, end = min(places), max(places) + 1
        return {"start": start, "end": end, "label": label, "text": text[start:end]}

    place = st.integers(0, len(text) - 1)
    found = st.builds(span, st.tuples(place, place), st.sampled_from(LABELS))
    return st.lists(found, unique_by=lambda s: (s["start"], s["end"], s["label"]), max_size=4).map(
        lambda spans: sorted(spans, key=lambda s: (s["start"], s["end"], s["label"]))
    )


@st.composite
def answered(draw: st.DrawFn) -> tuple[str, dict[str, Any], dict[str, Any]]:
    shape = draw(st.sampled_from(EVERY))
    fields = {name: draw(PLAIN) for name in FIELDS[shape] if name != "dialogue"}
    verdict = st.sampled_from(VERDICTS)
    values: st.SearchStrategy[dict[str, Any]] = {
        "qa": st.fixed_dictionaries({"question": PLAIN, "answer": PLAIN, "verdict": verdict}),
        "chat": st.fixed_dictionaries(
            {"response": PLAIN, "flags": st.lists(st.sampled_from(FLAGS), unique=True)},
            optional={"rating": st.integers(1, 5)},
        ),
        "completion": st.fixed_dictionaries({"text": PLAIN, "verdict": verdict}),
        "classification": st.fixed_dictionaries({"label": st.sampled_from(LABELS)}),
        "multilabel": st.fixed_dictionaries({"labels": st.lists(st.sampled_from(LABELS), unique=True)}),
        "spans": st.fixed_dictionaries({"spans": spans_of(fields.get("text", "x"))}),
        "preference": st.fixed_dictionaries({"choice": st.sampled_from(CHOICES)}),
    }[shape]
    turns = st.lists(st.builds(lambda role, content: {"role": role, "content": content}, st.just("user"), PLAIN))
    return shape, {**fields, **({"dialogue": draw(turns)} if "dialogue" in FIELDS[shape] else {})}, draw(values)


@settings(deadline=None, max_examples=300)
@given(answered())
def test_whatever_the_text_values_and_fields_come_back(drawn: tuple[str, dict[str, Any], dict[str, Any]]) -> None:
    from label_studio_sdk.label_interface import LabelInterface

    shape, fields, values = drawn
    controls = KNOWN[shape]
    data = to_data(Item("k", "d", "s", fields), controls)
    assert to_fields(data, controls) == fields
    result = to_result(values, fields, controls)
    found, fault = to_values(result, data, controls)
    assert fault == ""
    assert {name: ends(value) for name, value in found.items()} == {name: ends(value) for name, value in values.items()}
    interface = LabelInterface(config_for(shape, LABELS))
    assert interface.validate_prediction({"result": result, "score": 0.5}, return_errors=True) == []


def ends(value: Any) -> Any:
    """Line ends alone are no change of a text."""
    return value.replace("\r\n", "\n").replace("\r", "\n") if isinstance(value, str) else value


QA = to_data(item("qa"), KNOWN["qa"])
BROWSER = "There.\nOr not."
"""The answer as a browser's box for text gives it back."""


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ([], {"question": "Where?", "answer": "There.\r\nOr not.", "verdict": "good"}),
        ([written(["Where?"], "question_edit"), written([BROWSER], "answer_edit")], {"verdict": "good"}),
        ([written([BROWSER], "answer_edit")], {"answer": "There.\r\nOr not."}),
        ([written("Where to?", "question_edit")], {"question": "Where to?", "verdict": "fixed"}),
        ([written(["x", "y"], "answer_edit"), written(["z"], "answer_edit")], {"answer": "z", "verdict": "fixed"}),
        ([written([], "answer_edit"), written([None, 3], "answer_edit")], {"answer": "There.\r\nOr not."}),
        ([written([""], "answer_edit")], {"answer": "", "verdict": "fixed"}),
        ([written(["x"], "answer_edit"), chosen("bad", name="verdict")], {"answer": "x", "verdict": "bad"}),
        ([written(["x"], "answer_edit"), chosen("good", name="verdict")], {"answer": "x", "verdict": "good"}),
        ([written(["x"], "remarks"), {"type": "relation", "from_id": "a", "to_id": "b"}], {"verdict": "good"}),
    ],
)
def test_edits_are_read_and_a_verdict_left_out_is_told_by_them(result: list[Any], expected: dict[str, Any]) -> None:
    values, fault = to_values(result, QA, KNOWN["qa"])
    assert fault == ""
    assert values | expected == values


@pytest.mark.parametrize(
    ("shape", "result", "expected"),
    [
        ("classification", [chosen("Music"), chosen("music")], {"label": "music"}),
        ("classification", [{"from_name": "label", "value": {"choices": "music"}}], {"label": "music"}),
        ("multilabel", [], {"labels": []}),
        (
            "multilabel",
            [chosen("Music", name="labels"), chosen("🎵", "Music", name="labels")],
            {"labels": ["Music", "🎵"]},
        ),
        ("spans", [], {"spans": []}),
        (
            "spans",
            [marked(11, 19, "bob@x.io", "music", "Music"), marked(11, 19, "bob@x.io", "Music")],
            {"spans": [BOB, {**BOB, "label": "music"}]},
        ),
        ("spans", [marked(6, 19, "Mail bob@x.io", "Music"), marked(6, 10, "Mail", "Music")], None),
        ("chat", [], {"response": TEXT, "flags": []}),
        ("chat", [{"from_name": "rating", "value": {"rating": 0}}], {"response": TEXT, "flags": []}),
        ("chat", [{"from_name": "rating", "value": {"rating": 4.0}}], {"response": TEXT, "flags": [], "rating": 4}),
        ("preference", [chosen("a", name="choice")], {"choice": "a"}),
    ],
)
def test_results_of_every_form_are_read(shape: str, result: list[Any], expected: Any) -> None:
    values, fault = to_values(result, to_data(item(shape), KNOWN[shape]), KNOWN[shape])
    assert fault == ""
    assert expected is None or values == expected


@pytest.mark.parametrize(
    ("shape", "result", "words"),
    [
        ("classification", [], ["label", "none is chosen"]),
        ("classification", None, ["none is chosen"]),
        ("classification", "{}", ["none is chosen"]),
        ("classification", [None, 3, {"from_name": "label"}, {"from_name": "label", "value": "x"}], ["none is chosen"]),
        ("classification", [chosen("jazz")], ["'jazz'", "no longer in the label config", "Music, music"]),
        ("classification", [chosen(7)], ["7"]),
        ("classification", [chosen(["a", "b"])], ["['a', 'b']"]),
        ("classification", [chosen("Music", "music")], ["Music, music", "where one is asked"]),
        ("multilabel", [chosen("Music", "jazz", name="labels")], ["'jazz'"]),
        ("preference", [], ["choice", "none is chosen"]),
        ("preference", [chosen("A", name="choice")], ["'A'", "a, b, tie"]),
        ("chat", [{"from_name": "rating", "value": {"rating": 9}}], ["rating", "9"]),
        ("chat", [{"from_name": "rating", "value": {"rating": "5"}}], ["rating", "'5'"]),
        ("spans", [marked(0, 3, "Bob", "Music")], ["0-3", "'Bob'"]),
        ("spans", [marked(100, 200, "Bob", "Music")], ["100-200", "beyond"]),
        ("spans", [marked(11, 19, "bob@x.io", "jazz")], ["'jazz'"]),
        ("spans", [marked(11, 19, "bob@x.io")], ["11-19", "no label"]),
        ("spans", [marked(n, n, "", "Music") for n in range(9)], ["and 6 more"]),
    ],
)
def test_what_cannot_be_used_is_a_fault_that_says_why(shape: str, result: Any, words: list[str]) -> None:
    _, fault = to_values(result, to_data(item(shape), KNOWN[shape]), KNOWN[shape])
    assert all(word in fault for word in words), fault
    assert "\n" not in fault


def test_a_task_without_its_text_is_a_fault() -> None:
    assert "no 'text'" in to_values([chosen("Music")], {"title": "x"}, KNOWN["classification"])[1]


WRONG: list[tuple[str, Mapping[str, Any], list[str]]] = [
    ("classification", {"label": "jazz"}, ["label", "'jazz'", "Music, music", "'label'"]),
    ("classification", {"label": 7}, ["7"]),
    ("multilabel", {"labels": ["Music", "jazz"]}, ["'jazz'", "'labels'"]),
    ("multilabel", {"labels": "Music"}, ["no list"]),
    ("preference", {"choice": "c"}, ["'c'", "a, b, tie"]),
    ("qa", {"verdict": "fine"}, ["'fine'", "good, fixed, bad"]),
    ("qa", {"answer": 3}, ["3", "no text"]),
    ("chat", {"rating": 6}, ["6", "1 to 5"]),
    ("chat", {"flags": ["rude"]}, ["'rude'", "wrong, unsafe"]),
    ("spans", {"spans": [{**BOB, "label": "jazz"}]}, ["'jazz'"]),
    ("spans", {"spans": [{**BOB, "end": 900}]}, ["11-900", "beyond"]),
    ("spans", {"spans": [{**BOB, "start": 10}]}, ["'bob@x.io'", "' bob@x.io'"]),
]


@pytest.mark.parametrize(("shape", "values", "words"), WRONG)
def test_a_guess_that_does_not_fit_is_refused(shape: str, values: Mapping[str, Any], words: list[str]) -> None:
    with pytest.raises(SlmError) as caught:
        to_result(values, FIELDS[shape], KNOWN[shape])
    assert all(word in str(caught.value) for word in words), caught.value


def test_what_is_not_guessed_of_a_text_starts_as_it_stood() -> None:
    texts = {each["from_name"]: each["value"] for each in to_result({"answer": "New"}, FIELDS["qa"], KNOWN["qa"])}
    assert texts == {"question_edit": {"text": ["Where?"]}, "answer_edit": {"text": ["New"]}}


@pytest.mark.parametrize("shape", EVERY)
def test_a_strict_server_takes_our_tasks_and_predictions_and_gives_them_back(studio_strict: Any, shape: str) -> None:
    controls = KNOWN[shape]
    number = made(studio_strict, shape)
    guess = {"model_version": "m", "score": 0.7, "result": to_result(VALUES[shape], FIELDS[shape], controls)}
    task = {"data": to_data(item(shape), controls), "predictions": [guess]}
    reply = studio_strict.api("POST", f"/api/projects/{number}/import", [task], return_task_ids=True)
    assert (reply["task_count"], reply["prediction_count"]) == (1, 1)
    found = studio_strict.api("GET", f"/api/tasks/{reply['task_ids'][0]}/")
    assert to_fields(found["data"], controls) == FIELDS[shape]
    assert to_values(found["predictions"][0]["result"], found["data"], controls) == (VALUES[shape], "")


@pytest.mark.parametrize(
    ("shape", "region"),
    [
        ("classification", chosen("jazz")),
        ("multilabel", chosen("Music", "jazz", name="labels")),
        ("spans", marked(0, 3, "👩\u200d👩", "jazz")),
        ("preference", chosen("c", name="choice")),
        ("chat", {"from_name": "rating", "to_name": "shown_dialogue", "type": "rating", "value": {"rating": 6}}),
    ],
)
def test_the_strict_server_refuses_what_we_refuse(studio_strict: Any, shape: str, region: dict[str, Any]) -> None:
    task = {"data": to_data(item(shape), KNOWN[shape]), "predictions": [{"score": 0.5, "result": [region]}]}
    with pytest.raises(AssertionError, match="400"):
        studio_strict.api("POST", f"/api/projects/{made(studio_strict, shape)}/import", [task])
    assert to_values([region], task["data"], KNOWN[shape])[1]


def made(studio: Any, shape: str) -> int:
    body = {"title": studio.title(), "label_config": config_for(shape, LABELS)}
    return int(studio.api("POST", "/api/projects/", body)["id"])
