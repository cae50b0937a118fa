"""One task by itself, on an executor that has nothing else to do: a look, or the test of the best."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..trial import Event, Executor, Outcome, Status, Task

__all__ = ["run_alone"]

TRIES = 2  # where the worker was lost, which says nothing of the task
LOOK = 1.0  # seconds in which a signal is heard


def run_alone(
    executor: Executor, task: Task, *, late: Callable[[], None] | None = None, patience: float = 10
) -> Outcome:
    """Run a task of one job to its end; once more if its process was lost.

    Args:
        late: called, once, if it takes longer than `patience` seconds.
    """
    for left in reversed(range(TRIES)):
        outcome = _run(executor, task, late, patience)
        if outcome.status is not Status.LOST or not left:
            break
        late = None
    return outcome


def _run(
    executor: Executor, task: Task, late: Callable[[], None] | None, patience: float
) -> Outcome:
    ends: list[Outcome] = []

    def deliver(event: Event) -> None:
        if isinstance(event, Outcome):
            ends.append(event)

    while not executor.free():
        executor.poll(LOOK, deliver)
    executor.submit(task)
    due = time.monotonic() + patience
    while not ends:
        executor.poll(LOOK, deliver)
        if late is not None and not ends and time.monotonic() > due:
            late()
            late = None
    return ends[0]
