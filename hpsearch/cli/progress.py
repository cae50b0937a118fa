"""Live progress of a search on a terminal; plain lines elsewhere.

Rich draws the picture in a thread of its own, four times a second. What it draws from never changes:
the driver's thread, in which a watcher is told, replaces it as a whole.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
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
RATE = 4.0  # pictures per second


def watcher() -> Watcher:
    """The watcher that fits standard error: live on a terminal, else a line per trial."""
    console = Console(stderr=True, highlight=False)
    return Progress(console) if console.is_terminal else Lines()


@final
@dataclass(frozen=True, slots=True)
class _Seen:
    """How the study stands after a trial has started or ended.

    Attributes:
        counts: finished, failed and pruned trials, and their total.
        total: how many there will be, None without such a budget.
        best: the lines about the best trial.
        running: the numbers of the trials that run.
        seconds: what one of the last trials took on average, None before the first has succeeded.
    """

    counts: Mapping[str, int]
    total: int | None
    best: tuple[Text, ...]
    running: tuple[int, ...]
    seconds: float | None


@final
class Progress:
    """A few lines at the foot of the terminal: counts, the best point, what runs, the forecast.

    Args:
        rate: pictures per second.
    """

    def __init__(self, console: Console, *, rate: float = RATE) -> None:
        self._console, self._rate = console, rate
        self._live: Live | None = None
        self._study: Any = None
        self._seconds: deque[float] = deque(maxlen=RECENT)
        self._baselines: list[Trial] = []  # that succeeded
        self._began = time.monotonic()
        # Read by the thread that draws: replaced, never changed.
        self._seen = _Seen({"total": 0, "failed": 0, "pruned": 0}, None, (), (), None)
        self._reports: Mapping[int, Report] = {}

    def begun(self, study: Any) -> None:
        self._study, self._began = study, time.monotonic()
        self._baselines = [trial for trial in study.trials.values() if _is_baseline(trial)]
        self._look()
        self._live = Live(
            get_renderable=self._picture,
            console=self._console,
            refresh_per_second=self._rate,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def started(self, trial: Trial) -> None:
        self._look()

    def reported(self, trial: Trial, report: Report) -> None:
        self._reports = {**self._reports, trial.number: report}

    def ended(self, trial: Trial) -> None:
        self._reports = {n: each for n, each in self._reports.items() if n != trial.number}
        if trial.status is Status.OK:
            self._seconds.append(trial.seconds or 0.0)
        if _is_baseline(trial):
            self._baselines.append(trial)
        self._look()
        if trial.status is Status.OK:
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

    # In the driver's thread.

    def _look(self) -> None:
        """Note how the study stands now."""
        study, recent = self._study, self._seconds
        self._seen = _Seen(
            study.counts(),
            study.total,
            tuple(self._best_lines()),
            tuple(trial.number for trial in study.running),
            sum(recent) / len(recent) if recent else None,
        )

    def _best_lines(self) -> list[Text]:
        best = self._study.best
        if best is None:
            return [Text("no trial has succeeded yet", style="dim")]
        baselines = [f"baseline {t.name} {value_text(t.value)}" for t in self._baselines]
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

    # In the thread that draws.

    def _picture(self) -> Group:
        seen, reports = self._seen, self._reports
        counts, total = seen.counts, seen.total
        head = Table.grid(padding=(0, 2))
        done = f"{counts['total']}/{total}" if total else str(counts["total"])
        bar = ProgressBar(total or 1, counts["total"] if total else 0, width=30, pulse=not total)
        head.add_row(
            f"[bold]{done}[/] trials",
            bar,
            f"{len(seen.running)} running, {counts['failed']} failed, {counts['pruned']} pruned",
            self._forecast(seen, reports),
        )
        return Group(head, *seen.best, *self._running_lines(seen, reports))

    def _forecast(self, seen: _Seen, reports: Mapping[int, Report]) -> str:
        spent = time.monotonic() - self._began
        text = f"{duration_text(spent)} spent"
        if seen.total is None or seen.seconds is None:
            return text
        under_way = sum(min(1.0, (r.epoch + r.fraction) / r.epochs) for r in reports.values())
        beside = max(1, len(seen.running))
        to_do = max(0.0, seen.total - seen.counts["total"] - under_way)
        left = to_do * seen.seconds / beside
        return f"{text}, about {duration_text(left)} left"

    def _running_lines(self, seen: _Seen, reports: Mapping[int, Report]) -> list[Text]:
        lines = []
        for number in seen.running:
            report = reports.get(number)
            at = "starting" if report is None else _position(report, self._study.metric)
            lines.append(Text(f"  trial {number}: {at}"))
        return lines


def _is_baseline(trial: Trial) -> bool:
    return trial.source == "baseline" and trial.status is Status.OK


def _position(report: Report, metric: str) -> str:
    numbers = {k: v for k, v in report.metrics.items() if k in ("loss", metric)}
    shown = ", ".join(f"{name} {value_text(value)}" for name, value in numbers.items())
    done = report.epoch + report.fraction
    # A loop of one's own may run more epochs than Fit says.
    return f"epoch {done:.1f}{f'/{report.epochs}' if done <= report.epochs else ''}  {shown}"


def _brief(value: Any) -> str:
    return value_text(value) if isinstance(value, float) else str(value)


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")
