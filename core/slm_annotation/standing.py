"""How a project stands: what is done, how far people agree, and the model against them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from statistics import median
from typing import Any

from attrs import define, field, frozen

from slm_annotation.agreement import (
    Coefficient,
    Distance,
    characters,
    cohen,
    fleiss,
    interval,
    krippendorff,
    masi,
    nominal,
)
from slm_annotation.opinions import CHOSEN, TEXTS, alike, category, current, marks, similarity, texts
from slm_annotation.resolving import resolve
from slm_annotation.rows import valid
from slm_annotation.values import Answer, Entry, Guess

NAMED = 5  # how many ties and faults are named by their place
DISTANCES: Mapping[str, Distance] = {"multilabel": masi, "chat": interval}
Values = Mapping[str, Any]


@frozen
class Person:
    """One annotator. `seconds` is the median of his answers (None where none was timed), `alike` how alike his answers
    are to others' of the same items (0 to 1; None where he shares none), `shared` over how many comparisons."""

    name: str
    answers: int
    skipped: int
    faulty: int
    seconds: float | None
    alike: float | None
    shared: int


@frozen
class Pair:
    """Two people: Cohen's kappa over the `items` that both answered."""

    one: str
    other: str
    items: int
    kappa: Coefficient


@frozen
class Against:
    """Guesses beside what people decided: how many were `compared`, the share that stands `unchanged`, the mean
    likeness (1: the same), and what was guessed instead of what, (guessed, decided, times), the commonest first."""

    models: tuple[str, ...]
    compared: int
    unchanged: float
    likeness: float
    confused: tuple[tuple[str, str, int], ...]


@frozen
class Standing:
    """A project in figures. Each entry is one of `done` (somebody's answer counts), `faulty` (answers are there, and
    none can be used), `skipped` (by all who saw it) or `waiting`; answers to what an entry was before don't count.

    ties      -- done entries in which people stand against each other; `tied` are the places of the first
    faults    -- the first places where an answer can't be used, and why
    labels    -- how often each label, choice, verdict, rating or flag was decided, the commonest first
    shared    -- entries that two people or more answered; `fleiss` and `alpha` are over these
    pairs     -- Cohen's kappa of each two people, the lowest first
    """

    shape: str
    entries: int
    done: int
    waiting: int
    skipped: int
    faulty: int
    ties: int
    tied: tuple[str, ...]
    faults: tuple[str, ...]
    labels: tuple[tuple[str, int], ...]
    people: tuple[Person, ...]
    shared: int
    pairs: tuple[Pair, ...]
    fleiss: Coefficient
    alpha: Coefficient
    model: Against | None


@define
class Tally:
    """One annotator, being counted."""

    answers: int = 0
    skipped: int = 0
    faulty: int = 0
    seconds: array[float] = field(factory=lambda: array("f"))
    alike: float = 0.0
    shared: int = 0


@define
class Count:
    """A project, being counted entry by entry: nothing of an entry is kept but numbers."""

    shape: str
    states: Counter[str] = field(factory=Counter)
    ties: int = 0
    tied: list[str] = field(factory=list)
    faults: list[str] = field(factory=list)
    labels: Counter[str] = field(factory=Counter)
    people: dict[str, Tally] = field(factory=dict)
    shared: int = 0
    table: Counter[tuple[Hashable, ...]] = field(factory=Counter)
    pairs: dict[tuple[str, str], Counter[tuple[Hashable, ...]]] = field(factory=dict)
    together: Counter[tuple[str, str]] = field(factory=Counter)
    models: set[str] = field(factory=set)
    compared: int = 0
    unchanged: int = 0
    likeness: float = 0.0
    confused: Counter[tuple[str, str]] = field(factory=Counter)


def standing(shape: str, entries: Iterable[Entry], guesses: Mapping[str, Guess], how: str = "majority") -> Standing:
    """How the entries stand, read once; `guesses` by key are compared with the answers resolved as `how` says."""
    count = Count(shape)
    for entry in entries:
        answers = valid(entry)
        said = current(shape, answers)
        count.states[state(said, answers)] += 1
        tally(count, entry, answers)
        if len(said) > 1:
            compare(count, entry, said)
        decided = resolve(shape, answers, "majority")
        if decided.tie:
            count.ties += 1
            count.tied += [place(entry)] if len(count.tied) < NAMED else []
        found = decided if how == "majority" else resolve(shape, answers, how)
        for values, _ in found.found:
            count.labels.update(decisions(shape, values))
        if found.found and (made := guesses.get(entry.key)) and made.values:
            judge(count, made, found.found[-1][0])
    return summed(count)


def state(said: Sequence[Answer], answers: Sequence[Answer]) -> str:
    """Which of the four an entry is."""
    if said:
        return "done"
    if any(not answer.skipped for answer in answers):
        return "faulty"
    return "skipped" if answers else "waiting"


def place(entry: Entry) -> str:
    """Where to look an entry up."""
    return f"{entry.source} (task {entry.number})" if entry.source else f"task {entry.number}"


def tally(count: Count, entry: Entry, answers: Iterable[Answer]) -> None:
    """Add an entry's answers to those of their annotators."""
    for answer in answers:
        person = count.people.setdefault(answer.annotator, Tally())
        person.skipped += answer.skipped
        person.answers += not answer.skipped
        if answer.seconds > 0 and not answer.skipped:
            person.seconds.append(answer.seconds)
        if answer.fault and not answer.skipped:
            person.faulty += 1
            count.faults += [f"{place(entry)}: {answer.fault}"] if len(count.faults) < NAMED else []


def compare(count: Count, entry: Entry, said: Sequence[Answer]) -> None:
    """Hold the answers of an entry beside each other."""
    count.shared += 1
    said = sorted(said, key=lambda answer: answer.annotator)
    for one, other in combinations(said, 2):
        likeness = alike(count.shape, one.values, other.values)
        for answer in (one, other):
            count.people[answer.annotator].alike += likeness
            count.people[answer.annotator].shared += 1
    judging = said if count.shape == "spans" else [a for a in said if category(count.shape, a.values) is not None]
    if len(judging) < 2:
        return
    names = [answer.annotator for answer in judging]
    count.together.update(combinations(names, 2))
    for row, times in units(count.shape, entry, judging).items():
        count.table[tuple(sorted(row, key=repr))] += times
        for (one_name, one_said), (other_name, other_said) in combinations(zip(names, row, strict=True), 2):
            count.pairs.setdefault((one_name, other_name), Counter())[one_said, other_said] += times


def units(shape: str, entry: Entry, said: Sequence[Answer]) -> Mapping[tuple[Hashable, ...], int]:
    """What stands beside each other: the answers, or each character's marks."""
    if shape == "spans":
        return characters([marks(answer.values) for answer in said], len(entry.fields.get("text") or ""))
    return {tuple(category(shape, answer.values) for answer in said): 1}


def decisions(shape: str, values: Values) -> Iterator[str]:
    """What of an answer is worth counting."""
    if shape == "spans":
        yield from (span["label"] for span in values.get("spans") or ())
    elif shape == "multilabel":
        yield from values.get("labels") or ()
    elif shape == "chat":
        yield from [f"rating {values['rating']}"] if values.get("rating") else []
        yield from values.get("flags") or ()
    elif found := category(shape, values):
        yield str(found)


def judge(count: Count, made: Guess, values: Values) -> None:
    """Hold a guess beside what people decided; of what was written only the answer counts, not its question."""
    count.models.add(made.model)
    count.compared += 1
    if count.shape in TEXTS:
        guessed, decided = (texts(count.shape, said)[-1] for said in (made.values, values))
        usable = values.get("verdict") != "bad"
        count.unchanged += usable and guessed == decided
        count.likeness += similarity(guessed, decided) if usable else 0.0
        return
    likeness = alike(count.shape, made.values, values)
    count.unchanged += likeness == 1
    count.likeness += likeness
    if count.shape in CHOSEN and likeness < 1:
        name = CHOSEN[count.shape]
        count.confused[str(made.values.get(name)), str(values.get(name))] += 1


def summed(count: Count) -> Standing:
    """What was counted."""
    pairs = [Pair(*names, count.together[names], cohen(table)) for names, table in count.pairs.items()]
    pairs.sort(key=lambda pair: (2.0 if pair.kappa.value is None else pair.kappa.value, -pair.items))
    people = [person(name, counted) for name, counted in sorted(count.people.items())]
    model = None
    if count.compared:
        confused = tuple((*pair, times) for pair, times in count.confused.most_common(10))
        shares = (count.unchanged / count.compared, count.likeness / count.compared)
        model = Against(tuple(sorted(count.models)), count.compared, *shares, confused)
    return Standing(
        shape=count.shape,
        entries=count.states.total(),
        done=count.states["done"],
        waiting=count.states["waiting"],
        skipped=count.states["skipped"],
        faulty=count.states["faulty"],
        ties=count.ties,
        tied=tuple(count.tied),
        faults=tuple(count.faults),
        labels=tuple(count.labels.most_common()),
        people=tuple(people),
        shared=count.shared,
        pairs=tuple(pairs),
        fleiss=fleiss(count.table),
        alpha=krippendorff(count.table, DISTANCES.get(count.shape, nominal)),
        model=model,
    )


def person(name: str, counted: Tally) -> Person:
    """One annotator's figures."""
    seconds = float(median(counted.seconds)) if counted.seconds else None
    likeness = counted.alike / counted.shared if counted.shared else None
    return Person(name, counted.answers, counted.skipped, counted.faulty, seconds, likeness, counted.shared)
