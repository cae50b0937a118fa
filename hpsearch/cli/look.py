"""`hpsearch list`, `show` and `export`: what the studies hold. Reading needs no lock."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..errors import StudyError, counted
from .options import PLACE
from .run import which_study

__all__ = ["export_command", "list_command", "show_command"]

MOST_EPOCHS = 20  # shown of one trial
MOST_REPEATS = 5  # shown of the points that were tried more than once

FOLDER = PLACE[0]


def read(folder: Path, name: str | None) -> tuple[str, dict[str, Any], list[Any], dict[Any, str]]:
    """A study's name, settings, latest attempts and MLflow runs.

    The state in the settings is ``"killed"`` where its driver is gone without having said so; what
    that left running is cancelled, as the next driver will record.
    """
    from ..store import Store
    from ..study import latest

    found = which_study(folder, name)
    with Store.open(folder / "studies", found, write=False) as store:
        is_run = store.is_run()  # first: what it has not ended by now may end meanwhile
        trials = list(latest(store.trials()).values())
        settings, runs = store.settings, store.run_ids()
    settings.setdefault("state", "running")
    if settings["state"] == "running" and not is_run:
        settings["state"] = "killed"
        trials = [_cut_off(found, trial) for trial in trials]
    return found, settings, trials, runs


def _cut_off(study: str, trial: Any) -> Any:
    from ..trial import Key, Outcome, Status

    if trial.status is not Status.RUNNING:
        return trial
    key = Key(study, trial.number, trial.attempt)
    text = "the driver ended before this trial did"
    return dataclasses.replace(trial, outcome=Outcome(key, Status.CANCELLED, error=text))


@click.command("list", epilog="\b\nExamples:\n  hpsearch list\n  hpsearch list --json")
@FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def list_command(folder: Path, as_json: bool) -> None:
    """List the studies, the latest first."""
    from ..store import studies
    from ..study import best_of, counts_of, value_text
    from .tables import print_table, when

    rows: list[dict[str, Any]] = []
    ways: list[str] = []
    names = studies(folder / "studies")
    for name in names:
        try:
            _, settings, trials, _ = read(folder, name)
        except StudyError as error:  # the others are none the worse for it
            click.echo(f"{name}: {error}", err=True)
            continue
        best = best_of(trials, maximize=settings["direction"] == "maximize")
        ways += _way_on(name, settings, folder)
        rows.append(
            {
                "study": name,
                "space": settings["space"],
                "objective": f"{settings['direction']} {settings['metric']}",
                "state": settings["state"],
                "best": None if best is None else best.value,
                "trials": counts_of(trials)["total"],
                "max_trials": settings.get("budget", {}).get("max_trials"),
                "begun": min((trial.started for trial in trials), default=None),
            }
        )
    if as_json:
        click.echo(json.dumps(rows))
    elif not names:
        click.echo(f"There is no study in {folder.absolute()}. Start one:")
        click.echo("  hpsearch run digits_mlp --max-trials 20")
    else:
        cells = [
            [
                *(_done(r["trials"], r["max_trials"]), value_text(r["best"])),
                *(r["study"], r["state"]),
                *(r["objective"], when(r["begun"])),
            ]
            for r in rows
        ]
        print_table(["trials", "best", "study", "state", "objective", "begun"], cells, right=2)
        for way in ways:
            click.echo(way)


def _done(trials: int, most: int | None) -> str:
    return str(trials) if most is None else f"{trials} of {most}"


def _way_on(name: str, settings: dict[str, Any], folder: Path) -> list[str]:
    """How to go on with a study that was cut off; nothing to say of any other."""
    from ..study import folder_option

    if settings["state"] not in ("killed", "interrupted"):
        return []
    if settings.get("source") is None:
        return [f"Go on with {name}: run its script with study={name!r}, resume=True"]
    return [f"Go on with {name}: hpsearch resume {name}{folder_option(folder)}"]


@click.command(
    "show",
    epilog="\b\nExamples:\n  hpsearch show\n  hpsearch show digits_mlp-1 --all\n"
    "  hpsearch show digits_mlp-1 12",
)
@click.argument("study", required=False)
@click.argument("number", required=False, type=int)
@FOLDER
@click.option("--all", "every", is_flag=True, help="Show every trial, not the best 20.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_command(
    study: str | None, number: int | None, folder: Path, every: bool, as_json: bool
) -> None:
    """Show STUDY, by default the latest, or trial NUMBER of it."""
    from ..wire import to_json

    if number is None and study is not None and study.isdigit():
        number, study = int(study), None
    name, settings, trials, runs = read(folder, study)
    if number is None:
        if as_json:
            click.echo(to_json({"study": name, "trials": trials}))
        else:
            _show_study(name, settings, trials, every, folder)
        return
    found = [trial for trial in trials if trial.number == number]
    if not found:
        last = max((trial.number for trial in trials), default=None)
        raise StudyError(f"Study {name!r} has no trial {number}; its last is {last}.")
    if as_json:
        click.echo(to_json(found[0]))
    else:
        run_id = runs.get((number, found[0].attempt))
        _show_trial(name, settings, found[0], run_id, folder)


def _show_study(
    name: str, settings: dict[str, Any], trials: list[Any], every: bool, folder: Path
) -> None:
    from ..record import algorithms, assignments, test_of
    from ..report import repeats_of
    from ..study import best_of, counts_of, folder_option, value_text
    from .tables import metrics_text, point_lines, print_table, trial_row

    maximize = settings["direction"] == "maximize"
    most = settings.get("budget", {}).get("max_trials")
    best = best_of(trials, maximize=maximize)
    click.echo(
        f"Study {name}: {settings['direction']} {settings['metric']}, space {settings['space']} "
        f"({settings['fingerprint']}), {algorithms(settings)}, seed {settings['seed']}, "
        f"{settings['state']}, {_done(counts_of(trials)['total'], most)} trials"
    )
    if fixed := settings.get("fix"):
        since = f" from trial {start} on" if (start := settings.get("fix_from")) else ""
        click.echo(f"Fixed{since}: {assignments(fixed)}")
    if settings.get("warm_start"):
        click.echo(f"Started from: {settings['warm_start']['study']}")
    if (fast_from := settings.get("fast_from")) is not None:
        click.echo(f"Suggestions are fast from trial {fast_from} on: trials were short.")
    for way in _way_on(name, settings, folder):
        click.echo(way)
    if best is not None:
        click.echo(f"Best: {value_text(best.value)} in trial {best.number}")
        for line in point_lines(best.point):
            click.echo(f"  {line}")
    if best is not None and (tested := test_of(settings, best.number)):
        click.echo(f"On the test data: {metrics_text(tested)}")
    _show_repeats(repeats_of(trials, maximize=maximize))
    sign = -1 if maximize else 1
    ranked = sorted(trials, key=lambda t: (t.value is None, sign * (t.value or 0), t.number))
    shown = ranked if every else ranked[:20]
    click.echo("")
    columns = ["trial", settings["metric"], "status", "seconds", "point or error"]
    print_table(columns, [trial_row(trial) for trial in shown], right=2)
    if len(shown) < len(trials):
        again = f"hpsearch show {name} --all{folder_option(folder)}"
        click.echo(f"… and {len(trials) - len(shown)} more: {again}")


def _show_repeats(repeats: Sequence[Any]) -> None:
    """The points that were tried several times: of noisy values the best is the luckiest."""
    from ..study import value_text
    from .tables import brief, print_table

    if not repeats:
        return
    rows = [
        [value_text(each.mean), value_text(each.error), len(each.numbers), brief(each.point)]
        for each in repeats[:MOST_REPEATS]
    ]
    click.echo(f"\nTried more than once: {counted(len(repeats), 'point')}")
    print_table(["mean", "its error", "trials", "point"], rows, right=3)
    if len(repeats) > len(rows):
        click.echo(f"… and {len(repeats) - len(rows)} more")


def _show_trial(
    name: str, settings: dict[str, Any], trial: Any, run_id: str | None, folder: Path
) -> None:
    from ..record import why_lines
    from ..study import value_text
    from .tables import point_lines, when

    value = "" if trial.value is None else f", {settings['metric']} {value_text(trial.value)}"
    click.echo(f"Trial {trial.number} of {name}: {trial.status.value}{value}")
    why = [] if trial.why is None else why_lines(trial.why, settings, trial.point)
    rows = {
        "source": f"{trial.source} {trial.name or ''}".strip(),
        **({"why": f"\n{' ' * 14}".join(why)} if why else {}),
        "attempt": trial.attempt + 1,
        "seed": trial.seed,
        "started": when(trial.started),
        "seconds": "" if trial.seconds is None else f"{trial.seconds:.2f}",
        "MLflow run": run_id or "not delivered",
    }
    if trial.outcome is not None:
        epoch = trial.outcome.epoch
        known = {
            "weights": trial.outcome.params,
            "kept epoch": None if epoch is None else epoch + 1,
        }
        rows |= {key: value for key, value in known.items() if value is not None}
        worker = trial.outcome.facts.get("worker")
        if worker is not None:
            rows["printed in"] = folder / "studies" / name / "logs" / f"worker-{worker}.log"
    for key, value in rows.items():
        click.echo(f"  {key:<11} {'' if value is None else value}")
    for line in point_lines(trial.point):
        click.echo(f"  {line}")
    outcome = trial.outcome
    if outcome is not None:
        _show_epochs(outcome)
    if trial.error:
        click.echo(trial.error)
    if outcome is not None and outcome.traceback:
        click.echo(outcome.traceback)


def _show_epochs(outcome: Any) -> None:
    """The first and last epochs of a trial, from 1 as Keras counts, and what `evaluate` gave."""
    from ..study import value_text
    from .tables import metrics_text, print_table

    names = list(outcome.history[-1]) if outcome.history else []
    rows: list[list[Any]] = [
        [epoch, *(value_text(metrics.get(name)) for name in names)]
        for epoch, metrics in enumerate(outcome.history, start=1)
    ]
    if len(rows) > MOST_EPOCHS:
        left_out = [f"… {len(rows) - MOST_EPOCHS} more", *[""] * len(names)]
        rows = [*rows[: MOST_EPOCHS // 2], left_out, *rows[-MOST_EPOCHS // 2 :]]
    if rows:
        print_table(["epoch", *names], rows, right=1 + len(names))
    others = {name: value for name, value in outcome.metrics.items() if name not in names}
    if others:
        click.echo(f"evaluate: {metrics_text(others)}")


@click.command(
    "export",
    epilog="\b\nExamples:\n  hpsearch export -o trials.csv\n"
    "  hpsearch export digits_mlp-1 -o trials.json",
)
@click.argument("study", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A .csv or .json file. [default: CSV on standard output]",
)
@FOLDER
def export_command(study: str | None, output: Path | None, folder: Path) -> None:
    """Write every trial of STUDY, by default the latest, as CSV or JSON."""
    from ..record.content import trials_csv
    from ..wire import to_json

    name, settings, trials, _ = read(folder, study)
    if output is not None and output.suffix not in (".csv", ".json"):
        raise StudyError(f"export writes .csv or .json files, got {output.name!r}.")
    if output is not None and output.suffix == ".json":
        text = to_json({"study": name, "settings": settings, "trials": trials}) + "\n"
    else:
        text = trials_csv(trials, settings["labels"])
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StudyError(f"{output} cannot be written: {error.strerror}.") from None
    click.echo(f"{counted(len(trials), 'trial')} of {name} are in {output}.")
