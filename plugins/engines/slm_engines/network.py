"""A transformers model as the functions that decoding and scoring need. Imported only where torch is wanted."""

from __future__ import annotations

import inspect
from typing import Any

from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from slm.plugin import SlmError
from slm_engines.ragged import Caches, RaggedDecoder, Run, log_probabilities, on_arrays

STEADY = {"full_attention", "sliding_attention", "chunked_attention"}


def decoder(model: Any) -> RaggedDecoder:
    """A decoder of the model's rows; SlmError where some layers keep a state instead of keys and values."""
    unsteady = set(getattr(model.config, "layer_types", None) or ()) - STEADY
    if unsteady or getattr(model, "_is_stateful", False):
        kinds = ", ".join(sorted(unsteady)) or "a recurrent state"
        raise SlmError(f"{model.config.model_type}: some layers have no KV cache ({kinds}); use an attention model")
    return RaggedDecoder(runner(model), (), vocabulary(model), model.device)


def vocabulary(model: Any) -> int:
    """How many token ids the model knows."""
    return int(model.get_input_embeddings().weight.shape[0])


def runner(model: Any) -> Run:
    """The function (ids, mask, positions, caches) -> (logits of the last ids, caches).

    Every layer keeps all its keys, those with a sliding window too: the masks do the windows.
    """
    names = inspect.signature(model.forward).parameters
    last = {"logits_to_keep": 1} if "logits_to_keep" in names else {}

    def run(ids: Any, mask: Any, positions: Any, caches: Caches) -> tuple[Any, Caches]:
        placed = {"position_ids": positions} if "position_ids" in names else {}
        cache = joined(caches)
        found = model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **placed, **last)
        return found.logits, tuple(each for layer in cache.layers for each in (layer.keys, layer.values))

    return run


def joined(caches: Caches) -> Any:
    """The tensors as a cache of transformers, without copying them."""
    cache = DynamicCache()
    for keys, values in zip(caches[::2], caches[1::2], strict=True):
        layer = DynamicLayer()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        cache.layers.append(layer)
    return cache


def scores(model: Any) -> Any:
    """The function (ids, mask) -> log-probabilities of `ids[:, 1:]`, on numpy arrays.

    The padding stands behind the text, where a causal model cannot see it.
    """
    return on_arrays(
        lambda ids, mask: log_probabilities(model(input_ids=ids, attention_mask=mask, use_cache=False).logits, ids),
        model.device,
    )


def logits(model: Any) -> Any:
    """The function (ids, mask) -> logits (rows, labels) of a classifier, on numpy arrays."""
    return on_arrays(lambda ids, mask: model(input_ids=ids, attention_mask=mask).logits, model.device)
