"""Branches of a choice, one of which is looked at alone where the search of all has stalled.

Where a good branch has most of the trials, and they do not crowd (sample.py), losses are told apart
within it only: all others look as bad as their first trials were, which nothing has improved since.
What a branch is worth shows when it is searched for itself (Li, Jiang, Gao, Shao, Zhang and Cui,
*Efficient Automatic CASH via Rising Bandits*, 2020, who give each algorithm an optimiser of its own).
The fewer parameters it has, the fewer trials that takes, and the sooner it is looked at.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .codes import Atom, Codes, Mask
from .columns import Columns
from .told import Told
from .warps import least_believed

__all__ = [
    "LATEST",
    "Branch",
    "Branches",
    "Stall",
    "believed",
    "every",
    "has_stalled",
    "looks",
    "promising",
    "stalled",
]

EVERY = 2  # suggestions of which one looks at a branch, where the search has stalled
EVERY_EARLY = 4  # before LATEST: looks in vain cost more while the search of all still gets on
PER_COLUMN = 25  # ended trials, for each column that is new in a branch, before it is looked at
LATEST = 100  # ended trials from which on every branch is looked at
STALLED = 15  # losses in a row that were no worthwhile improvement
WORTHWHILE = 0.03  # an improvement, as a share of what the best is ahead of a typical first loss
WORTHWHILE_EARLY = 0.005  # before LATEST
FIRST = 30  # losses of which the lower quartile is typical
TRIED = 6  # looks at a branch, of which the latest have to have made it better
CATCHING_UP = 0.2  # by how much, as a share of what it was behind the best of all


def every(ended: int) -> int:
    """How many suggestions there are to one look, after so many trials."""
    return EVERY_EARLY if ended < LATEST else EVERY


def looks(number: int, ended: int) -> bool:
    """Whether suggestion `number` looks at a branch, where the search has stalled."""
    return (number + 1) % every(ended) == 0


def believed(losses: Codes) -> Codes:
    """Losses (n,), infinite for failures and for what is far below all others."""
    known = np.isfinite(losses)
    least = least_believed(losses[known]) if known.any() else np.inf
    return np.where(known & (losses >= least), losses, np.inf)


def has_stalled(losses: Codes, fair: Codes) -> bool:
    """Whether the latest losses (n,) were no worthwhile improvement on those before them.

    Args:
        fair: those of the losses that are believed, see `believed`.
    """
    known = np.isfinite(losses)
    best = fair[known]
    if len(best) <= STALLED:
        return False
    now = best.min()
    ahead = _lower_quartile(losses[known][:FIRST]) - now
    return bool(best[:-STALLED].min() - now <= _worthwhile(len(losses)) * ahead)


def stalled(losses: Codes, fair: Codes) -> Mask:
    """Whether a search `has_stalled` after each number of its trials, from none to all n (n + 1,)."""
    known = np.isfinite(losses)
    gained, ahead = np.full(known.sum() + 1, np.inf), np.zeros(known.sum() + 1)
    if len(gained) > STALLED + 1:
        best = np.minimum.accumulate(fair[known])
        before, now = best[:-STALLED], best[STALLED:]
        gained[STALLED + 1 :] = before - now
        ahead[STALLED + 1 :] = _lower_quartile(losses[known][:FIRST]) - now
    at = np.append(0, known.cumsum())
    found: Mask = gained[at] <= _worthwhile(np.arange(len(losses) + 1)) * ahead[at]
    return found


def _worthwhile(count: Any) -> Any:
    """What share of what the best is ahead is worth while after so many trials."""
    return np.where(count < LATEST, WORTHWHILE_EARLY, WORTHWHILE)


def promising(
    told: Told, inside: NDArray[np.intp], best: float, *, since: int, after: Mask
) -> bool:
    """Whether a branch may catch up with the best loss of all, as its trials go.

    It is given a few looks; the latest of them have to close a share of the gap. What counts as one
    is every trial in it that may have been one: where the search had stalled, and by its turn, as
    if trials ended in the order they began. (In the work above an arm is left when its bound, as it
    goes on, is no better than another.)

    Args:
        inside: which of the trials are in the branch, ascending.
        best: the least loss of all that is believed.
        since: the number of trials from which on the branch is looked at.
        after: whether the search had stalled after each number of its trials (n + 1,).
    """
    backwards = range(len(inside) - 1, -1, -1)
    looked = (
        k for k in backwards if (n := inside[k]) >= since and after[n] and looks(told.turns[n], n)
    )
    latest = [*itertools.islice(looked, TRIED)]
    if len(latest) < TRIED:
        return True
    losses = np.nan_to_num(told.losses[inside], nan=np.inf)
    before, now = losses[: latest[-1]].min(initial=np.inf), losses.min()
    return bool(now < before and before - now >= CATCHING_UP * (before - best))


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
class Branches(Sequence[Branch]):
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
            Branch(j, float(code))
            for j in sorted(deciding)
            if not columns[j].ordered and columns[j].edges is not None
            for code in range(columns[j].count)
        ]
        self._own = [_own(columns, branch) for branch in self._all]

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, number: Any) -> Any:
        return self._all[number]

    def stall(self, told: Told) -> Stall | None:
        """None where the search goes on well, or there is no branch to look at."""
        if not self._all or len(told) < PER_COLUMN:
            return None
        fair = believed(told.losses)
        if not has_stalled(told.losses, fair):
            return None
        best = int(fair.argmin())
        neglected = [*self._neglected(told.rows[best], len(told))]
        return Stall(neglected, float(told.losses[best]), fair) if neglected else None

    def _neglected(self, best: Codes, count: int) -> Iterator[tuple[Branch, int]]:
        """The branches that the best row is not in, and since how many trials each is looked at.

        The fewer columns one has that the best row does not have, the fewer trials show what it is
        worth. One without any has a value like other options, which the search of all knows.
        """
        absent = np.isnan(best)
        for branch, own in zip(self._all, self._own, strict=True):
            if best[branch.column] != branch.code:
                new = int((own & absent).sum())
                since = min(PER_COLUMN * new, LATEST) if new else LATEST
                if count >= since:
                    yield branch, since


@final
@dataclass(frozen=True, eq=False, slots=True)
class Stall:
    """A search that has stalled.

    Attributes:
        neglected: the branches to look at, and since how many trials each is.
        best: the least loss that is believed.
        fair: the losses that are believed (n,), see `believed`.
    """

    neglected: Sequence[tuple[Branch, int]]
    best: float
    fair: Codes


def _own(columns: Columns, branch: Branch) -> Mask:
    """Which columns (columns,) may be active in a branch because of the options that it stands for.

    These are its own and those without which it is not active. A condition that reads several
    columns may hold, as far as is known.
    """
    allowed = {branch.column: np.arange(columns[branch.column].count) == branch.code}
    for j in range(branch.column, -1, -1):  # what decides about a column stands before it
        places = columns[j].places
        for atom in places[0] if j in allowed and len(places) == 1 else ():
            if atom.allowed is not None:
                (i,) = atom.columns
                allowed[i] = atom.allowed & allowed.get(i, True)
    possible, follows = np.zeros((2, len(columns)), dtype=bool)

    def may_hold(atom: Atom) -> bool:
        if atom.allowed is None:
            return atom.partly or bool(possible[[*atom.columns]].all())
        (i,) = atom.columns
        return bool(possible[i] and (atom.allowed & allowed.get(i, True)).any())

    for j, column in enumerate(columns):
        reads = {i for place in column.places for atom in place for i in atom.columns}
        possible[j] = any(all(map(may_hold, place)) for place in column.places)
        follows[j] = any(i in allowed or follows[i] for i in reads)
    found: Mask = possible & follows
    found[[*allowed]] = False
    return found


def _lower_quartile(losses: Codes) -> float:
    """That of two losses or more: NumPy takes a fifth of a millisecond for any quantile."""
    ascending, at = np.sort(losses), 0.25 * (len(losses) - 1)
    low, high = ascending[int(at) : int(at) + 2].tolist()
    return float(low + (at - int(at)) * (high - low))
