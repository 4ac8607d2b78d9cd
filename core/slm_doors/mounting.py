"""Parts of the server under paths of their own: every mount that is willing, before the server's application."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from typing import Any

import attrs
from attrs import frozen

from slm.call import Caller, told_of
from slm.choose import Choice, Chooser, option_names
from slm.plugin import Engine, Rank

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


@frozen(eq=False)
class Mounted:
    """An ASGI application: what lies below a mount's path is the mount's, all else, the lifespan too, is `app`'s."""

    app: Asgi
    mounts: Mapping[str, Asgi]

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        root = scope.get("root_path", "")
        route = scope["path"].removeprefix(root) if scope["type"] != "lifespan" else ""
        fitting = [path for path in self.mounts if route == path or route.startswith(f"{path}/")]
        if not fitting:
            return await self.app(scope, receive, send)
        path = max(fitting, key=len)
        return await self.mounts[path]({**scope, "root_path": root + path}, receive, send)


def mounted(
    app: Asgi,
    chooser: Chooser,
    options: Mapping[str, Any],
    engines: Mapping[str, Engine],
    key: str | None,
    train: Callable[[], str] | None,
) -> Mounted:
    """The server's application with all that is mounted on it.

    The server's `options` that a mount has too hold for both. A mount that can't be made is told of in one line on
    standard error, and left out: it never takes the server down.
    """
    made: dict[str, Asgi] = {}
    for name, choice in willing(chooser):
        path = getattr(choice.plugin, "path", "")
        shared = {option: options[option] for option in option_names(choice.offer) if option in options}
        try:
            if not path.startswith("/") or path.endswith("/") or path in made:
                raise ValueError(f"its path {path!r} is taken, or is none")
            told = told_of(attrs.evolve(choice, options=shared))
            made[path] = Caller().call(told, engines=engines, key=key, train=train)
        except Exception as error:
            warn(name, error)
    return Mounted(app, made)


def willing(chooser: Chooser) -> Iterator[tuple[str, Choice]]:
    """The mounts that want to be there, by name; the broken ones are told of."""
    offers = chooser.registry.offers("mount")
    for name, offer in offers.items():
        others = [other for other in offers if other != name]
        try:
            if offer.fault:
                raise ImportError(offer.fault)
            yield from ((name, choice) for choice in chooser.willing("mount", Rank.GOOD, f"mount.{name}", others))
        except Exception as error:
            warn(name, error)


def warn(name: str, error: Exception) -> None:
    """Tell of a mount that is left out, in one line."""
    why = (str(error) or type(error).__name__).splitlines()[0]
    print(f"warning: served without {name!r}: {why}", file=sys.stderr, flush=True)
