"""The driver: what to run next, when to stop, and what is recorded in between.

One loop for every executor. The store is told first: a trial's start before it is submitted, its
end before anything else learns of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np

from ..errors import SearchStopped
from ..store import Store
from ..trial import (
    Algorithm,
    Event,
    Executor,
    Job,
    Key,
    Limits,
    Observation,
    Outcome,
    Report,
    Status,
    Suggestion,
    Task,
    Trial,
)
from .budget import Budget
from .first import first_points
from .interrupts import Interrupts
from .options import Options
from .pace import Paced
from .problem import Problem
from .tally import Tally
from .watch import Watcher

__all__ = ["Driver", "model_file", "seed_of"]

LOOK = 0.5  # seconds at most until a Ctrl-C is heeded while trials run elsewhere


@final
class Driver:
    """One run of one study.

    Args:
        problem: what is searched.
        store: the study, open for writing.
        options: its budget and settings.
        seed: the study's seed.
        algorithm: proposes points.
        executor: runs trials.
        watcher: is told what happens.
        attempts: every attempt that the study had at a trial when it was opened.
        progress: is told every report (the MLflow recorder).
    """

    def __init__(
        self,
        problem: Problem,
        store: Store,
        options: Options,
        *,
        seed: int,
        algorithm: Algorithm,
        executor: Executor,
        watcher: Watcher,
        attempts: Sequence[Trial] = (),
        progress: Any = None,
    ) -> None:
        self._problem, self._store, self._options = problem, store, options
        self._seed, self._algorithm, self._executor = seed, algorithm, executor
        self._watcher, self._progress = watcher, progress
        self._tally = Tally(problem, attempts)
        for trial in store.abandon():  # the store is ours: whoever ran these trials is gone
            self._tally.note(trial)
        self._models = {n: t for n, t in self.trials.items() if _has_model(t)}
        self._running: dict[Key, Trial] = {}
        done = self.counts()["total"] + self._tally.to_run
        left = None if self.total is None else max(0, self.total - done)
        self._first = first_points(problem, options, self.trials.values(), watcher.note, left)
        self._budget = Budget(problem, options)
        self._interrupts = Interrupts(self._tell_interrupted)
        self.interrupted = False
        self.ended_by: str | None = None
        self._error: BaseException | None = None

    # What watchers ask.

    @property
    def trials(self) -> Mapping[int, Trial]:
        """The latest attempt of each trial, by number."""
        return self._tally.trials

    @property
    def metric(self) -> str:
        return self._problem.metric

    @property
    def total(self) -> int | None:
        return self._options.total

    @property
    def best(self) -> Trial | None:
        """The best trial that succeeded, the first of equals."""
        return self._tally.best

    def counts(self) -> dict[str, int]:
        """Finished, failed and pruned trials, and their total."""
        return self._tally.counts()

    @property
    def running(self) -> list[Trial]:
        return list(self._running.values())

    # The loop.

    def run(self) -> None:
        """Run until a budget is used up, nothing is left, or the search is interrupted.

        Raises:
            SearchStopped: if it cannot go on; everything recorded stays.
            KeyboardInterrupt: if it was interrupted, after the record is complete.
        """
        try:
            with self._interrupts.heard():
                self._run()
        except KeyboardInterrupt:
            self.interrupted, self.ended_by = True, "interrupted"
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        self._watcher.begun(self)
        try:
            while self._step():
                pass
        finally:
            try:
                with self._interrupts.whole():
                    self.abandon()
            finally:
                self._watcher.finished()

    def ask(self) -> Trial | None:
        """Start the next trial and return it, None when the search is over (ask/tell).

        Raises:
            SearchStopped: if it cannot go on.
        """
        trial = self._next()
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error  # it knows this frame, so the caller's study would outlive the caller
        if trial is not None:
            self._start(trial)
        return trial

    def tell(self, outcome: Outcome) -> None:
        """Record the end of a trial that `ask` started."""
        self._end(outcome)

    def abandon(self) -> None:
        """Record what still runs as cancelled."""
        self.interrupted = self.interrupted or self._interrupts.asked
        for key, trial in list(self._running.items()):
            spent = max(0.0, time.time() - trial.started)
            self._end(Outcome(key, Status.CANCELLED, error="interrupted", seconds=spent))
        self._store.abandon()  # and a start that was cut off before it was noted here

    def _step(self) -> bool:
        """Submit what can start, wait for what ends; False when the search is over."""
        self._heed()
        if not self._running:
            self.over()
        while self.ended_by is None and self._executor.free() > 0:
            trial = self._next()
            if trial is None or self._interrupts.asked:
                break
            self._start(trial)
        self._heed()
        if self.ended_by is not None and not self._running:
            return False
        self._executor.poll(LOOK, self._deliver)
        return True

    def _next(self) -> Trial | None:
        """The next trial to start, None if there is none now."""
        if self.over():
            return None
        again = self._interrupted_trial()
        if again is not None:
            return again
        number = self._tally.next_number
        history, pending = self._tally.history(), self._pending()
        try:
            source, name, found = self._proposed(number, history, pending)
        except SearchStopped as error:
            self.ended_by, self._error = str(error), error
            return None
        if found is None:
            used = "the space is used up" if number else "no point has what is fixed and required"
            self._end_by(used)
            return None
        seed, why = seed_of(self._seed, number), found.why
        return Trial(number, found.point, seed, time.time(), source=source, name=name, why=why)

    def over(self) -> bool:
        """Whether no trial may start now; notes why once the search is over."""
        if self.ended_by is not None:
            return True
        try:
            reason = self._budget.over(self._tally, len(self._running))
        except SearchStopped as error:
            self.ended_by, self._error = str(error), error
            return True
        if reason is not None:
            self._end_by(reason)
        return reason is not None

    def _end_by(self, reason: str) -> None:
        """The search is over, unless what still runs has to run again or is not counted."""
        if not self._running:
            self.ended_by = reason

    def _proposed(
        self, number: int, history: list[Observation], pending: list[Observation]
    ) -> tuple[str, str | None, Suggestion | None]:
        from .. import suggest

        if self._first:
            source, name, partial = self._first.pop(0)
            found = suggest.fill(
                self._options.algo,
                self._problem.parameters.with_fixed(self._options.fix),
                partial,
                history,
                pending,
                number,
                self._seed,
            )
            return source, name, Suggestion(found.point) if source == "baseline" else found
        self._keep_pace(number)
        return "suggested", None, self._algorithm(history, pending, number, self._seed)

    def _keep_pace(self, number: int) -> None:
        """Have suggestions made fast from this trial on if they hold trials up; it is recorded."""
        if isinstance(self._algorithm, Paced) and (note := self._algorithm.hurry(number)):
            self._store.update(fast_from=number)
            self._watcher.note(note)

    def _interrupted_trial(self) -> Trial | None:
        """A trial of an earlier run that did not end: it runs again with the same point and seed."""
        trial = self._tally.owed({key.number for key in self._running})
        if trial is None:
            return None
        return replace(
            trial, attempt=trial.attempt + 1, started=time.time(), ended=None, outcome=None
        )

    def _start(self, trial: Trial) -> None:
        key = Key(self._store.name, trial.number, trial.attempt)
        with self._interrupts.whole():
            self._store.start(trial)
            self._running[key] = trial
            self._tally.note(trial)
            self._watcher.started(trial)
            self._executor.submit(self._task(key, trial))

    def _task(self, key: Key, trial: Trial) -> Task:
        space = self._problem.space
        folder = self._store.folder
        limits = Limits(
            deadline=self._budget.time_left(),
            max_params=None if space is None else space.max_params,
            preparing=self._options.preparing,
            seconds=self._options.trial_timeout,
            memory=self._options.trial_memory,
        )
        keep = space is not None and self._options.keep_models > 0
        return Task(
            (Job(key, trial.point, trial.seed),),
            limits=limits,
            folder=str(folder / "trials" / f"{trial.number}-{trial.attempt}"),
            bar=self._bar() if keep else None,
            model=str(model_file(folder, trial)) if keep else None,
        )

    def _deliver(self, event: Event) -> None:
        trial = self._running.get(event.key)
        if trial is None:
            return  # a late word of an attempt that has ended
        if isinstance(event, Report):
            if self._progress is not None:
                self._progress(event)
            self._watcher.reported(trial, event)
            self._heed()  # a trial in this process hears of it at its report
        else:
            self._end(event)

    def _end(self, outcome: Outcome) -> None:
        with self._interrupts.whole():
            ended = self._store.end(outcome, time.time())
            del self._running[outcome.key]
            if ended is not None:
                self._note_end(ended)

    def _note_end(self, ended: Trial) -> None:
        self._tally.note(ended)
        if not self._tally.owes(ended.number):
            self._budget.note(ended)
        if ended.status is Status.CANCELLED and not self._interrupts.asked:
            self.ended_by = self.ended_by or "the time is used up"
        if isinstance(self._algorithm, Paced) and ended.status is Status.OK:
            self._algorithm.ended(ended.seconds or 0.0)
        self._keep_best(ended)
        self._watcher.ended(ended)

    def _keep_best(self, ended: Trial) -> None:
        """Delete the models of trials that are no longer among the best."""
        if _has_model(ended):
            self._models[ended.number] = ended
        keep = {trial.number for trial in self._tally.leading(self._options.keep_models)}
        for number in self._models.keys() - keep:
            model_file(self._store.folder, self._models[number]).unlink(missing_ok=True)
            del self._models[number]

    def _bar(self) -> float | None:
        """The loss that a trial has to beat for its model to be kept."""
        count = self._options.keep_models
        best = self._tally.leading(count)
        return self._problem.loss(best[-1].value) if len(best) == count else None

    # What algorithms learn.

    def _pending(self) -> list[Observation]:
        return [Observation(t.number, t.point, None, t.source) for t in self._running.values()]

    # Being interrupted.

    def _tell_interrupted(self) -> None:
        which = "The running trial ends" if len(self._running) < 2 else "Running trials end"
        when = "first" if self._problem.space is None else "after this epoch"
        self._watcher.note(f"Interrupted. {which} {when}; Ctrl-C again to end now.")

    def _heed(self) -> None:
        """Have running trials end after this epoch, once, if that was asked for."""
        if self._interrupts.asked and not self.interrupted:
            self.interrupted, self.ended_by = True, "interrupted"
            for key in list(self._running):
                self._executor.stop(key, now=False)


def seed_of(seed: int, number: int) -> int:
    """The seed of a trial: 32 bits of the study's seed and the trial's number, mixed."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])


def _has_model(trial: Trial) -> bool:
    """Whether a trial wrote its weights; they may be deleted since."""
    return trial.outcome is not None and bool(trial.outcome.model)


def model_file(folder: Path, trial: Trial) -> Path:
    """Where the kept weights of a trial are."""
    return folder / "models" / f"trial-{trial.number}-{trial.attempt}.keras"
