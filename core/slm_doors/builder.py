"""The Python door: the same kernel as the command line, behind a few chained calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

from slm.errors import SlmError
from slm.pipeline import Pipeline
from slm.run import Run


def table_of(
    name: str,
    source: str,
    task: str,
    *,
    recipe: str | None = None,
    base: str = "scratch",
    columns: Mapping[str, str] | None = None,
    exports: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The pipeline of one source as a TOML table; `options` are the recipe's."""
    load: dict[str, Any] = {"from": source, **({"columns": dict(columns)} if columns else {})}
    trained = {**({"use": recipe} if recipe else {}), **(options or {})}
    table: dict[str, Any] = {"name": name, "task": task, "base": base, "load": [load]}
    if trained:
        table["recipe"] = trained
    if exports:
        table["export"] = [{"use": each} for each in exports]
    return table


def write_pipeline(table: Mapping[str, Any], file: Path) -> Path:
    """Write a pipeline file; SlmError where the file is there and says something else: it may be the user's work."""
    import tomli_w

    text = tomli_w.dumps(dict(table))
    if file.exists() and file.read_text(encoding="utf-8") != text:
        raise SlmError(f"{file}: is there already and says something else; slm run it, or give another --name")
    file.write_text(text, encoding="utf-8")
    return file


@define
class SLMBuilder:
    """Builds one model: `SLMBuilder("faq-bot").build_from_csv("faqs.csv", task="qa", recipe="lora")`.

    `folder` is where relative paths start and where runs are kept. Raises what `slm.run.run` raises.
    """

    name: str
    folder: Path = field(default=Path(), converter=Path)
    table: dict[str, Any] = field(factory=dict, init=False)
    done: Run | None = field(default=None, init=False)

    def build_from_csv(self, source: str | Path, task: str, **how: Any) -> SLMBuilder:
        """Load, train and evaluate; `how` may hold recipe, base, columns, exports and options (the recipe's)."""
        self.table = table_of(self.name, str(source), task, **how)
        return self.run()

    build_from = build_from_csv
    """The same for any source that an installed loader claims."""

    def run(self) -> SLMBuilder:
        """Run the pipeline as it stands; what is kept from before is not done again."""
        self.done = Pipeline.from_table(self.table, self.folder).run()
        return self

    def export(self, use: str, **options: Any) -> SLMBuilder:
        """Export the trained model too, and check the artifact against it."""
        self.table.setdefault("export", []).append({"use": use, **options})
        return self.run()

    @property
    def result(self) -> Run:
        """The finished run: model, artifacts, metrics; SlmError before the first build."""
        if self.done is None:
            raise SlmError("nothing is built yet: call build_from_csv first")
        return self.done

    def ask(self, text: str, max_tokens: int = 256) -> str:
        """The model's answer to one question."""
        from slm_doors.opening import find, open_engine
        from slm_doors.talk import answer

        engine, _ = open_engine(find(self.result.folder))
        try:
            return "".join(answer(engine, [{"role": "user", "content": text}], max_tokens))
        finally:
            engine.close()

    def serve(self, **how: Any) -> None:
        """Serve until interrupted; `how` may hold model, engine, host, port and key."""
        from slm_doors.serving import serve

        serve(self.result.folder, **how)
