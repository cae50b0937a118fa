"""A light Gaussian process over a conditional space: fitted by its marginal likelihood and priors.

Its covariance is the sum of two. One is Matérn 5/2 over all columns at once with a length scale
for each (Rasmussen and Williams, *Gaussian Processes for Machine Learning*, 2006, chapters 2 and
5), whose prior grows with the root of the number of columns, so that distances keep their meaning
(Hvarfner, Hellsten and Nardi, *Vanilla Bayesian Optimization Performs Great in High Dimensions*,
2024). The other is of main effects: a function of each active column alone, shared by all branches
in which it is active (Jenatton, Archambeau, González and Seeger, *Bayesian Optimization with
Tree-structured Dependencies*, 2017), so that what is learnt in one branch of a choice is known in
the others.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import minimize

from .cholesky import Root
from .codes import Codes
from .features import ROOT5, Features

__all__ = ["Joined", "Posterior", "Scales", "fitted"]

BASE = 0.5  # centre of the prior on a length scale where four columns are active
LENGTH_SPREAD = 1.0  # standard deviation of the prior on the logarithm of a length scale
NOISE = 1e-3  # centre of the prior on the noise; the variance of all losses is 1
NOISE_SPREAD = 2.0
SIGNAL_SPREAD = 1.0
MAIN_SPREAD = 1.5
LEAST_NOISE = 1e-6
NO_DENSITY = 1e25  # minus the logarithm of one, where there is no covariance
ITERATIONS = 25


@final
@dataclass(frozen=True, slots=True)
class Scales:
    """What is fitted.

    Attributes:
        lengths: of each column.
        main: variance of the main effects together.
        signal: variance of what they do not explain.
        noise: variance of one observation around it.
    """

    lengths: Codes
    main: float
    signal: float
    noise: float


def fitted(features: Features, rows: Codes, losses: Codes) -> Scales:
    """Return the scales of greatest posterior density for standardised losses (n,)."""
    density = _Density(features, rows, losses)
    found = minimize(
        density.negative,
        density.centre,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": ITERATIONS},
        bounds=[
            (c - 4 * s, c + 4 * s) for c, s in zip(density.centre, density.spread, strict=True)
        ],
    )
    best = found.x if found.fun < NO_DENSITY / 10 else density.centre
    amount, signal, noise = np.exp(best[-3:]).tolist()
    return Scales(np.exp(best[:-3]), amount, signal, noise + LEAST_NOISE)


@final
class _Density:
    """The posterior density of the logarithms of scales: lengths, main, signal, noise.

    Attributes:
        centre, spread: of the normal prior on each.
    """

    def __init__(self, features: Features, rows: Codes, losses: Codes) -> None:
        count = len(losses)
        self._losses = losses
        self._apart = features.apart(rows)
        main = features.main(rows)
        self._main: Codes = main @ main.T
        self._upper = np.flatnonzero(np.triu(np.ones((count, count), dtype=bool), 1))
        columns = len(self._apart)
        length = math.log(BASE * math.sqrt(features.active / 4.0))
        self.centre = np.concatenate([np.full(columns, length), [0.0, 0.0, math.log(NOISE)]])
        self.spread = np.concatenate(
            [np.full(columns, LENGTH_SPREAD), [MAIN_SPREAD, SIGNAL_SPREAD, NOISE_SPREAD]]
        )

    def negative(self, at: Codes) -> tuple[float, Codes]:
        """Minus the logarithm of the density, and its gradient."""
        losses, apart, main, upper = self._losses, self._apart, self._main, self._upper
        weights = np.exp(-2.0 * at[:-3])
        amount, signal, noise = np.exp(at[-3:])
        distance = ROOT5 * np.sqrt(weights @ apart)
        decay = signal * np.exp(-distance)
        covered = (1.0 + distance + distance * distance / 3.0) * decay
        kernel = amount * main
        kernel.ravel()[upper] += covered
        kernel.ravel()[:: len(losses) + 1] += signal + noise + LEAST_NOISE
        root, failed = lapack.dpotrf(kernel.T, lower=1, overwrite_a=0)
        if failed:
            return NO_DENSITY, np.zeros_like(at)
        solved, _ = lapack.dpotrs(root, losses, lower=1)
        inverse, _ = lapack.dpotri(root, lower=1)
        away = (at - self.centre) / self.spread
        value = (
            0.5 * float(losses @ solved)
            + float(np.log(np.diag(root)).sum())
            + 0.5 * float(away @ away)
        )
        slope = away / self.spread
        pull = np.outer(solved, solved) - inverse.T  # -2 × the derivative by the kernel, above
        over = pull.ravel()[upper]
        trace = float(np.trace(pull))
        slope[:-3] -= (apart @ (over * (5.0 / 3.0) * (1.0 + distance) * decay)) * weights
        both = float(over @ main.ravel()[upper])
        slope[-3] -= amount * (both + 0.5 * float(np.diag(pull) @ np.diag(main)))
        slope[-2] -= float(over @ covered) + 0.5 * signal * trace
        slope[-1] -= 0.5 * noise * trace
        return value, slope


@final
@dataclass(frozen=True, eq=False, slots=True)
class Placed:
    """Rows as coordinates that are scaled, see `Features`.

    Attributes:
        near: for distances (n, coordinates).
        squares: of their norms (n,).
        main: of the main effects (n, coordinates).
    """

    near: Codes
    squares: Codes
    main: Codes

    def joined(self, other: Placed) -> Placed:
        """These rows and others."""
        return Placed(
            np.concatenate([self.near, other.near]),
            np.concatenate([self.squares, other.squares]),
            np.concatenate([self.main, other.main]),
        )


@final
@dataclass(frozen=True, eq=False, slots=True)
class Joined:
    """The n rows that a process knows and k more.

    Attributes:
        rows: all of them.
        across: covariances (k, n) of the k with the n.
        own: covariances (k, k) with one another.
    """

    rows: Placed
    across: Codes
    own: Codes


@final
class Posterior:
    """The process given values (n,) at rows (n, columns)."""

    def __init__(self, features: Features, scales: Scales, rows: Codes, values: Codes) -> None:
        self._features, self._scales = features, scales
        self._at = self._placed(rows)
        self._root = Root.of(self.covariance(), scales.noise)
        self._values = values
        self._solved = self._root.solved(values)

    @property
    def means(self) -> Codes:
        """The means at the own rows (n,)."""
        found: Codes = self._values - self._root.noise * self._solved
        return found

    @property
    def left_out(self) -> Codes:
        """What is predicted of each value from all others (n,): Rasmussen and Williams, 5.12."""
        found: Codes = self._values - self._solved / np.diag(self._root.inverse())
        return found

    def covariance(self) -> Codes:
        """Of the own rows with one another (n, n), without noise."""
        return self._covariance(self._at, self._at)

    def joined(self, rows: Codes) -> Joined:
        """The own rows and more (k, columns), with the covariances of these."""
        more = self._placed(rows)
        both, count = self._at.joined(more), len(self._values)
        found = self._covariance(more, both)
        return Joined(both, found[:, :count], found[:, count:])

    def extended(self, new: Joined, values: Codes | None) -> Posterior:
        """The process with more rows, at a fraction of the cost.

        Args:
            values: (k,), None if they are as is expected, so that there is nothing to be learnt
                beside them (a kriging believer: Ginsbourger, Le Riche and Carraro, *Kriging is
                well-suited to parallelize optimization*, 2010).
        """
        found = copy.copy(self)
        found._at = new.rows
        found._root = self._root.extended(new.across, new.own)
        values = new.across @ self._solved if values is None else values
        found._values = np.concatenate([self._values, values])
        found._solved = found._root.solved(found._values)
        return found

    def predict(self, rows: Codes) -> tuple[Codes, Codes, Codes]:
        """Means (m,) and standard deviations (m,) at rows, without noise; covariances (m, n)."""
        at = self._placed(rows)
        across = self._covariance(at, self._at)
        inside = self._root.halved(across.T)
        prior = self._scales.signal + np.einsum("ij,ij->i", at.main, at.main)
        variance = prior - np.einsum("ij,ij->j", inside, inside)
        return across @ self._solved, np.sqrt(np.maximum(variance, 1e-12)), across

    def _placed(self, rows: Codes) -> Placed:
        near = self._features.scaled(rows, self._scales.lengths)
        main = self._features.main(rows) * math.sqrt(self._scales.main)
        return Placed(near, (near**2).sum(axis=1), main)

    def _covariance(self, one: Placed, other: Placed) -> Codes:
        """The covariance (m, n) of m rows with n others."""
        distance = one.near @ (-2.0 * other.near.T)
        distance += one.squares[:, None]
        distance += other.squares
        np.sqrt(np.maximum(distance, 0.0, out=distance), out=distance)
        found = distance * (1.0 / 3.0)
        found += 1.0
        found *= distance
        found += 1.0
        found *= np.exp(np.negative(distance, out=distance), out=distance)
        found *= self._scales.signal
        found += one.main @ other.main.T
        return found
