"""What an earlier study tells a new one: where its best trials lie, and what loss it would expect.

Its losses need not be of the same size, nor even comparable: what it expects of a point is one more
main effect of the new study's process, whose size and sign the new trials decide (as a prior mean
is stacked in Golovin et al., *Google Vizier: A Service for Black-Box Optimization*, 2017, but with
a weight that is learnt).
"""

from __future__ import annotations

from typing import final

import numpy as np

from .codes import Codes
from .columns import Columns
from .surrogate import LEAST_KNOWN, MOST_GOOD, Surrogates
from .told import Told
from .warps import half_gaussian

__all__ = ["Earlier"]


@final
class Earlier:
    """Trials of another study on our columns; NaN where it had no such label.

    Attributes:
        best: rows (k, columns) of those that did best, ascending by loss, each once.
    """

    def __init__(self, columns: Columns, told: Told) -> None:
        self._columns = columns
        good = np.flatnonzero(np.isfinite(told.losses))
        order = good[np.argsort(told.losses[good], kind="stable")]
        first: dict[bytes, int] = {}
        for i, key in zip(order.tolist(), columns.keys(told.rows[order]), strict=True):
            first.setdefault(key, i)
        self.best: Codes = told.rows[[*first.values()][:MOST_GOOD]]
        self._unknown = np.isnan(told.rows).all(axis=0)
        self._process = None
        if len(good) >= LEAST_KNOWN and len(columns):
            surrogates = Surrogates(columns, warps=(half_gaussian,), growth=1.1)
            self._process = surrogates.of(told, 0).process

    def again(self, random: np.random.Generator, start: int = 0) -> Codes:
        """The best but for the first ones; what was not known of them is drawn from the prior."""
        rows = self.best[start:]
        return self._columns.completed(rows, random.random(rows.shape))

    def __call__(self, rows: Codes) -> Codes:
        """What it would expect of rows (n, columns), in its own standard deviations (n, 1)."""
        if self._process is None:
            return np.zeros((len(rows), 1))
        known = np.where(self._unknown, np.nan, rows)  # a new label is to change nothing
        return self._process.predict(known)[0][:, None]
