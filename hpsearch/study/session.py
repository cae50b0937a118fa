"""One study opened for writing: store, MLflow recorder, algorithm and settings, and its end."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from ..errors import SearchStopped, StudyError, counted
from ..execute import Inline, run_alone
from ..trial import Executor, Limits, Status, Task, Trial
from . import kept
from .interrupts import held_back
from .loop import Driver, model_file
from .opening import Wanted, open_study
from .options import Options
from .problem import Problem, check_travels, packed
from .result import Best, Result
from .tally import counts_of, latest
from .watch import Steady, Watcher, folder_option

if TYPE_CHECKING:
    from ..execute.plan import Plan

__all__ = ["Session", "planned"]

PATIENCE = 20.0  # seconds that the end of a search waits where MLflow takes nothing
LONGEST = 3600.0  # and where it takes something
MANY_OWED = 50  # records that MLflow has not got when a search ends, so that the wait is told
MOMENT = 2.0  # where nothing closed it
IMPATIENCE = 4.0  # after Ctrl-C: the driver is to end within 10 s


@final
class Session:
    """A study, new or resumed, ready to run. Close it, or use it in a `with` statement.

    Args:
        command: how the search was started, for the record.
        plan: its workers, if they are settled already.

    Attributes:
        attempts: every attempt that it had at a trial.
        before: how many trials those were.
        plan: the workers that run trials, None if they run in this process.
    """

    def __init__(
        self,
        problem: Problem,
        options: Options,
        watcher: Watcher,
        *,
        command: str = "",
        plan: Plan | None = None,
    ) -> None:
        from ..record import Recorder

        self._began = time.monotonic()
        self.problem, self._watcher = problem, Steady(watcher)
        self.plan = plan or planned(options, keras=problem.space is not None)
        if self.plan is not None:
            check_travels(problem)  # before there is a study
        opened = open_study(Wanted(problem, options, self._watcher, command, self.plan))
        self.store, self.engine, self.uri = opened.store, opened.engine, opened.uri
        self.options, self.algorithm = opened.options, opened.algorithm
        self.attempts = opened.attempts
        try:
            self.before = counts_of(latest(self.attempts).values())["total"]
            self.seed = int(self.store.settings["seed"])
            self.recorder = Recorder(self.store, self.uri, offline=self.options.offline)
        except BaseException:
            self.store.close()
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the study; what MLflow has not got yet stays owed."""
        try:
            self.recorder.close()
        finally:
            self.store.close()

    # Running.

    def run(self, watch: Watcher | None = None) -> Result:
        """Search until the budget is used up, score the best trial, and bring MLflow up to date.

        Raises:
            SearchStopped: if the search cannot go on.
            KeyboardInterrupt: if it was interrupted; the study can be resumed.
        """
        interrupted = True  # until it is known to have ended of itself
        try:
            driver = self._drive(self._watcher if watch is None else Steady(watch))
            interrupted = driver.interrupted
        except Exception:
            interrupted = False
            raise
        finally:
            self.finish("interrupted" if interrupted else "finished")
        if interrupted:
            raise KeyboardInterrupt
        return self.result(driver.ended_by)

    def _drive(self, watcher: Watcher) -> Driver:
        executor = self._executor()
        try:
            driver = Driver(
                self.problem,
                self.store,
                self.options,
                seed=self.seed,
                algorithm=self.algorithm,
                executor=executor,
                watcher=watcher,
                attempts=self.attempts,
                progress=self.recorder.progress,
            )
            try:
                driver.run()
            finally:
                if not driver.interrupted:
                    self._test(executor)
            return driver
        finally:
            executor.close(now=True)

    def _executor(self) -> Executor:
        if self.plan is None:
            return Inline(self.engine)
        from ..execute.workers import Workers

        self.plan.start_server(self.options.folder, keras=self.problem.space is not None)
        recipe = packed(self.problem.recipe(self.seed))
        return Workers(recipe, self.plan, self.store.folder / "logs")

    def finish(self, state: str) -> None:
        """Bring MLflow up to date; raises nothing of MLflow's.

        Where it was interrupted it ends within seconds: models, for which the data may have to be
        loaded, stay owed.
        """
        self.store.update(state=state)
        try:
            self._deliver(interrupted=state == "interrupted")
        except KeyboardInterrupt:
            self.store.update(state="interrupted")
            raise

    def leave(self, state: str) -> None:
        """Record how it ended; MLflow is given a moment, if it is at hand, and else stays owed."""
        self.store.update(state=state)
        self.store.queue("check")
        self.store.queue("finish")
        if not self.recorder.connected or not self.recorder.flush(MOMENT):
            self.note(
                f"Study {self.store.name!r} was not closed, and MLflow does not have all of it. "
                f"{self._how_to_deliver()}"
            )

    def _deliver(self, *, interrupted: bool) -> None:
        ends = time.monotonic() + (IMPATIENCE if interrupted else LONGEST)
        self.store.queue("check")
        owing = self.store.owing()
        if owing > MANY_OWED and not self.options.offline:
            self.note(
                f"The search has ended; MLflow still gets {owing} records. To wait for that later: "
                "--offline, and hpsearch sync."
            )
        there = self.recorder.flush(ends - time.monotonic(), idle=PATIENCE)
        if there and self.problem.space is not None and not interrupted:
            kept.log_models(self.store, self.uri, self.engine, self._watcher.note)
        self.store.queue("finish")
        there = there and self.recorder.flush(ends - time.monotonic(), idle=PATIENCE)
        if self.recorder.link is not None:
            self.store.update(link=self.recorder.link)
        if not there or (kept.owed(self.store) and not interrupted):
            self._say_what_is_owed()

    def note(self, text: str) -> None:
        """Tell whoever watches."""
        self._watcher.note(text)

    def note_grid(self) -> None:
        """Tell how many points there are, where the search goes through a grid."""
        if self.options.algo != "grid":
            return
        from ..suggest import grid_size

        fixed = self.problem.parameters.with_fixed(self.options.fix)
        size = grid_size(fixed, self.options.grid_steps)
        before = " before constraints" if fixed.require else ""
        points = "more than 1,000,000 points" if size is None else counted(size, "point")
        self.note(f"The grid has {points}{before}.")

    def _say_what_is_owed(self) -> None:
        trouble = (self.recorder.trouble or "it took too long").removeprefix("MLflow: ")
        why = (
            "MLflow was told nothing, as --offline asks"
            if self.options.offline
            else f"MLflow does not have everything yet: {trouble}"
        )
        self.note(f"{why.rstrip('.')}. {self._how_to_deliver()}")

    def _how_to_deliver(self) -> str:
        where = folder_option(self.options.folder)
        return f"Deliver it later: hpsearch sync {self.store.name}{where}"

    def best(self) -> Trial | None:
        """The best trial that succeeded, the first of equals."""
        return next(iter(self.store.best(self.problem.direction)), None)

    def trials(self) -> list[Trial]:
        """The latest attempt of each trial."""
        return list(latest(self.store.trials()).values())

    def _test(self, executor: Executor) -> None:
        """Score the best trial on the test part: once for each trial that becomes the best."""
        if self.problem.space is None:
            return
        best, tested = self.best(), self.store.settings.get("tested")
        if best is None or tested == best.number:
            return
        if not model_file(self.store.folder, best).exists():
            return
        try:
            model = kept.kept_file(self.store.folder, best)
        except StudyError as error:
            self._watcher.note(f"The best model was not tested: {error}")
            return
        try:
            with held_back() if self.plan is None else contextlib.nullcontext():
                outcome = run_alone(executor, self._test_task(best, str(model)))
        except SearchStopped as error:  # no worker can be started
            self._watcher.note(f"The best model was not tested: {error}")
            return
        if outcome.status is Status.OK:
            self.store.update(test=outcome.metrics, tested=best.number)
        else:
            self._watcher.note(f"The best model could not be tested: {outcome.error}")

    def _test_task(self, trial: Trial, model: str) -> Task:
        job = kept.job_of(self.store.name, trial)
        folder = str(self.store.folder / "trials" / f"{trial.number}-{trial.attempt}")
        given = self.options
        limits = Limits(
            preparing=given.preparing, seconds=given.trial_timeout, memory=given.trial_memory
        )
        return Task((job,), purpose="test", limits=limits, folder=folder, model=model)

    def _tested(self, trial: Trial) -> dict[str, float]:
        """The test metrics of a trial, {} if it has not been tested."""
        from ..record import test_of

        return test_of(self.store.settings, trial.number)

    @property
    def _restore(self) -> Callable[..., Any]:
        """Restores models; outlives the session."""
        return functools.partial(kept.restore_model, self.engine, self.store.folder)

    def found(self) -> Best | None:
        """The best trial as a result has it."""
        best = self.best()
        if best is None or best.value is None:
            return None
        run_ids = self.store.run_ids()
        there = model_file(self.store.folder, best).exists()
        load = self._restore if there else None
        return Best(
            best.number,
            best.value,
            best.point,
            run_ids.get((best.number, best.attempt)),
            self._tested(best),
            None if load is None else functools.partial(load, best),
            self.problem.values,
        )

    def result(self, ended_by: str | None = None) -> Result:
        """What the study holds now."""
        return Result(
            study=self.store.name,
            direction=self.problem.direction,
            metric=self.problem.metric,
            best=self.found(),
            trials=self.trials(),
            seconds=time.monotonic() - self._began,
            ended_by=ended_by,
            link=self.recorder.link,
            tracking_uri=self.uri,
            folder=self.options.folder,
        )


def planned(options: Options, *, keras: bool = True) -> Plan | None:
    """The workers of a search, None where trials run in this process.

    Raises:
        StudyError: if there are fewer GPUs than they take.
    """
    if options.workers == 0:
        return None
    from ..execute.machine import share_memory
    from ..execute.plan import plan

    method = options.start_method if "start_method" in options.given else None
    settled = plan(options.workers, options.gpus_per_trial, method, options.total, keras=keras)
    if any(settled.devices):
        share_memory()
    return settled
