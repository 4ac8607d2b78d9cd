"""Shows a run's events: a bar for each running stage in a terminal, plain lines elsewhere; and metrics as a table."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from attrs import define, field

from slm.values import Event, Metric, Metrics
from slm_facts.units import duration, figure, gigabytes

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

PAUSE = 5.0  # seconds between two lines of one stage where there is no terminal
SAID = ("done", "total", "unit")


@define
class _Stage:
    """What is known of a running stage; `first` is where this process found it: a resumed one did not start at 0."""

    title: str
    first: tuple[float, float] | None = None
    spoke: float = float("-inf")
    bar: Any = None
    figures: dict[str, float] = field(factory=dict)

    def reached(self, event: Event) -> tuple[float, float, float]:
        """Done, total, and units a second by the events' times (0 while unknown)."""
        done, total = float(event.data.get("done", 0)), float(event.data.get("total", 0))
        self.figures |= {k: v for k, v in event.data.items() if k not in SAID and isinstance(v, int | float)}
        if self.first is None:
            self.first = (event.time, done)
        passed = event.time - self.first[0]
        return done, total, max(0.0, (done - self.first[1]) / passed) if passed > 0 else 0.0


@define
class Progress:
    """A context manager that shows events on `stream` (standard output) as they come."""

    stream: TextIO | None = None
    terminal: bool | None = None
    _stages: dict[str, _Stage] = field(factory=dict, init=False)
    _bars: Bars | None = field(default=None, init=False)

    def __enter__(self) -> Progress:
        stream = self.stream or sys.stdout
        self.stream = stream
        if self.terminal if self.terminal is not None else stream.isatty():
            self._bars = _bars(stream)
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()

    def show(self, event: Event) -> None:
        """Show one event; kinds it does not know are passed over."""
        said = getattr(self, f"_{event.kind}", None)
        if event.kind in ("choice", "start", "progress", "warning", "figure", "end", "error") and said is not None:
            said(event)

    def close(self, name: str) -> _Stage | None:
        """Forget a stage, without a word: one of that name may come again. Gives it, if there was one."""
        stage = self._stages.pop(name, None)
        if self._bars is not None and stage is not None and stage.bar is not None:
            self._bars.remove_task(stage.bar)
        return stage

    def _choice(self, event: Event) -> None:
        self._say(f"{event.stage}: {event.data['plugin']}, {event.data['why']}", "dim")

    def _start(self, event: Event) -> None:
        plugin, title = event.data.get("plugin"), str(event.data.get("title") or event.stage)
        self._stages[event.stage] = _Stage(title if not plugin or plugin in title else f"{title} ({plugin})")
        stage = self._stages[event.stage]
        if self._bars is not None:
            stage.bar = self._bars.add_task(stage.title, total=None, count="", note="")
        else:
            self._say(_joined(f"{stage.title}: started", _predicted(event.data.get("predicted"))))

    def _progress(self, event: Event) -> None:
        stage = self._stages.setdefault(event.stage, _Stage(event.stage))
        done, total, rate = stage.reached(event)
        unit, left = str(event.data.get("unit", "")), duration((total - done) / rate) if rate and total > done else ""
        note = _joined(f"{figure(rate)} {unit}/s" if rate else "", f"{left} left" if left else "", *_figures(stage))
        if self._bars is not None:
            if stage.bar is None:
                stage.bar = self._bars.add_task(stage.title, total=None, count="", note="")
            count = f"{figure(done)}/{figure(total)}" if total else figure(done)
            self._bars.update(stage.bar, completed=done, total=total or None, count=count, note=note)
        elif event.time - stage.spoke >= PAUSE:
            stage.spoke = event.time
            whole, share = (f" of {figure(total)}", f" ({done / total:.0%})") if total else ("", "")
            self._say(_joined(f"{stage.title}: {figure(done)}{whole} {unit}{share}", note))

    def _figure(self, event: Event) -> None:
        if isinstance(event.data.get("value"), int | float) and event.stage in self._stages:
            self._stages[event.stage].figures[str(event.data["name"])] = event.data["value"]

    def _warning(self, event: Event) -> None:
        self._say(f"warning: {event.stage}: {event.data['text']}", "yellow")

    def _end(self, event: Event) -> None:
        stage, summary = self._closed(event), str(event.data.get("summary") or "")
        if event.data.get("kept"):
            self._say(_joined(f"{self._mark('=', 'kept')} {stage.title}: kept from before", summary), "cyan")
            return
        memory = event.data.get("memory")
        said = f"{self._mark('✓', 'done')} {stage.title}: {duration(event.data.get('seconds') or 0)}"
        peak = f"{gigabytes(memory)} at its peak" if memory else ""
        self._say(_joined(said, peak, summary or _joined(*_figures(stage))), "green")

    def _error(self, event: Event) -> None:
        self._say(f"{self._mark('✗', 'failed')} {self._closed(event).title}: {event.data['message']}", "red")

    def _closed(self, event: Event) -> _Stage:
        return self.close(event.stage) or _Stage(str(event.data.get("title") or event.stage))

    def _mark(self, sign: str, word: str) -> str:
        encoding = (getattr(self.stream, "encoding", None) or "ascii").lower()
        return sign if self._bars is not None and encoding.startswith("utf") else word

    def _say(self, text: str, style: str = "") -> None:
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split(" "))
        if self._bars is not None:
            self._bars.console.print(line, style=style or None, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self.stream, flush=True)


def _bars(stream: TextIO) -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
    from rich.table import Column

    texts = {"description": Column(no_wrap=True), "fields[count]": Column(no_wrap=True)}
    texts["fields[note]"] = Column(no_wrap=True, ratio=1)  # in a narrow terminal the note gives way, not the bar
    made = (TextColumn(f"{{task.{t}}}", style="none", markup=False, table_column=column) for t, column in texts.items())
    title, count, note = made
    console = Console(file=stream, force_terminal=True)
    columns = (SpinnerColumn("line"), title, BarColumn(24, table_column=Column(min_width=12)), count, note)
    return Progress(*columns, console=console, transient=True, expand=True)


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _figures(stage: _Stage) -> list[str]:
    """`loss 2.346`, `270 tokens/s`, in the order in which they were first told."""
    rates = {name: name.removesuffix("_per_second") for name in stage.figures}
    return [
        f"{figure(value)} {rates[name]}/s" if name != rates[name] else f"{name.replace('_', ' ')} {figure(value)}"
        for name, value in stage.figures.items()
    ]


def _predicted(needs: Any) -> str:
    """A stage's `Needs`, or their JSON."""
    if not isinstance(needs, Mapping):
        needs = {name: getattr(needs, name, 0) for name in ("seconds", "memory")}
    words = [word(needs[name]) for name, word in (("seconds", duration), ("memory", gigabytes)) if needs.get(name)]
    return f"predicted {' and '.join(words)}" if words else ""


def metrics_table(metrics: Mapping[str, Metrics]) -> str:
    """Measured figures by test set: a row a metric, a column a subject (the model, then each baseline), with 95% CI."""
    return "\n\n".join(_block(split, found.values) for split, found in metrics.items() if found.values)


def _block(split: str, values: tuple[Metric, ...]) -> str:
    subjects = sorted(dict.fromkeys(value.subject for value in values), key=lambda subject: subject != "model")
    names = dict.fromkeys((value.name, value.better) for value in values)
    cells = {(value.name, value.subject): _cell(value) for value in values}
    rows = [["", *(subject.replace("_", " ") for subject in subjects)]]
    for name, better in names:
        label = name.replace("_", " ") + (" (less is better)" if better == "lower" else "")
        rows.append([label, *(cells.get((name, subject), "") for subject in subjects)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    counts = " / ".join(f"{count:,}" for count in sorted({value.count for value in values}))
    return "\n".join([f"{split} ({counts} records)", *(f"  {line}" for line in lines)])


def _cell(metric: Metric) -> str:
    digits = next((n for n, bound in ((3, 2), (2, 100), (1, 1000)) if abs(metric.high) < bound), 0)
    value, low, high = (f"{number:,.{digits}f}" for number in (metric.value, metric.low, metric.high))
    return f"{value} [{low}, {high}]"
