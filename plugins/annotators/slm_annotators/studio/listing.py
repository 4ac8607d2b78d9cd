"""Tasks of a project, read page by page.

Pages are not counted: while others write, tasks move between them and would be missed. Each page begins where the one
before ended, by time of change or by id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import define, field

from .client import Client
from .errors import Refusal

PAGE = 1000
"""Tasks a page at most: 250 to 1,000 take the same time a task, pages of 5,000 a quarter more."""
MANY = 8 << 20
"""Bytes a page may have, as far as the one before tells."""
LEAF = 1000
"""Ids are listed where at most this many remain to be told from gaps; a quarter where the gaps are few, since asking
for the number of tasks takes as long as listing a hundred."""
FEW = 4
LONGEST = 24_000
"""Bytes of an address with a list in it; servers that take less say so."""
FORM = "%Y-%m-%dT%H:%M:%S.%fZ"
ANSWER = ("id", "updated_at", "result", "was_cancelled", "lead_time", "created_at", "completed_by")
# Expanded, all answers of a page are written by one serializer; else the server makes one a task, which takes four
# times as long. The plain names are for servers that do not expand.
WITH_ANSWERS: Mapping[str, Any] = {
    "fields": "all",
    "expand": "annotations",
    "include": ",".join(("data", "annotations", *(f"annotations.{name}" for name in ANSWER), *ANSWER)),
}
WITH_PEOPLE: Mapping[str, Any] = {
    "fields": "all",
    "expand": "annotations.completed_by",
    "include": "annotations.completed_by.id,annotations.completed_by.email",
}
Rule = tuple[str, str, str, Any]
Task = Mapping[str, Any]


@define(eq=False)
class Listing:
    """The tasks of one project; `page` is how many are asked for at once, fewer where each is large."""

    client: Client
    project: int
    longest: int = LONGEST
    page: int = field(factory=lambda: max(1, PAGE // 4))

    def ask(self, what: str, rules: Sequence[Rule], order: str, size: int = 0, **given: Any) -> Any:
        """One page: `tasks`, and the `total` of all that fit the rules."""
        items = [
            {"filter": f"filter:tasks:{name}", "operator": how, "type": kind, "value": value}
            for name, how, kind, value in rules
        ]
        query: dict[str, Any] = {
            "ordering": [f"{order[:1]}tasks:{order[1:]}" if order[:1] == "-" else f"tasks:{order}"]
        }
        if items:
            query["filters"] = {"conjunction": "and", "items": items}
        reply = self.client.get(
            "/api/tasks/",
            what,
            project=self.project,
            page_size=size or self.page,
            # Else addresses of storage in a text come back as links of the server's own.
            resolve_uri="false",
            query=json.dumps(query, separators=(",", ":")),
            **{"fields": "task_only", **given},
        )
        if not isinstance(reply, dict) or not isinstance(reply.get("tasks"), list):
            raise Refusal(f"{self.client.url}: {what}: the answer is not Label Studio's; check url")
        if not size and reply["tasks"]:
            self.page = min(PAGE, max(MANY * len(reply["tasks"]) // self.client.size, 10))
        return reply

    def by_id(self, what: str, rules: Sequence[Rule], **given: Any) -> Iterator[list[Task]]:
        """All that fit the rules, the lowest id first."""
        last = 0
        while True:
            size = self.page
            tasks = self.ask(what, [*rules, ("id", "greater", "Number", last)], "id", **given)["tasks"]
            if tasks:
                yield tasks
            if len(tasks) < size:
                return
            last = tasks[-1]["id"]

    def changed(self, since: str | None, rules: Sequence[Rule] = ()) -> Iterator[list[Task]]:
        """Tasks with their answers, changed at `since` or later, the oldest change first.

        A full page is given up to its last time of change: at which one more may be, with which the next page begins.
        """
        what = "reading tasks"
        while True:
            size = self.page
            later: list[Rule] = [("updated_at", "greater_or_equal", "Datetime", since)] if since else []
            tasks = self.ask(what, [*rules, *later], "updated_at", **WITH_ANSWERS)["tasks"]
            if len(tasks) < size:
                if tasks:
                    yield tasks
                return
            first, since = (moment(tasks[end]["updated_at"]) for end in (0, -1))
            if first == since:
                yield from self.by_id(what, [*rules, ("updated_at", "equal", "Datetime", first)], **WITH_ANSWERS)
                since = after(first)
            else:
                yield [task for task in tasks if moment(task["updated_at"]) < since]

    def ids(self) -> set[int]:
        """All ids. A stretch of ids with as many tasks as numbers has no gap, and need not be listed: most projects
        are told by three requests, where listing takes seconds for 10,000."""
        what = "reading ids"
        ends = [self.ask(what, (), order, 1, include="id") for order in ("id", "-id")]
        found: set[int] = set()
        left = [(*(end["tasks"][0]["id"] for end in ends), ends[0]["total"])] if ends[0]["tasks"] else []
        while left:
            low, high, total = left.pop()
            gaps = high - low + 1 - total
            if not gaps:
                found.update(range(low, high + 1))
            elif total <= (LEAF if gaps > FEW else LEAF // 4):
                rule = within(low, high)
                found.update(each["id"] for each in self.ask(what, [rule], "id", LEAF, include="id")["tasks"])
            else:
                middle = (low + high) // 2
                lower = self.ask(what, [within(low, middle)], "id", 1, include="id")["total"]
                left += [(low, middle, lower), (middle + 1, high, total - lower)]
        return found

    def people(self, tasks: Sequence[Task], known: dict[int, str]) -> None:
        """Add to the known people those who answered these tasks, by id: their e-mails.

        Each is asked for once: with the answers, they would take as long again. The list of users lacks those who left,
        and not every key may read it.
        """
        for task in tasks:
            if {each.get("completed_by") for each in task["annotations"]} - {None, *known}:
                rule: Rule = ("id", "equal", "Number", task["id"])
                for seen in self.ask("reading who answered", [rule], "id", **WITH_PEOPLE)["tasks"]:
                    there = [each.get("completed_by") for each in seen["annotations"]]
                    known.update({each["id"]: _named(each) for each in there if each})

    def having(self, name: str, values: Sequence[Any], what: str, **given: Any) -> Iterator[Task]:
        """Tasks whose field is one of the values, asked for some hundred at a time."""
        at = 0
        while at < len(values):
            some = self._fitting(values[at:])
            try:
                for page in self.by_id(what, [(name, "in_list", "List", some)], **given):
                    yield from page
            except Refusal as failure:
                if failure.status not in (414, 431) or self.longest < 1000:
                    raise
                self.longest //= 2
                continue
            at += len(some)

    def _fitting(self, values: Sequence[Any]) -> Sequence[Any]:
        """As many of the values as an address may hold."""
        from urllib.parse import quote

        room = self.longest
        for count, value in enumerate(values[:500]):
            room -= len(quote(f"{json.dumps(value)},"))
            if room < 0:
                return values[: max(1, count)]
        return values[:500]


def within(low: int, high: int) -> Rule:
    return "id", "in", "Number", {"min": low, "max": high}


def _named(user: Mapping[str, Any]) -> str:
    """A person's e-mail; of those who left the server tells none."""
    email = str(user.get("email"))
    return email if "@" in email else f"user-{user['id']}"


def moment(text: str) -> str:
    """A time as all are written here: UTC, to the microsecond, so that texts can be compared."""
    return datetime.fromisoformat(text).astimezone(UTC).strftime(FORM)


def after(text: str) -> str:
    """The next moment."""
    from datetime import timedelta

    return (datetime.fromisoformat(text) + timedelta(microseconds=1)).strftime(FORM)
