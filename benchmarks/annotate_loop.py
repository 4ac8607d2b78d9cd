"""A loop of choosing, labelling and training, with people who answer from the gold labels, beside choosing at random.

    python benchmarks/annotate_loop.py CLINC150/data_small.json --domains CLINC150/domains.json [--domain all]
        [--batch 500] [--budget 2500] [--select uncertain] [--folder DIR]

The intents of CLINC150, or of one domain of it (15 of the 150), a classifier from scratch, a real Label Studio server,
whose address and key LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY hold. Prints the learning curve.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PIPELINE = """
name = "clinc"
task = "classification"

[[load]]
from = "pool.jsonl"

[[load]]
from = "test.jsonl"
split = "test"

[annotate]
use = "label_studio"
url = "${env:LABEL_STUDIO_URL}"
key = "${env:LABEL_STUDIO_API_KEY}"
project = "%s"
labels = %s
"""


def intents(domains: Path, domain: str) -> set[str]:
    """The intents of a domain; none stands for all."""
    return set() if domain == "all" else set(json.loads(domains.read_text(encoding="utf-8"))[domain])


def write(file: Path, rows: list[dict[str, str]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def people(title: str, gold: dict[str, str], over: threading.Event) -> None:
    """Answer what waits, as the gold labels have it."""
    from label_studio_sdk import LabelStudio

    client = LabelStudio(base_url=os.environ["LABEL_STUDIO_URL"], api_key=os.environ["LABEL_STUDIO_API_KEY"])
    done: set[int] = set()
    while not over.wait(0.5):
        there = [project for project in client.projects.list(title=title) if project.title == title]
        fields = {"fields": "task_only", "include": "id,data", "page_size": 1000}
        for task in client.tasks.list(project=there[0].id, **fields) if there else ():
            if task.id in done or over.is_set():
                continue
            value = {"choices": [gold[task.data["text"]]]}
            region = {"from_name": "label", "to_name": "shown_text", "type": "choices", "value": value}
            client.annotations.create(id=task.id, result=[region], lead_time=4.0)
            done.add(task.id)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--domains", type=Path, required=True)
    parser.add_argument("--domain", default="all")
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--budget", type=int, default=2500)
    parser.add_argument("--select", default="uncertain")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    wanted = intents(given.domains, given.domain)
    table = json.loads(given.data.read_text(encoding="utf-8"))
    rows = {s: [(t, y) for t, y in table[s] if not wanted or y in wanted] for s in ("train", "test")}
    write(folder / "pool.jsonl", [{"text": text} for text, _ in rows["train"]])
    write(folder / "test.jsonl", [{"text": text, "label": label} for text, label in rows["test"]])
    title = f"clinc {given.domain} {int(time.time())}"
    labels = json.dumps(sorted({label for _, label in rows["train"]}))
    (folder / "pipeline.toml").write_text(PIPELINE % (title, labels), encoding="utf-8")
    over = threading.Event()
    answering = threading.Thread(target=people, args=(title, dict(rows["train"]), over))
    answering.start()
    command = [sys.executable, "-m", "slm_doors.cli", "annotate", "loop", str(folder / "pipeline.toml")]
    options = ["--batch", str(given.batch), "--budget", str(given.budget), "--select", given.select, "--every", "1"]
    sets = [part for each in given.set for part in ("--set", each)]
    begun = time.perf_counter()
    try:
        subprocess.run([*command, *options, "--beside-random", "--patience", "99", *sets], check=True)
        print(f"{time.perf_counter() - begun:.0f} s in all; {folder}")
    finally:
        over.set()
        answering.join()


if __name__ == "__main__":
    main()
