"""The few points that together take every option, looked at; and what those that fail have in common."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

from ..errors import DataError, HpsearchError
from ..space import Parameters
from ..trial import Point, Value
from ..wire import to_json
from .look import Look
from .looks import Looks, same
from .points import MOST_DRAWS, covering, missing, values_of

__all__ = ["Cause", "Survey", "survey"]

MOST_SUSPECTS = 6  # options of which it is tried which one does it
MOST_CAUSES = 5  # messages for which that is done


@final
@dataclass(frozen=True, slots=True)
class Cause:
    """One error or warning, and the points that it came from.

    Attributes:
        text: the message.
        points: those points, at least one.
        shared: labels and values that all of them have and no point without it; empty where
            nothing tells them apart.
    """

    text: str
    points: tuple[Point, ...]
    shared: Point


@final
@dataclass(frozen=True, slots=True)
class Survey:
    """What `survey` found.

    Attributes:
        looks: the points that were built.
        failed: (point, error) of those that could not be.
        errors: the same, each message once, with the options that it comes from.
        warnings: what is odd about the points that were built, likewise.
        dead: labels that no point of many made active.
        uncovered: (label, value) of options and ends that no point tried has, other than those of
            dead labels: no legal point with them was found, or there were too many.
    """

    looks: list[Look] = field(default_factory=list)
    failed: list[tuple[Point, str]] = field(default_factory=list)
    errors: list[Cause] = field(default_factory=list)
    warnings: list[Cause] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    uncovered: list[tuple[str, Value]] = field(default_factory=list)


def survey(looks: Looks, tell: Callable[[str], None] = lambda text: None) -> Survey:
    """Try the few points that together take every option and both ends of every range.

    Args:
        tell: told how far it is.

    Raises:
        BuildError: as soon as it is plain that no point has data, because its provider fails.
        DataError: likewise, because its parts do not fit together; or if it fits no model tried.
    """
    found, parameters = Survey(), looks.parameters
    seen: set[str] = set()
    taken: set[tuple[str, str]] = set()
    last: HpsearchError | None = None
    points = list(covering(parameters))
    for number, point in enumerate(points, 1):
        tell(f"point {number} of {len(points)}")
        seen |= set(point)
        taken |= values_of(point)
        try:
            found.looks.append(looks.at(point))
        except HpsearchError as error:
            if looks.hopeless:
                raise
            found.failed.append((point, str(error)))
            last = error
    tell("what they have in common")
    _explain(found, parameters, _telling(looks))
    if isinstance(last, DataError) and not found.looks and len(found.errors) == 1:
        raise last
    draw = random.Random(1)
    for _ in range(MOST_DRAWS):
        seen |= set(parameters.complete(lambda p: p.word.quantile(draw.random())))
    found.dead.extend(label for label in parameters if label not in seen)
    alive = {label: p for label, p in parameters.items() if label in seen}
    found.uncovered.extend(missing(alive, taken))
    return found


def _telling(looks: Looks) -> Callable[[Point], set[str]]:
    """A function that tells what is wrong or odd at one more point."""

    def tell(point: Point) -> set[str]:
        try:
            return {same(text) for text in looks.at(point).warnings}
        except HpsearchError as error:
            return {same(str(error))}

    return tell


def _explain(found: Survey, parameters: Parameters, tell: Callable[[Point], set[str]]) -> None:
    """Note each error and each warning once, with the options that its points share."""
    odd = [(item.point, text) for item in found.looks for text in item.warnings]
    tried = [point for point, _ in found.failed] + [item.point for item in found.looks]
    for told, causes in ((found.failed, found.errors), (odd, found.warnings)):
        groups: dict[str, list[tuple[Point, str]]] = {}
        for point, text in told:
            groups.setdefault(same(text), []).append((point, text))
        for key, group in groups.items():
            points = [point for point, _ in group]
            others = [point for point in tried if point not in points]
            shared = _shared(points, others)
            if 1 < len(shared) <= MOST_SUSPECTS and len(causes) < MOST_CAUSES:
                shared = _confirmed(shared, others[-1], parameters, lambda p, k=key: k in tell(p))  # type: ignore[misc]
            causes.append(Cause(group[0][1], tuple(points), shared))


def _shared(points: list[Point], others: list[Point]) -> Point:
    """The labels and values that all the points have and none of the others."""
    if not others:
        return {}
    common = set.intersection(*(values_of(point) for point in points))
    common -= set().union(*(values_of(point) for point in others))
    return {label: value for label, value in points[0].items() if (label, to_json(value)) in common}


def _confirmed(
    shared: Point, other: Point, parameters: Parameters, happens: Callable[[Point], bool]
) -> Point:
    """Of several suspects those that do it alone, in the company of a point where it does not happen."""
    alone: Point = {}
    for label, value in shared.items():
        company = {**other, label: value}
        point = parameters.complete(lambda p, c=company: c.get(p.label, p.word.quantile(0.5)))  # type: ignore[misc]
        if parameters.violated(point) is None and point.get(label) == value and happens(point):
            alone[label] = value
    return alone or shared
