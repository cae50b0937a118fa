"""One worker process as the driver sees it: started, spoken to, and ended.

Processes come from the standard library's fork server, which has imported Keras but never run it,
so that a worker is there in about a second; or from a new interpreter (``spawn``).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any, final

from ..trial import Key, Task
from .guardian import end_group
from .server import (
    ensure_server,
    lives,
    present_server,
    sigint_blocked,
    start_server,
    unmentioned_main,
)
from .worker import Setup, headline, pack, serve, unpack

__all__ = ["CRASH", "METHODS", "WorkerProcess", "start_server"]

METHODS = ("forkserver", "spawn")
LAST_WORDS = 4000  # characters of what a worker wrote that go into the record of its end
LAST_READ = 20_000  # bytes in which they are looked for
CRASH = "Fatal Python error"  # as Python's fault handler begins
WHERE = "Current thread"  # and what comes before the place
LOADED = "Extension modules:"  # and how it ends: with 6,000 characters that help nobody
PATIENCE = 5.0  # seconds to wait for a process that was killed
UNTOLD = 255  # what multiprocessing says of a worker whose end the fork server did not tell
MOMENT = 0.5  # seconds from the end of a process's pipes until the process itself is gone


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
        pid: its process group.
        server: the fork server that it came from, None if that is gone or was never needed.
        base: bytes that it held when it became ready.
        leftover: bytes that earlier trials have left in it.
        closed: whether it was killed and is done with.

    Raises:
        OSError, EOFError: if it cannot be started, such as when the fork server ends meanwhile.
    """

    def __init__(self, number: int, slot: int, method: str, setup: Setup, recipe: bytes) -> None:
        self.number, self.slot, self._setup = number, slot, setup
        self.task: Task | None = None
        self.left: set[Key] = set()
        self.begun: float | None = None
        self.submitted = 0.0
        self.ready = False
        self.base = self.leftover = 0
        self.closed = False
        self.born = time.monotonic()
        self._forked = method == "forkserver"
        self._log_from = self._log_size()  # an earlier run may have written there
        context: Any = multiprocessing.get_context(method)
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=serve, args=(theirs, setup), name=f"hpsearch-worker-{number}"
        )
        try:
            self._start()
            # A recipe may hold data: in a thread, as a pipe takes it only while it is read.
            threading.Thread(target=self._hand_over, args=(recipe,), daemon=True).start()
        except BaseException:
            self._connection.close()  # if there is a process, it ends itself
            raise
        finally:
            theirs.close()

    def _start(self) -> None:
        if self._forked:  # blocking no signals: it may wait for the server's imports
            ensure_server()
            with unmentioned_main():
                self._process.start()
        else:
            with unmentioned_main(), sigint_blocked():
                self._process.start()
        self.pid = int(self._process.pid)
        self.server = present_server() if self._forked else None

    @property
    def handles(self) -> list[Any]:
        """What to wait for: its words, and its end."""
        return [] if self.closed else [self._connection, self._process.sentinel]

    @property
    def ended(self) -> bool:
        """Whether its end was seen, which may have been that of its fork server: see `orphaned`."""
        return self.closed or not self._process.is_alive()

    @property
    def orphaned(self) -> bool:
        """Whether its fork server ended, and what was seen was not its own end; to ask once it has."""
        if not self._forked or self._process.exitcode != UNTOLD:
            return False
        late = time.monotonic() + MOMENT
        while lives(self.server):
            if time.monotonic() > late:
                return False
            time.sleep(0.01)
        return True

    def run(self, task: Task) -> None:
        """Give it a task. One that has just died is found out by the next wait."""
        self.task, self.begun, self.submitted = task, None, time.monotonic()
        self.left = {job.key for job in task.jobs}
        self._log_from = self._log_size()
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
        """The end of what it has written since its task, or itself, began; of a crash its place."""
        try:
            with self._setup.log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._log_from, size - LAST_READ))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        if self.task is not None:
            text = text.removeprefix(f"{headline(self.task)}\n")
        before, crash, dump = text.partition(CRASH)
        if crash:
            what, _, rest = dump.partition("\n")
            place = rest[max(0, rest.find(WHERE)) :].partition(LOADED)[0]
            return f"{crash}{what}\n{place[:LAST_WORDS]}".strip()
        return before[-LAST_WORDS:].strip()

    def how_it_ended(self) -> str:
        """Its exit code or signal in words."""
        self._process.join(PATIENCE)
        code = self._process.exitcode
        if code is None or code >= 0:
            return f"its process ended with exit code {code}"
        likely = ", as when memory runs out" if -code == signal.SIGKILL else ""
        try:
            name = f" ({signal.Signals(-code).name}{likely})"
        except ValueError:  # one of the real-time signals, which have numbers only
            name = ""
        return f"its process was ended by signal {-code}{name}"

    def strike(self) -> None:
        """Send it and all that it has started their end, without waiting for it."""
        if not self.closed:
            end_group(self.pid)

    def kill(self) -> None:
        """End it and all that it has started; it may be gone already, or killed before."""
        if self.closed:
            return
        self.strike()
        self._process.join(PATIENCE)
        self._connection.close()
        self.closed = True
        if not self._process.is_alive():
            self._process.close()

    def _log_size(self) -> int:
        try:
            return self._setup.log.stat().st_size
        except OSError:  # it has written nothing yet
            return 0

    def _hand_over(self, recipe: bytes) -> None:
        with contextlib.suppress(OSError):
            self._connection.send_bytes(recipe)

    def _say(self, kind: str, content: Any) -> None:
        with contextlib.suppress(OSError):
            self._connection.send_bytes(pack(kind, content))
