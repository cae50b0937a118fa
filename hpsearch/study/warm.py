"""Starting from an earlier study: what it knows is kept with the new one, which so repeats itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import PointError, StudyError, counted
from ..space import Parameters
from ..store import Store
from ..trial import Observation, Point, Trial
from .options import Options
from .problem import Problem
from .tally import UNENDED, latest

__all__ = ["Warm", "earlier_of", "warm_start"]

Warm: TypeAlias = dict[str, Any]
"""``{"study": name, "trials": [[number, point, loss], …]}`` as settings keep it."""

MOST = 200  # trials that are kept: the best, and the latest of the rest; more change nothing
NAMED = 6  # labels


def warm_start(
    problem: Problem, options: Options, settings: Mapping[str, Any], note: Callable[[str], None]
) -> Warm | None:
    """What a study starts from: as it was recorded, else read from the earlier study now.

    Raises:
        StudyError: there is no such study, it has no finished trial or no label in common, or a
            study that goes on is to start from another than it did.
    """
    recorded: Warm | None = settings.get("warm_start")
    name = options.warm_start
    if settings:
        began = None if recorded is None else recorded["study"]
        if name not in (None, began):
            raise StudyError(
                f"A study starts from an earlier one when it begins; this one started from "
                f"{began or 'none'}. Leave --warm-start (warm_start=) out, or start another study."
            )
        return recorded
    return None if name is None else _read(name, problem, options, note)


def _read(name: str, problem: Problem, options: Options, note: Callable[[str], None]) -> Warm:
    """The earlier study's trials, as far as they are of what is searched now."""
    with Store.open(options.folder / "studies", name, write=False) as store:
        metric, direction = store.settings.get("metric"), store.settings.get("direction")
        trials = _observed(latest(store.trials()).values(), maximize=direction == "maximize")
    fixed = problem.parameters.with_fixed(options.fix)
    others = [t for t in trials if t.loss is not None and not fixed.agrees(t.point)]
    trials = [trial for trial in trials if fixed.agrees(trial.point)]
    known, new, gone = _compared(fixed, [trial.point for trial in trials])
    finished = sum(trial.loss is not None for trial in trials)
    if not finished:
        such = " with the fixed values" if fixed.fixed else ""
        raise StudyError(f"Study {name!r} has no finished trial{such} to start from. Give another.")
    if not known:
        raise StudyError(
            f"Study {name!r} searched nothing that this one does: it has {', '.join(gone[:NAMED])}; "
            f"here is {', '.join(new[:NAMED])}. Labels and values are compared. Give another study."
        )
    text = f"Starting from {counted(finished, 'finished trial')} of {name}"
    if others:
        labels = {label: None for trial in others for label in fixed.differing(trial.point)}
        text += f", not the {len(others):,} with another {' or '.join([*labels][:NAMED])}"
    text += f": {counted(len(known), 'label')} in common"
    text += f"; new: {', '.join(new[:NAMED])}" if new else ""
    text += f"; not here: {', '.join(gone[:NAMED])}" if gone else ""
    if (metric, direction) != (problem.metric, problem.direction):
        text += f"; it is to {direction} {metric}, this one to {problem.direction} {problem.metric}"
        text += ": what was best there is tried first"
    if _last_parts(new) & _last_parts(gone):
        text += "; a word that moves keeps its label if it has a name="
    note(f"{text}.")
    kept = _kept(trials)
    return {"study": name, "trials": [[t.number, t.point, t.loss] for t in kept]}


def _last_parts(labels: Iterable[str]) -> set[str]:
    return {label.rpartition(".")[2] for label in labels}


def earlier_of(warm: Warm | None) -> list[Observation]:
    """The trials of an earlier study."""
    return [] if warm is None else [Observation(*item) for item in warm["trials"]]


def _observed(trials: Iterable[Trial], *, maximize: bool) -> list[Observation]:
    """Trials that ended for good, as an algorithm learns from them."""
    sign = -1.0 if maximize else 1.0
    return [
        Observation(t.number, t.point, None if t.value is None else sign * t.value)
        for t in trials
        if t.status not in UNENDED
    ]


def _kept(trials: Sequence[Observation]) -> list[Observation]:
    """The best half and the latest of the rest, if there are too many."""
    ranked = sorted((t for t in trials if t.loss is not None), key=lambda t: (t.loss, t.number))
    best = ranked[: MOST // 2]
    chosen = {trial.number for trial in best}
    rest = [trial for trial in trials if trial.number not in chosen][-(MOST - len(best)) :]
    return sorted([*best, *rest], key=lambda trial: trial.number)


def _compared(
    parameters: Parameters, points: Sequence[Point]
) -> tuple[list[str], list[str], list[str]]:
    """The labels in common, with values that are legal here; the new ones; those that are gone."""
    known, seen = set(), set()
    for point in points:
        for label, value in point.items():
            seen.add(label)
            if label in parameters and label not in known and _legal(parameters, label, value):
                known.add(label)
    free = [parameter.label for parameter in parameters.free]
    return (
        [label for label in free if label in known],
        [label for label in free if label not in known],
        sorted(seen - known),
    )


def _legal(parameters: Parameters, label: str, value: Any) -> bool:
    try:
        parameters[label].word.check(value)
    except PointError:
        return False
    return True
