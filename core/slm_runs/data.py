"""What became of the data, for a reader: each source with its mapping, each step with its counts and examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def data_report(steps: Sequence[Mapping[str, Any]]) -> str:
    """The loads and preprocessors of a manifest, as markdown."""
    lines = ["# What became of the data", ""]
    for step in steps:
        if step["kind"] == "load":
            lines += _load(step)
        elif step["kind"] == "preprocess":
            lines += _preprocess(step)
        elif step["kind"] == "annotate":
            lines += _annotate(step)
    return "\n".join(lines)


def _load(step: Mapping[str, Any]) -> Iterator[str]:
    value = step["value"]
    yield f"## {step['path']}: {step['from']} ({step['plugin']})"
    yield ""
    yield f"{_counts(value['splits'])}; {value['rejected']:,} rows set aside."
    if value["rejected"]:
        yield f"Those, with place and reason: `stages/{step['path']}/rejected.jsonl`"
    yield ""
    for name, column in value["mapping"].items():
        source = column.get("form") or (" + " if column["joined"] else ", else ").join(column["columns"])
        yield f"- {name}: {source} ({column['why']})"
    if step["keep"]:
        yield f"- kept beside: {', '.join(step['keep'])}"
    used = {name for column in value["mapping"].values() for name in column["columns"]} | set(step["keep"])
    if unused := [name for name in value["columns"] if name not in used]:
        yield f"- not used: {', '.join(unused[:40])}{' ...' if len(unused) > 40 else ''}"
    yield ""


def _preprocess(step: Mapping[str, Any]) -> Iterator[str]:
    value = step["value"]
    yield f"## {step['path']}: {step['options'].get('use') or step['plugin']}"
    yield ""
    yield f"{_counts(value['report'])}. Then: {_counts(value['splits'])}."
    if value["report"].get("dropped") or value["report"].get("leaked"):
        yield f"What was dropped, with the reason in `why`: `stages/{step['path']}/dropped/*.arrow`"
    yield ""
    for example in value["examples"]:
        yield f"- {' '.join(example.split())}"
    if value["examples"]:
        yield ""


def _annotate(step: Mapping[str, Any]) -> Iterator[str]:
    value = step["value"]
    yield f"## {step['path']}: {step['plugin']}"
    yield ""
    yield f"{_counts(value['report'])}. Then: {_counts(value['splits'])}."
    yield f"Who answered what, when: `stages/{step['path']}/answers.jsonl`"
    yield ""


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
