"""The installed plugins, found by entry point; one that does not import takes nobody else down."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import cached_property
from hashlib import blake2b
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import attrs
from attrs import define, frozen

from slm.config import suggestion
from slm.errors import PluginError, SlmError
from slm.plugin import Plugin


def installed(hook: str) -> Iterable[EntryPoint]:
    """The entry points of one hook's group."""
    return entry_points(group=f"slm.{hook}")


@define(slots=False)
class Offer:
    """One plugin that is installed: its name, where it comes from, and its class once it is asked for."""

    hook: str
    entry: EntryPoint

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def distribution(self) -> str:
        """`slm-builder 0.1.0`, or nothing for an entry point made by hand."""
        return f"{self.entry.dist.name} {self.entry.dist.version}" if self.entry.dist else ""

    @cached_property
    def plugin(self) -> type[Plugin]:
        """The plugin's class; PluginError, with the traceback of its import, where it can't be had."""
        try:
            cls = self.entry.load()
        except Exception as error:
            raise PluginError(
                f"{self.label} does not import: {type(error).__name__}: {error}\n{traceback.format_exc()}"
            ) from error
        if not attrs.has(cls):
            raise PluginError(f"{self.label}: {self.entry.value} is not an attrs class")
        return cast(type[Plugin], cls)

    @property
    def label(self) -> str:
        """How messages name the plugin."""
        return f"{self.hook} plugin {self.name!r} of {self.distribution or self.entry.value}"

    @property
    def fault(self) -> str:
        """Why the plugin can't be used, in one line; empty for a sound one."""
        try:
            _ = self.plugin
        except PluginError as error:
            return str(error).splitlines()[0]
        return ""

    @property
    def options(self) -> tuple[Any, ...]:
        """The attrs fields of the plugin's class."""
        return tuple(attrs.fields(cast(Any, self.plugin)))

    @property
    def help(self) -> str:
        """The first sentence of the class's docstring."""
        return " ".join((self.plugin.__doc__ or "").split("\n\n")[0].split())

    def digest(self) -> str:
        """Stands for the plugin's code in fingerprints: its distribution and the sources of its package."""
        spec = find_spec(self.entry.module.partition(".")[0])
        files = sorted(Path(spec.origin).parent.rglob("*.py")) if spec and spec.origin else []
        if spec and spec.origin and not spec.submodule_search_locations:
            files = [Path(spec.origin)]
        code = blake2b(digest_size=8)
        for file in files:
            code.update(file.read_bytes())
        return f"{self.hook}.{self.name} {self.distribution} {code.hexdigest()}"


def disabled() -> frozenset[str]:
    """The names in SLM_DISABLE_PLUGINS: `csv`, or `load.csv`, separated by commas."""
    return frozenset(filter(None, (name.strip() for name in os.environ.get("SLM_DISABLE_PLUGINS", "").split(","))))


@frozen
class Registry:
    """What is installed, less what is blocked by name. Tests pass the entry points in."""

    entries: Callable[[str], Iterable[EntryPoint]] = installed
    blocked: frozenset[str] = attrs.Factory(disabled)

    def offers(self, hook: str) -> dict[str, Offer]:
        """The plugins of a hook by name; two distributions that claim one name are an error that names both."""
        found: dict[str, Offer] = {}
        for entry in sorted(self.entries(hook), key=lambda entry: entry.name):
            if {entry.name, f"{hook}.{entry.name}"} & self.blocked:
                continue
            offer = Offer(hook, entry)
            rival = found.setdefault(entry.name, offer)
            if rival.entry.value != entry.value:
                both = f"{rival.distribution or rival.entry.value} and {offer.distribution or entry.value}"
                raise SlmError(f"two {hook} plugins are named {entry.name!r}, by {both}; uninstall one")
        return found

    def offer(self, hook: str, name: str) -> Offer:
        """The plugin of that name; SlmError with a suggestion where there is none. No other is imported, unless the
        name is none that a plugin can have (`my_steps.py:clean`): then it is that of one that claims such names."""
        offers = self.offers(hook)
        if name in offers:
            return offers[name]
        if set(name) & set(":/"):
            for offer in offers.values():
                if not offer.fault and any(fnmatchcase(name, claim) for claim in getattr(offer.plugin, "claims", ())):
                    return offer
        if {name, f"{hook}.{name}"} & self.blocked:
            raise SlmError(f"{hook} plugin {name!r} is switched off (SLM_DISABLE_PLUGINS or --no-plugin)")
        hint = suggestion(name, list(offers)) or f"; installed: {', '.join(offers) or 'none'}"
        raise SlmError(f"no {hook} plugin {name!r}{hint}")
