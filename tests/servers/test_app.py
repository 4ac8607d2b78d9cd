import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import httpx
import openai
import pytest

from slm.plugin import Chunk, Engine, Hardware, Job, Rank, Request
from slm.values import Base
from slm_servers.starlette import Starlette

HELLO = [{"role": "user", "content": "Hello"}]
JSON = {"Content-Type": "application/json"}


def test_the_models_are_listed_with_what_they_are_for(served: Any) -> None:
    client = served.openai()
    found = {each.id: each for each in client.models.list()}
    assert list(found) == ["bot", "writer", "sorter", "novelist"]
    assert (found["bot"].object, found["bot"].owned_by) == ("model", "slm")
    assert found["sorter"].model_dump()["labels"] == ["lights", "music", "weather"]
    assert client.models.retrieve("bot").model_dump()["task"] == "qa"


def test_an_unknown_model_is_named_with_those_there_are(served: Any) -> None:
    client = served.openai()
    with pytest.raises(openai.NotFoundError, match="model 'gpt-9' is not served here; there is bot, writer") as caught:
        client.chat.completions.create(model="gpt-9", messages=HELLO)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v1/nothing", 404, "no such address: GET /v1/nothing"),
        ("GET", "/v1/chat/completions", 405, "GET /v1/chat/completions: this address takes another method"),
        ("POST", "/health", 405, "POST /health: this address takes another method"),
    ],
)
def test_a_wrong_address_is_an_error_of_openais_shape(
    method: str, path: str, status: int, message: str, served: Any
) -> None:
    with served.http() as client:
        found = client.request(method, path)
    assert (found.status_code, found.json()["error"]["message"]) == (status, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b'{"temperature": NaN}', "the body is not JSON: NaN is not JSON"),
        (b"[" * 200_000, "the body is not JSON"),
        (b"[1]", "the body has to be a JSON object"),
        (b'"text"', "the body has to be a JSON object"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "the body is not JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes, message: str, served: Any) -> None:
    with served.http() as client:
        for path in ("/v1/chat/completions", "/v1/completions", "/classify"):
            found = client.post(path, content=body, headers=JSON)
            assert found.status_code == 400
            assert found.json()["error"]["message"].startswith(message)


def test_another_content_type_is_refused_so_that_no_web_form_can_ask(served: Any) -> None:
    with served.http() as client:
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            found = client.post("/v1/completions", content=b"{}", headers={"Content-Type": kind})
            assert found.status_code == 415
            assert "Content-Type: application/json" in found.json()["error"]["message"]
        assert client.post(
            "/v1/completions", content=b"{}", headers={"Content-Type": "Application/JSON; charset=utf-8"}
        )


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(chunked: bool, serve: Callable[..., Any]) -> None:
    body = json.dumps({"messages": HELLO, "user": "a" * 20_000}).encode()

    def pieces() -> Iterator[bytes]:
        yield from (body[at : at + 1000] for at in range(0, len(body), 1000))

    with serve(["bot"], max_body=10_000) as served, served.http() as client:
        found = client.post("/v1/chat/completions", content=pieces() if chunked else body, headers=JSON)
        assert (found.status_code, found.json()["error"]["code"]) == (413, "request_too_large")
        small = client.post("/v1/chat/completions", json={"messages": HELLO, "max_tokens": 1})
        assert small.status_code == 200


def test_only_the_key_opens(serve: Callable[..., Any]) -> None:
    with serve(["bot", "sorter"], key="sésame") as served:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "sésame".encode()}):
            found = httpx.get(f"{served.url}/v1/models", headers=headers)
            assert (found.status_code, found.json()["error"]["code"]) == (401, "invalid_api_key")
            assert found.headers["www-authenticate"] == "Bearer"
        for path in ("/v1/chat/completions", "/classify", "/v1/nothing"):
            assert httpx.post(f"{served.url}{path}", json={}).status_code == 401
        right = httpx.get(f"{served.url}/v1/models", headers={"Authorization": "Bearer sésame".encode()})
        assert right.status_code == 200
        assert httpx.get(f"{served.url}/health").json()["status"] == "ok"
        assert httpx.get(f"{served.url}/").status_code == 200


def test_openais_client_sends_the_key(serve: Callable[..., Any]) -> None:
    with serve(["bot"], key="k-123") as served:
        found = served.openai().chat.completions.create(model="bot", messages=HELLO, max_tokens=2)
        assert found.usage.completion_tokens == 2
        with pytest.raises(openai.AuthenticationError, match="Authorization: Bearer KEY"):
            served.openai("k-1234").models.list()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:80", 200),
        ("LOCALHOST", 200),
        ("[::1]:9", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
    ],
)
def test_without_a_key_only_names_of_this_machine_are_served(host: str, status: int, served: Any) -> None:
    with served.http() as client:
        assert client.get("/v1/models", headers={"Host": host}).status_code == status


def test_with_a_key_any_host_name_will_do(serve: Callable[..., Any]) -> None:
    with serve(["bot"], key="k") as served, served.http() as client:
        assert client.get("/v1/models", headers={"Host": "models.example.org"}).status_code == 200


def test_browsers_may_call_only_from_the_origins_named(
    serve: Callable[..., Any], stack: ExitStack, served: Any
) -> None:
    ask = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    with served.http() as client:
        assert "access-control-allow-origin" not in client.options("/v1/completions", headers=ask).headers
    open_to = stack.enter_context(serve(["bot"], key="k", origins=("https://app.example",)))
    found = httpx.options(f"{open_to.url}/v1/completions", headers=ask)
    assert (found.status_code, found.headers["access-control-allow-origin"]) == (200, "https://app.example")
    other = httpx.options(f"{open_to.url}/v1/completions", headers={**ask, "Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_the_page_needs_nothing_from_elsewhere(served: Any) -> None:
    with served.http() as client:
        found = client.get("/")
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    assert found.headers["content-security-policy"].startswith("default-src 'none'")
    assert not re.findall(r"https?://|src=|@import|url\(", found.text)
    assert found.text.startswith("<!doctype html>")


def test_the_page_can_be_switched_off(serve: Callable[..., Any]) -> None:
    with serve(["bot"], page=False) as served, served.http() as client:
        assert client.get("/").status_code == 404


class Failing:
    """An engine that gives up: at once when it classifies, after its first chunk when it generates."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.prompter = engine, engine.prompter

    def classify(self, texts: Sequence[str]) -> list[list[float]]:
        raise RuntimeError("secret path /home/ann")

    def generate(self, requests: Sequence[Request]) -> Iterator[Chunk]:
        yield next(self.engine.generate(requests))
        raise RuntimeError("secret path /home/ann")


def test_a_failure_inside_goes_to_the_log_and_not_to_the_client(
    serve: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    engines: Mapping[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("sorter", "bot"):
        monkeypatch.setattr(engines[name], "engine", Failing(engines[name].engine))
    with serve(["sorter", "bot"]) as served, served.http() as client:
        found = client.post("/classify", json={"model": "sorter", "input": "a"})
        assert (found.status_code, found.json()["error"]["type"]) == (500, "server_error")
        whole = client.post("/v1/chat/completions", json={"model": "bot", "messages": HELLO})
        assert whole.status_code == 500
        stream = client.post("/v1/chat/completions", json={"model": "bot", "messages": HELLO, "stream": True})
        assert (stream.status_code, "server_error" in stream.text) == (200, True)
        assert stream.text.endswith("data: [DONE]\n\n")
        logged = [record for record in caplog.records if record.name == "slm.server"]
        assert [str(record.exc_info[1]) for record in logged if record.exc_info] == ["secret path /home/ann"] * 3
        assert "secret" not in found.text + whole.text + stream.text
        assert served.health()["running"] == 0


def test_it_bids_on_every_task() -> None:
    for task in ("qa", "classification", "completion"):
        assert Starlette().bid(Job("x", task, Base("b")), Hardware()).rank is Rank.GOOD
