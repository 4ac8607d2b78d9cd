"""Values as the result of a prediction, checked against the label config: the server stores what does not fit, and
then shows nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from slm.plugin import SlmError

from .places import Control, Controls
from .shapes import VALUES, listed

Region = dict[str, Any]


def to_result(values: Mapping[str, Any], fields: Mapping[str, Any], controls: Controls) -> list[Region]:
    """The regions of a prediction; SlmError names the control and what it can hold.

    Text that is not guessed is that of the field: what people make of a prediction starts from its regions alone.
    """
    result: list[Region] = []
    for value, control in controls.values.items():
        want = VALUES[controls.shape][value]
        given = values.get(value)
        if given is None and want.kind == "textarea":
            given = fields.get(want.field)
        if given is None or given in ("", []):
            continue
        result += [
            {"from_name": control.name, "to_name": control.to, "type": control.kind, "value": made}
            for made in MAKERS[want.kind](given, fields, control, controls, partial(_unfit, value, control))
        ]
    return result


def _unfit(value: str, control: Control, why: str) -> SlmError:
    return SlmError(f"{value}: {why}, so the control '{control.name}' can't hold it")


def _text(given: Any, fields: Any, control: Control, controls: Controls, unfit: Any) -> list[Region]:
    if not isinstance(given, str):
        raise unfit(f"{given!r} is no text")
    return [{"text": [given]}]


def _choice(given: Any, fields: Any, control: Control, controls: Controls, unfit: Any) -> list[Region]:
    return [{"choices": [_label(given, control, controls, unfit)]}]


def _choices(given: Any, fields: Any, control: Control, controls: Controls, unfit: Any) -> list[Region]:
    if isinstance(given, str):
        raise unfit(f"{given!r} is no list of labels")
    return [{"choices": [_label(label, control, controls, unfit) for label in dict.fromkeys(given)]}]


def _label(given: Any, control: Control, controls: Controls, unfit: Any) -> str:
    """The config's label for a label or fixed word of ours."""
    valid = _valid(control, controls)
    if control.words:
        valid = tuple(word for label in control.labels if (word := control.words.get(label)))
    if given not in valid and (valid or not control.options):
        raise unfit(f"{given!r} is none of the labels in the label config ({listed(valid)})")
    return next((label for label in control.labels if control.words.get(label) == given), str(given))


def _valid(control: Control, controls: Controls) -> tuple[str, ...]:
    return controls.labels if control == controls.asked else control.labels


def _rating(given: Any, fields: Any, control: Control, controls: Controls, unfit: Any) -> list[Region]:
    if isinstance(given, bool) or given not in (1, 2, 3, 4, 5):
        raise unfit(f"{given!r} is no number from 1 to 5")
    return [{"rating": int(given)}]


def _spans(given: Any, fields: Mapping[str, Any], control: Control, controls: Controls, unfit: Any) -> list[Region]:
    text, made = fields["text"], []
    for span in given:
        start, end = span["start"], span["end"]
        if not 0 <= start < end <= len(text):
            raise unfit(f"span {start}-{end} is beyond the {len(text)} characters of the text")
        if span.get("text", text[start:end]) != text[start:end]:
            raise unfit(f"span {start}-{end} is {span['text']!r}, and the text there {text[start:end]!r}")
        label = _label(span["label"], control, controls, unfit)
        made.append({"start": start, "end": end, "text": text[start:end], "labels": [label]})
    return made


MAKERS: Mapping[str, Callable[[Any, Any, Control, Controls, Any], list[Region]]] = {
    "textarea": _text,
    "choice": _choice,
    "choices": _choices,
    "rating": _rating,
    "labels": _spans,
}
