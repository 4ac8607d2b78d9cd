"""A project of Label Studio as an annotation project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import attrs
from attrs import define, field

from slm.plugin import SlmError
from slm_annotation.values import Counts, Entry, Guess, Item, Recent, Untaken

from .client import Client
from .configs import config_for, with_labels
from .controls import Controls, read_config
from .errors import Refusal
from .finding import found_project, is_bare, similar
from .importing import import_predictions, import_tasks, with_predictions, with_versions
from .listing import FORM, Listing, Rule, moment
from .results import to_fields
from .shapes import LABELLED, listed
from .tasks import KEY, SINCE, data_of, entry_of, is_same, prediction_of, task_of

FACTS = "id,title,label_config,model_version,task_number,total_annotations_number,skipped_annotations_number"
VERSIONS = "predictions_model_versions"
REMOVED = 1000


@define(eq=False)
class StudioProject:
    """The project, which is made by `prepare` where it isn't there yet: `number` is its id, 0 until then."""

    client: Client
    title: str
    shape: str
    labels: tuple[str, ...]
    mapping: Mapping[str, str]
    number: int = 0
    batch: int = 1000
    controls: Controls | None = None
    config: str = ""
    version: str = ""
    people: dict[int, str] = field(factory=dict)
    place: str = ""
    asked: tuple[str, ...] = ()

    def open(self) -> None:
        """Find the project; SlmError where it can't carry the shape, or is wanted and not there."""
        who = self.client.get("/api/current-user/whoami", "logging in")
        if not isinstance(who, dict) or "email" not in who:
            raise SlmError(f"{self.client.url}: the answer is not Label Studio's; check url")
        self.asked, self.place = self.labels, self.client.url
        if number := found_project(self.client, self.title):
            self._name(number)
            self.look()
        elif not self.shape:
            self.there()

    def _name(self, number: int) -> None:
        self.number, self.place = number, f"{self.client.url}/projects/{number}"

    def look(self) -> dict[str, Any]:
        """The project's facts now. Its label config is read anew where it was changed."""
        try:
            facts: dict[str, Any] = self.client.get(
                f"/api/projects/{self.there()}/", "reading the project", include=FACTS
            )
        except Refusal as failure:
            if failure.status == 404:
                raise SlmError(f"{self.place}: the project was deleted; 'slm annotate push' makes it anew") from None
            raise
        self.version = facts.get("model_version") or ""
        config = facts.get("label_config") or ""
        if config != self.config or (self.controls is None and not is_bare(config)):
            self.config = config
            self.controls = None if is_bare(config) and self.shape else self._read(config)
        return facts

    def _read(self, config: str) -> Controls:
        try:
            controls = read_config(config, self.shape, self.mapping)
        except SlmError as error:
            raise SlmError(f"{self.place}: {error}") from None
        if controls.asked and controls.asked.options:  # the labels of each task stand in its data
            controls = attrs.evolve(controls, labels=self.asked)
        self.shape, self.labels = controls.shape, controls.labels or self.asked
        return controls

    def there(self) -> int:
        if not self.number:
            near = similar(self.client, self.title)
            raise SlmError(f"{self.client.url}: there is no project '{self.title}'{near}; 'slm annotate push' makes it")
        return self.number

    def known(self) -> Controls:
        """The label config as it is now."""
        self.look()
        if self.controls is None:
            raise SlmError(f"{self.place}: its label config is empty; 'slm annotate push' makes one")
        return self.controls

    def prepare(self) -> list[str]:
        """Make the project, or see to it that the one that is there can carry the shape and labels."""
        if not self.number:
            body = {"title": self.title, "label_config": config_for(self.shape, self.asked)}
            self._name(self.client.send("POST", "/api/projects/", f"making the project '{self.title}'", body)["id"])
            self.look()
            return [f"{self.place}: made the project '{self.title}'"]
        self.look()
        if self.controls is None:
            self._configure(config_for(self.shape, self.asked))
            return [f"{self.place}: gave the project a label config"]
        return self._labelled(self.controls)

    def _labelled(self, controls: Controls) -> list[str]:
        if self.shape not in LABELLED or not self.asked or not (controls.asked and not controls.asked.options):
            return []
        remarks = []
        if strange := [label for label in controls.labels if label not in self.asked]:
            remarks.append(f"{self.place}: has labels that the data has not: {listed(strange)}")
        if lacking := [label for label in self.asked if label not in controls.labels]:
            self._configure(with_labels(self.config, controls, lacking))
            remarks.append(f"{self.place}: added the labels {listed(lacking)}")
        return remarks

    def _configure(self, config: str) -> None:
        self.client.send(
            "PATCH", f"/api/projects/{self.number}/", "changing the label config", {"label_config": config}
        )
        self.look()

    def counts(self) -> Counts:
        facts = self.look()
        answers = facts["total_annotations_number"] + facts["skipped_annotations_number"]
        return Counts(facts["task_number"], answers)

    def recent(self, since: str | None) -> Recent:
        listing, what = self._listing(), "asking what changed"
        rules: list[Rule] = [("updated_at", "greater_or_equal", "Datetime", moment(since))] if since else []
        reply = listing.ask(what, rules, "-updated_at", 1, include="id,updated_at")
        now = self._now()
        newest = reply["tasks"] or listing.ask(what, (), "-updated_at", 1, include="id,updated_at")["tasks"]
        return Recent(reply["total"], moment(newest[0]["updated_at"]) if newest else "", now)

    def _now(self) -> str:
        """The server's clock, which its answers tell to the second."""
        try:
            return parsedate_to_datetime(self.client.clock).astimezone(UTC).strftime(FORM)
        except ValueError:
            return datetime.now(UTC).strftime(FORM)

    def changed(self, since: str | None, *, answered: bool = False) -> Iterator[Sequence[Entry]]:
        controls = self.known()
        rules: list[Rule] = [("annotations_ids", "empty", "String", "false")] if answered else []
        listing = self._listing()
        for tasks in listing.changed(moment(since) if since else None, rules):
            listing.people(tasks, self.people)
            yield [entry_of(task, controls, self.people) for task in tasks]

    def numbers(self) -> set[int]:
        return self._listing().ids()

    def find(self, keys: Sequence[str]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        wanted = list(dict.fromkeys(keys))
        for task in self._listing().having(f"data.{KEY}", wanted, "asking for tasks", include="id,data"):
            found.setdefault(task["data"][KEY], []).append(task["id"])
        return found

    def create(self, items: Sequence[Item]) -> list[int]:
        if not items:
            return []
        try:
            controls = self.known()
            tasks = [task_of(item, controls) for item in items]
        except SlmError as error:
            raise Untaken(str(error)) from None
        ids = import_tasks(self.client, self.there(), tasks)
        self._show([item.guess.model for item in items if item.guess])
        return ids

    def update(self, number: int, item: Item) -> None:
        controls = self.known()
        there = next(self._listing().having("id", [number], f"reading task {number}", include="id,data"), None)
        what = f"changing task {number}"
        gone = f"{self.place}: {what}: it was deleted there; run it again"
        if there is None:
            raise SlmError(gone)
        kept = {key: value for key, value in there["data"].items() if key != SINCE}
        try:
            data = {**kept, **data_of(item, controls)}
            self.client.send("PATCH", f"/api/tasks/{number}/", what, {"data": data})
        except Refusal as failure:
            raise SlmError(gone) if failure.status == 404 else failure from None

    def remove(self, numbers: Sequence[int]) -> None:
        wanted = sorted(set(numbers))
        for at in range(0, len(wanted), REMOVED):
            some = wanted[at : at + REMOVED]
            self.client.send(
                "POST",
                "/api/dm/actions/",
                f"deleting {len(some):,} tasks",
                {"selectedItems": {"all": False, "included": some}},
                timeout=600,
                id="delete_tasks",
                project=self.there(),
            )

    def guess(self, guesses: Mapping[int, Guess]) -> None:
        controls = self.known()
        listing = self._listing()
        tasks = {task["id"]: task for task in with_versions(listing, sorted(guesses))}
        known = [number for number, task in tasks.items() if guesses[number].model in task[VERSIONS]]
        had = with_predictions(listing, known)
        new = []
        for number, task in tasks.items():
            fields = to_fields(task["data"], controls)
            sent = prediction_of(guesses[number], fields, controls, f"task {number}")
            if not any(is_same(each, sent) for each in had.get(number, ())):
                new.append({"task": number, **sent})
        import_predictions(self.client, self.there(), new)
        self._show([guesses[number].model for number in tasks])

    def _show(self, models: Sequence[str]) -> None:
        """Let people see the predictions of the model that came last: the server keeps showing the first one's."""
        if models and models[-1] != self.version:
            body = {"model_version": models[-1]}
            self.client.send("PATCH", f"/api/projects/{self.there()}/", "choosing the predictions to show", body)
            self.version = models[-1]

    def close(self) -> None:
        self.client.close()

    def _listing(self) -> Listing:
        return Listing(self.client, self.there())
