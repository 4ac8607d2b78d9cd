"""The model card says what the manifest says, and no more."""

from __future__ import annotations

from typing import Any

import pytest

from slm_runs.card import model_card

RUN: dict[str, Any] = {
    "name": "faq-bot",
    "task": "qa",
    "base": "org/small-135M",
    "sources": [{"address": "faqs|all.csv", "rows": 12_345, "digest": "f" * 64}],
    "recipe": {"plugin": "lora", "options": {"rank": 8, "targets": ["q", "v"], "alpha": None}},
    "metrics": {
        "test": [
            {"name": "exact_match", "value": 0.9731, "low": 0.958, "high": 0.984, "count": 600, "subject": "model"},
            {
                "name": "exact_match",
                "value": 0.012,
                "low": 0.006,
                "high": 0.02,
                "count": 600,
                "subject": "most_frequent",
            },
        ]
    },
    "checks": [{"name": "onnx", "passed": True, "reason": "differs by 1e-06 nats a token"}],
    "versions": {"slm-builder": "0.1.0", "torch": "2.13.0"},
    "hardware": {"cpu": "EPYC", "cores": 2, "memory": 25 * 10**9, "gpus": [{"name": "L4"}]},
    "seconds": 125.0,
}


def test_a_card_holds_every_fact_of_the_run() -> None:
    card = model_card(RUN)
    for fact in (
        "base_model: org/small-135M",
        "# faq-bot",
        "trained from `org/small-135M` with the recipe `lora` in 2 min 5 s.",
        "slm serve .",
        "slm chat .",
        "| `faqs\\|all.csv` | 12,345 | `ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff` |",
        "| rank | 8 |",
        "| test | exact_match | model | 0.9731 | 0.958 | 0.984 | 600 |",
        "| test | exact_match | most_frequent | 0.012 | 0.006 | 0.02 | 600 |",
        "| onnx | passed | differs by 1e-06 nats a token |",
        "| torch | 2.13.0 |",
        "| processor | EPYC |",
        "| GPU | L4 |",
        "license: unknown",
    ):
        assert fact in card
    assert len(card.splitlines()) < 80


def test_the_header_is_yaml_that_hubs_read() -> None:
    import yaml

    header = yaml.safe_load(model_card(RUN).split("---")[1])
    assert header == {"license": "unknown", "tags": ["slm"], "base_model": "org/small-135M"}


@pytest.mark.parametrize("base", ["scratch", "./models/own", "/srv/models/own", "../own"])
def test_only_a_hubs_base_is_linked(base: str) -> None:
    card = model_card({**RUN, "base": base})
    assert "base_model" not in card
    assert base == "scratch" or "trained from `own`" in card


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    card = model_card({"name": "x", "task": "classification", "base": "scratch"})
    assert "trained from scratch with the recipe `unknown`." in card
    assert "Not measured: no test data." in card
    assert "slm chat" not in card
    assert "Licence: unknown" in card


def test_a_licence_that_is_given_is_named() -> None:
    card = model_card({**RUN, "license": "apache-2.0"})
    assert "license: apache-2.0" in card
    assert "Licence: apache-2.0." in card


def test_cells_with_bars_and_line_breaks_stay_in_their_table() -> None:
    card = model_card({**RUN, "checks": [{"name": "a|b", "passed": False, "reason": "two\nlines"}]})
    assert "| a\\|b | failed | two lines |" in card
