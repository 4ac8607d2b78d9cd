"""Label configs: what people see in Label Studio, made for a shape, or a user's own with labels added."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from slm.plugin import SlmError
from slm_annotation.values import FLAGS

from .shapes import LABELLED, VALUES

if TYPE_CHECKING:
    from .controls import Controls

FEW = 12
"""Labels up to here stand below each other; more stand in columns, with a filter."""
STYLE = """
.slm-page { max-width: 1100px; }
.slm-box { margin: 0 0 16px; padding: 8px 16px 12px; border: 1px solid #8884; border-radius: 8px; }
.slm-asked { border-color: #7a5cf0; }
.slm-pair { display: flex; gap: 16px; align-items: stretch; }
.slm-pair .slm-box { flex: 1 1 0; min-width: 0; }
.slm-many label { break-inside: avoid; }
.slm-many { columns: 220px; max-height: 420px; overflow-y: auto; }
.slm-long textarea { min-height: 120px; }
.slm-page [class*="wrapperText"] { white-space: pre-wrap; }
.slm-page [class*="authorFilter"], .slm-page [class*="selectAllBtn"] { display: none; }
.slm-page [class*="titleWrapper"] [class*="time"] { display: none; }
.slm-context:not(:has([class*="richtext__line"]:not(:empty))) { display: none; }
"""
ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
VARIABLE = re.compile(r"\$(?=[\w\[\].{}])")
WORDS = {
    "good": "Good as it stood",
    "fixed": "Fixed: I changed it",
    "bad": "Bad: leave it out",
    "wrong": "Wrong",
    "unsafe": "Unsafe",
    "unclear": "Unclear",
    "off-topic": "Off topic",
    "a": "A is better",
    "b": "B is better",
    "tie": "A tie",
}
"""How people read our fixed answers."""


def config_for(shape: str, labels: Sequence[str]) -> str:
    """The label config of a new project, as XML. SlmError where a label can't be one."""
    known = checked(labels)
    if shape in LABELLED and not known:
        raise SlmError(f"labels: there are none; {shape} needs at least one")
    view = Element("View", {"className": "slm-page"})
    SubElement(view, "Style").text = STYLE
    MAKERS[shape](view, known)
    indent(view)
    return tostring(view, encoding="unicode")


def with_labels(config: str, controls: Controls, labels: Sequence[str]) -> str:
    """The config with the labels that it lacks put behind those it has; every other character stays as it was."""
    control = controls.asked
    lacking = [label for label in checked(labels) if control and label not in control.labels]
    if not control or control.options or not lacking:
        return config
    place, space = _end_of(config, control.name)
    tag = "Label" if control.kind == "labels" else "Choice"
    count = len(control.labels)
    new = [Element(tag, _label(tag, label, count + n)) for n, label in enumerate(lacking)]
    lines = [f"<{tag} {' '.join(f'{key}={quoteattr(value, ESCAPED)}' for key, value in e.items())}/>" for e in new]
    return config[:place] + "".join(f"{space}{line}" for line in lines) + config[place:]


def checked(labels: Sequence[str]) -> list[str]:
    """The labels, each once; SlmError for one that no config can hold."""
    for label in labels:
        if not label.strip():
            raise SlmError("labels: one is empty; every label needs a name")
        if found := ILLEGAL.search(label):
            raise SlmError(f"labels: {label!r}: holds the character {found[0]!r}, which no label can; take it out")
    return list(dict.fromkeys(labels))


ESCAPED = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}


def _end_of(config: str, name: str) -> tuple[int, str]:
    """Where the last child of a control ends, and the space to put before the next."""
    parser = expat.ParserCreate("utf-8")
    data = config.encode()
    path: list[str] = []
    first = last = 0

    def begin(tag: str, given: Mapping[str, str]) -> None:
        nonlocal first
        if name in path and not first:
            first = parser.CurrentByteIndex
        path.append(given.get("name", "") if tag != "Label" and tag != "Choice" else "")

    def end(tag: str) -> None:
        nonlocal last
        if path.pop() == name:
            last = parser.CurrentByteIndex

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.Parse(data, True)
    inside, before = data[:last].decode(), data[:first].decode()
    return len(inside.rstrip()), before[len(before.rstrip()) :]


def _label(tag: str, label: str, number: int) -> dict[str, str]:
    """The attributes of a label. The editor takes `$word` for a variable: an invisible joiner keeps it from that, and
    the alias is what comes back."""
    safe = VARIABLE.sub("$\u2060", label)
    given = {"value": safe} if safe == label else {"value": safe, "alias": label}
    return given | ({"background": _colour(number)} if tag == "Label" else {})


def _colour(number: int) -> str:
    """Colours that differ: each hue is a golden angle from the one before, in three depths."""
    red, green, blue = colorsys.hls_to_rgb(number * 0.61803398875 % 1, (0.42, 0.55, 0.33)[number // 8 % 3], 0.65)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def _box(parent: Element, title: str, *marks: str) -> Element:
    box = SubElement(parent, "View", {"className": " ".join(["slm-box", *(f"slm-{mark}" for mark in marks)])})
    SubElement(box, "Header", {"value": title, "size": "5"})
    return box


def _text(parent: Element, title: str, field: str, *marks: str) -> str:
    name = f"shown_{field}"
    SubElement(_box(parent, title, *marks), "Text", {"name": name, "value": f"${field}"})
    return name


def _dialogue(parent: Element, title: str) -> str:
    given = {"name": "shown_dialogue", "value": "$dialogue", "layout": "dialogue", "nameKey": "role"}
    SubElement(_box(parent, title), "Paragraphs", {**given, "textKey": "content"})
    return "shown_dialogue"


def _edit(parent: Element, shape: str, value: str, to: str, title: str, rows: int) -> None:
    """A box for text that begins with the field's own; `transcription` keeps it open for typing."""
    want = VALUES[shape][value]
    given = {"name": want.name, "toName": to, "value": f"${want.field}", "rows": str(rows), "maxSubmissions": "1"}
    box = _box(parent, title, "asked", *(["long"] if rows > 2 else []))
    SubElement(
        box,
        "TextArea",
        {**given, "editable": "true", "transcription": "true", "showSubmitButton": "false", "required": "true"},
    )


def _words(parent: Element, shape: str, value: str, to: str, title: str, words: Sequence[str]) -> None:
    """A choice between fixed answers, in words that people read."""
    want = VALUES[shape][value]
    given = {"name": want.name, "toName": to, "choice": "multiple" if want.kind == "choices" else "single-radio"}
    given |= {"showInline": "true"} | ({"required": "true"} if want.needed else {})
    choices = SubElement(_box(parent, title, "asked"), "Choices", given)
    for word in words:
        SubElement(choices, "Choice", {"value": WORDS[word], "alias": word})


def _choices(parent: Element, shape: str, value: str, to: str, title: str, labels: Sequence[str]) -> None:
    """A choice between the user's labels."""
    want = VALUES[shape][value]
    box = _box(parent, title, "asked")
    many = len(labels) > FEW
    if many:
        SubElement(box, "Filter", {"name": "filter", "toName": want.name, "minlength": "0", "hotkey": "shift+f"})
    given = {"name": want.name, "toName": to, "choice": "multiple" if want.kind == "choices" else "single-radio"}
    given |= {"required": "true"} if want.kind == "choice" else {}
    choices = SubElement(SubElement(box, "View", {"className": "slm-many"}) if many else box, "Choices", given)
    for number, label in enumerate(labels):
        SubElement(choices, "Choice", _label("Choice", label, number))


def _qa(view: Element, labels: Sequence[str]) -> None:
    to = _text(view, "Context", "context", "context")
    _edit(view, "qa", "question", to, "Question", 2)
    _edit(view, "qa", "answer", to, "Answer", 5)
    _words(view, "qa", "verdict", to, "Verdict", VALUES["qa"]["verdict"].words)


def _chat(view: Element, labels: Sequence[str]) -> None:
    to = _dialogue(view, "Conversation")
    _edit(view, "chat", "response", to, "Response", 6)
    box = _box(view, "Rating", "asked")
    SubElement(box, "Rating", {"name": "rating", "toName": to, "maxRating": "5", "hotkey": "r"})
    _words(view, "chat", "flags", to, "What is wrong with it", FLAGS)


def _completion(view: Element, labels: Sequence[str]) -> None:
    to = _text(view, "Text as it is", "text")
    _edit(view, "completion", "text", to, "Text as it should be", 10)
    _words(view, "completion", "verdict", to, "Verdict", VALUES["completion"]["verdict"].words)


def _classification(view: Element, labels: Sequence[str]) -> None:
    _choices(view, "classification", "label", _text(view, "Text", "text"), "Label", labels)


def _multilabel(view: Element, labels: Sequence[str]) -> None:
    _choices(view, "multilabel", "labels", _text(view, "Text", "text"), "Labels: all that apply", labels)


def _spans(view: Element, labels: Sequence[str]) -> None:
    box = _box(view, "Choose a label, then mark its text", "asked")
    if len(labels) > FEW:
        SubElement(box, "Filter", {"name": "filter", "toName": "spans", "minlength": "0", "hotkey": "shift+f"})
    tags = SubElement(box, "Labels", {"name": "spans", "toName": "shown_text"})
    for number, label in enumerate(labels):
        SubElement(tags, "Label", _label("Label", label, number))
    text = {"name": "shown_text", "value": "$text", "granularity": "symbol"}
    SubElement(SubElement(view, "View", {"className": "slm-box"}), "Text", text)


def _preference(view: Element, labels: Sequence[str]) -> None:
    _dialogue(view, "Conversation")
    pair = SubElement(view, "View", {"className": "slm-pair"})
    to = _text(pair, "A", "a")
    _text(pair, "B", "b")
    _words(view, "preference", "choice", to, "Which answer is better?", VALUES["preference"]["choice"].words)


MAKERS: Mapping[str, Callable[[Element, Sequence[str]], None]] = {
    "qa": _qa,
    "chat": _chat,
    "completion": _completion,
    "classification": _classification,
    "multilabel": _multilabel,
    "spans": _spans,
    "preference": _preference,
}
