"""What a searcher has been told: trials as rows of codes, in the order of their numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from .codes import Codes
from .columns import Columns

__all__ = ["Part", "Told", "Trials", "common"]

T = TypeVar("T")

ABSENT = -9.0  # stands for a column that is not active where distances are taken


def common(old: list[T], new: Sequence[T]) -> int:
    """How many at the beginning of what was told before and now are the same."""
    if old == list(new[: len(old)]):  # fast, as the same objects are not asked
        return len(old)
    pairs = zip(old, new, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


class Trials(Protocol):
    """Ended trials in the order of their numbers.

    Attributes:
        rows: codes (n, columns).
        losses: (n,), NaN for failures.
        cells: of the space (n,); see `Columns.cells`.
    """

    @property
    def rows(self) -> Codes: ...

    @property
    def losses(self) -> Codes: ...

    @property
    def cells(self) -> NDArray[np.int64]: ...

    def __len__(self) -> int: ...


@final
@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """Some of the trials; see `Trials`."""

    rows: Codes
    losses: Codes
    cells: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.losses)


@final
class Told:
    """Ended trials, which only ever grow at the end or are cut back.

    Attributes:
        columns: of the rows.
        numbers: of the trials.
        turns: the numbers of the suggestions that they were.
        known: how many of them have a loss.
    """

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.numbers: list[int] = []
        self.turns: list[int] = []
        self.known = 0
        self._keys: dict[bytes, int] = {}
        self._rows = np.empty((16, len(columns)))
        self._losses = np.empty(16)
        self._cells = np.empty(16, dtype=np.int64)
        # For distances: codes by column, as a row is compared in its own columns only, and how many
        # columns each trial has.
        self._flat = np.empty((len(columns), 16), dtype=np.float32)
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

    @property
    def cells(self) -> NDArray[np.int64]:
        """Cells of the space (n,)."""
        return self._cells[: len(self)]

    def add(self, number: int, row: Codes, loss: float, turn: int | None = None) -> None:
        """Append one trial; its turn is its number, if nothing else is said."""
        count = len(self)
        if count == len(self._losses):
            for name, axis in (
                ("_rows", 0),
                ("_losses", 0),
                ("_cells", 0),
                ("_flat", 1),
                ("_active", 0),
            ):
                array = getattr(self, name)
                setattr(self, name, np.concatenate([array, np.empty_like(array)], axis=axis))
        self._rows[count], self._losses[count] = row, loss
        self._cells[count] = self.columns.cells(row[None])[0]
        self._flat[:, count] = np.where(np.isnan(row), ABSENT, row)
        self._active[count] = len(row) - np.isnan(row).sum()
        self.numbers.append(number)
        self.turns.append(number if turn is None else turn)
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
        del self.numbers[count:], self.turns[count:]
        self.known = int(np.isfinite(self.losses).sum())

    def of(self, which: NDArray[np.intp]) -> Part:
        """Those of the trials with these indices (k,)."""
        return Part(self.rows[which], self.losses[which], self.cells[which])

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
        total, both = np.zeros((2, len(self)), dtype=np.float32)
        own = np.flatnonzero(~np.isnan(row))
        for j in own:
            others = self._flat[j, : len(self)]
            both += others != ABSENT
            total += np.minimum(np.abs(others - np.float32(row[j])), 1.0)
        others_only = self._active[: len(self)] - both
        mean = (total + others_only) / np.maximum(others_only + len(own), 1.0)
        found = int(mean.argmin())
        return self.numbers[found], float(mean[found])

    def _key(self, i: int) -> bytes:
        return self.columns.keys(self._rows[i : i + 1])[0]
