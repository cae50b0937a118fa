"""What runs inside a worker process: the engine, one task after another, and the pipe to the driver.

Messages are JSON, ``[kind, content]``; only the engine comes as a pickle, from the parent that
started this process. When the pipe closes the driver is gone, and the worker ends itself with all
that it has started.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import queue
import re
import signal
import sys
import threading
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, final

import psutil

from ..trial import Engine, Key, Outcome, Report, Status, Task
from ..wire import from_json, task_of, to_json

__all__ = ["Setup", "headline", "pack", "serve", "unpack"]

LARGEST = 16_000_000  # bytes of a message; what a trial tells is small
DAMAGED = re.compile(
    r"out of memory|RESOURCE_EXHAUSTED|CUDA|cuDNN|InternalError|XlaRuntimeError|AbortedError"
)
"""In the error of a trial: its process may serve no other."""


@final
@dataclass(frozen=True, slots=True)
class Setup:
    """How a worker is set up.

    Attributes:
        environment: all variables that it has, in place of those of the process that it comes
            from, set before anything is loaded; not shown, as passwords are among them.
        threads: for one operation of NumPy and the like.
        log: the file for what the trial prints.
        trials: how many tasks it serves before another takes its place.
        growth: bytes that it may have grown by since its first task before another does.
    """

    environment: dict[str, str] = field(repr=False)
    threads: int
    log: Path
    trials: int
    growth: int


def headline(task: Task) -> str:
    """The line of a log after which comes what a task prints."""
    what = "" if task.purpose == "train" else f", {task.purpose}"
    return f"--- {', '.join(str(job.key) for job in task.jobs)}{what} ---"


def pack(kind: str, content: Any) -> bytes:
    """A message as it travels."""
    return to_json([kind, content]).encode()


def unpack(data: bytes) -> tuple[str, Any]:
    """Read a message."""
    kind, content = from_json(data.decode())
    return kind, content


def serve(connection: Connection, setup: Setup) -> None:
    """Be a worker until the driver is gone or says so; never returns."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what Ctrl-C means
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # blocked until now
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _print_to(setup.log)
    _live_in(setup.environment)
    _Served(connection, setup).serve()
    end_with_all()


def end_with_all() -> None:
    """End this process and all that it has started, at once."""
    os.killpg(0, signal.SIGKILL)


def _live_in(environment: dict[str, str]) -> None:
    """Have these variables and no others: the fork server's are those of its own start."""
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)


def _print_to(log: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    faulthandler.enable(sys.stderr)


@final
class _Served:
    """The worker's end of the pipe, and its loop."""

    def __init__(self, connection: Connection, setup: Setup) -> None:
        self._connection, self._setup = connection, setup
        self._inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._stopping: set[Key] = set()
        self._first: int | None = None
        self._served = 0
        threading.Thread(target=self._listen, name="hpsearch-lifeline", daemon=True).start()

    def serve(self) -> None:
        engine = self._engine(self._inbox.get())
        if engine is None:
            return
        self._send("ready", {"pid": os.getpid()})
        while True:
            task = task_of(unpack(self._inbox.get())[1])
            with contextlib.suppress(OSError):  # not sys.stdout, which may be a trial's by now
                os.write(1, f"{headline(task)}\n".encode())
            engine.prepare(task)
            self._send("begun", None)
            outcomes = engine.run(task, self._report)
            self._served += 1
            retire = self._why_retire(outcomes)
            for outcome in outcomes:
                self._stopping.discard(outcome.key)
                self._tell(outcome)
            self._send("free", retire)
            if retire is not None:
                signal.pause()  # the driver ends it

    def _engine(self, recipe: bytes) -> Engine | None:
        from threadpoolctl import threadpool_limits

        try:
            engine: Engine = pickle.loads(recipe)()
        except BaseException as error:
            text = str(error).strip() or type(error).__name__
            self._send("refused", text if _ours(error) else f"{type(error).__name__}: {text}")
            return None
        threadpool_limits(self._setup.threads)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(self._setup.threads)
        return engine

    def _report(self, report: Report) -> bool:
        self._send("report", report)
        return report.key in self._stopping

    def _tell(self, outcome: Outcome) -> None:
        data = pack("outcome", outcome)
        if len(data) > LARGEST:
            text = f"its results are {len(data) / 1e6:.0f} MB, more than {LARGEST / 1e6:.0f} MB"
            short = Outcome(outcome.key, Status.FAILED, error=text, seconds=outcome.seconds)
            data = pack("outcome", short)
        self._connection.send_bytes(data)

    def _why_retire(self, outcomes: list[Outcome]) -> str | None:
        """Why another process should take this one's place, None if it may go on."""
        for outcome in outcomes:
            if outcome.status is Status.FAILED and DAMAGED.search(outcome.error or ""):
                return f"{outcome.key} failed: {outcome.error}"
        held = psutil.Process().memory_info().rss
        self._first = held if self._first is None else self._first
        if held - self._first > self._setup.growth:
            return f"it grew by {(held - self._first) / 1e6:.0f} MB"
        return f"it served {self._served} trials" if self._served >= self._setup.trials else None

    def _send(self, kind: str, content: Any) -> None:
        self._connection.send_bytes(pack(kind, content))

    def _listen(self) -> None:
        """Take what comes; the pipe's end is the driver's."""
        try:
            self._inbox.put(self._connection.recv_bytes())
            while True:
                data = self._connection.recv_bytes()
                kind, content = unpack(data)
                if kind == "stop":
                    self._stopping.add(Key(**content))
                else:
                    self._inbox.put(data)
        except (EOFError, OSError):
            end_with_all()


def _ours(error: BaseException) -> bool:
    from ..errors import HpsearchError

    return isinstance(error, HpsearchError)
