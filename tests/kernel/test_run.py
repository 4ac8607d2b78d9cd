"""Whole runs of a real pipeline: kept stages, kills at any moment, and the same model in the end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

Slm = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[..., Path]
TINY = """
[recipe]
use = "pretrain"
vocabulary = 300
layers = 1
hidden = 32
heads = 2
epochs = 6
batch_tokens = 256
"""
EXPORT = '\n[[export]]\nuse = "safetensors"\n'


def losses(folder: Path) -> list[float]:
    """The loss of each step, as the recipe wrote it."""
    (file,) = folder.glob("bot-*/model/losses.csv")
    head, *rows = [line.split(",") for line in file.read_text().split()]
    return [float(row[head.index("loss")]) for row in rows]


def weights(folder: Path) -> bytes:
    (file,) = folder.glob("bot-*/model/model.safetensors")
    return file.read_bytes()


def started(tmp_path: Path, env: dict[str, str], runs: str) -> subprocess.Popen[bytes]:
    """A run in a process group of its own, with its output thrown away."""
    command = [sys.executable, "-m", "slm_doors.cli", "run", "pipeline.toml", "--runs", runs]
    out = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=tmp_path, env=env, stdout=out, stderr=out, start_new_session=True)


def events(folder: Path) -> list[dict[str, object]]:
    """The events so far; a last line may be half-written."""
    found = []
    for file in folder.glob("bot-*/events.jsonl"):
        for line in file.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                break
    return found


def wait_for(process: subprocess.Popen[bytes], folder: Path, seen: Callable[[dict[str, object]], bool]) -> None:
    """Wait until an event is seen; the run must not end before."""
    while not any(map(seen, events(folder))):
        assert process.poll() is None, "the run ended before the moment to kill it"
        time.sleep(0.02)


def test_a_run_gives_model_metrics_and_manifest_and_the_second_does_nothing(
    slm: Slm, pipeline: Write, tmp_path: Path
) -> None:
    pipeline(tables=TINY + EXPORT)
    first = slm("run", "pipeline.toml")
    assert first.returncode == 0, first.stderr
    assert "exact match" in first.stdout
    assert "slm serve runs/bot-" in first.stdout
    (folder,) = tmp_path.glob("runs/bot-*")
    told = json.loads((folder / "run.json").read_text())
    assert told["state"] == "done"
    assert [step["kind"] for step in told["steps"]] == [
        "load", "preprocess", "recipe", "evaluate", "evaluate", "export", "check"
    ]  # fmt: skip
    assert all(step["why"] for step in told["steps"] if step["plugin"])
    assert all(step["memory"] > 10**6 and step["seconds"] > 0 for step in told["steps"])
    assert told["steps"][2]["predicted"]["memory"] > 0
    assert told["steps"][-1]["value"]["comparison"]["passed"]
    assert told["metrics"]["test"]
    assert "# bot" in (folder / "MODEL_CARD.md").read_text()
    assert (folder / "exports" / "safetensors" / "model.safetensors").is_file()

    second = slm("run", "pipeline.toml")
    assert "Nothing to do: every stage is kept from before." in second.stdout
    assert all(step["kept"] for step in json.loads((folder / "run.json").read_text())["steps"])

    replayed = slm("run", str(folder / "pipeline.toml"), "--runs", "runs", "--set", "load.0.from=../../faqs.csv")
    assert replayed.returncode == 0, replayed.stderr

    shown = slm("inspect", "pipeline.toml", "--records", "2")
    assert shown.returncode == 0, shown.stderr
    assert "training records: " in shown.stdout
    assert "[<|end|>]" in shown.stdout
    assert json.loads((folder / "run.json").read_text())["state"] == "done"
    assert slm("chat", "--once", "What colour is the car number 1?", "--max-tokens", "4").returncode == 0
    assert "bot-" in slm("runs").stdout


def test_a_changed_option_does_again_only_what_depends_on_it(slm: Slm, pipeline: Write, tmp_path: Path) -> None:
    pipeline(tables=TINY)
    assert slm("run", "pipeline.toml").returncode == 0
    done = slm("run", "pipeline.toml", "--set", "recipe.epochs=1")
    assert done.returncode == 0
    runs = [json.loads(file.read_text()) for file in tmp_path.glob("runs/bot-*/run.json")]
    changed = max(runs, key=lambda told: float(told["began"]))
    kept = {step["path"]: step["kept"] for step in changed["steps"]}
    assert kept["load.0"]
    assert kept["preprocess.0"]
    assert not kept["recipe"]


MOMENTS = (
    ("worker", lambda e: e["kind"] == "start" and e["stage"] == "load.0"),
    ("kernel", lambda e: e["kind"] == "end" and e["stage"] == "load.0"),
    ("worker", lambda e: e["kind"] == "progress" and e["stage"] == "recipe" and e["data"]["done"] >= 5),
    ("kernel", lambda e: e["kind"] == "progress" and e["stage"] == "recipe" and e["data"]["done"] >= 12),
    ("kernel", lambda e: e["kind"] == "start" and e["stage"] == "evaluate.0"),
    ("worker", lambda e: e["kind"] == "start" and e["stage"] == "export.0"),
)


def test_killed_at_every_stage_the_same_command_ends_with_the_same_model(
    pipeline: Write, env: dict[str, str], tmp_path: Path, slm: Slm
) -> None:
    pipeline(tables=TINY + 'checkpoint_every = 3\n[[evaluate]]\nuse = "perplexity"\n' + EXPORT)
    assert slm("run", "pipeline.toml", "--runs", "unbroken").returncode == 0
    for who, seen in MOMENTS:
        process = started(tmp_path, env, "broken")
        wait_for(process, tmp_path / "broken", seen)
        workers = psutil.Process(process.pid).children()
        # between two stages there is no worker: the kernel then
        os.kill(workers[0].pid if who == "worker" and workers else process.pid, signal.SIGKILL)
        process.wait(timeout=60)
        assert not psutil.wait_procs(workers, timeout=20)[1], "a killed kernel leaves no worker behind"
    done = slm("run", "pipeline.toml", "--runs", "broken")
    assert done.returncode == 0, done.stderr
    assert "load.0: csv" in done.stdout
    expected = losses(tmp_path / "unbroken")
    assert len(expected) > 12
    assert losses(tmp_path / "broken") == pytest.approx(expected, abs=1e-6)
    assert weights(tmp_path / "broken") == weights(tmp_path / "unbroken")


def test_interrupted_by_the_user_the_run_says_so_and_goes_on(
    pipeline: Write, env: dict[str, str], tmp_path: Path, slm: Slm
) -> None:
    pipeline(tables=TINY.replace("epochs = 6", "epochs = 2000"))
    process = started(tmp_path, env, "runs")
    wait_for(process, tmp_path / "runs", lambda e: e["kind"] == "progress" and e["stage"] == "recipe")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    (file,) = tmp_path.glob("runs/bot-*/run.json")
    told = json.loads(file.read_text())
    assert told["state"] == "interrupted"
    assert [step["path"] for step in told["steps"]] == ["load.0", "preprocess.0"]


def test_the_python_door_builds_exports_and_answers(tmp_path: Path, pipeline: Write) -> None:
    from slm import SLMBuilder

    pipeline()
    small = {"vocabulary": 300, "layers": 1, "hidden": 32, "heads": 2, "epochs": 2}
    bot = SLMBuilder("bot", tmp_path).build_from_csv("faqs.csv", task="qa", recipe="pretrain", options=small)
    assert bot.result.metrics["test"].values
    assert bot.export("safetensors").result.artifacts["safetensors"].path.is_dir()
    assert "recipe" in bot.result.kept
    assert isinstance(bot.ask("What colour is the car number 1?", max_tokens=4), str)


def test_build_writes_the_pipeline_that_it_ran(slm: Slm, pipeline: Write, tmp_path: Path) -> None:
    pipeline().unlink()
    arguments = ("build", "--source", "faqs.csv", "--task", "qa", "--recipe", "pretrain", "--set", "recipe.layers=1")
    done = slm(*arguments, "--set", "recipe.epochs=1", "--set", "recipe.hidden=32")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "faqs.toml").read_text()
    assert 'from = "faqs.csv"' in text
    assert "epochs = 1" in text
    assert "Nothing to do" in slm("run", "faqs.toml").stdout
    (tmp_path / "faqs.toml").write_text(text + "# mine\n")
    assert "is there already and says something else" in slm(*arguments).stderr
