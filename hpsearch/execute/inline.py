"""Trials in the caller's own process and thread, one after another: for debugging and scripts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import final

from ..trial import Engine, Event, Key, Report, Task

__all__ = ["Inline"]


@final
class Inline:
    """Runs each task inside `poll`. `stop` may come from a signal handler or from `deliver`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: deque[Task] = deque()
        self._stopping: set[Key] = set()

    def free(self) -> int:
        return 0 if self._waiting else 1

    def submit(self, task: Task) -> None:
        self._waiting.append(task)

    def poll(self, timeout: float | None, deliver: Callable[[Event], None]) -> None:
        if not self._waiting:
            return
        task = self._waiting.popleft()

        def report(event: Report) -> bool:
            deliver(event)
            return event.key in self._stopping

        for outcome in self._engine.run(task, report):
            self._stopping.discard(outcome.key)
            deliver(outcome)

    def stop(self, key: Key, *, now: bool) -> None:
        if now:
            raise KeyboardInterrupt  # nothing else ends code that runs in this thread
        self._stopping.add(key)

    def close(self, *, now: bool) -> None:
        self._waiting.clear()
