"""Answers compared with the expected ones, beside what a copy of the training data would have answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import field, frozen
from attrs.validators import ge

from slm.plugin import (
    Bid,
    Engine,
    Evaluator,
    Hardware,
    Job,
    Metric,
    Metrics,
    Needs,
    Rank,
    Request,
    SlmError,
    Work,
    hookimpl,
)
from slm_evaluators.baselines import most_frequent, nearest
from slm_evaluators.intervals import mean, share
from slm_evaluators.sample import sample
from slm_evaluators.text import exact, normalized, rouge_l, token_f1

if TYPE_CHECKING:
    import datasets

LONGEST = 1024
TRAIN_ROWS = 50_000
Record = Mapping[str, Any]


@frozen
class Generation(Evaluator):
    """Asks the test questions and compares the answers: exact match, token F1 and ROUGE-L, beside two baselines."""

    limit: int = field(default=500, validator=ge(0), metadata={"help": "Most test records to ask; 0 asks all."})
    max_tokens: int = field(
        default=0, validator=ge(0), metadata={"help": "Longest answer in tokens; 0 fits it to the expected answers."}
    )
    batch: int = field(default=32, validator=ge(1), metadata={"help": "Questions given to the engine at once."})
    baselines: bool = field(default=True, metadata={"help": "Measure the trivial baselines beside the model."})

    def bid(self, job: Job, hardware: Hardware) -> Bid:
        """For every task whose records are conversations."""
        if job.task not in ("qa", "instruction", "chat"):
            return Bid(Rank.NO, f"a {job.task} model is not asked questions")
        # 64 tokens an answer; a core decodes about 7e9 weights a second when several answers share the reading
        seconds = (self.limit or 1000) * 64 * job.base.parameters / (7e9 * max(hardware.cores, 1))
        return Bid(Rank.GOOD, "compares answers with the expected ones", Needs(5 * job.base.parameters, seconds))

    @hookimpl
    def evaluate(  # type: ignore[override]  # it asks for no more than it uses
        self, engine: Engine, data: datasets.Dataset, train: datasets.Dataset | None, work: Work
    ) -> Metrics:
        """Writes `predictions.jsonl`, the wrong answers first."""
        pairs = [(record, *split(record)) for record in sample(data, self.limit, work)]
        questions, expected = [turns for _, turns, _ in pairs], [answer for _, _, answer in pairs]
        answers = self.ask(engine, questions, expected, work)
        values = compare(answers, expected, "model", work.seed)
        if self.baselines and train is not None and len(train):
            values += baseline_figures(train, questions, expected, work)
        write_predictions([record for record, _, _ in pairs], questions, answers, expected, work)
        return Metrics(tuple(values), ("predictions.jsonl",))

    def ask(
        self, engine: Engine, questions: Sequence[Sequence[Record]], expected: Sequence[str], work: Work
    ) -> list[str]:
        """The model's greedy answers; an empty one where the question leaves no room in the context."""
        requests = self.requests(engine, questions, expected, work)
        answers = [""] * len(questions)
        for done in range(0, len(requests), self.batch):
            batch = requests[done : done + self.batch]
            for chunk in engine.generate([request for _, request in batch]):
                answers[batch[chunk.index][0]] += chunk.text
            work.progress(min(done + self.batch, len(requests)), len(requests), "answers")
        return answers

    def requests(
        self, engine: Engine, questions: Sequence[Sequence[Record]], expected: Sequence[str], work: Work
    ) -> list[tuple[int, Request]]:
        """What to generate and for which question, the shortest prompts first: batches of like lengths."""
        prompter, context = engine.prompter, engine.prompter.interface.context
        longest = self.max_tokens or min(LONGEST, 8 + max(len(prompter.encode(text)) for text in expected) * 3 // 2)
        prompts = [prompter.prompt([{**turn} for turn in turns]) for turns in questions]
        fitting = [n for n, prompt in enumerate(prompts) if len(prompt) < context]
        if len(fitting) < len(prompts):
            work.warn(
                f"{len(prompts) - len(fitting):,} questions fill the model's context of {context:,}: counted wrong"
            )
        fitting.sort(key=lambda n: len(prompts[n]))
        return [(n, Request(tuple(prompts[n]), min(longest, context - len(prompts[n])))) for n in fitting]


def split(record: Record) -> tuple[list[Record], str]:
    """The turns before a record's last answer, and that answer; SlmError for a record without one."""
    turns = record["messages"]
    answers = [n for n, turn in enumerate(turns) if turn["role"] == "assistant"]
    if not answers:
        raise SlmError(
            f"{record.get('source', 'test set')}: a conversation without an answer; drop it from the test set"
        )
    return turns[: answers[-1]], turns[answers[-1]]["content"]


def asked(turns: Sequence[Record]) -> str:
    """The conversation's words, one turn a line."""
    return "\n".join(turn["content"] for turn in turns)


def compare(answers: Sequence[str], expected: Sequence[str], subject: str, seed: int) -> list[Metric]:
    """Every figure of a list of answers."""
    pairs = list(zip(answers, expected, strict=True))
    figures: list[tuple[str, Callable[[str, str], float]]] = [("token_f1", token_f1), ("rouge_l", rouge_l())]
    return [
        share("exact_match", [exact(answer, wanted) for answer, wanted in pairs], subject),
        share("normalized_match", [normalized(answer) == normalized(wanted) for answer, wanted in pairs], subject),
        *(mean(name, [figure(*pair) for pair in pairs], subject, seed) for name, figure in figures),
    ]


def baseline_figures(
    train: datasets.Dataset, questions: Sequence[Sequence[Record]], expected: Sequence[str], work: Work
) -> list[Metric]:
    """The same figures for the commonest answer, and for the answer to the most similar of the first 50,000 records."""
    known = [split(record) for record in train.select(range(min(len(train), TRAIN_ROWS)))]
    answers = [answer for _, answer in known]
    near = nearest([asked(turns) for turns, _ in known], [asked(turns) for turns in questions])
    return [
        *compare([most_frequent(answers)] * len(questions), expected, "most frequent answer", work.seed),
        *compare([answers[n] for n in near], expected, "nearest neighbour", work.seed),
    ]


def write_predictions(
    records: Sequence[Record],
    questions: Sequence[Sequence[Record]],
    answers: Sequence[str],
    expected: Sequence[str],
    work: Work,
) -> None:
    """One line a record: what was asked, answered and expected; wrong answers first, else in the test set's order."""
    lines = [
        {
            "id": record.get("id"),
            "prompt": asked(turns),
            "answer": answer,
            "expected": wanted,
            "exact": exact(answer, wanted),
            "token_f1": round(token_f1(answer, wanted), 4),
        }
        for record, turns, answer, wanted in zip(records, questions, answers, expected, strict=True)
    ]
    with (work.folder / "predictions.jsonl").open("w", encoding="utf-8") as file:
        for line in sorted(lines, key=lambda line: bool(line["exact"])):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
