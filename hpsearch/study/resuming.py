"""A study that goes on: whether it is the same search, and what it is told now that it was not before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import SpaceError, StudyError, counted
from ..space import Parameters
from ..trial import Trial
from .options import OURS, Options
from .problem import Problem
from .tally import UNENDED, counts_of

__all__ = ["check_same", "what_changes", "what_is_recorded"]


def check_same(
    name: str,
    settings: Mapping[str, Any],
    problem: Problem,
    options: Options,
    note: Callable[[str], None],
) -> None:
    """Refuse to go on with a study that searched something else.

    Raises:
        StudyError: its space, objective or seed is another.
    """
    if settings["fingerprint"] != problem.fingerprint:
        raise StudyError(_what_changed(name, settings, problem))
    now = (problem.direction, problem.metric)
    before = (settings["direction"], settings["metric"])
    if now != before:
        raise StudyError(
            f"Study {name!r} was begun to {' '.join(before)}, and this would {' '.join(now)}. "
            "Say the same as before, or start another study."
        )
    if options.seed is not None and options.seed != settings["seed"]:
        raise StudyError(
            f"Study {name!r} has the seed {settings['seed']}, got {options.seed}. "
            "Leave --seed (seed=) out to go on, or start another study."
        )
    if settings.get("source_digest") not in (None, problem.source_digest):
        note(
            "Warning: the space file has changed, but not its parameters: trials from here on run "
            "it as it is now."
        )


def _what_changed(name: str, settings: Mapping[str, Any], problem: Problem) -> str:
    """Name the labels that differ between a study and the space it is to go on with."""
    before = settings.get("words", {})
    now = {label: p.word.describe() for label, p in problem.parameters.items()}
    parts = [
        ("new", [label for label in now if label not in before]),
        ("gone", [label for label in before if label not in now]),
        ("changed", [label for label in now if label in before and now[label] != before[label]]),
    ]
    told = "; ".join(f"{kind}: {', '.join(labels[:6])}" for kind, labels in parts if labels)
    return (
        f"Study {name!r} was begun with another space ({told or 'a constant or a layer changed'}). "
        "Its trials cannot be compared with new ones: start another study, or undo the change."
    )


def what_changes(
    trials: Sequence[Trial], settings: Mapping[str, Any], options: Options, problem: Problem
) -> Iterator[str]:
    """Tell of another algorithm, of other fixed values and constraints, and of a budget used up.

    Args:
        trials: the latest attempt at each.
        settings: as they were recorded.
    """
    algo = settings.get("algo", options.algo)
    if options.algo != algo:
        yield f"The algorithm is {options.algo} from here on; before, it was {algo}."
    yield from _other_values(trials, settings, options, problem)
    yield from _other_constraints(trials, settings, problem.parameters)
    done = counts_of(trials)["total"]
    if options.total is not None and done >= options.total:
        yield (
            f"The study has {counted(done, 'trial')} already, and max_trials counts all of them: "
            f"nothing to run. For more: --max-trials {done + 20} (max_trials={done + 20}), or none "
            "(None), where another budget is to end it"
        )


def _other_values(
    trials: Sequence[Trial], settings: Mapping[str, Any], options: Options, problem: Problem
) -> Iterator[str]:
    from ..record import assignments

    anew = _fixed_anew(settings, options, problem)
    if anew is None:
        return
    now, before = anew
    fixed, was = (assignments(each.fixed) or "nothing" for each in (now, before))
    text = f"Fixed from here on: {fixed}; before: {was}."
    others = [trial for trial in trials if not now.agrees(trial.point)]
    if others:
        text += f" {counted(len(others), 'trial')} of {len(trials):,} had other values"
        text += "; the search does not learn from them." if options.algo in OURS else "."
    if again := sum(trial.status in UNENDED for trial in others):
        text += f" {again} of these did not end, and may run again as begun."
    yield text


def _other_constraints(
    trials: Sequence[Trial], settings: Mapping[str, Any], parameters: Parameters
) -> Iterator[str]:
    """Tell of constraints that are new or gone, and of trials that violate those of now."""
    now, before = parameters.constraints, settings.get("require")  # None: of an earlier version
    if before is not None and now != before:
        required, was = (", ".join(each) or "nothing" for each in (now, before))
        yield f"Required from here on: {required}; before: {was}."
    illegal = [trial for trial in trials if _violates(trial, parameters)]
    if illegal:
        verb = "violates" if len(illegal) == 1 else "violate"
        text = f"{counted(len(illegal), 'trial')} of {len(trials):,} {verb} what is required, and "
        text += "may be the best all the same."
        if again := sum(trial.status in UNENDED for trial in illegal):
            text += f" {again} of these did not end, and may run again as begun."
        yield text


def _violates(trial: Trial, parameters: Parameters) -> bool:
    """Whether a trial is known to; a function may not be made for a point that it did not forbid."""
    try:
        return parameters.violated(trial.point) is not None
    except SpaceError:
        return False


def what_is_recorded(
    trials: Sequence[Trial], settings: Mapping[str, Any], options: Options, problem: Problem
) -> dict[str, Any]:
    """The settings that depend on what was there: what holds from which trial on, and the budget.

    A total that the study has exceeded already ends nothing, so the one that it had is kept.
    """
    begun = 1 + max((trial.number for trial in trials), default=-1)
    algos = settings.get("algos", [[0, settings.get("algo", options.algo)]])
    algos = [item for item in algos if item[0] < begun]  # the others have had no trial
    if not algos or algos[-1][1] != options.algo:
        algos.append([begun, options.algo])
    budget = options.budget()
    if options.total is not None and counts_of(trials)["total"] > options.total:
        budget["max_trials"] = settings.get("budget", {}).get("max_trials")
    same = _fixed_anew(settings, options, problem) is None
    fix_from = settings.get("fix_from", 0) if same else begun
    return {"algos": algos, "fix_from": fix_from, "budget": budget}


def _fixed_anew(
    settings: Mapping[str, Any], options: Options, problem: Problem
) -> tuple[Parameters, Parameters] | None:
    """The parameters with what is fixed now, and with what was; None where that is the same."""
    now = problem.parameters.with_fixed(options.fix)
    before = problem.parameters.with_fixed(settings.get("fix", {}))
    same = now.fixed.keys() == before.fixed.keys() and now.agrees(before.fixed)
    return None if same else (now, before)
