"""What a client is told where it gets no answer: an HTTP status and one line of JSON."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from attrs import define, field

from slm.plugin import SlmError

LOG = logging.getLogger("slm.label-studio")


@define
class Refused(Exception):
    """A request that is not answered: HTTP status, one clear line, headers."""

    status: int
    line: str
    headers: Mapping[str, str] = field(factory=dict)


def told(error: Exception, path: str) -> Refused:
    """Any failure as the client is told of it. Label Studio shows only its status, so the line is in our log too;
    what is nobody's mistake is there with its traceback."""
    if isinstance(error, Refused | SlmError):
        refused = error if isinstance(error, Refused) else Refused(422, " ".join(str(error).split()))
        LOG.warning("label-studio: %s: %s", path, refused.line)
        return refused
    LOG.error("label-studio: %s failed", path, exc_info=error)
    return Refused(500, "the server failed; its log says why")
