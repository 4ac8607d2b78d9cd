"""Tasks and predictions sent in bulk, and what the server says of them checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slm.plugin import SlmError
from slm_annotation.values import Untaken

from .client import Client
from .errors import Refusal
from .listing import Listing, Task

PATIENCE = 600.0
"""Seconds an import may take: large ones take minutes on a loaded server, and are lost to us if we hang up."""
PREDICTIONS = 10_000
"""Predictions a request: behind each the server counts the whole project anew, 5 s for one of 10,000 tasks."""


def import_tasks(client: Client, project: int, tasks: Sequence[Mapping[str, Any]]) -> list[int]:
    """Send tasks, and give their ids in the same order; Untaken where the server surely stored none of them. A request
    that is too large is sent in halves."""
    what = f"adding {len(tasks):,} tasks"
    try:
        reply = client.send(
            "POST", f"/api/projects/{project}/import", what, tasks, timeout=PATIENCE, return_task_ids="true"
        )
    except Refusal as failure:
        if failure.status == 413 and len(tasks) > 1:
            return import_halves(client, project, tasks)
        if failure.undone:
            raise Untaken(str(failure)) from None
        raise
    ids = reply.get("task_ids") if isinstance(reply, dict) else None
    if not isinstance(ids, list) or len(ids) != len(tasks):
        told = (
            "imports in the background"
            if isinstance(reply, dict) and "import" in reply
            else f"told of {len(ids or [])}"
        )
        raise SlmError(f"{client.url}: {what}: the server {told}; run it again: what is there is asked for first")
    expected = sum(len(task.get("predictions", ())) for task in tasks)
    if reply.get("prediction_count") != expected:
        mend(client, project, ids, tasks)
    return ids


def import_halves(client: Client, project: int, tasks: Sequence[Mapping[str, Any]]) -> list[int]:
    """Both halves, one after the other: where the second is refused, the first is there."""
    half = len(tasks) // 2
    ids = import_tasks(client, project, tasks[:half])
    try:
        return ids + import_tasks(client, project, tasks[half:])
    except Untaken as failure:
        raise SlmError(str(failure)) from None


def mend(client: Client, project: int, ids: Sequence[int], tasks: Sequence[Mapping[str, Any]]) -> None:
    """Send the predictions that the server lost: under a load, with SQLite, it drops them and says that all is well."""
    listing = Listing(client, project)
    told = listing.having("id", ids, "reading predictions", include="id,total_predictions")
    lacking = {task["id"] for task in told if not task["total_predictions"]}
    lost = [
        {"task": number, **prediction}
        for number, task in zip(ids, tasks, strict=True)
        if number in lacking
        for prediction in task.get("predictions", ())
    ]
    import_predictions(client, project, lost)


def import_predictions(client: Client, project: int, predictions: Sequence[Mapping[str, Any]]) -> None:
    """Add predictions to tasks, one a task at most. Those of tasks that were deleted meanwhile are left out."""
    for at in range(0, len(predictions), PREDICTIONS):
        some = predictions[at : at + PREDICTIONS]
        try:
            _import(client, project, some)
        except Refusal as failure:
            if failure.status == 413 and len(some) > 1:
                half = len(some) // 2
                import_predictions(client, project, some[:half])
                import_predictions(client, project, some[half:])
                continue
            if failure.status != 400:
                raise
            left = waiting(Listing(client, project), some)
            if len(left) == len(some):
                raise
            _import(client, project, left)


def waiting(listing: Listing, some: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The predictions whose tasks are there, and have none of the model yet."""
    versions = with_versions(listing, [each["task"] for each in some])
    there = {task["id"]: task["predictions_model_versions"] for task in versions}
    return [each for each in some if each["model_version"] not in there.get(each["task"], each["model_version"])]


def with_versions(listing: Listing, ids: Sequence[int]) -> list[Task]:
    """The tasks that are still there, with their data, and the models of their predictions as a text."""
    include = "id,data,predictions_model_versions"
    return list(listing.having("id", ids, "reading tasks", fields="all", include=include))


def with_predictions(listing: Listing, ids: Sequence[int]) -> dict[int, list[Mapping[str, Any]]]:
    """The predictions of tasks, by id: this takes longer than all else that is read of them."""
    include = "id,predictions,model_version,result"
    found = listing.having("id", ids, "reading predictions", fields="all", include=include)
    return {task["id"]: task["predictions"] for task in found}


def _import(client: Client, project: int, some: Sequence[Mapping[str, Any]]) -> None:
    what = f"adding {len(some):,} predictions"
    if not some:
        return
    reply = client.send("POST", f"/api/projects/{project}/import/predictions", what, some, timeout=PATIENCE)
    created = reply.get("created") if isinstance(reply, dict) else None
    if created != len(some):
        raise SlmError(
            f"{client.url}: {what}: the server took {created or 0:,} of them, the others do not fit its label config; "
            "was it changed meanwhile? run it again"
        )
