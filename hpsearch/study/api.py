"""The scripting interface: `search`, and ask/tell with `Study`."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from ..errors import SearchStopped, StudyError, counted
from ..store import Store, studies
from ..trial import Job, Key, Outcome, Point, Status, Trial
from .loop import Driver
from .options import options_from
from .problem import Problem, number_of, outcome_of_value, problem_of
from .result import Best, Result
from .session import Session
from .watch import Lines, Silent, Steady, Watcher, value_text

__all__ = ["Asked", "Study", "search"]


def search(
    space: Any,
    objective: Callable[[Any], float] | None = None,
    *,
    maximize: bool | None = None,
    require: Sequence[Any] | None = None,
    progress: bool | Watcher = True,
    **options: Any,
) -> Result:
    """Search a space and return what was found; trials run in this process unless `workers` says else.

    Args:
        space: a `Space`, the name or path of a space file, or a dict of words.
        objective: for a dict of words, a function of the resolved values that returns a number.
        maximize: whether a larger objective is better, by default not, or as a study that goes on
            has it; a `Space` says so itself.
        require: for a dict of words, conditions on them, or functions of a point, that every point
            satisfies; a `Space` says so itself.
        progress: print a line per trial to standard error; or a watcher of one's own.
        **options: those of `hpsearch run` under the same names, see
            `hpsearch.study.options.Options`: max_trials, timeout, target, no_progress,
            max_consecutive_failures, seed, algo, grid_steps, repeats, warm_start, fix, enqueue,
            baselines, study, resume, keep_models, experiment, tracking_uri, folder, check, offline,
            from_mlflow, workers and what they may use.

    Raises:
        SpaceError, PointError, DataError: for what is wrong with the space; before any trial.
        StudyError, TrackingError: for what is wrong with the options; before any trial.
        SearchStopped: if the search cannot go on, such as after 20 failures in a row.
        KeyboardInterrupt: after Ctrl-C, with everything recorded.
    """
    problem = problem_of(
        space, objective, maximize=_maximizes(maximize, space, options), require=require
    )
    if problem.space is None and not callable(objective):
        raise StudyError(
            f"A dict of words needs an objective, a function of its values; got {objective!r}. "
            "Write search({'x': uniform(-1, 1)}, lambda values: values['x'] ** 2)."
        )
    with Session(problem, options_from(options), _watcher(progress), command=_command()) as session:
        session.note(_beginning(session))
        session.note_grid()
        try:
            result = session.run()
        except KeyboardInterrupt:
            name = session.store.name
            session.note(
                f"Interrupted; what had ended is kept in study {name!r}. Go on with it: "
                f"search(…, study={name!r}, resume=True)."
            )
            raise
        session.note(_ending(result))
        return result


@final
@dataclass(frozen=True, eq=False, slots=True)
class Asked:
    """A trial to run by hand.

    Attributes:
        point: ``{label: value}``.
        values: what the declaration becomes at this point, for a dict of words; the point for a
            `Space`.
        seed: the trial's seed.
    """

    number: int
    attempt: int
    point: Point
    values: Any
    seed: int


@final
class Study:
    """Ask/tell: the loop is the caller's, suggestions and record are ours.

        with Study({"x": uniform(-1, 1)}, max_trials=20) as study:
            while (trial := study.ask()) is not None:
                study.tell(trial, (trial.values["x"] - 0.3) ** 2)

    Takes what `search` takes, but no objective.
    """

    def __init__(
        self,
        space: Any,
        *,
        maximize: bool | None = None,
        require: Sequence[Any] | None = None,
        progress: bool | Watcher = False,
        **options: Any,
    ) -> None:
        self._problem: Problem = problem_of(
            space, None, maximize=_maximizes(maximize, space, options), require=require
        )
        self._watcher = Steady(_watcher(progress))
        options_given = options_from(options)
        if options_given.workers != 0:
            raise StudyError(
                "Trials of ask/tell are run by the caller, so they have no workers. Leave "
                f"workers={options_given.workers} out, or give search() an objective."
            )
        self._session = Session(self._problem, options_given, self._watcher, command=_command())
        try:
            self._driver = Driver(
                self._problem,
                self._session.store,
                self._session.options,
                seed=self._session.seed,
                algorithm=self._session.algorithm,
                executor=_ByHand(),
                watcher=self._watcher,
                attempts=self._session.attempts,
            )
            self._watcher.begun(self._driver)
            self._session.note_grid()
        except BaseException:
            self._session.close()
            raise
        self._held: Result | None = None  # once it is closed
        self._process = os.getpid()
        self._left = weakref.finalize(
            self, _leave, self._driver, self._session, self._watcher, self._process
        )

    def __enter__(self) -> Study:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        ended = error is None or issubclass(error, SearchStopped)
        self._end("finished" if ended else "interrupted")

    @property
    def name(self) -> str:
        """The study's name."""
        return self._session.store.name

    def ask(self) -> Asked | None:
        """Return the next trial, None when the budget is used up or nothing is left.

        Raises:
            SearchStopped: if the search cannot go on.
        """
        trial = self._driver.ask()
        if trial is None:
            return None
        values = self._problem.values(trial.point)
        return Asked(trial.number, trial.attempt, trial.point, values, trial.seed)

    def model(self, trial: Asked) -> Any:
        """The compiled, untrained Keras model of a trial of a `Space`.

        Raises:
            StudyError: if the study searches a dict of words.
        """
        return self._made(trial)[0]

    def data(self, trial: Asked) -> Any:
        """The data of a trial of a `Space`: `train`, `validation` and `test` parts."""
        return self._made(trial)[1].parts

    def _made(self, trial: Asked) -> tuple[Any, Any]:
        from ..train import KerasEngine

        engine = self._session.engine
        if not isinstance(engine, KerasEngine):
            raise StudyError("A dict of words has no model: build your own from trial.values.")
        return engine.compiled(Job(self._key(trial), trial.point, trial.seed))

    def tell(
        self, trial: Asked, value: Any = None, *, error: str | BaseException | None = None
    ) -> Trial:
        """Record how a trial ended: its value, or an error for a failure that teaches the search.

        Raises:
            StudyError: if the trial is not running, or neither a number nor an error is given.
        """
        if not isinstance(trial, Asked):
            raise StudyError(f"tell takes a trial that ask gave, and its value; got {trial!r}.")
        key = self._key(trial)
        if key not in {Key(self.name, t.number, t.attempt) for t in self._driver.running}:
            raise StudyError(
                f"Trial {trial.number} is not running: tell takes each trial that ask gave, once."
            )
        if (value is None) is (error is None):
            raise StudyError("tell takes a value, or error= for a trial that failed; exactly one.")
        started = next(t.started for t in self._driver.running if t.number == trial.number)
        seconds = time.time() - started
        if error is not None:
            text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
            outcome = Outcome(key, Status.FAILED, error=text, seconds=seconds)
        else:
            if number_of(value) is None:
                raise StudyError(f"tell takes a number, or error= for a failure; got {value!r}.")
            outcome = outcome_of_value(Job(key, trial.point, trial.seed), value, seconds)
        self._driver.tell(outcome)
        return self._driver.trials[trial.number]

    @property
    def result(self) -> Result:
        """What the study holds now; once it is closed, what it held then."""
        return self._held or self._session.result(self._driver.ended_by)

    @property
    def best(self) -> Best | None:
        """The best trial so far, None if none succeeded."""
        return self._session.found() if self._held is None else self._held.best

    @property
    def trials(self) -> list[Trial]:
        """The latest attempt of each trial, in order."""
        return self._session.trials() if self._held is None else [*self._held.trials]

    def close(self) -> None:
        """Bring MLflow up to date and release the study; running trials are recorded as cancelled.

        It is recorded as finished; one whose ``with`` block an exception left, unless `ask` raised
        `SearchStopped`, as interrupted: MLflow gets its models when it is resumed, or by ``hpsearch
        sync``. A study that is not closed is ended when nothing refers to it any more, or with its
        program: as finished if its budget was used up, else as interrupted. That does not wait for
        MLflow, which gets the rest by ``hpsearch sync``.
        """
        self._end("finished")

    def _end(self, state: str) -> None:
        if os.getpid() != self._process or self._left.detach() is None:
            return  # a fork of the one that it belongs to, or it has ended
        with contextlib.ExitStack() as last:  # each of these, whatever the others raise
            last.callback(self._session.close)
            last.callback(self._watcher.finished)
            last.callback(self._hold)
            last.callback(self._session.finish, state)
            self._driver.abandon()

    def _hold(self) -> None:
        self._held = self.result

    def _key(self, trial: Asked) -> Key:
        return Key(self.name, trial.number, trial.attempt)


def _leave(driver: Driver, session: Session, watcher: Watcher, process: int) -> None:
    """End a study that was not closed, once nothing refers to it, or with its program.

    It hardly waits for MLflow: as a program ends, much can be neither imported nor started.
    """
    if os.getpid() != process:
        return  # a fork of the one that it belongs to
    if session.recorder.at_work:  # garbage is collected anywhere, also between its statements
        threading.Thread(target=_leave, args=(driver, session, watcher, process)).start()
        return
    with contextlib.ExitStack() as last:
        last.callback(session.close)
        last.callback(watcher.finished)
        over = not driver.running and driver.over()
        last.callback(session.leave, "finished" if over else "interrupted")
        driver.abandon()


@final
class _ByHand:
    """The executor of ask/tell: the caller runs the trials."""

    def free(self) -> int:
        return 1

    def submit(self, task: Any) -> None:
        """Nothing: the caller has the point."""

    def poll(self, timeout: float | None, deliver: Any) -> None:
        """Nothing: `tell` delivers."""

    def stop(self, key: Key, *, now: bool) -> None:
        """Nothing: the caller decides."""

    def close(self, *, now: bool) -> None:
        """Nothing to release."""


def _maximizes(given: bool | None, space: Any, options: Mapping[str, Any]) -> bool:
    """What is given, else what a study of a dict of words that goes on was begun with."""
    if given is not None:
        return given
    if not isinstance(space, Mapping) or options.get("resume") is not True:
        return False
    known = options_from(options)
    root = known.folder / "studies"
    if known.study is None or known.study not in studies(root):
        return False
    with Store.open(root, known.study, write=False) as store:
        return bool(store.settings["direction"] == "maximize")


def _beginning(session: Session) -> str:
    """The study, and what it holds already."""
    there = f" goes on after {counted(session.before, 'trial')}" if session.before else ""
    total = session.options.total
    most = (
        "" if total is None or session.before >= total else f", {counted(total, 'trial')} at most"
    )
    return f"Study {session.store.name!r}{there}{most}."


def _ending(result: Result) -> str:
    """Why a search stopped, and what it found."""
    counts = result.counts
    failed = f", {counts['failed']} failed" if counts["failed"] else ""
    best = result.best
    found = (
        "no trial succeeded"
        if best is None
        else f"{result.metric} {value_text(best.value)} in trial {best.number} is the best"
    )
    return f"{counted(counts['total'], 'trial')}{failed}; {found}. Stopped: {result.ended_by}."


def _watcher(progress: bool | Watcher) -> Watcher:
    if isinstance(progress, bool):
        return Lines() if progress else Silent()
    told = ("begun", "started", "reported", "ended", "note", "finished")
    if isinstance(progress, type) or not all(
        callable(getattr(progress, name, None)) for name in told
    ):
        raise StudyError(
            f"progress is True, False, or a watcher as hpsearch.study.watch.Watcher has it; got "
            f"{progress!r}."
        )
    return progress


def _command() -> str:
    """The caller's program, for the record; not its arguments, which may hold secrets."""
    return Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
