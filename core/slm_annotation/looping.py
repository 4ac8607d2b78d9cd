"""The loop of choosing, labelling and training: who chose what, what came of it, and when it is enough."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import cattrs
from attrs import define, field, frozen

from slm.errors import SlmError
from slm_runs.store import write_text

RANDOM = "random"


@frozen
class Point:
    """One training of one arm: how many labels it had, the metric with its 95% confidence interval, and the run."""

    arm: str
    labels: int
    value: float
    low: float
    high: float
    run: str


@define
class Course:
    """How far a loop is. `chosen` holds for each arm its batches of keys; `points` what each training gave; `promoted`
    the run of the best so far. Written after each step: a loop that was stopped goes on where it was."""

    file: Path
    metric: str = ""
    better: str = "higher"
    chosen: dict[str, list[list[str]]] = field(factory=dict)
    points: list[Point] = field(factory=list)
    promoted: str = ""

    @classmethod
    def opened(cls, file: Path, arms: Sequence[str]) -> Course:
        """The course in a file, or a new one; SlmError where the file is of a loop with other arms."""
        if not file.is_file():
            return cls(file, chosen={arm: [] for arm in arms})
        table = json.loads(file.read_text(encoding="utf-8"))
        found = cls(file, **{**table, "points": cattrs.structure(table["points"], list[Point])})
        if list(found.chosen) != list(arms):
            raise SlmError(
                f"{file}: a loop of {' and '.join(found.chosen)} was begun here; go on with those, or delete the file"
            )
        return found

    def save(self) -> None:
        """Write it down."""
        table = attrs.asdict(self, filter=lambda attribute, _: attribute.name != "file")
        write_text(self.file, json.dumps(table, indent=1))

    def keys(self, arm: str) -> list[str]:
        """All keys that an arm chose."""
        return [key for batch in self.chosen[arm] for key in batch]

    def of(self, arm: str) -> list[Point]:
        """An arm's points, in their order."""
        return [point for point in self.points if point.arm == arm]

    def best(self) -> Point | None:
        """The point with the best value; the earlier of equals."""
        sign = 1 if self.better == "higher" else -1
        return max(self.points, key=lambda point: sign * point.value, default=None)

    def stands_still(self, arm: str, patience: int) -> bool:
        """Whether none of an arm's last `patience` trainings was better than the best before them."""
        sign = 1 if self.better == "higher" else -1
        values = [sign * point.value for point in self.of(arm)]
        return len(values) > patience and max(values[-patience:]) <= max(values[:-patience])


def curve(course: Course) -> list[str]:
    """The learning curve as a markdown table: a row for each number of labels, a column for each arm."""
    arms = list(course.chosen)
    lines = [f"| labels | {' | '.join(f'{arm}: {course.metric}' for arm in arms)} |", "|---" * (len(arms) + 1) + "|"]
    found: dict[int, dict[str, Point]] = {}
    for point in course.points:
        found.setdefault(point.labels, {})[point.arm] = point
    for labels, points in sorted(found.items()):
        cells = [shown(points.get(arm)) for arm in arms]
        lines.append(f"| {labels:,} | {' | '.join(cells)} |")
    return lines


def shown(point: Point | None) -> str:
    """A point's value with its interval."""
    return f"{point.value:.3f} ({point.low:.3f} to {point.high:.3f})" if point else ""


def trained_table(table: Mapping[str, Any], files: Mapping[str, Path], name: str) -> dict[str, Any]:
    """The pipeline that trains on what is labelled: records in place of the sources, which were cleaned already."""
    kept = {key: value for key, value in table.items() if key not in ("load", "preprocess", "annotate")}
    loads = [{"from": str(file), "use": "jsonl", "split": split} for split, file in files.items()]
    return {**kept, "name": name, "load": loads}
