"""An engine whose trials do what their point says: end well, fail, crash, hang, grow."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpsearch.trial import Job, Key, Limits, Outcome, Report, Status, Task


class Acting:
    """Serves the conformance suite of the executors; knows how many tasks it has served."""

    def __init__(self) -> None:
        self.served = 0

    def prepare(self, task: Task) -> None:
        match task.jobs[0].point.get("prepare"):
            case "die":
                os._exit(5)
            case "hang":
                time.sleep(600)

    def run(self, task: Task, report: Callable[[Report], bool]) -> list[Outcome]:
        return [self._run(job, report) for job in task.jobs]

    def _run(self, job: Job, report: Callable[[Report], bool]) -> Outcome:
        self.served += 1
        facts = {"pid": os.getpid(), "served": self.served}
        try:
            value = ACTIONS[job.point["do"]](job, report)
        except (Exception, SystemExit) as error:
            return Outcome(job.key, Status.FAILED, error=f"{type(error).__name__}: {error}")
        if value is None:
            return Outcome(job.key, Status.CANCELLED, error="stopped at a report", facts=facts)
        return Outcome(job.key, Status.OK, float(value), facts={**facts, **job.point})


def _ok(job: Job, report: Any) -> float:
    for epoch in range(3):
        report(Report(job.key, epoch, 1.0, 3, epoch + 1, {"loss": 1.0 / (epoch + 1)}))
    return job.key.number


def _until_stopped(job: Job, report: Any) -> float | None:
    for epoch in range(10_000):
        if report(Report(job.key, epoch, 1.0, 10_000, epoch, {})):
            return None
        time.sleep(0.01)
    return 0.0


def _hang(job: Job, report: Any) -> float:
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL})
    while True:
        time.sleep(10)


def _hold_the_interpreter(job: Job, report: Any) -> float:
    ctypes.PyDLL(None).sleep(600)  # a PyDLL call keeps the interpreter's lock
    return 0.0


def _grow(job: Job, report: Any) -> float:
    held = []
    while True:
        held.append(b"x" * 20_000_000)
        time.sleep(0.05)


LEAKED: list[bytes] = []


def _leak(job: Job, report: Any) -> float:
    """Keeps some memory for ever, and needs some more for a moment; in MB."""
    LEAKED.append(b"x" * int(job.point["leaks"] * 1e6))
    held = b"x" * int(job.point.get("needs", 0) * 1e6)
    time.sleep(0.6)  # limits are looked at four times a second
    return float(len(held))


def _child(job: Job, report: Any) -> float:
    """Leaves a child behind that would sleep for ten minutes; its number is in the file."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(job.point["file"]).write_text(str(child.pid))
    if job.point.get("then") == "hold":
        return _hold_the_interpreter(job, report)
    time.sleep(600)
    return 0.0


def _raise(job: Job, report: Any) -> float:
    raise ValueError(job.point.get("text", "as asked"))


def _environment(job: Job, report: Any) -> float:
    job.point["seen"] = {name: os.environ.get(name) for name in job.point["names"]}
    job.point["folder"], job.point["path"] = str(Path.cwd()), list(sys.path)
    job.point["modules"] = [name for name in job.point["names"] if name in sys.modules]
    return 0.0


def _print(job: Job, report: Any) -> float:
    print("a word of the trial")
    os.write(2, b"a word from C\n")
    return 0.0


def _huge(job: Job, report: Any) -> float:
    job.point["text"] = "x" * 20_000_000
    return 0.0


ACTIONS: dict[str, Callable[[Job, Any], float | None]] = {
    "ok": _ok,
    "raise": _raise,
    "exit": lambda job, report: sys.exit(3),
    "until stopped": _until_stopped,
    "hang": _hang,
    "hold": _hold_the_interpreter,
    "grow": _grow,
    "leak": _leak,
    "child": _child,
    "segfault": lambda job, report: float(ctypes.string_at(0)[0]),
    "abort": lambda job, report: os.abort(),
    "leave": lambda job, report: os._exit(job.point.get("code", 3)),
    "kill": lambda job, report: os.kill(os.getpid(), job.point.get("signal", signal.SIGKILL)),
    "environment": _environment,
    "print": _print,
    "huge": _huge,
}


def task(
    number: int,
    do: str,
    *,
    preparing: float | None = None,
    seconds: float | None = None,
    memory: int | None = None,
    **more: Any,
) -> Task:
    """A task of one trial that does this."""
    job = Job(Key("study", number), {"do": do, **more}, seed=number)
    return Task((job,), limits=Limits(preparing=preparing, seconds=seconds, memory=memory))
