"""How a project stands, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from slm_annotation.opinions import TEXTS

if TYPE_CHECKING:
    from slm_annotation.agreement import Coefficient
    from slm_annotation.standing import Against, Person, Standing

LABELS = 8  # named
PAIRS = 3
CONFUSED = 3


def describe(standing: Standing) -> list[str]:
    """The lines: counts, then what was decided, by whom, how far they agree, ties, and the model."""
    said = [headline(standing), *(f"  {fault}" for fault in standing.faults)]
    if standing.labels:
        said.append(f"decided: {counted(standing.labels)}")
    said += [by_person(person) for person in standing.people]
    said += agreement(standing)
    if standing.ties:
        named = ", ".join(standing.tied) + more(standing.ties - len(standing.tied))
        said.append(f"{plural(standing.ties, 'tie')}, where nobody is in the majority: {named}")
    if standing.model:
        said.append(against(standing.model, standing.shape))
    return said


def headline(standing: Standing) -> str:
    """What is done and what isn't."""
    share = f" ({standing.done / standing.entries:.0%})" if standing.entries else ""
    faulty = f", {standing.faulty:,} answered in a way that can't be used" if standing.faulty else ""
    return (
        f"{plural(standing.entries, 'task')}: {standing.done:,} done{share}, {standing.waiting:,} waiting, "
        f"{standing.skipped:,} skipped{faulty}"
    )


def counted(labels: Sequence[tuple[str, int]]) -> str:
    """The commonest labels and how often they came."""
    return ", ".join(f"{label} {times:,}" for label, times in labels[:LABELS]) + more(len(labels) - LABELS)


def by_person(person: Person) -> str:
    """One annotator's line."""
    parts = [plural(person.answers, "answer"), f"{person.skipped:,} skipped"]
    parts += [f"{person.faulty:,} not usable"] if person.faulty else []
    parts += [f"{person.seconds:.1f} s each"] if person.seconds is not None else []
    if person.alike is not None:
        parts.append(f"{person.alike:.0%} like the others' (of {person.shared:,})")
    return f"{person.name or '(no name)'}: {', '.join(parts)}"


def agreement(standing: Standing) -> Iterator[str]:
    """Kappa and alpha over what several people answered, and the pairs that are furthest apart."""
    if not standing.shared:
        if standing.done:
            yield "agreement: no task was answered by two people"
        return
    figures = [f"Krippendorff's alpha {figure(standing.alpha)}"]
    if standing.shape == "spans":
        figures[0] += " (character by character)"
    else:
        figures.insert(0, f"Fleiss' kappa {figure(standing.fleiss)}")
    if standing.alpha.count:
        yield f"agreement on {plural(standing.shared, 'task')} that several answered: {', '.join(figures)}"
    else:
        were = "was" if standing.shared == 1 else "were"
        yield f"agreement: {plural(standing.shared, 'task')} {were} answered by several, without a verdict or rating"
    for pair in standing.pairs[:PAIRS]:
        names = f"{pair.one or '(no name)'} and {pair.other or '(no name)'}"
        yield f"  {names}: Cohen's kappa {figure(pair.kappa)} on {plural(pair.items, 'task')}"
    if len(standing.pairs) > PAIRS:
        yield f"  and {len(standing.pairs) - PAIRS:,} pairs that agree more"


def figure(found: Coefficient) -> str:
    """A coefficient, or why there is none."""
    return f"{round(found.value, 2) + 0.0:.2f}" if found.value is not None else f"not defined ({found.why})"


def against(model: Against, shape: str) -> str:
    """The model's line."""
    name = "model " + ", ".join(model.models)
    kept = f"people kept {model.unchanged:.0%} of {plural(model.compared, 'guess', 'guesses')} and changed the rest"
    if shape in TEXTS:
        return f"{name}: {kept}; on average {model.likeness:.0%} of the words stay (F1)"
    if shape in ("multilabel", "spans"):
        how = "Jaccard's index of labels" if shape == "multilabel" else "F1 of exact spans"
        return f"{name}: {kept}; {how} {model.likeness:.2f} on average"
    confused = [f"{guessed} for {decided} {plural(times, 'time')}" for guessed, decided, times in model.confused]
    said = "; most often " + ", ".join(confused[:CONFUSED]) if confused else ""
    return f"{name}: {kept}{said}"


def plural(count: int, noun: str, nouns: str = "") -> str:
    """`1 task`, `2 tasks`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def more(count: int) -> str:
    """How many are not named."""
    return f" and {count:,} more" if count > 0 else ""
