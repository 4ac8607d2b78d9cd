"""Items as task data, and annotation results as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slm.plugin import SlmError
from slm_annotation.values import Item

from .dialogues import read_dialogue, written
from .places import Control, Controls, Place
from .predictions import to_result
from .shapes import EXTERNAL, FIELDS, VALUES, listed
from .spans import read_span

__all__ = ["to_data", "to_fields", "to_result", "to_values"]

Region = dict[str, Any]


def to_data(item: Item, controls: Controls) -> dict[str, Any]:
    """A task's data. SlmError where the config shows what no item has."""
    data: dict[str, Any] = {}
    for name, place in controls.fields.items():
        data |= (
            written(item.fields.get(name), place) if name == "dialogue" else {place.key: item.fields.get(name) or ""}
        )
    if controls.asked and controls.asked.options:
        if not controls.labels:
            raise SlmError(f"label config: its labels are those in each task's ${controls.asked.options}; state labels")
        data[controls.asked.options] = [{"value": label} for label in controls.labels]
    own = {"id": item.key, "source": item.source}
    if strange := [key for key in controls.unfilled if key not in own]:
        raise SlmError(
            f"label config: shows ${strange[0]}, which no record has; take it out, or say by map = {{...}} "
            f"which of {listed(FIELDS[controls.shape])} it is"
        )
    data |= {key: own[key] for key in controls.unfilled}
    return data | dict(zip(EXTERNAL, (item.key, item.digest, item.source), strict=True))


def to_fields(data: Mapping[str, Any], controls: Controls) -> dict[str, Any]:
    """The fields in a task's data; empty ones where it has none."""
    return {
        name: read_dialogue(data, place) if name == "dialogue" else _plain(data.get(place.key))
        for name, place in controls.fields.items()
    }


def to_values(result: Any, data: Mapping[str, Any], controls: Controls) -> tuple[dict[str, Any], str]:
    """What an annotation's result answers, and why it can't be used (empty where it can).

    Of several regions of one control the last counts, where one is asked for. Text that was not touched is the
    field's; without a verdict, one that was is `fixed`. What other controls and relations say is left out.
    """
    fields = to_fields(data, controls)
    values: dict[str, Any] = {}
    faults = [f"the task has no '{place.key}'" for place in _lost(data, controls)]
    for value, control in controls.values.items():
        found = [each["value"] for each in _regions(result) if each.get("from_name") == control.name]
        try:
            values |= READERS[VALUES[controls.shape][value].kind](value, found, data, fields, controls)
        except SlmError as error:
            faults.append(str(error))
    if controls.shape in ("qa", "completion") and "verdict" not in values:
        changed = any(
            values.get(name) not in (None, fields[name]) for name in ("question", "answer", "text") if name in fields
        )
        values["verdict"] = "fixed" if changed else "good"
    return values, "; ".join(faults)


def _regions(result: Any) -> list[Mapping[str, Any]]:
    regions = result if isinstance(result, list) else []
    return [each for each in regions if isinstance(each, Mapping) and isinstance(each.get("value"), Mapping)]


def _lost(data: Mapping[str, Any], controls: Controls) -> list[Place]:
    return [place for name, place in controls.fields.items() if name == "text" and place.key not in data]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _read_text(value: str, found: Sequence[Any], data: Any, fields: Mapping[str, Any], controls: Controls) -> Any:
    texts = [text for each in found for text in _several(each.get("text")) if isinstance(text, str)]
    was = fields.get(VALUES[controls.shape][value].field, "")
    return {value: texts[-1] if texts and _lines(texts[-1]) != _lines(was) else was}


def _lines(text: str) -> str:
    """Browsers write line ends anew in a box for text."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_choice(value: str, found: Sequence[Any], data: Any, fields: Any, controls: Controls) -> Any:
    control, want = controls.values[value], VALUES[controls.shape][value]
    chosen = _known(_several(found[-1].get("choices")) if found else [], value, control, data, want.words)
    if len(chosen) > 1:
        raise SlmError(f"{value}: {listed(chosen)} are chosen where one is asked for")
    if not chosen and want.needed:
        raise SlmError(f"{value}: none is chosen")
    return {value: chosen[0]} if chosen else {}


def _read_choices(value: str, found: Sequence[Any], data: Any, fields: Any, controls: Controls) -> Any:
    chosen = [label for each in found for label in _several(each.get("choices"))]
    return {value: _known(list(dict.fromkeys(map(str, chosen))), value, controls.values[value], data)}


def _known(
    chosen: Sequence[Any], value: str, control: Control, data: Mapping[str, Any], words: Sequence[str] = ()
) -> list[str]:
    labels = _labels(control, data)
    for label in chosen:
        if label not in labels:
            raise SlmError(f"{value}: {label!r} is no longer in the label config (it has {listed(labels) or 'none'})")
        if words and control.words.get(label) not in words:
            raise SlmError(f"{value}: {label!r} is none of {listed(words)}; say which by map = {{{words[0]} = '...'}}")
    return [control.words.get(label, label) for label in chosen]


def _labels(control: Control, data: Mapping[str, Any]) -> list[str]:
    """The labels of the config, and those that the task brings."""
    own = data.get(control.options) if control.options else None
    options = [each.get("alias") or each.get("value") for each in _several(own) if isinstance(each, Mapping)]
    return [*control.labels, *(str(each) for each in options)]


def _read_rating(value: str, found: Sequence[Any], data: Any, fields: Any, controls: Controls) -> Any:
    rating = found[-1].get("rating") if found else None
    if not rating:
        return {}
    if isinstance(rating, bool) or not isinstance(rating, int | float) or rating not in (1, 2, 3, 4, 5):
        raise SlmError(f"{value}: {rating!r} is no number from 1 to 5")
    return {value: int(rating)}


def _read_spans(value: str, found: Sequence[Any], data: Any, fields: Mapping[str, Any], controls: Controls) -> Any:
    control, text = controls.values[value], fields["text"]
    spans: dict[tuple[int, int, str], Region] = {}
    faults: list[str] = []
    for each in found:
        try:
            start, end = read_span(each, text)
            labels = _known(_several(each.get("labels")), value, control, data)
            if not labels:
                raise SlmError(f"span {start}-{end} has no label")
        except SlmError as error:
            faults.append(str(error))
            continue
        for label in labels:
            spans[start, end, label] = {"start": start, "end": end, "label": label, "text": text[start:end]}
    if faults:
        raise SlmError("; ".join(faults[:3]) + (f"; and {len(faults) - 3} more" if len(faults) > 3 else ""))
    return {value: [spans[place] for place in sorted(spans)]}


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


READERS: Mapping[str, Callable[[str, Sequence[Any], Any, Any, Controls], Any]] = {
    "textarea": _read_text,
    "choice": _read_choice,
    "choices": _read_choices,
    "rating": _read_rating,
    "labels": _read_spans,
}
