"""Where trials fail, and how far that is chance.

A trial fails because of what was tried (a network that does not fit in memory, a rate at which it
diverges) or by chance (a machine that went away). The first is a function of the point and must be
kept clear of; the second says nothing of a point, least of all of the best one. Which it is shows in
whether neighbours fail alike: the zeros and ones of the trials are smoothed by the covariance of the
losses, with noise of several sizes, each of which counts by its likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from .cholesky import Root
from .codes import Codes, Mask

__all__ = ["Failing"]

NOISES = (1e-3, 0.1, 10.0)  # variances of chance, in those of a function of the point


@final
@dataclass(frozen=True, slots=True)
class Failing:
    """Where trials fail, learnt from n of them.

    Attributes:
        failed: which of them did (n,).
        roots: of their covariance, with each noise.
        share: how many failed, in [0, 1].
        weights: of the trials (n,).
    """

    failed: Mask
    roots: tuple[Root, ...]
    share: float
    weights: Codes

    @classmethod
    def of(cls, covariance: Codes, failed: Mask) -> Failing:
        """From the covariance (n, n) of trials and which of them failed (n,), of which one did."""
        unit = float(np.diag(covariance).mean())
        return cls._smoothed(failed, tuple(Root.of(covariance, noise * unit) for noise in NOISES))

    def extended(self, across: Codes, own: Codes, failed: Mask) -> Failing:
        """With k more trials, and which of them failed.

        Args:
            across: covariances (k, n) with those that are known.
            own: covariances (k, k) with one another.
        """
        roots = tuple(root.extended(across, own) for root in self.roots)
        return self._smoothed(np.concatenate([self.failed, failed]), roots)

    @classmethod
    def _smoothed(cls, failed: Mask, roots: tuple[Root, ...]) -> Failing:
        """Rasmussen and Williams, 2.30, at the amplitude of the greatest likelihood for each noise."""
        share = float(failed.mean())
        values = failed.astype(np.float64) - share
        solved = np.stack([root.solved(values) for root in roots])
        amplitudes = np.maximum(solved @ values / len(values), np.finfo(float).tiny)
        likelihoods = -0.5 * len(values) * np.log(amplitudes)
        likelihoods -= [root.half_determinant for root in roots]
        odds = np.exp(likelihoods - likelihoods.max())
        return cls(failed, roots, share, odds / odds.sum() @ solved)

    def at(self, across: Codes) -> Codes:
        """The chance to fail (m,) at rows of which the covariances with the n are given (m, n or more)."""
        found: Codes = self.share + across[:, : len(self.weights)] @ self.weights
        return np.clip(found, 0.0, 1.0)
