"""Everything a plugin author imports: the markers, the values that cross the hooks, and the contracts.

A plugin is a frozen attrs class. Its fields are its options, its docstring is its help, `bid` is its claim with a
reason, and one method carries `@hookimpl`. It is found through an entry point in the group `slm.<hook>`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import pluggy
from attrs import Factory, field, frozen

from slm.errors import PluginError, SlmError

if TYPE_CHECKING:
    import datasets
    import pyarrow

    from slm.template import Prompter

__all__ = [
    "HOOKS",
    "TASKS",
    "Artifact",
    "Base",
    "Batch",
    "Bid",
    "Chunk",
    "Engine",
    "EngineOpener",
    "Evaluator",
    "Event",
    "Exporter",
    "Gpu",
    "Hardware",
    "Interface",
    "Job",
    "Loader",
    "Metric",
    "Metrics",
    "Model",
    "Needs",
    "Observer",
    "Plugin",
    "PluginError",
    "Preprocessor",
    "Processed",
    "Rank",
    "Recipe",
    "Reject",
    "Request",
    "Server",
    "SlmError",
    "Source",
    "Work",
    "hookimpl",
    "hookspec",
]

hookspec = pluggy.HookspecMarker("slm")
hookimpl = pluggy.HookimplMarker("slm")

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
class Source:
    """Where records come from: an address as the user wrote it, and the file or folder it names, if it names one.

    `folder` is what relative paths are relative to (the pipeline file's folder).
    """

    address: str
    folder: Path = Path()

    @property
    def scheme(self) -> str:
        """`postgresql` of `postgresql://...`; empty for a path."""
        head, found, _ = self.address.partition("://")
        return head if found else ""

    @property
    def path(self) -> Path:
        """The file, folder or glob pattern that the address names; SlmError for an address with a scheme."""
        if self.scheme not in ("", "file"):
            raise SlmError(f"{self.address}: not a path")
        return self.folder / Path(self.address.removeprefix("file://")).expanduser()


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
    """

    folder: Path
    checkpoints: Path
    hardware: Hardware
    seed: int = 0
    emit: Callable[[str, Mapping[str, Any]], None] = field(default=lambda kind, data: None, eq=False, repr=False)

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
    """The next piece of one request's answer. `index` is the request's place in the call; `finish` is set on its last."""

    index: int
    tokens: tuple[int, ...]
    text: str
    finish: Literal["", "stop", "length"] = ""


class Engine(Protocol):
    """An open model. Evaluation, the export check, the server and chat know only this.

    Every method may be called from several threads at once; an engine decodes concurrent requests together where
    it can. What a model of this task cannot do raises SlmError.
    """

    @property
    def prompter(self) -> Prompter:
        """Turns messages and text into token ids, as in training."""
        ...

    def generate(self, requests: Sequence[Request]) -> Iterator[Chunk]:
        """Answer all requests, chunks as they come, in any order between requests; closing the iterator cancels."""
        ...

    def classify(self, texts: Sequence[str]) -> list[list[float]]:
        """Probabilities, one row a text, one column a label of the interface."""
        ...

    def score(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """Log-probabilities (nats) of each sequence's tokens given those before; the first token has none, so a
        sequence of n ids gives n - 1 numbers."""
        ...

    def close(self) -> None:
        """Give back memory and threads."""
        ...


class Plugin(Protocol):
    """What every plugin has: options as fields, help as docstring, and a bid."""

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """How well this plugin, with these options, suits the job on the machine. Pure, quick, and without imports."""
        ...


class Loader(Plugin, Protocol):
    """Reads rows from a source. `claims` are the addresses it is for: `.csv` (suffix), `sqlite://` (scheme),
    `/` (a folder). The narrowest (longest) claim that fits an address wins."""

    claims: ClassVar[tuple[str, ...]] = ()

    @hookspec(firstresult=True)
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        """Yield the source's rows, batch by batch; a row that can't be read goes into `Batch.rejected`."""
        ...


class Preprocessor(Plugin, Protocol):
    """Changes, drops or divides records. Those that the pipeline names run in its order; one that bids BEST runs
    unasked, after them (`split`, where no source is a test set)."""

    @hookspec(firstresult=True)
    def preprocess(self, splits: Mapping[str, datasets.Dataset], job: Job, work: Work) -> Processed:
        """Give the splits back changed, with a report of what was done."""
        ...


class Recipe(Plugin, Protocol):
    """Trains a model."""

    @hookspec(firstresult=True)
    def recipe(self, job: Job, train: datasets.Dataset, validation: datasets.Dataset | None, work: Work) -> Model:
        """Train on `train`, write the model into `work.folder`, and resume from `work.checkpoints` if it has any."""
        ...


class Evaluator(Plugin, Protocol):
    """Measures an open model. Unless the pipeline names some, all that bid GOOD or more run. It may leave out arguments it has no use for: `base` is opened, and `train` read,
    only for those that ask."""

    @hookspec(firstresult=True)
    def evaluate(
        self,
        engine: Engine,
        data: datasets.Dataset,
        train: datasets.Dataset | None,
        base: Engine | None,
        job: Job,
        work: Work,
    ) -> Metrics:
        """Measure `engine` on the test records `data`; `base` is the model before training, where there was one."""
        ...


class Exporter(Plugin, Protocol):
    """Converts a trained model into another format."""

    @hookspec(firstresult=True)
    def export(self, model: Model, job: Job, work: Work) -> Artifact:
        """Write the artifact into `work.folder`, tokenizer and `slm.json` included."""
        ...


class EngineOpener(Plugin, Protocol):
    """Opens models of certain formats."""

    formats: ClassVar[tuple[str, ...]] = ()

    @hookspec(firstresult=True)
    def engine(self, model: Model, hardware: Hardware) -> Engine:
        """Open the model, ready to answer."""
        ...


class Server(Plugin, Protocol):
    """Puts engines behind a network interface."""

    @hookspec(firstresult=True)
    def serve(self, engines: Mapping[str, Engine], key: str | None) -> Any:
        """An ASGI application that serves `engines` by model name; with a `key`, only to those who send it."""
        ...


class Observer(Plugin, Protocol):
    """Watches runs: trackers, notifiers."""

    @hookspec
    def observe(self, event: Event) -> None:
        """See one event; called in the kernel's process, in the order things happened."""
        ...


HOOKS: Mapping[str, type[Plugin]] = {
    "load": Loader,
    "preprocess": Preprocessor,
    "recipe": Recipe,
    "evaluate": Evaluator,
    "export": Exporter,
    "engine": EngineOpener,
    "serve": Server,
    "observe": Observer,
}
