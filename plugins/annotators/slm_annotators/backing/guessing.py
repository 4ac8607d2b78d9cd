"""Guesses for the tasks of a project: which served model fits its label config, and what it says of each task."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from threading import Event
from typing import Any

from attrs import frozen

from slm.plugin import Engine, SlmError
from slm_annotation.guessing import ASKED, guess, version_of
from slm_annotation.values import SHAPES, Guess
from slm_annotators.backing.refusals import LOG, Refused
from slm_annotators.studio.controls import Controls, read_config
from slm_annotators.studio.results import to_fields, to_result

LARGEST_CONFIG = 1 << 20  # characters: configs are kept, and one of ten thousand labels has half as many


@frozen(eq=False)
class Served:
    """One served model under the version that predictions carry."""

    version: str
    engine: Engine

    @property
    def task(self) -> str:
        return self.engine.prompter.interface.task

    @property
    def labels(self) -> tuple[str, ...]:
        return self.engine.prompter.interface.labels


@frozen(eq=False)
class Fitted:
    """A model and how a label config asks what it can answer."""

    served: Served
    controls: Controls


@frozen(eq=False)
class Models:
    """The served models; `fit` finds the one that can answer a label config, or raises SlmError."""

    served: Sequence[Served]
    fit: Callable[[str], Fitted]
    block: int

    def version(self, config: str) -> str:
        """What predictions for a project will be called; a project that asks nothing yet takes any model."""
        return self.fit(config).served.version if "toName" in config else self.served[0].version

    def predict(self, tasks: Any, config: Any, gone: Event) -> list[dict[str, Any]]:
        """A prediction for each task, an empty one where it can't be guessed; less where the client is gone."""
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise Refused(422, "tasks: expected a list of tasks, each an object with its data")
        if not isinstance(config, str) or not config.strip():
            raise Refused(422, "label_config: expected the project's label config, got none")
        fitted = self.fit(config)
        results: list[dict[str, Any]] = []
        faults: list[str] = []
        waiting = iter(tasks)
        while (block := list(islice(waiting, self.block))) and not gone.is_set():
            results += predicted(fitted, block, faults)
        if faults:
            LOG.warning("%d of %d tasks got no guess; the first: %s", len(faults), len(tasks), faults[0])
        return results


def open_models(engines: Mapping[str, Engine], block: int) -> Models:
    """The models that an application serves, told apart by what they say."""
    served = [Served(version_of(name, engine), engine) for name, engine in engines.items()]

    @lru_cache(maxsize=32)
    def fit(config: str) -> Fitted:
        return fitted(served, config)

    return Models(served, fit, block)


def fitted(models: Sequence[Served], config: str) -> Fitted:
    """The first model that can answer what a label config asks; SlmError, for the first model, where there is none."""
    if len(config) > LARGEST_CONFIG:
        raise SlmError(f"the label config is longer than {LARGEST_CONFIG:,} characters; no project needs that")
    faults = []
    for served in models:
        for shape in shapes_of(served, config):
            try:
                return Fitted(served, checked(served, read_config(config, shape, {})))
            except SlmError as error:
                faults.append(f"{served.version} ({served.task}) can't answer this project: {error}")
    raise SlmError(faults[0])


def shapes_of(served: Served, config: str) -> list[str]:
    """The shapes that a model can answer: first the one that the config looks like, then what fits its task best."""
    interface = served.engine.prompter.interface
    kind = interface.task if interface.task == "classification" else "chat" if interface.template else "completion"
    usual = [*SHAPES[served.task], *ASKED]
    try:
        usual.insert(0, read_config(config, "", {}).shape)
    except SlmError:
        LOG.debug("the label config has no shape of ours")
    return [shape for shape in dict.fromkeys(usual) if ASKED.get(shape) == kind]


def checked(served: Served, controls: Controls) -> Controls:
    """The controls, if the model knows a label of theirs; SlmError with both sides' labels where it knows none."""
    labels = controls.labels if controls.shape in ("classification", "multilabel") else ()
    if labels and not set(served.labels) & set(labels):
        raise SlmError(
            f"the model knows the labels {listed(served.labels)}, and the project asks for "
            f"{listed(labels)}; use the project that it was trained for"
        )
    return controls


def listed(labels: Sequence[str]) -> str:
    """The first labels, and how many more there are."""
    return ", ".join(labels[:5]) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "") or "none"


def predicted(fitted: Fitted, tasks: Sequence[Mapping[str, Any]], faults: list[str]) -> Iterator[dict[str, Any]]:
    """The predictions of some tasks, in their order; why there is none of one goes into `faults`."""
    asked: dict[int, Mapping[str, Any]] = {}
    for n, task in enumerate(tasks):
        with noted(task, faults):
            asked[n] = to_fields(dict(task["data"]), fitted.controls)
    guesses = guessed(fitted, tasks, asked, faults)
    for n, task in enumerate(tasks):
        found: dict[str, Any] = {"model_version": fitted.served.version, "score": 0.0, "result": []}
        if n in guesses and guesses[n].values:
            with noted(task, faults):
                result = to_result(guesses[n].values, asked[n], fitted.controls)
                found |= {"score": share(guesses[n].score), "result": result}
        yield found


def guessed(
    fitted: Fitted, tasks: Sequence[Mapping[str, Any]], asked: Mapping[int, Mapping[str, Any]], faults: list[str]
) -> dict[int, Guess]:
    """The guesses for what is asked: all together, or one by one where that fails."""
    served, controls = fitted.served, fitted.controls

    def ask(fields: Sequence[Mapping[str, Any]]) -> list[Guess]:
        guesses: list[Guess] = guess(served.engine, controls.shape, fields, controls.labels, served.version)
        return guesses

    try:
        return dict(zip(asked, ask(list(asked.values())) if asked else [], strict=True))
    except Exception as error:
        LOG.info("tasks are guessed one by one: %s", error)
    found: dict[int, Guess] = {}
    for n, fields in asked.items():
        with noted(tasks[n], faults):
            (found[n],) = ask([fields])
    return found


@contextmanager
def noted(task: Mapping[str, Any], faults: list[str]) -> Iterator[None]:
    """Note why a task gets no guess; the others go on."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, SlmError):
            LOG.debug("task %s", task.get("id"), exc_info=error)
        faults.append(f"task {task.get('id')}: {' '.join(str(error).split()) or type(error).__name__}")


def share(score: float) -> float:
    """A score as Label Studio takes it, from 0 to 1; 0 for what is no number."""
    return round(min(max(score, 0.0), 1.0), 6) if math.isfinite(score) else 0.0
