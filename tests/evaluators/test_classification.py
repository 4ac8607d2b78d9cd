import csv
import json
from collections.abc import Callable
from typing import Any

import datasets
import numpy
import pytest

from slm.plugin import Engine, Hardware, Job, Metrics, Rank, SlmError, Work
from slm_evaluators.classification import Classification, macro_f1


def labelled(*rows: tuple[str, str]) -> datasets.Dataset:
    return datasets.Dataset.from_list(
        [{"id": str(n), "source": "x", "text": text, "label": label} for n, (text, label) in enumerate(rows)]
    )


def guesses(engine: Engine, texts: list[str]) -> list[str]:
    labels = engine.prompter.interface.labels
    return [labels[row.index(max(row))] for row in engine.classify(texts)]


TEXTS = ["turn on the lamp", "play a song", "will it rain", "lamp off please", "louder music", "is it sunny", "xyz"]


def test_it_counts_as_scikit_learn_does(classifier: Engine, work: Work) -> None:
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

    labels = classifier.prompter.interface.labels
    given = guesses(classifier, TEXTS)
    truth = ["lights", "music", "weather", given[3], given[4], "weather", given[6]]
    metrics = Classification().evaluate(classifier, labelled(*zip(TEXTS, truth, strict=True)), None, work)
    accuracy, macro = metrics.values
    assert accuracy.value == pytest.approx(accuracy_score(truth, given))
    assert macro.value == pytest.approx(f1_score(truth, given, average="macro", zero_division=0))
    assert (accuracy.name, macro.name, macro.count) == ("accuracy", "macro_f1", 7)
    assert macro.low <= macro.value <= macro.high
    table = list(csv.reader((work.folder / "confusion.csv").read_text(encoding="utf-8").splitlines()))
    assert table[0] == ["expected \\ guessed", *labels]
    counts = [[int(cell) for cell in row[1:]] for row in table[1:]]
    assert counts == confusion_matrix(truth, given, labels=list(labels)).tolist()


@pytest.mark.parametrize("classes", [2, 5])
def test_macro_f1_is_that_of_scikit_learn(classes: int) -> None:
    from sklearn.metrics import f1_score

    random = numpy.random.default_rng(classes)
    wanted, given = random.integers(0, classes, (2, 40))
    assert macro_f1(wanted, given, classes + 3) == pytest.approx(f1_score(wanted, given, average="macro"))


def test_predictions_name_the_likeliest_labels_and_wrong_ones_first(classifier: Engine, work: Work) -> None:
    given = guesses(classifier, TEXTS)
    wrong = next(label for label in classifier.prompter.interface.labels if label != given[-1])
    truth = [*given[:-1], wrong]
    metrics = Classification().evaluate(classifier, labelled(*zip(TEXTS, truth, strict=True)), None, work)
    assert metrics.files == ("confusion.csv", "predictions.jsonl")
    lines = [json.loads(line) for line in (work.folder / "predictions.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["6", "0", "1", "2", "3", "4", "5"]
    assert [line["correct"] for line in lines] == [False] + [True] * 6
    top = lines[0]["top"]
    assert (len(top), top[0]["label"]) == (3, given[-1])
    assert sum(each["probability"] for each in top) == pytest.approx(1, abs=1e-3)


def test_the_baselines_stand_beside_the_model(classifier: Engine, work: Work) -> None:
    train = labelled(("lamp on", "lights"), ("lamp off", "lights"), ("a song", "music"), ("rain", "weather"))
    test = labelled(("lamp off now", "lights"), ("sing a song", "music"), ("will it rain", "weather"))
    found = {(v.subject, v.name): v.value for v in Classification().evaluate(classifier, test, train, work).values}
    assert found["nearest neighbour", "accuracy"] == 1.0
    assert found["most frequent label", "accuracy"] == pytest.approx(1 / 3)
    assert found["most frequent label", "macro_f1"] == pytest.approx(0.5 / 3)


def test_the_most_confused_pairs_are_told(classifier: Engine, work: Work, warned: list[tuple[str, Any]]) -> None:
    given = guesses(classifier, TEXTS)[0]
    wrong = next(label for label in classifier.prompter.interface.labels if label != given)
    Classification().evaluate(classifier, labelled(*[(TEXTS[0], wrong)] * 4), None, work)
    rows = [{"expected": wrong, "guessed": given, "count": 4}]
    assert ("figure", {"name": "most confused", "rows": rows}) in warned


def test_a_label_that_training_had_not_counts_as_wrong(
    classifier: Engine, work: Work, warned: list[tuple[str, Any]]
) -> None:
    accuracy, _ = Classification().evaluate(classifier, labelled(("knock knock", "jokes")), None, work).values
    assert (accuracy.value, accuracy.low) == (0.0, 0.0)
    assert any("labels that training had not (jokes)" in str(data) for kind, data in warned if kind == "warning")
    assert (work.folder / "confusion.csv").read_text(encoding="utf-8").splitlines()[-1].startswith("jokes,")


def test_an_empty_test_set_is_one_line(classifier: Engine, work: Work) -> None:
    with pytest.raises(SlmError, match=r"^evaluate: the test set is empty; [^\n]*$"):
        Classification().evaluate(classifier, labelled(("a", "music")).select([]), None, work)


@pytest.mark.parametrize(("task", "rank"), [("classification", Rank.GOOD), ("qa", Rank.NO)])
def test_it_bids_on_classification_alone(task: str, rank: Rank, job: Callable[[str], Job]) -> None:
    assert Classification().bid(job(task), Hardware()).rank is rank


def test_values_are_metrics(classifier: Engine, work: Work) -> None:
    assert isinstance(Classification().evaluate(classifier, labelled(("a", "music")), None, work), Metrics)
