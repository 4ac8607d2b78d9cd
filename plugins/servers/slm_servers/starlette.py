"""The HTTP server: OpenAI's protocol for what generates, `/classify` for what labels, and a page to try both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen
from attrs.validators import and_, ge, gt, le

from slm.plugin import Bid, Engine, Hardware, Job, Rank, Server, hookimpl


@frozen
class Starlette(Server):
    """Serves models over HTTP as OpenAI's API does, with a chat page at `/`."""

    concurrency: int = field(default=16, validator=ge(1), metadata={"help": "Requests answered at once."})
    queue: int = field(default=64, validator=ge(0), metadata={"help": "Requests that may wait; more get 429."})
    timeout: float = field(default=300.0, validator=gt(0), metadata={"help": "Seconds a request may take."})
    max_tokens: int = field(default=1024, validator=ge(1), metadata={"help": "Longest answer, in tokens."})
    max_body: int = field(default=1 << 20, validator=ge(1), metadata={"help": "Largest request body, in bytes."})
    max_inputs: int = field(default=64, validator=ge(1), metadata={"help": "Most prompts or texts in one request."})
    temperature: float = field(
        default=0.0,
        validator=and_(ge(0.0), le(2.0)),
        metadata={"help": "Sampling temperature where a request names none; 0 always takes the likeliest token."},
    )
    origins: tuple[str, ...] = field(
        default=(), metadata={"help": "Web origins whose pages may call the server from a browser (CORS)."}
    )
    allowed_hosts: tuple[str, ...] = field(
        default=("localhost", "127.0.0.1", "[::1]"),
        metadata={"help": "Host names answered while no key is asked: other sites can't reach in through a browser."},
    )
    page: bool = field(default=True, metadata={"help": "Show the chat page at `/`."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """For every task."""
        return Bid(Rank.GOOD, "speaks OpenAI's protocol, which most clients know")

    @hookimpl
    def serve(self, engines: Mapping[str, Engine], key: str | None) -> Any:
        """An ASGI application; the engines stay the caller's to close."""
        from slm_servers.app import application

        return application(engines, key, self)
