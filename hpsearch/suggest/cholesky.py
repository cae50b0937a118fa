"""Cholesky roots of covariances with noise, which grow with their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.linalg import lapack

from .codes import Codes

__all__ = ["Root"]

MOST_NOISE = 1e9


@final
@dataclass(frozen=True, slots=True)
class Root:
    """The root of a covariance (n, n) with noise.

    Attributes:
        lower: the triangular root (n, n).
        noise: on the diagonal (n,): more than was asked for where the covariance is singular.
        asked: the noise that was asked for.
    """

    lower: Codes
    noise: Codes
    asked: float

    @classmethod
    def of(cls, covariance: Codes, noise: float) -> Root:
        """The root of a covariance, with more noise where it is singular.

        Raises:
            LinAlgError: if it is no covariance at all.
        """
        asked = noise
        while noise < MOST_NOISE:
            noisy = covariance.copy(order="F")
            noisy[np.diag_indices(len(covariance))] += noise
            lower, failed = lapack.dpotrf(noisy, lower=1, overwrite_a=1)
            if not failed:
                return cls(lower, np.full(len(covariance), noise), asked)
            noise *= 10.0
        raise np.linalg.LinAlgError("not a covariance")

    def extended(self, across: Codes, own: Codes) -> Root:
        """With k more rows, of which the covariances with the others (k, n) and their own (k, k) are given.

        Raises:
            LinAlgError: if it is no covariance at all.
        """
        inside = self.halved(across.T)
        rest = Root.of(own - inside.T @ inside, self.asked)
        count, more = len(self.lower), len(own)
        lower = np.zeros((count + more, count + more), order="F")
        lower[:count, :count] = self.lower
        lower[count:, :count] = inside.T
        lower[count:, count:] = rest.lower
        return Root(lower, np.concatenate([self.noise, rest.noise]), self.asked)

    def halved(self, right: Codes) -> Codes:
        """lower⁻¹ right."""
        found: Codes
        found, _ = lapack.dtrtrs(self.lower, right, lower=1)
        return found

    def solved(self, right: Codes) -> Codes:
        """(covariance + noise)⁻¹ right."""
        found: Codes
        found, _ = lapack.dpotrs(self.lower, right, lower=1)
        return found

    def inverse(self) -> Codes:
        """(covariance + noise)⁻¹; only its diagonal and what is below are filled."""
        found: Codes
        found, _ = lapack.dpotri(self.lower, lower=1)
        return found

    @property
    def half_determinant(self) -> float:
        """Half the logarithm of the determinant."""
        return float(np.log(np.diag(self.lower)).sum())
