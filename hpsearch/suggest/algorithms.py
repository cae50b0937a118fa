"""The search algorithms by name, and how a point that is given in part is completed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ..errors import PointError, SpaceError, nearest
from ..space import Parameters
from ..trial import Algorithm, Observation, Point, Suggestion, Value
from .auto import Auto
from .drawn import anneal_of, random_of, tpe_of
from .paces import PACES, THOROUGH
from .sequences import grid_of, qmc_of

__all__ = ["NAMES", "fill", "make"]


OURS = {"auto": THOROUGH, **PACES}
"""The names of our own search, and its paces."""

OTHERS: dict[str, Callable[[Parameters, int], Algorithm]] = {
    "tpe": lambda parameters, steps: tpe_of(parameters),
    "random": lambda parameters, steps: random_of(parameters),
    "anneal": lambda parameters, steps: anneal_of(parameters),
    "qmc": lambda parameters, steps: qmc_of(parameters),
    "grid": grid_of,
}
"""What makes each of the others from the parameters and the steps of a grid."""

NAMES = (*OURS, *OTHERS)
WHOLE = (*OURS, "grid", "qmc")  # what does not complete points


def make(
    name: str,
    parameters: Parameters,
    *,
    grid_steps: int = 5,
    repeats: bool = False,
    earlier: Sequence[Observation] = (),
) -> Algorithm:
    """Return the algorithm of this name for these parameters.

    Args:
        grid_steps: for `grid`, how many values stand for a range without `step`.
        repeats: for `auto`, `thorough` and `fast`, whether they may suggest a point again.
        earlier: for the same three, trials of an earlier study to start from.

    Raises:
        SpaceError: for an unknown name, or a space that the algorithm cannot search.
    """
    if name in OURS:
        return Auto(parameters, pace=OURS[name], repeats=repeats, earlier=earlier)
    if name not in OTHERS:
        raise SpaceError(f"There is no search algorithm {name!r}. {nearest(name, NAMES)}")
    return OTHERS[name](parameters, grid_steps)


def fill(
    name: str,
    parameters: Parameters,
    partial: Mapping[str, Value],
    history: Sequence[Observation],
    pending: Sequence[Observation],
    number: int,
    seed: int,
) -> Suggestion:
    """Suggest a full point with the given values; the algorithm chooses the rest.

    The rest is random but under `tpe` and `anneal`. Every given label is active in the point: what
    decides about it is drawn accordingly. What the algorithm knows of the point is kept, with the
    source ``"filled"``; there is no reason where it chose nothing.

    Raises:
        PointError: for unknown labels, illegal values, and labels that cannot be active together.
        SearchStopped: if no legal point with these values is found.
    """
    given = parameters.check_partial(partial)
    for label in given:
        _check_reachable(parameters, given, label)
    given = parameters.implied(given) | given

    def every_given_label_is_active(point: Point) -> bool:
        return all(label in point for label in given)

    under = Parameters(
        list(parameters.values()),
        (*parameters.require, every_given_label_is_active),
        {**parameters.fixed, **given},
    )
    algorithm = make("random" if name in WHOLE else name, under)
    found = algorithm(history, pending, number, seed)
    assert found is not None  # algorithms that draw never come to an end
    if found.why is None or found.point.keys() <= under.fixed.keys():
        return Suggestion(found.point)
    return replace(found, why=replace(found.why, source="filled"))


def _check_reachable(parameters: Parameters, given: Point, label: str) -> None:
    """Raise PointError if the other given values rule a label out."""
    others = {name: value for name, value in given.items() if name != label}
    table = Parameters(
        list(parameters.values()),
        fixed={
            name: value for name, value in {**parameters.fixed, **others}.items() if name != label
        },
    )
    if label not in {parameter.label for parameter in table.free}:
        raise PointError(
            f"{label!r} is never active beside the other values: "
            f"{parameters.why_inactive(label, table.fixed)}. Leave it out, or change those."
        )
