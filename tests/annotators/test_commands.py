"""`slm annotate` and the [annotate] stage as a team uses them: the real command, the real server, the real SDK."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

PIPELINE = """
name = "faq"
task = "{task}"

[[load]]
from = "rows.csv"
{more}
[annotate]
use = "label_studio"
url = "${{env:LABEL_STUDIO_URL}}"
key = "${{env:LABEL_STUDIO_API_KEY}}"
project = "{title}"
"""
Slm = Callable[..., subprocess.CompletedProcess[str]]
QUESTIONS = [(f"How do I do thing {n}?", f"You do thing {n} by pressing {n}.") for n in range(8)]


def write(file: Path, heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([heading, *rows])


@pytest.fixture
def slm(studio: Any, tmp_path: Path) -> Slm:
    """The command, run in tmp_path with the server's address and key in the environment."""

    def call(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": studio.key, **more}
        command = [sys.executable, "-m", "slm_doors.cli", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False)

    return call


@pytest.fixture
def client(studio: Any) -> Iterator[Any]:
    """The SDK's client, which stands for the team's own programs."""
    import httpx
    from label_studio_sdk import LabelStudio

    with httpx.Client(timeout=120) as connection:
        yield LabelStudio(base_url=studio.url, api_key=studio.key, httpx_client=connection)


@pytest.fixture
def faq(studio: Any, tmp_path: Path) -> str:
    """A pipeline of questions and answers; gives its project's title."""
    title = str(studio.title())
    write(tmp_path / "rows.csv", ("question", "answer"), QUESTIONS)
    (tmp_path / "p.toml").write_text(PIPELINE.format(task="qa", more="", title=title))
    return title


def project_of(client: Any, title: str) -> int:
    return next(int(project.id) for project in client.projects.list() if project.title == title)


def tasks_of(client: Any, title: str) -> list[Any]:
    return sorted(client.tasks.list(project=project_of(client, title), fields="all"), key=lambda task: int(task.id))


def edited(control: str, text: str) -> dict[str, Any]:
    return {"from_name": control, "to_name": "shown_context", "type": "textarea", "value": {"text": [text]}}


def test_a_team_reviews_answers_and_the_data_set_follows(slm: Slm, client: Any, faq: str, tmp_path: Path) -> None:
    done = slm("annotate", "push", "p.toml")
    assert done.returncode == 0, done.stderr
    assert f"made the project '{faq}'" in done.stdout
    assert "push: 8 sent" in done.stdout
    tasks = tasks_of(client, faq)
    said = [edited("question_edit", "How do I do it?"), edited("answer_edit", "Press 0 twice.")]
    client.annotations.create(id=tasks[0].id, result=said, lead_time=12.0)
    verdict = {"from_name": "verdict", "to_name": "shown_context", "type": "choices", "value": {"choices": ["bad"]}}
    client.annotations.create(id=tasks[1].id, result=[verdict])
    client.annotations.create(id=tasks[2].id, result=[], was_cancelled=True)
    done = slm("annotate", "sync", "p.toml")
    assert done.returncode == 0, done.stderr
    assert "push: 8 there already" in done.stdout
    assert "pull: 2 answered, 1 skipped" in done.stdout
    (file,) = (tmp_path / "runs/annotation").glob("*/records.jsonl")
    (row,) = map(json.loads, file.read_text().splitlines())
    assert (row["question"], row["answer"], row["verdict"]) == ("How do I do it?", "Press 0 twice.", "fixed")
    assert (row["source"], row["lead_time"], row["task"]) == ("rows.csv:2", 12.0, tasks[0].id)
    assert "@" in row["annotators"][0]
    answers = [json.loads(line) for line in (file.parent / "answers.jsonl").read_text().splitlines()]
    assert [answer["skipped"] for answer in answers] == [False, False, True]
    status = slm("annotate", "status", "p.toml")
    assert status.returncode == 0, status.stderr
    assert "8 tasks: 2 done" in status.stdout


def test_a_conflict_is_shown_and_decided(slm: Slm, client: Any, faq: str, tmp_path: Path) -> None:
    assert slm("annotate", "push", "p.toml").returncode == 0
    first = tasks_of(client, faq)[0]
    client.annotations.create(id=first.id, result=[edited("answer_edit", "Press 0 twice.")])
    write(tmp_path / "rows.csv", ("question", "answer"), [("How do I do thing 0?", "Edited here."), *QUESTIONS[1:]])
    done = slm("annotate", "sync", "p.toml")
    assert f"conflict: rows.csv:2: changed here, and task {first.id} has 1 answer; decide with --prefer" in done.stdout
    assert client.tasks.get(first.id).data["answer"] == "You do thing 0 by pressing 0."
    done = slm("annotate", "sync", "p.toml", "--prefer", "local")
    assert "conflict:" not in done.stdout
    assert client.tasks.get(first.id).data["answer"] == "Edited here."


def test_the_project_is_a_source_for_any_pipeline(slm: Slm, client: Any, faq: str, tmp_path: Path) -> None:
    assert slm("annotate", "push", "p.toml").returncode == 0
    for task in tasks_of(client, faq)[:5]:
        client.annotations.create(id=task.id, result=[edited("answer_edit", f"Answer of {task.id}.")])
    done = slm("preview", f"label-studio://{faq}", "--task", "qa", "--set", "url=${env:LABEL_STUDIO_URL}")
    assert done.returncode == 0, done.stderr
    assert "Answer of" in done.stdout
    assert "annotators" in done.stdout


def test_a_watch_brings_what_comes_and_outlives_a_hint_that_is_none(
    studio: Any, client: Any, faq: str, tmp_path: Path
) -> None:
    env = {**os.environ, "LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": studio.key, "PYTHONUNBUFFERED": "1"}
    options = ["--watch", "--every", "0.5", "--hints", "http://127.0.0.1:9/label-studio"]
    command = [sys.executable, "-m", "slm_doors.cli", "annotate", "sync", "p.toml", *options]
    watch = subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert watch.stdout is not None
    lines = iter(watch.stdout.readline, "")
    try:
        assert any("0 records" in line for line in lines)
        client.annotations.create(id=tasks_of(client, faq)[0].id, result=[edited("answer_edit", "Press 0 twice.")])
        assert any("pull: 1 answered" in line for line in lines)
        watch.send_signal(signal.SIGINT)
        assert watch.wait(30) == 130
        assert "interrupted; the same command goes on from here" in "".join(lines)
    finally:
        watch.kill()
        watch.stdout.close()


def test_what_is_no_project_or_key_is_said_in_one_line(slm: Slm, faq: str, tmp_path: Path) -> None:
    done = slm("annotate", "pull", "p.toml")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"there is no project '{faq}'" in done.stderr
    done = slm("annotate", "push", "p.toml", LABEL_STUDIO_API_KEY="0" * 40)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "0000" not in done.stderr
    text = (tmp_path / "p.toml").read_text()
    (tmp_path / "p.toml").write_text(text.replace("${env:LABEL_STUDIO_API_KEY}", "c0ffee" * 7))
    done = slm("annotate", "push", "p.toml")
    assert done.returncode == 2
    assert "annotate.key: a secret stands in the file" in done.stderr
    (tmp_path / "p.toml").write_text(text.partition("[annotate]")[0])
    done = slm("annotate", "push", "p.toml")
    assert "no [annotate] table in the pipeline" in done.stderr


def test_the_key_is_in_no_file_that_is_kept(slm: Slm, faq: str, tmp_path: Path, studio: Any) -> None:
    assert slm("annotate", "sync", "p.toml").returncode == 0
    kept = [file for file in (tmp_path / "runs").rglob("*") if file.is_file()]
    assert kept
    assert not [file for file in kept if studio.key.encode() in file.read_bytes()]


WORDS = {"billing": ("invoice", "refund", "charge", "card"), "delivery": ("parcel", "courier", "late", "address")}
TEXTS = [(f"my {word} number {n} is wrong", label) for n in range(12) for label, some in WORDS.items() for word in some]
TRAINING = """columns = {{ text = "text" }}

[[load]]
from = "test.csv"
split = "test"

[recipe]
epochs = 8
layers = 1
hidden = 32
"""


@pytest.fixture
def labelling(studio: Any, client: Any, tmp_path: Path) -> Iterator[str]:
    """A pipeline of texts without labels, and people who label whatever comes; gives the project's title."""
    title = str(studio.title())
    write(tmp_path / "rows.csv", ("text",), [(text,) for text, _ in TEXTS])
    write(
        tmp_path / "test.csv",
        ("text", "label"),
        [(f"the {w} {n} please", y) for n in range(4) for y, s in WORDS.items() for w in s],
    )
    table = PIPELINE.format(task="classification", more=TRAINING.format(), title=title)
    (tmp_path / "p.toml").write_text(table + 'labels = ["billing", "delivery"]\nwait = 40\nlimit = 48\nevery = 0.5\n')
    over = threading.Event()
    people = threading.Thread(target=label_all, args=(client, title, dict(TEXTS), over))
    people.start()
    yield title
    over.set()
    people.join()


def label_all(client: Any, title: str, gold: dict[str, str], over: threading.Event) -> None:
    """Answer each task that nobody has answered, as the gold labels have it."""
    done: set[int] = set()
    while not over.is_set():
        there = [project for project in client.projects.list(title=title) if project.title == title]
        for task in client.tasks.list(project=there[0].id, fields="all") if there else ():
            if task.id not in done and not over.is_set():
                value = {"choices": [gold[task.data["text"]]]}
                region = {"from_name": "label", "to_name": "shown_text", "type": "choices", "value": value}
                client.annotations.create(id=task.id, result=[region])
                done.add(task.id)
        time.sleep(0.3)


def test_a_run_waits_for_people_and_trains_on_what_they_said(slm: Slm, labelling: str, tmp_path: Path) -> None:
    done = slm("run", "p.toml")
    assert done.returncode == 0, done.stderr + done.stdout
    (run,) = (tmp_path / "runs").glob("faq-*")
    manifest = json.loads((run / "run.json").read_text())
    (step,) = [step for step in manifest["steps"] if step["kind"] == "annotate"]
    report = step["value"]["report"]
    assert report["sent"] == 48
    assert report["answered"] >= 40
    assert report["answered"] + report["left out"] == len(TEXTS)
    assert "Who answered what, when: `stages/annotate/answers.jsonl`" in (run / "DATA.md").read_text()
    assert len((run / "stages/annotate/answers.jsonl").read_text().splitlines()) >= 40


def test_the_loop_chooses_asks_trains_and_promotes(slm: Slm, labelling: str, tmp_path: Path) -> None:
    options = ("--budget", "36", "--batch", "18", "--every", "0.5", "--beside-random")
    done = slm("annotate", "loop", "p.toml", *options)
    assert done.returncode == 0, done.stderr + done.stdout
    (folder,) = (tmp_path / "runs/annotation").glob("*")
    course = json.loads((folder / "loop/course.json").read_text())
    assert {arm: [len(batch) for batch in batches] for arm, batches in course["chosen"].items()} == {
        "uncertain": [18, 18],
        "random": [18, 18],
    }
    assert [(point["arm"], point["labels"]) for point in course["points"]] == [
        ("uncertain", 18), ("random", 18), ("uncertain", 36), ("random", 36)
    ]  # fmt: skip
    assert course["chosen"]["uncertain"][0] == course["chosen"]["random"][0]
    assert len({point["run"] for point in course["points"]}) == 3
    best = max(course["points"], key=lambda point: point["value"])
    assert Path(course["promoted"]) == Path(best["run"])
    assert (folder / "promoted").resolve() == Path(best["run"]).resolve()
    assert "| labels | uncertain: accuracy | random: accuracy |" in done.stdout
    again = slm("annotate", "loop", "p.toml", *options)
    assert again.returncode == 0, again.stderr
    assert json.loads((folder / "loop/course.json").read_text()) == course
