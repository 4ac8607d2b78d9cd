"""Checkpoints: written aside and renamed, the last two kept, read without pickled code."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def save(folder: Path, step: int, state: Mapping[str, Any]) -> None:
    """Write `step-N.pt`, whole or not at all, and remove all but the last two."""
    write(folder / f"step-{step:09d}.pt", state)
    for old in sorted(folder.glob("step-*.pt"))[:-2]:
        old.unlink()


def write(file: Path, state: Any) -> None:
    """Write a file aside, bring it to the disk, and rename it."""
    import torch

    aside = file.with_suffix(".tmp")
    with aside.open("wb") as sink:
        torch.save(state, sink)
        sink.flush()
        os.fsync(sink.fileno())
    aside.rename(file)


def read(file: Path) -> Any:
    """What `write` wrote; only tensors and plain values are accepted."""
    import torch

    return torch.load(file, map_location="cpu", weights_only=True)


def latest(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint that can be read; None without one."""
    for file in sorted(folder.glob("step-*.pt"), reverse=True):
        try:
            state: dict[str, Any] = read(file)
        except (OSError, RuntimeError, EOFError, ValueError):  # cut off by a crash of the machine: take the one before
            file.unlink()
            continue
        return state
    return None


def clear(folder: Path) -> None:
    """Forget all checkpoints."""
    shutil.rmtree(folder, ignore_errors=True)


def trained(model: Any) -> dict[str, Any]:
    """The weights that are being trained, by name."""
    return {name: weight.detach() for name, weight in model.named_parameters() if weight.requires_grad}


def restore(model: Any, weights: Mapping[str, Any]) -> None:
    """Put trained weights back."""
    import torch

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                weight.copy_(weights[name])


def generators() -> dict[str, Any]:
    """The states of torch's random number generators."""
    import torch

    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def reseed(states: Mapping[str, Any]) -> None:
    """Set the generators to states that `generators` gave."""
    import torch

    torch.set_rng_state(states["cpu"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])


def seed(number: int) -> None:
    """Seed every generator that training may draw from."""
    import numpy as np
    import torch

    random.seed(number)
    np.random.seed(number % 2**32)
    torch.manual_seed(number)
