"""The points that a study tries before any suggestion: baselines, then what is enqueued."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeAlias

from ..errors import PointError, counted
from ..trial import Trial
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
    ran = {trial.name for trial in trials if trial.source == "baseline"}
    enqueued = sum(trial.source == "enqueued" for trial in trials)
    found: list[First] = [
        *(("baseline", name, point) for name, point in _baselines(problem, options, ran, note)),
        *(("enqueued", None, point) for point in [*options.enqueue][enqueued:]),
    ]
    if left is not None and len(found) > left:
        note(
            f"--max-trials {options.total} (max_trials={options.total}) leaves out "
            f"{counted(len(found) - left, 'point')} of those to run first; a resume with more "
            "trials runs them."
        )
    return found


def _baselines(
    problem: Problem, options: Options, ran: Collection[str | None], note: Callable[[str], None]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    fixed = problem.parameters.with_fixed(options.fix)
    for name, point in problem.baselines.items() if options.baselines else ():
        try:
            agreed(fixed, point)
        except PointError as error:
            note(f"The baseline {name!r} is left out: {error}")
        else:
            if name not in ran:
                yield name, point
