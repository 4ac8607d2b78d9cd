"""The export gate: an artifact, opened by its engine, must say what its source model says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import asdict, evolve, frozen

from slm.errors import SlmError
from slm.plugin import Engine, Request
from slm_models.template import Example

SENTENCES = (
    "The bakery on the corner opens at seven and sells fresh bread until noon.",
    "Please send the report before Friday, and add the figures for March.",
    "Once upon a time there was a small dog who liked to dig in the garden.",
    "Water boils at 100 degrees Celsius; at altitude it takes less.",
)
LENGTH, PROMPTS, ANSWER = 256, 8, 24  # tokens scored of a sequence; prompts answered, and tokens of each answer


@frozen
class Comparison:
    """How far an artifact is from its source: absolute differences in log-probability (nats a token), for a
    classifier in probability; None where a number was not finite or nothing could be compared.

    `agreement` is the share of greedy tokens (labels) that are the same up to the first difference.
    """

    passed: bool
    reason: str
    tolerance: float
    mean: float | None = None
    max: float | None = None
    agreement: float | None = None
    sequences: int = 0
    tokens: int = 0


def compare(
    source: Engine, artifact: Engine, records: Sequence[Mapping[str, Any]], tolerance: float, limit: int = 16
) -> Comparison:
    """Put the same `limit` records to both engines; it passes if the mean difference is at most `tolerance`."""
    failed = Comparison(False, "", tolerance)
    task, labels = source.prompter.interface.task, source.prompter.interface.labels
    if differing := _differing(source, artifact):
        return evolve(failed, reason=f"its interface is another: {', '.join(differing)} differ")
    if task == "classification":
        texts = [str(record["text"]) for record in records[:limit]] or list(SENTENCES)
        if any(source.prompter.text(text) != artifact.prompter.text(text) for text in texts):
            return evolve(failed, reason="its tokenizer gives other ids")
        ours, theirs = source.classify(texts), artifact.classify(texts)
        if any(len(row) != len(labels) for row in theirs):
            return evolve(failed, reason=f"it does not give {len(labels)} probabilities a text")
        same = sum(a.index(max(a)) == b.index(max(b)) for a, b in zip(ours, theirs, strict=True))
        return _judged(evolve(failed, agreement=same / len(texts)), ours, theirs, "of probability")
    examples = _examples(source, records[:limit])
    if [each.ids for each in examples] != [each.ids for each in _examples(artifact, records[:limit])]:
        return evolve(failed, reason="its tokenizer or template gives other ids")
    length = min(LENGTH, source.prompter.interface.context, artifact.prompter.interface.context)
    sequences = [each.ids[:length] for each in examples]
    judged = _judged(failed, source.score(sequences), artifact.score(sequences), "nats a token")
    if judged.mean is None:
        return judged
    return evolve(judged, agreement=_agreement(source, artifact, _prompts(source, examples, length - ANSWER)))


def _differing(source: Engine, artifact: Engine) -> list[str]:
    ours, theirs = asdict(source.prompter.interface), asdict(artifact.prompter.interface)
    return [name for name in ours if name not in ("context", "pad") and ours[name] != theirs[name]]


def _examples(engine: Engine, records: Sequence[Mapping[str, Any]]) -> list[Example]:
    """The records as ids; fixed sentences where none of them can be used."""
    chat = engine.prompter.interface.template is not None
    fixed = [_turns(text, SENTENCES[-1]) if chat else {"text": text} for text in SENTENCES]
    for group in (records, fixed):
        found = []
        for record in group:
            try:
                found.append(engine.prompter.example(record))
            except SlmError:  # a conversation without an answer, say: nothing to compare by
                continue
        if any(len(example.ids) > 1 for example in found):
            return [example for example in found if len(example.ids) > 1]
    return []


def _turns(question: str, answer: str) -> dict[str, list[dict[str, str]]]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def _prompts(engine: Engine, examples: Sequence[Example], room: int) -> list[list[int]]:
    """What comes before the first answer; of plain text the first few tokens."""
    extra = 0 if engine.prompter.interface.template else 8
    cuts = [each.targets.index(True) + extra if True in each.targets else extra for each in examples]
    return [each.ids[: max(1, min(cut, room))] for each, cut in zip(examples, cuts, strict=True)][:PROMPTS]


def _judged(found: Comparison, ours: list[list[float]], theirs: list[list[float]], unit: str) -> Comparison:
    """The differences of two tables of numbers, and whether they are small enough."""
    if [len(row) for row in ours] != [len(row) for row in theirs]:
        return evolve(found, reason="it gives another number of scores")
    pairs = [(a, b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True)]
    found = evolve(found, sequences=len(ours), tokens=len(pairs))
    if not pairs:
        return evolve(found, reason="there was nothing to compare")
    for name, side in (("it", 1), ("its source", 0)):
        if not all(math.isfinite(pair[side]) for pair in pairs):
            return evolve(found, reason=f"{name} gives numbers that are not finite")
    differences = [abs(a - b) for a, b in pairs]
    mean = math.fsum(differences) / len(differences)
    passed = mean <= found.tolerance
    reason = f"differs by {mean:.2g} {unit}, {'within' if passed else 'over'} the tolerance of {found.tolerance:g}"
    return evolve(found, passed=passed, reason=reason, mean=mean, max=max(differences))


def _agreement(source: Engine, artifact: Engine, prompts: Sequence[Sequence[int]]) -> float:
    """The share of greedy tokens before the first that differs, over all prompts."""
    same, total = 0, 0
    for ours, theirs in zip(_greedy(source, prompts), _greedy(artifact, prompts), strict=True):
        length = max(len(ours), len(theirs))
        pairs = enumerate(zip(ours, theirs, strict=False))
        same += next((n for n, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
        total += length
    return same / total if total else 1.0


def _greedy(engine: Engine, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    answers: list[list[int]] = [[] for _ in prompts]
    for chunk in engine.generate([Request(tuple(prompt), max_tokens=ANSWER) for prompt in prompts]):
        answers[chunk.index] += chunk.tokens
    return answers
