"""The options that several commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, final

import click

from ..errors import PointError, StudyError

__all__ = [
    "BUDGET",
    "NONE",
    "OFFLINE",
    "PLACE",
    "SIZE",
    "TIME",
    "WORKERS",
    "WORKERS_COUNT",
    "fixed",
    "with_options",
]

MOST_WORKERS = 1000  # more is a slip of the hand, and each takes a gigabyte


def _other_name(wanted: str) -> Callable[..., Any]:
    def refuse(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value is not None:
            raise click.UsageError(f"{param.opts[0]} is --{wanted} here.")

    return refuse


@final
class _OrNone(click.ParamType):  # type: ignore[type-arg]  # not generic in older click
    """What `read` makes of a text; the word none is `NONE`, which takes a recorded limit off."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name, self._read = name, read

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.strip().lower() == "none":
            return NONE
        try:
            return self._read(value)
        except StudyError as error:
            self.fail(str(error), param, ctx)
        except ValueError:
            self.fail(f"{value[:80]!r} is not a valid {self.name}.", param, ctx)


def _seconds(text: str) -> float:
    from ..study.written import seconds_of

    return seconds_of(text)


def _bytes(text: str) -> int:
    from ..study.written import bytes_of

    return bytes_of(text)


def _workers(text: str) -> int:
    if not text.strip().isdecimal() or int(text) > MOST_WORKERS:
        raise StudyError(f"Workers are a whole number from 0 to {MOST_WORKERS}, got {text[:80]!r}.")
    return int(text)


NONE: Final = object()
COUNT = _OrNone("integer", int)
NUMBER = _OrNone("number", float)
TIME = _OrNone("time", _seconds)
SIZE = _OrNone("size", _bytes)
WORKERS_COUNT = _OrNone("number of workers", _workers)


def fixed(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    """Read ``label=value`` for click."""
    from ..study.written import strict_json

    fixed: dict[str, Any] = {}
    for text in values:
        label, equals, value = text.partition("=")
        if not equals or not label:
            raise click.BadParameter(f"write label=value, got {text[:80]!r}.")
        if label in fixed:
            raise click.BadParameter(f"{label!r} is fixed twice. Give one value.")
        try:
            fixed[label] = strict_json(value)
        except ValueError:
            fixed[label] = value
    return fixed


def points(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> list[dict[str, Any]]:
    from ..study.written import read_points

    try:
        return [point for text in values for point in read_points(text)]
    except PointError as error:
        raise click.BadParameter(str(error)) from None


BUDGET = [
    click.option("-n", "--max-trials", type=COUNT, metavar="N", help="The study's total of finished, failed and pruned trials. [default: 50 where no budget is given]"),
    click.option("--timeout", type=TIME, metavar="TIME", help="Seconds, or 90s, 30m, 2h; the running trial ends at its next report."),
    click.option("--target", type=NUMBER, metavar="VALUE", help="Stop when a trial reaches this value."),
    click.option("--no-progress", type=COUNT, metavar="N", help="Stop after N trials without a better one."),
    click.option("--max-consecutive-failures", type=int, metavar="N", help="Stop after N failures in a row. [default: 20]"),
    click.option("--enqueue", multiple=True, callback=points, metavar="JSON|FILE", help="Points to run first, as a JSON object or a file of them; missing labels are suggested."),
    click.option("--keep-models", type=int, metavar="K", help="Keep and log the models of the K best trials. [default: 1]"),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output and nothing else."),
    click.option("--max-evals", hidden=True, callback=_other_name("max-trials"), expose_value=False),
    click.option("--n-trials", hidden=True, callback=_other_name("max-trials"), expose_value=False),
]  # fmt: skip
WORKERS = [
    click.option("-w", "--workers", type=WORKERS_COUNT, envvar="HPSEARCH_WORKERS", metavar="N", help="Trials side by side, each in a process of its own; 0 runs them in this one, for pdb. [default: one per GPU, else per core]"),
    click.option("--gpus-per-trial", type=float, metavar="G", help="A whole number, or a part of a GPU such as 0.5; 0 for none. [default: 1 where there are any]"),
    click.option("--trial-timeout", type=TIME, metavar="TIME", help="Kill a trial that trains for longer; it counts as failed. [default: none]"),
    click.option("--trial-memory", type=SIZE, metavar="SIZE", help="Kill a trial whose processes hold more, such as 4GB, beyond what earlier trials left in the worker (Keras itself takes about 0.2, with spawn 0.7). [default: none]"),
    click.option("--start-method", type=click.Choice(["forkserver", "spawn"]), help="How worker processes start. [default: forkserver; spawn on macOS]"),
]  # fmt: skip
PLACE = [
    click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("mlruns"), show_default=True, help="Where studies and the default MLflow store live."),
    click.option("--tracking-uri", metavar="URI", help="MLflow's store. [default: MLFLOW_TRACKING_URI, else sqlite:///mlruns/mlflow.db]"),
]  # fmt: skip
OFFLINE = click.option("--offline/--online", default=None, help="Leave MLflow alone; `hpsearch sync` tells it everything later. A study that goes on stays so, unless it is told --online.")  # fmt: skip


def with_options(options: list[Any]) -> Callable[[Any], Any]:
    """A decorator that gives a command these options, in this order."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate
