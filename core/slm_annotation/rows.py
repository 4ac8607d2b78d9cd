"""Entries as rows of a data set, whoever made the project: what was decided, and who said it when."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from slm_annotation.resolving import resolve
from slm_annotation.values import Answer, Entry
from slm_runs.store import write_text


def valid(entry: Entry) -> tuple[Answer, ...]:
    """The answers to the entry's present content."""
    if not entry.since:
        return entry.answers
    since = datetime.fromisoformat(entry.since)
    return tuple(answer for answer in entry.answers if datetime.fromisoformat(answer.updated) >= since)


def rows(entries: Iterable[Entry], shape: str, how: str) -> Iterator[dict[str, Any]]:
    """A row for each resolved answer, with its provenance: the annotators behind it, the newest time among theirs
    (ISO 8601, UTC), and their mean lead time in seconds."""
    for entry in entries:
        for values, behind in resolve(shape, valid(entry), how).found:
            row = to_row(shape, entry.fields, values)
            if row is not None:
                yield {**row, **provenance(entry, behind)}


def provenance(entry: Entry, behind: Iterable[Answer]) -> dict[str, Any]:
    """Where a row is from, and who decided it."""
    said = list(behind)
    return {
        "key": entry.key,
        "source": entry.source,
        "task": entry.number,
        "annotators": sorted({answer.annotator for answer in said}),
        "annotated_at": max(answer.updated for answer in said),
        "lead_time": round(fmean(answer.seconds for answer in said), 1),
    }


def to_row(shape: str, fields: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any] | None:
    """One row under the names that loading knows; None for what people threw out."""
    if values.get("verdict") == "bad" or (shape == "preference" and values.get("choice") not in ("a", "b")):
        return None
    if shape == "preference":
        sides = (fields["a"], fields["b"])
        better, worse = sides if values["choice"] == "a" else sides[::-1]
        return {"messages": fields["dialogue"], "chosen": better, "rejected": worse}
    if shape == "chat":
        said = str(values.get("response") or fields["response"])
        messages = [*fields["dialogue"], {"role": "assistant", "content": said}]
        row = {"messages": messages, "rating": values.get("rating"), "flags": list(values.get("flags", ()))}
        return row if said.strip() else None
    if shape == "qa":
        asked, said = (str(values.get(name) or fields[name]) for name in ("question", "answer"))
        context = {"context": fields["context"]} if fields.get("context") else {}
        row = {"question": asked, "answer": said, **context, "verdict": values.get("verdict", "")}
        return row if said.strip() else None
    if shape == "completion":
        return {"text": values.get("text") or fields["text"], "verdict": values.get("verdict", "")}
    if shape == "classification":
        return {"text": fields["text"], "label": values["label"]} if values.get("label") else None
    if shape == "multilabel":
        return {"text": fields["text"], "labels": sorted(values.get("labels", ()))}
    return {"text": fields["text"], "spans": list(values.get("spans", ()))}


def answer_rows(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """A row for each answer as it was given, the skipped and faulty ones too."""
    for entry in entries:
        counting = valid(entry)
        for answer in entry.answers:
            about = {"key": entry.key, "source": entry.source, "task": entry.number, "annotation": answer.id}
            times = {"created": answer.created, "updated": answer.updated, "lead_time": answer.seconds}
            said = {"skipped": answer.skipped, "values": dict(answer.values), "fault": answer.fault}
            yield {**about, "annotator": answer.annotator, **times, **said, "counts": answer in counting}


def write_rows(file: Path, made: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as JSON Lines, whole or not at all; gives their number."""
    lines = [json.dumps(row, ensure_ascii=False) for row in made]
    write_text(file, "".join(f"{line}\n" for line in lines))
    return len(lines)
