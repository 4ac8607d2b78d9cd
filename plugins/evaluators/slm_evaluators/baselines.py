"""What costs nothing to build: a model that does not beat these has learned nothing worth serving."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

FEATURES = 2**20
ROWS = 256


def most_frequent(answers: Sequence[str]) -> str:
    """The answer that comes most often; of several the first."""
    return Counter(answers).most_common(1)[0][0]


def nearest(prompts: Sequence[str], asked: Sequence[str]) -> list[int]:
    """For each asked text the index of the nearest of `prompts`: cosine of TF-IDF over words, pairs of words and
    runs of 3 and 4 characters. Of several equally near the first; so for texts that share nothing with any."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.pipeline import make_pipeline, make_union

    words = HashingVectorizer(n_features=FEATURES, ngram_range=(1, 2), token_pattern=r"\b\w+\b", alternate_sign=False)
    letters = HashingVectorizer(n_features=FEATURES, ngram_range=(3, 4), analyzer="char_wb", alternate_sign=False)
    features = make_pipeline(make_union(words, letters), TfidfTransformer(sublinear_tf=True))
    table = features.fit_transform(prompts).T.tocsr()
    found: list[int] = []
    for rows in batches(asked, ROWS):
        similarity = features.transform(rows) @ table
        found += [int(i) for i in similarity.argmax(axis=1).ravel().tolist()[0]] if len(rows) else []
    return found


def batches(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """The items in order, `size` at a time."""
    return (items[at : at + size] for at in range(0, len(items), size))
