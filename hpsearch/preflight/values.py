"""Reading the values of the data once: NaN and infinity, targets outside a range, rows that do not sum to 1.

A pass over 60,000 × 784 numbers takes a fraction of a second, so it is made once for each data
digest and rule, in the preflight only, and never in a trial.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, final

import numpy as np

from ..build import Part, named_leaves

__all__ = ["CHUNK", "Offence", "Scans", "not_finite", "offences", "outside", "unequal_sums"]

CHUNK = 1 << 22  # numbers looked at together: tens of megabytes, whatever the size of the data
MOST_ROWS = 32  # that are kept of an offence
SLACK = 1e-3  # how far above 1 or below 0 a rounded probability may be
SLACK_OF_SUMS = 1e-2

T = TypeVar("T")
Test = Callable[[Any], Any]
"""From rows of an array to what is wrong with them: booleans of the same shape, or one for each row."""


@final
@dataclass(frozen=True, slots=True)
class Offence:
    """Rows of an array that break a rule.

    Attributes:
        count: how many rows.
        rows: the first few of their indices, from 0.
        place: what to write behind the array for the first number, ``[17, 3]``.
        value: that number.
    """

    count: int
    rows: tuple[int, ...]
    place: str
    value: float


@final
@dataclass(slots=True)
class Scans:
    """What was found in data that has been read already, by its digest."""

    _found: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    def once(self, key: tuple[Any, ...], find: Callable[[], T]) -> T:
        """What `find` found under this key; without a digest (datasets) it looks each time."""
        if not key[0]:
            return find()
        if key not in self._found:
            self._found[key] = find()
        found: T = self._found[key]
        return found


def offences(part: Part, name: str, digest: str, scans: Scans) -> list[tuple[str, Offence]]:
    """NaN and infinity in the arrays of a part, with the array's name: ``x``, ``y['a']``."""
    found = []
    for what, value in (("x", part.x), ("y", part.y), ("sample_weight", part.weight)):
        for key, array in named_leaves(value, what):
            one = scans.once((digest, name, key, "finite"), lambda a=array: not_finite(a))  # type: ignore[misc]
            if one is not None:
                found.append((key, one))
    return found


def not_finite(array: Any) -> Offence | None:
    """Rows with NaN or infinity; only floating numbers can have them."""
    if not len(array.shape) or np.asarray(array[:1]).dtype.kind not in "fc":
        return None
    return _scan(array, lambda rows: ~np.isfinite(rows))


def outside(array: Any, low: float, high: float, *, whole: bool, but: Any = None) -> Offence | None:
    """Rows with numbers outside [low, high]; with `whole` also with fractions. NaN is outside.

    Args:
        but: a number that may stand there all the same.
    """

    def wrong(rows: Any) -> Any:
        bad = ~((rows >= low) & (rows <= high))
        if whole and rows.dtype.kind == "f":
            bad |= rows != np.floor(rows)
        return bad if but is None else bad & (rows != but)

    return _scan(array, wrong)


def unequal_sums(array: Any) -> Offence | None:
    """Rows that do not sum to 1 along their last axis; the value is the sum of the first."""

    def wrong(rows: Any) -> Any:
        return abs(rows.sum(axis=-1, dtype="float64") - 1) > SLACK_OF_SUMS

    found = _scan(array, wrong)
    if found is None:
        return None
    row = np.asarray(array[found.rows[0]], dtype="float64")
    sums = row.sum(axis=-1)
    worst = sums.reshape(-1)[abs(sums.reshape(-1) - 1).argmax()]
    return Offence(found.count, found.rows, f"[{found.rows[0]}]", float(worst))


def _scan(array: Any, wrong: Test) -> Offence | None:
    """The rows for which `wrong` says so, read a few million numbers at a time."""
    size = max(1, int(np.prod(array.shape[1:])))
    step = max(1, CHUNK // size)
    count = 0
    rows: list[int] = []
    for start in range(0, int(array.shape[0]), step):
        bad = wrong(np.asarray(array[start : start + step]))
        if not bad.any():
            continue
        found = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))
        count += len(found)
        rows += [start + int(row) for row in found[: MOST_ROWS - len(rows)]]
    return None if not count else _described(array, wrong, count, rows)


def _described(array: Any, wrong: Test, count: int, rows: list[int]) -> Offence:
    first = np.asarray(array[rows[0] : rows[0] + 1])
    bad = wrong(first)
    inner = tuple(int(i[0]) for i in np.nonzero(bad))[1:]
    number = first[(0, *inner)]
    place = "[" + ", ".join(str(i) for i in (rows[0], *inner)) + "]"
    value = float(number.reshape(-1)[0].real)
    return Offence(count, tuple(rows), place, value)
