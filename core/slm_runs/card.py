"""The model card: what a run's manifest says, for the reader of the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from slm_facts.units import duration, figure, gigabytes


def model_card(run: Mapping[str, Any]) -> str:
    """Markdown, from a run's manifest: facts only; what is not known is said to be unknown."""
    base = str(run.get("base") or "scratch")
    recipe = run.get("recipe") or {}
    made = (
        "trained from scratch" if base == "scratch" else f"trained from `{base if _on_hub(base) else Path(base).name}`"
    )
    took = f" in {duration(run['seconds'])}" if run.get("seconds") else ""
    plugin, versions = recipe.get("plugin", "unknown"), [*_hardware(run), *(run.get("versions") or {}).items()]
    parts = [
        _front(run, base),
        f"# {run['name']}\n\nA model for the task `{run['task']}`, {made} with the recipe `{plugin}`{took}.",
        "## Use\n\n" + _use(run),
        "## Data\n\n" + (_sources(run.get("sources") or ()) or "Unknown."),
        "## Training\n\n" + _table(("option", "value"), sorted((recipe.get("options") or {}).items())),
        "## Measured\n\n" + (_metrics(run.get("metrics") or {}) or "Not measured: no test data."),
    ]
    if run.get("checks"):
        rows = [(c.get("name"), "passed" if c.get("passed") else "failed", c.get("reason")) for c in run["checks"]]
        parts.append("## Exports compared with the trained model\n\n" + _table(("export", "check", "result"), rows))
    parts.append("## Made with\n\n" + _table(("part", "version"), versions))
    return "\n\n".join(parts) + "\n"


def _front(run: Mapping[str, Any], base: str) -> str:
    """The header that model hubs read; a base is named only where it is a hub's."""
    lines = ["---", f"license: {run.get('license') or 'unknown'}", "tags: [slm]"]
    if _on_hub(base):
        lines.append(f"base_model: {base}")
    return "\n".join([*lines, "---"])


def _on_hub(base: str) -> bool:
    return base.count("/") == 1 and not base.startswith(("/", ".", "~"))


def _use(run: Mapping[str, Any]) -> str:
    licence = f"Licence: {run.get('license') or 'unknown; the licences of the base and of the data hold'}."
    classifies = run["task"] == "classification"
    answers = "the labels of its training data" if classifies else "texts like those of its training data"
    limits = f"It was made for {answers}; nothing was measured beyond the test sets below."
    commands = ["slm serve ."] if classifies else ["slm serve .", "slm chat ."]
    return "\n".join(["In this folder:", "", "```sh", *commands, "```", "", limits, licence])


def _sources(sources: Iterable[Mapping[str, Any]]) -> str:
    rows = [(f"`{s['address']}`", f"{s['rows']:,}", f"`{s.get('digest') or 'unknown'}`") for s in sources]
    return _table(("source", "records", "content hash"), rows) if rows else ""


def _metrics(metrics: Mapping[str, Iterable[Mapping[str, Any]]]) -> str:
    flat = [(split, each) for split, values in metrics.items() for each in values]
    rows = [
        (split, m["name"], m.get("subject", "model"), *(figure(m[key]) for key in ("value", "low", "high", "count")))
        for split, m in flat
    ]
    return _table(("test set", "metric", "of", "value", "95% from", "to", "records"), rows) if rows else ""


def _hardware(run: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found = run.get("hardware") or {}
    named = [("processor", found.get("cpu")), ("cores", found.get("cores"))]
    gpus = ", ".join(str(gpu["name"]) for gpu in found.get("gpus") or ())
    return [row for row in [*named, ("memory", gigabytes(found.get("memory") or 0)), ("GPU", gpus)] if row[1]]


def _table(head: tuple[str, ...], rows: Iterable[Iterable[Any]]) -> str:
    """A Markdown table; cells hold no bars and no line breaks."""
    lines = [[" ".join(str(cell).replace("|", "\\|").split()) for cell in row] for row in rows]
    if not lines:
        return "None."
    return "\n".join(f"| {' | '.join(line)} |" for line in [list(head), ["---"] * len(head), *lines])
