"""What a run says while it runs, in a terminal and elsewhere, and its metrics as a table."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import Any

import pytest

from slm.plugin import Event, Metric, Metrics, Needs
from slm_doors.annotate import quiet
from slm_doors.progress import Progress, metrics_table
from slm_facts.units import duration, figure, gigabytes


def said(events: Iterable[Event], *, terminal: bool = False) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True)
    with Progress(stream, terminal=terminal) as progress:
        for event in events:
            progress.show(event)
    stream.seek(0)
    return stream.read()


def event(kind: str, time: float = 0, **data: Any) -> Event:
    return Event(kind, "recipe", time, data)


START = event("start", title="train", plugin="lora", predicted={"memory": 1.8e9, "seconds": 200})


def test_a_stage_is_told_in_lines_that_say_what_how_far_and_how_long() -> None:
    lines = said(
        [
            event("choice", plugin="lora", why="fits 4 GB of memory"),
            START,
            event("progress", 0, done=0, total=100, unit="steps"),
            event("progress", 10, done=20, total=100, unit="steps", loss=2.34567, tokens_per_second=270.0),
            event("warning", text="3 rows were cut"),
            event("figure", name="validation_loss", value=1.5),
            event("end", 50, seconds=50.2, memory=1.9e9, kept=False, summary=""),
        ]
    ).splitlines()
    assert lines == [
        "recipe: lora, fits 4 GB of memory",
        "train (lora): started, predicted 3 min 20 s and 1.8 GB",
        "train (lora): 0 of 100 steps (0%)",
        "train (lora): 20 of 100 steps (20%), 2 steps/s, 40 s left, loss 2.346, 270 tokens/s",
        "warning: recipe: 3 rows were cut",
        "done train (lora): 50 s, 1.9 GB at its peak, loss 2.346, 270 tokens/s, validation loss 1.500",
    ]


def test_lines_of_one_stage_come_no_faster_than_every_five_seconds() -> None:
    ticks = [event("progress", n / 100, done=n, total=3000, unit="steps") for n in range(3000)]
    assert len(said([START, *ticks]).splitlines()) == 1 + 6


def test_a_resumed_stage_counts_its_speed_from_where_it_resumed() -> None:
    ticks = [event("progress", time, done=900 + time, total=1000, unit="steps") for time in (0, 10)]
    assert "910 of 1,000 steps (91%), 1 steps/s, 1 min 30 s left" in said(ticks)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_stage_that_runs_again_counts_its_speed_anew_where_ends_are_not_told(terminal: bool) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True)
    with Progress(stream, terminal=terminal) as progress:
        show = quiet(progress)
        for begun in (0, 1000):
            for passed in (0, 10):
                show(event("progress", begun + passed, done=passed, total=100, unit="steps"))
            show(event("end", begun + 20, seconds=20.0, kept=False))
    stream.seek(0)
    text = stream.read()
    if not terminal:
        line = "recipe: 10 of 100 steps (10%), 1 steps/s, 1 min 30 s left"
        assert text.splitlines() == ["recipe: 0 of 100 steps (0%)", line] * 2
    assert "done" not in text


def test_without_a_terminal_there_are_no_control_characters() -> None:
    odd = event("progress", done=1, total=2, unit="a\x1b[31mb")
    text = said([START, odd, event("error", message="broken\r\nin two\x07")])
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    assert text.splitlines()[-1].startswith("failed train (lora): broken")


def test_a_terminal_gets_a_bar_that_makes_place_for_a_tick() -> None:
    events = [START, *(event("progress", n, done=n, total=9, unit="steps", loss=1.0) for n in range(10))]
    assert "9/9" in said(events, terminal=True)
    text = said([*events, event("end", seconds=9.0, memory=2e9, kept=False, summary="loss 1.0")], terminal=True)
    assert "✓ train (lora): 9.0 s, 2.0 GB at its peak, loss 1.0" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_words_in_brackets_are_shown_as_they_are() -> None:
    assert "column [bold]x[/bold] and [/]" in said(
        [event("warning", text="column [bold]x[/bold] and [/]")], terminal=True
    )


@pytest.mark.parametrize("terminal", [False, True])
def test_a_result_from_before_is_said_to_be_kept(terminal: bool) -> None:
    assert "recipe: kept from before, 213 records" in said(
        [event("end", kept=True, summary="213 records")], terminal=terminal
    )


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(
    "odd",
    [
        event("progress", done=1, total=0, unit="rows"),
        event("progress", done=0.5, total=1.5, unit="epochs"),
        event("progress", done=1, total=2, unit="steps", loss=float("nan")),
        event("figure", name="confusion", value=[[1, 2]]),
        event("figure", name="validation_loss", value=1.0),
        event("end", seconds=None, memory=None),
        event("start", title="x", predicted=None),
        event("start", title="x", predicted=Needs(memory=5)),
        event("stage_split_in_two"),
        event("_say"),
    ],
)
def test_odd_events_are_shown_or_passed_over(odd: Event, terminal: bool) -> None:
    said([START, odd, odd], terminal=terminal)


def test_metrics_stand_by_test_set_with_their_baselines_beside_them() -> None:
    table = metrics_table(
        {
            "known": Metrics(
                (
                    Metric("exact_match", 0.9731, 0.958, 0.984, 600),
                    Metric("exact_match", 0.012, 0.006, 0.02, 600, "most_frequent"),
                    Metric("perplexity", 12.3456, 11, 13, 600, better="lower"),
                )
            ),
            "new": Metrics((Metric("accuracy", 1, 0.99, 1, 30_000),)),
            "empty": Metrics(()),
        }
    )
    assert table.splitlines() == [
        "known (600 records)",
        "                               model                 most frequent",
        "  exact match                  0.973 [0.958, 0.984]  0.012 [0.006, 0.020]",
        "  perplexity (less is better)  12.35 [11.00, 13.00]",
        "",
        "new (30,000 records)",
        "            model",
        "  accuracy  1.000 [0.990, 1.000]",
    ]


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1.83e9, "1.8 GB"), (25e9, "25 GB"), (999.9e6, "1.0 GB"), (5.2e12, "5.2 TB")],
)
def test_bytes_in_words(count: float, words: str) -> None:
    assert gigabytes(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (59.7, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (86400, "1 d")],
)
def test_seconds_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(12345.6, "12,346"), (97.314, "97.31"), (0.04123, "0.04123"), (3, "3"), (float("inf"), "inf"), (123.45, "123.5")],
)
def test_figures_in_words(value: float, words: str) -> None:
    assert figure(value) == words
