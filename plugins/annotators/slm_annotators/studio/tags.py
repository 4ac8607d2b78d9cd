"""A label config as a flat list of what it shows and what it asks, parsed and checked by Label Studio's own SDK."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from slm.plugin import SlmError

CHECK = "check it under Settings, Labeling Interface"


@frozen
class Shown:
    """Something shown: `kind` is its tag in small letters, `key` that of the task's data, empty if it has none."""

    name: str
    kind: str
    key: str
    given: Mapping[str, str]


@frozen
class Asked:
    """A control: `to` names what it is about, `labels` are as answers have them, `options` the key of dynamic ones."""

    name: str
    kind: str
    to: tuple[str, ...]
    labels: tuple[str, ...]
    options: str
    prefill: str
    given: Mapping[str, str]

    @property
    def whole(self) -> bool:
        """Whether it is about the whole task, not a region or one of several items."""
        return not {self.given.get("perRegion"), self.given.get("perItem")} & {"true"}


@frozen
class Tags:
    """All of a config's controls and objects by name."""

    shown: Mapping[str, Shown]
    asked: Mapping[str, Asked]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that a task's data must have: the server refuses one without."""
        found = [each.key for each in self.shown.values()]
        found += [key for each in self.asked.values() for key in (each.options, each.prefill)]
        return tuple(dict.fromkeys(key for key in found if key))

    def __str__(self) -> str:
        return ", ".join(self._described()) or "no controls"

    def _described(self) -> Iterator[str]:
        names = {"textarea": "TextArea", "hypertext": "HyperText"}
        parts: list[Shown | Asked] = [*self.shown.values(), *self.asked.values()]
        for each in parts:
            yield f"{names.get(each.kind, each.kind.capitalize())} '{each.name}'"


def read_tags(config: str) -> Tags:
    """The config's parts; SlmError with the SDK's reason where it is not sound."""
    from label_studio_sdk._legacy.exceptions import (
        LabelStudioValidationErrorSentryIgnored,
        LabelStudioXMLSyntaxErrorSentryIgnored,
    )
    from label_studio_sdk.label_interface import LabelInterface

    if "<!doctype" in config.lower():
        raise SlmError(f"label config: has a DOCTYPE, which Label Studio refuses; {CHECK}")
    try:
        interface = LabelInterface(config)
        interface.validate()
    except (LabelStudioValidationErrorSentryIgnored, LabelStudioXMLSyntaxErrorSentryIgnored, ValueError) as error:
        raise SlmError(f"label config: {' '.join(str(error).split())[:300]}; {CHECK}") from None
    shown = {tag.name: _shown(tag) for tag in interface.objects}
    return Tags(shown, {tag.name: _asked(tag) for tag in interface.controls})


def _shown(tag: Any) -> Shown:
    return Shown(tag.name, tag.tag.lower(), _variable(tag.value), dict(tag.attr))


def _asked(tag: Any) -> Asked:
    kind, own = tag.tag.lower(), _variable(tag.attr.get("value"))
    options, prefill = ("", own) if kind == "textarea" else (own, "")
    labels = tuple(tag.labels or ())
    return Asked(tag.name, kind, tuple(tag.to_name), labels, options, prefill, dict(tag.attr))


def _variable(value: str | None) -> str:
    return value[1:] if value and value.startswith("$") else ""
