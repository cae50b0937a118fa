"""`hpsearch run` and `hpsearch resume`: a search, its progress, and what it found."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from ..errors import SearchStopped, StudyError, counted
from .main import NO_SUCCESS, only_json, start_keras
from .options import BUDGET, NONE, OFFLINE, PLACE, WORKERS, fixed, with_options
from .rebuild import FROM_MLFLOW, first_steps

__all__ = ["resume_command", "run_command", "start_workers", "which_study"]


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
@with_options(BUDGET)
@with_options(WORKERS)
@click.option(
    "--seed",
    type=int,
    metavar="N",
    help="Makes a sequential search repeatable; under auto as long as "
    "it does not change to fast, which depends on the clock.",
)
@click.option(
    "--algo",
    metavar="NAME",
    help="auto, thorough, fast, tpe, random, anneal, qmc or grid. auto is thorough until that takes "
    "a tenth of the trials' time, then fast, which costs a quarter and is a little behind; tpe and "
    "anneal are hyperopt's, qmc is a Sobol sequence. [default: auto]",
)
@click.option(
    "--grid-steps",
    type=int,
    metavar="N",
    help="Values that grid takes from a range without steps. [default: 5]",
)
@click.option(
    "--repeats",
    is_flag=True,
    default=None,
    help="Let auto, thorough and fast try a point again, where scores are noisy.",
)
@click.option(
    "--warm-start",
    metavar="STUDY",
    help="Begin where an earlier study did well, and believe it as far as it proves right; of "
    "its trials those count that have the values of --fix.",
)
@click.option(
    "--fix",
    multiple=True,
    callback=fixed,
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
@click.option(
    "--resume", is_flag=True, default=None, help="Go on with the study of --study if it exists."
)
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
@with_options(PLACE)
@OFFLINE
def run_command(space: str, as_json: bool, folder: Path, **given: Any) -> None:
    """Search SPACE: a ready space's name, or a Python file with a variable `space` (FILE.py:other for another)."""
    before = _recorded_workers(folder, given)
    given = {"folder": folder, **{k: before.get(k) if v is None else v for k, v in given.items()}}
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
@with_options(BUDGET)
@with_options(WORKERS)
@with_options(PLACE)
@OFFLINE
@with_options(FROM_MLFLOW)
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
    """Go on with STUDY, by default the latest, from its record. --max-trials is its total.

    What is not given is as recorded; none takes a limit off, as in --timeout none.
    """
    if from_mlflow or space or new_name:
        first = first_steps(from_mlflow, space, new_name or study, folder, tracking_uri)
        if first is None:
            return
        target, settings, options = first
        if settings.get("workers") == 1:  # one after another: another number is another machine's
            options["workers"] = 1
    else:
        target, settings, options = _recorded(folder, study)
        if given.get("workers") != 0:
            options |= _workers_of(settings)
    budget = {key: value for key, value in settings["budget"].items() if value is not None}
    options |= budget | {key: value for key, value in given.items() if value not in (None, [])}
    options |= {"folder": folder, "tracking_uri": tracking_uri}
    with only_json(as_json) as out:
        _search(target, options, as_json, out)


for _option in resume_command.params:
    if isinstance(_option, click.Option) and _option.name not in ("folder", "new_name"):
        _option.help = re.sub(r"\[default: .*\]", "[default: as recorded]", _option.help or "")


def _recorded_workers(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The workers of a study that goes on."""
    from ..store import Store, studies

    root, name = folder / "studies", given.get("study")
    if not given.get("resume") or given.get("workers") == 0 or name not in studies(root):
        return {}
    with Store.open(root, name, write=False) as store:
        return _workers_of(store.settings)


def _workers_of(settings: dict[str, Any]) -> dict[str, Any]:
    """The workers that a study had: with others it would propose other points."""
    from ..study import WHERE

    return {key: settings[key] for key in WHERE if settings.get(key) is not None}


def _recorded(folder: Path, study: str | None) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What a study here searches, its settings, and the options that go on with it."""
    from ..store import Store
    from ..study import folder_option

    name = which_study(folder, study)
    with Store.open(folder / "studies", name, write=False) as store:
        settings = store.settings
    if settings.get("source") is None:
        raise StudyError(
            f"Study {name!r} was begun by a script. Run the script again with "
            f"study={name!r}, resume=True."
        )
    variable = str(settings["target"]).removeprefix(str(settings["source"]))
    if not Path(settings["source"]).exists():
        raise StudyError(
            f"Study {name!r} searched {settings['source']}, which is not there any more. If it was "
            f"moved: hpsearch run FILE{variable} --study {name} --resume{folder_option(folder)}"
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
    known = {k: None if v is NONE else v for k, v in known.items()}
    options = options_from({"workers": None, **known})
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
    """What comes before a search, which may be interrupted as well."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted before the search began.", err=True)
        raise


def start_workers(options: Any) -> Any:
    """The workers of options, None for none. Their fork server imports Keras while we do."""
    from ..study import planned

    settled = planned(options)
    if settled is None:
        return None
    settled.start_server(options.folder, keras=True)
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # the GPUs are the workers'
    return settled


def _announce(session: Any, watch: Any) -> None:
    options, count = session.options, len(session.problem.parameters)
    budget = counted(options.total, "trial") if options.total else "until its budget is used up"
    workers = f", {session.plan.in_words()}" if session.plan else ""
    watch.note(
        f"Study {session.store.name}: {counted(count, 'parameter')}, {session.problem.direction} "
        f"{session.problem.metric}, {options.algo}, seed {session.seed}, {budget}{workers}"
        f"{_limits_in_words(options)}."
    )
    if options.max_trials is None and options.total is not None:
        watch.note(f"No budget was given: {options.total} trials. Others: --max-trials, --timeout.")
    session.note_grid()


def _limits_in_words(options: Any) -> str:
    """What kills a trial, for the line that announces a search."""
    from .texts import duration_text, memory_text

    limits = []
    if options.trial_timeout is not None:
        limits.append(duration_text(options.trial_timeout))
    if options.trial_memory is not None:
        limits.append(memory_text(options.trial_memory))
    return f", each trial at most {' and '.join(limits)}" if limits else ""


def _interrupted(session: Any) -> None:
    from ..record import ui_line
    from ..study import folder_option

    counts, where = session.result().counts, folder_option(session.options.folder)
    text = f"Interrupted after {counted(counts['total'], 'trial')}; all are kept. "
    text += f"Go on with: hpsearch resume {session.store.name}{where}"
    if not session.options.offline:
        text += f"\nLook at it:  hpsearch ui{where}, or {ui_line(session.uri)}"
    click.echo(text, err=True)
