"""When a search is over: trials, time, target, no progress, and failures in a row."""

from __future__ import annotations

import time
from typing import final

from ..errors import SearchStopped
from ..trial import Status, Trial
from .options import Options
from .problem import Problem
from .tally import Tally

__all__ = ["Budget"]

MOST_REJECTED = 100  # models too large, one after another, before the search gives up


@final
class Budget:
    """The budget of one run of a study. The clock starts now."""

    def __init__(self, problem: Problem, options: Options) -> None:
        self._problem, self._options = problem, options
        self._began = time.monotonic()
        self._failed = self._rejected = 0  # in a row, up to the latest end
        self._error: str | None = None

    def note(self, trial: Trial) -> None:
        """Take note of a trial that ended in this run, in the order of their ends."""
        self._failed = self._failed + 1 if trial.status.failed else 0
        self._rejected = self._rejected + 1 if trial.status is Status.REJECTED else 0
        self._error = trial.error

    def time_left(self) -> float | None:
        """Seconds until the time is used up, None without a limit."""
        if self._options.timeout is None:
            return None
        return self._options.timeout - (time.monotonic() - self._began)

    def over(self, tally: Tally, running: int) -> str | None:
        """Why no further trial may start, None if one may.

        Args:
            running: how many trials run.

        Raises:
            SearchStopped: if the search cannot go on.
        """
        total, left = self._options.total, self.time_left()
        if total is not None and tally.ended + running >= total:
            return f"{total} trials" if total != 1 else "1 trial"
        if left is not None and left <= 0:
            return "the time is used up"
        if self._target_reached(tally.best):
            return f"the target {self._options.target:g} is reached"
        if self._stalled(tally):
            return f"{self._options.no_progress} trials without a better one"
        self._check_failures()
        return None

    def _target_reached(self, best: Trial | None) -> bool:
        target = self._options.target
        if target is None or best is None or best.value is None:
            return False
        return not self._problem.better(target, best.value)

    def _stalled(self, tally: Tally) -> bool:
        patience = self._options.no_progress
        return patience is not None and tally.ended_since_best >= patience

    def _check_failures(self) -> None:
        # Those of earlier runs do not count: their cause may have been mended.
        if self._failed >= self._options.max_consecutive_failures:
            raise SearchStopped(
                f"The last {self._failed} trials failed, the latest with: {self._error}\n"
                "Mend the cause and resume, or allow more: --max-consecutive-failures "
                "(max_consecutive_failures=)."
            )
        if self._rejected >= MOST_REJECTED:
            raise SearchStopped(
                f"{MOST_REJECTED} models in a row were larger than max_params: {self._error}. "
                "Raise max_params, or offer smaller layers."
            )
