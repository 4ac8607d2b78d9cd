"""Writes the example's data: home commands as people say them, each with the JSON it means.

    python generate.py            writes train.csv, validation.csv, test.csv and test_unseen.csv beside this file
    python generate.py --check    writes nothing; exit status 1 if the files are not what it would write

A sentence is an opening, a core and an ending from `grammar.toml`, with its slots filled at random. The three
together, slots unfilled, are its phrasing. Needs nothing but Python 3.11; the same seed gives the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

SEED = 7
ROWS = {"train": 16_000, "validation": 300, "test": 700, "test_unseen": 700}
HELD_OUT = 0.15  # share of the cores, openings and endings that training never sees
BARE = 0.45  # share of sentences without a call, without words that ask, and without an ending
FOLDER = Path(__file__).parent

SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"


@dataclass(frozen=True)
class Phrasing:
    """How something is said, slots unfilled: an intent's core between an opening (call, ask) and an ending.

    `style` names the openings that `ask` is from; `say` for a core that is no order and has none.
    """

    intent: int
    style: str
    call: str
    ask: str
    core: str
    ending: str


@dataclass(frozen=True)
class Row:
    """A sentence, the JSON it means, and the phrasing it was made from."""

    prompt: str
    response: str
    phrasing: Phrasing


def words(number: int) -> str:
    """A number from 0 to 100 in words."""
    if number == 100:
        return "a hundred"
    if number < 20:
        return SMALL.split()[number]
    ten, one = divmod(number, 10)
    return TENS.split()[ten - 2] + (f" {words(one)}" if one else "")


def spoken(rng: random.Random, number: int) -> str:
    """A number in words or, a third of the time, in digits."""
    return str(number) if rng.random() < 1 / 3 else words(number)


def percent(rng: random.Random) -> tuple[str, Any]:
    """A level from 5 to 100 in steps of 5: what is said, and the number."""
    if rng.random() < 0.1:
        return rng.choice([("half", 50), ("full", 100), ("maximum", 100), ("fifty fifty", 50), ("a quarter", 25)])
    value = 5 * rng.randint(1, 20)
    said = spoken(rng, value)
    return said + rng.choice([" percent", " percent", "", "%" if said.isdigit() else " percent"]), value


def degrees(rng: random.Random) -> tuple[str, Any]:
    """A temperature from 15 to 26 degrees, now and then with a half."""
    value = rng.randint(15, 26)
    unit = rng.choice([" degrees", " degrees", ""])
    if rng.random() < 0.8:
        return spoken(rng, value) + unit, value
    return rng.choice([f"{words(value)} and a half", f"{words(value)} point five", f"{value}.5"]) + unit, value + 0.5


def length(rng: random.Random, plural: str = "") -> tuple[str, Any]:
    """A length of time as it stands before a noun (`a ten minute timer`), or, `plural` being `s`, alone."""
    if rng.random() < 0.15:
        alone = [("half an hour", "30 min"), ("an hour", "1 h"), ("an hour and a half", "90 min")]
        return rng.choice(alone if plural else [("half hour", "30 min"), ("one hour", "1 h")])
    unit, short = rng.choice([("minute", "min"), ("minute", "min"), ("hour", "h"), ("second", "s")])
    value = rng.randint(2, 12) if unit == "hour" else rng.choice([*range(2, 21), *range(15, 61, 5)])
    return f"{spoken(rng, value)} {unit}{plural}", f"{value} {short}"


def clock(rng: random.Random) -> tuple[str, Any]:
    """A time of day, with its half of the day if that was said."""
    hour, minute = rng.randint(1, 12), rng.choice([0, 0, 0, 15, 15, 20, 30, 30, 40, 45, 45, 50])
    half, meant = rng.choice(
        [("", ""), (" am", " am"), (" in the morning", " am"), (" pm", " pm"), (" in the evening", " pm")]
    )
    forms = [f"{words(hour)} {words(minute)}", f"{hour}:{minute:02}"]
    if minute == 0:
        forms = [words(hour), f"{words(hour)} o'clock", str(hour), f"{hour}:00"]
    if minute in (15, 30):
        forms += [f"{'quarter' if minute == 15 else 'half'} past {words(hour)}"] * 2
    return rng.choice(forms) + half, f"{hour}:{minute:02}{meant}"


MAKERS: dict[str, Callable[[random.Random], tuple[str, Any]]] = {
    "percent": percent,
    "degrees": degrees,
    "span": partial(length, plural="s"),
    "length": length,
    "clock": clock,
}


def pick(choices: list[str], rng: random.Random) -> tuple[str, str]:
    """One of a slot's texts: what is said, and what it means."""
    said, _, meant = rng.choice(choices).partition("|")
    return said, meant or said


def gerund(order: str, doubling: list[str]) -> str:
    """`turn it off` becomes `turning it off`."""
    verb, _, rest = order.partition(" ")
    if verb in doubling:
        verb += verb[-1]
    elif verb.endswith("e") and not verb.endswith("ee"):
        verb = verb[:-1]
    return f"{verb}ing {rest}".strip()


def written(said: str, rng: random.Random) -> str:
    """A sentence mostly as a speech recogniser writes it; a fifth of them with a capital, and often a stop."""
    if rng.random() < 0.2:
        said = said[0].upper() + said[1:] + rng.choice(["", ".", ".", "?", "!"])
    return said


def bare(sentence: str) -> str:
    """A sentence without capitals and stop: two that differ in nothing else are the same."""
    return sentence.lower().rstrip(".?!")


def answer(form: dict[str, str], meaning: dict[str, Any]) -> str:
    """Compact JSON in a fixed order of keys; what was not said is left out."""
    filled: dict[str, Any] = {}
    for key, text in {"device": "{device}", "room": "{room}", "door": "{door}", **form}.items():
        found = [meaning[slot] for slot in re.findall(r"\{(\w+)\}", text) if slot in meaning]
        if found or "{" not in text:
            filled[key] = found[0] if found else text
    return json.dumps(filled, separators=(",", ":"))


class Grammar:
    """What can be said, and which parts of it training never sees."""

    def __init__(self, seed: int) -> None:
        table = tomllib.loads((FOLDER / "grammar.toml").read_text(encoding="utf-8"))
        self.openings: dict[str, list[str]] = table["openings"]
        self.endings: list[str] = table["endings"]["any"]
        self.words: dict[str, list[str]] = table["words"]
        self.slots: dict[str, Any] = {**table["slots"], **table["slots"]["action"]}
        self.intents: list[dict[str, Any]] = table["intent"]
        self.weights: list[int] = [intent["weight"] for intent in self.intents]
        rng = random.Random(seed)
        self.unseen: set[str] = set()
        for parts in (*self.openings.values(), self.endings):
            self.unseen.update(rng.sample(parts, round(HELD_OUT * len(parts))))
        shared = Counter(core for intent in self.intents for core in intent["do"] + intent["say"])
        self.unseen_cores = {
            core for intent in self.intents for core in self._hold_out(intent["do"] + intent["say"], shared, rng)
        }

    def _hold_out(self, cores: list[str], shared: Counter[str], rng: random.Random) -> set[str]:
        """Some of an intent's cores, at random among those that no other intent has and whose every word is in
        another core of the intent that stays: nobody knows what a word means who never read it."""
        count = Counter(word for core in cores for word in set(core.split()))
        held: set[str] = set()
        for core in rng.sample(cores, len(cores)):
            known = all(count[word] > 1 for word in set(core.split()))
            if shared[core] == 1 and known and len(held) < round(HELD_OUT * len(cores)):
                held.add(core)
                count.subtract(set(core.split()))
        return held

    def phrasing(self, rng: random.Random, *, unseen: bool) -> Phrasing:
        """One for training; or, `unseen`, one whose core training never sees, and half the time each other part."""
        number = rng.choices(range(len(self.intents)), self.weights)[0]
        intent = self.intents[number]
        core = rng.choice([c for c in intent["do"] + intent["say"] if (c in self.unseen_cores) == unseen])
        style = "say" if core in intent["say"] else rng.choice(["ask"] * 5 + ["ours"] * 2 + ["mind"])
        if style == "ours" and {"me", "us"} & set(core.split()):
            style = "ask"
        call, ending = (self._part(parts, unseen, rng) for parts in (self.openings["call"], self.endings))
        ask = self._part(self.openings[style], unseen, rng, BARE if style == "ask" else 0) if style != "say" else ""
        return Phrasing(number, style, call, ask, core, ending)

    def _part(self, parts: list[str], unseen: bool, rng: random.Random, none: float = BARE) -> str:
        if rng.random() < none:
            return ""
        hidden = unseen and rng.random() < 0.5
        return rng.choice([part for part in parts if (part in self.unseen) == hidden])

    def row(self, phrasing: Phrasing, rng: random.Random) -> Row:
        """The phrasing with its slots filled."""
        intent = self.intents[phrasing.intent]
        meaning: dict[str, Any] = {}
        core, kind = phrasing.core, rng.choice(intent["it"] or [""])
        for slot, text in (("{at}", " in the {room}"), ("{on}", " {day}")):
            core = core.replace(slot, text if rng.random() < 0.55 else "")
        if kind:
            core = self._name(core, kind, meaning, rng)
        core = re.sub(r"\{(\w+)\}", lambda slot: self._fill(slot[1], kind, meaning, rng), core)
        if phrasing.style == "mind":
            core = gerund(core, self.words["doubling"])
        said = " ".join(part for part in (phrasing.call, phrasing.ask, core, phrasing.ending) if part)
        return Row(written(said, rng), answer(intent["answer"], meaning), phrasing)

    def _name(self, core: str, kind: str, meaning: dict[str, Any], rng: random.Random) -> str:
        """The core with its thing named (`the kitchen lights`) and its verbs in agreement with that."""
        noun, meant = pick(self.slots[kind], rng)
        meaning.update({"device": "lock", "door": meant} if kind == "door" else {"device": meant})
        roomy = kind not in self.words["roomless"] and rng.random() < 0.7
        for verb, plural in (("is", "are"), ("has", "have"), ("needs", "need")):
            core = core.replace(f"{{{verb}}}", plural if noun.endswith("s") else verb)
        return core.replace("{it}", rng.choice(self.words["in_room" if roomy else "anywhere"]).format(noun))

    def _fill(self, slot: str, kind: str, meaning: dict[str, Any], rng: random.Random) -> str:
        if slot == "state":
            return pick(self.slots["state"][kind], rng)[0]
        said, meaning[slot] = MAKERS[slot](rng) if slot in MAKERS else pick(self.slots[slot], rng)
        return said


def generate(seed: int = SEED) -> dict[str, list[Row]]:
    """All splits; no sentence is in two of them. Validation and test use phrasings of the training rows."""
    grammar, rng = Grammar(seed), random.Random(seed)
    taken: set[str] = set()
    splits: dict[str, list[Row]] = {split: [] for split in ROWS}
    for split, rows in splits.items():
        while len(rows) < ROWS[split]:
            if split in ("validation", "test"):
                phrasing = rng.choice(splits["train"]).phrasing
            else:
                phrasing = grammar.phrasing(rng, unseen=split == "test_unseen")
            row = grammar.row(phrasing, rng)
            if bare(row.prompt) not in taken:
                taken.add(bare(row.prompt))
                rows.append(row)
    return splits


def as_csv(rows: list[Row]) -> str:
    """The rows as a CSV file with a heading."""
    out = io.StringIO()
    table = [("prompt", "response"), *((row.prompt, row.response) for row in rows)]
    csv.writer(out, lineterminator="\n").writerows(table)
    return out.getvalue()


def main() -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description="Write the home commands' CSV files.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if a file differs")
    check = parser.parse_args().check
    for split, rows in generate().items():
        file, text = FOLDER / f"{split}.csv", as_csv(rows)
        if not check:
            file.write_text(text, encoding="utf-8")
        elif not file.is_file() or file.read_text(encoding="utf-8") != text:
            print(f"{file}: not what generate.py writes; run it again", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
