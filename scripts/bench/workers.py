"""How fast a worker is replaced, and what a process per trial costs.

    python scripts/bench/workers.py [--rounds 5] [--out scripts/bench/results]

Digits trials of one epoch, one worker. *Replaced*: from the death of a worker (`kill -9`) until the
next trial trains in another, with the fork server and with a new interpreter. *Rate*: trials per
minute with a worker for many trials, a worker per trial (fork server), and an interpreter per trial.
The variants are interleaved in one run; medians of the rounds. Goal: replaced within 2 s when idle.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import cloudpickle

from hpsearch.execute.plan import Plan
from hpsearch.execute.process import start_server
from hpsearch.execute.workers import Workers
from hpsearch.spaces.digits_mlp import space
from hpsearch.train import KerasEngine
from hpsearch.trial import Event, Job, Key, Outcome, Report, Status, Task

POINT = {
    "model.dense.units": 10,
    "model.dense.activation": "tanh",
    "optimizer.learning_rate": 0.1,
    "optimizer.momentum": 0.0,
    "fit.batch_size": 128,
}
SHORT = replace(space, fit=replace(space.fit, epochs=1))
VARIANTS = {
    "one worker for many trials": {"method": "forkserver", "trials": 1000},
    "a worker per trial (fork server)": {"method": "forkserver", "trials": 1},
    "an interpreter per trial (spawn)": {"method": "spawn", "trials": 1},
}


def main() -> None:
    """Measure, and write a JSON and a Markdown file."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--trials", type=int, default=6, help="of each variant in each round")
    asked.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = asked.parse_args()
    replaced: dict[str, list[float]] = {"forkserver": [], "spawn": []}
    rates: dict[str, list[float]] = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        start_server(logs / "startup.log", keras=True)
        for number in range(given.rounds + 1):
            for method in replaced:
                seconds = _replaced(method, logs)
                replaced[method] += [seconds] if number else []
            for name, variant in VARIANTS.items():
                rate = _rate(variant, given.trials, logs)
                rates[name] += [rate] if number else []
    about = {
        "command": f"python scripts/bench/workers.py --rounds {given.rounds}",
        "python": platform.python_version(),
        "versions": {n: metadata.version(n) for n in ("hpsearch", "keras", "tensorflow")},
        "replaced": replaced,
        "rates": rates,
    }
    given.out.mkdir(exist_ok=True)
    (given.out / "workers.json").write_text(json.dumps(about, indent=1) + "\n")
    (given.out / "workers.md").write_text(_table(about))
    print(_table(about))


def _workers(logs: Path, method: str, trials: int) -> Workers:
    recipe = functools.partial(KerasEngine, SHORT, 1)
    plan = Plan(((),), threads=1, method=method, trials=trials, growth=10**12)
    return Workers(cloudpickle.dumps(recipe), plan, logs)


def _until(workers: Workers, done: Callable[[], bool], deliver: Callable[[Event], None]) -> None:
    while not done():
        workers.poll(0.05, deliver)


def _task(number: int) -> Task:
    return Task((Job(Key("bench", number), POINT, seed=1),))


def _replaced(method: str, logs: Path) -> float:
    """Seconds from the death of a worker until the next trial reports."""
    workers, seen = _workers(logs, method, 1000), []
    _until(workers, lambda: workers.free() > 0, seen.append)
    workers.submit(_task(0))
    _until(workers, lambda: any(isinstance(e, Report) for e in seen), seen.append)
    (worker,) = multiprocessing.active_children()
    began = time.monotonic()
    worker.kill()
    seen.clear()
    _until(workers, lambda: workers.free() > 0, lambda event: None)
    workers.submit(_task(1))
    _until(workers, lambda: any(isinstance(e, Report) for e in seen), seen.append)
    seconds = time.monotonic() - began
    workers.close(now=True)
    return seconds


def _rate(variant: dict[str, Any], trials: int, logs: Path) -> float:
    """Trials per minute, after the first has warmed up what lasts."""
    workers = _workers(logs, **variant)
    ended: list[float] = []

    def deliver(event: Event) -> None:
        if isinstance(event, Outcome):
            assert event.status is Status.OK, event.error
            ended.append(time.monotonic())

    for number in range(trials + 1):
        _until(workers, lambda: workers.free() > 0, deliver)
        workers.submit(_task(number))
        _until(workers, lambda n=number: len(ended) > n, deliver)  # type: ignore[misc]
    workers.close(now=True)
    return 60 * trials / (ended[-1] - ended[0])


def _table(about: dict[str, Any]) -> str:
    middle = statistics.median
    rows = ["| a worker is replaced by | seconds until the next trial trains |", "|---|---|"]
    names = {"forkserver": "the fork server (goal: 2)", "spawn": "a new interpreter"}
    rows += [f"| {names[k]} | {middle(v):.2f} |" for k, v in about["replaced"].items()]
    rows += ["", "| trials of one epoch | per minute | share |", "|---|---|---|"]
    best = middle(next(iter(about["rates"].values())))
    rows += [
        f"| {k} | {middle(v):.1f} | {middle(v) / best:.2f} |" for k, v in about["rates"].items()
    ]
    rows += ["", f"`{about['command']}`, Python {about['python']}, {about['versions']}, seed 1", ""]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
