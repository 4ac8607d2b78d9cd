"""The frozen values that cross the hooks: what is asked for, what there is, and what was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attrs import Factory, field, frozen

if TYPE_CHECKING:
    import datasets
    import pyarrow

TASKS = ("qa", "instruction", "chat", "completion", "classification", "preference")


@frozen
class Gpu:
    """One accelerator; `memory` in bytes, `capability` as CUDA counts it, (9, 0) for an H100."""

    name: str
    memory: int
    capability: tuple[int, int] = (0, 0)


@frozen
class Hardware:
    """What a machine offers, as plain numbers: a test can invent any machine. Sizes in bytes."""

    cores: int = 1
    memory: int = 0
    gpus: tuple[Gpu, ...] = ()
    cpu: str = ""
    flags: tuple[str, ...] = ()
    disk: int = 0
    system: str = "Linux"

    @property
    def gpu_memory(self) -> int:
        """Bytes of the largest single GPU; 0 without one."""
        return max((gpu.memory for gpu in self.gpus), default=0)


class Rank(IntEnum):
    """How well a plugin suits a job on a machine. Coarse on purpose: nobody can tune 0.61 against 0.64."""

    NO = 0
    POSSIBLE = 1
    GOOD = 2
    BEST = 3


@frozen
class Needs:
    """What a stage is predicted to take at its peak: bytes of memory (RAM, or GPU memory on one) and disk, seconds."""

    memory: int = 0
    seconds: float = 0.0
    disk: int = 0


@frozen
class Bid:
    """A plugin's claim on a job: how well it suits, why (one phrase a user can read), and what it would take."""

    rank: Rank
    why: str
    needs: Needs = Needs()


@frozen
class Base:
    """The model to start from, as read from its folder's JSON without loading it.

    `kind` is `scratch` (no model: the recipe makes one), `config` (an architecture without weights), `decoder`
    (generates text) or `encoder`. `parameters` counts weights; `context` is in tokens.
    """

    name: str
    kind: Literal["scratch", "config", "decoder", "encoder"] = "scratch"
    path: Path | None = None
    architecture: str = ""
    model_type: str = ""
    parameters: int = 0
    layers: int = 0
    hidden: int = 0
    vocabulary: int = 0
    context: int = 0
    has_template: bool = False
    format: str = "transformers"


@frozen
class Job:
    """What is asked for: plugins bid on it.

    `splits` names the splits that the sources give (`train` unless a source says otherwise); `rows` and `size`
    (bytes) describe the training data and are None until they are known.
    """

    name: str
    task: str
    base: Base
    seed: int = 0
    splits: tuple[str, ...] = ("train",)
    rows: int | None = None
    size: int | None = None


@frozen
class Reject:
    """A row that could not be read: its place (`faqs.csv:17`), the reason, and its raw text."""

    place: str
    why: str
    raw: str = ""


@frozen(eq=False)
class Batch:
    """Rows of one file or table as they stand in the source: column names untouched, not yet mapped to records.

    `numbers` holds one number a row: its line in a text file (1 is the first), else its row. `address` is what a
    record's `source` will name.
    """

    rows: pyarrow.Table
    address: str
    numbers: Sequence[int]
    rejected: tuple[Reject, ...] = ()


@frozen(eq=False)
class Processed:
    """What a preprocessor made: the splits, and a report.

    `report` counts rows by what happened to them (`kept`, `changed`, `dropped`, `moved`, ...); `dropped` holds the
    dropped rows of each split with a `why` column: they are kept beside the result.
    """

    splits: Mapping[str, datasets.Dataset]
    report: Mapping[str, int]
    dropped: Mapping[str, datasets.Dataset] = Factory(dict)
    examples: tuple[str, ...] = ()


@frozen
class Interface:
    """How a model is spoken to: fixed at training, stored with the weights as `slm.json`, kept by every engine.

    template -- Jinja source of the chat template; None where there are no turns (completion, classification)
    bos, eos -- the token texts that the template may name; empty where the tokenizer has none
    begin    -- token ids put before plain text (completion)
    stop     -- token ids that end an answer; the first is the one that training appends
    pad      -- token id used for padding
    context  -- the most tokens a sequence may have
    labels   -- class names by index; empty unless the task is classification
    """

    task: str
    context: int
    template: str | None = None
    bos: str = ""
    eos: str = ""
    begin: tuple[int, ...] = ()
    stop: tuple[int, ...] = ()
    pad: int = 0
    labels: tuple[str, ...] = ()


@frozen
class Model:
    """A model on disk: what a recipe trains, an exporter converts and an engine opens.

    `format` chooses the engine (`transformers`: a folder for `from_pretrained`, adapter folders included).
    The folder always holds `tokenizer.json` and `slm.json` (the interface).
    """

    path: Path
    format: str
    interface: Interface


@frozen
class Artifact(Model):
    """What an exporter wrote; `tolerance` is the largest mean difference in log-probability (nats a token) from its
    source model at which it still counts as the same model, `precision` what its weights are stored in."""

    precision: str = "float32"
    tolerance: float = 1e-3


@frozen
class Metric:
    """One figure on one test set, with its 95% confidence interval; `subject` is the model or a baseline.

    `count` is the number of records behind it; `better` says which way is up.
    """

    name: str
    value: float
    low: float
    high: float
    count: int
    subject: str = "model"
    better: Literal["higher", "lower"] = "higher"


@frozen
class Metrics:
    """What an evaluator measured; files it wrote into the work folder (confusion matrix, predictions) by name."""

    values: tuple[Metric, ...]
    files: tuple[str, ...] = ()


@frozen
class Event:
    """Something that happened: `kind` is one of choice, start, progress, warning, figure, end, error."""

    kind: str
    stage: str
    time: float
    data: Mapping[str, Any] = Factory(dict)


@frozen
class Work:
    """A stage's place to work.

    folder      -- empty at the start; what is in it at the end is the stage's result
    checkpoints -- survives a kill: empty at the first start, as it was left at the next
    root        -- the pipeline's folder: what relative paths in options are relative to
    """

    folder: Path
    checkpoints: Path
    hardware: Hardware
    seed: int = 0
    emit: Callable[[str, Mapping[str, Any]], None] = field(default=lambda kind, data: None, eq=False, repr=False)
    root: Path = Path()

    def progress(self, done: float, total: float, unit: str, **figures: float) -> None:
        """Say how far the stage is; `figures` (loss, tokens a second) are shown beside the bar and plotted."""
        self.emit("progress", {"done": done, "total": total, "unit": unit, **figures})

    def warn(self, text: str) -> None:
        """Say something the user should know, in one line; the run goes on."""
        self.emit("warning", {"text": text})


@frozen
class Request:
    """One text to generate: the prompt as token ids, how to sample, and when to end.

    `temperature` 0 is greedy. `stop` holds texts that end the answer, besides the interface's stop tokens.
    """

    prompt: tuple[int, ...]
    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


@frozen
class Chunk:
    """The next piece of one request's answer; `index` is its place in the call, `finish` is set on its last."""

    index: int
    tokens: tuple[int, ...]
    text: str
    finish: Literal["", "stop", "length"] = ""
