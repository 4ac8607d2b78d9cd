"""The language of a text, with probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

LETTERS, LONGEST = 20, 2000


def languages_of(text: str) -> Mapping[str, float] | None:
    """The probability of each language (ISO 639-1); None for a text of fewer than 20 letters, which could be any's.

    An ideograph counts as three letters. Only the first 2,000 characters are looked at.
    """
    part = text[:LONGEST]
    letters = sum(3 if ord(c) > 0x2E7F else 1 for c in part if c.isalpha())
    return dict(_identifier().rank(part)) if letters >= LETTERS else None


def known_languages() -> tuple[str, ...]:
    """The codes of the languages that can be told apart."""
    return tuple(sorted(_identifier().labels))


@lru_cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
