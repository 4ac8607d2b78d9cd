"""What there is: plugins, runs, and a JSON Schema of pipeline files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from slm.errors import SlmError
from slm.pipeline import KEYS, SINGLE, Head
from slm.plugin import HOOKS
from slm.registry import Registry
from slm_facts.units import duration, gigabytes

if TYPE_CHECKING:
    from slm.plan import Plan, Step
    from slm_runs.store import Store

PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"}, int: {"type": "integer"}, float: {"type": "number"}, bool: {"type": "boolean"},
}  # fmt: skip


def plugin_lines(registry: Registry, hook: str | None = None) -> Iterator[str]:
    """A line for each plugin: name, help, distribution; a broken one says so."""
    if hook is not None and hook not in HOOKS:
        raise SlmError(f"no hook {hook!r}; there are {', '.join(HOOKS)}")
    for each in [hook] if hook else HOOKS:
        yield each
        for offer in registry.offers(each).values():
            yield f"  {offer.name:15} {f'BROKEN: {offer.fault}' if offer.fault else offer.help}  [{offer.distribution}]"
            if hook and not offer.fault:
                for option in offer.options:
                    yield f"      {option.alias} = {shown(option.default)}  {option.metadata.get('help', '')}"


def describe(plan: Plan, kept: Sequence[str] = ()) -> str:
    """The plan in words: per stage the plugin, its reason, its needs, and why not the others."""
    lines = []
    for step in plan.steps:
        if step.choice is None:
            lines.append(f"{step.path}: compares the artifact with the model, and its metric before and after")
            continue
        needs = step.choice.bid.needs
        amounts = [f"peak memory about {gigabytes(needs.memory)}"] if needs.memory else []
        amounts += [f"about {duration(needs.seconds)}"] if needs.seconds else []
        amounts += [f"disk about {gigabytes(needs.disk)}"] if needs.disk else []
        done = " [kept from an earlier run]" if step.path in kept else ""
        lines.append(f"{step.path}: {step.plugin}: {step.choice.why}{done}")
        if step.choice.bid.why != step.choice.why:
            lines.append(f"    {step.choice.bid.why}")
        lines += [f"    {', '.join(amounts)}"] if amounts else []
        lines += [f"    not {name}: {why}" for name, why in step.choice.others]
    return "\n".join(lines)


def kept_steps(plan: Plan, store: Store) -> list[str]:
    """The steps whose results are kept: from the first on, until one is missing that others need."""
    results: dict[str, Any] = {}
    for step in plan.steps:
        if all(path in results for path in step.inputs) and (found := kept(plan, step, results, store)):
            results[step.path] = found
    return list(results)


def kept(plan: Plan, step: Step, results: dict[str, Any], store: Store) -> Any:
    """The kept result of a step; None too where a source can't be asked for its state now."""
    try:
        return store.find(plan.key(step, results, store))
    except SlmError:
        return None


def shown(default: Any) -> str:
    """A default as TOML would say it."""
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return "[]"
    return "(chosen)" if default is None else json.dumps(default, default=str)


def run_lines(folder: Path) -> Iterator[str]:
    """A line for each run: name, state, when, how long."""
    files = sorted(folder.glob("*/run.json"), key=lambda file: -file.stat().st_mtime)
    if not files:
        raise SlmError(f"{folder}: no runs here; name the folder runs that lies beside a pipeline file")
    for file in files:
        told = json.loads(file.read_text(encoding="utf-8"))
        when = datetime.fromtimestamp(told["began"]).strftime("%Y-%m-%d %H:%M")
        made = f"{told['task']}, base {told['base']}, {duration(told['seconds'])}"
        yield f"{file.parent.name:30} {told['state']:12} {when}  {made}"


def json_schema(registry: Registry) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a pipeline file: each stage's table by its plugin's options."""
    top = {a.name: described(a, Head) for a in attrs.fields(Head)}
    for hook in KEYS:
        table = stage_schema(registry, hook)
        top[hook] = table if hook in SINGLE else {"type": "array", "items": table}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "slm pipeline",
        "type": "object",
        "properties": top,
        "required": ["task", "load"],
        "additionalProperties": False,
    }


def stage_schema(registry: Registry, hook: str) -> dict[str, Any]:
    """The table of one hook: any of its plugins' options beside the kernel's keys; a named plugin has only its own."""
    kernel = {a.metadata.get("key", a.name): described(a, KEYS[hook]) for a in attrs.fields(KEYS[hook])}
    branches, everything = [], dict(kernel)
    for name, offer in registry.offers(hook).items():
        if offer.fault:
            continue
        own = {a.alias: described(a, offer.plugin) for a in offer.options}
        everything = {**own, **everything}
        only = {"properties": dict.fromkeys((*kernel, *own), True), "additionalProperties": False}
        branches.append(
            {
                "if": {"properties": {"use": {"const": name}}, "required": ["use"]},
                "then": {**only, "description": offer.help},
            }
        )
    required = [a.metadata.get("key", a.name) for a in attrs.fields(KEYS[hook]) if a.default is attrs.NOTHING]
    return {
        "type": "object",
        "properties": everything,
        "required": required,
        "allOf": branches,
        "additionalProperties": False,
    }


def described(option: Any, cls: type[Any]) -> dict[str, Any]:
    """The schema of one option, with its help and default."""
    found = kind_schema(get_type_hints(cls).get(option.name, Any))
    if help_text := option.metadata.get("help"):
        found = {**found, "description": help_text}
    if option.default is not attrs.NOTHING and not isinstance(option.default, attrs.Factory):  # type: ignore[arg-type]
        found = {**found, "default": option.default}
    return found


def kind_schema(kind: Any) -> dict[str, Any]:
    """The schema of a type that options have."""
    args = get_args(kind)
    if get_origin(kind) is Literal:
        return {"enum": list(args)}
    if get_origin(kind) in (Union, UnionType):
        some = [kind_schema(each) for each in args if each is not NoneType]
        return some[0] if len(some) == 1 else {"anyOf": some}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": kind_schema(args[0])}
    if get_origin(kind) is dict:
        return {"type": "object", "additionalProperties": kind_schema(args[1])}
    return dict(PLAIN.get(kind, {}))
