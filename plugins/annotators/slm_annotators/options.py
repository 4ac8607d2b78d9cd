"""The options of all that reaches a Label Studio server, said once; and the way to one of its projects."""

from __future__ import annotations

import os

from attrs import field, frozen
from attrs.validators import gt

from slm.plugin import Project, Work

HERE = "http://127.0.0.1:8080"


@frozen
class Reaching:
    """The options by which a server is reached, and its answers are read."""

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
    map: dict[str, str] = field(
        factory=dict,
        hash=False,
        metadata={"help": "Which control or data key of a label config of your own is which field or value."},
    )
    verify: bool | str = field(
        default=True, metadata={"help": "Check the server's certificate; or the PEM file of the authority to trust."}
    )
    timeout: float = field(default=120.0, validator=gt(0), metadata={"help": "Seconds to wait for an answer."})

    def opened(self, project: str, shape: str, labels: tuple[str, ...], work: Work) -> Project:
        """A project of the server, by title or id."""
        from .studio.client import open_client
        from .studio.keys import checked_key
        from .studio.project import StudioProject

        key = checked_key(self.key or os.environ.get("LABEL_STUDIO_API_KEY", ""))
        url = self.url or os.environ.get("LABEL_STUDIO_URL", "") or HERE
        client = open_client(url, key, self.verify, self.timeout, work.root)
        made = StudioProject(client, project, shape, labels, self.map)
        try:
            made.open()
        except BaseException:
            made.close()
            raise
        return made
