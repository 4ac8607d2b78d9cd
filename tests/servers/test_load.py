"""Many clients, impatient clients, and clients that leave."""

import json
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import openai
import pytest

LONG = {"model": "novelist", "messages": [{"role": "user", "content": "Tell me everything"}], "max_tokens": 50_000}
CHAT = "/v1/chat/completions"
Eventually = Callable[[Callable[[], bool]], bool]


def begin(stack: ExitStack, served: Any, stream: bool) -> socket.socket:
    """Send a long request over a bare socket; nothing is read yet."""
    host, port = served.url.removeprefix("http://").split(":")
    client = stack.enter_context(socket.create_connection((host, int(port))))
    body = json.dumps({**LONG, "stream": stream}).encode()
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    client.sendall(head.encode() + body)
    return client


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_stops_its_answer(
    stream: bool, serve: Callable[..., Any], engines: Mapping[str, Any], stack: ExitStack, eventually: Eventually
) -> None:
    engine = engines["novelist"]
    before = engine.chunks
    served = stack.enter_context(serve(["novelist"], max_tokens=50_000))
    client = begin(stack, served, stream)
    assert eventually(lambda: engine.open == 1 and engine.chunks > before)
    client.close()
    assert eventually(lambda: engine.open == 0 and served.health()["running"] == 0)
    assert engine.chunks - before < 50_000


def test_a_waiting_client_that_leaves_gives_up_its_place(
    serve: Callable[..., Any], engines: Mapping[str, Any], stack: ExitStack, eventually: Eventually
) -> None:
    served = stack.enter_context(serve(["novelist"], max_tokens=50_000, concurrency=1, queue=1))
    first = begin(stack, served, True)
    assert eventually(lambda: served.health()["running"] == 1)
    second = begin(stack, served, True)
    assert eventually(lambda: served.health()["waiting"] == 1)
    second.close()
    assert eventually(lambda: served.health()["waiting"] == 0)
    assert served.health()["running"] == 1
    first.close()
    assert eventually(lambda: served.health()["running"] == 0 and engines["novelist"].open == 0)


def test_too_many_requests_are_sent_away_and_told_when_to_come_back(
    serve: Callable[..., Any], engines: Mapping[str, Any], stack: ExitStack, eventually: Eventually
) -> None:
    served = stack.enter_context(serve(["novelist", "bot"], max_tokens=50_000, concurrency=1, queue=0))
    first = begin(stack, served, False)
    assert eventually(lambda: served.health()["running"] == 1)
    with pytest.raises(openai.RateLimitError, match="too many requests") as caught:
        served.openai().chat.completions.create(model="bot", messages=LONG["messages"])
    assert caught.value.response.headers["retry-after"] == "1"
    first.close()
    assert eventually(lambda: served.health()["running"] == 0 and engines["novelist"].open == 0)
    found = served.openai().chat.completions.create(model="bot", messages=LONG["messages"], max_tokens=2)
    assert found.usage.completion_tokens == 2


def test_requests_in_the_queue_are_all_answered(serve: Callable[..., Any], stack: ExitStack) -> None:
    served = stack.enter_context(serve(["bot"], concurrency=2, queue=10))
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20}
    with ThreadPoolExecutor(12) as pool, served.http() as client:
        found = list(pool.map(lambda _: client.post(CHAT, json=body), range(12)))
    assert {each.status_code for each in found} == {200}
    assert len({each.json()["choices"][0]["message"]["content"] for each in found}) == 1
    assert served.health() == {"status": "ok", "running": 0, "waiting": 0}


def test_an_answer_over_its_time_is_ended(
    serve: Callable[..., Any], engines: Mapping[str, Any], stack: ExitStack, eventually: Eventually
) -> None:
    served = stack.enter_context(serve(["novelist"], max_tokens=50_000, timeout=0.5))
    with served.http() as client:
        found = client.post(CHAT, json=LONG)
        assert (found.status_code, found.json()["error"]["code"]) == (504, "timeout")
        text = client.post(CHAT, json={**LONG, "stream": True}).text
    *_, error, done, _ = text.split("\n\n")
    assert (json.loads(error.removeprefix("data: "))["error"]["code"], done) == ("timeout", "data: [DONE]")
    assert eventually(lambda: engines["novelist"].open == 0)


def test_openais_client_sees_an_error_within_a_stream(serve: Callable[..., Any], stack: ExitStack) -> None:
    served = stack.enter_context(serve(["novelist"], max_tokens=50_000, timeout=0.5))
    with pytest.raises(openai.APIError, match="the answer took too long"):
        list(served.openai().chat.completions.create(**LONG, stream=True))


def test_the_server_answers_others_while_it_generates(
    serve: Callable[..., Any], engines: Mapping[str, Any], stack: ExitStack, eventually: Eventually
) -> None:
    served = stack.enter_context(serve(max_tokens=50_000))
    clients = [begin(stack, served, True) for _ in range(3)]
    assert eventually(lambda: served.health()["running"] == 3)
    assert httpx.get(f"{served.url}/v1/models").status_code == 200
    assert (
        httpx.post(f"{served.url}/classify", json={"model": "sorter", "input": "rain"}, timeout=60).status_code == 200
    )
    assert served.health()["running"] == 3
    for client in clients:
        client.close()
    assert eventually(lambda: engines["novelist"].open == 0)
