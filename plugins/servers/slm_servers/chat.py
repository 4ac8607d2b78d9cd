"""POST /v1/chat/completions."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

from slm.plugin import Engine, Request
from slm_servers.body import Fields
from slm_servers.errors import ApiError
from slm_servers.sampling import IGNORED, NEUTRAL, USED, gathered, sampling, usage
from slm_servers.service import Reply, Service
from slm_servers.threads import call, generate

MESSAGES = 1000  # a template is rendered once for each earlier answer
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
REFUSED: Mapping[str, list[Any]] = {
    **NEUTRAL, "logprobs": [False], "top_logprobs": [0], "tools": [[]], "tool_choice": ["none", "auto"],
    "functions": [[]], "function_call": ["none", "auto"], "response_format": [{"type": "text"}],
    "modalities": [["text"]], "audio": [], "web_search_options": [],
}  # fmt: skip


async def chat(service: Service, fields: Fields) -> Reply:
    """Answer a conversation."""
    name, engine = service.engine(fields, "generate", "classifies texts: POST them to /classify as 'input'")
    fields.check((*USED, "messages", "max_completion_tokens"), IGNORED, REFUSED)
    if engine.prompter.interface.template is None:
        raise ApiError(400, f"model {name!r} continues plain text: POST to /v1/completions", "model", "wrong_endpoint")
    wishes, turns = sampling(fields, service.limits), messages(fields)
    prompt = await call(service.pool, engine.prompter.prompt, turns)
    request = wishes.request(prompt, engine.prompter.interface)
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": name}
    if wishes.stream:
        return stream(service, engine, request, head, wishes.usage)
    async with aclosing(generate(service.pool, engine, [request])) as chunks:
        (answer,) = gathered([chunk async for chunk in chunks], 1)
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}
    counts = usage(len(request.prompt), answer.tokens)
    return {**head, "object": "chat.completion", "choices": [choice], "usage": counts}


async def stream(
    service: Service, engine: Engine, request: Request, head: Mapping[str, Any], counted: bool
) -> AsyncGenerator[dict[str, Any], None]:
    """The answer's events: the role, the pieces of text, the reason it ended, and the token counts if wanted."""
    event, tokens = partial(delta, head, counted), 0
    begun = False
    async with aclosing(generate(service.pool, engine, [request])) as chunks:
        async for chunk in chunks:
            tokens += len(chunk.tokens)
            if not begun:
                begun = True
                yield event({"role": "assistant", "content": "", "refusal": None})
            if chunk.text:
                yield event({"content": chunk.text})
            if chunk.finish:
                yield event({}, chunk.finish)
    if counted:
        yield {**event({}), "choices": [], "usage": usage(len(request.prompt), tokens)}


def delta(
    head: Mapping[str, Any], counted: bool, piece: Mapping[str, Any], finish: str | None = None
) -> dict[str, Any]:
    """One `chat.completion.chunk`; where counts are wanted, all but the last say `"usage": null`."""
    choice = {"index": 0, "delta": piece, "logprobs": None, "finish_reason": finish}
    return {**head, "object": "chat.completion.chunk", "choices": [choice], **({"usage": None} if counted else {})}


def messages(fields: Fields) -> list[dict[str, str]]:
    """The conversation, each turn's content as one text."""
    turns = fields.get("messages")
    if not isinstance(turns, list) or not turns:
        raise fields.wrong("messages", 'a list such as [{"role": "user", "content": "Hello"}]')
    if len(turns) > MESSAGES:
        raise ApiError(400, f"messages: at most {MESSAGES:,} are allowed, got {len(turns):,}", "messages")
    return [message(fields, n, turn) for n, turn in enumerate(turns)]


def message(fields: Fields, n: int, turn: Any) -> dict[str, str]:
    """One turn: its role, and its content (a text, or a list of text parts)."""
    if not isinstance(turn, dict):
        raise Fields({f"messages[{n}]": turn}).wrong(f"messages[{n}]", "an object with 'role' and 'content'")
    inner = Fields(turn, f"messages[{n}].")
    role = turn.get("role")
    if not isinstance(role, str) or role not in ROLES or turn.get("tool_calls"):
        raise inner.wrong("role", "system, developer, user or assistant (tools are not supported)")
    if not isinstance(turn.get("content"), list):
        return {"role": ROLES[role], "content": inner.text("content")}
    texts = []
    for part in turn["content"]:
        if not isinstance(part, dict) or part.get("type") != "text":
            raise inner.wrong("content", "text, or parts of type 'text'")
        texts.append(Fields(part, f"messages[{n}].content.").text("text"))
    return {"role": ROLES[role], "content": "".join(texts)}
