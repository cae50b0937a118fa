"""A conditional space as columns of numbers, and which of them are active in each row.

The estimators see nothing else, so they serve our spaces and any of hyperopt's alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .codes import Atom, Codes, Column, Mask, Places

__all__ = ["Columns"]

CELLS = 20  # that an ordered column is cut into, with equal shares of the prior
MOST_KNOWN = 100_000  # answers of conditions that are remembered


@final
class Columns(Sequence[Column]):
    """The columns, ordered so that what decides about a column stands before it.

    Attributes:
        labels: of the columns.
        ordered: whether near codes of a column mean near values (columns,).
        finite: whether there are finitely many different rows.

    Args:
        key: of a row, where rows of different codes can be the same point.
    """

    def __init__(
        self, columns: Sequence[Column], key: Callable[[Codes], bytes] | None = None
    ) -> None:
        self._columns, self._key = tuple(columns), key
        self.labels = tuple(column.label for column in columns)
        self.ordered = np.array([column.ordered for column in columns], dtype=bool)
        self.finite = all(column.edges is not None for column in columns)
        self._steps = [j for j, c in enumerate(columns) if c.edges is not None or c.snap]
        self._waves = _waves(columns)
        self._known: dict[Any, bool] = {}
        self._weights = np.random.default_rng(0).integers(-(2**63), 2**63, size=len(columns))

    def __getitem__(self, number: Any) -> Any:
        return self._columns[number]

    def __len__(self) -> int:
        return len(self._columns)

    def at(self, shares: Codes) -> Codes:
        """Rows for shares of the prior (n, columns): uniform draws give draws from the prior."""
        filled = shares.copy()
        for j in self._steps:
            filled[:, j] = self._columns[j].at(shares[:, j])
        return self.blanked(filled)

    def snapped(self, rows: Codes) -> Codes:
        """Rows with their ordered codes moved into [0, 1] and onto the ladders."""
        found = np.where(self.ordered, np.clip(rows, 0.0, 1.0), rows)
        for j in self._steps:
            if self.ordered[j]:
                here = ~np.isnan(found[:, j])
                found[here, j] = self._columns[j].at(found[here, j])
        return found

    def completed(self, rows: Codes, shares: Codes) -> Codes:
        """Rows with what is not active blanked, and what became active drawn from the prior."""
        filled = np.where(np.isnan(rows), shares, rows)
        for j in self._steps:
            missing = np.isnan(rows[:, j])
            if missing.any():
                filled[missing, j] = self._columns[j].at(shares[missing, j])
        return self.blanked(filled)

    def reached(self, rows: Codes) -> Codes:
        """Rows with the options put in without which a column that has a code would not be active.

        Where several would do, none is; a code that is there is left as it is.
        """
        found = rows.copy()
        for j in range(len(self) - 1, -1, -1):  # what decides about a column stands before it
            places = self._columns[j].places
            for atom in places[0] if len(places) == 1 else ():
                if atom.only is not None:
                    (decides,) = atom.columns
                    column = self._columns[decides]
                    here = ~np.isnan(found[:, j]) & np.isnan(found[:, decides])
                    found[here, decides] = column.codes(np.array([atom.only]))[0]
        return found

    def keys(self, rows: Codes) -> list[bytes]:
        """A key for each row, equal for equal points."""
        if self._key is not None:
            return [self._key(row) for row in rows]
        rounded = np.ascontiguousarray(np.where(np.isnan(rows), -1.0, rows.round(12)) + 0.0)
        return [row.tobytes() for row in rounded]

    def cells(self, rows: Codes) -> NDArray[np.int64]:
        """A number for each row, equal for rows in one cell: in equal options, and near one another.

        It is a hash, which wraps around: two of 20,000 share one by chance once in 10^11 times.
        """
        found = (np.where(np.isnan(rows), -1.0, rows) * CELLS).astype(np.int64)
        numbers: NDArray[np.int64] = found @ self._weights
        return numbers

    def beside(self, row: Codes, others: Codes, most: float) -> bool:
        """Whether a row is at most so far from any of others (n, columns): the mean over active columns.

        Of two ordered values the distance is the share of the prior between them, else 0 or 1.
        """
        apart = np.minimum(np.abs(others - row), 1.0)
        apart[np.isnan(apart)] = 1.0
        either = ~(np.isnan(row) & np.isnan(others))
        return bool(((apart * either).sum(axis=1) <= most * either.sum(axis=1)).any())

    def every(self) -> Iterator[Codes]:
        """Every row of a finite space, once each; the last columns change first."""
        row = np.full((1, len(self)), np.nan)
        waiting: list[Iterator[float]] = []
        while True:
            while len(waiting) < len(self):
                waiting.append(self._codes_at(len(waiting), row))
                row[0, len(waiting) - 1] = next(waiting[-1])
            yield row[0].copy()
            while waiting and (code := next(waiting[-1], None)) is None:
                waiting.pop()
                row[0, len(waiting)] = np.nan
            if not waiting:
                return
            row[0, len(waiting) - 1] = code

    def _codes_at(self, j: int, row: Codes) -> Iterator[float]:
        """What a column can be after the columns before it; NaN where it is not active."""
        column = self._columns[j]
        if not (column.always or self._active(column.places, row)[0]):
            return iter([math.nan])
        return iter(column.codes(np.arange(column.count)).tolist())

    def blanked(self, rows: Codes) -> Codes:
        """The same rows, with NaN put where a column is not active."""
        for wave in self._waves:
            if len(wave.columns):
                here = rows[:, wave.deciding] == wave.only
                rows[:, wave.columns] = np.where(here, rows[:, wave.columns], np.nan)
            for places, columns in wave.others:
                idle = np.flatnonzero(~self._active(places, rows))
                if len(idle):
                    rows[idle[:, None], columns] = np.nan
        return rows

    def _active(self, places: Places, rows: Codes) -> Mask:
        if len(places) == 1 and len(places[0]) == 1:
            return self._holds(places[0][0], rows)
        found = np.zeros(len(rows), dtype=bool)
        for place in places:
            here = np.ones(len(rows), dtype=bool)
            for atom in place:
                here &= self._holds(atom, rows)
            found |= here
        return found

    def _holds(self, atom: Atom, rows: Codes) -> Mask:
        if atom.allowed is not None:
            (j,) = atom.columns
            column, codes = self._columns[j], rows[:, j]
            found: Mask
            if column.ordered or atom.only is None:
                found = atom.allowed[column.numbers(codes)] & ~np.isnan(codes)
            else:
                found = codes == atom.only
            return found
        read = rows[:, atom.columns]
        found = np.logical_not(np.isnan(read).any(axis=1)) | atom.partly
        for i in np.flatnonzero(found):
            found[i] = self._asked(atom, read[i])
        return found

    def _asked(self, atom: Atom, codes: Codes) -> bool:
        """What an atom says, remembered: mutations of good rows ask the same over and over."""
        key = (id(atom), codes.tobytes())
        if key not in self._known:
            if len(self._known) > MOST_KNOWN:
                self._known.clear()
            assert atom.holds is not None
            self._known[key] = bool(atom.holds(tuple(codes.tolist())))
        return self._known[key]


@final
@dataclass(frozen=True, eq=False, slots=True)
class _Wave:
    """Columns that can be blanked at once, as what decides about them was blanked before.

    Attributes:
        columns: those that are active where another column has one option (k,).
        deciding: that other column of each (k,).
        only: the number of the option (k,).
        others: the others, in groups that are active in the same places.
    """

    columns: NDArray[np.intp]
    deciding: NDArray[np.intp]
    only: Codes
    others: tuple[tuple[Places, list[int]], ...]


def _waves(columns: Sequence[Column]) -> list[_Wave]:
    """All columns that are not always active, by how many decide about one another before them."""
    depths: list[int] = []
    for column in columns:
        read = {j for place in column.places for atom in place for j in atom.columns}
        depths.append(0 if column.always else 1 + max((depths[j] for j in read), default=0))
    return [
        _wave(columns, [j for j, depth in enumerate(depths) if depth == wave])
        for wave in range(1, max(depths, default=0) + 1)
    ]


def _wave(columns: Sequence[Column], numbers: Sequence[int]) -> _Wave:
    plain: list[tuple[int, int, int]] = []
    others: dict[Any, tuple[Places, list[int]]] = {}
    for j in numbers:
        places = tuple(_needed(columns, place) for place in columns[j].places)
        atom = places[0][0] if len(places) == 1 and len(places[0]) == 1 else None
        if atom is not None and atom.only is not None and not columns[atom.columns[0]].ordered:
            plain.append((j, atom.columns[0], atom.only))
        else:
            key = tuple(tuple(_key(atom) for atom in place) for place in places)
            others.setdefault(key, (places, []))[1].append(j)
    found, deciding, only = np.array(plain, dtype=np.intp).reshape(-1, 3).T
    return _Wave(found, deciding, only.astype(np.float64), tuple(others.values()))


def _needed(columns: Sequence[Column], place: tuple[Atom, ...]) -> tuple[Atom, ...]:
    """A place without what another of its atoms implies: that the column it reads is active."""
    implied = {
        _key(atom)
        for each in place
        if not each.partly
        for j in each.columns
        if len(columns[j].places) == 1
        for atom in columns[j].places[0]
    }
    return tuple(atom for atom in place if _key(atom) not in implied)


def _key(atom: Atom) -> Any:
    return id(atom) if atom.allowed is None else (atom.columns, atom.allowed.tobytes())
