"""Precision and recall of the pii preprocessor on labelled sentences, and its speed beside a loop without pre-checks.

    python benchmarks/pii.py FILE.json... [--misses] [--rounds 5]

Each file is a list of {"full_text", "spans": [{"entity_type", "start_position", "end_position"}]} (the form of
presidio-research). A labelled span counts as found when a find of its kind overlaps it; a find counts as right when it
overlaps a labelled span of its kind. `exact` asks for the same start and end. Kinds that no form gives away (names,
places, organisations) are left out. The plain loop runs every finder over every text.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from slm_preprocessors.personal.accounts import cards, ibans
from slm_preprocessors.personal.national import national_ids
from slm_preprocessors.personal.patterns import Found, addresses, emails, hardware_addresses, urls, wallets
from slm_preprocessors.personal.phones import phones
from slm_preprocessors.personal.secrets import secrets
from slm_preprocessors.pii import Pii

KINDS = {
    "CREDIT_CARD": "card",
    "EMAIL_ADDRESS": "email",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
    "PHONE_NUMBER": "phone",
    "US_SSN": "national_id",
}
FINDERS = (emails, urls, addresses, hardware_addresses, wallets, cards, ibans, national_ids, phones, secrets)

Labelled = tuple[str, list[tuple[int, int, str]]]


def read(files: Sequence[Path]) -> list[Labelled]:
    """The texts and their labelled spans."""
    return [
        (
            row["full_text"],
            [
                (span["start_position"], span["end_position"], KINDS[span["entity_type"]])
                for span in row["spans"]
                if span["entity_type"] in KINDS
            ],
        )
        for file in files
        for row in json.loads(file.read_text(encoding="utf-8"))
    ]


def measure(rows: Sequence[Labelled], find: Callable[[str], list[Found]], misses: bool = False) -> Counter[str]:
    """Counts by `kind/what`: labelled, recalled, exact, found, right."""
    counts = Counter[str]()
    for text, labels in rows:
        found = [(each.start, each.end, each.kind) for each in find(text)]
        for label in labels:
            hit = any(overlap(label, each) for each in found)
            counts.update({f"{label[2]}/labelled": 1, f"{label[2]}/recalled": hit, f"{label[2]}/exact": label in found})
            if misses and not hit:
                print(f"missed {label[2]}: {text[max(0, label[0] - 40) : label[1] + 20]!r}")
        for each in found:
            right = any(overlap(label, each) for label in labels)
            counts.update({f"{each[2]}/found": 1, f"{each[2]}/right": right})
            if misses and not right:
                print(f"wrong {each[2]}: {text[max(0, each[0] - 40) : each[1] + 20]!r}")
    return counts


def overlap(one: tuple[int, int, str], other: tuple[int, int, str]) -> bool:
    return one[2] == other[2] and one[0] < other[1] and other[0] < one[1]


def speed(texts: Sequence[str], find: Callable[[str], object], rounds: int) -> float:
    """Texts a second, the median of the rounds."""
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        for text in texts:
            find(text)
        taken.append(time.perf_counter() - begun)
    return len(texts) / statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--misses", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rows, find = read(given.files), Pii().finder()
    counts = measure(rows, find, given.misses)
    print(f"{len(rows):,} texts\n{'kind':12} {'labelled':>9} {'recall':>7} {'exact':>7} {'precision':>9}")
    for kind in KINDS.values():
        labelled, found = counts[f"{kind}/labelled"] or 1, counts[f"{kind}/found"] or 1
        recall, exact = counts[f"{kind}/recalled"] / labelled, counts[f"{kind}/exact"] / labelled
        print(f"{kind:12} {labelled:9,} {recall:7.3f} {exact:7.3f} {counts[f'{kind}/right'] / found:9.3f}")
    texts = [text for text, _ in rows]
    plain = speed(texts, lambda text: [list(finder(text)) for finder in FINDERS], given.rounds)
    quick = speed(texts, find, given.rounds)
    print(f"{quick:,.0f} texts a second; the plain loop {plain:,.0f} ({quick / plain:.2f} times)")


if __name__ == "__main__":
    main()
