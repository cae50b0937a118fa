"""`auto` in the pace of its trials: fast once suggestions would hold them up."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Sequence
from typing import final

from ..trial import Algorithm, Observation, Suggestion

__all__ = ["Paced"]

LOOKED = 10  # trials, and suggestions, that are looked at
SHARE = 0.1  # of a trial's time that its suggestion may take


@final
class Paced:
    """An `Algorithm`: one up to some trial, from there on another that costs less.

    It depends on the clock from which trial on, but on nothing else; so that trial is recorded.

    Args:
        workers: how many trials run at once.
        fast_from: the first trial that is suggested fast, as it was recorded; None: not yet.
    """

    def __init__(
        self, thorough: Algorithm, fast: Algorithm, *, workers: int, fast_from: int | None
    ) -> None:
        self._thorough, self._fast = thorough, fast
        self._workers, self._fast_from = workers, fast_from
        self._spent: deque[float] = deque(maxlen=LOOKED)
        self._trained: deque[float] = deque(maxlen=LOOKED)

    def __call__(
        self,
        history: Sequence[Observation],
        pending: Sequence[Observation],
        number: int,
        seed: int,
    ) -> Suggestion | None:
        if self._fast_from is not None and number >= self._fast_from:
            return self._fast(history, pending, number, seed)
        began = time.perf_counter()
        found = self._thorough(history, pending, number, seed)
        if found is not None and found.why is not None and found.why.loss is not None:
            self._spent.append(time.perf_counter() - began)  # a start costs nothing
        return found

    def ended(self, seconds: float) -> None:
        """Take in how long a trial took that succeeded.

        One that failed at once says nothing of the length of those that will not.
        """
        self._trained.append(seconds)

    def hurry(self, number: int) -> str | None:
        """Go on fast from this trial if suggestions take a noticeable share of time; say so."""
        if self._fast_from is not None or min(len(self._spent), len(self._trained)) < LOOKED:
            return None
        spent, trained = statistics.median(self._spent), statistics.median(self._trained)
        if spent * self._workers <= SHARE * trained:
            return None
        self._fast_from = number
        side = f", {self._workers} side by side" if self._workers > 1 else ""
        return (
            f"A suggestion takes {1000 * spent:.0f} ms and a trial {1000 * trained:.0f} ms{side}: "
            f"from trial {number} on suggestions are fast. With the algorithm thorough they never "
            "are, with fast always."
        )
