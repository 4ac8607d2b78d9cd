"""Loading side by side: a file to the record dataset, pyarrow's own single-threaded read, datasets.load_dataset, and
load_dataset with a map to the same conversations (`mapped`).

    python benchmarks/load.py [--gigabytes 1] [--rounds 3] [--kinds csv jsonl] [--folder DIR]

The files are made by a seed: questions and answers of some 250 bytes a row. Each way runs in a process of its own,
taking turns; the figures are the medians of the rounds, the peak memory is the largest seen. `--only slm` leaves the
others out, for files that would not fit them.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = (  # noqa: SIM905
    "the of and to in is that it for was on are as with his they at be this from have or by one had not but what all "
    "were when we there can an your which their said if do will each about how up out them then she many some so these "
    "order refund invoice delivery account password café naïve straße Übergabe"
).split()
WAYS = ("pyarrow", "slm", "datasets", "mapped")


def make(file: Path, size: int) -> None:
    """Write a file of at least `size` bytes."""
    draw = random.Random(7)
    pairs = [
        (" ".join(draw.choices(WORDS, k=12)) + "?", " ".join(draw.choices(WORDS, k=28)) + ".") for _ in range(20_000)
    ]
    n = 0
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        if file.suffix == ".csv":
            writer.writerow(["number", "question", "answer"])
        while out.tell() < size:
            for _ in range(10_000):
                question, answer = pairs[draw.randrange(len(pairs))]
                question = f"{question} {n}"
                answer = answer.replace(" the ", ", the ", 1) if n % 10 == 0 else answer
                if file.suffix == ".csv":
                    writer.writerow([n, question, answer])
                else:
                    row = {"number": n, "question": question, "answer": answer}
                    out.write(json.dumps(row, ensure_ascii=False) + "\n")
                n += 1


def read(way: str, file: Path, folder: Path) -> int:
    """Read the file in one of the ways; gives its rows."""
    if way == "pyarrow":
        from pyarrow import csv as arrow_csv
        from pyarrow import json as arrow_json

        if file.suffix == ".csv":
            return int(arrow_csv.read_csv(file, arrow_csv.ReadOptions(use_threads=False)).num_rows)
        return int(arrow_json.read_json(file, arrow_json.ReadOptions(use_threads=False)).num_rows)
    if way in ("datasets", "mapped"):
        import datasets

        datasets.disable_progress_bars()
        kind = "csv" if file.suffix == ".csv" else "json"
        rows = datasets.load_dataset(kind, data_files=str(file), split="train", cache_dir=str(folder))
        return len(rows if way == "datasets" else rows.map(turns, batched=True, remove_columns=rows.column_names))
    from slm.plugin import Hardware, Source, Work
    from slm_data.records import write_records
    from slm_loaders.csv import Csv
    from slm_loaders.jsonl import Jsonl

    loader = Csv() if file.suffix == ".csv" else Jsonl()
    batches = loader.load(Source(str(file)), Work(folder, folder, Hardware()))
    return write_records(batches, task="qa", columns={}, split="train", folder=folder, address=file.name).rows


def turns(rows: dict[str, list[str]]) -> dict[str, list[list[dict[str, str]]]]:
    """The same conversations as slm makes, without ids and places."""
    pairs = zip(rows["question"], rows["answer"], strict=True)
    return {"messages": [[{"role": "user", "content": q}, {"role": "assistant", "content": a}] for q, a in pairs]}


def timed(way: str, file: Path) -> tuple[float, float]:
    """Seconds and megabytes of one way in a process of its own; imports are not counted."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        command = [sys.executable, __file__, "--one", way, str(file), folder]
        env = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"} if way == "slm" else None  # as a worker has it
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    seconds, megabytes = done.stdout.split()[-2:]
    return float(seconds), float(megabytes)


def one(way: str, file: Path, folder: Path) -> None:
    """Time one way, after a read of a small file that has imported everything."""
    small = folder / f"small{file.suffix}"
    make(small, 10_000)
    (folder / "small").mkdir()
    read(way, small, folder / "small")
    begun = time.perf_counter()
    read(way, file, folder)
    seconds = time.perf_counter() - begun
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=("csv", "jsonl"), default=["csv", "jsonl"])
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one[0], Path(given.one[1]), Path(given.one[2]))
        return
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    try:
        for kind in given.kinds:
            file = folder / f"rows.{kind}"
            make(file, int(given.gigabytes * 1e9))
            found = {way: [timed(way, file)] for way in given.only}
            for _ in range(given.rounds - 1):
                for way in given.only:
                    found[way].append(timed(way, file))
            size = file.stat().st_size
            report(kind, size, found)
            file.unlink()
    finally:
        shutil.rmtree(folder)


def report(kind: str, size: int, found: dict[str, list[tuple[float, float]]]) -> None:
    """A line for each way: seconds, megabytes a second, its speed against pyarrow's, and peak memory."""
    base = statistics.median(seconds for seconds, _ in found.get("pyarrow", found["slm"]))
    for way, rounds in found.items():
        seconds = statistics.median(seconds for seconds, _ in rounds)
        peak = max(megabytes for _, megabytes in rounds)
        print(
            f"{kind:6} {size / 1e9:.2f} GB  {way:9} {seconds:7.2f} s  {size / 1e6 / seconds:6.0f} MB/s  "
            f"speed {base / seconds:.2f}  peak {peak:6.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
