"""`hpsearch check`: what a space is, and whether its models can be built, before any training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..errors import SpaceError, counted
from .main import only_json, start_keras, waiting
from .options import NONE, PLACE, SIZE, TIME, WORKERS_COUNT
from .run import start_workers

__all__ = ["check_command"]

MOST_NAMED = 12  # values in one message


@click.command(
    "check",
    epilog="""\b
Examples:
  hpsearch check digits_mlp
  hpsearch check my_space.py --json
  hpsearch check my_space.py --workers 0    # in this process, where breakpoint() works""",
)
@click.argument("space")
@click.option(
    "-w",
    "--workers",
    type=WORKERS_COUNT,
    envvar="HPSEARCH_WORKERS",
    metavar="N",
    help="0 builds in this process, for pdb; else in one of its own, which may hang or crash.",
)
@click.option(
    "--trial-timeout",
    type=TIME,
    metavar="TIME",
    help="Give a point up that takes longer, but not before 60 s; its data has 10m more. "
    "[default: 10m, the data 1h]",
)
@click.option(
    "--trial-memory",
    type=SIZE,
    metavar="SIZE",
    help="Give a point up that holds more, such as 4GB. [default: none]",
)
@PLACE[0]
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check_command(space: str, folder: Path, as_json: bool, **given: Any) -> None:
    """Build the few points of SPACE (a name, FILE.py or FILE.py:other) that together take every option; train nothing.

    Shows labels, shapes, numbers of weights, branches that can never be reached and values that no
    point could be tried with; fails where a model or what it is trained with cannot be built, or no
    trial would report the metric that is searched for.
    """
    from ..space import glance

    glance(space)  # before Keras is imported, which takes seconds
    options = _options(folder, given)
    with only_json(as_json) as out:
        with waiting(f"Building models of {space}") as tell:
            plan = start_workers(options)
            start_keras(folder)
            loaded, found = _surveyed(space, options, plan, tell)
        if as_json:
            out(json.dumps(_as_json(loaded, found)))
        else:
            _print(loaded, found)
    if found.failed:
        raise SpaceError(f"{len(found.failed)} of the points tried cannot be built; see above.")


def _options(folder: Path, given: dict[str, Any]) -> Any:
    from ..study import make_folder, options_from

    known = {name: value for name, value in given.items() if value not in (None, NONE)}
    workers = min(1, known.pop("workers", 1))  # models are built one after another
    options = options_from({"max_trials": 1, "folder": folder, **known, "workers": workers})
    make_folder(options.folder)
    return options


def _surveyed(target: str, options: Any, plan: Any, tell: Callable[[str], None]) -> tuple[Any, Any]:
    """The space and what was found; shows what its code has printed in another process."""
    from ..preflight import first_look, survey
    from ..space import load
    from ..study import looks_at, problem_of

    loaded = load(target)
    problem, seed = problem_of(loaded), 0

    def note(text: str) -> None:
        click.echo(text, err=True)

    def printed(text: str) -> None:
        click.echo(text, err=True, nl=False)

    engine = problem.engine(seed)
    with looks_at(problem, options, plan, engine, seed, note, printed) as looks:
        first_look(looks, note)
        return loaded, survey(looks, tell)


def _print(loaded: Any, found: Any) -> None:
    from .tables import print_table

    space = loaded.space
    goal = "maximize" if space.maximize else "minimize"
    click.echo(
        f"{loaded.name} ({space.fingerprint}): {counted(len(space.parameters), 'parameter')}, {goal} {space.metric}\n"
    )
    rows = [[label, repr(p.word), _active(p)] for label, p in space.parameters.items()]
    print_table(["label", "word", "active"], rows)
    sizes = [item.params for item in found.looks]
    if sizes:
        several = "" if min(sizes) == max(sizes) else f"{min(sizes):,} to "
        click.echo(f"\n{_points(found)}: {several}{counted(max(sizes), 'weight')}.")
        shapes = sorted({item.output for item in found.looks})
        click.echo(f"Output {', '.join(shapes)}; reports {', '.join(found.looks[0].metrics)}.")
    if space.max_params is not None:
        over = sum(size > space.max_params for size in sizes)
        click.echo(f"max_params={space.max_params:,} would reject {over} of them.")
    if found.uncovered:
        values = [f"{label} = {value!r}" for label, value in found.uncovered]
        more = f" and {len(values) - MOST_NAMED} more" if len(values) > MOST_NAMED else ""
        click.echo(
            f"Not tried, no legal point found in time: {', '.join(values[:MOST_NAMED])}{more}."
        )
    for label in found.dead:
        click.echo(f"Never active: {label}. Its conditions exclude each other.")
    for cause in found.warnings:
        click.echo(f"\nWarning: {cause.text}\n  {_at(cause)}", err=True)
    for cause in found.errors:
        click.echo(f"\nCannot be built: {cause.text}\n  {_at(cause)}", err=True)


def _at(cause: Any) -> str:
    """Where it happens: the options that set its points apart, and one of the points."""
    apart = " and ".join(f"{label} = {value!r}" for label, value in cause.shared.items())
    number = len(cause.points)
    which = f"in all {number} points with {apart}, " if apart else f"in {number} points, "
    if number == 1:
        which = f"with {apart}, " if apart else ""
    return f"{which}at {json.dumps(cause.points[0])}"


def _points(found: Any) -> str:
    built, failed = len(found.looks), len(found.failed)
    if found.uncovered or found.dead:
        what = "take the options and ends that were reached"
    else:
        what = "take every option and both ends of every range"
    if failed:
        return f"{counted(built + failed, 'point')} {what}, of which {built} can be built"
    return f"{counted(built, 'point')} {what}"


def _active(parameter: Any) -> str:
    from ..declare import Word

    if parameter.always:
        return "always"
    places = [
        " and ".join(
            f"{g.labels[0]} = {g.expected!r}"
            if isinstance(g.condition, Word)
            else repr(g.condition)
            for g in place
        )
        for place in parameter.places
    ]
    return "if " + " or ".join(dict.fromkeys(places))


def _as_json(loaded: Any, found: Any) -> dict[str, Any]:
    space = loaded.space
    sizes = [item.params for item in found.looks]
    return {
        "space": loaded.name,
        "fingerprint": space.fingerprint,
        "labels": {label: p.word.describe() for label, p in space.parameters.items()},
        "points": len(sizes),
        "params": [min(sizes), max(sizes)] if sizes else None,
        "metrics": list(found.looks[0].metrics) if found.looks else [],
        "dead": found.dead,
        "uncovered": [{"label": label, "value": value} for label, value in found.uncovered],
        "failed": [{"point": point, "error": error} for point, error in found.failed],
        "causes": [_cause_as_json(cause) for cause in found.errors],
        "warnings": [_cause_as_json(cause) for cause in found.warnings],
    }


def _cause_as_json(cause: Any) -> dict[str, Any]:
    return {
        "text": cause.text,
        "points": len(cause.points),
        "shared": cause.shared,
        "example": cause.points[0],
    }
