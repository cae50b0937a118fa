"""Our parameters as columns of codes: points encoded, rows decoded, conditions as atoms."""

from __future__ import annotations

import copy
import functools
import itertools
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import Protocol, final

import numpy as np

from ..declare import Choice, Integer, Maybe, Normal, Uniform, Word
from ..errors import PointError
from ..space import Guard, Parameter, Parameters
from ..trial import Point, Value
from .codes import (
    LEAST_SHARE,
    MOST_RUNGS,
    UNASKED,
    Atom,
    Codes,
    Coding,
    Column,
    codes_of,
    edges_of,
    numbers_of,
)
from .columns import Columns

__all__ = ["Coded"]


@final
class Coded:
    """The free parameters of a table as columns.

    Attributes:
        columns: one for each free label, in the order of the table.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        free = parameters.free
        self._number = {parameter.label: j for j, parameter in enumerate(free)}
        self._scales = [_scale(parameter.word) for parameter in free]
        self._atoms: dict[tuple[int, str], Atom] = {}
        self.columns = Columns([self._column(parameter) for parameter in free])

    def row(self, point: Mapping[str, Value]) -> Codes:
        """Return the codes of a point; NaN for labels that it lacks or whose value is not legal."""
        row = np.full(len(self.columns), np.nan)
        for label, value in point.items():
            j = self._number.get(label)
            if j is not None:
                try:
                    legal = self.parameters[label].word.check(value)
                except PointError:
                    continue  # a point of an older space, say
                row[j] = self._scales[j].code(legal)
        return row

    def point(self, row: Codes) -> Point:
        """Return the point of a row whose active columns have codes."""
        if not self.parameters.fixed:  # then a column is active where it has a code
            there = np.flatnonzero(~np.isnan(row)).tolist()
            return {
                self.columns.labels[j]: self._scales[j].value(code)
                for j, code in zip(there, row[there].tolist(), strict=True)
            }

        def choose(parameter: Parameter) -> Value:
            j = self._number[parameter.label]
            return self._scales[j].value(float(row[j]))

        return self.parameters.complete(choose)

    def _column(self, parameter: Parameter) -> Column:
        scale = self._scales[self._number[parameter.label]]
        places = tuple(tuple(map(self._atom, place)) for place in parameter.places)
        return Column(parameter.label, scale.edges, scale.ordered, places, scale.snap)

    def _atom(self, guard: Guard) -> Atom:
        """One for all columns below the same condition, which is then asked once for them all."""
        key = id(guard.condition), json.dumps(guard.expected)
        if key not in self._atoms:
            self._atoms[key] = self._made(guard)
        return self._atoms[key]

    def _made(self, guard: Guard) -> Atom:
        labels = [label for label in guard.labels if label in self._number]
        columns = tuple(self._number[label] for label in labels)
        scale = self._scales[columns[0]]
        if len(columns) == 1 and isinstance(scale, _Listed):
            allowed = [self._holds(guard, {labels[0]: value}) for value in scale.values]
            return Atom(columns, allowed=np.array(allowed, dtype=bool))

        def holds(codes: tuple[float, ...]) -> bool:
            scales = (self._scales[j] for j in columns)
            values = (scale.value(code) for scale, code in zip(scales, codes, strict=True))
            return self._holds(guard, dict(zip(labels, values, strict=True)))

        return Atom(columns, holds=holds)

    def _holds(self, guard: Guard, values: Mapping[str, Value]) -> bool:
        known = {**self.parameters.fixed, **values}
        return guard.holds(lambda word: known[self.parameters.label(word)])


class _Scale(Coding, Protocol):
    """The values of one word as codes and back."""

    def code(self, legal: Value) -> float: ...

    def value(self, code: float) -> Value: ...


@final
class _Listed:
    """Finitely many values, in order if they have one."""

    snap = None

    def __init__(self, values: Sequence[Value], shares: Sequence[float], *, ordered: bool) -> None:
        self.values = list(values)
        self.ordered = ordered
        self.edges = edges_of(shares)
        self._number = {json.dumps(value): number for number, value in enumerate(values)}

    def code(self, legal: Value) -> float:
        number = self._number.get(json.dumps(legal))
        if number is None:  # in the tail of a normal prior
            number = 0 if legal < self.values[0] else len(self.values) - 1
        return float(codes_of(self.edges, np.array(number), ordered=self.ordered))

    def value(self, code: float) -> Value:
        number = int(numbers_of(self.edges, np.array(code), ordered=self.ordered))
        return copy.deepcopy(self.values[number])  # a list option stays the word's own


@final
class _Line:
    """A continuum, or a ladder too long to be written out."""

    edges: Codes | None = None
    ordered = True

    def __init__(self, word: Word) -> None:
        self._word = word
        self.snap: Callable[[Codes], Codes] | None = None
        if isinstance(word, Normal):
            self.snap = _without_tails
        elif isinstance(word, Uniform | Integer) and word.step is not None:
            self.snap = functools.partial(_on_ladder, word)

    def code(self, legal: Value) -> float:
        return share_below(self._word, float(legal))

    def value(self, code: float) -> Value:
        return self._word.quantile(code)


def _scale(word: Word) -> _Scale:
    match word:
        case Choice() | Maybe():
            values = list(zip(word.points, word.weights, strict=True))
            ordered = len(values) > 2 and all(
                _is_number(value) and share >= LEAST_SHARE for value, share in values
            )
            if ordered:
                values.sort()
            return _Listed(*zip(*values, strict=True), ordered=ordered)
        case Uniform() | Integer() if word.step is not None and word.rungs() <= MOST_RUNGS:
            rungs = [word.rung(k) for k in range(word.rungs())]
            return _Listed(rungs, _shares(word, rungs, word.step), ordered=True)
        case Normal() if word.step is not None:
            low, high = word.quantile(UNASKED), word.quantile(1.0 - UNASKED)
            count = (high - low) / word.step
            if count < MOST_RUNGS:
                rungs = [word.snap(low + k * word.step) for k in range(round(count) + 1)]
                return _Listed(rungs, _shares(word, rungs, word.step), ordered=True)
    return _Line(word)


def _on_ladder(word: Uniform | Integer, codes: Codes) -> Codes:
    """The codes of the rungs nearest to codes: equal values have equal codes."""
    assert word.step is not None
    low, high = word.edges()
    numbers = low * (high / low) ** codes if word.log else low + codes * (high - low)
    rungs = np.clip(np.rint((numbers - word.low) / word.step), 0, word.rungs() - 1)
    numbers = word.low + rungs * word.step
    if word.log:
        return np.log(numbers / low) / math.log(high / low)
    return (numbers - low) / (high - low)


def _without_tails(codes: Codes) -> Codes:
    return np.clip(codes, UNASKED, 1.0 - UNASKED)


def share_below(word: Word, number: float) -> float:
    """The share of a word's prior that lies below a number."""
    match word:
        case Normal():
            if word.log:
                number = math.log(max(number, sys.float_info.min))
            return NormalDist(word.mean, word.std).cdf(number)
        case Uniform() | Integer():
            low, high = word.edges()
            number = min(max(number, low), high)
            if word.log:
                low, high, number = math.log(low), math.log(high), math.log(number)
            return (number - low) / (high - low)
    raise TypeError(f"{type(word).__name__} has no order")


def _shares(word: Word, rungs: Sequence[float], step: float) -> list[float]:
    """The share of the prior that is rounded to each rung."""
    borders = [rungs[0] - step / 2, *(rung + step / 2 for rung in rungs)]
    below = [share_below(word, border) for border in borders]
    return [max(b - a, sys.float_info.min) for a, b in itertools.pairwise(below)]


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
