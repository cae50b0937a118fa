"""Trials in worker processes on this machine: many trials to a worker, and none survives the driver."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, final

from ..errors import SearchStopped
from ..trial import Event, Key, Outcome, Status, Task
from ..wire import outcome_of, report_of
from .guardian import Guardian
from .memory import held_memory, resident_memory
from .plan import Plan
from .process import WorkerProcess
from .server import abandon_server, server_folder

__all__ = ["Workers"]

CHECK = 0.25  # seconds between looks at limits
STARTING = 300.0  # seconds that a worker may take to be ready
MOST_LOST = 3  # workers in a row that were never ready
TRIES = 4  # at starting a process
PAUSE = 0.1  # seconds after the first of them, doubled after each: a server that ends takes some
LEFT_OVER = 0.2  # of a trial's limit of memory that earlier ones may have left in its worker


@final
class Workers:
    """Runs each task in one of several worker processes.

    A worker serves many tasks. It is replaced when it dies, when a limit of its trial is passed,
    and when it asks for it (see `worker.Setup`). What a worker prints is in a log of its own, whose
    number each outcome has as the fact ``worker``; one that ended before its data was there has the
    fact ``preparing``. All workers have the environment that the driver had when they were made.

    A limit of memory is for what the processes of a trial hold beyond what earlier trials have
    left in their worker, so that each has the room that it would have in a new one. Where they
    have left more than a fifth of the limit the worker is replaced before the next trial: it never
    holds more than 1.2 times the limit.

    Args:
        recipe: a pickled function without arguments that makes a worker's engine.
        plan: how many workers there are, and what each may use.
        logs: the folder for what workers print.

    Raises:
        SearchStopped: if no worker can be started; none is left then, nor after Ctrl-C.
    """

    def __init__(self, recipe: bytes, plan: Plan, logs: Path) -> None:
        self._recipe, self._plan, self._logs = recipe, plan, logs
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._outer = dict(os.environ)
        self._started = self._lost = 0
        self._last_server: object = None  # the last that ended before its workers were ready
        self._told: deque[Outcome] = deque()  # ends that `stop` made, to be delivered
        self._checked = 0.0
        self._workers: list[WorkerProcess] = []
        self._guardian = Guardian(server_folder() if plan.method == "forkserver" else None)
        try:
            self._fill()
        except BaseException:
            self.close(now=True)
            raise

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
            self._fill()
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
                self._end(worker)
            else:
                worker.stop(key)

    def close(self, *, now: bool) -> None:
        # The last is done first, and each of them whatever becomes of the others.
        with contextlib.ExitStack() as ends:
            ends.callback(self._guardian.close)
            for worker in self._workers:
                ends.callback(self._end, worker)
            for worker in self._workers:
                ends.callback(worker.strike)

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
                    content["facts"]["worker"] = worker.number
                    deliver(outcome_of(content))
                    news = True
                case "begun":
                    worker.begun = time.monotonic()
                case "ready":
                    worker.base = held_memory(worker.pid)
                    worker.ready, self._lost, news = True, 0, True
                case "free":
                    self._freed(worker, retires=content is not None)
                    news = True
                case "refused":
                    raise SearchStopped(f"The workers cannot load the space: {content}")
        if worker.closed:  # by what was said, or by whom it was told, or by an end that was cut off
            self._end(worker)
            return True
        if gone:
            self._bury(worker, deliver)
        return news or gone

    def _freed(self, worker: WorkerProcess, *, retires: bool) -> None:
        """A worker has served its task: it waits for the next, or another takes its place."""
        limit = None if worker.task is None else worker.task.limits.memory
        worker.task = None
        if limit is not None and not retires:
            worker.leftover = max(0, held_memory(worker.pid) - worker.base)
            retires = worker.leftover > LEFT_OVER * limit
        if retires:
            self._end(worker)

    def _bury(self, worker: WorkerProcess, deliver: Callable[[Event], None]) -> None:
        """A worker is gone: its trial has died, or is lost if it had not begun or may go on.

        Where the fork server is gone its workers are ended too: nobody could tell how they end.
        """
        orphaned = worker.orphaned
        how = "the fork server of its worker was ended" if orphaned else worker.how_it_ended()
        status = Status.LOST if orphaned or worker.begun is None else Status.DIED
        words = worker.last_words()
        self._part(worker, status, how, deliver)
        if not worker.ready and not (orphaned and worker.server == self._last_server):
            self._last_server = worker.server  # counted once for all its workers
            self._count_lost(f"{how}. It wrote:\n{words[-600:]}")

    def _part(
        self, worker: WorkerProcess, status: Status, how: str, deliver: Callable[[Event], None]
    ) -> None:
        """End a worker, and its trials with it; the next `poll` starts another."""
        outcomes = _ends(worker, status, how)
        self._end(worker)
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
            self._part(worker, *found, deliver)
            if not worker.ready:
                self._count_lost(found[1])
            passed = True
        return passed

    def _past_limit(self, worker: WorkerProcess, now: float) -> tuple[Status, str] | None:
        if not worker.ready:
            late = now - worker.born > STARTING
            return (Status.LOST, f"not ready after {STARTING:.0f} s") if late else None
        if worker.task is None:
            return None
        limits = worker.task.limits
        waited = now - worker.submitted
        if worker.begun is None and limits.preparing is not None and waited > limits.preparing:
            # Not the fault of its point: another worker may be quicker.
            return Status.LOST, f"its data was not ready after {waited:.0f} s"
        began = now if worker.begun is None else worker.begun
        if limits.seconds is not None and now - began > limits.seconds:
            return Status.TIMEOUT, f"killed after {limits.seconds:g} s, its --trial-timeout"
        if limits.memory is None or resident_memory(worker.pid) <= limits.memory:
            return None
        held = held_memory(worker.pid) - worker.leftover
        if held > limits.memory:
            text = f"{held / 1e9:.2f} GB, more than its --trial-memory {limits.memory / 1e9:.2f} GB"
            return Status.DIED, f"out of memory: killed at {text}"
        return None

    # Processes.

    def _fill(self) -> None:
        """Start a worker in each place that has none."""
        taken = {worker.slot for worker in self._workers}
        for slot in range(self._plan.count):
            if slot not in taken:
                self._workers.append(self._start(slot))

    def _start(self, slot: int) -> WorkerProcess:
        for number in range(TRIES):
            try:
                return self._made(slot)
            except (EOFError, OSError) as error:
                failed = f"{type(error).__name__}: {error}"
                if self._plan.method == "forkserver":
                    abandon_server()  # its end may be why, and need not be seen yet
                time.sleep(PAUSE * 2**number)
        raise SearchStopped(
            f"Each trial needs a process of its own, and none could be started in {TRIES} tries: "
            f"{failed}. Write --start-method spawn or fewer --workers, or free memory, processes "
            "or files (ulimit -a)."
        )

    def _made(self, slot: int) -> WorkerProcess:
        number, self._started = self._started, self._started + 1
        setup = self._plan.setup(slot, self._logs / f"worker-{number}.log", self._outer)
        worker = WorkerProcess(number, slot, self._plan.method, setup, self._recipe)
        try:
            self._guardian.watch(worker.pid)
        except BaseException:
            worker.kill()
            raise
        return worker

    def _end(self, worker: WorkerProcess) -> None:
        worker.kill()
        self._guardian.forget(worker.pid)
        if worker in self._workers:
            self._workers.remove(worker)

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
    left, worker.left = worker.left, set()  # each is told once
    facts = {"worker": worker.number, **({} if worker.begun else {"preparing": True})}
    return [
        Outcome(job.key, status, error=error, traceback=words, seconds=seconds, facts=facts)
        for job in worker.task.jobs
        if job.key in left
    ]
