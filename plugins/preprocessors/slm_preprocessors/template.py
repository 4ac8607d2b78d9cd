"""The words around a record's texts: questions, answers and system turns brought into one wording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from string import Formatter
from typing import TYPE_CHECKING, Any, Literal

import attrs
from attrs import field, frozen

from slm.plugin import Bid, Hardware, Job, Processed, Rank, SlmError, Work, hookimpl

from .contents.aside import written
from .contents.content import shorten, tables
from .contents.texts import TEXTS, kept_columns, replaced

if TYPE_CHECKING:
    import datasets

ROLES = ("user", "assistant", "system")
ANSWERS = ("assistant", "chosen", "rejected", "label")
EXAMPLES = 5

Turns = list[dict[str, str]]


def _sound(instance: object, attribute: attrs.Attribute[Any], value: str) -> None:
    try:
        names = names_in(value)
    except ValueError as error:
        raise ValueError(f"{value!r}: {error}; a brace that is meant is doubled: {{{{") from None
    if value and attribute.name != "system" and not names:
        raise ValueError(
            f"{value!r} names no field, so that every text would be the same; such as {{{attribute.name}}}"
        )
    told = [name for name in names if name in ANSWERS]
    if attribute.name != "assistant" and told:
        raise ValueError(f"{value!r}: {{{told[0]}}} would tell the answer")


def names_in(template: str) -> list[str]:
    """The fields that a template names; ValueError where it is not a template."""
    names = []
    for _, name, form, conversion in Formatter().parse(template):
        if name is not None:
            if not name.strip() or name.isdigit() or form or conversion:
                raise ValueError(f"{{{name}}} is not the name of a field")
            names.append(name)
    return names


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with its fields' values; what stands in a value is never read as a template."""
    return "".join(
        words + (values[name] if name is not None else "") for words, name, _, _ in Formatter().parse(template)
    )


def _template(text: str) -> Any:
    return field(default="", validator=_sound, metadata={"help": text})


@frozen
class Template:
    """Puts words around questions, answers and texts: `user = "Question: {user}"`; other columns by their names."""

    user: str = _template("The user's turns: {user} and any other column, such as 'Question: {user}'.")
    assistant: str = _template("The assistant's turns (and both answers of a preference): {assistant}.")
    system: str = _template("The system turn: added, or in the place of the one that is there ({system}).")
    text: str = _template("The text of a completion or a classification: {text}.")
    turns: Literal["all", "first", "last"] = field(
        default="all", metadata={"help": "Which turns of the user, and of the assistant, get the new words."}
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "runs where the pipeline names it")

    @hookimpl
    def preprocess(self, splits: Mapping[str, datasets.Dataset], job: Job, work: Work) -> Processed:
        for split in splits.values():
            self._refuse(split.column_names)
        report, examples, made = {"kept": 0, "changed": 0}, list[str](), {}
        for name, split in splits.items():
            rows = self._rows(split, report, examples)
            made[name] = written(rows, split.features.arrow_schema, name, work)
        return Processed(made, report, {}, tuple(examples))

    def _refuse(self, columns: Sequence[str]) -> None:
        """Raise SlmError for a template that the records have no place or no field for."""
        places = ROLES if "messages" in columns else ("text",)
        kept = kept_columns(columns)
        for option in (*ROLES, "text"):
            template = getattr(self, option)
            if template and option not in places:
                raise SlmError(f"template.{option}: the records have no {option}; there is {' and '.join(places)}")
            known = [*(("user", "assistant", "system") if "messages" in columns else ("text",)), *kept]
            known += [name for name in ("chosen", "rejected") if name in columns and option == "assistant"]
            known = [name for name in known if name not in ANSWERS or option == "assistant"]
            for name in names_in(template):
                if name not in known:
                    near = get_close_matches(name, known, 1)
                    hint = f"; did you mean {{{near[0]}}}?" if near else ""
                    shown = ", ".join(f"{{{each}}}" for each in known)
                    raise SlmError(
                        f"template.{option}: no field {name!r}{hint} (there is {shown}; keep = [...] keeps columns)"
                    )

    def _rows(self, split: datasets.Dataset, report: dict[str, int], examples: list[str]) -> Iterator[Any]:
        kept = kept_columns(split.column_names)
        for table in tables(split):
            changed = 0
            records = table.select([name for name in table.column_names if name != "id"]).to_pylist()
            new = [self._record(row, {name: _plain(row[name]) for name in kept}) for row in records]
            for old, now in zip(records, new, strict=True):
                if any(old[name] != now[name] for name in now):
                    changed += 1
                    if len(examples) < EXAMPLES:
                        examples.append(f"{old['source']}: {' -> '.join(map(shorten, _difference(old, now)))}")
            report["changed"] += changed
            report["kept"] += len(table) - changed
            yield _with(table, new) if changed else table

    def _record(self, row: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
        """The record's own fields, with the new words."""
        if "messages" not in row:
            text = row["text"] or ""
            return {"text": filled(self.text, {**values, "text": text}) if self.text else text}
        turns = row["messages"]
        system = next((turn["content"] for turn in turns if turn["role"] == "system"), "")
        values = {**values, "system": system}
        new = self._conversation(turns, values)
        asked = next((turn["content"] for turn in reversed(turns) if turn["role"] == "user"), "")
        answers = {name: row[name] for name in ("chosen", "rejected") if row.get(name) is not None}
        told = {**values, "user": asked, **answers}
        return {
            "messages": new,
            **{
                name: filled(self.assistant, {**told, "assistant": text}) if self.assistant else text
                for name, text in answers.items()
            },
        }

    def _conversation(self, turns: Turns, values: Mapping[str, str]) -> Turns:
        chosen = {role: self._chosen(turns, role) for role in ("user", "assistant")}
        new, asked = [], ""
        for n, turn in enumerate(turns):
            role, text = turn["role"], turn["content"] or ""
            asked = text if role == "user" else asked
            template = getattr(self, role) if role in chosen and n in chosen[role] else ""
            known = {**values, "user": asked, "assistant": text, "chosen": "", "rejected": ""}
            new.append({"role": role, "content": filled(template, known) if template else text})
        if self.system:
            first = next((turn["content"] for turn in turns if turn["role"] == "user"), "")
            said = {"role": "system", "content": filled(self.system, {**values, "user": first})}
            new = [said, *(turn for turn in new if turn["role"] != "system")]
        return new

    def _chosen(self, turns: Turns, role: str) -> set[int]:
        places = [n for n, turn in enumerate(turns) if turn["role"] == role]
        return set({"all": places, "first": places[:1], "last": places[-1:]}[self.turns])


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


def _with(table: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
    """The table with the records' own fields anew."""
    import pyarrow

    for name in ("messages", *TEXTS):
        if name in rows[0]:
            kind = table.schema.field(name).type
            table = replaced(table, name, pyarrow.array([row[name] for row in rows], kind))
    return table


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, str]:
    """What was said at the first place that changed, and what is said there now."""
    for name, value in new.items():
        if value == old[name]:
            continue
        if name != "messages":
            return old[name] or "", value
        if len(value) != len(old[name]):
            return "", value[0]["content"]
        pairs = zip(old[name], value, strict=True)
        return next((a["content"] or "", b["content"]) for a, b in pairs if a != b)
    return "", ""
