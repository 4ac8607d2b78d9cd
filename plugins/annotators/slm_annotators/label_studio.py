"""Projects of Label Studio, where people annotate records."""

from __future__ import annotations

import os
from typing import Any

import attrs
from attrs import field, frozen
from attrs.validators import gt

from slm.plugin import Bid, Hardware, Job, Rank, Work, hookimpl
from slm_annotation.values import Project

HERE = "http://127.0.0.1:8080"


def _title(instance: object, attribute: attrs.Attribute[Any], value: str) -> None:
    if not value.isdigit() and not 3 <= len(value) <= 50:
        raise ValueError(f"{value!r}: a title has 3 to 50 characters in Label Studio")


@frozen
class LabelStudio:
    """Opens a project of a Label Studio server, where people annotate records."""

    url: str = field(
        default="", metadata={"help": f"Where Label Studio is; if empty, LABEL_STUDIO_URL says it, else it is {HERE}."}
    )
    key: str = field(
        default="",
        repr=False,
        metadata={
            "secret": True,
            "help": "A personal access token or legacy token; if empty, LABEL_STUDIO_API_KEY says it.",
        },
    )
    project: str = field(
        default="slm", validator=_title, metadata={"help": "The project's title or id; made if it isn't there."}
    )
    map: dict[str, str] = field(
        factory=dict,
        hash=False,
        metadata={"help": "Which control or data key of a label config of your own is which field or value."},
    )
    verify: bool | str = field(
        default=True, metadata={"help": "Check the server's certificate; or the PEM file of the authority to trust."}
    )
    timeout: float = field(default=120.0, validator=gt(0), metadata={"help": "Seconds to wait for an answer."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        return Bid(Rank.POSSIBLE, "opens projects of Label Studio")

    @hookimpl
    def annotate(self, shape: str, labels: tuple[str, ...], work: Work) -> Project:
        from .studio.client import open_client
        from .studio.keys import checked_key
        from .studio.project import StudioProject

        key = checked_key(self.key or os.environ.get("LABEL_STUDIO_API_KEY", ""))
        url = self.url or os.environ.get("LABEL_STUDIO_URL", "") or HERE
        client = open_client(url, key, self.verify, self.timeout, work.root)
        project = StudioProject(client, self.project, shape, labels, self.map)
        try:
            project.open()
        except BaseException:
            project.close()
            raise
        return project
