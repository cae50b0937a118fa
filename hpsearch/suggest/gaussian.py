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
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.optimize import minimize

from .cholesky import Root
from .columns import Codes, Columns

__all__ = ["Features", "Joined", "Posterior", "Scales", "fitted"]

ROOT5 = math.sqrt(5.0)
BASE = 0.5  # centre of the prior on a length scale where four columns are active
LENGTH_SPREAD = 1.0  # standard deviation of the prior on the logarithm of a length scale
NOISE = 1e-3  # centre of the prior on the noise; the variance of all losses is 1
NOISE_SPREAD = 2.0
SIGNAL_SPREAD = 1.0
MAIN_SPREAD = 1.5
LEAST_NOISE = 1e-6
NO_DENSITY = 1e25  # minus the logarithm of one, where there is no covariance
ITERATIONS = 25
KNOTS = 7  # of a main effect
MAIN_LENGTH = 0.5  # its length scale
GUESSED = 2.0  # standard deviation of the weight of a guess, where other main effects have 1
FINE = 256  # codes are rounded to so many parts in it


def matern(distance: Codes) -> Codes:
    """Matérn 5/2 of distances that are already multiplied by √5."""
    found: Codes = (1.0 + distance + distance * distance / 3.0) * np.exp(-distance)
    return found


def _main_table() -> Codes:
    """Features (FINE + 1, KNOTS) of an ordered code, whose products are nearly Matérn 5/2."""
    knots = (np.arange(KNOTS) + 0.5) / KNOTS
    at = np.linspace(0.0, 1.0, FINE + 1)
    values, vectors = np.linalg.eigh(matern(ROOT5 / MAIN_LENGTH * abs(knots[:, None] - knots)))
    table = matern(ROOT5 / MAIN_LENGTH * abs(at[:, None] - knots)) @ (vectors / np.sqrt(values))
    found: Codes = table / np.sqrt((table**2).sum(axis=1, keepdims=True))
    return found


@final
class Features:
    """Rows of codes as coordinates, in which the covariance is simple.

    For distances an ordered column is one coordinate, in the middle where it is not active;
    options are one coordinate each, all 0 where it is not active, so that two options are 1 apart.

    Args:
        guess: what is believed of rows, (n, columns) to (n, k), before any value is known: main
            effects as well.

    Attributes:
        active: how many columns are active in a draw from the prior, about.
    """

    def __init__(self, columns: Columns, guess: Callable[[Codes], Codes] | None = None) -> None:
        self._columns, self._guess = columns, guess
        drawn = columns.at(np.random.default_rng(0).random((64, len(columns))))
        self.active = max(float((~np.isnan(drawn)).sum(axis=1).mean()), 1.0)
        widths = np.array([1 if c.ordered else max(c.count, 1) for c in columns], dtype=np.intp)
        self.column_of = np.repeat(np.arange(len(columns)), widths)
        self._starts = np.cumsum(widths) - widths
        self._ordered = np.flatnonzero(columns.ordered)
        self._options = np.flatnonzero(~columns.ordered)
        none = np.zeros((1, KNOTS))  # for a column that is not active
        self._table = np.concatenate([_main_table() / math.sqrt(self.active), none])
        widths = widths[self._options]
        self._singles = int(widths.sum())
        self._single_starts = np.cumsum(widths) - widths

    def near(self, rows: Codes) -> Codes:
        """Coordinates (n, coordinates) for distances."""
        found = np.zeros((len(rows), len(self.column_of)))
        ordered = rows[:, self._ordered]
        found[:, self._starts[self._ordered]] = np.where(np.isnan(ordered), 0.5, ordered)
        where, which, options = self._chosen(rows)
        found[where, self._starts[self._options][which] + options] = math.sqrt(0.5)
        return found

    def scaled(self, rows: Codes, scales: Scales) -> Codes:
        """The same, so that the covariance is Matérn 5/2 of Euclidean distances times √5."""
        found: Codes = self.near(rows) * (ROOT5 / scales.lengths[self.column_of])
        return found

    def main(self, rows: Codes) -> Codes:
        """Coordinates (n, coordinates) whose products are the covariance of the main effects."""
        at = np.rint(rows[:, self._ordered] * FINE)
        at = np.where(np.isnan(at), FINE + 1, at).astype(np.intp)
        found = np.empty((len(rows), KNOTS * len(self._ordered) + self._singles))
        found[:, : self._singles] = 0.0
        found[:, self._singles :] = self._table[at].reshape(len(rows), -1)
        where, which, options = self._chosen(rows)
        found[where, self._single_starts[which] + options] = 1.0 / math.sqrt(self.active)
        if self._guess is not None:
            found = np.concatenate([found, GUESSED * self._guess(rows)], axis=1)
        return found

    def apart(self, rows: Codes) -> Codes:
        """Squared distances (columns, pairs) of every two rows, by column."""
        found = self.near(rows)
        first, second = np.triu_indices(len(rows), 1)
        squares = (found[first] - found[second]) ** 2
        return np.ascontiguousarray(np.add.reduceat(squares, self._starts, axis=1).T)

    def _chosen(self, rows: Codes) -> tuple[NDArray[np.intp], ...]:
        """The row, the number among the columns of options, and the option, of all that are chosen."""
        options = rows[:, self._options]
        where, which = np.nonzero(~np.isnan(options))
        return where, which, options[where, which].astype(np.intp)


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
        near = self._features.scaled(rows, self._scales)
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
