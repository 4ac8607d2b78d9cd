"""Names and places, found by presidio where it is installed: its rules and a spaCy model."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

from slm.plugin import SlmError

from .patterns import GUESS, Found

KINDS = {"PERSON": "person", "LOCATION": "location", "NRP": "group"}


def people(model: str) -> Callable[[str], list[Found]]:
    """A finder of persons, places and groups; SlmError where presidio or the spaCy model is not installed."""
    analyzer = _analyzer(model)
    language = model.partition("_")[0]

    def find(text: str) -> list[Found]:
        found = analyzer.analyze(text=text, language=language, entities=list(KINDS))
        return [Found(each.start, each.end, KINDS[each.entity_type], GUESS) for each in found]

    return find


@lru_cache
def _analyzer(model: str) -> Any:
    """Presidio with the model, which must be here: by itself presidio would download one."""
    try:
        spacy, presidio = import_module("spacy"), import_module("presidio_analyzer")
        provider = import_module("presidio_analyzer.nlp_engine").NlpEngineProvider
    except ImportError as error:
        raise SlmError(
            f"pii.presidio: needs {error.name}: pip install presidio-analyzer, then python -m spacy download {model}"
        ) from None
    if not spacy.util.is_package(model):
        raise SlmError(f"pii.presidio: the spaCy model {model} is not installed; python -m spacy download {model}")
    language = model.partition("_")[0]
    models = [{"lang_code": language, "model_name": model}]
    engine = provider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
    return presidio.AnalyzerEngine(nlp_engine=engine, supported_languages=[language])
