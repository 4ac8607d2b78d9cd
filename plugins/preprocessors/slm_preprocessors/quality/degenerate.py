"""Answers that say nothing: empty ones, holes left by a spreadsheet, echoes of the question, and refusals."""

from __future__ import annotations

import re

FILLED = re.compile(
    r"(?:#?n\s?/\s?a|#(?:ref|value|null)!|#name\?|#div/0!|nan|null|undefined|\[object object\]"
    r"|none given|no answer(?: given| provided)?|not available|not applicable|to be (?:determined|defined|done)"
    r"|tbd|todo|tba|lorem ipsum.*|\[?(?:deleted|removed)\]?|k\.\s?a\.)\.?",
    re.IGNORECASE | re.DOTALL,
)
MARKS = re.compile(r"[\s.…,;:!?¿¡\-–—_*/\\|'\"`~·•。、！？]*")  # noqa: RUF001
ASSISTANT = r"an? (?:ai|artificial intelligence|(?:large )?language model)"
REFUSAL = re.compile(
    r"[^.!?\n]{0,60}?\b(?:i(?:'m| am) (?:just |only )?"
    rf"{ASSISTANT}\b|as {ASSISTANT}\b|i(?:'m| am)? ?(?:can(?:no|')t|can not|unable to|not able to|won't) "
    r"(?:be able to )?(?:help|assist|answer|provide|fulfil+|comply|do that|complete|respond|generate|discuss|engage))",
    re.IGNORECASE,
)


def says_nothing(text: str) -> str:
    """Why a text says nothing; empty if it says something. Brackets, digits and emoji do: `[]`, `3` and a smile may be
    answers, `...` and `N/A` are none."""
    bare = text.strip()
    if not bare:
        return "empty"
    if MARKS.fullmatch(bare):
        return "only punctuation"
    return "a placeholder" if FILLED.fullmatch(bare) else ""


def echoes(question: str, answer: str) -> bool:
    """Whether an answer of three words or more only repeats the question."""
    bare = " ".join(answer.split()).casefold()
    return bare.count(" ") >= 2 and bare == " ".join(question.split()).casefold()


def refuses(answer: str) -> bool:
    """Whether an answer begins by refusing, as assistants put it."""
    return bool(REFUSAL.match(answer.strip()[:300].replace("’", "'")))  # noqa: RUF001
