"""Losses as a Gaussian process can take them: the bad ones drawn together, the good ones kept apart.

How bad a bad trial was matters little, and one that diverged would flatten all others. Which warp
suits depends on the problem: those that predict best take turns (surrogate.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from .codes import Codes

__all__ = ["WARPS", "Warp", "Warped", "least_believed", "warped"]

FARTHEST = 6.0  # standard deviations below the median that a good loss can be
LOWEST = 100.0  # standard deviations below the mean that a later loss can be
LARGEST = 1e100  # losses beyond are as good as infinite: their squares would be
SMALLEST = 1e-12  # a relative spread below which losses are equal
TOP = 0.75  # the quantile of losses above which all are alike
LEAST_LEADERS = 6  # trials that stand for all others at least
ODD = 25  # one loss in so many, and one more, may be far too good
DEEP = 2.0  # how far: in distances of the best other one from the median
NEAREST = 0.01  # the least distance from the best loss in a logarithm, that of the median being 1


@final
@dataclass(frozen=True, slots=True)
class Linear:
    """Linear up to a knee.

    Attributes:
        values: of the losses, in their order (n,).
        per_value: units of loss per unit of value.
        zero: the loss at value 0, were all of it linear.
        knee: the greatest value that is linear.
        above: losses from the knee on, ascending, and their values; none where these are the knee's.
    """

    values: Codes
    per_value: float
    zero: float
    knee: float
    above: tuple[Codes, Codes] | None = None

    @property
    def top(self) -> float:
        """The value from which on losses are as good as alike."""
        return self.knee

    def loss(self, value: float) -> float:
        """The loss at a value; of the bad losses that are alike the least."""
        return self.zero + self.per_value * min(value, self.knee)

    def slope(self, value: float) -> float:
        """Units of loss per unit of value, at a value."""
        return self.per_value

    def later(self, losses: Codes) -> Codes:
        """Values of losses that came after, as if they had been there.

        But one that is far below all others is believed as it is: whether others come near it shows
        when all are warped anew, and until then a discovery that was cut off would hide what is
        learnt beside it.
        """
        if not self.per_value:
            return np.where(losses < self.zero, -1.0, 0.0)
        found = np.clip((losses - self.zero) / self.per_value, -LOWEST, self.knee)
        if self.above is None:
            return found
        return np.where(losses > self.above[0][0], np.interp(losses, *self.above), found)


@final
@dataclass(frozen=True, slots=True)
class Logarithmic:
    """The logarithm of the distance from the best loss, that of the median of who leads being 1.

    Attributes:
        values: of the losses, in their order (n,).
        low: the best loss.
        scale: the median's distance from it.
        zero: the logarithm at value 0.
        spread: its units per unit of value.
    """

    values: Codes
    low: float
    scale: float
    zero: float
    spread: float

    @property
    def top(self) -> float:
        """The greatest value: all that is worse is as bad as the worst."""
        return float(self.values.max())

    def loss(self, value: float) -> float:
        far = math.exp(self.zero + self.spread * min(value, self.top))
        return self.low + self.scale * (far - NEAREST)

    def slope(self, value: float) -> float:
        return self.spread * (self.loss(value) - self.low + self.scale * NEAREST)

    def later(self, losses: Codes) -> Codes:
        far = np.maximum((losses - self.low) / self.scale, 0.0) + NEAREST
        found: Codes = np.minimum((np.log(far) - self.zero) / self.spread, self.top)
        return found


Warped: TypeAlias = Linear | Logarithmic
"""Warped losses: their `values` (n,), of which those that lead have mean 0 and variance 1, and the ways
back: the `loss` at a value up to the `top`, its `slope` there, and the values of losses that came `later`."""

Warp: TypeAlias = Callable[[Codes], Warped]
"""Makes warped losses of tame ones; see `warped`."""


def warped(warp: Warp, losses: Codes, leaders: NDArray[np.intp] | None = None) -> Warped:
    """Losses (n,) by a warp.

    Args:
        leaders: the numbers of the trials (k,) that count in quantiles and in the spread, the best
            among them; None for all. A branch that is refined has ever more trials, each a little
            beside the others: were all of them counted, soon nothing but their differences would be
            told apart. All are, where fewer than six lead, or all who lead are equal.
    """
    losses = _tame(losses)
    if leaders is None or len(leaders) < min(LEAST_LEADERS, len(losses)):
        return warp(losses)
    found = warp(losses[leaders])
    if not found.slope(0.0):
        return warp(losses)
    values = np.maximum(found.later(losses), found.values.min())  # none is better than who leads
    values[leaders] = found.values
    return replace(found, values=values)


def winsorised(losses: Codes) -> Warped:
    """All losses above the upper quartile become that quartile."""
    top = _top(np.sort(losses))
    return _standard(np.minimum(losses, top), top, 0.0, 1.0)


def half_gaussian(losses: Codes) -> Warped:
    """Losses above the median become the quantiles of half a normal distribution, by their rank."""
    ascending, count = np.sort(losses), len(losses)
    middle = _middle(ascending)
    low = losses <= middle
    scale = float(np.sqrt(np.mean((losses[low] - middle) ** 2)))
    if not scale > 0.0:  # all losses up to the median are equal
        scale = float(losses.std()) or 1.0
    found = np.empty(count)
    found[low] = np.maximum((losses[low] - middle) / scale, -FARTHEST)
    high = ascending[low.sum() :]
    ranks = (np.searchsorted(ascending, high, side=side) for side in ("left", "right"))
    quantiles = np.maximum(ndtri(sum(ranks) / (2 * count)), 0.0)  # of equal losses the middle rank
    above = np.append(middle, high), np.append(0.0, quantiles)
    found[~low] = np.interp(losses[~low], *above)
    return _standard(found, 0.0, middle, scale, above)


def logarithm(losses: Codes) -> Warped:
    """The logarithm of the distance from the best; all above the upper quartile become that."""
    ascending = np.sort(losses)
    low, top = float(ascending[0]), _top(ascending)
    scale = _middle(ascending) - low
    if not scale > SMALLEST * max(abs(low), 1 / LARGEST):  # the best half are equal
        return half_gaussian(losses)
    found = np.log((np.minimum(losses, top) - low) / scale + NEAREST)
    zero, spread = float(found.mean()), float(found.std())
    return Logarithmic((found - zero) / spread, low, scale, zero, spread)


def _tame(losses: Codes) -> Codes:
    """Losses whose squares neither overflow nor vanish, and none of them far too good."""
    found = np.clip(losses, -LARGEST, LARGEST)
    if not np.ptp(found) > 1 / LARGEST:
        return np.full_like(found, found[0])
    return np.maximum(found, least_believed(found))


def least_believed(losses: Codes) -> float:
    """The least loss that is believed as it is.

    One that is far below all others is rather a metric that broke than a discovery, and would
    flatten them. If it is a discovery, it is still the best, and is believed as soon as a few others
    come near it.
    """
    ascending = np.sort(losses)
    good = float(ascending[min(1 + len(losses) // ODD, len(losses) - 1)])
    middle = _middle(ascending)
    bound = good - DEEP * (middle - good)
    if ascending[0] >= bound:
        return bound  # a wider one would change nothing
    return min(bound, good - DEEP * _middle(np.sort(np.abs(losses - middle))))


def _top(ascending: Codes) -> float:
    """The loss above which all are alike, of sorted ones."""
    return float(ascending[math.ceil(TOP * (len(ascending) - 1))])


def _middle(ascending: Codes) -> float:
    """The median of sorted numbers: NumPy sorts faster than it finds a median."""
    return float(ascending[(len(ascending) - 1) // 2 : len(ascending) // 2 + 1].mean())


def _standard(
    values: Codes,
    knee: float,
    zero: float,
    slope: float,
    above: tuple[Codes, Codes] | None = None,
) -> Linear:
    """Values shifted and scaled to mean 0 and variance 1; so is what leads back to losses.

    Args:
        above: losses from the knee on, ascending, and their values.
    """
    mean, spread = float(values.mean()), float(values.std())
    if not spread > max(SMALLEST * abs(mean), 1 / LARGEST):
        least = float(values.min())  # not the mean: of equal numbers that may be a digit above them
        return Linear(np.zeros_like(values), 0.0, zero + slope * least, 0.0)
    found, knee_at = (values - mean) / spread, (knee - mean) / spread
    if above is not None:
        above = above[0], (above[1] - mean) / spread
    return Linear(found, slope * spread, zero + slope * mean, knee_at, above)


WARPS: tuple[Warp, ...] = (winsorised, half_gaussian, logarithm)
