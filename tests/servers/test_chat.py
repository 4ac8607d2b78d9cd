import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from slm.plugin import Engine, Request

HELLO = [{"role": "user", "content": "Hello, what is the answer?"}]


def alone(engine: Engine, content: str, tokens: int) -> str:
    prompt = tuple(engine.prompter.prompt([{"role": "user", "content": content}]))
    return "".join(chunk.text for chunk in engine.generate([Request(prompt, tokens)]))


def test_openais_client_gets_the_models_answer(served: Any, engines: Mapping[str, Engine]) -> None:
    found = served.openai().chat.completions.create(model="bot", messages=HELLO, max_tokens=12)
    (choice,) = found.choices
    assert choice.message.content == alone(engines["bot"], HELLO[0]["content"], 12)
    assert (choice.message.role, choice.finish_reason, found.object) == ("assistant", "length", "chat.completion")
    prompt = len(engines["bot"].prompter.prompt(HELLO))
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (prompt, 12)
    assert found.usage.total_tokens == prompt + 12
    assert found.id.startswith("chatcmpl-")


def test_a_stream_gives_the_same_text_piece_by_piece(served: Any, engines: Mapping[str, Engine]) -> None:
    options = {"include_usage": True}
    chunks = list(
        served.openai().chat.completions.create(
            model="bot", messages=HELLO, max_completion_tokens=12, stream=True, stream_options=options
        )
    )
    *pieces, counts = chunks
    assert pieces[0].choices[0].delta.role == "assistant"
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert text == alone(engines["bot"], HELLO[0]["content"], 12)
    assert [piece.choices[0].finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + ["length"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert (counts.choices, counts.usage.completion_tokens) == ([], 12)
    assert all(piece.usage is None for piece in pieces)


def test_the_events_are_openais_to_the_letter(served: Any) -> None:
    body = {"model": "bot", "messages": HELLO, "max_tokens": 3, "stream": True}
    with served.http() as client, client.stream("POST", "/v1/chat/completions", json=body) as response:
        raw = response.read().decode()
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert raw.endswith("\n\ndata: [DONE]\n\n")
    events = [json.loads(part.removeprefix("data: ")) for part in raw.split("\n\n")[:-2]]
    keys = {"id", "object", "created", "model", "choices"}
    assert all(set(event) == keys and event["object"] == "chat.completion.chunk" for event in events)
    assert events[0]["choices"] == [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": "", "refusal": None},
            "logprobs": None,
            "finish_reason": None,
        }
    ]
    assert events[-1]["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "length"}]
    assert all(set(event["choices"][0]["delta"]) == {"content"} for event in events[1:-1])


def test_many_streams_at_once_give_what_each_gives_alone(served: Any, engines: Mapping[str, Engine]) -> None:
    client, questions = served.openai(), [f"Question {n}: {'why ' * (n % 5)}?" for n in range(24)]

    def ask(question: str) -> str:
        messages = [{"role": "user", "content": question}]
        events = client.chat.completions.create(model="bot", messages=messages, max_tokens=30, stream=True)
        return "".join(event.choices[0].delta.content or "" for event in events)

    with ThreadPoolExecutor(24) as pool:
        together = list(pool.map(ask, questions))
    assert together == [alone(engines["bot"], question, 30) for question in questions]
    assert len(set(together)) > 1


def test_a_conversation_in_parts_and_roles_reads_as_one(served: Any) -> None:
    client = served.openai()
    parts = [{"type": "text", "text": "Hello, "}, {"type": "text", "text": "you"}]
    plain = [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hello, you"}]
    split = [{"role": "developer", "content": "Be kind"}, {"role": "user", "content": parts, "name": "ann"}]
    answers = [
        client.chat.completions.create(model="bot", messages=each, max_tokens=8).choices[0].message.content
        for each in (plain, split)
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "content", ["Grüße 👋🏽 你好 مرحبا", "\x00\x07", "<s></s><s>", "{{ 7*7 }} {% raw %}", "a" * 150]
)
def test_any_text_can_be_asked_and_the_answer_is_valid_text(
    content: str, served: Any, engines: Mapping[str, Engine]
) -> None:
    messages = [{"role": "user", "content": content}]
    found = served.openai().chat.completions.create(model="bot", messages=messages, max_tokens=20)
    assert found.choices[0].message.content == alone(engines["bot"], content, 20)


def test_seed_and_temperature_are_obeyed(served: Any) -> None:
    def ask(**options: Any) -> str | None:
        found = served.openai().chat.completions.create(model="bot", messages=HELLO, max_tokens=12, **options)
        return found.choices[0].message.content

    assert ask(temperature=1.5, seed=1) == ask(temperature=1.5, seed=1)
    assert len({ask(temperature=2.0, seed=seed) for seed in range(4)}) > 1
    assert ask(temperature=1.0, top_p=0.0) == ask(temperature=0)


def test_a_stop_text_ends_the_answer_and_is_not_shown(served: Any, engines: Mapping[str, Engine]) -> None:
    whole = alone(engines["bot"], HELLO[0]["content"], 12)
    stop = whole[len(whole) // 2 :][:2]
    found = served.openai().chat.completions.create(model="bot", messages=HELLO, max_tokens=12, stop=[stop])
    assert found.choices[0].message.content == whole[: whole.index(stop)]
    assert found.choices[0].finish_reason == "stop"


def test_an_answer_is_no_longer_than_the_server_allows(serve: Callable[..., Any]) -> None:
    with serve(["bot"], max_tokens=5) as served:
        for asked in (None, 5000):
            found = served.openai().chat.completions.create(model="bot", messages=HELLO, max_tokens=asked)
            assert (found.usage.completion_tokens, found.choices[0].finish_reason) == (5, "length")


def test_an_answer_ends_where_the_context_does(served: Any, engines: Mapping[str, Engine]) -> None:
    found = served.openai().chat.completions.create(model="bot", messages=HELLO, max_tokens=1000)
    assert found.usage.total_tokens == 256
    assert found.choices[0].finish_reason == "length"


def test_a_prompt_beyond_the_context_says_so_as_openai_does(served: Any) -> None:
    messages = [{"role": "user", "content": "word " * 300}]
    with pytest.raises(openai.BadRequestError) as caught:
        served.openai().chat.completions.create(model="bot", messages=messages)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")
    assert "must fit in 256" in caught.value.message


def test_a_single_model_need_not_be_named(serve: Callable[..., Any]) -> None:
    with serve(["bot"]) as served, served.http() as client:
        found = client.post("/v1/chat/completions", json={"messages": HELLO, "max_tokens": 1})
        assert (found.status_code, found.json()["model"]) == (200, "bot")


HARMLESS = [
    {"n": 1, "user": "ann", "logit_bias": {}, "presence_penalty": 0, "frequency_penalty": 0.0, "logprobs": False},
    {"tools": [], "tool_choice": "none", "response_format": {"type": "text"}, "metadata": {"a": "b"}, "store": False},
    {"temperature": None, "max_tokens": None, "stop": None, "stream": None, "seed": None, "tools": None, "what": None},
]


@pytest.mark.parametrize("extra", HARMLESS)
def test_what_changes_nothing_is_accepted(extra: dict[str, Any], served: Any) -> None:
    with served.http() as client:
        body = {"model": "bot", "messages": HELLO, "max_completion_tokens": 2, **extra}
        assert client.post("/v1/chat/completions", json=body).status_code == 200


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"n": 2}, "n", "n: this server does not support it"),
    ({"tools": [{"type": "function"}]}, "tools", "tools: this server does not support it"),
    ({"logprobs": True}, "logprobs", "logprobs: this server does not support it"),
    ({"response_format": {"type": "json_object"}}, "response_format", "does not support it"),
    ({"logit_bias": {"5": 100}}, "logit_bias", "does not support it"),
    ({"presence_penalty": 0.5}, "presence_penalty", "does not support it"),
    ({"temprature": 1}, "temprature", "temprature: unknown parameter; did you mean 'temperature'?"),
    ({"zzz": 1}, "zzz", "zzz: unknown parameter"),
    ({"temperature": 3}, "temperature", "temperature: expected a number from 0 to 2, got 3"),
    ({"temperature": "hot"}, "temperature", 'temperature: expected a number from 0 to 2, got "hot"'),
    ({"temperature": True}, "temperature", "temperature: expected a number from 0 to 2, got true"),
    ({"top_p": -0.1}, "top_p", "top_p: expected a number from 0 to 1, got -0.1"),
    ({"max_tokens": 0}, "max_tokens", "max_tokens: expected a whole number from 1, got 0"),
    ({"max_tokens": 2.5}, "max_tokens", "max_tokens: expected a whole number from 1, got 2.5"),
    ({"seed": 1 << 80}, "seed", "seed: expected a whole number"),
    ({"stream": "yes"}, "stream", 'stream: expected true or false, got "yes"'),
    ({"stream": 1}, "stream", "stream: expected true or false, got 1"),
    ({"stream_options": 5}, "stream_options", "stream_options: expected an object, got 5"),
    ({"stop": ["a"] * 5}, "stop", "stop: at most 4 are allowed, got 5"),
    ({"stop": [1]}, "stop[0]", "stop[0]: expected a text, got 1"),
    ({"messages": []}, "messages", "messages: expected a list such as"),
    (
        {"messages": "hi"},
        "messages",
        'messages: expected a list such as [{"role": "user", "content": "Hello"}], got "hi"',
    ),
    ({"messages": ["hi"]}, "messages[0]", "messages[0]: expected an object with 'role' and 'content'"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", "expected system, developer, user or"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role", "tools are not supported"),
    ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role", "expected system, developer, user or"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "messages[0].content: expected a text, got null"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        "messages[0].content",
        "parts of type 'text'",
    ),
    ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages[0].content", "halves of surrogate pairs"),
    ({"messages": [{"role": "user", "content": "x"}] * 1001}, "messages", "messages: at most 1,000 are allowed"),
    ({"model": 5}, "model", "model: expected one of bot, writer, sorter, novelist, got 5"),
    ({"model": None}, "model", "model: expected one of bot, writer, sorter, novelist, got null"),
]


@pytest.mark.parametrize(("change", "param", "message"), WRONG)
def test_each_mistake_is_named(change: dict[str, Any], param: str, message: str, served: Any) -> None:
    body = json.dumps({"model": "bot", "messages": HELLO, "max_tokens": 2, **change})
    with served.http() as client:
        found = client.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert found.status_code == 400
    error = found.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert message in error["message"]
    assert "\n" not in error["message"]
