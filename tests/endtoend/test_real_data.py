"""From real data to a served model, on small slices: what docs/examples.md shows at full size."""

import csv
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

Slm = Callable[..., str]
Served = Callable[..., AbstractContextManager[str]]


def manifest(folder: Path, name: str) -> dict[str, Any]:
    """The manifest of the one run of that name."""
    (file,) = folder.glob(f"runs/{name}-*/run.json")
    told: dict[str, Any] = json.loads(file.read_text())
    return told


def figures(told: dict[str, Any], split: str) -> dict[tuple[str, str], float]:
    """A test set's figures by name and subject."""
    return {(m["name"], m["subject"]): m["value"] for m in told["metrics"][split]}


def some_rows(source: Path, target: Path, keep: Callable[[int, dict[str, str]], bool]) -> None:
    """Write some rows of a CSV file."""
    with source.open(newline="", encoding="utf-8") as read, target.open("w", newline="", encoding="utf-8") as written:
        rows = csv.DictReader(read)
        writer = csv.DictWriter(written, rows.fieldnames or [])
        writer.writeheader()
        writer.writerows(row for n, row in enumerate(rows) if keep(n, row))


@pytest.mark.parametrize(
    ("recipe", "exports"), [("lora", ("onnx", "torchscript")), ("full", ("torchscript",))], ids=["lora", "full"]
)
def test_a_faq_becomes_a_served_model_that_openais_client_talks_to(
    recipe: str, exports: tuple[str, ...], data: Path, tmp_path: Path, slm: Slm, served: Served
) -> None:
    from openai import OpenAI

    some_rows(data / "qa/covid-faq/faqs/faq_covidbert.csv", tmp_path / "faqs.csv", lambda n, _: n < 60)
    (tmp_path / "pipeline.toml").write_text(
        f'name = "faq"\ntask = "qa"\nbase = "{data}/models/stories260k"\n[[load]]\nfrom = "faqs.csv"\n'
        f'[recipe]\nuse = "{recipe}"\nepochs = 2\nmax_length = 160\n[[evaluate]]\nuse = "perplexity"\n'
        + "".join(f'[[export]]\nuse = "{each}"\n' for each in exports)
    )
    printed = slm("run", "pipeline.toml")
    told = manifest(tmp_path, "faq")
    found = figures(told, "test")
    assert found["perplexity", "model"] < found["perplexity", "base"]
    assert "perplexity (less is better)" in printed
    checks = [step["value"]["comparison"] for step in told["steps"] if step["kind"] == "check"]
    assert [check["passed"] for check in checks] == [True] * len(exports)
    assert all(check["mean"] < 1e-4 and check["agreement"] == 1.0 for check in checks)
    asked: Any = {"model": "faq", "messages": [{"role": "user", "content": "What is a novel coronavirus?"}]}
    answers = []
    for export in exports:
        with served("pipeline.toml", "--model", export) as address:
            client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
            whole = client.chat.completions.create(**asked, max_tokens=16)
            stream = client.chat.completions.create(**asked, max_tokens=16, stream=True)
            pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
            client.close()
            assert "".join(pieces) == whole.choices[0].message.content
            assert len(pieces) > 2
            answers.append(whole.choices[0].message.content)
    assert len(set(answers)) == 1, "every export says what the others say"


@pytest.mark.parametrize("base", ["scratch", "config"])
def test_a_classifier_is_trained_measured_and_served_from_onnx(
    base: str, data: Path, tmp_path: Path, slm: Slm, served: Served
) -> None:
    wanted = {"card_arrival", "lost_or_stolen_card", "exchange_rate", "age_limit"}
    source = data / "classification/banking77/train.csv"
    some_rows(source, tmp_path / "banking.csv", lambda _, row: row["category"] in wanted)
    if base == "config":
        (tmp_path / "encoder").mkdir()
        (tmp_path / "encoder" / "config.json").write_text(
            json.dumps(
                {"architectures": ["DistilBertModel"], "model_type": "distilbert", "vocab_size": 1000, "dim": 64,
                 "hidden_dim": 128, "n_heads": 2, "n_layers": 1, "max_position_embeddings": 64}
            )
        )  # fmt: skip
    (tmp_path / "pipeline.toml").write_text(
        f'name = "banking"\ntask = "classification"\nbase = "{"scratch" if base == "scratch" else "encoder"}"\n'
        '[[load]]\nfrom = "banking.csv"\n[recipe]\nepochs = 12\nmax_length = 48\n[[export]]\nuse = "onnx"\n'
    )
    printed = slm("run", "pipeline.toml")
    found = figures(manifest(tmp_path, "banking"), "test")
    assert found["accuracy", "model"] > 0.6
    assert found["accuracy", "model"] > found["accuracy", "most frequent label"] + 0.2
    assert "macro f1" in printed
    (confusion,) = tmp_path.glob("runs/banking-*/evaluation/classification/test/confusion.csv")
    assert wanted <= set(confusion.read_text().replace("\n", ",").split(","))
    with served("pipeline.toml") as address:
        answer = httpx.post(f"{address}/classify", json={"input": "my card was stolen on the train"}).json()
    assert {label["label"] for label in answer["data"][0]["labels"]} <= wanted
    assert answer["model"] == "banking"


def test_plain_text_becomes_a_model_that_continues_it(data: Path, tmp_path: Path, slm: Slm, served: Served) -> None:
    text = (data / "raw-text/tinyshakespeare/input.txt").read_text(encoding="utf-8")
    (tmp_path / "plays.txt").write_text(text[:60_000])
    (tmp_path / "pipeline.toml").write_text(
        'name = "plays"\ntask = "completion"\n[[load]]\nfrom = "plays.txt"\n'
        '[recipe]\nuse = "pretrain"\nvocabulary = 400\nlayers = 1\nhidden = 64\nepochs = 3\n'
    )
    slm("run", "pipeline.toml")
    found = figures(manifest(tmp_path, "plays"), "test")
    assert 1 < found["perplexity", "model"] < 400 / 2
    assert found["bits_per_byte", "model"] < 4
    with served("pipeline.toml") as address:
        body = {"model": "plays", "prompt": "First Citizen:", "max_tokens": 8}
        answer = httpx.post(f"{address}/v1/completions", json=body).json()
    assert answer["choices"][0]["text"]


def test_inspect_shows_the_mask_of_an_instruction_set(data: Path, tmp_path: Path, slm: Slm) -> None:
    lines = (data / "instruction/gsm8k/train.jsonl").read_text(encoding="utf-8").splitlines()[:40]
    (tmp_path / "gsm8k.jsonl").write_text("\n".join(lines))
    (tmp_path / "pipeline.toml").write_text(
        f'name = "sums"\ntask = "instruction"\nbase = "{data}/models/stories260k"\n[[load]]\nfrom = "gsm8k.jsonl"\n'
        '[recipe]\nuse = "instruction"\nepochs = 1\n[[evaluate]]\nuse = "perplexity"\n'
    )
    shown = slm("inspect", "pipeline.toml", "--records", "1")
    heading, tokens, *_, summary = shown.strip().splitlines()
    assert heading.startswith("gsm8k.jsonl:")
    assert tokens.startswith("<s> Question:")
    asked, _, answered = tokens.partition("Answer:")
    assert "[" not in asked
    assert answered.strip().endswith("[</s>]")
    assert "are trained" in summary
    slm("run", "pipeline.toml")
    assert figures(manifest(tmp_path, "sums"), "test")["perplexity", "model"] > 1
