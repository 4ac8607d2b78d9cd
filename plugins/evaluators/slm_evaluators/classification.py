"""Labels compared with the expected ones, beside what a copy of the training data would have said."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import field, frozen
from attrs.validators import ge

from slm.plugin import Bid, Engine, Evaluator, Hardware, Job, Metric, Metrics, Needs, Rank, Work, hookimpl
from slm_evaluators.baselines import most_frequent, nearest
from slm_evaluators.intervals import bootstrap, share
from slm_evaluators.sample import sample

if TYPE_CHECKING:
    import datasets
    from numpy.typing import NDArray

TRAIN_ROWS = 50_000
Record = Mapping[str, Any]


@frozen
class Classification(Evaluator):
    """Labels the test texts and compares: accuracy, macro-F1 and the confusion matrix, beside two baselines."""

    limit: int = field(default=0, validator=ge(0), metadata={"help": "Most test records to label; 0 labels all."})
    batch: int = field(default=64, validator=ge(1), metadata={"help": "Texts given to the engine at once."})
    baselines: bool = field(default=True, metadata={"help": "Measure the trivial baselines beside the model."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """For classification only."""
        if job.task != "classification":
            return Bid(Rank.NO, f"a {job.task} model gives no labels")
        return Bid(Rank.GOOD, "compares labels with the expected ones", Needs(5 * job.base.parameters))

    @hookimpl
    def evaluate(  # type: ignore[override]  # it asks for no more than it uses
        self, engine: Engine, data: datasets.Dataset, train: datasets.Dataset | None, work: Work
    ) -> Metrics:
        """Writes `confusion.csv` and `predictions.jsonl`, the wrong labels first."""
        records = sample(data, self.limit, work)
        labels, truth = engine.prompter.interface.labels, [str(record["label"]) for record in records]
        if strange := sorted(set(truth) - set(labels)):
            work.warn(f"the test set has labels that training had not ({', '.join(strange[:5])}): counted wrong")
        rows = self.classify(engine, [record["text"] for record in records], work)
        guesses = [labels[max(range(len(row)), key=row.__getitem__)] for row in rows]
        values = compare(guesses, truth, "model", work.seed)
        if self.baselines and train is not None and len(train):
            values += baseline_figures(train, records, truth, work)
        write_confusion(truth, guesses, [*labels, *strange], work)
        write_predictions(records, truth, rows, labels, work)
        return Metrics(tuple(values), ("confusion.csv", "predictions.jsonl"))

    def classify(self, engine: Engine, texts: Sequence[str], work: Work) -> list[list[float]]:
        """The probabilities of every text, asked for with texts of like length together."""
        rows: list[list[float]] = [[]] * len(texts)
        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
        for at in range(0, len(order), self.batch):
            drawn = order[at : at + self.batch]
            for n, row in zip(drawn, engine.classify([texts[n] for n in drawn]), strict=True):
                rows[n] = row
            work.progress(at + len(drawn), len(order), "texts")
        return rows


def compare(guesses: Sequence[str], truth: Sequence[str], subject: str, seed: int) -> list[Metric]:
    """Accuracy with Wilson's interval; macro-F1 over the labels that are expected or guessed, bootstrapped."""
    import numpy

    names = {label: n for n, label in enumerate(dict.fromkeys([*truth, *guesses]))}
    wanted, given = (numpy.array([names[label] for label in found]) for found in (truth, guesses))

    def statistic(drawn: NDArray[Any]) -> float:
        return macro_f1(wanted[drawn], given[drawn], len(names))

    low, high = bootstrap(statistic, len(truth), seed)
    return [
        share("accuracy", [guess == label for guess, label in zip(guesses, truth, strict=True)], subject),
        Metric("macro_f1", statistic(numpy.arange(len(truth))), low, high, len(truth), subject),
    ]


def macro_f1(wanted: NDArray[Any], given: NDArray[Any], classes: int) -> float:
    """The mean over classes of 2 tp / (expected + guessed); classes that occur in neither do not count."""
    import numpy

    hits = numpy.bincount(wanted[wanted == given], minlength=classes)
    seen = numpy.bincount(wanted, minlength=classes) + numpy.bincount(given, minlength=classes)
    return float((2 * hits[seen > 0] / seen[seen > 0]).mean())


def baseline_figures(
    train: datasets.Dataset, records: Sequence[Record], truth: Sequence[str], work: Work
) -> list[Metric]:
    """The same figures for the commonest label, and for the label of the most similar of the first 50,000 texts."""
    known = train.select(range(min(len(train), TRAIN_ROWS)))
    labels = [str(label) for label in known["label"]]
    near = nearest(list(known["text"]), [record["text"] for record in records])
    return [
        *compare([most_frequent(labels)] * len(truth), truth, "most frequent label", work.seed),
        *compare([labels[n] for n in near], truth, "nearest neighbour", work.seed),
    ]


def write_confusion(truth: Sequence[str], guesses: Sequence[str], labels: Sequence[str], work: Work) -> None:
    """`confusion.csv`: a row for each expected label, a column for each guessed one. The most confused are emitted."""
    counts = {(wanted, given): 0 for wanted in labels for given in labels}
    for pair in zip(truth, guesses, strict=True):
        counts[pair] += 1
    with (work.folder / "confusion.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["expected \\ guessed", *labels])
        table.writerows([wanted, *(counts[wanted, given] for given in labels)] for wanted in labels)
    wrong = sorted(((n, *pair) for pair, n in counts.items() if n and pair[0] != pair[1]), key=lambda row: -row[0])
    if wrong:
        rows = [{"expected": wanted, "guessed": given, "count": n} for n, wanted, given in wrong[:5]]
        work.emit("figure", {"name": "most confused", "rows": rows})


def write_predictions(
    records: Sequence[Record], truth: Sequence[str], rows: Sequence[Sequence[float]], labels: Sequence[str], work: Work
) -> None:
    """One line a record with its three likeliest labels; wrong ones first, else in the test set's order."""
    lines = []
    for record, label, row in zip(records, truth, rows, strict=True):
        best = sorted(zip(row, labels, strict=True), key=lambda pair: -pair[0])[:3]
        top = [{"label": name, "probability": round(p, 4)} for p, name in best]
        correct = best[0][1] == label
        lines.append(
            {"id": record.get("id"), "text": record["text"], "expected": label, "correct": correct, "top": top}
        )
    with (work.folder / "predictions.jsonl").open("w", encoding="utf-8") as file:
        for line in sorted(lines, key=lambda line: bool(line["correct"])):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
