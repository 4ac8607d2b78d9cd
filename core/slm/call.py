"""Calling a plugin through pluggy: registered by name, alone among its rivals, inside whatever wraps the hook."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any

import attrs
import pluggy
from attrs import frozen

from slm.choose import Choice, build
from slm.config import Mistake, Place
from slm.errors import PluginError
from slm.plugin import HOOKS
from slm.registry import Offer


def told_of(choice: Choice) -> dict[str, Any]:
    """What a caller is told of a plugin; its secrets are still names."""
    offer, options = choice.offer, dict(choice.options)
    return {"hook": offer.hook, "name": offer.name, "value": offer.entry.value, "options": options, "path": choice.path}


def new_manager() -> pluggy.PluginManager:
    """A plugin manager that knows every hook of the contract."""
    manager = pluggy.PluginManager("slm")
    for contract in HOOKS.values():
        manager.add_hookspecs(contract)
    return manager


@frozen
class Caller:
    """Registers plugins and calls one of them, inside whatever wraps the hook."""

    manager: pluggy.PluginManager = attrs.Factory(new_manager)

    def add(self, told: Mapping[str, Any]) -> tuple[str, Any]:
        """Make and register the plugin that a task tells of; gives its registered name and itself."""
        offer = Offer(told["hook"], EntryPoint(told["name"], told["value"], f"slm.{told['hook']}"))
        found: list[Mistake] = []
        plugin = build(offer, told["options"], told["path"], found)
        if plugin is None:
            raise Place("pipeline").error(found)
        name = f"{told['path']}.{offer.name}"
        if not self.manager.has_plugin(name):
            self.manager.register(plugin, name)
            if not self.manager.get_hookcallers(plugin):
                raise PluginError(f"{offer.label}: its class has no @hookimpl {told['hook']!r}")
        return name, plugin

    def arguments(self, hook: str, name: str) -> tuple[str, ...]:
        """The argument names of one plugin's implementation."""
        impls = getattr(self.manager.hook, hook).get_hookimpls()
        return tuple(next((impl.argnames for impl in impls if impl.plugin_name == name), ()))

    def call(self, told: Mapping[str, Any], **arguments: Any) -> Any:
        """Call the hook of the plugin told of, and of no rival; a plugin that gives nothing is at fault."""
        name, _ = self.add(told)
        hook = told["hook"]
        impls = getattr(self.manager.hook, hook).get_hookimpls()
        rivals = [i.plugin for i in impls if i.plugin_name != name and not (i.wrapper or i.hookwrapper)]
        result = self.manager.subset_hook_caller(hook, rivals)(**arguments)
        if result is None:
            raise PluginError(f"{hook} plugin {told['name']!r} returned nothing")
        return result
