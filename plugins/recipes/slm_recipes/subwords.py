"""Words cut otherwise in each pass, so that a new model learns what their parts say.

BPE dropout (Provilkov, Emelianenko and Voita 2020, arXiv:1910.13267) leaves out merges while it tokenizes; here merges
are undone after it, with the same end: common words come in pieces now and then. That is drawn from a seed, so that a
resumed run sees what it would have seen, and takes no second tokenizing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from slm.plugin import SlmError
from slm_recipes.tokenizing import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer


def parts(tokenizer: Tokenizer) -> NDArray[Any]:
    """The two tokens [V, 2] that each token was merged from, -1 where it was not; SlmError for one without merges."""
    import numpy as np

    model = json.loads(tokenizer.to_str())["model"]
    if not model.get("merges"):
        raise SlmError(f"subword_dropout: a {model['type']} tokenizer has no merges to undo; leave it out")
    numbers, found = model["vocab"], np.full((tokenizer.get_vocab_size(), 2), -1, dtype="int32")
    for pair in reversed(model["merges"]):  # of several ways to a token, the first is the one that is taken
        left, right = pair.split(" ") if isinstance(pair, str) else pair
        found[numbers[left + right]] = numbers[left], numbers[right]
    return found


def varied(tokens: Tokens, parts: NDArray[Any], share: float, limit: int, seed: tuple[int, ...]) -> Tokens:
    """The samples with this share of their merges undone, and of the pieces' again; those of over `limit` tokens lose
    what stands before their last one."""
    import numpy as np

    draw = np.random.default_rng(seed)
    ids: NDArray[Any] = np.asarray(tokens.ids)
    sample: NDArray[Any] = np.repeat(np.arange(len(tokens)), tokens.lengths)
    fresh: NDArray[Any] = np.ones(len(ids), dtype=bool)
    while (undone := fresh & (parts[ids, 0] >= 0) & (draw.random(len(ids)) < share)).any():
        whole, times = ids, 1 + undone
        ids, sample, fresh = (np.repeat(each, times) for each in (ids, sample, undone))
        first = np.cumsum(times)[undone] - 2
        ids[first], ids[first + 1] = parts[whole[undone]].T
    lengths = np.bincount(sample, minlength=len(tokens))
    place = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    kept = (place < limit - 1) | (place == np.repeat(lengths, lengths) - 1)
    lengths = np.minimum(lengths, limit)
    return Tokens(ids[kept], np.zeros(int(kept.sum()), dtype=bool), np.append(0, np.cumsum(lengths)), tokens.labels)
