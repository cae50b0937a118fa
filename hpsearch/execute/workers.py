"""Trials in worker processes on this machine: many trials to a worker, and none survives the driver."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, final

from ..errors import SearchStopped
from ..trial import Event, Key, Outcome, Status, Task, outcome_of, report_of
from .guardian import Guardian
from .machine import group_memory
from .plan import Plan
from .process import WorkerProcess

__all__ = ["Workers"]

CHECK = 0.25  # seconds between looks at limits
STARTING = 300.0  # seconds that a worker may take to be ready
PREPARING = 600.0  # seconds that a trial with a time limit may take until its data is ready
MOST_LOST = 3  # workers in a row that were never ready


@final
class Workers:
    """Runs each task in one of several worker processes.

    A worker serves many tasks. It is replaced when it dies, when a limit of its trial is passed,
    and when it asks for it (see `worker.Setup`). What a worker prints is in a log of its own.

    Args:
        recipe: a pickled function without arguments that makes a worker's engine.
        plan: how many workers there are, and what each may use.
        logs: the folder for what workers print.
    """

    def __init__(self, recipe: bytes, plan: Plan, logs: Path) -> None:
        self._recipe, self._plan, self._logs = recipe, plan, logs
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._outer = dict(os.environ)
        self._started = self._lost = 0
        self._told: deque[Outcome] = deque()  # ends that `stop` made, to be delivered
        self._guardian = Guardian()
        self._checked = 0.0
        self._workers: list[WorkerProcess] = []
        for slot in range(plan.count):
            self._workers.append(self._start(slot))

    def free(self) -> int:
        return sum(worker.ready and worker.task is None for worker in self._workers)

    def submit(self, task: Task) -> None:
        free = next(worker for worker in self._workers if worker.ready and worker.task is None)
        free.run(task)

    def poll(self, timeout: float | None, deliver: Callable[[Event], None]) -> None:
        """See `Executor`; returns as well when a worker has become free.

        Raises:
            SearchStopped: if no worker can be started.
        """
        ends = None if timeout is None else time.monotonic() + timeout
        while True:
            news = self._deliver_told(deliver)
            left = CHECK if ends is None else min(CHECK, ends - time.monotonic())
            handles = [handle for worker in self._workers for handle in worker.handles]
            wait(handles, timeout=0 if news else max(0.0, left))
            for worker in list(self._workers):
                news |= self._hear(worker, deliver)
            news |= self._check_limits(deliver)
            if news or (ends is not None and time.monotonic() >= ends):
                return

    def stop(self, key: Key, *, now: bool) -> None:
        for worker in list(self._workers):
            if worker.task is None or key not in _keys(worker.task):
                continue
            if now:
                self._told += _ends(worker, Status.CANCELLED, "stopped")
                self._replace(worker)
            else:
                worker.stop(key)

    def close(self, *, now: bool) -> None:
        for worker in self._workers:
            self._end(worker)
        self._workers.clear()
        self._guardian.close()

    # What workers say.

    def _hear(self, worker: WorkerProcess, deliver: Callable[[Event], None]) -> bool:
        """Take what a worker has said; returns whether a trial has ended or it has become free."""
        gone = worker.ended  # asked first: what it said before its end is still to be heard
        news = False
        for kind, content in worker.messages():
            match kind:
                case "report":
                    deliver(report_of(content))
                case "outcome":
                    worker.left.discard(Key(**content["key"]))
                    deliver(outcome_of(content))
                    news = True
                case "begun":
                    worker.begun = time.monotonic()
                case "ready":
                    worker.ready, self._lost, news = True, 0, True
                case "free":
                    worker.task, news = None, True
                    if content is not None:
                        self._replace(worker)
                        return True
                case "refused":
                    raise SearchStopped(f"The workers cannot load the space: {content}")
        if gone:
            self._bury(worker, deliver)
        return news or gone

    def _bury(self, worker: WorkerProcess, deliver: Callable[[Event], None]) -> None:
        """A worker has died: its trial has, or was lost if it had not begun."""
        how = worker.how_it_ended()
        status = Status.LOST if worker.begun is None else Status.DIED
        outcomes = _ends(worker, status, how)
        if not worker.ready:
            self._count_lost(f"{how}. It wrote:\n{worker.last_words()[-600:]}")
        self._replace(worker)
        for outcome in outcomes:
            deliver(outcome)

    def _count_lost(self, why: str) -> None:
        self._lost += 1
        if self._lost >= MOST_LOST:
            raise SearchStopped(f"{self._lost} workers in a row could not be started: {why}")

    # Limits.

    def _check_limits(self, deliver: Callable[[Event], None]) -> bool:
        """End what is past its limits; returns whether there was any."""
        now = time.monotonic()
        if now - self._checked < CHECK / 2:
            return False
        self._checked = now
        passed = False
        for worker in list(self._workers):
            found = self._past_limit(worker, now)
            if found is None:
                continue
            outcomes = _ends(worker, *found)
            if not worker.ready:
                self._count_lost(found[1])
            self._replace(worker)
            for outcome in outcomes:
                deliver(outcome)
            passed = True
        return passed

    def _past_limit(self, worker: WorkerProcess, now: float) -> tuple[Status, str] | None:
        if not worker.ready:
            late = now - worker.born > STARTING
            return (Status.LOST, f"not ready after {STARTING:.0f} s") if late else None
        if worker.task is None:
            return None
        limits = worker.task.limits
        if limits.seconds is not None:
            if worker.begun is None and now - worker.submitted > PREPARING + limits.seconds:
                return Status.TIMEOUT, f"its data was not ready after {PREPARING:.0f} s"
            if worker.begun is not None and now - worker.begun > limits.seconds:
                return Status.TIMEOUT, f"killed after {limits.seconds:g} s, its --trial-timeout"
        if limits.memory is not None and (held := group_memory(worker.pid)) > limits.memory:
            text = f"{held / 1e9:.2f} GB, more than its --trial-memory {limits.memory / 1e9:.2f} GB"
            return Status.DIED, f"out of memory: killed at {text}"
        return None

    # Processes.

    def _start(self, slot: int) -> WorkerProcess:
        number, self._started = self._started, self._started + 1
        setup = self._plan.setup(slot, self._logs / f"worker-{number}.log", self._outer)
        worker = WorkerProcess(number, slot, self._plan.method, setup, self._recipe)
        self._guardian.watch(worker.pid)
        return worker

    def _replace(self, worker: WorkerProcess) -> None:
        self._end(worker)
        self._workers[self._workers.index(worker)] = self._start(worker.slot)

    def _end(self, worker: WorkerProcess) -> None:
        group = worker.pid
        worker.kill()
        self._guardian.forget(group)

    def _deliver_told(self, deliver: Callable[[Event], None]) -> bool:
        news = bool(self._told)
        while self._told:
            deliver(self._told.popleft())
        return news


def _keys(task: Task) -> list[Key]:
    return [job.key for job in task.jobs]


def _ends(worker: WorkerProcess, status: Status, error: str) -> list[Outcome]:
    """The ends of the trials that a worker leaves behind."""
    if worker.task is None:
        return []
    seconds = time.monotonic() - (worker.begun or worker.submitted)
    words: Any = worker.last_words() or None
    return [
        Outcome(job.key, status, error=error, traceback=words, seconds=seconds)
        for job in worker.task.jobs
        if job.key in worker.left
    ]
