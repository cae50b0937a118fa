"""What the commands print on standard output: results, studies and trials as text."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from ..errors import counted
from ..study import Result, folder_option, value_text
from ..trial import Status, Trial
from .texts import duration_text, short_labels

__all__ = ["brief", "point_lines", "print_result", "print_table", "when", "whole"]


LOCAL_PAGES = "http://127.0.0.1:5000"
WIDTH_OF_A_PIPE = 160  # columns; a file has no width of its own


def print_result(session: Any, result: Result) -> None:
    """The end of a search: the best, the baselines, the test score, and where to go on."""
    counts = result.counts
    now = f", {counts['total'] - session.before} of them now," if session.before else ""
    click.echo(
        f"\n{counted(counts['total'], 'trial')}{now} in {duration_text(result.seconds)}: "
        f"{counts['finished']} finished, {counts['failed']} failed. Stopped: {result.ended_by}."
    )
    best = result.best
    if best is None:
        where = folder_option(session.options.folder)
        click.echo(f"No trial succeeded. See: hpsearch show {result.study}{where}")
    else:
        found = f"{result.metric} {value_text(best.value)} in trial {best.number}"
        click.echo(f"Found {found}{against(result)}.")
        for line in point_lines(best.point):
            click.echo(f"  {line}")
        if best.test:
            click.echo(f"On the test data: {metrics_text(best.test)}.")
    _print_ways_on(session, result)


def against(result: Result) -> str:
    """The baselines beside the best, in words."""
    winner = None if result.best is None else result.best.number
    if any(trial.number == winner and trial.source == "baseline" for trial in result.trials):
        name = next(trial.name for trial in result.trials if trial.number == winner)
        return f", the baseline {name}: nothing has beaten it yet"
    told = [
        f"baseline {trial.name} {value_text(trial.value)}"
        if trial.status is Status.OK
        else f"baseline {trial.name} {trial.status.value}"
        for trial in result.trials
        if trial.source == "baseline"
    ]
    return f"; {', '.join(told)}" if told else ""


def _print_ways_on(session: Any, result: Result) -> None:
    from ..record import ui_line

    where = folder_option(session.options.folder)
    study = f"{result.study}{where}"
    ways = []
    if failed := result.counts["failed"]:
        ways.append((f"{failed} failed", f"hpsearch failures {study}"))
    if result.best is not None and session.problem.space is not None:
        ways.append(("The winner as plain Keras", f"hpsearch best {study} --code"))
    if session.options.offline:
        ways.append(("Every trial", f"hpsearch show {study} --all"))
    else:
        ways.append(("Look at it in MLflow", f"hpsearch ui{where}"))
    click.echo("")
    for what, command in ways:
        click.echo(f"{what + ':':<28}{command}")
    if not session.options.offline:
        click.echo(f"  or                        {ui_line(session.uri)}")
    if result.link and not session.options.offline:
        pages = ui_line(session.uri) if session.uri.startswith("http") else LOCAL_PAGES
        click.echo(f"  then                      {pages.rstrip('/')}/{result.link}")


def point_lines(point: Mapping[str, Any]) -> list[str]:
    """A point, a label a line, values aligned."""
    width = max((len(label) for label in point), default=0)
    return [f"{label:<{width}}  {whole(value)}" for label, value in point.items()]


def metrics_text(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value_text(value)}" for name, value in metrics.items())


def whole(value: Any) -> str:
    """A value of a point as text, floats to six digits that count."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: int = 0) -> None:
    """A table without frames; the first `right` columns hold numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i < right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(str(cell).replace("[", "\\[") for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_OF_A_PIPE
    console.print(table)


def when(seconds: float | None) -> str:
    """A time in the local zone, to the minute."""
    if seconds is None:
        return ""
    return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def trial_row(trial: Trial, run_id: str | None = None) -> list[str]:
    """One trial for a table: number, value, status, seconds, and its point in brief."""
    name = f"{trial.name}: " if trial.name else ""
    text = f"{name}{brief(trial.point)}" if trial.error is None else f"{name}{trial.error}"
    seconds = (
        f"{trial.seconds:.1f}" if trial.seconds else ""
    )  # a driver that was killed has told none
    return [str(trial.number), value_text(trial.value), trial.status.value, seconds, text]


def brief(point: Mapping[str, Any]) -> str:
    """A point on one line, labels as short as they can be told apart."""
    names = short_labels(point)
    return ", ".join(f"{names[label]}={_short(value)}" for label, value in point.items())


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
