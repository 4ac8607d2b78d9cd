"""One answer out of several: the latest, what most say, each, or a named person's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from statistics import median
from typing import Any

from attrs import frozen

from slm_annotation.opinions import CHOSEN, TEXTS, current, marks, texts, usable, when
from slm_annotation.values import Answer

HOWS = ("latest", "majority", "all")


@frozen
class Resolved:
    """What became of an item's answers: `found` holds values, each with the answers behind it, the oldest first.

    `tie` says that people stand against each other with nobody in the majority. What can't be decided at all leaves
    `found` empty; of texts that all differ the newest is there nonetheless, and of labels or spans those that are sure.
    """

    found: tuple[tuple[Mapping[str, Any], tuple[Answer, ...]], ...] = ()
    tie: bool = False


def resolve(shape: str, answers: Sequence[Answer], how: str) -> Resolved:
    """The answers as `how` has it: one of HOWS, or an annotator's name. Nothing where nobody said anything.

    A person's newer answer stands for his older ones, but for `all`. The majority is more than half of those who
    answered: of the labels, choices and verdicts; of each label and each span (start, end, label) by itself. Of texts
    the most frequent counts, ratings have their median, and a flag needs more than half.
    """
    if how == "all":
        kept = [answer for answer in sorted(answers, key=when) if usable(shape, answer)]
        return Resolved(tuple((answer.values, (answer,)) for answer in kept))
    kept = current(shape, answers)
    if how == "majority":
        return majority(shape, kept) if kept else Resolved()
    named = how.casefold()
    kept = kept[-1:] if how == "latest" else [answer for answer in kept if answer.annotator.casefold() == named]
    return Resolved(tuple((answer.values, (answer,)) for answer in kept))


def majority(shape: str, answers: Sequence[Answer]) -> Resolved:
    """What most of the people say, one answer each, the oldest first."""
    if shape in CHOSEN:
        return one_of_several(CHOSEN[shape], answers)
    if shape == "multilabel":
        said = [dict.fromkeys(answer.values.get("labels") or ()) for answer in answers]
        return several("labels", said, answers)
    if shape == "spans":
        found = {(s["start"], s["end"], s["label"]): s for a in answers for s in a.values.get("spans") or ()}
        return several("spans", [{mark: found[mark] for mark in marks(answer.values)} for answer in answers], answers)
    return written(shape, answers)


def one_of_several(name: str, answers: Sequence[Answer]) -> Resolved:
    """The choice of more than half."""
    ((choice, count),) = Counter(answer.values[name] for answer in answers).most_common(1)
    if 2 * count <= len(answers):
        return Resolved(tie=True)
    behind = tuple(answer for answer in answers if answer.values[name] == choice)
    return Resolved(((behind[-1].values, behind),))


def several(name: str, said: Sequence[Mapping[Any, Any]], answers: Sequence[Answer]) -> Resolved:
    """What more than half chose, each by itself; what exactly half chose is left out as a tie.

    That nothing is to be chosen needs a majority like anything else: else people agree that there is something, and
    only differ in what.
    """
    counts = Counter(choice for choices in said for choice in choices)
    kept = sorted(choice for choice, count in counts.items() if 2 * count > len(said))
    half = any(2 * count == len(said) for count in counts.values())
    nothing = sum(not choices for choices in said)
    if not kept and 2 * nothing <= len(said):
        return Resolved(tie=True)
    whole = {choice: value for choices in said for choice, value in choices.items()}
    values = kept if name == "labels" else [whole[choice] for choice in kept]
    return Resolved((({name: values}, tuple(answers)),), tie=half)


def written(shape: str, answers: Sequence[Answer]) -> Resolved:
    """The most frequent texts of those with whose verdict most agree; of several the newest, as a tie. The texts of an
    answer are voted for together: nothing is put together that nobody wrote."""
    voters = judged(answers)
    if not voters:
        return Resolved(tie=True)
    newest = voters[-1]
    if newest.values.get("verdict") == "bad":
        return Resolved(((newest.values, tuple(voters)),))
    counts = Counter(texts(shape, answer.values) for answer in voters)
    best = [said for said, count in counts.items() if count == max(counts.values())]
    chosen = next(s for s in (texts(shape, answer.values) for answer in reversed(voters)) if s in best)
    behind = tuple(answer for answer in voters if texts(shape, answer.values) == chosen)
    values = {**behind[-1].values, **as_written(shape, behind), **rated(answers)}
    return Resolved(((values, behind),), tie=len(best) > 1)


def judged(answers: Sequence[Answer]) -> list[Answer]:
    """Those whose verdict is that of more than half, and those without one; all but `bad` where only good and fixed
    stand against each other; nobody where half say `bad`."""
    given = [answer.values["verdict"] for answer in answers if answer.values.get("verdict")]
    for verdict, count in Counter(given).items():
        if 2 * count > len(given):
            without = (verdict,) if verdict == "bad" else (verdict, None, "")
            return [answer for answer in answers if answer.values.get("verdict") in without]
    if given and 2 * given.count("bad") == len(given):
        return []
    return [answer for answer in answers if answer.values.get("verdict") != "bad"]


def as_written(shape: str, answers: Sequence[Answer]) -> dict[str, Any]:
    """Each text as most of them have it, which differ in white space only; of several forms the shortest."""
    found = {}
    for name in TEXTS[shape]:
        forms = Counter(answer.values[name] for answer in answers if answer.values.get(name) is not None)
        if forms:
            found[name] = min(forms, key=lambda form: (-forms[form], len(form), form))
    return found


def rated(answers: Sequence[Answer]) -> dict[str, Any]:
    """The median of the ratings, and the flags that more than half set, where there are any."""
    found: dict[str, Any] = {}
    if ratings := [answer.values["rating"] for answer in answers if answer.values.get("rating")]:
        middle = median(ratings)
        found["rating"] = int(middle) if middle == int(middle) else middle
    flags: Counter[Hashable] = Counter(
        flag for answer in answers for flag in dict.fromkeys(answer.values.get("flags") or ())
    )
    if any("flags" in answer.values for answer in answers):
        found["flags"] = [flag for flag, count in flags.items() if 2 * count > len(answers)]
    return found
