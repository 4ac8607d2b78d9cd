"""Traced modules: classifiers (ids, mask) -> logits, decoders (ids, mask, positions, caches) -> (logits, caches...).

Imported only where torch is wanted.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch

from slm.plugin import SlmError
from slm_engines.ragged import Caches, RaggedDecoder, log_probabilities, on_arrays


def load(folder: Path) -> tuple[Any, dict[str, Any]]:
    """The module of `model.pt` and what it says of its shape; SlmError where it can't be opened."""
    file, extra = folder / "model.pt", {"shape.json": ""}
    if not file.is_file():
        raise SlmError(f"{folder}: has no model.pt; export the model again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # PyTorch names torch.export as TorchScript's heir
            module = torch.jit.load(str(file), map_location="cpu", _extra_files=extra).eval()
    except RuntimeError as error:
        raise SlmError(f"{file}: not a TorchScript module ({str(error).splitlines()[0]})") from None
    return module, json.loads(extra["shape.json"] or "{}")


def empty(shape: dict[str, Any], rows: int = 1) -> Caches:
    """Caches of no tokens."""
    return tuple(torch.zeros(rows, heads, 0, size) for heads, size in shape["caches"])


def decoder(module: Any, shape: dict[str, Any]) -> RaggedDecoder:
    """A decoder of the module's rows."""

    def run(ids: Any, mask: Any, positions: Any, caches: Caches) -> tuple[Any, Caches]:
        logits, *grown = module(ids, mask, positions, caches)
        return logits, tuple(grown)

    return RaggedDecoder(run, empty(shape), int(shape["vocabulary"]))


def scores(module: Any, shape: dict[str, Any]) -> Any:
    """The function (ids, mask) -> log-probabilities of `ids[:, 1:]`, on numpy arrays."""

    def run(ids: Any, mask: Any) -> Any:
        positions = torch.arange(ids.shape[1]).expand_as(ids)
        return log_probabilities(module(ids, mask, positions, empty(shape, len(ids)))[0], ids)

    return on_arrays(run)
