"""Rows of codes as coordinates, of which the Gaussian process takes distances and products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

import numpy as np
from numpy.typing import NDArray

from .codes import Codes
from .columns import Columns

__all__ = ["ROOT5", "Features"]

ROOT5 = math.sqrt(5.0)  # what distances are multiplied by, as Matérn 5/2 asks
KNOTS = 7  # of a main effect
MAIN_LENGTH = 0.5  # its length scale
FINE = 256  # codes are rounded to so many parts in it
GUESSED = 2.0  # standard deviation of the weight of a guess, where other main effects have 1


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

    def scaled(self, rows: Codes, lengths: Codes) -> Codes:
        """The same in length scales (columns,), so that Matérn 5/2 is a function of Euclidean distances."""
        found: Codes = self.near(rows) * (ROOT5 / lengths[self.column_of])
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
