"""POST /v1/completions."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from attrs import evolve

from slm.plugin import Chunk, Engine, Request
from slm_models.template import Prompter
from slm_servers.body import Fields
from slm_servers.errors import ApiError
from slm_servers.sampling import IGNORED, NEUTRAL, USED, gathered, sampling, usage
from slm_servers.service import Reply, Service
from slm_servers.threads import call, generate

REFUSED: Mapping[str, list[Any]] = {**NEUTRAL, "best_of": [1], "echo": [False], "suffix": [""], "logprobs": []}
SEEN = 8  # tokens of a prompt that tell how its continuation begins
FORMS = "a text, a list of texts, a list of token ids, or a list of such lists"


async def completions(service: Service, fields: Fields) -> Reply:
    """Continue one text or several."""
    name, engine = service.engine(fields, "generate", "classifies texts: POST them to /classify as 'input'")
    fields.check((*USED, "prompt"), IGNORED, REFUSED)
    wishes, prompts = sampling(fields, service.limits), read_prompts(fields, service.limits.max_inputs)
    found = await call(service.pool, lambda given: [ids(engine, each) for each in given], prompts)
    requests = [wishes.request(each, engine.prompter.interface, n) for n, each in enumerate(found)]
    head = {"id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion", "created": int(time.time()), "model": name}
    if wishes.stream:
        return stream(service, engine, requests, head, wishes.usage)
    async with aclosing(continued(service, engine, requests)) as chunks:
        answers = gathered([chunk async for chunk in chunks], len(requests))
    choices = [choice(n, answer.text, answer.finish) for n, answer in enumerate(answers)]
    counts = usage(sum(len(request.prompt) for request in requests), sum(answer.tokens for answer in answers))
    return {**head, "choices": choices, "usage": counts}


async def stream(
    service: Service, engine: Engine, requests: Sequence[Request], head: Mapping[str, Any], counted: bool
) -> AsyncGenerator[dict[str, Any], None]:
    """The pieces of all answers as they come, and the token counts if wanted."""
    extra, tokens = ({"usage": None} if counted else {}), 0
    async with aclosing(continued(service, engine, requests)) as chunks:
        async for chunk in chunks:
            tokens += len(chunk.tokens)
            if chunk.text or chunk.finish:
                yield {**head, "choices": [choice(chunk.index, chunk.text, chunk.finish or None)], **extra}
    if counted:
        yield {**head, "choices": [], "usage": usage(sum(len(request.prompt) for request in requests), tokens)}


async def continued(service: Service, engine: Engine, requests: Sequence[Request]) -> AsyncGenerator[Chunk, None]:
    """The engine's chunks, with the space between a prompt and its continuation that decoders drop at the front."""
    begun: set[int] = set()
    async with aclosing(generate(service.pool, engine, requests)) as chunks:
        async for chunk in chunks:
            if chunk.text and chunk.index not in begun:
                begun.add(chunk.index)
                gap = space(engine.prompter, requests[chunk.index].prompt[-SEEN:], chunk)
                chunk = evolve(chunk, text=gap + chunk.text)
            yield chunk


def space(prompter: Prompter, prompt: Sequence[int], chunk: Chunk) -> str:
    """The space that the chunk's tokens begin with behind the prompt's last ones, but not by themselves."""
    text = prompter.decode([*prompt, *chunk.tokens])[len(prompter.decode(prompt)) :]
    return " " if text.startswith(" ") and not chunk.text.startswith(" ") else ""


def choice(index: int, text: str, finish: str | None) -> dict[str, Any]:
    """One element of `choices`."""
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


def read_prompts(fields: Fields, limit: int) -> list[str | list[int]]:
    """What is to be continued, in any of OpenAI's four forms."""
    prompt = fields.get("prompt")
    if isinstance(prompt, list) and prompt:
        lists = [prompt] if all(isinstance(each, int) for each in prompt) else prompt
        if all(isinstance(each, list) for each in lists):
            if len(lists) > limit:
                raise ApiError(400, f"prompt: at most {limit} are allowed, got {len(lists)}", "prompt")
            if not all(type(each) is int for row in lists for each in row):
                raise fields.wrong("prompt", FORMS)
            return list(lists)
    if not prompt and prompt != "":
        raise fields.wrong("prompt", FORMS)
    return list(fields.texts("prompt", limit, FORMS))


def ids(engine: Engine, prompt: str | list[int]) -> list[int]:
    """A prompt's token ids; ApiError for an id that the vocabulary has not."""
    if isinstance(prompt, str):
        return engine.prompter.text(prompt)
    size = engine.prompter.tokenizer.get_vocab_size()
    if strange := [each for each in prompt if not 0 <= each < size]:
        raise ApiError(400, f"prompt: token {strange[0]} is not in the vocabulary of {size:,}", "prompt")
    return prompt
