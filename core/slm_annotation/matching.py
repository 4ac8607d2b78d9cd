"""Which record is which entry of a project: by its key, by its content wherever it moved, or by its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import field, frozen

from slm_annotation.values import Item


@frozen
class Place:
    """An entry as far as matching asks: who answered it, and whether its fields were edited in the project. `at` is
    the time of its last change (ISO 8601, UTC)."""

    number: int
    key: str
    digest: str
    source: str
    edited: bool = False
    answered: int = 0
    at: str = ""

    @property
    def touched(self) -> bool:
        """Whether people did something to it."""
        return self.edited or self.answered > 0

    @property
    def why(self) -> str:
        """What people did to it, in words."""
        said = f"{self.answered} answer{'s' if self.answered > 1 else ''}" if self.answered else ""
        return " and ".join(filter(None, ["an edit of its text" if self.edited else "", said]))


@frozen
class Conflict:
    """A record that changed here while its entry was edited or answered there."""

    source: str
    key: str
    number: int
    why: str

    def __str__(self) -> str:
        return f"{self.source}: changed here, and task {self.number} has {self.why}; decide with --prefer"


@frozen
class Match:
    """How items and entries match. `changed` items have another content than their entries; `twins` counts items that
    say the same as one before; `gone` are entries whose record is not in the data set."""

    new: tuple[Item, ...]
    same: tuple[tuple[Item, Place], ...]
    changed: tuple[tuple[Item, Place], ...]
    gone: tuple[Place, ...]
    twins: int = 0


@frozen
class _Index:
    """Places that are still free, by something they have."""

    of: Callable[[Place], str]
    free: dict[str, list[Place]] = field(factory=dict)

    def fill(self, places: Iterable[Place], taken: set[int]) -> _Index:
        for place in places:
            if place.number not in taken:
                self.free.setdefault(self.of(place), []).append(place)
        return self

    def take(self, name: str, taken: set[int]) -> Place | None:
        for place in self.free.get(name, ()):
            if place.number not in taken:
                taken.add(place.number)
                return place
        return None


def matched(items: Sequence[Item], places: Sequence[Place], named: bool = False) -> Match:
    """Match items with entries. `named` items by their key alone. The others by content first, so that rows may move;
    then by key, and at last by place: what stands where an entry's record stood, and is not found elsewhere, is that
    record, edited."""
    items, twins = distinct(items, named)
    ours = [place for place in places if place.digest]
    found: dict[int, Place] = {}
    taken: set[int] = set()
    rounds: list[tuple[Callable[[Place], str], Callable[[Item], str]]] = [(lambda p: p.key, lambda i: i.key)]
    if not named:
        rounds = [(lambda p: p.digest, lambda i: i.digest), *rounds, (lambda p: p.source, lambda i: i.source)]
    for of_place, of_item in rounds:
        index = _Index(of_place).fill(ours, taken)
        for n, item in enumerate(items):
            if n not in found and (place := index.take(of_item(item), taken)):
                found[n] = place
    pairs = [(items[n], place) for n, place in found.items()]
    return Match(
        new=tuple(item for n, item in enumerate(items) if n not in found),
        same=tuple((item, place) for item, place in pairs if item.digest == place.digest),
        changed=tuple((item, place) for item, place in pairs if item.digest != place.digest),
        gone=tuple(place for place in ours if place.number not in taken),
        twins=twins,
    )


def identity(item: Item, named: bool) -> str:
    """What tells an item from the others of its data set."""
    return item.key if named else item.digest


def distinct(items: Sequence[Item], named: bool) -> tuple[list[Item], int]:
    """The items without those that say what an earlier one says, and how many those were; named ones by name."""
    seen: dict[str, Item] = {}
    for item in items:
        seen.setdefault(identity(item, named), item)
    return list(seen.values()), len(items) - len(seen)
