"""The record of a run: what was chosen, why, how long it took and what came out; as JSON, as TOML, as a model card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import attrs

from slm import __version__
from slm.choose import Choice
from slm.pipeline import AnnotateKeys, LoadKeys
from slm.plan import Plan, Step
from slm.plugin import Metric, Metrics
from slm_runs.card import model_card
from slm_runs.data import data_report
from slm_runs.store import Result, write_text
from slm_runs.wire import pack, unpack

LIBRARIES = ("torch", "transformers", "peft", "datasets", "pyarrow", "tokenizers", "onnxruntime", "onnxruntime-genai")


def write_manifest(folder: Path, plan: Plan, steps: Sequence[Mapping[str, Any]], began: float, state: str) -> None:
    """`run.json`, and of a run that is done the model card and what became of the data; a full disk here must not hide
    why the run ended."""
    manifest = {
        "state": state,
        **attrs.asdict(plan.pipeline.head),
        "began": began,
        "seconds": round(sum(step["seconds"] for step in steps), 2),
        "versions": versions(),
        "hardware": pack(plan.hardware),
        "base_model": pack(plan.job.base),
        "steps": steps,
        "metrics": {
            split: pack(found)["values"]
            for split, found in joined([step["value"] for step in steps if step["kind"] == "evaluate"]).items()
        },
    }
    with suppress(OSError):
        write_text(folder / "run.json", json.dumps(manifest, indent=1, ensure_ascii=False, default=str))
        if state == "done":
            write_text(folder / "MODEL_CARD.md", model_card(card_facts(manifest)))
            write_text(folder / "DATA.md", data_report(steps))


def joined(values: Sequence[Mapping[str, Any]]) -> dict[str, Metrics]:
    """The figures of several evaluators by test set."""
    found: dict[str, tuple[Metric, ...]] = {}
    for value in values:
        for split, metrics in value["splits"].items():
            found[split] = (*found.get(split, ()), *unpack(metrics, Metrics).values)
    return {split: Metrics(values) for split, values in found.items()}


def about(step: Step) -> dict[str, Any]:
    """What the manifest says of a step's choice."""
    said: dict[str, Any] = {"path": step.path, "kind": step.kind, "plugin": step.plugin}
    if step.stage and isinstance(step.stage.keys, LoadKeys):
        said |= {"from": step.stage.keys.source, "keep": list(step.stage.keys.keep)}
    if step.choice:
        said |= {
            "distribution": step.choice.offer.distribution,
            "why": step.choice.why,
            "others": dict(step.choice.others),
        }
        said |= {"options": options_of(step.choice), "predicted": pack(step.choice.bid.needs)}
    return said


def options_of(choice: Choice) -> dict[str, Any]:
    """Every option as it was resolved, but secrets as the names that the pipeline gives them."""
    return {**attrs.asdict(choice.plugin), **choice.options}  # type: ignore[arg-type]


def summary(step: Step, result: Result) -> str:
    """What a step gave, in a few words."""
    value = result.value
    match step.kind:
        case "load":
            bad = f", {value['rejected']:,} rows set aside (rejected.jsonl)" if value["rejected"] else ""
            return f"{sum(value['splits'].values()):,} records{bad}"
        case "preprocess" | "annotate":
            sizes = ", ".join(f"{name} {rows:,}" for name, rows in value["splits"].items())
            return f"{sizes} ({', '.join(f'{name} {count:,}' for name, count in value['report'].items())})"
        case "check":
            return str(value["comparison"]["reason"])
    return ""


def resolved(plan: Plan) -> str:
    """The pipeline as it is run: every choice and every option written out, secrets still names."""
    import tomli_w

    table: dict[str, Any] = {k: v for k, v in attrs.asdict(plan.pipeline.head).items() if v != ""}
    for step in plan.steps:
        if step.choice:
            keys = {"use": step.plugin, **plain(options_of(step.choice))}
            if step.stage and isinstance(step.stage.keys, LoadKeys | AnnotateKeys):
                given = plain(attrs.asdict(step.stage.keys))
                first = {"from": given.pop("source")} if "source" in given else {}
                keys = {**first, **given, **keys}
            table.setdefault(step.kind, []).append(keys)
    for single in {"annotate", "recipe"} & table.keys():
        (table[single],) = table[single]
    serve = plan.pipeline.table.get("serve")
    return tomli_w.dumps({**table, **({"serve": serve} if serve else {})})


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """What TOML can say: no nothings, lists for tuples."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in options.items() if v is not None}


def versions() -> dict[str, str]:
    """The versions of slm and of the libraries that decide results."""
    found = {"slm": __version__}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def card_facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the manifest that a model card tells."""
    steps = manifest["steps"]
    trained = next(step for step in steps if step["kind"] == "recipe")
    return {
        **{name: manifest[name] for name in ("name", "task", "base", "metrics", "versions", "hardware", "seconds")},
        "license": manifest["licence"],
        "sources": [
            {"address": s["from"], "rows": sum(s["value"]["splits"].values()), "digest": s["digest"]}
            for s in steps
            if s["kind"] == "load"
        ],
        "recipe": {"plugin": trained["plugin"], "options": plain(trained["options"])},
        "checks": [{**s["value"]["comparison"], "name": s["path"]} for s in steps if s["kind"] == "check"],
    }
