"""Everything a plugin author imports: the markers, the values that cross the hooks, and the contracts.

A plugin is a frozen attrs class. Its fields are its options, its docstring is its help, `bid` is its claim with a
reason, and one method carries `@hookimpl`. It is found through an entry point in the group `slm.<hook>`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pluggy

from slm.errors import PluginError, SlmError
from slm.source import Source
from slm.values import (
    TASKS,
    Artifact,
    Base,
    Batch,
    Bid,
    Chunk,
    Event,
    Gpu,
    Hardware,
    Interface,
    Job,
    Metric,
    Metrics,
    Model,
    Needs,
    Processed,
    Rank,
    Reject,
    Request,
    Work,
)
from slm_annotation.values import Project

if TYPE_CHECKING:
    import datasets

    from slm_models.template import Prompter

# fmt: off
__all__ = [
    "HOOKS", "TASKS", "Annotator", "Artifact", "Base", "Batch", "Bid", "Chunk", "Engine", "EngineOpener", "Evaluator",
    "Event", "Exporter", "Gpu", "Hardware", "Interface", "Job", "Loader", "Metric", "Metrics", "Model", "Mount",
    "Needs", "Observer", "Plugin", "PluginError", "Preprocessor", "Processed", "Project", "Rank", "Recipe", "Reject",
    "Request", "Server", "SlmError", "Source", "Work", "hookimpl", "hookspec",
]
# fmt: on

hookspec = pluggy.HookspecMarker("slm")
hookimpl = pluggy.HookimplMarker("slm")


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
    """Reads rows from a source. `claims` are the addresses it is for: `.csv` (a file's suffix), `sqlite://` (scheme),
    `https://*.csv` (pattern), `/` (a folder). The narrowest (longest) claim that fits an address wins."""

    claims: ClassVar[tuple[str, ...]] = ()

    def state(self, source: Source) -> str | None:
        """What stands for the present content of a source that is no file (an ETag, a watermark); where it is None,
        the source is read again at every run. Files are known by their content, unasked; what is said of one here
        counts too."""
        return None

    @hookspec(firstresult=True)
    def load(self, source: Source, work: Work) -> Iterator[Batch]:
        """Yield the source's rows, batch by batch; a row that can't be read goes into `Batch.rejected`."""
        ...


class Preprocessor(Plugin, Protocol):
    """Changes, drops or divides records. Those that the pipeline names run in its order; one that bids BEST runs
    unasked, after them (`split`, where no source is a test set). `claims` are patterns of names in `use` that are no
    plugin's (`*.py:*`); the plugin gets the name as its option `use`."""

    claims: ClassVar[tuple[str, ...]] = ()

    def state(self, folder: Path) -> str | None:
        """What its result depends on besides options and records: the content of a file that an option names, as a
        path relative to `folder`. None, or no such method, where it depends on nothing else."""
        return None

    @hookspec(firstresult=True)
    def preprocess(self, splits: Mapping[str, datasets.Dataset], job: Job, work: Work) -> Processed:
        """Give the splits back changed, with a report of what was done."""
        ...


class Annotator(Plugin, Protocol):
    """Opens projects in which people annotate records. What is sent, brought back and compared is the kernel's work:
    a plugin knows its own place only."""

    @hookspec(firstresult=True)
    def annotate(self, shape: str, labels: tuple[str, ...], work: Work) -> Project:
        """Open the project for questions of a shape (`slm_annotation.values` lists them); an empty `shape` takes that
        of the project, which then has to be there."""
        ...


class Recipe(Plugin, Protocol):
    """Trains a model."""

    @hookspec(firstresult=True)
    def recipe(self, job: Job, train: datasets.Dataset, validation: datasets.Dataset | None, work: Work) -> Model:
        """Train on `train`, write the model into `work.folder`, and resume from `work.checkpoints` if it has any."""
        ...


class Evaluator(Plugin, Protocol):
    """Measures an open model. Unless the pipeline names some, all that bid GOOD or more run.

    It may leave out arguments it has no use for: `base` is opened, and `train` read, only for those that ask.
    """

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


class Mount(Plugin, Protocol):
    """Adds an application to the server, under a path of its own. Those that bid GOOD or more are there unasked."""

    path: ClassVar[str] = ""

    @hookspec(firstresult=True)
    def mount(self, engines: Mapping[str, Engine], key: str | None, train: Callable[[], str] | None) -> Any:
        """An ASGI application for all below `path`; with a `key`, only for those who send it. `train` starts a run of
        the served model's pipeline in the background and says so in a line; None where there is no pipeline."""
        ...


class Observer(Plugin, Protocol):
    """Watches runs: trackers, notifiers."""

    @hookspec
    def observe(self, event: Event) -> None:
        """See one event; called in the kernel's process, in the order things happened."""
        ...


HOOKS: Mapping[str, Any] = {
    "load": Loader,
    "preprocess": Preprocessor,
    "annotate": Annotator,
    "recipe": Recipe,
    "evaluate": Evaluator,
    "export": Exporter,
    "engine": EngineOpener,
    "serve": Server,
    "mount": Mount,
    "observe": Observer,
}
