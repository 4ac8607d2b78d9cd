"""What every engine promises of a classifier."""

import pytest

from slm.plugin import Request, SlmError

TEXTS = ["one", "Die Straße führt über die Brücke", "A small model answers", "two " * 40]


def test_probabilities_are_the_softmax_of_the_network(sorting, sorter):
    import torch
    from transformers import AutoModelForSequenceClassification

    network = AutoModelForSequenceClassification.from_pretrained(sorter.path).eval()
    found = sorting.classify(TEXTS)
    for text, row in zip(TEXTS, found, strict=True):
        with torch.no_grad():
            logits = network(torch.tensor([sorting.prompter.text(text)])).logits[0]
        assert row == pytest.approx(torch.softmax(logits, -1).tolist(), abs=1e-4)
        assert sum(row) == pytest.approx(1.0)


def test_no_texts_give_no_rows(sorting):
    assert sorting.classify([]) == []


def test_a_classifier_neither_writes_nor_scores(sorting):
    with pytest.raises(SlmError, match="does not generate"):
        sorting.generate([Request((1,))])
    with pytest.raises(SlmError, match="no log-probabilities"):
        sorting.score([[1, 2]])
