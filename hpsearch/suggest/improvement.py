"""Expected improvement, in logarithms: it still ranks candidates of whom nothing much is expected."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erfcx, ndtr

from .codes import Codes

__all__ = ["log_improvement"]


def log_improvement(mean: Codes, spread: Codes, best: float) -> Codes:
    """The logarithm of how much a normal loss is expected to fall below `best`.

    Ament, Daulton, Eriksson, Balandat and Bakshy, *Unexpected Improvements to Expected Improvement
    for Bayesian Optimization*, 2023, equation 8 and after.
    """
    at = (best - mean) / spread
    near = np.maximum(at, -1.0)
    plain = np.exp(-0.5 * near * near) / math.sqrt(2 * math.pi) + near * ndtr(near)
    far = np.maximum(-at, 1.0)
    rest = np.where(
        far < 1e4, 1.0 - far * math.sqrt(math.pi / 2) * erfcx(far / math.sqrt(2)), far**-2.0
    )
    deep = -0.5 * far * far - 0.5 * math.log(2 * math.pi) + np.log(np.maximum(rest, 1e-300))
    return np.where(at > -1.0, np.log(plain), deep) + np.log(spread)
