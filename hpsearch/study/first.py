"""The points that a study tries before any suggestion: baselines, then what is enqueued."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from ..declare import identical
from ..errors import PointError, counted
from ..space import Parameters
from ..trial import Point, Trial
from .options import Options
from .problem import Problem, agreed

__all__ = ["First", "first_points"]

First: TypeAlias = tuple[str, str | None, Mapping[str, Any]]
"""The source of a trial, the baseline's name, and its point, which may lack labels."""


def first_points(
    problem: Problem,
    options: Options,
    trials: Collection[Trial],
    note: Callable[[str], None],
    left: int | None,
) -> list[First]:
    """Return those that did not run yet, in order.

    Args:
        trials: those that the study has had.
        note: is told what is left out, and why.
        left: how many trials the budget allows, None for any number.
    """
    fixed = problem.parameters.with_fixed(options.fix)
    baselines = problem.baselines.items() if options.baselines else ()
    ran = {trial.name for trial in trials if trial.source == "baseline"}
    todo = [
        *(("baseline", name, point) for name, point in baselines if name not in ran),
        *(("enqueued", None, point) for point in _not_run(fixed, options.enqueue, trials)),
    ]
    found: list[First] = []
    for source, name, point in todo:
        try:
            agreed(fixed, point)
        except PointError as error:
            which = f"baseline {name!r}" if name else f"enqueued point {point!r}"
            note(f"The {which} is left out: {error}")
        else:
            found.append((source, name, point))
    if left is not None and len(found) > left:
        note(
            f"--max-trials {options.total} (max_trials={options.total}) leaves out "
            f"{counted(len(found) - left, 'point')} of those to run first; a resume with more "
            "trials runs them."
        )
    return found


def _not_run(
    parameters: Parameters, points: Iterable[Mapping[str, Any]], trials: Iterable[Trial]
) -> Iterator[Mapping[str, Any]]:
    """Those of the enqueued points that no trial was for."""
    ran = [trial.point for trial in trials if trial.source == "enqueued"]
    for point in points:
        given = parameters.check_partial(point)
        of = next((each for each in ran if _has(each, given)), None)
        if of is None:
            yield point
        else:
            ran.remove(of)


def _has(point: Point, given: Point) -> bool:
    return all(label in point and identical(point[label], given[label]) for label in given)
