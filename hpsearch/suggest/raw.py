"""One word for hyperopt: its prior as an expression node, and its raw values to ours and back.

A raw value is what hyperopt keeps: the number of an option, the rung of a ladder, the number
itself elsewhere. Ordered words stay ordered for its estimators, and both ends of a ladder have
their full share (hyperopt's own `uniformint` gives them half).
"""

from __future__ import annotations

import copy
import math
import sys
from typing import Any

from hyperopt.pyll import scope

from ..declare import Choice, Integer, Maybe, Normal, Uniform, Word
from ..errors import PointError
from ..trial import Value

__all__ = ["from_raw", "prior", "to_raw"]


def prior(word: Word) -> Any:
    """Return the node that draws the raw values of a word, distributed as `word.quantile` says."""
    match word:
        case Choice() if not word.weighted:
            return scope.randint(len(word.points))
        case Choice() | Maybe():
            return scope.categorical(_shares(word.weights))
        case Normal():
            return _normal(word)
        case Uniform() | Integer() if word.log:
            low, high = word.edges()
            return scope.loguniform(math.log(low), math.log(high))
        case Uniform() if word.step is None:
            return scope.uniform(word.low, word.high)
        case Uniform() | Integer():
            first = _first(word)
            return scope.quniform(first - 0.5, first + word.rungs() - 0.5, 1.0)
    raise TypeError(f"{type(word).__name__} is no word that is searched")


def to_raw(word: Word, value: Value) -> int | float:
    """Return hyperopt's raw value for a value of a point.

    Raises:
        PointError: if the word does not allow the value.
    """
    legal = word.check(value)
    match word:
        case Choice() | Maybe():
            return int(word.index(legal) or 0)
        case Normal() if word.log:
            return max(float(legal), sys.float_info.min)  # its logarithm is taken
        case Uniform() | Integer() if word.step is not None and not word.log:
            return float(_first(word) + round((legal - word.low) / word.step))
    return float(legal)


def from_raw(word: Word, raw: Any) -> Value:
    """Return the value for a raw value: of the word's own type, within its bounds.

    Raises:
        PointError: if `raw` is not a number, or not the number of an option.
    """
    number = _number(raw)
    match word:
        case Choice() | Maybe():
            if number != int(number) or not 0 <= number < len(word.points):
                raise PointError(
                    f"hyperopt's raw value of {word!r} is the number of an option, 0 to "
                    f"{len(word.points) - 1}, got {raw!r}. Pass on what hyperopt gave, unchanged."
                )
            return copy.deepcopy(word.points[int(number)])  # a list option stays the word's own
        case Normal():
            most = sys.float_info.max * min(word.step or 1, 1)  # an exponential may overflow
            return word.snap(min(max(number, -most), most))
        case Uniform() | Integer() if word.step is not None and not word.log:
            first = _first(word)
            return word.rung(round(min(max(number, first), first + word.rungs() - 1)) - first)
        case Uniform() | Integer():
            return word.snap(min(max(number, word.low), word.high))
    raise TypeError(f"{type(word).__name__} is no word that is searched")


def _normal(word: Normal) -> Any:
    name = f"{'' if word.step is None else 'q'}{'log' if word.log else ''}normal"
    step = () if word.step is None else (word.step,)
    return getattr(scope, name)(word.mean, word.std, *step)


def _first(word: Uniform | Integer) -> int:
    """The raw value of the first rung: whole numbers in steps of 1 stand for themselves."""
    return word.low if isinstance(word, Integer) and word.step == 1 else 0


def _shares(weights: tuple[float, ...]) -> tuple[float, ...]:
    total = math.fsum(weights)  # declared weights sum to 1 within 1e-6; numpy wants 1e-12
    return tuple(weight / total for weight in weights)


def _number(raw: Any) -> float:
    if hasattr(raw, "item") and getattr(raw, "size", 0) == 1:
        raw = raw.item()
    if isinstance(raw, bool) or not isinstance(raw, int | float) or math.isnan(raw):
        raise PointError(
            f"hyperopt's raw value is a number, got {raw!r}. "
            "Pass on what hyperopt gave, unchanged: not values, and not `space_eval` of them."
        )
    return raw
