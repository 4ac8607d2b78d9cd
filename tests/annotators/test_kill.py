"""Commands and servers killed at any moment, against the real server: done again, they end as if nothing had been."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from slm_annotation import syncing
from slm_annotation.mirror import Mirror
from slm_annotation.values import Counts

MOMENTS = 20
PIPELINE = """
name = "kill"
task = "classification"

[[load]]
from = "texts.csv"

[annotate]
use = "label_studio"
url = "${{env:LABEL_STUDIO_URL}}"
key = "${{env:LABEL_STUDIO_API_KEY}}"
project = "{title}"
"""
NURSERY = '''
"""Runs each command in a fork of a process that has imported everything: a kill meets work, not imports."""
import importlib, json, os, sys, traceback
from pathlib import Path
import datasets, filelock, httpx, xxhash
import slm_annotators.studio.project, slm_doors.annotate, slm_doors.annotating, slm_doors.progress
from slm.plugin import Hardware, SlmError, Work
from slm_annotation import syncing
from slm_annotation.mirror import Mirror
from slm_annotation.records import to_item
from slm_annotation.syncing import push
from slm_annotation.values import Guess
from slm_annotators.label_studio import LabelStudio
from slm_doors.cli import main
import attrs

def send(title, count):
    """Push that many items, each with a guess, in batches of 15."""
    here = Path.cwd()
    options = {"url": os.environ["LABEL_STUDIO_URL"], "key": os.environ["LABEL_STUDIO_API_KEY"], "project": title}
    work = Work(here, here, Hardware(), root=here)
    project = LabelStudio(**options).annotate("classification", ("good", "bad"), work)
    project.prepare()
    project.batch = 15
    texts = [{"id": f"{n:032x}", "source": f"t.csv:{n + 2}", "text": f"text {n}"} for n in range(int(count))]
    items = [to_item(text, "classification") for text in texts]
    guess = Guess({"label": "bad"}, 0.75, "model 1")
    done = push(project, Mirror(here / "mirror.sqlite3"), items,
                pick=lambda new, there: [attrs.evolve(item, guess=guess) for item in new])
    print(done.new, "sent", done.unchanged, "there")

def known():
    """Import what a command imported that came to its end."""
    for name in Path("modules.txt").read_text().split() if Path("modules.txt").is_file() else ():
        if name not in sys.modules:
            importlib.import_module(name)

syncing.GRACE = (float(os.environ["GRACE"]), 0.02)
print("ready", flush=True)
for line in sys.stdin:
    known()
    arguments = json.loads(line)
    if not (pid := os.fork()):
        said = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(said, 1), os.dup2(said, 2)
        try:
            sys.argv = ["slm", *arguments]
            code = send(*arguments[1:]) if arguments[0] == "send" else main()
        except SystemExit as end:
            code = end.code
        except SlmError as error:
            print("error:", error)
            code = 2
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        aside = Path(f"modules.{os.getpid()}")
        aside.write_text("\\n".join(sys.modules))
        aside.replace("modules.txt")
        os._exit(code or 0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
'''


@frozen
class Nursery:
    """The process that runs commands in a folder."""

    process: "subprocess.Popen[str]"
    folder: Path

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def begin(self, *arguments: Any) -> int:
        """Begin a command; gives its process."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([str(each) for each in arguments]) + "\n")
        self.process.stdin.flush()
        return int(self._line())

    def end(self) -> int:
        """The exit code of the command that was begun."""
        return int(self._line())

    def killed(self, moment: float, *arguments: Any) -> bool:
        """Kill a command some seconds after its beginning; whether it was not done yet."""
        pid = self.begin(*arguments)
        time.sleep(moment)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return self.end() == -signal.SIGKILL

    def done(self, *arguments: Any) -> str:
        """What a command says that ends as it should."""
        self.begin(*arguments)
        code, said = self.end(), (self.folder / "said.txt").read_text()
        assert code == 0, said
        return said

    def timed(self, *arguments: Any) -> float:
        """The seconds that a command takes. What it imports has to be known: one of its kind ran before."""
        begun = time.perf_counter()
        self.done(*arguments)
        return time.perf_counter() - begun


@pytest.fixture
def nursery(studio: Any, tmp_path: Path) -> Iterator[Callable[..., Nursery]]:
    """Run commands in tmp_path, for the shared server or the one at another address; `grace` are the seconds that they
    give an import which was cut off."""
    running: list[subprocess.Popen[str]] = []

    def start(url: str = "", key: str = "", grace: float = syncing.GRACE[0]) -> Nursery:
        env = {**os.environ, "LABEL_STUDIO_URL": url or studio.url, "LABEL_STUDIO_API_KEY": key or studio.key}
        env["GRACE"] = str(grace)
        command = [sys.executable, "-c", NURSERY]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        made = Nursery(process, tmp_path)
        assert made._line() == "ready\n"
        return made

    yield start
    for each in running:
        each.communicate("", timeout=60)


def write(folder: Path, texts: list[str]) -> None:
    """Texts as a user's file, each with a label of its own."""
    with (folder / "texts.csv").open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([("text", "label"), *((text, ("good", "bad")[len(text) % 2]) for text in texts)])


def project_of(studio: Any, title: str) -> int:
    """The one project of this title."""
    found = studio.api("GET", "/api/projects/", title=title, page_size=100)["results"]
    (number,) = [each["id"] for each in found if each["title"] == title]
    return int(number)


def tasks_of(studio: Any, number: int) -> list[dict[str, Any]]:
    """All tasks as the server has them, with answers and predictions."""
    include = "id,data,annotations,predictions,result,was_cancelled,model_version"
    reply = studio.api("GET", "/api/tasks/", project=number, page_size=5000, fields="all", include=include)
    return list(reply["tasks"])


def assert_alike(tasks: list[dict[str, Any]], file: Path) -> None:
    """The mirror knows what the server has: no more, no less."""
    there = {
        task["id"]: (
            *(task["data"].get(name) for name in ("ext_id", "ext_hash", "text")),
            sorted((each["id"], said_in(each), each["was_cancelled"]) for each in task["annotations"]),
        )
        for task in tasks
    }
    with closing(Mirror(file)) as mirror:
        known = {
            entry.number: (
                entry.key,
                entry.digest,
                entry.fields["text"],
                [(each.id, each.values.get("label", ""), each.skipped) for each in entry.answers],
            )
            for entry in mirror.entries()
        }
        assert known == there
        assert mirror.counts() == Counts(len(tasks), sum(len(task["annotations"]) for task in tasks))
        assert mirror.fact("sending") is None


def said_in(annotation: dict[str, Any]) -> str:
    """The label of an annotation; empty for a skipped one."""
    return "" if annotation["was_cancelled"] else str(annotation["result"][0]["value"]["choices"][0])


def region(label: str) -> dict[str, Any]:
    return {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [label]}}


def mirror_file(folder: Path) -> Path:
    """The mirror of the command's project."""
    (file,) = folder.glob("runs/annotation/*/mirror.sqlite3")
    return file


def moments(seconds: float, seed: int) -> list[float]:
    """Moments of a command's time, its end included; drawn, but spread over all of it."""
    draw = random.Random(seed)
    found = [(n + draw.random()) / MOMENTS * seconds for n in range(MOMENTS)]
    draw.shuffle(found)
    return found


def assert_each_once(tasks: list[dict[str, Any]], count: int) -> None:
    """Every item of `send` is there once, with its one prediction."""
    assert sorted(task["data"]["text"] for task in tasks) == sorted(f"text {n}" for n in range(count))
    assert len({task["data"]["ext_id"] for task in tasks}) == count
    assert {len(task["predictions"]) for task in tasks} == {1}


def test_a_push_with_guesses_killed_at_twenty_moments_sends_each_item_once(
    nursery: Callable[..., Nursery], studio: Any, tmp_path: Path
) -> None:
    run, title = nursery(), studio.title()
    run.done("send", title, 15)
    seconds = min(run.timed("send", title, 60), run.timed("send", title, 105))
    count, cut = 105, 0
    for moment in moments(seconds, 1):
        count += 45
        cut += run.killed(moment, "send", title, count)
        run.done("send", title, count)
    assert cut >= MOMENTS // 2
    tasks = tasks_of(studio, project_of(studio, title))
    assert_each_once(tasks, count)
    assert_alike(tasks, tmp_path / "mirror.sqlite3")
    with closing(Mirror(tmp_path / "mirror.sqlite3")) as mirror:
        assert len(mirror.guesses()) == count
    assert run.done("send", title, count) == f"0 sent {count} there\n"


def test_the_command_push_killed_at_twenty_moments_makes_one_project_and_sends_each_record_once(
    nursery: Callable[..., Nursery], studio: Any, tmp_path: Path
) -> None:
    run = nursery()
    write(tmp_path, [f"text number {n}" for n in range(60)])

    def pipeline(title: str) -> str:
        (tmp_path / "p.toml").write_text(PIPELINE.format(title=title))
        return title

    pipeline(studio.title())
    run.done("annotate", "push", "p.toml")
    seconds, cut = 60.0, 0
    for _ in range(2):
        pipeline(studio.title())
        seconds = min(seconds, run.timed("annotate", "push", "p.toml"))
    for moment in moments(seconds, 2):
        title = pipeline(studio.title())
        folders = set(tmp_path.glob("runs/annotation/*"))
        cut += run.killed(moment, "annotate", "push", "p.toml")
        run.done("annotate", "push", "p.toml")
        tasks = tasks_of(studio, project_of(studio, title))
        assert sorted(task["data"]["text"] for task in tasks) == sorted(f"text number {n}" for n in range(60))
        (made,) = set(tmp_path.glob("runs/annotation/*")) - folders
        assert_alike(tasks, made / "mirror.sqlite3")
    assert cut >= MOMENTS // 2
    assert "push: 60 there already\n" in run.done("annotate", "push", "p.toml")


def answer_some(studio: Any, number: int, draw: random.Random) -> None:
    """What people do between two looks: answer a task; and skip one, or correct or delete an answer."""
    tasks = tasks_of(studio, number)
    studio.answer(draw.choice(tasks)["id"], region(draw.choice(("good", "bad"))))
    there = [each["id"] for task in tasks for each in task["annotations"]]
    what = draw.choice(("skip", "correct", "delete")) if there else "skip"
    if what == "skip":
        studio.answer(draw.choice(tasks)["id"], was_cancelled=True)
    elif what == "correct":
        studio.api("PATCH", f"/api/annotations/{draw.choice(there)}/", {"result": [region("good")]})
    else:
        studio.api("DELETE", f"/api/annotations/{draw.choice(there)}/")


def assert_brought(tasks: list[dict[str, Any]], folder: Path) -> None:
    """The files of a pull and its mirror are what the server has."""
    assert_alike(tasks, mirror_file(folder))
    lines = (mirror_file(folder).parent / "answers.jsonl").read_text().splitlines()
    assert len(lines) == sum(len(task["annotations"]) for task in tasks)


def test_the_command_pull_killed_at_twenty_moments_brings_every_answer(
    nursery: Callable[..., Nursery], studio: Any, tmp_path: Path
) -> None:
    run, title, draw = nursery(), studio.title(), random.Random(3)
    (tmp_path / "p.toml").write_text(PIPELINE.format(title=title))
    write(tmp_path, [f"text number {n}" for n in range(40)])
    run.done("annotate", "push", "p.toml")
    number = project_of(studio, title)
    run.done("annotate", "pull", "p.toml")
    seconds, cut = 60.0, 0
    for _ in range(2):
        answer_some(studio, number, draw)
        seconds = min(seconds, run.timed("annotate", "pull", "p.toml"))
    for moment in moments(seconds, 3):
        answer_some(studio, number, draw)
        cut += run.killed(moment, "annotate", "pull", "p.toml")
        run.done("annotate", "pull", "p.toml")
        assert_brought(tasks_of(studio, number), tmp_path)
    assert cut >= MOMENTS // 2
    assert "pull: nothing new" in run.done("annotate", "pull", "p.toml")


def test_the_command_sync_killed_at_twenty_moments_ends_in_step(
    nursery: Callable[..., Nursery], studio: Any, tmp_path: Path
) -> None:
    run, title = nursery(), studio.title()
    (tmp_path / "p.toml").write_text(PIPELINE.format(title=title))
    texts = [f"text number {n}" for n in range(40)]
    write(tmp_path, texts)
    run.done("annotate", "sync", "p.toml")
    number = project_of(studio, title)

    def change(n: int) -> None:
        tasks = tasks_of(studio, number)
        (task,) = [task for task in tasks if task["data"]["text"] == "text number 39"]
        studio.answer(task["id"], region("good"))
        if n % 2 == 0:
            untouched = {task["data"]["text"] for task in tasks if not task["annotations"]}
            at = next(at for at, text in enumerate(texts) if text in untouched)
            texts[at] += f", changed in round {n}"
            texts.insert(0, f"a new text of round {n}")
            write(tmp_path, texts)

    change(MOMENTS)
    whole = run.timed("annotate", "sync", "p.toml")
    change(MOMENTS + 1)
    seconds, cut = (whole, run.timed("annotate", "sync", "p.toml")), 0
    drawn = [moments(each, 4) for each in seconds]
    for n in range(MOMENTS):
        change(n)
        cut += run.killed(drawn[n % 2][n], "annotate", "sync", "p.toml")
        run.done("annotate", "sync", "p.toml")
        tasks = tasks_of(studio, number)
        assert sorted(task["data"]["text"] for task in tasks) == sorted(texts)
        assert_brought(tasks, tmp_path)
    assert cut >= MOMENTS // 2
    assert sum(len(task["annotations"]) for task in tasks) == MOMENTS + 2
    assert f"push: {len(texts)} there already\npull: nothing new" in run.done("annotate", "sync", "p.toml")


@pytest.fixture
def slow(studio: Any, proxy: Callable[..., Any], nursery: Callable[..., Nursery]) -> tuple[Any, Nursery, str]:
    """A proxy, commands that go through it, and the title of a project with 15 items in it."""
    between = proxy(studio)
    run, title = nursery(between.url, grace=0.5), str(studio.title())
    run.done("send", title, 15)
    return between, run, title


def is_import(method: str, path: str) -> bool:
    return method == "POST" and path.partition("?")[0].endswith("/import")


@pytest.mark.parametrize("stored", [False, True], ids=["before the server had it", "after the server stored it"])
def test_a_kill_within_an_import_sends_each_item_once(
    slow: tuple[Any, Nursery, str], studio: Any, tmp_path: Path, stored: bool
) -> None:
    between, run, title = slow
    pids: list[int] = []

    def rule(method: str, path: str, body: bytes) -> str | None:
        if not pids or not is_import(method, path):
            return None
        if stored:
            studio.api("POST", path, json.loads(body))
        os.kill(pids.pop(), signal.SIGKILL)
        return "lost"

    between.rule = rule
    pids.append(run.begin("send", title, 45))
    assert run.end() == -signal.SIGKILL
    tasks = tasks_of(studio, project_of(studio, title))
    assert len(tasks) == (30 if stored else 15)
    between.seen.clear()
    assert run.done("send", title, 45) == (f"{15 if stored else 30} sent {30 if stored else 15} there\n")
    assert between.counted("POST", "/import?") == (1 if stored else 2)
    tasks = tasks_of(studio, project_of(studio, title))
    assert_each_once(tasks, 45)
    assert_alike(tasks, tmp_path / "mirror.sqlite3")


def test_an_import_that_the_server_carries_out_long_after_the_kill_leaves_nothing_twice(
    slow: tuple[Any, Nursery, str], studio: Any, tmp_path: Path
) -> None:
    between, run, title = slow
    pids: list[int] = []
    late: list[tuple[str, Any]] = []

    def rule(method: str, path: str, body: bytes) -> str | None:
        if not pids or not is_import(method, path):
            return None
        late.append((path, json.loads(body)))
        os.kill(pids.pop(), signal.SIGKILL)
        return "lost"

    between.rule = rule
    pids.append(run.begin("send", title, 30))
    assert run.end() == -signal.SIGKILL
    assert run.done("send", title, 30) == "15 sent 15 there\n"
    studio.api("POST", *late[0])
    number = project_of(studio, title)
    tasks = sorted(tasks_of(studio, number), key=lambda task: int(task["id"]))
    assert len(tasks) == 45
    kept = studio.answer(tasks[-1]["id"], region("good"))
    assert run.done("send", title, 30) == "0 sent 30 there\n"
    tasks = tasks_of(studio, number)
    assert_each_once(tasks, 30)
    assert [each["id"] for task in tasks for each in task["annotations"]] == [kept]
    assert_alike(tasks, tmp_path / "mirror.sqlite3")


def test_predictions_that_were_lost_with_the_answer_are_sent_after_the_kill(
    slow: tuple[Any, Nursery, str], studio: Any, tmp_path: Path
) -> None:
    between, run, title = slow
    pids: list[int] = []

    def rule(method: str, path: str, body: bytes) -> str | None:
        if not pids or not is_import(method, path):
            return None
        studio.api("POST", path, [{"data": task["data"]} for task in json.loads(body)])
        os.kill(pids.pop(), signal.SIGKILL)
        return "lost"

    between.rule = rule
    pids.append(run.begin("send", title, 30))
    assert run.end() == -signal.SIGKILL
    assert run.done("send", title, 30) == "0 sent 30 there\n"
    assert_each_once(tasks_of(studio, project_of(studio, title)), 30)


def test_a_kill_after_a_task_was_replaced_is_no_edit_by_people(
    nursery: Callable[..., Nursery], studio: Any, proxy: Callable[..., Any], tmp_path: Path
) -> None:
    between = proxy(studio)
    run, title = nursery(between.url), studio.title()
    (tmp_path / "p.toml").write_text(PIPELINE.format(title=title))
    write(tmp_path, ["first", "second"])
    run.done("annotate", "push", "p.toml")
    pids: list[int] = []

    def rule(method: str, path: str, body: bytes) -> str | None:
        if not pids or method != "PATCH" or "/api/tasks/" not in path:
            return None
        studio.api(method, path, json.loads(body))
        os.kill(pids.pop(), signal.SIGKILL)
        return "lost"

    between.rule = rule
    write(tmp_path, ["first, changed", "second"])
    pids.append(run.begin("annotate", "push", "p.toml"))
    assert run.end() == -signal.SIGKILL
    assert "push: 2 there already\n" in run.done("annotate", "push", "p.toml")
    write(tmp_path, ["first, changed again", "second"])
    assert "push: 1 updated, 1 there already\n" in run.done("annotate", "push", "p.toml")


def test_a_server_killed_in_pushes_and_started_again_has_each_item_once(
    server: Callable[..., Any], proxy: Callable[..., Any], nursery: Callable[..., Nursery], tmp_path: Path
) -> None:
    own = server("--data-dir", str(tmp_path / "studio"))
    between = proxy(own)
    run = nursery(between.url, own.key, 0.5)
    for after in (0.02, 0.08, 0.2):
        title = own.title()
        between.rule = killing(own.pid, after)
        run.begin("send", title, 75)
        assert run.end() == 2
        assert len((tmp_path / "said.txt").read_text().splitlines()) == 1
        own = server("--data-dir", str(tmp_path / "studio"))
        between.target = own.url
        run.done("send", title, 75)
        tasks = tasks_of(own, project_of(own, title))
        assert_each_once(tasks, 75)
        assert_alike(tasks, tmp_path / "mirror.sqlite3")
        assert run.done("send", title, 75) == "0 sent 75 there\n"


def killing(pid: int, after: float) -> Callable[[str, str, bytes], None]:
    """A rule that ends a server some seconds after its third import came in."""
    imports: list[str] = []

    def rule(method: str, path: str, body: bytes) -> None:
        if is_import(method, path):
            imports.append(path)
            if len(imports) == 3:
                threading.Timer(after, os.kill, [pid, signal.SIGKILL]).start()

    return rule
