"""Classifiers from records to model folders."""

import csv
import json
import random
from pathlib import Path

import datasets
import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from slm.plugin import Base, Job, SlmError
from slm_models.template import Prompter
from slm_recipes.classification import Classification

INTENTS = ("card_arrival", "lost_or_stolen_card", "exchange_rate", "top_up_failed", "change_pin")


@pytest.fixture(scope="module")
def banking(data: Path) -> tuple[datasets.Dataset, datasets.Dataset]:
    """Five intents of banking77: 400 records to train on, 100 to test."""
    file = next((data / "classification/banking77").glob("*.csv"))
    with file.open(encoding="utf-8") as lines:
        rows = [{"text": row["text"], "label": row["category"]} for row in csv.DictReader(lines)]
    rows = [row for row in rows if row["label"] in INTENTS]
    random.Random(0).shuffle(rows)
    return datasets.Dataset.from_list(rows[100:500]), datasets.Dataset.from_list(rows[:100])


def accuracy(folder: Path, records: datasets.Dataset) -> float:
    model, prompter = AutoModelForSequenceClassification.from_pretrained(folder).eval(), Prompter.open(folder)
    right = 0
    for record in records:
        with torch.no_grad():
            scores = model(torch.tensor([prompter.text(record["text"])])).logits[0]
        right += prompter.interface.labels[int(scores.argmax())] == record["label"]
    return right / len(records)


def test_a_classifier_from_nothing_learns_real_intents(banking, work) -> None:
    train, test = banking
    made = Classification(epochs=10).recipe(Job("x", "classification", Base("scratch")), train, test, work())
    assert made.interface.labels == tuple(sorted(INTENTS))
    assert accuracy(made.path, test) > 0.7
    assert json.loads((made.path / "config.json").read_text())["id2label"]["0"] == "card_arrival"


def test_an_encoder_from_a_config_and_then_as_a_base(banking, work, tmp_path: Path) -> None:
    train, test = banking
    sizes = {"hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 96}
    config = BertConfig(vocab_size=600, max_position_embeddings=64, **sizes)
    config.save_pretrained(tmp_path)
    first = Classification(epochs=6, learning_rate=2e-3).recipe(
        Job("x", "classification", Base("bert", "config", tmp_path)), train, test, work("first")
    )
    assert first.interface.context == 64
    assert accuracy(first.path, test) > 0.5
    base = Base("first", "encoder", first.path, "BertForSequenceClassification", "bert", 100_000, 1, 48, 600, 64)
    second = Classification(epochs=2).recipe(Job("x", "classification", base), train, None, work("second"))
    assert isinstance(AutoModelForSequenceClassification.from_pretrained(second.path), BertForSequenceClassification)
    assert accuracy(second.path, test) > 0.5


def test_a_decoder_base_classifies(data: Path, banking, work) -> None:
    base = Base(
        "stories", "decoder", data / "models/stories260k", "LlamaForCausalLM", "llama", 260_032, 5, 64, 512, 512
    )
    train, test = banking
    made = Classification(epochs=3, max_length=48).recipe(Job("x", "classification", base), train, None, work())
    assert accuracy(made.path, test) > 0.4


def test_one_label_is_refused(work) -> None:
    rows = datasets.Dataset.from_list([{"text": "a", "label": "x"}, {"text": "b", "label": "x"}])
    with pytest.raises(SlmError, match="needs two or more"):
        Classification().recipe(Job("x", "classification", Base("scratch")), rows, None, work())


def test_a_label_that_only_validation_has_is_refused(work) -> None:
    rows = [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}, {"text": "c", "label": "z"}]
    train, held_out = datasets.Dataset.from_list(rows[:2]), datasets.Dataset.from_list(rows[2:])
    with pytest.raises(SlmError, match="label 'z' is not in the training data"):
        Classification().recipe(Job("x", "classification", Base("scratch")), train, held_out, work())
