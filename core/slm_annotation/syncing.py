"""A data set and a project in step: what is new here goes there, what was said there comes here, and what changed on
both sides is listed. Every step may be cut off at any moment; the next call goes on from what is really there."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Set
from datetime import UTC, datetime, timedelta

import attrs
from attrs import field, frozen

from slm_annotation.matching import Conflict, Place, matched
from slm_annotation.mirror import Changes, Mirror
from slm_annotation.values import Entry, Item, Project, Untaken

OVERLAP = timedelta(seconds=3)
"""How far before the last look the next one begins: a change is stamped some time before it can be seen."""

GRACE = 5.0, 0.02
"""Seconds, and seconds an item, after which an import that nobody waits for is sent again. Some eight times what a busy
server takes; no server says what it is still at work on."""

LATE = 2 * 60 * 60
"""Seconds in which an import that was given up may still come: Label Studio, finding its SQLite file locked, tries for
51 minutes."""

Pick = Callable[[Sequence[Item], Sequence[Item]], Sequence[Item]]
Say = Callable[[float, float, str], None]


@frozen
class Pushed:
    """What a push did. `new` items were put there, `updated` ones replaced, `unchanged` ones were there, `left` ones
    not picked; `twins` say what another item says, `gone` entries have no record any more, `conflicts` are open."""

    new: int = 0
    updated: int = 0
    unchanged: int = 0
    left: int = 0
    twins: int = 0
    gone: int = 0
    conflicts: tuple[Conflict, ...] = ()
    changes: Changes = field(factory=Changes)


def silent(done: float, total: float, unit: str) -> None:
    """No progress."""


def pull(project: Project, mirror: Mirror, say: Say = silent) -> Changes:
    """Bring the mirror up to date. Where the project's figures are the mirror's, nothing is read."""
    same_place(project, mirror)
    since = mirror.fact("since")
    there, now = figures(project, since)
    changes = Changes()
    if since is None or there != mirror.figures(since):
        changes = read_changed(project, mirror, since, say, total=there[2]) + reconciled(project, mirror, say)
    mirror.note(since=earlier(now))
    return changes


def same_place(project: Project, mirror: Mirror) -> None:
    """Forget what is known of another project."""
    if mirror.fact("place") != project.place:
        mirror.clear()
        mirror.note(place=project.place)


def figures(project: Project, since: str | None) -> tuple[tuple[int, int, int, str], str]:
    """How many entries and answers there are, how many entries changed since, and the newest change of those; and the
    project's clock before it."""
    recent = project.recent(since)
    counts = project.counts()
    return (counts.entries, counts.answers, recent.changed, recent.newest if recent.changed else ""), recent.now


def earlier(moment: str) -> str:
    """The moment less the overlap."""
    return shifted(moment, -OVERLAP)


def later(moment: str) -> str:
    """The next moment: a clock may tell whole seconds, and an answer be of the same one."""
    return shifted(moment, timedelta(microseconds=1))


def shifted(moment: str, by: timedelta) -> str:
    """The moment (ISO 8601, UTC) so much later."""
    return (datetime.fromisoformat(moment).astimezone(UTC) + by).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_changed(
    project: Project, mirror: Mirror, since: str | None, say: Say = silent, *, total: int = 0, answered: bool = False
) -> Changes:
    """Read the entries that changed since, page by page: a kill loses at most a page."""
    changes, done = Changes(), 0
    for page in project.changed(since, answered=answered):
        changes += mirror.read(page)
        done += len(page)
        say(done, max(total, done), "tasks read")
    return changes


def reconciled(project: Project, mirror: Mirror, say: Say) -> Changes:
    """Where the counts differ, forget what is gone; where they still do, read everything."""
    if project.counts() == mirror.counts():
        return Changes()
    changes = mirror.forget(mirror.numbers() - project.numbers())
    if (there := project.counts()) != mirror.counts():
        changes += read_changed(project, mirror, None, say, total=there.entries)
    return changes


def push(
    project: Project,
    mirror: Mirror,
    items: Sequence[Item],
    *,
    named: bool = False,
    prefer: str = "",
    changed_at: Callable[[Item], str] = lambda item: "",
    pick: Pick = lambda new, there: new,
    say: Say = silent,
) -> Pushed:
    """Send the items that the project has not, and the new content of those that changed here only.

    `named` items are known by their key alone; others by content first, then by place. `prefer` decides conflicts:
    `local`, `remote` or `newest` (by `changed_at`); undecided ones are listed and left. `pick` chooses among
    the new, and sees those that are there.
    """
    same_place(project, mirror)
    settle(project, mirror, say)
    changes = pull(project, mirror, say)
    changes += mend(project, mirror, named)
    match = matched(items, list(mirror.places()), named)
    mirror.moved({place.number: item.source for item, place in match.same if item.source != place.source})
    begun = project.recent(None).now if match.changed or match.new else ""
    conflicts = []
    for item, place in match.changed:
        side = decided(item, place, prefer, changed_at)
        if side:
            replace(project, mirror, place, item, side, begun)
        else:
            conflicts.append(Conflict(item.source, item.key, place.number, place.why))
    picked = list(pick(match.new, [item for item, _ in (*match.same, *match.changed)]))
    for at in range(0, len(picked), project.batch):
        send(project, mirror, picked[at : at + project.batch])
        say(min(at + project.batch, len(picked)), len(picked), "tasks sent")
    updated = len(match.changed) - len(conflicts)
    if picked or updated:
        changes += caught_up(project, mirror, begun)
    left = len(match.new) - len(picked)
    same, gone = len(match.same), len(match.gone)
    return Pushed(len(picked), updated, same, left, match.twins, gone, tuple(conflicts), changes)


def decided(item: Item, place: Place, prefer: str, changed_at: Callable[[Item], str]) -> str:
    """Which side an item that changed here has its content from; empty where people have to say."""
    if not place.touched:
        return "local"
    if prefer == "newest" and (at := changed_at(item)):
        return "local" if at > place.at else "remote"
    return prefer if prefer in ("local", "remote") else ""


def replace(project: Project, mirror: Mirror, place: Place, item: Item, side: str, now: str) -> None:
    """Make item and entry one again: with the item's content, where answers so far no longer count; or with the
    entry's, which from now on stands for the item as it is."""
    item = attrs.evolve(item, key=place.key)
    if side == "remote":
        there = mirror.entry(place.number)
        item = attrs.evolve(item, fields=there.fields, since=there.since)
    elif place.answered:
        item = attrs.evolve(item, since=max(now, later(mirror.last_answer(place.number))))
    project.update(place.number, item)
    mirror.sent([entered(place.number, item)])


def send(project: Project, mirror: Mirror, batch: Sequence[Item]) -> None:
    """Put new items there. Their keys and guesses are noted first: whoever comes after a kill asks for them before
    sending. Where the place took nothing, there is nothing to ask for."""
    guesses = {item.key: item.guess for item in batch if item.guess}
    mirror.guessed(guesses)
    mirror.note(sending={"keys": [item.key for item in batch], "guessed": [*guesses], "at": time.time()})
    try:
        numbers = project.create(batch)
    except Untaken:
        mirror.note(sending=None)
        raise
    mirror.sent([entered(number, item) for number, item in zip(numbers, batch, strict=True)])
    mirror.note(sending=None)


def entered(number: int, item: Item) -> Entry:
    """An item as it stands in the project after it was sent."""
    return Entry(number, item.key, item.digest, item.source, item.fields, "", since=item.since)


def caught_up(project: Project, mirror: Mirror, begun: str) -> Changes:
    """After a push: see what others did since it began, without reading all that was sent; of what was sent last, the
    exact times, so that the next look finds the same figures."""
    since = earlier(begun)
    there, now = figures(project, since)
    changes = read_changed(project, mirror, since, answered=True)
    alike = there[:3] == mirror.figures(since)[:3]
    changes += read_changed(project, mirror, earlier(now) if alike else since)
    mirror.dated(begun)
    mirror.note(since=earlier(now))
    return changes


def settle(project: Project, mirror: Mirror, say: Say) -> None:
    """Wait until what an earlier call was sending when it ended is there, or will hardly come any more."""
    if not (sending := mirror.fact("sending")):
        return
    keys, until = sending["keys"], sending["at"] + GRACE[0] + GRACE[1] * len(sending["keys"])
    while (there := sum(map(len, project.find(keys).values()))) < len(keys) and time.time() < until:
        say(there, len(keys), "tasks of the last time arrived")
        time.sleep(0.2)
    if there < len(keys):
        mirror.note(doubtful=[*(mirror.fact("doubtful") or ()), {"keys": keys, "at": time.time()}])


def mend(project: Project, mirror: Mirror, named: bool) -> Changes:
    """Put right what calls that were cut off left behind: take out what came twice and has no answer, and add guesses
    that did not come along."""
    doubtful = [each for each in mirror.fact("doubtful") or () if time.time() < each["at"] + LATE]
    changes = thinned(project, mirror, {key for each in doubtful for key in each["keys"]}, named)
    guessed = set((mirror.fact("sending") or {}).get("guessed", ()))
    known = mirror.guesses() if guessed else {}
    if lacking := {place.number: known[place.key] for place in mirror.waiting(guessed & known.keys())}:
        project.guess(lacking)
    if mirror.fact("doubtful") or mirror.fact("sending"):
        mirror.note(sending=None, doubtful=doubtful or None)
    return changes


def thinned(project: Project, mirror: Mirror, keys: Set[str], named: bool) -> Changes:
    """Of entries with one of these keys that are there more than once, the answered ones stay, or else the first."""
    groups: dict[tuple[str, str], list[int]] = {}
    for place in mirror.places() if keys else ():
        if place.key in keys and place.digest:
            groups.setdefault((place.key, "" if named else place.digest), []).append(place.number)
    answered = mirror.answered() if groups else set()
    twice = [n for group in groups.values() for n in spare(group, answered)]
    if not twice:
        return Changes()
    project.remove(twice)
    return mirror.forget(twice)


def spare(numbers: Sequence[int], answered: Set[int]) -> list[int]:
    """Which of the entries of one item can go."""
    kept = [number for number in numbers if number in answered] or numbers[:1]
    return [number for number in numbers if number not in kept]
