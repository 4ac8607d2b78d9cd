"""How an answer is sampled: the parameters that chat and completions share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from slm.plugin import Chunk, Interface, Request
from slm_servers.body import Fields
from slm_servers.errors import ApiError

if TYPE_CHECKING:
    from slm_servers.starlette import Starlette

USED = ("model", "max_tokens", "temperature", "top_p", "seed", "stop", "stream", "stream_options")
IGNORED = ("user", "metadata", "store", "service_tier", "prompt_cache_key", "prompt_cache_retention",
           "safety_identifier", "prediction", "parallel_tool_calls", "reasoning_effort", "verbosity")  # fmt: skip
NEUTRAL: Mapping[str, list[Any]] = {"n": [1], "logit_bias": [{}], "presence_penalty": [0], "frequency_penalty": [0]}
STOPS = 4


@frozen
class Sampling:
    """A request's wishes, checked."""

    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None
    stop: tuple[str, ...]
    stream: bool
    usage: bool

    def request(self, prompt: Sequence[int], interface: Interface, index: int = 0) -> Request:
        """What the engine is asked, within the context; ApiError where the prompt leaves no room for an answer."""
        room = interface.context - len(prompt)
        if room < 1:
            what = f"the prompt has {len(prompt):,} tokens; with its answer it must fit in {interface.context:,}"
            raise ApiError(400, what, "messages" if interface.template else "prompt", "context_length_exceeded")
        if not prompt:
            raise ApiError(400, "the prompt is empty; send some text", "prompt")
        seed = None if self.seed is None else self.seed + index
        return Request(tuple(prompt), min(self.max_tokens, room), self.temperature, self.top_p, seed, self.stop)


def sampling(fields: Fields, limits: Starlette) -> Sampling:
    """The sampling parameters of a request; an answer is never longer than the server's `max_tokens`."""
    options = fields.get("stream_options") or {}
    if not isinstance(options, dict):
        raise fields.wrong("stream_options", "an object")
    asked = fields.integer("max_completion_tokens", 1) or fields.integer("max_tokens", 1)
    top_p = fields.number("top_p", 1.0, 0.0, 1.0)
    return Sampling(
        max_tokens=min(asked or limits.max_tokens, limits.max_tokens),
        temperature=fields.number("temperature", limits.temperature, 0.0, 2.0),
        top_p=top_p or 1e-9,  # OpenAI takes 0 for the likeliest token alone
        seed=fields.integer("seed", -(1 << 63)),
        stop=tuple(text for text in fields.texts("stop", STOPS) if text),
        stream=fields.flag("stream"),
        usage=Fields(options, "stream_options.").flag("include_usage"),
    )


@frozen
class Answer:
    """One request's whole answer."""

    text: str
    tokens: int
    finish: str


def gathered(chunks: Sequence[Chunk], count: int) -> list[Answer]:
    """The answers of `count` requests, put together from their chunks."""
    texts, tokens, finish = [""] * count, [0] * count, ["stop"] * count
    for chunk in chunks:
        texts[chunk.index] += chunk.text
        tokens[chunk.index] += len(chunk.tokens)
        finish[chunk.index] = chunk.finish or finish[chunk.index]
    return [Answer(*found) for found in zip(texts, tokens, finish, strict=True)]


def usage(prompt: int, answer: int) -> dict[str, int]:
    """Token counts, as OpenAI reports them."""
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
