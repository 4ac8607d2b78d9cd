"""The ML backend: a served model's guesses appear in Label Studio as tasks are opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from attrs import field, frozen
from attrs.validators import ge, gt

from slm.plugin import Bid, Engine, Hardware, Job, Mount, Rank, hookimpl


@frozen
class Backend(Mount):
    """Answers Label Studio's ML backend protocol with the served models, below `/label-studio`."""

    path: ClassVar[str] = "/label-studio"

    max_request: int = field(
        default=64 << 20, validator=ge(1), metadata={"help": "Largest request, in bytes; 2,000 tasks are some 1.4 MB."}
    )
    patience: float = field(
        default=60.0, validator=gt(0), metadata={"help": "Seconds in which a request's body has to arrive."}
    )
    threads: int = field(default=4, validator=ge(1), metadata={"help": "Requests for predictions worked on at once."})
    block: int = field(
        default=32, validator=ge(1), metadata={"help": "Tasks guessed together; a client that left is noticed between."}
    )
    allowed_hosts: tuple[str, ...] = field(
        default=("localhost", "127.0.0.1", "[::1]"),
        metadata={"help": "Host names answered while no key is asked: other sites can't reach in through a browser."},
    )

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """For every task; what a project asks may still be another."""
        return Bid(Rank.GOOD, "Label Studio can ask for predictions at once")

    @hookimpl
    def mount(self, engines: Mapping[str, Engine], key: str | None, train: Callable[[], str] | None) -> Any:
        """An ASGI application; with a `key`, it is sent as a bearer token or as the password of Basic authentication,
        which is what Label Studio can send."""
        from slm_annotators.backing.app import Application
        from slm_annotators.backing.guessing import open_models

        return Application(open_models(engines, self.block), key, train, self)
