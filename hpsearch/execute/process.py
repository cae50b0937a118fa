"""One worker process as the driver sees it: started, spoken to, and ended.

Processes come from the standard library's fork server, which has imported Keras but never run it,
so that a worker is there in about a second; or from a new interpreter (``spawn``).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

from ..train.startup import standard_error_in
from ..trial import Key, Task
from .guardian import end_group
from .worker import Setup, pack, serve, unpack

__all__ = ["METHODS", "WorkerProcess", "start_server"]

METHODS = ("forkserver", "spawn")
LAST_WORDS = 4000  # bytes of what a worker wrote that go into the record of its end
PATIENCE = 5.0  # seconds to wait for a process that was killed


def start_server(log: Path, *, keras: bool) -> None:
    """Start the fork server of this process, unless there is one.

    Args:
        log: the file for what the imports and the server itself print.
        keras: whether Keras is imported there, once for all workers; see `preload`.
    """
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["hpsearch.execute.preload"] if keras else [])
    with _unmentioned_main(), standard_error_in(log):
        forkserver.ensure_running()


@final
class WorkerProcess:
    """A worker and what it is doing.

    Args:
        number: counts the processes of a search, for the name of its log.
        slot: which of the workers side by side it is.
        recipe: a pickled function that makes its engine.

    Attributes:
        task: what it runs, None if it is free.
        left: the trials of its task that have not ended.
        begun: when its task began to train, in monotonic seconds; None while it prepares.
        born: when the process was started.
        ready: whether it has its engine.
    """

    def __init__(self, number: int, slot: int, method: str, setup: Setup, recipe: bytes) -> None:
        self.number, self.slot, self._setup = number, slot, setup
        self.task: Task | None = None
        self.left: set[Key] = set()
        self.begun: float | None = None
        self.submitted = 0.0
        self.ready = False
        self.born = time.monotonic()
        self._log_from = 0
        context: Any = multiprocessing.get_context(method)
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=serve, args=(theirs, setup), name=f"hpsearch-worker-{number}"
        )
        with _unmentioned_main():
            self._process.start()
        theirs.close()
        # A recipe may hold data: written in a thread, as a pipe takes it only when it is read.
        threading.Thread(target=self._hand_over, args=(recipe,), daemon=True).start()

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    @property
    def handles(self) -> list[Any]:
        """What to wait for: its words, and its end."""
        return [self._connection, self._process.sentinel]

    @property
    def ended(self) -> bool:
        return not self._process.is_alive()

    def run(self, task: Task) -> None:
        """Give it a task. One that has just died is found out by the next wait."""
        self.task, self.begun, self.submitted = task, None, time.monotonic()
        self.left = {job.key for job in task.jobs}
        with contextlib.suppress(OSError):
            self._log_from = self._setup.log.stat().st_size
        self._say("task", task)

    def stop(self, key: Key) -> None:
        """Ask it to end a trial at the end of an epoch."""
        self._say("stop", key)

    def messages(self) -> Iterator[tuple[str, Any]]:
        """What it has said since."""
        try:
            while self._connection.poll():
                yield unpack(self._connection.recv_bytes())
        except (EOFError, OSError):
            return

    def last_words(self) -> str:
        """The end of what it has written since its task began, such as the place of a crash."""
        try:
            with self._setup.log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._log_from, size - LAST_WORDS))
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def how_it_ended(self) -> str:
        """Its exit code or signal in words."""
        self._process.join(PATIENCE)
        code = self._process.exitcode
        if code is None or code >= 0:
            return f"its process ended with exit code {code}"
        name = signal.Signals(-code).name
        likely = ", as when memory runs out" if -code == signal.SIGKILL else ""
        return f"its process was ended by signal {-code} ({name}{likely})"

    def kill(self) -> None:
        """End it and all that it has started; it may be gone already."""
        end_group(self.pid)
        self._process.join(PATIENCE)
        self._connection.close()
        if not self._process.is_alive():
            self._process.close()

    def _hand_over(self, recipe: bytes) -> None:
        with contextlib.suppress(OSError):
            self._connection.send_bytes(recipe)

    def _say(self, kind: str, content: Any) -> None:
        with contextlib.suppress(OSError):
            self._connection.send_bytes(pack(kind, content))


@contextlib.contextmanager
def _unmentioned_main() -> Iterator[None]:
    """Hide the caller's script, which multiprocessing would run again in every new process."""
    caller = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = caller
