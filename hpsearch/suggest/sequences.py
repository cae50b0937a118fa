"""Algorithms that go through a sequence of their own: `qmc` (Sobol) and `grid`.

The history only tells how far they are. Of `qmc` a trial takes the k-th legal point, where k counts
the earlier trials that were suggested (not enqueued ones and baselines); of `grid` the first one that no
trial has tried, whatever suggested it.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

import numpy as np
from scipy.stats import qmc

from ..declare import Choice, Integer, Maybe, Uniform, Word
from ..errors import SearchStopped, SpaceError
from ..space import Parameter, Parameters
from ..trial import Observation, Point, Suggestion, Value, Why
from .legal import first_legal
from .told import common

__all__ = ["Walked", "grid_of", "grid_size", "qmc_of"]

BLOCK = 64  # Sobol points made at once; scipy warns unless the first block is a power of 2


@final
class Walked:
    """An `Algorithm` that returns the legal points of a sequence in order.

    Args:
        start: returns the sequence for a seed.
        source: what its suggestions are said to come from; see `Why`.
        once: whether points that were tried are left out, whatever suggested them.
    """

    def __init__(
        self,
        parameters: Parameters,
        start: Callable[[int], Iterator[Point]],
        *,
        source: str,
        once: bool = False,
    ) -> None:
        self._parameters = parameters
        self._start, self._once = start, once
        self._ended: list[Observation] = []
        self._tried: set[str] = set()
        self._why = Why(source)
        self._begin(0)

    def __call__(
        self,
        history: Sequence[Observation],
        pending: Sequence[Observation],
        number: int,
        seed: int,
    ) -> Suggestion | None:
        """Suggest the next point of the sequence, None after its end.

        Raises:
            SearchStopped: if 1,000 points in a row violate the constraints.
        """
        if seed != self._seed:
            self._begin(seed)
        if self._once:
            found = self._untried(history, pending)
        else:
            earlier = {
                trial.number
                for trial in (*history, *pending)
                if trial.source == "suggested" and trial.number < number
            }
            found = self._legal(len(earlier))
        return None if found is None else Suggestion(copy.deepcopy(found), self._why)

    def _untried(
        self, history: Sequence[Observation], pending: Sequence[Observation]
    ) -> Point | None:
        kept = common(self._ended, history)
        if kept < len(self._ended):
            kept, self._ended, self._tried, self._first = 0, [], set(), 0
        self._tried.update(_key(trial.point) for trial in history[kept:])
        self._ended += history[kept:]
        while (point := self._legal(self._first)) is not None and _key(point) in self._tried:
            self._first += 1
        running = {_key(trial.point) for trial in pending}
        points = (self._legal(k) for k in itertools.count(self._first))
        return next(
            point
            for point in points
            if point is None or not (_key(point) in running or _key(point) in self._tried)
        )

    def _begin(self, seed: int) -> None:
        self._seed = seed
        self._points = self._start(seed)
        self._found: list[Point] = []
        self._stopped: SearchStopped | None = None
        self._first = 0  # of the legal points, those before it were tried

    def _legal(self, k: int) -> Point | None:
        """The k-th legal point; what is found is kept, also that the search stopped."""
        while len(self._found) <= k:
            if self._stopped is not None:
                raise self._stopped.with_traceback(None)
            try:
                found = first_legal(self._parameters.violated, self._points)
            except SearchStopped as stopped:
                self._stopped = stopped
                raise
            if found is None:
                return None
            self._found.append(found)
        return self._found[k]


def qmc_of(parameters: Parameters, *, source: str = "sequence") -> Walked:
    """Points of a scrambled Sobol sequence, one dimension for each free label.

    Scrambled once by the study's seed (Owen 1998): a new scramble for each trial would lose what
    the sequence is for.

    Raises:
        SpaceError: for more labels than scipy's Sobol sequence has dimensions.
    """
    count, most = len(parameters.free), int(qmc.Sobol.MAXDIM)
    if count > most:
        raise SpaceError(
            f"qmc can search at most {most} parameters, got {count}. Use another algorithm: random."
        )
    return Walked(parameters, lambda seed: _sobol(parameters, seed), source=source)


def grid_of(parameters: Parameters, steps: int) -> Walked:
    """Every combination of values, the first label slowest, each branch with its own grid.

    Args:
        steps: how many values stand for a range without `step`: the middles of equal shares.

    Raises:
        SpaceError: unless steps is a whole number from 1.
    """
    _check_steps(steps)
    return Walked(
        parameters,
        lambda seed: (point for point, _ in _grid(parameters, steps)),
        source="grid",
        once=True,
    )


def grid_size(parameters: Parameters, steps: int = 5, most: int = 1_000_000) -> int | None:
    """Return how many points the grid has before constraints, None if more than `most`.

    Only what decides about other parameters is walked; the rest is multiplied.
    """
    _check_steps(steps)
    size = 1
    for part in _independent(parameters):
        decides = {n for p in part.values() for place in p.places for g in place for n in g.labels}
        total = 0
        for _, factor in _grid(part, steps, only=decides):
            total += factor
            if size * total > most:
                return None
        size *= total
    return size


def _sobol(parameters: Parameters, seed: int) -> Iterator[Point]:
    labels = [parameter.label for parameter in parameters.free]
    if not labels:
        while True:
            yield parameters.complete(_no_choice)
    source = np.random.default_rng(seed % 2**64)
    engine = qmc.Sobol(len(labels), scramble=True, rng=source)
    while True:
        for row in engine.random(BLOCK):
            shares = dict(zip(labels, map(float, row), strict=True))
            yield parameters.complete(lambda p, at=shares: p.word.quantile(at[p.label]))  # type: ignore[misc]


def _grid(
    parameters: Parameters, steps: int, only: set[str] | None = None
) -> Iterator[tuple[Point, int]]:
    """Yield each combination like an odometer, whose wheels differ from branch to branch.

    With `only`, other labels stay at their first value; the number yielded beside the point is
    how many combinations of theirs it stands for.
    """
    levels = {parameter.label: _Levels(parameter.word, steps) for parameter in parameters.free}
    wheels: list[list[int]] = []  # [position, number of positions], in order of the labels
    while True:
        turned, factor = 0, 1

        def choose(parameter: Parameter) -> Value:
            nonlocal turned, factor
            level = levels[parameter.label]
            if only is not None and parameter.label not in only:
                factor *= level.count
                return level.at(0)
            if turned == len(wheels):
                wheels.append([0, level.count])
            turned += 1
            return level.at(wheels[turned - 1][0])

        yield parameters.complete(choose), factor
        while wheels and wheels[-1][0] + 1 == wheels[-1][1]:
            wheels.pop()
        if not wheels:
            return
        wheels[-1][0] += 1


@final
class _Levels:
    """The values of a word in a grid, by number: a long ladder is never written out."""

    def __init__(self, word: Word, steps: int) -> None:
        self.at: Callable[[int], Value]
        match word:
            case Uniform() | Integer() if word.step is not None:
                self.count, self.at = word.rungs(), word.rung
            case Choice() | Maybe():
                self.count, self.at = len(word.points), word.points.__getitem__
            case _:
                values = {json.dumps(value): value for value in word.values(steps)}
                found = list(values.values())  # with a coarse step some quantiles coincide
                self.count, self.at = len(found), found.__getitem__


def _independent(parameters: Parameters) -> list[Parameters]:
    """Split the table into parts that decide nothing about each other."""
    part_of: dict[str, list[Parameter]] = {}
    for parameter in parameters.values():
        reads = {n for place in parameter.places for g in place for n in g.labels}
        joined = {id(part_of[label]): part_of[label] for label in reads}
        merged = [*(item for part in joined.values() for item in part), parameter]
        for item in merged:
            part_of[item.label] = merged
    parts = {id(part): part for part in part_of.values()}
    return [
        Parameters(part, (), {p.label: fixed[p.label] for p in part if p.label in fixed})
        for fixed in [parameters.fixed]
        for part in parts.values()
    ]


def _check_steps(steps: Any) -> None:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise SpaceError(
            f"A grid needs a whole number of steps from 1, got {steps!r}. Write for example 5."
        )


def _key(point: Point) -> str:
    """Equal for equal points, to the type of each value."""
    return json.dumps(point, sort_keys=True)


def _no_choice(parameter: Parameter) -> Value:
    raise AssertionError(f"{parameter.label} is fixed")
