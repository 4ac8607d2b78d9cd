"""Projects of Label Studio, where people annotate records."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import field, frozen

from slm.plugin import Bid, Hardware, Job, Project, Rank, Work, hookimpl

from .options import Reaching


def _title(instance: object, attribute: attrs.Attribute[Any], value: str) -> None:
    if not value.isdigit() and not 3 <= len(value) <= 50:
        raise ValueError(f"{value!r}: a title has 3 to 50 characters in Label Studio")


@frozen
class LabelStudio(Reaching):
    """Opens a project of a Label Studio server, where people annotate records."""

    project: str = field(
        default="slm", validator=_title, metadata={"help": "The project's title or id; made if it isn't there."}
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "opens projects of Label Studio")

    @hookimpl
    def annotate(self, shape: str, labels: tuple[str, ...], work: Work) -> Project:
        return self.opened(self.project, shape, labels, work)
