"""Merges undone: the same texts in other pieces."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from slm.plugin import SlmError
from slm_recipes import scratch
from slm_recipes.subwords import parts, varied
from slm_recipes.tokenizing import gather

TEXTS = ["turn the kitchen lamp on", "turn the lamp in the attic off", "the kitchen is warm", "is the lamp on", "a"] * 3


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return scratch.word_tokenizer(TEXTS, 400)


def samples(tokenizer: Tokenizer):
    return gather((tokenizer.encode(text).ids, None, n) for n, text in enumerate(TEXTS))


def texts(tokenizer: Tokenizer, tokens) -> list[str]:
    cuts = zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    return [tokenizer.decode(list(tokens.ids[begin:end])) for begin, end in cuts]


def test_the_texts_stay_and_are_cut_anew_in_each_pass(tokenizer) -> None:
    tokens, merged = samples(tokenizer), parts(tokenizer)
    passes = [varied(tokens, merged, 0.3, 64, (0, epoch)) for epoch in range(3)]
    for each in passes:
        assert texts(tokenizer, each) == TEXTS
        assert list(each.labels) == list(range(len(TEXTS)))
        assert len(each.ids) > len(tokens.ids)
        assert not each.targets.any()
        assert len(each.targets) == len(each.ids)
    assert len({tuple(each.ids) for each in passes}) == 3
    again = varied(tokens, merged, 0.3, 64, (0, 1))
    assert list(again.ids) == list(passes[1].ids)
    assert list(again.offsets) == list(passes[1].offsets)


def test_nothing_undone_is_what_there_was_and_everything_undone_is_bytes(tokenizer) -> None:
    tokens, merged = samples(tokenizer), parts(tokenizer)
    assert list(varied(tokens, merged, 0.0, 64, (0,)).ids) == list(tokens.ids)
    whole = varied(tokens, merged, 1.0, 64, (0,))
    assert list(whole.lengths) == [len(text.encode()) + 2 for text in TEXTS]
    assert texts(tokenizer, whole) == TEXTS


def test_what_grows_too_long_keeps_its_beginning_and_its_last_token(tokenizer) -> None:
    tokens, merged = samples(tokenizer), parts(tokenizer)
    cut = varied(tokens, merged, 1.0, 12, (0,))
    assert cut.lengths.max() == 12
    assert all(cut.ids[end - 1] == scratch.END for end in cut.offsets[1:])
    assert texts(tokenizer, cut)[0] == "turn the k"
    assert np.array_equal(cut.labels, tokens.labels)


def test_a_tokenizer_without_merges_is_refused_by_name() -> None:
    words = Tokenizer(models.WordPiece({"[UNK]": 0, "lamp": 1}, unk_token="[UNK]"))
    with pytest.raises(SlmError, match="WordPiece tokenizer has no merges"):
        parts(words)
