"""The command `slm`: reads arguments, calls the kernel, and turns errors into one line and an exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slm import __version__
from slm.errors import PluginError, SlmError, StageError
from slm_doors.annotate import app as annotate
from slm_doors.paths import shortest

if TYPE_CHECKING:
    from slm.pipeline import Pipeline
    from slm.registry import Registry
    from slm.run import Run

app = typer.Typer(
    name="slm",
    help="From your own data to a small, specialised language model, served.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(annotate, name="annotate")

File = Annotated[Path, typer.Argument(help="The pipeline file.")]
What = Annotated[
    Path | None, typer.Argument(help="A run, a pipeline file or a model's folder; the newest run if left out.")
]
Sets = Annotated[list[str], typer.Option("--set", help="Override a key: recipe.epochs=1.")]
Runs = Annotated[Path | None, typer.Option("--runs", help="Where runs are kept (default: runs beside the pipeline).")]
Without = Annotated[list[str], typer.Option("--no-plugin", help="Do not use this plugin: csv, or load.csv.")]
Columns = Annotated[list[str], typer.Option("--column", help="Which column is which field: prompt=Question.")]
Engine = Annotated[str | None, typer.Option(help="The engine to open it with.")]
Which = Annotated[str | None, typer.Option("--model", help="Which of a run's results: model, or an export's name.")]


STOPPED = "interrupted; the same command goes on from here"


def columns_of(pairs: list[str]) -> dict[str, str]:
    """`prompt=Question` as a table."""
    columns = dict(each.split("=", 1) for each in pairs if "=" in each)
    if len(columns) != len(pairs):
        raise SlmError("--column: write it as field=column, such as prompt=Question")
    return columns


def registry(without: list[str]) -> Registry:
    """The installed plugins, less those switched off."""
    from slm.registry import Registry, disabled

    return Registry(blocked=disabled() | frozenset(without))


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """From your own data to a small, specialised language model, served."""
    if version:
        print(f"slm {__version__}")
        raise typer.Exit


@app.command()
def run(pipeline: File, set_: Sets = [], runs: Runs = None, no_plugin: Without = []) -> None:  # noqa: B006
    """Run a pipeline: load, clean, train, evaluate, export. Stopped at any moment, the same command goes on."""
    from slm.pipeline import Pipeline

    finish(Pipeline.from_toml(pipeline, set_), runs, no_plugin)


def finish(pipeline: Pipeline, runs: Path | None, without: list[str]) -> Run:
    """Run a pipeline with progress on the terminal, and say what it gave and what to do next."""
    from slm.run import run
    from slm_doors.progress import Progress, metrics_table

    with Progress() as progress:
        done = run(pipeline, runs, registry(without), progress.show)
    if len(done.kept) == len(done.results):
        print("Nothing to do: every stage is kept from before.")
    if done.metrics:
        print(f"\n{metrics_table(done.metrics)}")
    where = shortest(done.folder)
    print(f"\nModel, exports, metrics and log: {where}")
    if pipeline.head.task != "classification":
        print(f"Chat with it:  slm chat {where}")
    print(f"Serve it:      slm serve {where}")
    return done


@app.command()
def plan(pipeline: File, set_: Sets = [], runs: Runs = None, no_plugin: Without = []) -> None:  # noqa: B006
    """Say what would run, why, with how much memory and time, and what else was possible. Spends nothing."""
    from slm.pipeline import Pipeline
    from slm.plan import make_plan
    from slm.run import runs_folder
    from slm_doors.listing import describe, kept_steps
    from slm_runs.store import Store

    read = Pipeline.from_toml(pipeline, set_)
    made = make_plan(read, registry(no_plugin))
    print(describe(made, kept_steps(made, Store(runs_folder(read, runs) / "store"))))


@app.command()
def preview(
    source: Annotated[str, typer.Argument(help="Where the records are: a path, glob or address.")],
    task: Annotated[str | None, typer.Option(help="What the model is to do; guessed if left out.")] = None,
    use: Annotated[str | None, typer.Option(help="The loader; the one that claims the address if left out.")] = None,
    column: Columns = [],  # noqa: B006
    set_: Annotated[list[str], typer.Option("--set", help="An option of the loader: sheet=Prices.")] = [],  # noqa: B006
    rows: Annotated[int, typer.Option(help="How many records to show.")] = 3,
    no_plugin: Without = [],  # noqa: B006
) -> None:
    """Show a source's columns, its first records as they would be mapped, and the task they fit. Reads no further."""
    from slm.pipeline import override
    from slm_doors.preview import describe, look

    options: dict[str, Any] = {}
    for each in set_:
        override(options, each)
    columns = columns_of(column)
    seen = look(source, use=use, options=options, registry=registry(no_plugin))
    for line in describe(seen, source, task, columns, rows):
        print(line)


@app.command()
def build(
    source: Annotated[str, typer.Option(help="Where the records are: a path, glob or address.")],
    task: Annotated[str, typer.Option(help="qa, instruction, chat, completion or classification.")],
    recipe: Annotated[str | None, typer.Option(help="How to train; chosen if left out.")] = None,
    base_model: Annotated[str, typer.Option(help="A folder, a hub id, or scratch.")] = "scratch",
    name: Annotated[str | None, typer.Option(help="The model's name; the source's if left out.")] = None,
    column: Columns = [],  # noqa: B006
    export: Annotated[list[str], typer.Option(help="Export to this format too.")] = [],  # noqa: B006
    set_: Sets = [],  # noqa: B006
    runs: Runs = None,
    no_plugin: Without = [],  # noqa: B006
) -> None:
    """Build a model in one command; writes the pipeline file that it ran."""
    from slm.pipeline import Pipeline, override
    from slm_doors.builder import table_of, write_pipeline

    columns = columns_of(column)
    title = name or Path(source).stem
    table = table_of(title, source, task, recipe=recipe, base=base_model, columns=columns, exports=export)
    for each in set_:
        override(table, each)
    file = write_pipeline(table, Path(f"{title}.toml"))
    print(f"Wrote {file}")
    finish(Pipeline.from_toml(file), runs, no_plugin)


@app.command()
def serve(
    what: What = None,
    model: Which = None,
    engine: Engine = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on (default 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on (default 8080; 0 for any).")] = None,
    key: Annotated[str | None, typer.Option(envvar="SLM_KEY", help="Answer only requests with this key.")] = None,
    runs: Runs = None,
) -> None:
    """Serve a model: OpenAI's API, a chat page, and /classify for classifiers."""
    from slm_doors.serving import serve

    serve(what, model=model, engine=engine, host=host, port=port, key=key, runs=runs)


@app.command()
def chat(
    what: What = None,
    model: Which = None,
    engine: Engine = None,
    once: Annotated[str | None, typer.Option(help="Ask this, print the answer, and end.")] = None,
    max_tokens: Annotated[int, typer.Option(help="The longest answer, in tokens.")] = 256,
    runs: Runs = None,
) -> None:
    """Talk to a model in the terminal; an empty line or Ctrl-D ends, /new forgets what was said."""
    from slm_doors.opening import find, open_engine
    from slm_doors.talk import talk

    opened, choice = open_engine(find(what, runs, model), engine)
    talk(opened, choice.name, once, max_tokens)


@app.command()
def inspect(
    pipeline: File,
    records: Annotated[int, typer.Option(help="How many records to show.")] = 3,
    set_: Sets = [],  # noqa: B006
    runs: Runs = None,
    no_plugin: Without = [],  # noqa: B006
) -> None:
    """Show exactly which tokens are trained: the first records, as the trainer will see them."""
    from slm.pipeline import Pipeline
    from slm.run import run, run_folder, runs_folder
    from slm_doors.inspect import inspect

    read = Pipeline.from_toml(pipeline, set_)
    done = run(read, runs, registry(no_plugin), only=("load", "preprocess", "annotate"))
    trained = run_folder(read, runs_folder(read, runs)) / "model"
    for heading, tokens in inspect(done, trained, records):
        typer.secho(heading, bold=True)
        if sys.stdout.isatty():
            line = "".join(
                typer.style(text, fg="green", bold=True) if on else typer.style(text, dim=True) for text, on in tokens
            )
        else:
            line = "".join(f"[{text}]" if on else text for text, on in tokens)
        print(f"{line}\n" if tokens else "", end="\n" if tokens else "")


@app.command()
def runs(folder: Annotated[Path, typer.Argument(help="A folder of runs.")] = Path("runs")) -> None:
    """List the runs of a folder, the newest first."""
    from slm_doors.listing import run_lines

    for line in run_lines(folder):
        print(line)


@app.command()
def plugins(hook: Annotated[str | None, typer.Argument(help="Only this hook's plugins.")] = None) -> None:
    """List the installed plugins, the broken ones marked."""
    from slm_doors.listing import plugin_lines

    for line in plugin_lines(registry([]), hook):
        print(line)


@app.command()
def hardware() -> None:
    """Say what this machine offers."""
    from slm_facts.hardware import describe, profile

    print(describe(profile()))


@app.command()
def schema() -> None:
    """Print a JSON Schema of pipeline files, made from the installed plugins, for editors."""
    import json

    from slm_doors.listing import json_schema

    print(json.dumps(json_schema(registry([])), indent=2))


def main() -> Any:
    """The entry point: errors are one line; 2 for what the user can mend, 1 for a failure, 130 for Ctrl-C."""
    try:
        code = app(standalone_mode=False)
        return refuse(STOPPED, 130) if code == 130 else code  # typer makes Ctrl-C this number
    except SlmError as error:
        return refuse(str(error), 2)
    except (StageError, PluginError) as error:
        return refuse(str(error), 1)
    except (KeyboardInterrupt, typer.Abort):
        return refuse(STOPPED, 130)
    except Exception as error:
        if show := getattr(error, "show", None):  # a mistake on the command line, with its usage
            show()
            return 2
        raise


def refuse(text: str, code: int) -> int:
    """Print an error and give its exit code."""
    sys.stdout.flush()
    print("\n".join(line if n else f"error: {line}" for n, line in enumerate(text.splitlines())), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
