"""`hpsearch run` and `hpsearch resume`: a search, its progress, and what it found."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from ..errors import PointError, SearchStopped, StudyError
from .main import NO_SUCCESS, only_json, start_keras
from .rebuild import FROM_MLFLOW, first_steps

__all__ = [
    "MOST_WORKERS",
    "PLACE",
    "as_duration",
    "resume_command",
    "run_command",
    "start_workers",
    "which_study",
]

MOST_WORKERS = 1000  # more is a slip of the hand, and each takes a gigabyte


def _other_name(wanted: str) -> Callable[..., Any]:
    def refuse(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value is not None:
            raise click.UsageError(f"{param.opts[0]} is --{wanted} here.")

    return refuse


def as_duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Read an option as `seconds_of` does, for click."""
    from ..study.written import seconds_of

    try:
        return None if value is None else seconds_of(value)
    except StudyError as error:
        raise click.BadParameter(str(error)) from None


def _memory(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    from ..study.written import bytes_of

    try:
        return None if value is None else bytes_of(value)
    except StudyError as error:
        raise click.BadParameter(str(error)) from None


def _fixed(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
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


def _points(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> list[dict[str, Any]]:
    from ..study.written import read_points

    try:
        return [point for text in values for point in read_points(text)]
    except PointError as error:
        raise click.BadParameter(str(error)) from None


BUDGET = [
    click.option("-n", "--max-trials", type=int, metavar="N", help="The study's total of finished, failed and pruned trials. 50 where no budget is given."),
    click.option("--timeout", callback=as_duration, metavar="TIME", help="Seconds, or 90s, 30m, 2h; the running trial ends at its next report."),
    click.option("--target", type=float, metavar="VALUE", help="Stop when a trial reaches this value."),
    click.option("--no-progress", type=int, metavar="N", help="Stop after N trials without a better one."),
    click.option("--max-consecutive-failures", type=int, metavar="N", help="Stop after N failures in a row. [default: 20]"),
    click.option("--enqueue", multiple=True, callback=_points, metavar="JSON|FILE", help="Points to run first, as a JSON object or a file of them; missing labels are suggested."),
    click.option("--keep-models", type=int, metavar="K", help="Keep and log the models of the K best trials. [default: 1]"),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output and nothing else."),
    click.option("--max-evals", hidden=True, callback=_other_name("max-trials"), expose_value=False),
    click.option("--n-trials", hidden=True, callback=_other_name("max-trials"), expose_value=False),
]  # fmt: skip
WORKERS = [
    click.option("-w", "--workers", type=click.IntRange(0, MOST_WORKERS), envvar="HPSEARCH_WORKERS", metavar="N", help="Trials side by side, each in a process of its own; 0 runs them in this one, for pdb. [default: one per GPU, else per core]"),
    click.option("--gpus-per-trial", type=float, metavar="G", help="A whole number, or a part of a GPU such as 0.5; 0 for none. [default: 1 where there are any]"),
    click.option("--trial-timeout", callback=as_duration, metavar="TIME", help="Kill a trial that trains for longer; it counts as failed."),
    click.option("--trial-memory", callback=_memory, metavar="SIZE", help="Kill a trial whose processes hold more, such as 4GB, beyond what earlier trials left in the worker (Keras itself takes about 0.2, with spawn 0.7)."),
    click.option("--start-method", type=click.Choice(["forkserver", "spawn"]), help="How worker processes start. [default: forkserver; spawn on macOS]"),
]  # fmt: skip
PLACE = [
    click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("mlruns"), show_default=True, help="Where studies and the default MLflow store live."),
    click.option("--tracking-uri", metavar="URI", help="MLflow's store. [default: MLFLOW_TRACKING_URI, else sqlite:///mlruns/mlflow.db]"),
]  # fmt: skip
OFFLINE = click.option("--offline", is_flag=True, default=None, help="Leave MLflow alone; `hpsearch sync` tells it everything later.")  # fmt: skip


def _with(options: list[Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@click.command(
    "run",
    epilog="""\b
Examples:
  hpsearch run digits_mlp --max-trials 20 --seed 1
  hpsearch run my_space.py --timeout 2h --workers 4 --trial-timeout 10m
  hpsearch run my_space.py --fix model.dense.units=64 --enqueue '{"optimizer": "adam"}'
  hpsearch run my_space.py --study tonight --resume --json > result.json""",
)
@click.argument("space")
@_with(BUDGET)
@_with(WORKERS)
@click.option("--seed", type=int, metavar="N", help="Makes a sequential search repeatable.")
@click.option(
    "--algo", metavar="NAME", help="auto, tpe, random, anneal, qmc or grid. [default: auto]"
)
@click.option(
    "--grid-steps",
    type=int,
    metavar="N",
    help="Values that grid takes from a range without steps. [default: 5]",
)
@click.option(
    "--fix",
    multiple=True,
    callback=_fixed,
    metavar="LABEL=VALUE",
    help="Fix a parameter wherever it is active; VALUE is JSON, else a string.",
)
@click.option(
    "--baselines/--no-baselines",
    default=None,
    help="Run the space's baselines first. [default: yes]",
)
@click.option(
    "--study", metavar="NAME", help="The study's name. [default: the space's and the next number]"
)
@click.option("--resume", is_flag=True, default=None, help="Go on with the study if it exists.")
@click.option(
    "--experiment",
    metavar="NAME",
    help="MLflow's experiment. [default: MLFLOW_EXPERIMENT_NAME, else the space's name]",
)
@click.option(
    "--check/--no-check",
    default=None,
    help="Try one point before the search starts. [default: yes]",
)
@_with(PLACE)
@OFFLINE
def run_command(space: str, as_json: bool, **given: Any) -> None:
    """Search SPACE: a ready space's name, or a Python file with a variable `space` (FILE.py:other for another)."""
    with only_json(as_json) as out:
        _search(space, given, as_json, out)


@click.command(
    "resume",
    epilog="""\b
Examples:
  hpsearch resume                          # the latest study
  hpsearch resume digits_mlp-1 --max-trials 40
  hpsearch resume tonight --timeout 1h
  hpsearch resume --from-mlflow RUN_ID --space my_space.py    # on another machine""",
)
@click.argument("study", required=False)
@_with(BUDGET)
@_with(WORKERS)
@_with(PLACE)
@OFFLINE
@_with(FROM_MLFLOW)
def resume_command(
    study: str | None,
    as_json: bool,
    folder: Path,
    tracking_uri: str | None,
    from_mlflow: str | None,
    space: str | None,
    new_name: str | None,
    **given: Any,
) -> None:
    """Go on with STUDY, by default the latest, from its record. --max-trials is its total."""
    if from_mlflow or space or new_name:
        first = first_steps(from_mlflow, space, new_name or study, folder, tracking_uri)
        if first is None:
            return
        target, settings, options = first
        if settings.get("workers") == 1:  # one after another: another number is another machine's
            options["workers"] = 1
    else:
        target, settings, options = _recorded(folder, study)
    budget = {key: value for key, value in settings["budget"].items() if value is not None}
    options |= budget | {key: value for key, value in given.items() if value not in (None, [])}
    options |= {"folder": folder, "tracking_uri": tracking_uri}
    with only_json(as_json) as out:
        _search(target, options, as_json, out)


def _recorded_workers(given: dict[str, Any]) -> dict[str, Any]:
    """The workers that a study which goes on had: with others it would propose other points."""
    from ..store import Store, studies
    from ..study import WHERE

    root, name = given["folder"] / "studies", given.get("study")
    if not given.get("resume") or given.get("workers") == 0 or name not in studies(root):
        return {}
    with Store.open(root, name, write=False) as store:
        settings = store.settings
    return {key: settings[key] for key in WHERE if settings.get(key) is not None}


def _recorded(folder: Path, study: str | None) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What a study here searches, its settings, and the options that go on with it."""
    from ..store import Store

    name = which_study(folder, study)
    with Store.open(folder / "studies", name, write=False) as store:
        settings = store.settings
    if settings.get("source") is None:
        raise StudyError(
            f"Study {name!r} was begun by a script. Run the script again with "
            f"study={name!r}, resume=True."
        )
    return settings["target"], settings, {"study": name, "resume": True}


def which_study(folder: Path, name: str | None) -> str:
    """The study that was asked for, or the latest."""
    from ..errors import nearest
    from ..store import studies

    found = studies(folder / "studies")
    if not found:
        raise StudyError(
            f"There is no study in {folder.absolute()}. Start one: `hpsearch run digits_mlp "
            "--max-trials 20`; or say where they are with --folder."
        )
    if name is None:
        return found[0]
    if name not in found:
        raise StudyError(f"There is no study {name!r} in {folder}/. {nearest(name, found)}")
    return name


def _search(target: str, given: dict[str, Any], as_json: bool, out: Callable[[str], Any]) -> None:
    from ..space import glance
    from ..study import Session, check_new, make_folder, options_from, problem_of
    from .progress import watcher

    glance(target)  # before Keras is imported, which takes seconds
    # What was not given is left out: on resume the record knows it.
    known = {k: v for k, v in given.items() if v not in (None, [], {})}
    options = options_from({"workers": None, **_recorded_workers(known), **known})
    make_folder(options.folder)
    check_new(options)
    watch = watcher()
    with _beginning():
        plan = start_workers(options)
        start_keras(options.folder)
        command = shlex.join(["hpsearch", *sys.argv[1:]])
        begun = Session(problem_of(target), options, watch, command=command, plan=plan)
    with begun as session:
        try:
            _announce(session, watch)
            result = session.run()
        except KeyboardInterrupt:
            _interrupted(session)
            raise
        except SearchStopped as error:
            result = session.result(str(error))
            click.echo(f"Error: {error}", err=True)
        if as_json:
            out(json.dumps(result.as_json(), allow_nan=False))
        else:
            from .tables import print_result

            print_result(session, result)
    if result.best is None:
        raise click.exceptions.Exit(NO_SUCCESS)


@contextlib.contextmanager
def _beginning() -> Iterator[None]:
    """What comes before a search, of which nothing is left if it is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted before the search began.", err=True)
        raise


def start_workers(options: Any) -> Any:
    """The workers of options, None for none. Their fork server imports Keras while we do."""
    from ..execute.process import start_server
    from ..study import planned

    settled = planned(options)
    if settled is None:
        return None
    if settled.method == "forkserver":
        start_server(options.folder / "startup.log", keras=True)
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # the GPUs are the workers'
    return settled


def _announce(session: Any, watch: Any) -> None:
    from .texts import counted

    options, count = session.options, len(session.problem.parameters)
    budget = counted(options.total, "trial") if options.total else "until its budget is used up"
    workers = f", {session.plan.in_words()}" if session.plan else ""
    watch.note(
        f"Study {session.store.name}: {counted(count, 'parameter')}, {session.problem.direction} "
        f"{session.problem.metric}, {options.algo}, seed {session.seed}, {budget}{workers}."
    )
    if options.algo == "auto":
        watch.note(
            "algo auto is hyperopt's tpe after 20 quasi-random trials, until we have our own."
        )
    if options.max_trials is None and options.total is not None:
        watch.note(f"No budget was given: {options.total} trials. Others: --max-trials, --timeout.")
    if options.algo == "grid":
        from ..suggest import grid_size

        fixed = session.problem.parameters.with_fixed(options.fix)
        size = grid_size(fixed, options.grid_steps)
        watch.note(f"The grid has {size if size is not None else 'more than 1,000,000'} points.")


def _interrupted(session: Any) -> None:
    from ..record import ui_line
    from ..study import folder_option
    from .texts import counted

    counts, where = session.result().counts, folder_option(session.options.folder)
    text = f"Interrupted after {counted(counts['total'], 'trial')}; all are kept. "
    text += f"Go on with: hpsearch resume {session.store.name}{where}"
    if not session.options.offline:
        text += f"\nLook at it:  hpsearch ui{where}, or {ui_line(session.uri)}"
    click.echo(text, err=True)
