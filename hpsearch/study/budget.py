"""When a search is over: trials, time, target, no progress, and failures in a row."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import final

from ..errors import SearchStopped
from ..trial import Status, Trial, finite
from .options import Options
from .problem import Problem

__all__ = ["Budget", "best_of", "counts_of", "latest", "ranked"]

MOST_REJECTED = 100  # models too large, one after another, before the search gives up


@final
class Budget:
    """The budget of one run of a study. The clock starts now."""

    def __init__(self, problem: Problem, options: Options) -> None:
        self._problem, self._options = problem, options
        self._began = time.monotonic()
        self._ended: list[Trial] = []

    def note(self, trial: Trial) -> None:
        """Take note of a trial that ended in this run, in the order of their ends."""
        self._ended.append(trial)

    def time_left(self) -> float | None:
        """Seconds until the time is used up, None without a limit."""
        if self._options.timeout is None:
            return None
        return self._options.timeout - (time.monotonic() - self._began)

    def over(self, trials: Mapping[int, Trial], running: int) -> str | None:
        """Why no further trial may start, None if one may.

        Args:
            trials: the latest attempt of each trial, by number.
            running: how many of them run.

        Raises:
            SearchStopped: if the search cannot go on.
        """
        total, left = self._options.total, self.time_left()
        if total is not None and counts_of(trials.values())["total"] + running >= total:
            return f"{total} trials" if total != 1 else "1 trial"
        if left is not None and left <= 0:
            return "the time is used up"
        best = best_of(trials.values(), maximize=self._problem.maximize)
        if self._target_reached(best):
            return f"the target {self._options.target:g} is reached"
        if self._stalled(best, trials):
            return f"{self._options.no_progress} trials without a better one"
        self._check_failures()
        return None

    def _target_reached(self, best: Trial | None) -> bool:
        target = self._options.target
        if target is None or best is None or best.value is None:
            return False
        return not self._problem.better(target, best.value)

    def _stalled(self, best: Trial | None, trials: Mapping[int, Trial]) -> bool:
        patience = self._options.no_progress
        if patience is None:
            return False
        since = -1 if best is None else best.number
        return sum(t.status.counted and t.number > since for t in trials.values()) >= patience

    def _check_failures(self) -> None:
        # Those of earlier runs do not count: their cause may have been mended.
        ended = self._ended
        streak = _streak(ended, lambda t: t.status.failed)
        if streak >= self._options.max_consecutive_failures:
            raise SearchStopped(
                f"The last {streak} trials failed, the latest with: {ended[-1].error}\n"
                "Mend the cause and resume, or allow more with --max-consecutive-failures."
            )
        if _streak(ended, lambda t: t.status is Status.REJECTED) >= MOST_REJECTED:
            raise SearchStopped(
                f"{MOST_REJECTED} models in a row were larger than max_params: {ended[-1].error}. "
                "Raise max_params, or offer smaller layers."
            )


def latest(trials: Iterable[Trial]) -> dict[int, Trial]:
    """The latest attempt of each trial, by number; `trials` are in the order of the store."""
    return {trial.number: trial for trial in trials}


def ranked(trials: Iterable[Trial], *, maximize: bool) -> list[Trial]:
    """The trials that succeeded, the best first, of equals the earlier."""
    good = [t for t in trials if t.status is Status.OK and finite(t.value)]
    sign = -1 if maximize else 1
    return sorted(good, key=lambda t: (sign * (t.value or 0), t.number))


def best_of(trials: Iterable[Trial], *, maximize: bool) -> Trial | None:
    """The best trial that succeeded, the first of equals."""
    return next(iter(ranked(trials, maximize=maximize)), None)


def counts_of(trials: Iterable[Trial]) -> dict[str, int]:
    """Finished, failed and pruned trials among the latest attempts, and their total."""
    found = [trial.status for trial in trials]
    finished = sum(status is Status.OK for status in found)
    failed = sum(status.failed for status in found)
    pruned = sum(status is Status.PRUNED for status in found)
    total = finished + failed + pruned
    return {"finished": finished, "failed": failed, "pruned": pruned, "total": total}


def _streak(trials: Sequence[Trial], test: Callable[[Trial], bool]) -> int:
    count = 0
    for trial in reversed(trials):
        if not test(trial):
            break
        count += 1
    return count
