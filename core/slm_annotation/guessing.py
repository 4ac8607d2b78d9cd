"""What an open model would answer to items, and how sure it is of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from slm.errors import SlmError
from slm_annotation.asking import compared, written
from slm_annotation.values import Guess

if TYPE_CHECKING:
    from slm.plugin import Engine

ASKED: Mapping[str, str] = {
    "classification": "classification",
    "multilabel": "classification",
    "qa": "chat",
    "chat": "chat",
    "preference": "chat",
    "completion": "completion",
}
"""What kind of model answers a shape: one with labels, with turns, or with plain text."""
BATCH = 64
PROBES = ("What can you tell me about this?", "12 of the 35 were late.", "Ein Satz, wörtlich.")

Said = tuple[dict[str, Any], float]


def guess(
    engine: Engine, shape: str, fields: Sequence[Mapping[str, Any]], labels: Sequence[str], name: str
) -> list[Guess]:
    """A guess for each item's fields; `labels` are those that may be answered (none: all that the model knows), `name`
    is what the model is called. SlmError where the model can't answer this shape.

    Where an item can't be put to the model (no words in it, or more than its context holds before the answer), the
    guess has no values and the score 0. The score is made to choose by as well as to show:

    classification -- how far the likeliest label is ahead of the next, as a difference of probabilities: 0 where two
                      are equally likely, which is where a person's answer teaches most
    multilabel     -- how far the labels given are ahead of those left out
    texts          -- the geometric mean of the probabilities of the answer's tokens
    preference     -- how far the side chosen is ahead of the other, as a share of both
    """
    interface = engine.prompter.interface
    kind = interface.task if interface.task == "classification" else "chat" if interface.template else "completion"
    if shape not in ASKED:
        raise SlmError(f"{name}: a {interface.task} model can't guess {shape}; push without a model")
    if kind != ASKED[shape]:
        raise SlmError(f"{name}: a {interface.task} model can't answer {shape} questions; give one that was trained to")
    if shape == "preference":
        found = compared(engine, fields)
    elif kind == "classification":
        found = sorted_into(engine, shape, [each["text"] or "" for each in fields], labels, name)
    else:
        found = written(engine, shape, fields)
    return [Guess(values, score if math.isfinite(score) else 0.0, name) for values, score in found]


def version_of(name: str, engine: Engine) -> str:
    """Names a model and its state: the digest is of the logarithms of the probabilities that it gives fixed texts, to
    two places, so it is another once the model was trained anew, and the same wherever that model is served."""
    interface, prompter = engine.prompter.interface, engine.prompter
    if interface.task == "classification":
        rows = [[math.log(max(p, 1e-30)) for p in row] for row in engine.classify(PROBES)]
    else:
        rows = engine.score([prompter.encode(text)[: interface.context] for text in PROBES])
    said = [interface.task, interface.labels, [[round(value, 2) + 0.0 for value in row] for row in rows]]
    return f"{name}@{blake2b(json.dumps(said).encode(), digest_size=4).hexdigest()}"


def sorted_into(engine: Engine, shape: str, texts: Sequence[str], labels: Sequence[str], name: str) -> list[Said]:
    """The likeliest of the labels asked for. What the model holds likely beside them lowers the score, since
    probabilities stay as they are; labels that it doesn't know are never guessed."""
    known, wanted = engine.prompter.interface.labels, set(labels)
    asked = [n for n, label in enumerate(known) if not wanted or label in wanted]
    if not asked:
        raise SlmError(
            f"{name}: knows none of the labels asked for ({shown(labels)}), but {shown(known)}; "
            "push without it, or train one on these labels"
        )
    found: list[Said] = []
    for row in probabilities(engine, texts):
        ranked = sorted(((row[n], known[n]) for n in asked), key=lambda pair: -pair[0]) if row else []
        found.append(chosen(shape, ranked) if ranked else ({}, 0.0))
    return found


def chosen(shape: str, ranked: Sequence[tuple[float, str]]) -> Said:
    """The first label, or all that are at least half as likely; and how far they are ahead of the next."""
    count = sum(2 * share >= ranked[0][0] for share, _ in ranked) if shape == "multilabel" else 1
    ahead = ranked[count - 1][0] - (ranked[count][0] if count < len(ranked) else 0.0)
    values = {"labels": [label for _, label in ranked[:count]]} if shape == "multilabel" else {"label": ranked[0][1]}
    return values, min(max(ahead, 0.0), 1.0)


def probabilities(engine: Engine, texts: Sequence[str]) -> list[list[float]]:
    """A row a text, asked for with texts of like length together; an empty one where a text has no tokens."""
    rows: list[list[float]] = [[] for _ in texts]
    order = [n for n, text in enumerate(texts) if text.strip() and engine.prompter.text(text)]
    order.sort(key=lambda n: len(texts[n]))
    for at in range(0, len(order), BATCH):
        drawn = order[at : at + BATCH]
        for n, row in zip(drawn, engine.classify([texts[n] for n in drawn]), strict=True):
            rows[n] = row
    return rows


def shown(labels: Sequence[str]) -> str:
    """The first few labels."""
    return ", ".join(labels[:4]) + (f" and {len(labels) - 4} more" if len(labels) > 4 else "")
