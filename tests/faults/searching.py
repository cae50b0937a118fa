"""A search to be hurt, as a program of its own: it tells each end only after it is recorded.

python tests/faults/searching.py FOLDER --trials 40 --workers 1 --seconds 0.05
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import hpsearch
from hpsearch import choice, uniform
from hpsearch.store import Store
from hpsearch.study import Silent
from hpsearch.trial import Trial

WORDS = {"x": uniform(-5, 5), "kind": choice({"a": {"u": uniform(0, 1)}, "b": 1})}


def objective(values: dict[str, Any]) -> float:
    """A bowl with two kinds; takes as long as the environment says."""
    time.sleep(float(os.environ.get("FAULT_SECONDS", "0.05")))
    kind = values["kind"]
    return float((values["x"] - 1) ** 2 + (kind["u"] if isinstance(kind, dict) else 0.3))


def witness(file: Path) -> Any:
    """A watcher that writes each ended trial to a file, after the store has it."""
    quiet = Silent()

    class Watcher:
        def __getattr__(self, name: str) -> Any:
            return getattr(quiet, name)

        def ended(self, trial: Trial) -> None:
            line = json.dumps([trial.number, trial.attempt, trial.status.value, trial.value])
            with file.open("a") as out:
                out.write(line + "\n")

    return Watcher()


def killed_at(step: str, count: int) -> None:
    """Kill this process before or after the `count`-th call of a step: ``before start``."""
    when, _, name = step.partition(" ")
    owner, method = STEPS[name]()
    real, calls = getattr(owner, method), [0]

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if when == "before" and calls[0] == count:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if when == "after" and calls[0] == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, method, wrapped)


def jumping(seconds: float, witnessed: Path) -> None:
    """Change the wall clock of this process once three trials have ended."""
    real = time.time

    def changed() -> float:
        ended = len(witnessed.read_text().splitlines()) if witnessed.exists() else 0
        return real() + (seconds if ended >= 3 else 0)

    time.time = changed


def _workers() -> Any:
    from hpsearch.execute.workers import Workers

    return Workers


def _client() -> Any:
    from mlflow import MlflowClient

    return MlflowClient


STEPS = {
    "start": lambda: (Store, "start"),
    "submit": lambda: (_workers(), "submit"),
    "end": lambda: (Store, "end"),
    "delivered": lambda: (Store, "delivered"),
    "run-create": lambda: (_client(), "create_run"),
    "log": lambda: (_client(), "log_batch"),
    "terminate": lambda: (_client(), "set_terminated"),
}
"""The steps at which a driver may be killed, in the order of a trial's life."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", default="0.05")
    parser.add_argument("--study", default="mine")
    parser.add_argument("--kill", help="a step, such as 'before end'")
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--algo", default="tpe")
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--jump", type=float, help="seconds by which the clock changes")
    given = parser.parse_args()
    os.environ["FAULT_SECONDS"] = given.seconds
    if given.kill:
        killed_at(given.kill, given.count)
    told = given.folder.parent / f"witnessed-{given.study}"
    if given.jump:
        jumping(given.jump, told)
    try:
        result = hpsearch.search(
            WORDS,
            objective,
            max_trials=given.trials,
            workers=given.workers,
            algo=given.algo,
            timeout=given.timeout,
            seed=7,
            study=given.study,
            resume=True,
            folder=given.folder,
            progress=witness(told),
        )
    except KeyboardInterrupt:
        return 130
    print(json.dumps(result.counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
