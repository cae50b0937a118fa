"""Live progress of a search on a terminal; plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..study import Lines, Watcher, value_text
from ..trial import Report, Status, Trial
from .texts import duration_text, short_labels

__all__ = ["Progress", "watcher"]

RECENT = 20  # trials whose duration the forecast looks at


def watcher() -> Watcher:
    """The watcher that fits standard error: live on a terminal, else a line per trial."""
    console = Console(stderr=True, highlight=False)
    return Progress(console) if console.is_terminal else Lines()


@final
class Progress:
    """A few lines at the foot of the terminal: counts, the best point, what runs, the forecast."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._study: Any = None
        self._reports: dict[int, Report] = {}
        self._seconds: deque[float] = deque(maxlen=RECENT)
        self._began = time.monotonic()

    def begun(self, study: Any) -> None:
        self._study, self._began = study, time.monotonic()
        self._live = Live(
            get_renderable=self._picture,
            console=self._console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def started(self, trial: Trial) -> None:
        """Shown by the next picture."""

    def reported(self, trial: Trial, report: Report) -> None:
        self._reports[trial.number] = report

    def ended(self, trial: Trial) -> None:
        self._reports.pop(trial.number, None)
        if trial.status is Status.OK:
            self._seconds.append(trial.seconds or 0.0)
            best = self._study.best
            new = best is not None and best.number == trial.number
            mark = "  [bold green]best so far[/]" if new else ""
            text = f"{self._study.metric} {value_text(trial.value)}{mark}"
        else:
            text = f"[red]{trial.status.value}[/] {_escaped(trial.error or '')}"
        name = f" ({trial.name})" if trial.name else ""
        self._console.print(
            f"trial {trial.number}{name}  {text}  [dim]{duration_text(trial.seconds or 0)}[/]"
        )

    def note(self, text: str) -> None:
        self._console.print(_escaped(text))

    def finished(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _picture(self) -> Group:
        counts, total = self._study.counts(), self._study.total
        head = Table.grid(padding=(0, 2))
        done = f"{counts['total']}/{total}" if total else str(counts["total"])
        bar = ProgressBar(total or 1, counts["total"] if total else 0, width=30, pulse=not total)
        head.add_row(
            f"[bold]{done}[/] trials",
            bar,
            f"{len(self._study.running)} running, {counts['failed']} failed, "
            f"{counts['pruned']} pruned",
            self._forecast(counts["total"], total),
        )
        return Group(head, *self._best_lines(), *self._running_lines())

    def _forecast(self, done: int, total: int | None) -> str:
        spent = time.monotonic() - self._began
        text = f"{duration_text(spent)} spent"
        if total is None or not self._seconds:
            return text
        under_way = sum((r.epoch + r.fraction) / r.epochs for r in self._reports.values())
        mean = sum(self._seconds) / len(self._seconds)
        beside = max(1, len(self._study.running))
        left = max(0.0, total - done - under_way) * mean / beside
        return f"{text}, about {duration_text(left)} left"

    def _best_lines(self) -> list[Text]:
        best = self._study.best
        if best is None:
            return [Text("no trial has succeeded yet", style="dim")]
        baselines = [
            f"baseline {t.name} {value_text(t.value)}"
            for t in self._study.trials.values()
            if t.source == "baseline" and t.status is Status.OK
        ]
        names = short_labels(best.point)
        point = ", ".join(f"{names[k]}={_brief(v)}" for k, v in best.point.items())
        against = f" ({', '.join(baselines)})" if baselines else ""
        title = (
            f"best {self._study.metric} {value_text(best.value)} in trial {best.number}{against}"
        )
        return [
            Text(title, style="green"),
            Text(f"  {point}", style="dim", overflow="ellipsis", no_wrap=True),
        ]

    def _running_lines(self) -> list[Text]:
        lines = []
        for trial in self._study.running:
            report = self._reports.get(trial.number)
            at = "starting" if report is None else _position(report, self._study.metric)
            lines.append(Text(f"  trial {trial.number}: {at}"))
        return lines


def _position(report: Report, metric: str) -> str:
    numbers = {k: v for k, v in report.metrics.items() if k in ("loss", metric)}
    shown = ", ".join(f"{name} {value_text(value)}" for name, value in numbers.items())
    return f"epoch {report.epoch + report.fraction:.1f}/{report.epochs}  {shown}"


def _brief(value: Any) -> str:
    return value_text(value) if isinstance(value, float) else str(value)


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")
