"""Candidates for the next trial: drawn from the prior, from what did well, and near good rows.

Every function returns complete rows of codes: a switched choice fills its branch from the prior.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .codes import Codes, Column, Mask
from .columns import Columns

__all__ = ["mutated", "nearby", "parzen", "prior"]

NARROWEST, WIDEST = 0.03, 0.5  # bandwidths, in shares of the prior
FLIPPED = 0.25  # how often a draw from what did well takes an option of another good row
MOST_CHANGED = 4  # columns that a mutation changes on average at most
SMALLEST_STEP, LARGEST_STEP = 0.02, 0.4  # of a mutation, in shares of the prior
LEAST_NEAR = 0.2  # how often a column changes at least in a step of local search
OTHER_OPTION = 0.3  # how often a column of options then does

Random = np.random.Generator


def prior(columns: Columns, count: int, random: Random) -> Codes:
    """Independent draws."""
    return columns.at(random.random((count, len(columns))))


def parzen(columns: Columns, good: Codes, count: int, random: Random) -> Codes:
    """Draws from a mixture with one component at each good row (Parzen, 1962; TPE's l(x)).

    The components are joint: what did well together stays together.
    """
    rows = good[random.integers(len(good), size=count)]
    there = ~np.isnan(good)
    known = np.maximum(there.sum(axis=0), 1)
    low, high = np.fmin.reduce(good), np.fmax.reduce(good)  # of the numbers that there are
    spread = np.where(known > 1, high - low, WIDEST)
    width = np.clip(spread / np.sqrt(known), NARROWEST, WIDEST)
    found = _moved(columns, rows, width * random.standard_normal(rows.shape))
    flipped = random.random(rows.shape) < FLIPPED
    shares = random.random(rows.shape)
    for j in np.flatnonzero(~columns.ordered):
        column, turned = columns[j], flipped[:, j] & ~np.isnan(rows[:, j])
        if turned.any():
            seen = np.bincount(good[there[:, j], j].astype(np.intp), minlength=column.count)
            weights = np.cumsum(seen + np.diff(column.edges))
            picks = np.searchsorted(weights, shares[turned, j] * weights[-1], side="right")
            found[turned, j] = np.minimum(picks, column.count - 1)
    return columns.completed(found, random.random(rows.shape))


def mutated(columns: Columns, good: Codes, count: int, random: Random) -> Codes:
    """Good rows with one to a few columns changed, by steps of any size."""
    rows = good[random.integers(len(good), size=count)]
    active = ~np.isnan(rows)
    wanted = 1 + random.integers(MOST_CHANGED, size=count)
    change = _some(active, (wanted / np.maximum(active.sum(axis=1), 1))[:, None], random)
    low, high = math.log(SMALLEST_STEP), math.log(LARGEST_STEP)
    steps = np.exp(random.uniform(low, high, size=(count, 1)))
    found = _moved(columns, rows, np.where(change, steps * random.standard_normal(rows.shape), 0.0))
    shares = random.random(rows.shape)
    for j, column in enumerate(columns):
        turned = change[:, j]
        if column.edges is None or not turned.any():
            continue
        if column.ordered:
            _rung_away(column, rows, found, np.flatnonzero(turned), j, shares)
        else:
            found[turned, j] = column.at(shares[turned, j])
    return columns.completed(found, random.random(rows.shape))


def nearby(columns: Columns, rows: Codes, step: float, random: Random) -> Codes:
    """One neighbour of each row: about two columns changed, by steps of this size."""
    active = ~np.isnan(rows)
    often = np.maximum(2.0 / np.maximum(active.sum(axis=1), 1), LEAST_NEAR)[:, None]
    change = _some(active, often, random)
    found = _moved(columns, rows, np.where(change, step * random.standard_normal(rows.shape), 0.0))
    turned = change & (random.random(rows.shape) < OTHER_OPTION)
    shares = random.random(rows.shape)
    for j in np.flatnonzero(~columns.ordered):
        if turned[:, j].any():
            found[turned[:, j], j] = columns[j].at(shares[turned[:, j], j])
    return columns.completed(found, random.random(rows.shape))


def _moved(columns: Columns, rows: Codes, steps: Codes) -> Codes:
    """Ordered codes with steps added, reflected at 0 and 1."""
    inside = 1.0 - np.abs(1.0 - np.abs(rows + steps))
    return columns.snapped(np.where(columns.ordered, inside, rows))


def _some(active: Mask, often: Codes, random: Random) -> Mask:
    """Which columns to change: each so often, and one at least."""
    change = (random.random(active.shape) < often) & active
    still = np.flatnonzero(~change.any(axis=1) & active.any(axis=1))
    if len(still):
        pick = np.argmax(
            np.where(active[still], random.random((len(still), active.shape[1])), -1), 1
        )
        change[still, pick] = True
    return change


def _rung_away(
    column: Column, rows: Codes, found: Codes, turned: NDArray[np.intp], j: int, shares: Codes
) -> None:
    """Move what a step left on its rung by one rung, up or down."""
    # Both are on rungs, which have one code each.
    still = turned[rows[turned, j] == found[turned, j]]
    if not len(still):
        return
    before = column.numbers(rows[still, j])
    up = np.where(shares[still, j] < 0.5, 1, -1)
    up = np.where((before + up < 0) | (before + up >= column.count), -up, up)
    found[still, j] = column.codes(np.clip(before + up, 0, column.count - 1))
