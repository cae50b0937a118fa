"""How much is computed for a suggestion, and how large an improvement it looks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from .warps import WARPS, Warp

__all__ = [
    "CURIOSITY",
    "FAST",
    "MANY",
    "NARROW",
    "PACES",
    "THOROUGH",
    "WIDE",
    "Breadth",
    "Pace",
    "margin",
]

CURIOUS = 3  # every so many suggestions look for a larger improvement only
CURIOSITY = 0.2  # how large, in standard deviations of the warped losses
SETTLED = 40  # trials from which on the others look for more than a little as well
NARROWED = 75  # trials from which on the curious ones are chosen among few candidates
WORTHWHILE = 0.03  # how much more, in the same unit
MANY = 24  # columns beyond which a candidate costs so much that there are fewer


@final
@dataclass(frozen=True, slots=True)
class Breadth:
    """How many candidates a suggestion is chosen from.

    Attributes:
        prior, parzen, mutated: of each kind.
        rounds, starts, neighbours: of local search: how often, from how many, how many of each.
    """

    prior: int
    parzen: int
    mutated: int
    rounds: int
    starts: int
    neighbours: int


WIDE = Breadth(128, 128, 256, rounds=6, starts=5, neighbours=20)
THINNED = Breadth(96, 96, 192, rounds=5, starts=5, neighbours=18)
NARROW = Breadth(16, 16, 32, rounds=1, starts=2, neighbours=16)


@final
@dataclass(frozen=True, slots=True)
class Pace:
    """How much is computed for a suggestion.

    Attributes:
        breadth, of_many: of most suggestions, in spaces of few columns and of many; of the curious
            ones once there are many trials it is `NARROW`.
        warps: of the losses; see `Surrogates`.
        growth: of the history, after which the scales are fitted anew.
        kept: trials for which a process is kept and only extended.
        kept_from: trials from which on it is; until then each suggestion begins one.
    """

    breadth: Breadth
    of_many: Breadth
    warps: tuple[Warp, ...]
    growth: float
    kept: int
    kept_from: int = 0

    def breadth_of(self, number: int, known: int, columns: int) -> Breadth:
        """That of suggestion `number`, where so many trials are known, in a space of so many columns.

        Among few candidates chance has a say in where a curious suggestion looks. The best of many
        would be in the same places again and again, if the process is wrong about the others.
        """
        if _curious(number) and known >= NARROWED:
            return NARROW
        return self.breadth if columns <= MANY else self.of_many


THOROUGH = Pace(WIDE, THINNED, warps=WARPS, growth=1.1, kept=8, kept_from=200)
FAST = Pace(NARROW, NARROW, warps=WARPS[:1], growth=1.5, kept=32)

PACES = {"thorough": THOROUGH, "fast": FAST}
"""By the names that users give."""


def margin(known: int, number: int) -> float:
    """How much better than the best a point should be, in standard deviations of the losses."""
    if _curious(number):
        return CURIOSITY
    return WORTHWHILE if known >= SETTLED else 0.0


def _curious(number: int) -> bool:
    """Whether a suggestion looks for a larger improvement only."""
    return number % CURIOUS == CURIOUS - 1
