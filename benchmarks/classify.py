"""Classifiers from nothing but the labels: the recipe beside logistic regression over TF-IDF, by number of labels.

    python benchmarks/classify.py CLINC150/data_small.json [--labels 500 1000 2000 7500] [--seed 0] [--set hidden=256]
    python benchmarks/classify.py BANKING77/train.csv --columns text,category

A JSON file holds splits of [text, label]; of a CSV file a fifth is kept for testing. Prints the accuracy of both on the
same test records, and the recipe's seconds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

Rows = list[tuple[str, str]]


def read(file: Path, columns: str, seed: int) -> tuple[Rows, Rows]:
    """The records to train on, shuffled, and those to test on."""
    draw = random.Random(seed)
    if file.suffix == ".json":
        table = json.loads(file.read_text(encoding="utf-8"))
        train, test = ([(text, label) for text, label in table[split]] for split in ("train", "test"))
        draw.shuffle(train)
        return train, test
    text, label = columns.split(",")
    with file.open(encoding="utf-8", newline="") as lines:
        rows = [(row[text], row[label]) for row in csv.DictReader(lines)]
    draw.shuffle(rows)
    return rows[len(rows) // 5 :], rows[: len(rows) // 5]


def linear(train: Rows, test: Rows) -> float:
    """Accuracy of logistic regression over words and character trigrams."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    words = TfidfVectorizer(sublinear_tf=True)
    letters = TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(3, 3))
    model = make_pipeline(make_union(words, letters), LogisticRegression(C=20, max_iter=300))
    return float(model.fit(*zip(*train, strict=True)).score(*zip(*test, strict=True)))


def recipe(train: Rows, test: Rows, options: dict[str, Any], seed: int, folder: Path) -> tuple[float, float]:
    """Accuracy of the recipe's model with its own engine, and the seconds of its training."""
    import datasets

    from slm.plugin import Base, Hardware, Job, Work
    from slm_engines.transformers import Transformers
    from slm_recipes.classification import Classification

    records = datasets.Dataset.from_list([{"text": text, "label": label} for text, label in train])
    for name in ("made", "checkpoints"):
        (folder / name).mkdir()
    hardware = Hardware(cores=os.cpu_count() or 1)
    work = Work(folder / "made", folder / "checkpoints", hardware, seed)
    begun = time.perf_counter()
    made = Classification(**options).recipe(Job("b", "classification", Base("scratch")), records, None, work)
    seconds = time.perf_counter() - begun
    found = Transformers().engine(made, hardware).classify([text for text, _ in test])
    names = made.interface.labels
    right = sum(names[max(range(len(p)), key=p.__getitem__)] == y for p, (_, y) in zip(found, test, strict=True))
    return right / len(test), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--columns", default="text,label")
    parser.add_argument("--labels", type=int, nargs="+", default=[500, 1000, 2000, 7500])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args()
    options = {name: json.loads(value) for name, _, value in (each.partition("=") for each in given.set)}
    train, test = read(given.data, given.columns, given.seed)
    print("labels  recipe  linear  seconds")
    for count in given.labels:
        some = train[:count]
        with tempfile.TemporaryDirectory() as folder:
            ours, seconds = recipe(some, test, options, given.seed, Path(folder))
        print(f"{len(some):6,}  {ours:.3f}   {linear(some, test):.3f}   {seconds:7.0f}", flush=True)


if __name__ == "__main__":
    main()
