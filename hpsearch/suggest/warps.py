"""Losses as a Gaussian process can take them: the bad ones drawn together, the good ones kept apart.

How bad a bad trial was matters little, and one that diverged would flatten all others. Two warps
that err in different ways take turns; below the median both are linear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from scipy.special import ndtri

from .columns import Codes

__all__ = ["WARPS", "Warp", "Warped"]

FARTHEST = 6.0  # standard deviations below the median that a good loss can be
LOWEST = 100.0  # standard deviations below the mean that a later loss can be
LARGEST = 1e100  # losses beyond are as good as infinite: their squares would be
SMALLEST = 1e-12  # a relative spread below which losses are equal
TOP = 0.75  # the quantile of losses above which all are alike


@final
@dataclass(frozen=True, slots=True)
class Warped:
    """Warped losses, of mean 0 and variance 1.

    Attributes:
        values: of the losses, in their order (n,).
        slope: units of loss per unit of a low value.
        zero: the loss at value 0, were all of it linear.
        knee: the greatest value that is linear.
    """

    values: Codes
    slope: float
    zero: float
    knee: float

    def loss(self, value: float) -> float:
        """The loss at a value; above the knee the loss there."""
        return self.zero + self.slope * min(value, self.knee)

    def later(self, losses: Codes) -> Codes:
        """Values of losses that came after: as if all of it were linear, up to the greatest."""
        if not self.slope:
            return np.where(losses < self.zero, -1.0, 0.0)
        return np.clip((losses - self.zero) / self.slope, -LOWEST, self.values.max())


Warp: TypeAlias = Callable[[Codes], Warped]


def winsorised(losses: Codes) -> Warped:
    """All losses above the upper quartile become that quartile."""
    losses = _tame(losses)
    top = float(np.quantile(losses, TOP, method="higher"))
    return _standard(np.minimum(losses, top), top, 0.0, 1.0)


def half_gaussian(losses: Codes) -> Warped:
    """Losses above the median become the quantiles of half a normal distribution, by their rank."""
    losses = _tame(losses)
    count = len(losses)
    middle = float(np.median(losses))
    low = losses <= middle
    scale = float(np.sqrt(np.mean((losses[low] - middle) ** 2)))
    if not scale > 0.0:  # all losses up to the median are equal
        scale = float(losses.std()) or 1.0
    rank = np.empty(count)
    rank[np.argsort(losses, kind="stable")] = np.arange(count)
    found = ndtri((rank + 0.5) / count)
    found[low] = np.maximum((losses[low] - middle) / scale, -FARTHEST)
    return _standard(np.where(low, found, np.maximum(found, 0.0)), 0.0, middle, scale)


def _tame(losses: Codes) -> Codes:
    """Losses whose squares neither overflow nor vanish."""
    found = np.clip(losses, -LARGEST, LARGEST)
    return found if np.ptp(found) > 1 / LARGEST else np.full_like(found, found[0])


def _standard(values: Codes, knee: float, zero: float, slope: float) -> Warped:
    """Values shifted and scaled to mean 0 and variance 1; so is what leads back to losses."""
    mean, spread = float(values.mean()), float(values.std())
    if not spread > max(SMALLEST * abs(mean), 1 / LARGEST):
        return Warped(np.zeros_like(values), 0.0, zero + slope * mean, 0.0)
    found = (values - mean) / spread
    return Warped(found, slope * spread, zero + slope * mean, (knee - mean) / spread)


WARPS: tuple[Warp, ...] = (winsorised, half_gaussian)
