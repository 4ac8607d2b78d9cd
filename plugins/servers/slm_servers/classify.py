"""POST /classify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slm_servers.body import Fields
from slm_servers.errors import ApiError
from slm_servers.service import Reply, Service
from slm_servers.threads import call


async def classify(service: Service, fields: Fields) -> Reply:
    """Label one text (`input`) or a list of them: all labels with their probabilities, the likeliest first."""
    advice = "generates text: POST messages to /v1/chat/completions, or a prompt to /v1/completions"
    name, engine = service.engine(fields, "classify", advice)
    fields.check(("model", "input", "top"), ("user",), {})
    top = fields.integer("top", 1)
    texts = fields.texts("input", service.limits.max_inputs)
    if not texts:
        raise fields.wrong("input", "a text or a list of texts")
    if blank := [n for n, text in enumerate(texts) if not text.strip()]:
        raise ApiError(400, f"input: text {blank[0]} is blank; there is nothing to label", "input")
    rows = await call(service.pool, engine.classify, texts)
    labels = engine.prompter.interface.labels
    data = [{"index": n, **result(row, labels, top)} for n, row in enumerate(rows)]
    return {"object": "list", "model": name, "data": data}


def result(row: Sequence[float], labels: Sequence[str], top: int | None) -> dict[str, Any]:
    """The likeliest label of one text, and the `top` labels (all where None) in order of probability."""
    order = sorted(range(len(row)), key=lambda n: -row[n])
    ranked = [{"label": labels[n], "probability": row[n]} for n in order[:top]]
    return {**ranked[0], "labels": ranked}
