"""One parameter as a column of codes: the numbers that stand for its values.

A code is the number of an option, or the share of the prior that lies below an ordered value: in
[0, 1], so that uniform draws are draws from the prior. NaN stands where a parameter is not active.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LEAST_SHARE",
    "MOST_RUNGS",
    "UNASKED",
    "Atom",
    "Codes",
    "Coding",
    "Column",
    "Mask",
    "Places",
    "codes_of",
    "edges_of",
    "numbers_of",
]

Codes: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]

MOST_RUNGS = 20_000  # of a ladder that is written out: no search can use up a longer one
LEAST_SHARE = 1e-9  # of a prior that is told from nothing, as a difference of shares
UNASKED = 1e-4  # the share of a normal prior beyond either end of what is suggested


@final
@dataclass(frozen=True, eq=False, slots=True)
class Atom:
    """One condition on the codes of other columns; false where one of them is not active.

    Attributes:
        columns: the numbers of the columns that it reads.
        allowed: for one column of options or rungs, whether it holds at each.
        holds: whether it holds for the codes of the columns, asked where `allowed` is None.
        partly: whether that is asked also where some columns are not active, their codes NaN.
        only: the one option or rung that is allowed, None for none or more.
    """

    columns: tuple[int, ...]
    allowed: Mask | None = None
    holds: Callable[[tuple[float, ...]], bool] | None = None
    partly: bool = False
    only: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.allowed is not None and self.allowed.sum() == 1:
            object.__setattr__(self, "only", int(self.allowed.argmax()))


Places: TypeAlias = tuple[tuple[Atom, ...], ...]


@final
@dataclass(frozen=True, eq=False, slots=True)
class Column:
    """One parameter.

    Attributes:
        label: its name in the space.
        edges: the share of the prior below each option or rung, from 0 to 1, one more than there
            are of them; None for a continuum.
        ordered: whether near codes mean near values.
        places: when it is active: where all atoms of any place hold. No atoms mean always.
        snap: moves codes onto a ladder that is too long for `edges`.
    """

    label: str
    edges: Codes | None
    ordered: bool
    places: Places
    snap: Callable[[Codes], Codes] | None = None

    @property
    def count(self) -> int:
        """The number of options or rungs, 0 for a continuum."""
        return 0 if self.edges is None else len(self.edges) - 1

    @property
    def always(self) -> bool:
        return any(not place for place in self.places)

    def numbers(self, codes: Codes) -> NDArray[np.intp]:
        """The number of the option or rung of each code; 0 for NaN."""
        assert self.edges is not None
        return numbers_of(self.edges, np.where(np.isnan(codes), 0.0, codes), ordered=self.ordered)

    def codes(self, numbers: NDArray[np.intp]) -> Codes:
        """The code of each option or rung."""
        assert self.edges is not None
        return codes_of(self.edges, numbers, ordered=self.ordered)

    def at(self, shares: Codes) -> Codes:
        """The codes of the values below which these shares of the prior lie."""
        if self.edges is None:
            return shares if self.snap is None else self.snap(shares)
        return self.codes(np.searchsorted(self.edges[1:-1], shares, side="right"))


class Coding(Protocol):
    """What a column needs to know of the values that it stands for; see `Column`."""

    @property
    def edges(self) -> Codes | None: ...

    @property
    def ordered(self) -> bool: ...

    @property
    def snap(self) -> Callable[[Codes], Codes] | None: ...


def edges_of(shares: Sequence[float]) -> Codes:
    """The share of the prior below each option or rung, and 1."""
    found: Codes = np.concatenate([[0.0], np.cumsum(shares) / math.fsum(shares)])
    return found


def numbers_of(edges: Codes, codes: Codes, *, ordered: bool) -> NDArray[np.intp]:
    """The number of the option or rung of each code."""
    if not ordered:
        return codes.astype(np.intp)
    return np.searchsorted(edges[1:-1], codes, side="right")


def codes_of(edges: Codes, numbers: NDArray[np.intp], *, ordered: bool) -> Codes:
    """The code of each option or rung: the middle of its share."""
    if not ordered:
        return numbers.astype(np.float64)
    found: Codes = (edges[numbers] + edges[numbers + 1]) / 2
    return found
