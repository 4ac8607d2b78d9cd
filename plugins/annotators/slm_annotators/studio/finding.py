"""The project that a title or an id names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import ParseError, fromstring

from slm.plugin import SlmError

from .client import Client
from .errors import Refusal


def found_project(client: Client, name: str) -> int:
    """The id of the project with this id or title; 0 for none. SlmError where several have the title."""
    if name.isascii() and name.isdigit() and _has(client, int(name)):
        return int(name)
    ids = [each["id"] for each in _titled(client, name) if each["title"] == name]
    if len(ids) > 1:
        shown = ", ".join(map(str, ids))
        raise SlmError(f"{client.url}: {len(ids)} projects are titled '{name}' ({shown}); name yours by its id")
    return ids[0] if ids else 0


def similar(client: Client, name: str) -> str:
    """What to say of projects whose titles are like a name that none has."""
    from difflib import get_close_matches

    titles = {each["title"]: each["id"] for each in _titled(client, "")}
    found = {title.casefold(): title for title in titles}
    near = [found[each] for each in get_close_matches(name.casefold(), found, n=3)]
    return f" (there is {', '.join(repr(title) for title in near)})" if near else ""


def is_bare(config: str) -> bool:
    """Whether a label config has nothing in it, as that of a project that was just made by hand."""
    try:
        return not config.strip() or not list(fromstring(config))
    except ParseError:
        return False


def _has(client: Client, number: int) -> bool:
    try:
        client.get(f"/api/projects/{number}/", "looking for the project", include="id")
    except Refusal as failure:
        if failure.status == 404:
            return False
        raise
    return True


def _titled(client: Client, part: str) -> Iterator[dict[str, Any]]:
    """The projects whose title has this in it, whatever its case."""
    page = 1
    while True:
        given = {"title": part} if part else {}
        reply = client.get(
            "/api/projects/", "looking for the project", include="id,title", page=page, page_size=1000, **given
        )
        if not isinstance(reply, dict) or not isinstance(reply.get("results"), list):
            raise SlmError(f"{client.url}: the answer is not Label Studio's; check url")
        yield from reply["results"]
        if not reply.get("next"):
            return
        page += 1
