"""Reading pipeline files."""

from pathlib import Path

import pytest

from slm.errors import SlmError
from slm.pipeline import LoadKeys, Pipeline, expand, expand_address
from slm.plan import make_plan
from slm.plugin import Source
from slm.registry import Registry

GOOD = """
name = "support-bot"
task = "qa"
base = "some/model"
[[load]]
from = "faqs.csv"
columns = { prompt = "Question" }
delimiter = ";"
[recipe]
epochs = 3
[[export]]
use = "onnx"
[serve]
port = 8081
"""


def test_the_kernels_keys_stand_apart_from_the_plugins_options(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(GOOD)
    pipeline = Pipeline.from_toml(tmp_path / "p.toml")
    (load,) = pipeline.named("load")
    assert isinstance(load.keys, LoadKeys)
    assert (load.keys.source, load.keys.columns, load.keys.split) == ("faqs.csv", {"prompt": "Question"}, "train")
    assert load.options == {"delimiter": ";"}
    assert pipeline.named("recipe")[0].options == {"epochs": 3}
    assert pipeline.folder == tmp_path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 3", "p.toml:1: name: expected a string, got 3"),
        ("task = ", "p.toml: not TOML"),
        ('tsk = "qa"', "p.toml:1: tsk: unknown key; did you mean 'task'?"),
        ('task = "qaa"', "p.toml:1: task: expected one of 'qa'"),
        ('name = "a b"\ntask = "qa"', "p.toml:1: name: must match regex"),
        ("load = 3", "p.toml:1: load: write it as [[load]]"),
        ("[[recipe]]\nepochs = 1", "p.toml:1: recipe: write it as [recipe]"),
        ("[[load]]\nform = 'x'", "p.toml:1: load.0.from: required, and missing"),
        ("[[load]]\nfrom = 1", "p.toml:2: load.0.from: expected a string, got 1"),
        ("[[load]]\nfrom = 'x'\nsplit = 'A b'", "p.toml:3: load.0.split: must match regex"),
        ("[[preprocess]]\nthreshold = 1", "p.toml:1: preprocess.0.use: required, and missing"),
        ("", "no [[load]]: say where the records are"),
    ],
)
def test_a_mistake_names_file_line_and_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.toml").write_text(text)
    with pytest.raises(SlmError) as caught:
        Pipeline.from_toml("p.toml")
    assert said in str(caught.value)


def test_a_missing_file_and_a_folder_are_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "no.toml", tmp_path):
        with pytest.raises(SlmError, match="name a pipeline file") as caught:
            Pipeline.from_toml(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("recipe.epochs=1", ("recipe", "epochs"), 1),
        ("load.0.from=b.csv", ("load", 0, "from"), "b.csv"),
        ("recipe.use = lora", ("recipe", "use"), "lora"),
        ("serve.port=[1, 2]", ("serve", "port"), [1, 2]),
        ("recipe.keep.deep=true", ("recipe", "keep", "deep"), True),
    ],
)
def test_a_key_is_overridden_from_the_command_line(
    tmp_path: Path, override: str, path: tuple[str, ...], value: object
) -> None:
    import tomllib

    from slm.pipeline import override as apply

    table: object = tomllib.loads(GOOD)
    apply(table, override)  # type: ignore[arg-type]
    for key in path:
        table = table[key]  # type: ignore[index]
    assert table == value


@pytest.mark.parametrize("override", ["epochs", "load.7.from=x", "load.x.from=x", "name.x=1"])
def test_an_override_of_nothing_is_refused(tmp_path: Path, override: str) -> None:
    (tmp_path / "p.toml").write_text(GOOD)
    with pytest.raises(SlmError, match=r"--set"):
        Pipeline.from_toml(tmp_path / "p.toml", [override])


def test_secrets_are_filled_in_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "hunter2")
    secrets: set[str] = set()
    assert expand({"a": ["x ${env:PASSWORD} y", 3]}, secrets) == {"a": ["x hunter2 y", 3]}
    assert secrets == {"hunter2"}


def test_a_password_may_have_any_characters_in_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "a/b@c:d")
    monkeypatch.setenv("WHOLE", "mysql://me:x@there/db?ssl_key=z")
    secrets: set[str] = set()
    address = expand_address("postgresql://me:${env:PASSWORD}@there/db?x=${env:PASSWORD}", secrets)
    assert address == "postgresql://me:a%2Fb%40c%3Ad@there/db?x=a/b@c:d"
    assert Source("postgresql://me:a%2Fb@there/db").shown == "postgresql://me:***@there/db"
    assert secrets >= {"a/b@c:d", "a%2Fb%40c%3Ad"}
    found = Source(expand_address("${env:WHOLE}", secrets))
    assert found.shown == "mysql://me:***@there/db?ssl_key=***"
    assert secrets >= {"x", "z"}


@pytest.mark.parametrize(
    ("load", "say"),
    [
        ('from = "postgresql://me:hunter2@there/db"', "load.0.from: a secret stands in the file"),
        ('from = "https://there/faqs.csv?api_key=hunter2"', "load.0.from: a secret stands in the file"),
        ('from = "rest+https://there/faqs"\ntoken = "hunter2"', "load.0.token: a secret stands in the file"),
    ],
)
def test_a_secret_in_the_file_itself_is_refused(tmp_path: Path, load: str, say: str) -> None:
    file = tmp_path / "pipeline.toml"
    file.write_text(f'task = "qa"\n[[load]]\n{load}\n')
    with pytest.raises(SlmError, match=say) as caught:
        make_plan(Pipeline.from_toml(file), Registry())
    assert "hunter2" not in str(caught.value)
    assert "write ${env:NAME} in its place" in str(caught.value)
    with pytest.raises(SlmError, match="the environment has no NO_SUCH_NAME"):
        expand("${env:NO_SUCH_NAME}")
