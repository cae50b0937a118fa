"""Branches of a choice, one of which is looked at alone where the search of all has stalled.

Where a good branch has most of the trials, and they do not crowd (sample.py), losses are told apart
within it only: all others look as bad as their first trials were, which nothing has improved since.
What a branch is worth shows when it is searched for itself (Li, Jiang, Gao, Shao, Zhang and Cui,
*Efficient Automatic CASH via Rising Bandits*, 2020, who give each algorithm an optimiser of its own).
The fewer parameters it has, the fewer trials that takes, and the sooner it is looked at.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from .codes import Codes, Mask
from .columns import Columns
from .told import Told
from .warps import least_believed

__all__ = ["EVERY", "Branch", "Branches", "believed", "looks", "promising", "stalled"]

EVERY = 2  # suggestions of which one looks at a branch, where the search has stalled
TOLD = 25  # ended trials, times the columns of its own, before a branch is looked at
MOST_TOLD = 100  # … at most, and before one without columns is
DRAWN = 64  # rows of a branch, to see which columns it has
STALLED = 15  # losses in a row that were no worthwhile improvement
WORTHWHILE = 0.03  # an improvement, as a share of what the best is ahead of a typical first loss
FIRST = 30  # losses of which the lower quartile is typical
TRIED = 6  # looks at a branch, of which the latest have to have made it better
CATCHING_UP = 0.2  # by how much, as a share of what it was behind the best of all


def looks(number: int) -> bool:
    """Whether suggestion `number` looks at a branch, where the search has stalled."""
    return number % EVERY == EVERY - 1


def believed(losses: Codes) -> Codes:
    """Losses (n,), infinite for failures and for what is far below all others."""
    known = np.isfinite(losses)
    return np.where(known & (losses >= least_believed(losses[known])), losses, np.inf)


def stalled(losses: Codes) -> bool:
    """Whether the latest of all losses (n,) are no worthwhile improvement on those before them."""
    known = losses[np.isfinite(losses)]
    if len(known) <= STALLED:
        return False
    latest = len(known) - STALLED
    fair = believed(known)
    best, before = fair.min(), fair[:latest].min()
    typical = _lower_quartile(known[:FIRST])
    return bool(before - best <= WORTHWHILE * (typical - best))


def promising(told: Told, inside: NDArray[np.intp], best: float, since: int) -> bool:
    """Whether a branch may catch up with the best loss of all, as its trials go.

    It is given a few looks; the latest of them have to close a share of the gap. What counts as one
    is every trial in it whose turn may have been one. (In the work above an arm is left when its
    bound, as it goes on, is no better than another.)

    Args:
        inside: which of the trials are in the branch, ascending.
        best: the least of all losses that are believed.
        since: the turn from which on the branch is looked at.
    """
    backwards = range(len(inside) - 1, -1, -1)
    looked = (k for k in backwards if (n := told.turns[inside[k]]) >= since and looks(n))
    latest = [*itertools.islice(looked, TRIED)]
    if len(latest) < TRIED:
        return True
    losses = np.nan_to_num(told.losses[inside], nan=np.inf)
    before, after = losses[: latest[-1]].min(initial=np.inf), losses.min()
    return bool(after < before and before - after >= CATCHING_UP * (before - best))


@final
@dataclass(frozen=True, slots=True)
class Branch:
    """The rows that have one option of a choice.

    Attributes:
        column: of the choice.
        code: of the option.
        begins: ended trials from which on it is looked at.
    """

    column: int
    code: float
    begins: int = MOST_TOLD

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
    """The options of the choices of names that decide whether other columns are active."""

    def __init__(self, columns: Columns) -> None:
        deciding = {
            j
            for column in columns
            for place in column.places
            for atom in place
            for j in atom.columns
        }
        self._all = [
            _begun(Branch(j, float(code)), columns)
            for j in sorted(deciding)
            if not columns[j].ordered and columns[j].edges is not None
            for code in range(columns[j].count)
        ]

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Branch]:
        return iter(self._all)

    def neglected(self, told: Told) -> list[Branch]:
        """Those to look at: where the search has stalled, what the best trial is not in."""
        begun = [branch for branch in self._all if len(told) >= branch.begins]
        if not begun or not stalled(told.losses):
            return []
        best = told.rows[believed(told.losses).argmin()]
        return [branch for branch in begun if best[branch.column] != branch.code]


def _begun(branch: Branch, columns: Columns) -> Branch:
    """The branch, looked at the sooner the fewer columns there are that its choice decides about."""
    decided = {branch.column}
    for j, column in enumerate(columns):  # what decides about a column stands before it
        if any(decided.intersection(atom.columns) for place in column.places for atom in place):
            decided.add(j)
    shares = np.random.default_rng(0).random((DRAWN, len(columns)))
    active = np.flatnonzero(~np.isnan(branch.drawn(columns, shares)).all(axis=0))
    own = len(decided.intersection(active.tolist()) - {branch.column})
    return replace(branch, begins=min(TOLD * own, MOST_TOLD) if own else MOST_TOLD)


def _lower_quartile(losses: Codes) -> float:
    """That of two losses or more: NumPy takes a fifth of a millisecond for any quantile."""
    ascending, at = np.sort(losses), 0.25 * (len(losses) - 1)
    low, high = ascending[int(at) : int(at) + 2].tolist()
    return float(low + (at - int(at)) * (high - low))
