import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import openai
import pytest

from slm.plugin import Engine, Request
from slm_models.template import derive_interface


def alone(engine: Engine, prompt: list[int], tokens: int) -> str:
    return "".join(chunk.text for chunk in engine.generate([Request(tuple(prompt), tokens)]))


@pytest.fixture
def writer(engines: Mapping[str, Engine]) -> Engine:
    return engines["writer"]


def test_all_forms_of_a_prompt_are_continued(served: Any, writer: Engine) -> None:
    client, texts = served.openai(), ["the cat", "and the rain"]
    tokens = [writer.prompter.text(text) for text in texts]
    wanted = [alone(writer, ids, 10) for ids in tokens]
    for prompt, expected in ((texts[0], wanted[:1]), (texts, wanted), (tokens[0], wanted[:1]), (tokens, wanted)):
        found = client.completions.create(model="writer", prompt=prompt, max_tokens=10)
        assert [choice.text for choice in found.choices] == expected
        assert [choice.index for choice in found.choices] == list(range(len(expected)))
        assert {choice.finish_reason for choice in found.choices} == {"length"}
        assert found.usage.completion_tokens == 10 * len(expected)
        assert found.usage.prompt_tokens == sum(len(ids) for ids in tokens[: len(expected)])
        assert (found.object, found.id[:5]) == ("text_completion", "cmpl-")


def test_a_stream_of_several_prompts_tells_them_apart(served: Any, writer: Engine) -> None:
    texts = ["the cat", "and the rain", "what"]
    events = served.openai().completions.create(
        model="writer", prompt=texts, max_tokens=10, stream=True, stream_options={"include_usage": True}
    )
    answers, ends, counts = [""] * 3, [0] * 3, []
    for event in events:
        for choice in event.choices:
            answers[choice.index] += choice.text
            ends[choice.index] += choice.finish_reason == "length"
        counts += [event.usage] if event.usage else []
    assert answers == [alone(writer, writer.prompter.text(text), 10) for text in texts]
    assert ends == [1, 1, 1]
    assert [count.completion_tokens for count in counts] == [30]


def test_a_chat_model_continues_plain_text_too(served: Any) -> None:
    assert served.openai().completions.create(model="bot", prompt="the", max_tokens=3).usage.completion_tokens == 3


def test_an_empty_text_starts_from_nothing(served: Any) -> None:
    found = served.openai().completions.create(model="writer", prompt="", max_tokens=3)
    assert found.usage.prompt_tokens == 1


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"prompt": None}, "prompt: expected a text, a list of texts, a list of token ids"),
    ({"prompt": []}, "prompt: expected a text"),
    ({"prompt": {"a": 1}}, "prompt: expected a text"),
    ({"prompt": 7}, "prompt: expected a text"),
    ({"prompt": ["a", 1]}, "prompt[1]: expected a text, got 1"),
    ({"prompt": [1, True]}, "prompt: expected a text"),
    ({"prompt": [[1], ["a"]]}, "prompt: expected a text"),
    ({"prompt": [[]]}, "the prompt is empty"),
    ({"prompt": [5, 99999]}, "prompt: token 99999 is not in the vocabulary of"),
    ({"prompt": [-1]}, "prompt: token -1 is not in the vocabulary"),
    ({"prompt": ["a"] * 65}, "prompt: at most 64 are allowed, got 65"),
    ({"prompt": [[1]] * 65}, "prompt: at most 64 are allowed, got 65"),
    ({"prompt": "word " * 300}, "must fit in 256"),
    ({"logprobs": 0}, "logprobs: this server does not support it"),
    ({"echo": True}, "echo: this server does not support it"),
    ({"best_of": 3}, "best_of: this server does not support it"),
    ({"messages": []}, "messages: unknown parameter"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_each_mistake_is_named(change: dict[str, Any], message: str, served: Any) -> None:
    body = json.dumps({"model": "writer", "prompt": "the", "max_tokens": 2, **change})
    with served.http() as client:
        found = client.post("/v1/completions", content=body, headers={"Content-Type": "application/json"})
    assert (found.status_code, found.json()["error"]["type"]) == (400, "invalid_request_error")
    assert message in found.json()["error"]["message"]


def test_a_continuation_keeps_the_space_that_decoders_drop_at_the_front(
    data: Path, serve_folder: Callable[..., Any], stack: ExitStack
) -> None:
    folder = data / "models/stories260k"
    served = stack.enter_context(serve_folder(folder, derive_interface(folder, "completion")))
    prompts = ["Once upon a time", "Once upon a", ""]
    found = served.openai().completions.create(model="stories260k", prompt=prompts, max_tokens=8)
    texts = [prompt + choice.text for prompt, choice in zip(prompts, found.choices, strict=True)]
    assert texts[0].startswith("Once upon a time, there was")
    assert texts[1].startswith("Once upon a time, there was")
    assert texts[2].startswith("Once upon a time, there was")
    events = list(served.openai().completions.create(model="stories260k", prompt=prompts, max_tokens=8, stream=True))
    streamed = ["".join(e.choices[0].text for e in events if e.choices[0].index == n) for n in range(3)]
    assert streamed == [choice.text for choice in found.choices]


def test_each_kind_of_model_sends_to_its_own_endpoint(served: Any) -> None:
    client = served.openai()
    with pytest.raises(openai.BadRequestError, match="model 'writer' continues plain text: POST to /v1/completions"):
        client.chat.completions.create(model="writer", messages=[{"role": "user", "content": "a"}])
    with pytest.raises(openai.BadRequestError, match="model 'sorter' classifies texts: POST them to /classify"):
        client.chat.completions.create(model="sorter", messages=[{"role": "user", "content": "a"}])
    with pytest.raises(openai.BadRequestError, match="model 'sorter' classifies texts: POST them to /classify"):
        client.completions.create(model="sorter", prompt="a")
