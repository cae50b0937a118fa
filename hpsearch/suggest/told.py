"""What a searcher has been told: trials as rows of codes, in the order of their numbers."""

from __future__ import annotations

import math
from typing import final

import numpy as np
from numpy.typing import NDArray

from .columns import Codes, Columns

__all__ = ["Told"]

FAR = -9.0  # stands for a column that is not active where distances are taken


@final
class Told:
    """Ended trials, which only ever grow at the end or are cut back.

    Attributes:
        columns: of the rows.
        numbers: of the trials.
        known: how many of them have a loss.
    """

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.numbers: list[int] = []
        self.known = 0
        self._keys: dict[bytes, int] = {}
        self._rows = np.empty((16, len(columns)))
        self._losses = np.empty(16)
        # For distances: codes, which of them there are, and how many.
        self._flat = np.empty((16, len(columns)), dtype=np.float32)
        self._there = np.empty((16, len(columns)), dtype=np.float32)
        self._active = np.empty(16, dtype=np.float32)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def rows(self) -> Codes:
        """Codes (n, columns)."""
        return self._rows[: len(self)]

    @property
    def losses(self) -> Codes:
        """Losses (n,), NaN for failures."""
        return self._losses[: len(self)]

    def add(self, number: int, row: Codes, loss: float) -> None:
        """Append one trial."""
        count = len(self)
        if count == len(self._losses):
            for name in ("_rows", "_losses", "_flat", "_there", "_active"):
                array = getattr(self, name)
                setattr(self, name, np.concatenate([array, np.empty_like(array)]))
        self._rows[count], self._losses[count] = row, loss
        self._flat[count] = np.nan_to_num(row, nan=FAR)
        self._there[count] = ~np.isnan(row)
        self._active[count] = self._there[count].sum()
        self.numbers.append(number)
        self.known += math.isfinite(loss)
        key = self._key(count)
        self._keys[key] = self._keys.get(key, 0) + 1

    def cut(self, count: int) -> None:
        """Forget all trials but the first `count`."""
        for i in range(count, len(self)):
            key = self._key(i)
            self._keys[key] -= 1
            if not self._keys[key]:
                del self._keys[key]
        del self.numbers[count:]
        self.known = int(np.isfinite(self.losses).sum())

    def tried(self, key: bytes) -> bool:
        """Whether a row with this key is among the trials."""
        return key in self._keys

    def nearest(self, row: Codes) -> tuple[int, float] | None:
        """The number of the nearest trial and its distance in [0, 1], None if there is no trial.

        The distance is the mean over columns active in either: the share of the prior between two
        ordered values; 1 for two options, and for a column that only one of them has.
        """
        if not len(self):
            return None
        flat = np.nan_to_num(row, nan=FAR).astype(np.float32)
        there = (~np.isnan(row)).astype(np.float32)
        others = self._flat[: len(self)]
        apart: NDArray[np.float32] = np.abs(others - flat)
        total = np.minimum(apart, 1.0, out=apart).sum(axis=1)
        either = self._active[: len(self)] + there.sum() - self._there[: len(self)] @ there
        mean = total / np.maximum(either, 1.0)
        found = int(mean.argmin())
        return self.numbers[found], float(mean[found])

    def _key(self, i: int) -> bytes:
        return self.columns.keys(self._rows[i : i + 1])[0]
