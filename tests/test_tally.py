"""Where a study stands: what is kept up to date is what a recount of its trials gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch import uniform
from hpsearch.study import best_of, counts_of, latest, problem_of
from hpsearch.study.tally import MOST_LOST, Tally, ranked
from hpsearch.trial import Key, Observation, Outcome, Status, Trial, finite

ENDS = [status for status in Status if status is not Status.RUNNING]
VALUES = st.sampled_from([0.0, 1.0, 2.0, -1.5, float("nan"), float("inf")])


def problem(maximize: bool = False) -> Any:
    return problem_of({"x": uniform(0, 1)}, lambda values: values["x"], maximize=maximize)


def started(number: int, attempt: int = 0) -> Trial:
    return Trial(number, {"x": number / 10}, 1, 0.0, attempt)


def ended(number: int, status: Status, value: float | None = None, attempt: int = 0) -> Trial:
    outcome = Outcome(Key("s", number, attempt), status, value if status is Status.OK else None)
    return Trial(number, {"x": number / 10}, 1, 0.0, attempt, ended=1.0, outcome=outcome)


def seen(tally: Tally) -> dict[str, Any]:
    """Everything that can be asked of a tally."""
    return {
        "trials": tally.trials,
        "next": tally.next_number,
        "counts": tally.counts(),
        "best": tally.best,
        "leading": tally.leading(3),
        "ended": tally.ended,
        "since best": tally.ended_since_best,
        "owes": [number for number in tally.trials if tally.owes(number)],
        "owed": tally.owed(()),
        "owed but the first": tally.owed({min(tally.trials, default=0)}),
        "history": tally.history(),
    }


def recount(attempts: Sequence[Trial], *, maximize: bool) -> dict[str, Any]:
    """The same from a list of attempts alone, with a loop for each."""
    trials = latest(attempts)
    lost = Counter(trial.number for trial in attempts if trial.status is Status.LOST)

    def owed(trial: Trial) -> bool:
        if trial.status is Status.LOST:
            return lost[trial.number] < MOST_LOST
        return trial.status in (Status.RUNNING, Status.CANCELLED)

    again = sorted(number for number, trial in trials.items() if owed(trial))
    later = [number for number in again if number != min(trials, default=0)]
    settled = [trial for number, trial in sorted(trials.items()) if not owed(trial)]
    counted = [trial.number for trial in settled if trial.status.counted]
    best = best_of(trials.values(), maximize=maximize)
    since = -1 if best is None else best.number
    sign = -1 if maximize else 1
    return {
        "trials": trials,
        "next": max(trials, default=-1) + 1,
        "counts": counts_of(trials.values()),
        "best": best,
        "leading": ranked(trials.values(), maximize=maximize)[:3],
        "ended": len(counted),
        "since best": sum(number > since for number in counted),
        "owes": [number for number in trials if number in again],
        "owed": trials[again[0]] if again else None,
        "owed but the first": trials[later[0]] if later else None,
        "history": [
            Observation(t.number, t.point, sign * t.value if finite(t.value) else None, t.source)
            for t in settled
        ],
    }


@given(
    events=st.lists(
        st.tuples(st.sampled_from(["new", "again", "end"]), st.integers(0, 9), st.sampled_from(ENDS), VALUES),
        max_size=40,
    ),
    maximize=st.booleans(),
)  # fmt: skip
def test_after_any_starts_ends_losses_and_reruns_a_recount_says_the_same(
    events: list[tuple[str, int, Status, float]], maximize: bool
) -> None:
    tally, attempts = Tally(problem(maximize)), dict[tuple[int, int], Trial]()
    for kind, which, status, value in events:
        running = [t for t in attempts.values() if t.status is Status.RUNNING]
        if kind == "end" and running:
            at = running[which % len(running)]
            trial = ended(at.number, status, value, at.attempt)
        elif kind == "again" and (owed := tally.owed({t.number for t in running})) is not None:
            trial = started(owed.number, owed.attempt + 1)
        else:
            trial = started(tally.next_number)
        attempts[trial.number, trial.attempt] = trial
        tally.note(trial)
        assert seen(tally) == recount([*attempts.values()], maximize=maximize)
    stored = [trial for _, trial in sorted(attempts.items())]
    assert seen(Tally(problem(maximize), stored)) == recount(stored, maximize=maximize)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([None, *ENDS]), VALUES), max_size=25),
    st.booleans(),
)
def test_whatever_stands_in_a_store_a_recount_says_the_same(
    found: list[tuple[int, Status | None, float]], maximize: bool
) -> None:
    """Also attempts after one that had succeeded, as none of our drivers makes them."""
    attempts: list[Trial] = []
    for number, status, value in found:
        attempt = sum(trial.number == number for trial in attempts)
        new = status is None
        attempts.append(
            started(number, attempt) if new else ended(number, status, value, attempt)
        )  # fmt: skip
        attempts.sort(key=lambda trial: (trial.number, trial.attempt))
    assert seen(Tally(problem(maximize), attempts)) == recount(attempts, maximize=maximize)


def test_a_history_that_was_given_away_stays_and_its_observations_are_kept() -> None:
    tally = Tally(problem())
    for number in (0, 1, 3):
        tally.note(ended(number, Status.OK, 1.0))
    before = tally.history()
    tally.note(ended(2, Status.FAILED))
    tally.note(ended(4, Status.OK, 0.5))
    after = tally.history()
    assert [each.number for each in before] == [0, 1, 3]
    assert [each.number for each in after] == [0, 1, 2, 3, 4]
    assert all(one is two for one, two in zip(before, [*after[:2], after[3]], strict=True))


def test_of_equal_values_the_earlier_leads_whichever_ended_first() -> None:
    tally = Tally(problem(maximize=True))
    for number in (2, 0, 1):
        tally.note(ended(number, Status.OK, 1.0))
    assert [trial.number for trial in tally.leading(2)] == [0, 1]


@pytest.mark.parametrize("losses", [MOST_LOST - 1, MOST_LOST])
def test_a_trial_that_was_lost_too_often_is_a_failure(losses: int) -> None:
    tally = Tally(problem())
    for attempt in range(losses):
        tally.note(started(0, attempt))
        tally.note(ended(0, Status.LOST, attempt=attempt))
    assert tally.owes(0) is (losses < MOST_LOST)
    assert [each.loss for each in tally.history()] == ([] if tally.owes(0) else [None])
