"""An annotation project kept in step, beside the raw interface of the same Label Studio server: what `slm annotate`
does against plain requests that send or list the same tasks.

    python benchmarks/annotate.py [--tasks 10000] [--rounds 3]

The server is started by the tool in SLM_TEST_TOOLS from the environment in SLM_LABEL_STUDIO_VENV, afresh for each push.
The tasks are made by a seed: questions and answers of some 500 bytes, each with one prediction. Each measurement runs
in a process of its own, taking turns; its imports are not counted. Figures are the medians of the rounds, the peak
memory is the largest seen. At last the whole command runs once, as a user feels it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

TOOLS = Path(os.environ.get("SLM_TEST_TOOLS", Path(__file__).parents[2] / "shared/tools"))
VENV = Path(os.environ.get("SLM_LABEL_STUDIO_VENV", Path.home() / ".cache/slm-label-studio"))
WORDS = (  # noqa: SIM905
    "the of and to in is that it for was on are as with his they at be this from have or by one had not but what all "
    "were when we there can an your which their said if do will each about how up out them then she many some so these "
    "order refund invoice delivery account password café naïve straße Übergabe"
).split()
BATCH = 1000
CHANGED = 100
TITLE = "benchmark"
ANSWER = "id,updated_at,result,was_cancelled,lead_time,created_at,completed_by"
Server = dict[str, Any]
Figures = dict[str, list[tuple[float, float]]]


def pairs(count: int) -> Iterator[tuple[str, str]]:
    """Questions and answers of some 400 bytes together."""
    draw = random.Random(7)
    for n in range(count):
        yield " ".join(draw.choices(WORDS, k=16)) + f" {n}?", " ".join(draw.choices(WORDS, k=48)) + "."


def items(count: int) -> list[Any]:
    """Items with a guess each."""
    import attrs

    from slm_annotation.records import to_item
    from slm_annotation.values import Guess

    made = []
    for n, (question, answer) in enumerate(pairs(count)):
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        item = to_item({"id": f"{n:032x}", "source": f"faqs.csv:{n + 2}", "messages": turns}, "qa")
        guess = Guess({"question": question, "answer": answer, "verdict": "good"}, 0.75, "model 1")
        made.append(attrs.evolve(item, guess=guess))
    return made


@contextmanager
def served() -> Iterator[Server]:
    """A fresh server."""
    command = [sys.executable, str(TOOLS / "start_label_studio.py"), "--venv", str(VENV)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def opened(server: Server, folder: Path) -> Any:
    """The project, as a command opens it."""
    from slm.plugin import Hardware, Work
    from slm_annotators.label_studio import LabelStudio

    plugin = LabelStudio(url=server["url"], key=server["token"], project=TITLE)
    return plugin.annotate("qa", (), Work(folder, folder, Hardware(), root=folder))


def raw(server: Server) -> Any:
    """A plain client."""
    import httpx

    return httpx.Client(
        base_url=server["url"], headers={"authorization": f"Token {server['token']}"}, timeout=600, trust_env=False
    )


def number(client: Any) -> int:
    return int(client.get("/api/projects/", params={"include": "id"}).json()["results"][0]["id"])


def bodies(count: int) -> tuple[str, list[dict[str, Any]]]:
    """A label config, and the tasks as they are sent by `slm annotate`."""
    from slm_annotators.studio.configs import config_for
    from slm_annotators.studio.controls import read_config
    from slm_annotators.studio.tasks import task_of

    config = config_for("qa", ())
    controls = read_config(config, "qa", {})
    return config, [task_of(item, controls) for item in items(count)]


def sent(client: Any, tasks: Sequence[dict[str, Any]], project: int) -> None:
    for at in range(0, len(tasks), BATCH):
        address = f"/api/projects/{project}/import"
        client.post(address, params={"return_task_ids": "true"}, json=tasks[at : at + BATCH]).raise_for_status()


def raw_push(server: Server, folder: Path, count: int) -> Callable[[], object]:
    """The bodies, imported."""
    config, tasks = bodies(count)
    client = raw(server)

    def work() -> None:
        made = client.post("/api/projects/", json={"title": TITLE, "label_config": config}).json()
        sent(client, tasks, made["id"])

    return work


def push(server: Server, folder: Path, count: int) -> Callable[[], object]:
    """The items, pushed into a project that is made for them."""
    from slm_annotation import syncing
    from slm_annotation.mirror import Mirror

    there = items(count)

    def work() -> None:
        with closing(Mirror(folder / "mirror.sqlite3")) as mirror, closing(opened(server, folder)) as project:
            project.prepare()
            done = syncing.push(project, mirror, there)
            assert done.new == count

    return work


def sync(server: Server, folder: Path, count: int) -> Callable[[], object]:
    """A push of what is there already, then a pull, each from opening the project on."""
    from slm_annotation import syncing
    from slm_annotation.mirror import Mirror

    there = items(count)

    def work() -> None:
        for step in ("push", "pull"):
            with closing(Mirror(folder / "mirror.sqlite3")) as mirror, closing(opened(server, folder)) as project:
                if step == "push":
                    project.prepare()
                    assert syncing.push(project, mirror, there).unchanged == count
                else:
                    syncing.pull(project, mirror)

    return work


def pull(server: Server, folder: Path, count: int) -> Callable[[], object]:
    """What changed since the last time: everything at the first."""
    from slm_annotation import syncing
    from slm_annotation.mirror import Mirror

    def work() -> None:
        with closing(Mirror(folder / "mirror.sqlite3")) as mirror, closing(opened(server, folder)) as project:
            changes = syncing.pull(project, mirror)
            assert changes.created + changes.corrected == count

    return work


def raw_pull(server: Server, folder: Path, count: int) -> Callable[[], object]:
    """The tasks with their answers, listed: those of the newest `count` that changed."""
    client = raw(server)
    project = number(client)
    include = f"data,annotations,{ANSWER}"
    newest = json.dumps({"ordering": ["-tasks:updated_at"]})
    given = {"project": project, "page_size": min(BATCH, count), "fields": "all", "include": include, "query": newest}

    def work() -> None:
        for page in range(1, max(count // BATCH, 1) + 1):
            tasks = client.get("/api/tasks/", params={**given, "page": page}).raise_for_status().json()["tasks"]
            assert all(task["annotations"] for task in tasks)

    return work


WAYS = {work.__name__: work for work in (push, raw_push, sync, pull, raw_pull)}


def timed(way: str, server: Server, folder: Path, count: int) -> tuple[float, float]:
    """Seconds and megabytes of one way in a process of its own."""
    command = [sys.executable, __file__, "--one", way, json.dumps(server), str(folder), str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds, megabytes = done.stdout.split()
    return float(seconds), float(megabytes)


def one(way: str, server: Server, folder: Path, count: int) -> None:
    """Time one way, once everything is imported."""
    import httpx
    import xxhash

    import slm_annotators.studio.project

    del httpx, xxhash, slm_annotators
    work = WAYS[way](server, folder, count)
    begun = time.perf_counter()
    work()
    print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def pushes(tasks: int, folder: Path, turn: int) -> Iterator[tuple[str, tuple[float, float]]]:
    """Both pushes on a fresh server each; and syncs with nothing changed, at once and a while later."""
    for way in ("push", "raw_push")[:: 1 if turn % 2 == 0 else -1]:
        with served() as server:
            yield way, timed(way, server, folder, tasks)
            if way == "push":
                yield "sync at once", timed("sync", server, folder, tasks)
                time.sleep(6)
                yield "sync later", timed("sync", server, folder, tasks)


def pulls(tasks: int, folder: Path, turn: int) -> Iterator[tuple[str, tuple[float, float]]]:
    """Both pulls of an annotated project, and of a hundred changes in it."""
    with served() as server, closing(raw(server)) as client:
        config, made = bodies(tasks)
        project = client.post("/api/projects/", json={"title": TITLE, "label_config": config}).json()["id"]
        answered = [{"data": each["data"], "annotations": [answer(each)]} for each in made]
        sent(client, answered, project)
        time.sleep(6)  # people don't answer 10,000 tasks within the seconds that a look overlaps the one before
        order = ("pull", "raw_pull")[:: 1 if turn % 2 == 0 else -1]
        for way in order:
            yield f"first {way}", timed(way, server, folder, tasks)
        time.sleep(6)
        changed(client, project, min(CHANGED, tasks))
        for way in order:
            yield f"{way} of changes", timed(way, server, folder, min(CHANGED, tasks))


def answer(task: dict[str, Any]) -> dict[str, Any]:
    """The prediction, as a person's answer."""
    return {"result": task["predictions"][0]["result"], "lead_time": 4.5}


def changed(client: Any, project: int, count: int) -> None:
    """Correct so many answers."""
    query = json.dumps({"ordering": ["-tasks:id"]})
    given = {
        "project": project,
        "page_size": count,
        "fields": "all",
        "include": "annotations,id,result",
        "query": query,
    }
    for task in client.get("/api/tasks/", params=given).json()["tasks"]:
        (said,) = task["annotations"]
        said["result"][0]["value"]["text"] = ["corrected"]
        client.patch(f"/api/annotations/{said['id']}/", json={"result": said["result"]}).raise_for_status()


def commands(tasks: int, folder: Path) -> Iterator[tuple[str, float]]:
    """The seconds of the whole command, imports and all: the first time, and with nothing changed."""
    with (folder / "faqs.csv").open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([("question", "answer"), *pairs(tasks)])
    with served() as server:
        (folder / "pipeline.toml").write_text(
            'name = "benchmark"\ntask = "qa"\n\n[[load]]\nfrom = "faqs.csv"\n\n'
            f'[annotate]\nuse = "label_studio"\nurl = "{server["url"]}"\nproject = "{TITLE}"\n'
        )
        env = {**os.environ, "LABEL_STUDIO_API_KEY": server["token"]}
        for what in ("first", "again", "again"):
            command = [sys.executable, "-m", "slm_doors.cli", "annotate", "sync", "pipeline.toml"]
            begun = time.perf_counter()
            subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
            yield f"slm annotate sync, {what}", time.perf_counter() - begun


def report(found: Figures) -> None:
    """A line for each: seconds, against the raw interface where there is such a way, and peak memory."""
    for way, rounds in found.items():
        seconds = statistics.median(each for each, _ in rounds)
        peak = max(megabytes for _, megabytes in rounds)
        beside = found.get(raw_name(way)) if raw_name(way) != way else None
        ratio = f"{seconds / statistics.median(each for each, _ in beside):5.2f}x raw" if beside else " " * 10
        print(f"{way:22} {seconds:7.2f} s  {ratio}  peak {peak:5.0f} MB", flush=True)


def raw_name(way: str) -> str:
    """The raw way beside one of ours."""
    return " ".join(f"raw_{word}" if word in ("push", "pull") else word for word in way.split())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        way, server, folder, count = given.one
        one(way, json.loads(server), Path(folder), int(count))
        return
    found: Figures = {}
    for turn in range(given.rounds):
        for steps in (pushes, pulls):
            with tempfile.TemporaryDirectory() as name:
                for way, figure in steps(given.tasks, Path(name), turn):
                    print(f"{way}: {figure[0]:.2f} s", file=sys.stderr, flush=True)
                    found.setdefault(way, []).append(figure)
    report(found)
    with tempfile.TemporaryDirectory() as name:
        for command, seconds in commands(given.tasks, Path(name)):
            print(f"{command:28} {seconds:7.2f} s", flush=True)


if __name__ == "__main__":
    main()
