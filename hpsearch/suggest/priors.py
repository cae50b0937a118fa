"""The distributions of hyperopt: the raw values of one parameter as codes and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, final

import numpy as np
from hyperopt.pyll import rec_eval
from hyperopt.pyll.base import MissingArgument
from scipy.special import ndtr, ndtri

from ..errors import SpaceError
from .codes import LEAST_SHARE, MOST_RUNGS, UNASKED, Codes, Coding, codes_of, edges_of, numbers_of

__all__ = ["Listed", "Raw", "Scale", "scale_of"]

Raw: TypeAlias = int | float

MOST_NAMES = 64  # numbers of a `randint` taken as names, which hyperopt says they are
LARGEST_LOG = 709.0  # whose exponential is a float
TINY = math.exp(-LARGEST_LOG)
ARGUMENTS = ("low", "high", "mu", "sigma", "q", "p")
LINES = tuple(log + kind for log in ("", "log") for kind in ("uniform", "normal"))
DISTRIBUTIONS = ("randint", "categorical", *LINES, *(f"q{name}" for name in LINES))


class Scale(Coding, Protocol):
    """The raw values of one label as codes and back."""

    def codes(self, raws: Codes) -> Codes: ...

    def value(self, code: float) -> Raw: ...


@final
class Listed:
    """Finitely many raw values with their shares of the prior."""

    snap = None

    def __init__(self, values: Sequence[Raw], shares: Sequence[float], *, ordered: bool) -> None:
        self.values, self.ordered = values, ordered
        self.edges = edges_of(shares)
        self._ascending = np.argsort(values, kind="stable")
        array = np.array(values, dtype=np.float64)[self._ascending]
        self._between = (array[:-1] + array[1:]) / 2

    def codes(self, raws: Codes) -> Codes:
        numbers = self._ascending[np.searchsorted(self._between, raws)]
        return codes_of(self.edges, numbers, ordered=self.ordered)

    def value(self, code: float) -> Raw:
        return self.values[int(numbers_of(self.edges, np.array(code), ordered=self.ordered))]


@final
@dataclass(frozen=True, slots=True)
class Line:
    """A continuum.

    Attributes:
        spread: the distance between the bounds, or the standard deviation of a normal.
        low: the lower bound, or the mean.
        log: whether those are of the logarithm.
    """

    low: float
    spread: float
    normal: bool
    log: bool

    edges = None
    ordered = True

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest share that has a value."""
        return (LEAST_SHARE, 1.0 - LEAST_SHARE) if self.normal else (0.0, 1.0)

    @property
    def snap(self) -> Callable[[Codes], Codes] | None:
        return self.inside if self.normal else None

    def below(self, raws: Codes) -> Codes:
        """The share of the prior below raw values."""
        where = np.log(np.maximum(raws, TINY)) if self.log else raws
        shares = (where - self.low) / self.spread
        return np.clip(ndtr(shares) if self.normal else shares, *self.ends)

    def at(self, shares: Codes) -> Codes:
        """The raw values below which lie shares of the prior."""
        inside = np.clip(shares, *self.ends)
        raws = self.low + self.spread * (ndtri(inside) if self.normal else inside)
        return np.exp(np.clip(raws, -LARGEST_LOG, LARGEST_LOG)) if self.log else raws

    def inside(self, shares: Codes) -> Codes:
        """Shares moved to where a normal is drawn now and then.

        Its ends are infinitely far, and corners are where a search that knows little looks first.
        """
        return np.clip(shares, UNASKED, 1.0 - UNASKED) if self.normal else shares

    def codes(self, raws: Codes) -> Codes:
        return self.below(raws)

    def value(self, code: float) -> Raw:
        return float(self.at(np.array(code)))


@final
class Ladder:
    """Multiples of `q` without an end, or too many to be written out."""

    edges = None
    ordered = True

    def __init__(self, line: Line, q: float, first: float, last: float, kind: type[Raw]) -> None:
        self._line, self._q, self._first, self._last, self._kind = line, q, first, last, kind

    def snap(self, codes: Codes) -> Codes:
        """The codes of the rungs nearest to codes."""
        return self._middle(self._rungs(self._line.at(self._line.inside(codes))))

    def codes(self, raws: Codes) -> Codes:
        return self._middle(self._rungs(raws))

    def value(self, code: float) -> Raw:
        return self._kind(self._rungs(self._line.at(np.array(code))) * self._q)

    def _rungs(self, raws: Codes) -> Codes:
        return np.clip(np.rint(raws / self._q), self._first, self._last)

    def _middle(self, rungs: Codes) -> Codes:
        borders = [(rungs + side) * self._q for side in (-0.5, 0.5)]
        return (self._line.below(borders[0]) + self._line.below(borders[1])) / 2


def scale_of(
    label: str,
    prior: Any,
    memo: Mapping[Any, Raw],
    order: Sequence[int] | None = None,
    *,
    ordered: bool = False,
) -> Scale:
    """How the raw values of a prior are coded.

    Args:
        memo: the values of parameters that its bounds depend on.
        order: of options that are numbers; empty for other options, None if there are no options.
        ordered: whether options are an order in any case.

    Raises:
        SpaceError: for a distribution that hyperopt does not come with, and bounds that it cannot
            draw between.
    """
    if prior.name not in DISTRIBUTIONS:
        raise SpaceError(
            f"{label!r} is drawn by {prior.name}, which cannot be searched. "
            f"Use one of {', '.join(DISTRIBUTIONS)}."
        )
    given = {
        key: rec_eval(node, memo=memo)
        for key, node in prior.arg.items()
        if key in ARGUMENTS and node is not MissingArgument
    }
    if prior.name == "categorical":
        shares = np.asarray(given["p"], dtype=float).ravel()
        return _options(dict(enumerate(shares.tolist())), order, ordered=ordered)
    if prior.name == "randint":
        low, high = int(given["low"]), given.get("high")
        low, high = (0, low) if high is None else (low, int(high))
        if high - low <= MOST_NAMES or order is not None:
            return _options(dict.fromkeys(range(low, high), 1.0), order, ordered=ordered)
        line = Line(low - 0.5, high - low, normal=False, log=False)
        return _ladder(line, 1.0, low, high - 1, int)
    return _measured(label, prior.name, given)


def _measured(label: str, name: str, given: Mapping[str, Any]) -> Scale:
    """How the values of a uniform or normal distribution are coded, with steps `q` or without."""
    line = _line(name, given)
    step = float(given.get("q", 1.0))
    if not (0.0 <= line.spread < math.inf and step > 0.0):
        raise SpaceError(
            f"{label!r} cannot be drawn from {name} with "
            f"{', '.join(f'{key}={value!r}' for key, value in given.items())}. "
            "Give low < high or sigma > 0, and q > 0."
        )
    if not line.spread:
        raw = math.exp(line.low) if line.log else line.low
        return Listed([round(raw / step) * step if "q" in given else raw], [1.0], ordered=True)
    if "q" not in given:
        return line
    # hyperopt rounds what it draws, which may leave the bounds
    first, last = np.rint(line.at(np.array([LEAST_SHARE, 1.0 - LEAST_SHARE])) / step).tolist()
    return _ladder(line, step, first, last, float)


def _options(shares: Mapping[int, float], order: Sequence[int] | None, *, ordered: bool) -> Listed:
    """Options that can be drawn, as names or in an order."""
    drawn = [option for option in order or shares if shares.get(option, 0.0) > 0.0]
    ordered = ordered or (bool(order) and all(shares[option] >= LEAST_SHARE for option in drawn))
    return Listed(drawn, [shares[option] for option in drawn], ordered=ordered)


def _line(name: str, given: Mapping[str, Any]) -> Line:
    if name.endswith("normal"):
        return Line(float(given["mu"]), float(given["sigma"]), normal=True, log="log" in name)
    low, high = float(given["low"]), float(given["high"])
    return Line(low, high - low, normal=False, log="log" in name)


def _ladder(line: Line, q: float, first: float, last: float, kind: type[Raw]) -> Scale:
    """The multiples of q from the first to the last, counted in q."""
    if line.normal or last - first >= MOST_RUNGS:
        return Ladder(line, q, first, last, kind)
    rungs = np.arange(first, last + 1)
    shares = np.diff(line.below((rungs[:-1] + 0.5) * q), prepend=0.0, append=1.0)
    return Listed([kind(rung * q) for rung in rungs.tolist()], shares.tolist(), ordered=True)
