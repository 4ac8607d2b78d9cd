"""Label configs: made for every shape, read whoever made them, and added to without harm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slm.plugin import SlmError
from slm_annotation.values import SHAPES
from slm_annotators.studio.configs import config_for, with_labels
from slm_annotators.studio.controls import read_config

EVERY = sorted({shape for shapes in SHAPES.values() for shape in shapes})
LABELLED = ("classification", "multilabel", "spans")
NASTY = [
    "R&D <b>",
    'say "x"',
    "it's",
    "Music",
    "music",
    "🎵",
    "$5 off",
    "pay$me",
    " padded ",
    "tab\tand\nline",
    "true",
    "7",
]
TEXT = '<Text name="shown" value="$text"/>'
ONE = '<Choices name="{0}" toName="shown"><Choice value="x"/><Choice value="y"/></Choices>'
MANY = ONE.replace("toName", 'choice="multiple" toName')


def view(*parts: str) -> str:
    return f"<View>{''.join(parts)}</View>"


@pytest.mark.parametrize("shape", EVERY)
def test_a_config_of_ours_carries_its_shape(shape: str) -> None:
    labels = NASTY if shape in LABELLED else []
    config = config_for(shape, labels)
    controls = read_config(config, shape, {})
    assert controls.labels == tuple(labels)
    assert controls.missing == controls.unfilled == ()
    assert read_config(config, "", {}) == controls
    keys = {place.key for place in controls.fields.values()}
    names = [each.get("name") for each in fromstring(config).iter() if each.get("name")]
    assert not keys & set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("shape", LABELLED)
def test_hundreds_of_labels_stay_apart_by_name_and_can_be_filtered(shape: str) -> None:
    labels = [f"intent {n}" for n in range(500)]
    config = config_for(shape, labels)
    assert read_config(config, shape, {}).labels == tuple(labels)
    assert "<Filter" in config
    assert "<Filter" not in config_for(shape, labels[:5])


def test_the_first_labels_of_spans_have_colours_of_their_own() -> None:
    config = fromstring(config_for("spans", [f"L{n}" for n in range(60)]))
    assert len({each.get("background") for each in config.iter("Label")}) == 60


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([], "there are none"),
        (["a", ""], "empty"),
        (["a", " \t"], "empty"),
        (["a\x00b"], r"'a\x00b'"),
        (["a\ud800"], "labels:"),
        (["￾"], "labels:"),
    ],
)
def test_labels_that_no_config_can_hold_are_refused(labels: list[str], words: str) -> None:
    with pytest.raises(SlmError) as caught:
        config_for("classification", labels)
    assert words in str(caught.value)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1, unique=True))
def test_whatever_a_label_is_it_comes_back_from_the_config(labels: list[str]) -> None:
    try:
        config = config_for("multilabel", labels)
    except SlmError:
        assert any(not label.strip() or set(label) & {"\ufffe", "\uffff"} for label in labels)
        return
    controls = read_config(config, "", {})
    assert controls.labels == tuple(labels)
    more = with_labels(config, controls, ["one more <&>", *labels])
    assert read_config(more, "", {}).labels == tuple(dict.fromkeys((*labels, "one more <&>")))


OWN = """<?xml version="1.0"?>
<!-- ours: don't touch -->
<View  className='x'>
\t<Style>.a > .b { color: red }</Style>
    <Choices name='topic' toName="shown" choice="single"   >
        <Choice value="x" alias='X1' hint="an &#233;"/>
        <View><Choice value="é"/></View>

    </Choices>
  <Text name="shown" value="$text"></Text>
</View>
"""


def test_labels_are_added_and_all_else_stays_as_it_was() -> None:
    controls = read_config(OWN, "classification", {})
    assert controls.labels == ("X1", "é")
    assert with_labels(OWN, controls, ["é", "X1"]) == OWN
    more = with_labels(OWN, controls, ["é", 'new "&"', "$5"])
    assert read_config(more, "classification", {}).labels == ("X1", "é", 'new "&"', "$5")
    kept = [line for line in more.splitlines() if line in OWN.splitlines()]
    assert kept == OWN.splitlines()
    assert "\n        <Choice value='new \"&amp;\"'/>\n" in more


def test_labels_are_added_to_a_control_without_space_around_it() -> None:
    config = view('<Labels name="l" toName="shown"><Label value="a"/></Labels>', TEXT)
    more = with_labels(config, read_config(config, "spans", {}), ["a", "b"])
    assert more.startswith('<View><Labels name="l" toName="shown"><Label value="a"/><Label value="b" background="#')
    assert more.endswith(f"/></Labels>{TEXT}</View>")


def test_labels_that_each_task_brings_are_left_to_the_tasks() -> None:
    config = view('<Choices name="l" toName="shown" value="$options"/>', TEXT)
    controls = read_config(config, "classification", {})
    assert with_labels(config, controls, ["a"]) == config
    assert (controls.labels, controls.values["label"].options, controls.unfilled) == ((), "options", ())


PAIR = '<Text name="l" value="$left"/><Text name="r" value="$right"/>'
AB = '<Choices name="better" toName="l"><Choice value="A"/><Choice value="B"/><Choice value="Tie"/></Choices>'
EDITS = """<Text name="ctx" value="$passage"/><TextArea name="q" toName="ctx" value="$ask"/>
<TextArea name="a" toName="ctx" value="$say"/>"""


@pytest.mark.parametrize(
    ("config", "mapping", "shape", "fields", "values"),
    [
        (view(TEXT, ONE.format("topic")), {}, "classification", {"text": "text"}, {"label": "topic"}),
        (view(TEXT, MANY.format("topic")), {}, "multilabel", {"text": "text"}, {"labels": "topic"}),
        (
            view('<Text name="t" value="$body"/><Labels name="n" toName="t"><Label value="x"/></Labels>'),
            {},
            "spans",
            {"text": "body"},
            {"spans": "n"},
        ),
        (
            view(TEXT, ONE.format("topic"), ONE.format("mood")),
            {"label": "mood"},
            "classification",
            {"text": "text"},
            {"label": "mood"},
        ),
        (
            view(TEXT, ONE.format("mood"), ONE.format("label")),
            {},
            "classification",
            {"text": "text"},
            {"label": "label"},
        ),
        (
            view(TEXT, ONE.format("topic"), ONE.format("mood").replace("toName", 'perRegion="true" toName')),
            {},
            "classification",
            {"text": "text"},
            {"label": "topic"},
        ),
        (
            view(TEXT, ONE.format("topic"), '<TextArea name="remark" toName="shown"/>'),
            {},
            "classification",
            {"text": "text"},
            {"label": "topic"},
        ),
        (
            view(EDITS),
            {"question": "q", "answer": "a"},
            "qa",
            {"question": "ask", "answer": "say", "context": "passage"},
            {"question": "q", "answer": "a"},
        ),
        (
            view(EDITS),
            {"question": "ask", "answer": "$say", "context": "ctx"},
            "qa",
            {"question": "ask", "answer": "say", "context": "passage"},
            {"question": "q", "answer": "a"},
        ),
        (view(PAIR, AB), {}, "preference", {"a": "left", "b": "right", "dialogue": "dialogue"}, {"choice": "better"}),
        (
            view(PAIR, AB),
            {"a": "right", "b": "l"},
            "preference",
            {"a": "right", "b": "left", "dialogue": "dialogue"},
            {"choice": "better"},
        ),
        (
            view('<Paragraphs name="d" value="$talk"/><TextArea name="new" toName="d" value="$reply"/>'),
            {},
            "chat",
            {"dialogue": "talk", "response": "reply"},
            {"response": "new"},
        ),
        (
            view('<Paragraphs name="d" value="$talk"/><TextArea name="new" toName="d"/>'),
            {},
            "chat",
            {"dialogue": "talk", "response": "response"},
            {"response": "new"},
        ),
        (
            view(TEXT, '<TextArea name="new" toName="shown" value="$text"/>'),
            {},
            "completion",
            {"text": "text"},
            {"text": "new"},
        ),
    ],
)
def test_a_config_of_the_users_own_is_understood(
    config: str, mapping: Mapping[str, str], shape: str, fields: Any, values: Any
) -> None:
    for asked in (shape, ""):
        controls = read_config(config, asked, mapping)
        assert controls.shape == shape
        assert {name: place.key for name, place in controls.fields.items()} == fields
        assert {value: control.name for value, control in controls.values.items()} == values


def test_words_of_the_users_own_are_said_by_map() -> None:
    choices = '<Choices name="better" toName="l"><Choice value="Left one"/><Choice value="Right one"/></Choices>'
    with pytest.raises(SlmError, match=r"'better'.*choices are others"):
        read_config(view(PAIR, choices), "preference", {})
    with pytest.raises(SlmError, match=r"Left one, Right one.*map = \{a = "):
        read_config(view(PAIR, choices), "preference", {"choice": "better"})
    mapping = {"choice": "better", "a": "Left one", "b": "Right one"}
    assert read_config(view(PAIR, choices), "preference", mapping).values["choice"].words == {
        "Left one": "a",
        "Right one": "b",
    }


@pytest.mark.parametrize(
    ("config", "shape", "mapping", "words"),
    [
        (view(TEXT), "classification", {}, ["'label'", "Choices", "Text 'shown'", "map = {label"]),
        (view(TEXT, MANY.format("topic")), "classification", {}, ["'label'", "'topic'", "several can be chosen"]),
        (view(TEXT, ONE.format("topic")), "multilabel", {}, ["'labels'", "'topic'", "only one"]),
        (view(TEXT, ONE.format("x"), ONE.format("y")), "classification", {}, ["could be x, y", "map = {label"]),
        (view(TEXT, ONE.format("x")), "spans", {}, ["'spans'", "Labels"]),
        (view(TEXT, ONE.format("x")), "classification", {"label": "z"}, ["label = 'z'", "Choices 'x'", "keys text"]),
        (view(TEXT, ONE.format("x")), "classification", {"text": "tekst"}, ["text = 'tekst'", "keys text"]),
        (view(TEXT, ONE.format("x")), "classification", {"lable": "x"}, ["'lable'", "text, label"]),
        (view(TEXT, MANY.format("x")), "classification", {"label": "x"}, ["label = 'x'", "several"]),
        (
            view('<Image name="shown" value="$i"/>', ONE.format("x")),
            "classification",
            {},
            ["'label'", "a Image, not a Text"],
        ),
        (
            view('<HyperText name="t" value="$t"/><Labels name="l" toName="t"><Label value="x"/></Labels>'),
            "spans",
            {},
            ["'spans'", "Hypertext, not a Text"],
        ),
        (view(TEXT, ONE.format("x").replace("name=", 'perRegion="true" name=', 1)), "classification", {}, ["region"]),
        (view(TEXT, ONE.format("x").replace("name=", 'allowNested="true" name=', 1)), "classification", {}, ["nested"]),
        (view('<Text name="t" value="$t"/><TextArea name="a" toName="t" value="$t"/>'), "qa", {}, ["'question'"]),
        (view('<Text name="shown" value="$t" valueType="url"/>', ONE.format("x")), "classification", {}, ["valueType"]),
        (view(PAIR, '<Pairwise name="p" toName="l,r"/>'), "preference", {}, ["'choice'", "'p': a Pairwise has no tie"]),
        (
            view(TEXT, '<Taxonomy name="x" toName="shown"><Choice value="a"/></Taxonomy>'),
            "classification",
            {},
            ["'x': slm reads no Taxonomy"],
        ),
        (view(ONE.format("x")), "classification", {}, ["toName", "shown"]),
        ("<View><Text", "classification", {}, ["label config"]),
        ("", "classification", {}, ["label config"]),
        ("<View/>", "classification", {}, ["'label'", "no controls"]),
        (view(TEXT, TEXT, ONE.format("x")), "classification", {}, ["non-unique"]),
        ("<!DOCTYPE x [<!ENTITY e 'e'>]><View/>", "classification", {}, ["DOCTYPE"]),
        ('<?xml version="1.0" encoding="utf-8"?><View/>', "classification", {}, ["label config"]),
        (view(TEXT), "", {}, ["none of", "Text 'shown'", "map"]),
        (view('<Image name="i" value="$i"/>'), "", {}, ["none of", "Image 'i'"]),
    ],
)
def test_a_config_that_cannot_carry_the_shape_is_told_what_it_lacks(
    config: str, shape: str, mapping: Mapping[str, str], words: list[str]
) -> None:
    with pytest.raises(SlmError) as caught:
        read_config(config, shape, mapping)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


def test_what_a_config_shows_and_no_record_has_is_known() -> None:
    config = view(TEXT, ONE.format("x"), '<Text name="h" value="$headline"/>')
    assert read_config(config, "classification", {}).unfilled == ("headline",)


@pytest.mark.parametrize("shape", EVERY)
def test_the_server_takes_the_config_and_shows_it_as_it_was_sent(studio: Any, shape: str) -> None:
    labels = NASTY + [f"intent {n}" for n in range(150)] if shape in LABELLED else []
    config = config_for(shape, labels)
    made = studio.api("POST", "/api/projects/", {"title": studio.title(), "label_config": config})
    found = studio.api("GET", f"/api/projects/{made['id']}/")["label_config"]
    assert read_config(found, "", {}) == read_config(config, shape, {})


def test_the_server_takes_added_labels_once_there_are_answers(studio: Any) -> None:
    config = config_for("classification", ["a", "b"])
    number = studio.api("POST", "/api/projects/", {"title": studio.title(), "label_config": config})["id"]
    task = studio.api("POST", f"/api/projects/{number}/import", [{"data": {"text": "x"}}], return_task_ids=True)
    region = {"from_name": "label", "to_name": "shown_text", "type": "choices", "value": {"choices": ["a"]}}
    studio.answer(task["task_ids"][0], region)
    more = with_labels(config, read_config(config, "", {}), ["c & d"])
    studio.api("PATCH", f"/api/projects/{number}/", {"label_config": more})
    found = studio.api("GET", f"/api/projects/{number}/")["label_config"]
    assert read_config(found, "", {}).labels == ("a", "b", "c & d")
