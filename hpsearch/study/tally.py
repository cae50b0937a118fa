"""The trials of a study counted, ranked and put in order: of a list of them, or kept so as they run."""

from __future__ import annotations

import bisect
import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar, final

from ..trial import Observation, Status, Trial, finite
from .problem import Problem

__all__ = ["UNENDED", "Tally", "best_of", "counts_of", "latest", "ranked", "totals_of"]

UNENDED = (Status.RUNNING, Status.CANCELLED, Status.LOST)  # which teach nothing, and may run again
MOST_LOST = 3  # attempts at one trial whose workers were lost before they trained

Rank: TypeAlias = tuple[float, int]
"""What trials that succeeded are sorted by, the best first: loss and number."""

T = TypeVar("T")
_NUMBER = operator.attrgetter("number")


def latest(trials: Iterable[Trial]) -> dict[int, Trial]:
    """The latest attempt of each trial, by number; `trials` are in the order of the store."""
    return {trial.number: trial for trial in trials}


def ranked(trials: Iterable[Trial], *, maximize: bool) -> list[Trial]:
    """The trials that succeeded, the best first, of equals the earlier."""
    return sorted(filter(_succeeded, trials), key=lambda trial: _rank(trial, maximize))


def best_of(trials: Iterable[Trial], *, maximize: bool) -> Trial | None:
    """The best trial that succeeded, the first of equals."""
    good = filter(_succeeded, trials)
    return min(good, key=lambda trial: _rank(trial, maximize), default=None)


def counts_of(trials: Iterable[Trial]) -> dict[str, int]:
    """Finished, failed and pruned trials among the latest attempts, and their total."""
    return totals_of(Counter(trial.status for trial in trials))


def totals_of(statuses: Mapping[Status, int]) -> dict[str, int]:
    """What `counts_of` says, of how many trials stand how."""
    finished, pruned = statuses.get(Status.OK, 0), statuses.get(Status.PRUNED, 0)
    failed = sum(count for status, count in statuses.items() if status.failed)
    total = finished + failed + pruned
    return {"finished": finished, "failed": failed, "pruned": pruned, "total": total}


@final
class Tally:
    """Where a study stands, kept up to date as its trials start and end.

    All of it is asked for at each trial, and a study may have tens of thousands: a trial changes
    what it changes, and nothing is counted again.

    Args:
        attempts: every attempt so far, in the order of the store.

    Attributes:
        trials: the latest attempt of each trial, by number.
        next_number: of the trial that comes next.
    """

    def __init__(self, problem: Problem, attempts: Iterable[Trial] = ()) -> None:
        self.trials: dict[int, Trial] = {}
        self.next_number = 0
        self._problem = problem
        self._statuses: Counter[Status] = Counter()
        self._lost: Counter[int] = Counter()
        self._owed: set[int] = set()
        # Of those that ended for good. Most trials end in order: to keep it costs next to nothing.
        self._ranked: list[Rank] = []
        self._counted: list[int] = []
        self._history: list[Observation] = []
        for trial in attempts:
            self.note(trial)

    def note(self, trial: Trial) -> None:
        """Take note of an attempt that has started or ended, in place of what was there."""
        number, before = trial.number, self.trials.get(trial.number)
        if before is not None:
            self._take_out(before)
        self.trials[number] = trial
        self.next_number = max(self.next_number, number + 1)
        if trial.status is Status.LOST:
            self._lost[number] += 1
        self._put_in(trial)

    # What is asked.

    def counts(self) -> dict[str, int]:
        """Finished, failed and pruned trials, and their total."""
        return totals_of(self._statuses)

    @property
    def best(self) -> Trial | None:
        """The best trial that succeeded, the first of equals."""
        return next(iter(self.leading(1)), None)

    def leading(self, count: int) -> list[Trial]:
        """The best trials that succeeded, the best first, `count` of them if there are so many."""
        return [self.trials[number] for _, number in self._ranked[:count]]

    @property
    def ended(self) -> int:
        """How many trials have ended for good and are counted."""
        return len(self._counted)

    @property
    def ended_since_best(self) -> int:
        """How many of them have a higher number than the best; all, if none has succeeded."""
        since = self._ranked[0][1] if self._ranked else -1
        return len(self._counted) - bisect.bisect_right(self._counted, since)

    def owes(self, number: int) -> bool:
        """Whether a trial runs or is to run again: cut off, or lost by its worker."""
        return number in self._owed

    @property
    def to_run(self) -> int:
        """How many trials run or are to run again."""
        return len(self._owed)

    def owed(self, busy: Collection[int]) -> Trial | None:
        """The first trial that is to run again, but for those that run."""
        number = min(self._owed.difference(busy), default=None)
        return None if number is None else self.trials[number]

    def history(self) -> list[Observation]:
        """What algorithms learn: trials that ended for good, in order; a failure teaches as well.

        The list is the caller's own; an observation stays the same object as long as it is true.
        """
        return self._history.copy()

    # Keeping it.

    def _put_in(self, trial: Trial) -> None:
        self._statuses[trial.status] += 1
        if self._is_owed(trial):
            self._owed.add(trial.number)
            return
        if _succeeded(trial):
            bisect.insort(self._ranked, _rank(trial, self._problem.maximize))
        if trial.status.counted:
            bisect.insort(self._counted, trial.number)
        loss = self._problem.loss(trial.value)
        seen = Observation(trial.number, trial.point, loss, trial.source)
        bisect.insort(self._history, seen, key=_NUMBER)

    def _take_out(self, trial: Trial) -> None:
        self._statuses[trial.status] -= 1
        if trial.number in self._owed:
            self._owed.discard(trial.number)
            return
        if _succeeded(trial):
            _remove(self._ranked, _rank(trial, self._problem.maximize))
        if trial.status.counted:
            _remove(self._counted, trial.number)
        _remove(self._history, trial.number, _NUMBER)

    def _is_owed(self, trial: Trial) -> bool:
        if trial.status is Status.LOST:
            return self._lost[trial.number] < MOST_LOST
        return trial.status in (Status.RUNNING, Status.CANCELLED)


def _succeeded(trial: Trial) -> bool:
    return trial.status is Status.OK and finite(trial.value)


def _rank(trial: Trial, maximize: bool) -> Rank:
    value = trial.value or 0
    return (-value if maximize else value, trial.number)


def _remove(items: list[T], wanted: Any, key: Callable[[T], Any] | None = None) -> None:
    """Take out of a sorted list the one item with this key.

    It may be missing where the caller's own loop was interrupted while it was put in.
    """
    at = bisect.bisect_left(items, wanted, key=key)
    if at < len(items) and (items[at] if key is None else key(items[at])) == wanted:
        del items[at]
