"""Looks at points of one space: their data first, which is made once, then their models."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Protocol, final

from ..build import where_raised
from ..errors import BuildError, DataError, HpsearchError
from ..space import Parameters, Space
from ..train import KerasEngine
from ..trial import Point
from .look import Look, NoMetric, look
from .points import candidates
from .supply import Supply
from .values import Scans

__all__ = ["WROTE", "Here", "Looks", "first_look", "same"]

TRIES = 4
WROTE = " It wrote:\n"  # in a message, before what a process has printed


class Looks(Protocol):
    """Looks at points, here or in another process."""

    @property
    def space(self) -> Space:
        """What the points are of."""

    @property
    def parameters(self) -> Parameters:
        """The space's table, with what is fixed."""

    @property
    def hopeless(self) -> bool:
        """Whether it is plain that no point has data."""

    def at(self, point: Point) -> Look:
        """Look at a point.

        Raises:
            BuildError: if something of it cannot be built, or data, output and loss do not agree.
            DataError: if its data does not fit.
        """


@final
class Here:
    """Looks at points in this process. Arguments are as `Looks` has them."""

    def __init__(self, engine: KerasEngine, space: Space, parameters: Parameters) -> None:
        self._engine, self.space, self.parameters = engine, space, parameters
        self._supply, self._scans = Supply(engine, space, parameters), Scans()

    @property
    def hopeless(self) -> bool:
        return self._supply.hopeless

    def prepare(self, point: Point) -> None:
        """Make the data of a point, which is kept; raises what `at` does."""
        self._supply.check(point)

    def at(self, point: Point) -> Look:
        self.prepare(point)
        try:
            return look(self._engine, self.space, point, self._scans)
        except SystemExit as error:
            raise BuildError(f"{where_raised(error)} (a model may not end the process)") from error


def first_look(looks: Looks, note: Callable[[str], None] = lambda text: None) -> Look:
    """Look at one point that can be built: a baseline, one from the middle, or one of a few more.

    A point that fails is a trial that would fail, which is no reason not to search; several in a
    row are.

    Args:
        note: told of each point that fails, where another is tried.

    Raises:
        BuildError, DataError: the first failure, with what was wrong at the others if that was
            something else, if none of `TRIES` points can be built; or at once if no trial would
            report the metric, or none would have data.
        SearchStopped: if no point satisfies `require`.
    """
    failed: list[tuple[Point, HpsearchError]] = []
    found = itertools.islice(candidates(looks.space, looks.parameters), 4 * TRIES)
    points = [*{json.dumps(point): point for point in found}.values()][:TRIES]
    for point in points:
        try:
            return looks.at(point)
        except NoMetric:
            raise
        except (BuildError, DataError) as error:
            if looks.hopeless:
                raise
            failed.append((point, error))
            if len(failed) < len(points):
                note(
                    f"Another point is tried, as one failed: {_brief(error)}\n  at {json.dumps(point)}"
                )
    first = failed[0][1]
    if len({re.sub(r"\d+", "", same(str(error))) for _, error in failed}) == 1:
        raise first
    lines = [f"  {_brief(error)}\n    at {json.dumps(point)}" for point, error in failed]
    text = "\n".join([f"None of {len(points)} points works:", *lines, "The first of them:"])
    raise type(first)(f"{text}\n{first}") from first


def _brief(error: HpsearchError) -> str:
    """The first line of a message, without what a process wrote."""
    return str(error).partition(WROTE)[0].splitlines()[0]


def same(text: str) -> str:
    """A message without what differs from model to model: Keras's numbers of layers, and prints."""
    return re.sub(r"_\d+\b", "", text.partition(WROTE)[0])
