"""Networks of transformers as traced modules. Imported only where torch is wanted."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from slm.plugin import SlmError
from slm_exporters import classifier


def trace_classifier(network: Any, file: Path) -> None:
    """Write (ids, mask) -> logits."""
    write(classifier.plain(network), classifier.sample(2, 8, network.config.vocab_size), {}, file)


def trace_decoder(network: Any, file: Path) -> None:
    """Write (ids, mask, positions, caches) -> (logits, caches...), a cache (rows, heads, columns, size) each.

    Traced with rows, new tokens and cached tokens of different counts, none of them 1, so that none is fixed.
    """
    vocabulary = int(network.get_input_embeddings().weight.shape[0])
    ids = torch.arange(16).reshape(2, 8) % vocabulary
    cache = DynamicCache()
    with torch.no_grad():
        network(input_ids=ids[:, :5], past_key_values=cache, use_cache=True)
    if not all(type(layer) is DynamicLayer for layer in cache.layers):
        raise SlmError(f"{network.config.model_type}: some layers have no KV cache; export with use = 'safetensors'")
    caches = flat(cache)
    mask = torch.tensor([[1] * 8, [0, 0] + [1] * 6])
    positions = torch.tensor([[5, 6, 7], [3, 4, 5]])
    shape = {"vocabulary": vocabulary, "caches": [(each.shape[1], each.shape[3]) for each in caches]}
    write(cached(network), (ids[:, 5:], mask, positions, caches), shape, file)


def flat(cache: Any) -> tuple[Any, ...]:
    """Keys and values of each layer in turn."""
    return tuple(each for layer in cache.layers for each in (layer.keys, layer.values))


def cached(network: Any) -> Any:
    """The network as a module whose KV cache is a tuple of tensors, in and out."""
    import inspect

    placed = "position_ids" in inspect.signature(network.forward).parameters

    class Cached(torch.nn.Module):  # type: ignore[misc]
        """Hides transformers' cache and output objects, which no trace can hold."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, ids: Any, mask: Any, positions: Any, caches: Any) -> Any:
            cache = DynamicCache()
            for keys, values in zip(caches[::2], caches[1::2], strict=True):
                layer = DynamicLayer()
                layer.lazy_initialization(keys, values)
                layer.keys, layer.values = keys, values
                cache.layers.append(layer)
            given = {"position_ids": positions} if placed else {}
            found = self.network(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **given)
            return (found.logits, *flat(cache))

    return Cached().eval()


def write(module: Any, example: tuple[Any, ...], shape: dict[str, Any], file: Path) -> None:
    """Trace and save; `shape` travels in the file as shape.json."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer's notes on Python values, harmless where shapes stay tensors
        traced = torch.jit.trace(module, example, check_trace=False, strict=False)
        torch.jit.save(traced, str(file), _extra_files={"shape.json": json.dumps(shape)})
