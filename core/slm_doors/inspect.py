"""What the trainer will see: records as tokens, with the trained ones marked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median

from slm.errors import SlmError
from slm.run import Run
from slm_data.dataset import read_splits
from slm_models.template import Example, Prompter, derive_interface


def prompter_of(run: Run, trained: Path | None) -> Prompter:
    """The tokenizer and template of the trained model, or of the base that will be trained."""
    job = run.plan.job
    if trained and (trained / "slm.json").is_file():
        return Prompter.open(trained)
    if job.base.path is None or not (job.base.path / "tokenizer.json").is_file():
        raise SlmError("the tokenizer is trained with the model: slm run the pipeline, then inspect it")
    return Prompter.open(job.base.path, derive_interface(job.base.path, job.task))


def inspect(run: Run, trained: Path | None, count: int) -> Iterator[tuple[str, list[tuple[str, bool]]]]:
    """For each of the first training records: a heading, and its tokens with whether the loss counts them.

    The last heading, without tokens, sums up all training records.
    """
    prompter = prompter_of(run, trained)
    last = [step for step in run.plan.steps if step.kind in ("load", "preprocess")][-1]
    data = read_splits(
        *(run.results[path].folder for path in ((last.path,) if last.kind == "preprocess" else run.results))
    )
    train = data["train"]
    if run.plan.job.task == "classification":
        for record in islice(train, count):
            ids = prompter.text(record["text"])
            yield f"{record['source']} -> label {record['label']!r}", [(token(prompter, i), False) for i in ids]
        return
    examples = prompter.examples(train)
    lengths, targets, over = [], 0, 0
    for n, example in enumerate(examples):
        if n < count:
            yield train[n]["source"], marked(prompter, example)
        lengths.append(len(example.ids))
        targets += sum(example.targets)
        over += len(example.ids) > prompter.interface.context
    stops = ", ".join(repr(prompter.tokenizer.id_to_token(i)) for i in prompter.interface.stop)
    yield (
        (
            f"{len(lengths):,} training records: {sum(lengths):,} tokens, of which {targets:,} "
            f"({targets / max(1, sum(lengths)):.0%}) are trained; median {median(lengths or [0]):.0f}, "
            f"longest {max(lengths or [0])}, {over} longer than the context of {prompter.interface.context}; "
            f"answers end with {stops}"
        ),
        [],
    )


def marked(prompter: Prompter, example: Example) -> list[tuple[str, bool]]:
    """Each token's text, and whether it is a target."""
    return [(token(prompter, i), target) for i, target in zip(example.ids, example.targets, strict=True)]


def token(prompter: Prompter, index: int) -> str:
    """A token as a person reads it: special ones by name, others by their text."""
    name = str(prompter.tokenizer.id_to_token(index))
    return name.replace("\u0120", " ").replace("\u2581", " ").replace("\u010a", "\\n").replace("<0x0A>", "\\n")
