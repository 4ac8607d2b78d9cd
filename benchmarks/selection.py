"""Learning curves of the ways to choose what is labelled next, with a linear model: what choosing alone is worth.

    python benchmarks/selection.py CLINC150/data_small.json [--ways random uncertain diverse mixed] [--seeds 3]
        [--batch 300] [--budget 3000]

Logistic regression over hashed words and character trigrams; the score of a guess is how far the likeliest label is
ahead of the next, as `slm_annotation.guessing` has it. `random` and `uncertain` begin with a batch that is drawn, the
others with a diverse one. Prints the accuracy on the test split by number of labels, means over the seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

WAYS = ("random", "uncertain", "diverse", "mixed")


def features(train: list[str], test: list[str]) -> tuple[Any, Any]:
    """Sparse matrices of both splits."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.pipeline import make_pipeline, make_union

    words = HashingVectorizer(n_features=2**14, alternate_sign=False)
    letters = HashingVectorizer(n_features=2**14, analyzer="char_wb", ngram_range=(3, 3), alternate_sign=False)
    made = make_pipeline(make_union(words, letters), TfidfTransformer(sublinear_tf=True))
    return made.fit_transform(train).tocsr(), made.transform(test).tocsr()


def course(way: str, seed: int, split: dict[str, list[Any]], numbers: tuple[Any, Any], steps: range) -> list[float]:
    """The accuracies of one way with one seed, a number for each step."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    from slm_annotation.selecting import select
    from slm_annotation.values import Guess, Item

    items = [Item(str(n), "", f"train:{n}", {"text": text}) for n, (text, _) in enumerate(split["train"])]
    known = np.array([label for _, label in split["train"]])
    expected = np.array([label for _, label in split["test"]])
    labelled: list[int] = []
    found: list[float] = []
    model: Any = None
    for budget in steps:
        taken = set(labelled)
        pool = [item for n, item in enumerate(items) if n not in taken]
        guesses: dict[str, Guess] = {}
        if model is not None and way in ("uncertain", "mixed"):
            sure = np.sort(model.predict_proba(numbers[0][[int(item.key) for item in pool]]), axis=1)
            guesses = {item.key: Guess({}, float(p[-1] - p[-2]), "") for item, p in zip(pool, sure, strict=True)}
        how = way if guesses or way not in ("uncertain",) else "random"
        covered = [items[n] for n in labelled]
        chosen = select(how, pool, budget - len(labelled), seed, guesses=guesses, covered=covered)
        labelled += [int(item.key) for item in chosen]
        model = LogisticRegression(C=20, max_iter=200).fit(numbers[0][labelled], known[labelled])
        found.append(float((model.predict(numbers[1]) == expected).mean()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=300)
    parser.add_argument("--budget", type=int, default=3000)
    given = parser.parse_args()
    split = json.loads(given.data.read_text(encoding="utf-8"))
    numbers = features([text for text, _ in split["train"]], [text for text, _ in split["test"]])
    steps = range(given.batch, given.budget + 1, given.batch)
    print(f"{'labels':10}", *(f"{n:>6}" for n in steps), flush=True)
    for way in given.ways:
        runs = [course(way, seed, split, numbers, steps) for seed in range(given.seeds)]
        print(f"{way:10}", *(f"{statistics.fmean(values):6.3f}" for values in zip(*runs, strict=True)), flush=True)


if __name__ == "__main__":
    main()
