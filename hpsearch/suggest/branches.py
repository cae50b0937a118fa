"""Branches of a choice, one of which is looked at alone where the search of all has stalled.

Once a good branch has most of the trials, losses are told apart within it only: all others look as bad
as their first trials were, which nothing has improved since. What a branch is worth shows when it is
searched for itself (Li, Jiang, Gao, Shao, Zhang and Cui, *Efficient Automatic CASH via Rising Bandits*,
2020, who give each algorithm an optimiser of its own).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from .columns import Codes, Columns, Mask

__all__ = ["Branch", "Branches"]

EVERY = 2  # suggestions of which one looks at a branch
LEAST_TOLD = 25  # trials before that
STALLED = 15  # losses in a row that were no worthwhile improvement
WORTHWHILE = 0.02  # an improvement, as a share of what the best is ahead of a typical first loss
FIRST = 30  # losses of which the median is typical


@final
@dataclass(frozen=True, slots=True)
class Branch:
    """The rows that have one option of a choice.

    Attributes:
        column: of the choice.
        code: of the option.
    """

    column: int
    code: float

    def holds(self, rows: Codes) -> Mask:
        """Which of the rows (n, columns) are in it."""
        found: Mask = rows[:, self.column] == self.code
        return found

    def drawn(self, columns: Columns, shares: Codes) -> Codes:
        """Those of the rows for shares of the prior (n, columns) that are in it, when it is chosen."""
        chosen = np.full((1, len(columns)), np.nan)
        chosen[0, self.column] = self.code
        rows = columns.completed(np.repeat(columns.reached(chosen), len(shares), axis=0), shares)
        return rows[self.holds(rows)]


@final
class Branches:
    """The options of the choices that decide whether other columns are active."""

    def __init__(self, columns: Columns) -> None:
        deciding = {
            j
            for column in columns
            for place in column.places
            for atom in place
            for j in atom.columns
        }
        self._all = [
            Branch(j, float(code))
            for j in sorted(deciding)
            if not columns[j].ordered and columns[j].edges is not None
            for code in range(columns[j].count)
        ]

    def due(self, losses: Codes, number: int) -> bool:
        """Whether suggestion `number` is to look at one of them, after losses (n,)."""
        if not self._all or number % EVERY == 0 or len(losses) < LEAST_TOLD:
            return False
        return _stalled(losses[np.isfinite(losses)])

    def neglected(self, rows: Codes, most: int) -> Iterator[Branch]:
        """Those with the fewest of the rows (n, columns), the fewest first."""
        counts = [int(branch.holds(rows).sum()) for branch in self._all]
        order = np.argsort(counts, kind="stable").tolist()
        return itertools.islice((self._all[i] for i in order), most)


def _stalled(losses: Codes) -> bool:
    """Whether the latest losses are no worthwhile improvement on those before them."""
    if len(losses) <= STALLED:
        return False
    best, before = losses.min(), losses[:-STALLED].min()
    return bool(before - best <= WORTHWHILE * (np.median(losses[:FIRST]) - best))
