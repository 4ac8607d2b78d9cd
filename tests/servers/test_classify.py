from collections.abc import Mapping
from typing import Any

import pytest

from slm.plugin import Engine


def test_one_text_gets_its_labels_in_order(served: Any, engines: Mapping[str, Engine]) -> None:
    with served.http() as client:
        found = client.post("/classify", json={"model": "sorter", "input": "turn on the lamp"})
    assert found.status_code == 200
    (data,) = found.json()["data"]
    (row,) = engines["sorter"].classify(["turn on the lamp"])
    labels = engines["sorter"].prompter.interface.labels
    wanted = sorted(zip(labels, row, strict=True), key=lambda pair: -pair[1])
    assert [(each["label"], each["probability"]) for each in data["labels"]] == [
        (n, pytest.approx(p)) for n, p in wanted
    ]
    assert (data["index"], data["label"]) == (0, wanted[0][0])
    assert sum(each["probability"] for each in data["labels"]) == pytest.approx(1)


def test_a_list_is_answered_in_its_order_and_top_shortens_it(served: Any, engines: Mapping[str, Engine]) -> None:
    texts = ["play a song", "will it rain? ☔", "turn on the lamp", "a " * 500]
    with served.http() as client:
        found = client.post("/classify", json={"model": "sorter", "input": texts, "top": 1}).json()
    labels, rows = engines["sorter"].prompter.interface.labels, engines["sorter"].classify(texts)
    assert [each["label"] for each in found["data"]] == [labels[row.index(max(row))] for row in rows]
    assert all(len(each["labels"]) == 1 for each in found["data"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "input: expected a text or a list of texts, got null"),
        ({"input": []}, "input: expected a text or a list of texts, got []"),
        ({"input": 5}, "input: expected a text or a list of texts, got 5"),
        ({"input": ["a", 5]}, "input[1]: expected a text, got 5"),
        ({"input": ["a", "  "]}, "input: text 1 is blank"),
        ({"input": ["a"] * 65}, "input: at most 64 are allowed, got 65"),
        ({"input": "a", "top": 0}, "top: expected a whole number from 1, got 0"),
        ({"inputs": "a"}, "inputs: unknown parameter; did you mean 'input'?"),
        ({"input": "a", "model": "bot"}, "model 'bot' generates text: POST messages to /v1/chat/completions"),
    ],
)
def test_each_mistake_is_named(body: dict[str, Any], message: str, served: Any) -> None:
    with served.http() as client:
        found = client.post("/classify", json={"model": "sorter", **body})
    assert found.status_code == 400
    assert message in found.json()["error"]["message"]
