"""The command as a user meets it: bad input is one clear line with place and remedy; nothing is half-written."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Slm = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[..., Path]
MODEL = '[recipe]\nuse = "pretrain"\n'


def no_half_result(folder: Path) -> bool:
    """Whether every kept result has its record, and nothing is kept of a recipe."""
    kept = [path for path in folder.glob("runs/store/*") if path.is_dir() and not path.name.startswith(".")]
    return all((path / "result.json").is_file() for path in kept) and not any("recipe" in p.name for p in kept)


@pytest.mark.parametrize("arguments", [("--help",), ("plugins",), ("--version",)])
def test_quick_commands_import_nothing_heavy(arguments: tuple[str, ...], env: dict[str, str]) -> None:
    heavy = {"torch", "transformers", "datasets", "starlette", "pyarrow", "numpy", "onnxruntime", "peft"}
    code = (
        f"import sys; sys.argv = ['slm', *{arguments!r}]; from slm_doors.cli import main\n"
        f"try: main()\nfinally: print(*sorted({heavy!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout
    assert done.stderr.strip() == ""


@pytest.mark.parametrize(
    ("tables", "head", "load", "said"),
    [
        ("[recipe]\nepoch = 3", None, "", "recipe.epoch: unknown key; did you mean 'epochs'?"),
        ('[recipe]\nuse = "lroa"', None, "", "no recipe plugin 'lroa'; did you mean 'lora'?"),
        ('[recipe]\nuse = "pretrain"\nepochs = "3"', None, "", "recipe.epochs: expected"),
        (MODEL, 'task = "qa"\nbase = "no/such-model"', "", "base: base 'no/such-model'"),
        (MODEL, 'task = "qa"\nbase = "."', "", "base: "),
        ('[recipe]\nuse = "classification"', None, "", "recipe.use: 'classification' can't do this: "),
        ("", 'task = "preference"', "", "recipe: no recipe plugin can do this"),
        ('[[export]]\nuse = "gguff"', None, "", "no export plugin 'gguff'"),
        ("", None, 'delimter = ";"', "load.0.delimter: unknown key; did you mean 'delimiter'?"),
        ("", None, 'use = "nothing"', "no load plugin 'nothing'"),
        ('[recipe]\nuse = "broken"', None, "", "libmissing.so: cannot open shared object file"),
        ('[recipe]\nuse = "forgetful"', None, "", "has no @hookimpl 'recipe'"),
        ("[serve]\nport = 'x'", None, "", "serve.port: expected an integer, got 'x'"),
        ('[[observe]]\nuse = "nots"', None, "", "no observe plugin 'nots'; did you mean 'notes'?"),
    ],
)
def test_a_mistake_in_the_pipeline_is_told_before_anything_runs(
    slm: Slm, pipeline: Write, tmp_path: Path, tables: str, head: str | None, load: str, said: str
) -> None:
    file = pipeline(tables, **({"head": head} if head else {}), load=load)
    done = slm("run", "pipeline.toml")
    assert said in done.stderr, done.stderr
    assert done.returncode == (1 if "forgetful" in tables or "broken" in tables else 2)
    if "forgetful" not in tables and "broken" not in tables:
        assert "Traceback" not in done.stderr
        assert all(line.removeprefix("error: ").startswith("pipeline.toml:") for line in done.stderr.splitlines())
    assert file.exists()
    assert no_half_result(tmp_path)


def test_every_mistake_is_told_at_once(slm: Slm, pipeline: Write) -> None:
    pipeline('[recipe]\nepoch = 3\n[[export]]\nuse = "onxn"\n', load='delimter = ";"')
    done = slm("plan", "pipeline.toml")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert [line.split(":")[1] for line in (lines[0].removeprefix("error: "), *lines[1:])] == ["5", "7", "9"]


@pytest.mark.parametrize(
    ("name", "content", "load", "said"),
    [
        ("missing.csv", None, "", "missing.csv: no such file or folder"),
        ("empty.csv", "", "", "empty.csv"),
        ("heads.csv", "Question,Answer\n", "", "heads.csv"),
        ("other.csv", "a,b\n1,2\n", 'columns = { prompt = "Qestion" }', "Qestion"),
        ("other.csv", "Question,Answer\nq,a\n", 'columns = { promt = "Question" }', "promt"),
        ("data.xyz", "x", "", "no loader claims 'data.xyz'"),
    ],
)
def test_a_bad_source_is_one_line(
    slm: Slm, tmp_path: Path, name: str, content: str | None, load: str, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    (tmp_path / "pipeline.toml").write_text(f'name = "x"\ntask = "qa"\n[[load]]\nfrom = "{name}"\n{load}\n')
    done = slm("run", "pipeline.toml")
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert no_half_result(tmp_path)


@pytest.mark.parametrize(
    ("how", "said", "code"),
    [
        ("raise", "recipe (crash): RuntimeError: the plugin went wrong; log: ", 1),
        ("segfault", "recipe (crash): it crashed (segmentation fault)", 1),
        ("killed", "recipe (crash): the system killed it, most likely for memory: it held ", 1),
        ("memory", "recipe (crash): out of memory; give it a smaller batch", 1),
        ("disk", "recipe (crash): the disk is full", 1),
        ("exit", "recipe (crash): it ended with exit code 7 and no result", 1),
        ("nothing", "recipe (crash): recipe plugin 'crash' returned nothing; log: ", 1),
        ("user", "recipe (crash): the data are too few: add some", 2),
    ],
)
def test_a_stage_that_ends_badly_is_one_line_with_stage_cause_and_remedy(
    slm: Slm, pipeline: Write, tmp_path: Path, how: str, said: str, code: int
) -> None:
    pipeline(f'[recipe]\nuse = "crash"\nhow = "{how}"\n')
    done = slm("run", "pipeline.toml")
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert no_half_result(tmp_path)
    (run,) = tmp_path.glob("runs/bot-*")
    assert json.loads((run / "run.json").read_text())["state"] == "failed"
    if how == "raise":
        assert "Traceback" in (run / "log.txt").read_text()
    if how == "segfault":
        assert "slm_probe.py" in (run / "log.txt").read_text()  # faulthandler says where


def test_a_full_disk_is_one_line(slm: Slm, pipeline: Write, tmp_path: Path) -> None:
    """A real one: a file system of 64 kB, in a mount namespace of the test's own."""
    pipeline("")
    (tmp_path / "small").mkdir()
    mount = f"mount -t tmpfs -o size=64k tmpfs {tmp_path}/small"
    command = f"{mount} && {sys.executable} -m slm_doors.cli run pipeline.toml --runs small"
    probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("this system lets nobody make a mount namespace (unshare -rm)")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "No space left" in done.stderr or "disk is full" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_runs_folder_that_cannot_be_written_is_one_line(slm: Slm, pipeline: Write, tmp_path: Path) -> None:
    pipeline("")
    (tmp_path / "readonly").mkdir()
    command = (
        f"mount -t tmpfs -o ro tmpfs {tmp_path}/readonly && "
        f"{sys.executable} -m slm_doors.cli run pipeline.toml --runs readonly/runs"
    )
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody make a mount namespace (unshare -rm)")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "name a folder you may write with --runs" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_two_equal_bids_are_an_error_that_names_both(slm: Slm, pipeline: Write) -> None:
    pipeline("[recipe]\ntwinned = 2\n")
    done = slm("plan", "pipeline.toml", SLM_DISABLE_PLUGINS="")
    assert "recipe: othertwin and twin suit equally; name one with use" in done.stderr
    assert done.returncode == 2


def test_options_narrow_the_choice(slm: Slm, pipeline: Write) -> None:
    pipeline('[recipe]\nhow = "raise"\n')
    done = slm("plan", "pipeline.toml")
    assert "recipe: crash: only when it is named" in done.stdout
    assert "not pretrain: it has no option 'how'" in done.stdout


def test_a_broken_plugin_takes_nobody_down(slm: Slm, pipeline: Write) -> None:
    listed = slm("plugins", "recipe")
    assert listed.returncode == 0
    assert "BROKEN: recipe plugin 'broken' of slm-plugin-probe 1.0 does not import" in listed.stdout
    assert "lora" in listed.stdout
    pipeline("")
    assert "not broken: recipe plugin 'broken' of slm-plugin-probe 1.0" in slm("plan", "pipeline.toml").stdout


def test_a_plugin_is_switched_off_by_name(slm: Slm, pipeline: Write) -> None:
    pipeline("")
    done = slm("plan", "pipeline.toml", "--no-plugin", "load.csv")
    assert "no loader claims 'faqs.csv'" in done.stderr
    assert "csv" not in slm("plugins", "load", SLM_DISABLE_PLUGINS="csv").stdout.split()


def test_a_secret_is_written_nowhere(slm: Slm, tmp_path: Path) -> None:
    (tmp_path / "a.lines").write_text("one\ntwo\n")
    (tmp_path / "pipeline.toml").write_text(
        'name = "x"\ntask = "completion"\n[[load]]\nfrom = "a.lines"\nsecret = "${env:PROBE_PASSWORD}"\n'
    )
    done = slm("run", "pipeline.toml", PROBE_PASSWORD="hunter2hunter2")
    assert "a.lines: wrong password '***'" in done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    for path in written:
        assert b"hunter2" not in path.read_bytes(), path
    assert "no PROBE_PASSWORD" in slm("run", "pipeline.toml").stderr


def test_what_a_plugin_prints_goes_to_the_log(slm: Slm, tmp_path: Path) -> None:
    (tmp_path / "a.lines").write_text("\n".join(f"line {n}" for n in range(40)))
    (tmp_path / "pipeline.toml").write_text(
        'name = "x"\ntask = "completion"\n[[load]]\nfrom = "a.lines"\n[recipe]\nuse = "crash"\nhow = "user"\n'
        '[[observe]]\nuse = "notes"\n'
    )
    done = slm("run", "pipeline.toml")
    assert "the data are too few" in done.stderr
    (log,) = tmp_path.glob("runs/x-*/log.txt")
    assert "noise on standard output" in log.read_text()
    notes = (tmp_path / "notes.txt").read_text().splitlines()
    assert notes[:2] == ["choice load.0", "start load.0"]
    assert notes[-1] == "error recipe"


def test_a_port_in_use_is_told_before_the_model_is_loaded(slm: Slm, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "slm.json").write_text('{"task": "qa", "context": 8}')
    (tmp_path / "model" / "artifact.json").write_text('{"format": "transformers"}')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = slm("serve", "model", "--port", str(port))
    assert done.returncode == 2
    assert f"serve.port: 127.0.0.1:{port}: address already in use; choose another with --port" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "none.toml"), "none.toml: no such file or directory; name a pipeline file"),
        (("serve", "nowhere"), "nowhere: no such folder"),
        (("chat",), "runs: no runs here"),
        (("runs",), "runs: no runs here"),
        (("serve", "."), "not a model made by slm"),
        (("serve", ".", "--host", "0.0.0.0"), "give a key"),
        (("plugins", "lod"), "no hook 'lod'"),
        (("build", "--source", "a.csv", "--task", "qa", "--column", "x"), "--column: write it as field=column"),
    ],
)
def test_a_command_that_cannot_be_done_says_why(slm: Slm, arguments: tuple[str, ...], said: str) -> None:
    done = slm(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_unknown_option_shows_its_usage(slm: Slm) -> None:
    done = slm("run", "--nonsense")
    assert done.returncode == 2
    assert "nonsense" in done.stderr


def test_the_plan_tells_choice_reason_needs_and_the_others(slm: Slm, pipeline: Write, tmp_path: Path) -> None:
    pipeline('[[export]]\nuse = "onnx"\n')
    done = slm("plan", "pipeline.toml")
    assert done.returncode == 0, done.stderr
    for said in ("load.0: csv: it claims '.csv'", "recipe: pretrain: ", "peak memory about", "not lora: ", "split: "):
        assert said in done.stdout, said
    assert not (tmp_path / "runs").exists()


def test_the_schema_says_what_the_reader_says(slm: Slm) -> None:
    import jsonschema

    schema = json.loads(slm("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    good = {"task": "qa", "load": [{"from": "a.csv"}], "recipe": {"use": "lora", "rank": 8}}
    assert not list(check.iter_errors(good))
    for bad in (
        {**good, "tsk": 1},
        {**good, "recipe": {"use": "lora", "rnk": 8}},
        {**good, "recipe": {"use": "pretrain", "rank": 8}},
        {**good, "load": [{}]},
        {**good, "task": "dance"},
    ):
        assert list(check.iter_errors(bad)), bad


def test_the_package_folder_is_not_shadowed_by_the_users_files(slm: Slm, pipeline: Write, tmp_path: Path) -> None:
    pipeline('[recipe]\nuse = "crash"\nhow = "user"\n')
    for name in ("datasets", "pyarrow", "torch", "slm"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    slm_command = Path(sys.executable).with_name("slm")
    done = subprocess.run(
        [slm_command, "run", "pipeline.toml"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
    )  # fmt: skip
    assert "shadowed" not in done.stderr + done.stdout
