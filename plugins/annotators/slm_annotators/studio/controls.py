"""Which control of a label config asks for which value, and which key of a task's data has which field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from attrs import define, field

from slm.plugin import SlmError

from .places import Control, Controls, Place
from .shapes import EXTERNAL, FIELDS, LABELLED, OPTIONAL, TAGS, VALUES, Want, listed
from .tags import Asked, Shown, Tags, read_tags

__all__ = ["Control", "Controls", "Place", "read_config"]

ORDER = ("qa", "preference", "chat", "completion", "spans", "multilabel", "classification")
"""Shapes in the order in which they are looked for: what asks for more comes first."""
NEAR = {"pairwise": "a Pairwise has no tie", "taxonomy": "slm reads no Taxonomy"}
TEXTS = ("text", "hypertext", "paragraphs")


def read_config(config: str, shape: str, mapping: Mapping[str, str]) -> Controls:
    """What the config has for the shape, or for the first shape that it can carry if none is given.

    Found by `mapping` (our name -> control or data key), by the names in our own configs, and by kind where only one
    fits. SlmError names what is missing, and what the config has.
    """
    tags = read_tags(config)
    if shape:
        return _Reading(tags, shape, mapping).controls()
    found = list(_readable(tags, mapping))
    if found:
        return min(found, key=lambda controls: len(controls.unfilled))
    raise SlmError(
        f"label config: fits none of {listed(ORDER)}; it has {tags}; "
        "state the shape, and by map = {...} which control asks for what"
    )


def _readable(tags: Tags, mapping: Mapping[str, str]) -> Iterator[Controls]:
    for shape in ORDER:
        with suppress(SlmError):
            yield _Reading(tags, shape, mapping).controls()


@define
class _Reading:
    """The search; `taken` are the names that already have a role."""

    tags: Tags
    shape: str
    mapping: Mapping[str, str]
    taken: set[str] = field(factory=set)

    def controls(self) -> Controls:
        self._refuse_strangers()
        wants = VALUES[self.shape]
        found = {value: control for value, want in wants.items() if (control := self._control(value, want))}
        values = {value: self._translated(value, control, wants[value]) for value, control in found.items()}
        places = {name: place for name in FIELDS[self.shape] if (place := self._place(name, found))}
        filled = {*(place.key for place in places.values()), *(each.options for each in values.values()), *EXTERNAL}
        asked = values.get(LABELLED.get(self.shape, ""))
        return Controls(
            self.shape,
            asked.labels if asked else (),
            places,
            values,
            tuple(value for value in wants if value not in values),
            tuple(key for key in self.tags.keys if key not in filled),
        )

    def _refuse_strangers(self) -> None:
        words = [word for want in VALUES[self.shape].values() for word in want.words]
        known = dict.fromkeys([*FIELDS[self.shape], *VALUES[self.shape], *words])
        for name, there in self.mapping.items():
            if name not in known:
                raise SlmError(f"map: '{name}' is no field or value of {self.shape}; it has {listed(list(known))}")
            if name not in words and not self._is_there(there):
                raise SlmError(
                    f"map: {name} = '{there}': the label config has no control or data key of that name; "
                    f"it has {self.tags}, and the keys {listed(self.tags.keys) or 'none'}"
                )

    def _is_there(self, name: str) -> bool:
        return name in self.tags.asked or name in self.tags.shown or name.removeprefix("$") in self.tags.keys

    def _control(self, value: str, want: Want) -> Asked | None:
        """The control for a value; None where there is none and answers can do without."""
        stated = self.tags.asked.get(self.mapping.get(value, ""))
        if stated and (why := self._unfit(stated, want)):
            raise SlmError(f"map: {value} = '{stated.name}': {why}; {value} needs {TAGS[want.kind]}")
        found = stated or self._named(value, want) or self._fitting(value, want)
        if found:
            self.taken.add(found.name)
        elif want.needed:
            raise SlmError(
                f"label config: nothing asks for '{value}' ({TAGS[want.kind]}{self._near(want)}); it has {self.tags}; "
                f"add one, or name it by map = {{{value} = '...'}}"
            )
        return found

    def _named(self, value: str, want: Want) -> Asked | None:
        """The control with the name that our configs give it, or that starts from the value's field."""
        starts = {self.mapping.get(want.field, want.field).removeprefix("$")} - {""}
        for name in (want.name, value):
            each = self.tags.asked.get(name)
            if each and name not in self._claimed() and not self._unfit(each, want):
                return each
        return next((each for each in self._free(want) if each.prefill in starts), None)

    def _fitting(self, value: str, want: Want) -> Asked | None:
        """The only control that can ask for it. A free TextArea may be for remarks: it is taken only if needed."""
        if want.kind == "textarea" and not want.needed:
            return None
        free = [each for each in self._free(want) if not want.words or self._words(each, want)]
        if want.kind == "textarea" and want.field == "text":
            free = [each for each in free if each.prefill]
        if len(free) > 1 and want.needed:
            names = listed([each.name for each in free])
            raise SlmError(f"label config: '{value}' could be {names}; say which by map = {{{value} = '...'}}")
        return free[0] if len(free) == 1 else None

    def _free(self, want: Want) -> list[Asked]:
        claimed = self._claimed()
        return [each for each in self.tags.asked.values() if each.name not in claimed and not self._unfit(each, want)]

    def _claimed(self) -> set[str]:
        return self.taken | {name for name in self.mapping.values() if name in self.tags.asked}

    def _unfit(self, asked: Asked, want: Want) -> str:
        """Why the control can't ask for the value; empty if it can."""
        if asked.kind != {"choice": "choices"}.get(want.kind, want.kind):
            return f"it is a {asked.kind.capitalize()}"
        if not asked.whole:
            return "it is asked of each region"
        if asked.kind == "choices" and (asked.given.get("choice") == "multiple") != (want.kind == "choices"):
            return "several can be chosen" if want.kind == "choice" else "only one can be chosen"
        if asked.given.get("allowNested") == "true":
            return "its choices are nested"
        if asked.kind == "rating" and not 1 <= _number(asked.given.get("maxRating", "5")) <= 5:
            return f"it has {asked.given['maxRating']} stars"
        if want.kind == "labels" or (want.field == "text" and want.kind != "textarea"):
            return self._unfit_object(asked, want)
        return ""

    def _unfit_object(self, asked: Asked, want: Want) -> str:
        shown = self.tags.shown.get(asked.to[0])
        if shown is None or shown.kind not in (("text",) if want.kind == "labels" else TEXTS[:2]):
            return f"it is about a {shown.kind.capitalize() if shown else 'control'}, not a Text"
        return ""

    def _near(self, want: Want) -> str:
        """Why controls of about this kind are not what is needed."""
        kinds = ("choices", "pairwise", "taxonomy") if want.kind in ("choice", "choices") else (want.kind,)
        near = [(each, self._unfit(each, want)) for each in self.tags.asked.values() if each.kind in kinds]
        found = [f"'{each.name}': {NEAR.get(each.kind) or why or 'its choices are others'}" for each, why in near]
        return f"; {', '.join(found)}" if found else ""

    def _words(self, asked: Asked, want: Want) -> dict[str, str]:
        """Our word for each label; empty where the control lacks one that is needed."""
        named = {self.mapping[word]: word for word in want.words if word in self.mapping}
        own = {label: label.strip().casefold() for label in asked.labels}
        found = {label: named.get(label, own[label]) for label in asked.labels}
        known = {label: word for label, word in found.items() if word in want.words}
        if want.kind == "choices":
            return found
        return known if set(want.words) - {"tie", "fixed"} <= set(known.values()) else {}

    def _translated(self, value: str, asked: Asked, want: Want) -> Control:
        words = self._words(asked, want) if want.words else {}
        if want.words and not words and not asked.options:
            lacking = listed([word for word in want.words if word not in ("tie", "fixed")])
            raise SlmError(
                f"label config: '{asked.name}' has the choices {listed(asked.labels) or 'none'}; "
                f"'{value}' needs {lacking}; say which is which by map = {{{want.words[0]} = '...'}}"
            )
        return Control(asked.name, asked.kind, asked.to[0], asked.labels, words, asked.options)  # type: ignore[arg-type]

    def _place(self, name: str, found: Mapping[str, Asked]) -> Place | None:
        """Where the data has a field: as mapped, as named by us, as the control that edits or labels it says, or in
        the only object left that can show it."""
        shown = self._shown_as(name, found)
        key = shown if isinstance(shown, str) else shown.key if shown else ""
        if not key and (
            name in OPTIONAL or (self.shape, name) == ("preference", "dialogue") or self._is_new(name, found)
        ):
            return Place(name, "turns" if name == "dialogue" else "text")
        if not key:
            raise SlmError(
                f"label config: nothing shows '{name}'; it has {self.tags}; add <Text name=\"shown_{name}\" "
                f"value=\"${name}\"/>, or name the data key by map = {{{name} = '...'}}"
            )
        self.taken.add(key)
        return _placed(name, key, self.tags)

    def _is_new(self, name: str, found: Mapping[str, Asked]) -> bool:
        """Whether people write the field from nothing: its empty TextArea is all that they are asked for."""
        return len(self.tags.asked) == 1 and any(
            value in found and want.field == name != "text" for value, want in VALUES[self.shape].items()
        )

    def _shown_as(self, name: str, found: Mapping[str, Asked]) -> Shown | str | None:
        stated = self.mapping.get(name, "")
        if stated in self.tags.shown:
            return self.tags.shown[stated]
        if stated.removeprefix("$") in self.tags.keys:
            return stated.removeprefix("$")
        if stated in self.tags.asked and self.tags.asked[stated].prefill:
            return self.tags.asked[stated].prefill
        if name in self.tags.keys:
            return name
        for value, want in VALUES[self.shape].items():
            if want.field == name and value in found:
                if found[value].prefill:
                    return found[value].prefill
                if name == "text":
                    return self.tags.shown.get(found[value].to[0])
        return self._only_left(name)

    def _only_left(self, name: str) -> Shown | None:
        """The only object that can show it; of two texts left for a and b, each in its order."""
        mapped = {each.removeprefix("$") for each in self.mapping.values()}
        texts = [each for each in self.tags.shown.values() if each.key and each.kind in TEXTS]
        edited = {self.tags.asked[each].prefill for each in self.taken if each in self.tags.asked}
        gone = self.taken | mapped | edited | set(FIELDS[self.shape])
        left = [each for each in texts if not {each.key, each.name} & gone]
        turns = [each for each in left if each.kind == "paragraphs"]
        left = turns or left if name == "dialogue" else [each for each in left if each not in turns]
        wanted = 2 if name == "a" else 1
        return left[0] if len(left) == wanted else None


def _placed(name: str, key: str, tags: Tags) -> Place:
    shown = next((each for each in tags.shown.values() if each.key == key), None)
    if shown and (shown.given.get("valueType") == "url" or shown.given.get("encoding", "none") != "none"):
        raise SlmError(
            f"label config: '{shown.name}' shows {name} from an address or encoded; "
            "slm needs the text itself in the task: take valueType and encoding out"
        )
    if name != "dialogue":
        return Place(key)
    if shown and shown.kind == "paragraphs":
        return Place(key, "turns", shown.given.get("nameKey", "author"), shown.given.get("textKey", "text"))
    return Place(key)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
