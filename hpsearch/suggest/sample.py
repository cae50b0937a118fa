"""Which trials stand for others: of a long history those that the process is given, of a crowd the best."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .codes import Codes

__all__ = ["GIVEN", "leaders", "least_of", "like_neighbours", "sampled"]

BEST, LATEST, SPREAD = 100, 30, 70
GIVEN = BEST + LATEST + SPREAD  # trials that the process is given, of more
MOST_FAILED = 300  # failures, the latest, that are looked at for a place among the best trials


def sampled(losses: Codes, most: int = GIVEN) -> NDArray[np.intp]:
    """The numbers of at most so many trials: of those with the least losses, the latest, and others.

    These are spread evenly over the rest.
    """
    share = most / GIVEN
    best, latest, spread = (int(share * each) for each in (BEST, LATEST, SPREAD))
    count = len(losses)
    if count <= best + latest + spread:
        return np.arange(count)
    chosen = np.zeros(count, dtype=bool)
    chosen[least_of(losses, best)] = True
    chosen[-latest:] = True
    rest = np.flatnonzero(~chosen)
    chosen[rest[np.linspace(0, len(rest) - 1, spread).astype(np.intp)]] = True
    return np.flatnonzero(chosen)


def least_of(losses: Codes, count: int) -> NDArray[np.intp]:
    """The numbers of the least losses, ascending; of equal ones the earlier."""
    if len(losses) > 4 * count:
        bound = np.partition(losses, count - 1)[count - 1]
        near = np.flatnonzero(losses <= bound)
        return near[np.argsort(losses[near], kind="stable")][:count]
    return np.argsort(losses, kind="stable")[:count]


def leaders(cells: NDArray[np.int64], losses: Codes) -> NDArray[np.intp]:
    """The numbers, ascending, of the trials that are the best in their cell of the space.

    Args:
        cells: see `Columns.cells` (n,).
        losses: (n,), all finite.
    """
    ranked = np.argsort(losses, kind="stable")
    _, first = np.unique(cells[ranked], return_index=True)
    return np.sort(ranked[first])


def like_neighbours(losses: Codes, placed: Callable[[NDArray[np.intp]], Codes]) -> Codes:
    """Losses in which the latest failures have that of the nearest good or typical trial.

    The best trials did not fail: given them and no failure among them, where trials fail would be
    learnt from a sample that says they never do there, and all the more elsewhere.

    Args:
        losses: infinite for failures (n,).
        placed: the coordinates (k, coordinates) of trials with these numbers (k,).
    """
    failed = np.flatnonzero(np.isinf(losses))[-MOST_FAILED:]
    if not len(failed):
        return losses
    known = np.flatnonzero(np.isfinite(losses))
    others = known[sampled(losses[known])]
    near, far = placed(failed), placed(others)
    squares = (far**2).sum(axis=1) - 2.0 * near @ far.T
    found = losses.copy()
    found[failed] = losses[others[squares.argmin(axis=1)]]
    return found
