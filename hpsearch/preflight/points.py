"""Which points are tried before a search: a few that are likely, and those that take every option."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Iterator, Mapping

from ..errors import PointError, SearchStopped
from ..space import Parameter, Parameters, Space
from ..trial import Point, Value
from ..wire import to_json

__all__ = ["MOST_DRAWS", "candidates", "covering", "missing", "values_of"]

MOST_POINTS = 200
MOST_DRAWS = 1000
MOST_COMPANIES = 50  # points in which one value is tried, until one of them is legal


def candidates(space: Space, parameters: Parameters) -> Iterator[Point]:
    """Legal points to try: the whole baselines, then one from the middle, then random ones."""
    for point in space.baselines.values():
        with contextlib.suppress(PointError):
            yield parameters.legal(parameters.check(point))
    draw = random.Random(0)
    middle = parameters.complete(lambda p: p.word.quantile(0.5))
    some = (
        parameters.complete(lambda p: p.word.quantile(draw.random())) for _ in range(MOST_DRAWS)
    )
    legal = 0
    for point in itertools.chain([middle], some):
        violated = parameters.violated(point)
        if violated is None:
            legal += 1
            yield point
    if not legal:
        raise SearchStopped(
            f"None of {MOST_DRAWS} random points satisfies the constraint {violated}. "
            "Loosen it, or write the choice so that illegal points cannot be declared."
        )


def covering(parameters: Parameters) -> Iterator[Point]:
    """Yield few legal points that take every option and both ends of every range.

    At most `MOST_POINTS`; a value for which no legal point is found is in none of them.
    """
    taken: set[tuple[str, str]] = set()
    draw = random.Random(0)
    for number, point in enumerate(_covering(parameters, taken, draw)):
        if number >= MOST_POINTS:
            return
        taken |= values_of(point)
        yield point


def _covering(
    parameters: Parameters, taken: set[tuple[str, str]], draw: random.Random
) -> Iterator[Point]:
    """First many values at once, then each that is left in other companies; see `covering`."""
    wanted = {label: list(p.word.ends()) for label, p in parameters.items()}
    idle = 0  # points in which no label with a value left was active
    for _ in range(MOST_POINTS):
        asked: list[tuple[str, Value]] = []

        def choose(parameter: Parameter) -> Value:
            left = wanted[parameter.label]
            if left:
                asked.append((parameter.label, left[0]))  # noqa: B023
            return left[0] if left else draw.choice(parameter.word.ends())

        point = parameters.complete(choose)
        for label, _value in asked:
            del wanted[label][0]
        if asked and parameters.violated(point) is None:
            yield point
        idle = 0 if asked else idle + 1
        if not any(wanted.values()) or idle > MOST_COMPANIES:
            break
    for label, value in missing(parameters, set()):
        if (label, to_json(value)) not in taken and label not in parameters.fixed:
            yield from _legal_with(label, value, parameters, draw)


def _legal_with(
    label: str, value: Value, parameters: Parameters, draw: random.Random
) -> Iterator[Point]:
    """Yield a legal point that has this value, if one is found soon."""

    def company(parameter: Parameter) -> Value:
        if parameter.label == label:
            return value
        if draw.random() < 0.5:
            return draw.choice(parameter.word.ends())
        return parameter.word.quantile(draw.random())

    for _ in range(MOST_COMPANIES):
        point = parameters.complete(company)
        if label in point and parameters.violated(point) is None:
            yield point
            return


def values_of(point: Point) -> set[tuple[str, str]]:
    """The values of a point, so written that 1, 1.0 and True are three."""
    return {(label, to_json(value)) for label, value in point.items()}


def missing(
    parameters: Mapping[str, Parameter], taken: set[tuple[str, str]]
) -> list[tuple[str, Value]]:
    """The options and ends that are not taken."""
    return [
        (label, value)
        for label, p in parameters.items()
        for value in p.word.ends()
        if (label, to_json(value)) not in taken
    ]
