"""Questions put to a model that generates text, as the server and chat put them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from slm.errors import SlmError
from slm.values import Request

if TYPE_CHECKING:
    from slm.plugin import Engine
    from slm_models.template import Prompter

BATCH = 32
LONGEST = 256  # tokens of an answer
T = TypeVar("T")

Fields = Mapping[str, Any]
Said = tuple[dict[str, Any], float]
Learned = tuple[Sequence[int], Sequence[bool]]  # ids, and which of them are the answer's


def written(engine: Engine, shape: str, fields: Sequence[Fields]) -> list[Said]:
    """The model's greedy answers, or how it continues the text (completion), the shortest prompts first."""
    context = engine.prompter.interface.context
    prompts = each_of(lambda asked: prompt(engine.prompter, shape, asked), fields)
    order = [n for n, ids in enumerate(prompts) if ids and len(ids) < context]
    order.sort(key=lambda n: len(prompts[n] or ()))
    found: list[Said] = [({}, 0.0)] * len(fields)
    for at in range(0, len(order), BATCH):
        drawn = order[at : at + BATCH]
        asked = [tuple(prompts[n] or ()) for n in drawn]
        answers = generated(engine, asked)
        scores = sureness(engine, list(zip(asked, [tokens for tokens, _ in answers], strict=True)))
        for n, (_, text), score in zip(drawn, answers, scores, strict=True):
            values = said(shape, fields[n], text)
            found[n] = (values, score) if values else ({}, 0.0)
    return found


def each_of(make: Callable[[Fields], T], fields: Sequence[Fields]) -> list[T | None]:
    """What `make` makes of each; None where it raises SlmError, unless it does so for all of them."""
    made: list[T | None] = []
    faults: list[SlmError] = []
    for each in fields:
        try:
            made.append(make(each))
        except SlmError as error:
            faults.append(error)
            made.append(None)
    if faults and len(faults) == len(fields):
        raise faults[0]
    return made


def prompt(prompter: Prompter, shape: str, fields: Fields) -> list[int]:
    """The ids that the answer follows; none where nothing is asked. A context stands before its question, as in the
    records that loading makes of the two."""
    if shape == "completion":
        return prompter.text(fields["text"]) if (fields.get("text") or "").strip() else []
    if shape == "qa":
        asked = fields.get("question") or ""
        texts = [text for text in (fields.get("context") or "", asked) if text.strip()]
        turns = [{"role": "user", "content": "\n\n".join(texts)}] if asked.strip() else []
    else:
        turns = [{"role": turn["role"], "content": turn["content"] or ""} for turn in fields.get("dialogue") or ()]
    return prompter.prompt(turns) if turns else []


def generated(engine: Engine, prompts: Sequence[tuple[int, ...]]) -> list[tuple[list[int], str]]:
    """Tokens and text of each answer."""
    room = engine.prompter.interface.context
    answers: list[tuple[list[int], str]] = [([], "") for _ in prompts]
    requests = [Request(ids, max_tokens=min(LONGEST, room - len(ids))) for ids in prompts]
    for chunk in engine.generate(requests):
        tokens, text = answers[chunk.index]
        answers[chunk.index] = ([*tokens, *chunk.tokens], text + chunk.text)
    return answers


def said(shape: str, fields: Fields, text: str) -> dict[str, Any]:
    """The values of a generated text; none where it says nothing."""
    if shape == "completion":
        return {"text": fields["text"] + text}
    if not text.strip():
        return {}
    if shape == "qa":
        return {"question": fields.get("question") or "", "answer": text.strip()}
    return {"response": text.strip()}


def sureness(engine: Engine, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
    """The geometric mean of the probabilities of each answer's tokens; of an answer without any, that of ending."""
    end = engine.prompter.interface.stop[:1]
    rows = engine.score([[*asked, *(answer or end)] for asked, answer in pairs])
    return [mean_probability(row[len(asked) - 1 :]) for (asked, _), row in zip(pairs, rows, strict=True)]


def mean_probability(logs: Sequence[float]) -> float:
    """The geometric mean of probabilities that are given as natural logarithms; 0 of none."""
    return min(math.exp(math.fsum(logs) / len(logs)), 1.0) if logs else 0.0


def compared(engine: Engine, fields: Sequence[Fields]) -> list[Said]:
    """The side whose tokens the model holds likelier, on average over each, since a longer answer would lose by its
    length alone; the score is how far it is ahead, as a share of both. Of a text beyond the context the last tokens
    count."""
    pairs = each_of(lambda asked: [example(engine.prompter, asked, side) for side in ("a", "b")], fields)
    found: list[Said] = [({}, 0.0)] * len(fields)
    order = [n for n, pair in enumerate(pairs) if pair and all(ids for ids, _ in pair)]
    order.sort(key=lambda n: sum(len(ids) for ids, _ in pairs[n] or ()))
    for at in range(0, len(order), BATCH):
        drawn = order[at : at + BATCH]
        means = likelihoods(engine, [one for n in drawn for one in pairs[n] or ()])
        for n, a, b in zip(drawn, means[::2], means[1::2], strict=True):
            ahead = abs(a - b) / (a + b) if a + b else 0.0
            found[n] = ({"choice": "tie" if a == b else "a" if a > b else "b"}, ahead)
    return found


def likelihoods(engine: Engine, examples: Sequence[Learned]) -> list[float]:
    """The geometric mean of the probabilities of each answer's tokens, of the last that the context holds."""
    context = engine.prompter.interface.context
    rows = engine.score([ids[-context:] for ids, _ in examples])
    return [
        mean_probability([p for p, target in zip(row, targets[-len(row) :], strict=True) if target]) if row else 0.0
        for (_, targets), row in zip(examples, rows, strict=True)
    ]


def example(prompter: Prompter, fields: Fields, side: str) -> Learned:
    """The dialogue with one side's answer, as it would be learned; without ids where one of them is missing."""
    turns, answer = fields.get("dialogue") or (), fields.get(side) or ""
    if not turns or not answer.strip():
        return [], []
    made = prompter.example({"messages": [*turns, {"role": "assistant", "content": answer}]})
    return made.ids, made.targets
