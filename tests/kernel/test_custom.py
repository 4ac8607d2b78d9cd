"""A step without a package, as a user writes it: `use = "my_steps.py:clean"`."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Slm = Callable[..., subprocess.CompletedProcess[str]]
TINY = '[recipe]\nuse = "pretrain"\nvocabulary = 300\nlayers = 1\nhidden = 32\nheads = 2\nepochs = 1\n'
STEP = '\n[[preprocess]]\nuse = "my_steps.py:clean"\narguments = { colour = "red" }\n'


def test_a_function_beside_the_pipeline_is_a_step_of_it(
    slm: Slm, pipeline: Callable[..., Path], tmp_path: Path
) -> None:
    file = pipeline(STEP + TINY)
    code = "def clean(record, colour):\n    return None if record['messages'][-1]['content'] == colour else record\n"
    (tmp_path / "my_steps.py").write_text(code)
    planned = slm("plan", file.name)
    assert "preprocess.0: custom: named in the pipeline" in planned.stdout
    assert "calls my_steps.py:clean" in planned.stdout
    first = slm("run", file.name)
    assert first.returncode == 0, first.stderr
    (run,) = (tmp_path / "runs").glob("bot-*/run.json")
    step = next(each for each in json.loads(run.read_text())["steps"] if each["path"] == "preprocess.0")
    assert step["value"]["report"] == {"kept": 70, "changed": 0, "dropped": 10, "added": 0}
    assert 'use = "my_steps.py:clean"' in (run.parent / "pipeline.toml").read_text()
    told = (run.parent / "DATA.md").read_text()
    assert "## load.0: faqs.csv (csv)\n\ntrain 80; 0 rows set aside." in told
    assert "- prompt: Question (a usual name for it)" in told
    assert "## preprocess.0: my_steps.py:clean\n\nkept 70, changed 0, dropped 10, added 0. Then: train 70." in told
    dropped = slm("preview", f"{run.parent}/stages/preprocess.0/dropped/train.arrow").stdout
    assert "dropped by my_steps.py:clean" in dropped
    assert "messages: messages" in dropped
    assert "Nothing to do" in slm("run", file.name).stdout
    (tmp_path / "my_steps.py").write_text(code.replace("None if", "'too red' if"))
    assert "Nothing to do" not in slm("run", file.name).stdout


def test_a_function_that_is_not_there_is_told_at_once(slm: Slm, pipeline: Callable[..., Path], tmp_path: Path) -> None:
    file = pipeline(STEP + TINY)
    done = slm("run", file.name)
    assert done.returncode == 2
    assert "my_steps.py:clean: there is no file" in done.stderr
    assert "Traceback" not in done.stderr
