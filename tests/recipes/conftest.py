"""Tiny records and work folders for the recipes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import pytest
import torch

from slm.plugin import Hardware, Work

ROOMS = ("kitchen", "bedroom", "hall", "attic")
DEVICES = ("lamp", "heater", "fan")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Models this small gain nothing from threads, and lose much where other tests run beside them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def commands() -> datasets.Dataset:
    """Questions and answers that a small model can learn in seconds."""
    rows = []
    for room in ROOMS:
        for device in DEVICES:
            for verb in ("on", "off"):
                turns = [
                    {"role": "user", "content": f"please turn the {device} in the {room} {verb}"},
                    {"role": "assistant", "content": f"{device} {room} {verb}"},
                ]
                rows.append({"messages": turns})
    return datasets.Dataset.from_list(rows)


@pytest.fixture
def work(tmp_path: Path) -> Callable[..., Work]:
    """Make a work place; its events are kept in `seen`."""

    def make(name: str = "stage", seen: list | None = None) -> Work:
        folder, checkpoints = tmp_path / name / "result", tmp_path / name / "checkpoints"
        folder.mkdir(parents=True)
        checkpoints.mkdir()
        hardware = Hardware(cores=2, memory=8 << 30)
        return Work(
            folder, checkpoints, hardware, 0, lambda kind, data: None if seen is None else seen.append((kind, data))
        )

    return make
