"""Which items are worth a person's time."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from statistics import fmean
from typing import Any

from slm.errors import SlmError
from slm_annotation.opinions import opinion
from slm_annotation.spreading import spread
from slm_annotation.values import Guess, Item

HOWS = ("random", "uncertain", "diverse", "mixed", "disagreement")
WIDER = 3  # how many times the limit `mixed` chooses from
Guesses = Mapping[str, Guess]


def select(
    how: str,
    items: Sequence[Item],
    limit: int,
    seed: int,
    *,
    guesses: Guesses | None = None,
    others: Sequence[Guesses] = (),
    known: Mapping[str, Mapping[str, Any]] | None = None,
    covered: Sequence[Item] = (),
) -> list[Item]:
    """At most `limit` of the items, the most useful first; of items with the same fields only one, and none whose
    fields are those of one that is `covered` already. The same seed draws the same, in whatever order items come.

    random       -- drawn by lot
    uncertain    -- those with the lowest score
    diverse      -- spread over what there is, away from those that are covered
    mixed        -- diverse ones among three times as many of the lowest scores; without guesses the diverse
    disagreement -- those where models differ from each other (`others` are further models' guesses) or from what is
                    `known` of an item, the most votes against each other first, then the surest; no more than differ

    `guesses` and `known` go by the item's key; an item's own guess counts where there is none for its key.
    """
    if how not in HOWS:
        raise SlmError(f"select: {how!r} is no way to choose; say one of {', '.join(HOWS)}")
    found = guesses or {}
    lots = {item.key: lot(seed, item.key) for item in items}
    drawn = distinct(sorted(items, key=lambda item: lots[item.key]), covered)
    if limit < 1:
        return []
    if how == "disagreement":
        return disputed(drawn, [found, *others], known or {})[:limit]
    guessed = any(item.key in found or item.guess for item in drawn)
    if how == "uncertain" and drawn and not guessed:
        raise SlmError("select: 'uncertain' goes by a model's guesses; give a model, or choose random or diverse")
    if how in ("uncertain", "mixed") and guessed:
        drawn.sort(key=lambda item: score(item, found))
    if how == "mixed" and guessed:
        drawn = drawn[: WIDER * limit]
    return spread(drawn, limit, seed, covered) if how in ("diverse", "mixed") else drawn[:limit]


def lot(seed: int, key: str) -> bytes:
    """A number for each key, as if drawn: it does not depend on what else there is."""
    return blake2b(f"{seed}:{key}".encode(), digest_size=8).digest()


def distinct(items: Iterable[Item], covered: Iterable[Item]) -> list[Item]:
    """The items without those whose fields came before or are covered."""
    seen = {content(item) for item in covered}
    kept = []
    for item in items:
        if (said := content(item)) not in seen:
            seen.add(said)
            kept.append(item)
    return kept


def content(item: Item) -> bytes:
    """Stands for what people would see; an item that shows nothing is like no other."""
    shown = json.dumps(item.fields, sort_keys=True) if item.fields else item.key
    return blake2b(shown.encode(), digest_size=16).digest()


def score(item: Item, guesses: Guesses) -> float:
    """How sure the model is; 0 where it has no guess, or none that is a number."""
    found = guesses.get(item.key) or item.guess
    return found.score if found and math.isfinite(found.score) else 0.0


def disputed(items: Sequence[Item], models: Sequence[Guesses], known: Mapping[str, Mapping[str, Any]]) -> list[Item]:
    """The items of which votes differ, ranked; SlmError where no item has two votes."""
    ranked: list[tuple[float, float, Item]] = []
    compared = False
    for item in items:
        asked = [model.get(item.key) or (None if n else item.guess) for n, model in enumerate(models)]
        made = [each for each in asked if each]
        votes = [
            said for said in map(opinion, [*(g.values for g in made), known.get(item.key) or {}]) if said is not None
        ]
        compared = compared or len(votes) > 1
        if (entropy := vote_entropy(votes)) > 0:
            ranked.append((entropy, fmean(each.score for each in made), item))
    if items and not compared:
        raise SlmError(
            "select: 'disagreement' compares a model's guesses with labels that are there, or with another model's; "
            "give both, or choose uncertain or diverse"
        )
    ranked.sort(key=lambda row: (-round(row[0], 9), -row[1]))
    return [item for _, _, item in ranked]


def vote_entropy(votes: Sequence[Any]) -> float:
    """The entropy of the votes' shares in nats (I. Dagan, S. Engelson, Committee-based sampling, 1995)."""
    shares = [count / len(votes) for count in Counter(votes).values()]
    return -math.fsum(share * math.log(share) for share in shares) if len(shares) > 1 else 0.0
