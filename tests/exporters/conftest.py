"""Real models and their exports, made once."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from slm.plugin import Artifact, Base, Engine, Hardware, Job, Model, Work
from slm_engines.onnx import Onnx
from slm_engines.torchscript import TorchScript
from slm_engines.transformers import Transformers
from slm_models.template import derive_interface

HARDWARE = Hardware(cores=1)


@pytest.fixture(scope="session", params=["stories260k", "babyllama-char-937k"])
def real(request: pytest.FixtureRequest, data: Path) -> Model:
    """A real base model: tied embeddings, grouped heads, of 8 (stories260k) and 16 wide."""
    folder = data / "models" / request.param
    return Model(folder, "transformers", derive_interface(folder, "completion"))


@pytest.fixture(scope="session")
def stories(data: Path) -> Model:
    """The smaller of the real models, spoken to with questions."""
    folder = data / "models/stories260k"
    return Model(folder, "transformers", derive_interface(folder, "qa"))


@pytest.fixture(scope="session")
def texts(data: Path) -> list[str]:
    """Stories that the real models were made for."""
    return json.loads(next((data / "raw-text/tinystories-1000").glob("*.json")).read_text())[:4]


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Artifact]:
    """A function that exports a model with an exporter into a folder of its own."""

    def exported(exporter: object, model: Model) -> Artifact:
        folder = tmp_path / f"artifact-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        kind = "encoder" if model.interface.labels else "decoder"
        job = Job("test", model.interface.task, Base("test", kind))
        return exporter.export(model, job, Work(folder, folder, HARDWARE))  # type: ignore[attr-defined]

    return exported


@pytest.fixture
def open_engine() -> Callable[[Model], Engine]:
    """A function that opens a model with the engine of its format."""

    def opened(model: Model) -> Engine:
        kinds = (Transformers, Onnx, TorchScript)
        return next(kind() for kind in kinds if model.format in kind.formats).engine(model, HARDWARE)

    return opened


@pytest.fixture
def answer() -> Callable[..., list[int]]:
    """A function (engine, prompt) -> the tokens of its greedy answer."""
    from slm.plugin import Request

    def answered(engine: Engine, prompt: list[int]) -> list[int]:
        request = Request(tuple(prompt), max_tokens=40)
        return [token for chunk in engine.generate([request]) for token in chunk.tokens]

    return answered
