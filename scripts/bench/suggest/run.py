"""Trials to a good point: hpsearch against hyperopt and Optuna, on problems nobody tuned for us.

    python scripts/bench/suggest/run.py [--methods auto "hyperopt tpe" ...] [--split test]
        [--problems NAME ...] [--seeds 20] [--trials 200] [--workers 1] [--jobs 2] [--out DIR]

Needs `pip install -e '.[dev,bench]'`. Each run writes the best loss so far after each ended trial
as one line of JSON; what is there already is not run again, so that a long benchmark can be
interrupted. report.py makes the tables, and keeps the runs in results/suggest_runs: `gunzip` them
into a folder for `--out`, and only what is new is run.
With `--workers` so many trials run at once, for times drawn from a lognormal distribution, and
Optuna is given its option for that, `constant_liar`.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from methods import METHODS, Optuna
from problems import NAMED, PROBLEMS
from threadpoolctl import threadpool_limits

SPREAD = 0.5  # of the logarithm of a trial's time


def one(problem: str, method: str, seed: int, trials: int, workers: int) -> dict[str, Any]:
    """One run: the best loss after each trial, and CPU seconds without the problem's own."""
    parameters, loss, _ = NAMED[problem].parts()
    random, order = np.random.default_rng(seed), itertools.count()
    search = METHODS[method](parameters, seed)
    if workers > 1 and isinstance(search, Optuna):  # as its documentation recommends
        search = Optuna({**search.options, "constant_liar": True}, parameters, seed)
    running: list[Any] = []
    losses: list[float] = []
    now, seconds = 0.0, 0.0
    while len(losses) < trials:
        began = time.process_time()
        while len(running) < workers and (asked := search.ask()) is not None:
            ends = now + random.lognormal(0.0, SPREAD)
            heapq.heappush(running, (ends, next(order), *asked))
        seconds += time.process_time() - began
        if not running:
            break
        now, _, by, point = heapq.heappop(running)
        losses.append(loss(point))
        search.tell(by, losses[-1])
    return {
        "problem": problem,
        "method": method,
        "seed": seed,
        "workers": workers,
        "seconds": round(seconds, 3),
        "best": [float(f"{value:.8g}") for value in np.fmin.accumulate(losses)],
    }


def undone(file: Path, method: str, names: list[str], given: argparse.Namespace) -> list[Any]:
    """The runs of a method that its file does not hold yet."""
    done = set()
    if file.exists():
        for line in file.read_text().splitlines():
            row = json.loads(line)
            if len(row["best"]) >= given.trials and row["workers"] == given.workers:
                done.add((row["problem"], row["seed"]))
    return [
        (name, method, seed)
        for seed in range(given.seeds)
        for name in names
        if (name, seed) not in done
    ]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--methods", nargs="+", choices=[*METHODS], default=[*METHODS])
    asked.add_argument("--split", choices=["dev", "test", "keras"], default="test")
    asked.add_argument("--problems", nargs="+", choices=[*NAMED], default=None)
    asked.add_argument("--seeds", type=int, default=20)
    asked.add_argument("--trials", type=int, default=200)
    asked.add_argument("--workers", type=int, default=1)
    asked.add_argument("--jobs", type=int, default=2)
    asked.add_argument("--out", type=Path, default=Path(__file__).parent / "runs")
    given = asked.parse_args()
    names = given.problems or [p.name for p in PROBLEMS if p.split == given.split]
    given.out.mkdir(parents=True, exist_ok=True)
    files = {m: given.out / f"{m.replace(' ', '_')}.jsonl" for m in given.methods}
    todo = [job for method, file in files.items() for job in undone(file, method, names, given)]
    todo.sort(key=lambda job: job[2])  # all methods have the same seeds at any moment
    began = time.monotonic()
    with ProcessPoolExecutor(given.jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        runs = [pool.submit(one, *job, given.trials, given.workers) for job in todo]
        for count, run in enumerate(as_completed(runs), 1):
            try:
                row = run.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            with files[row["method"]].open("a") as out:
                out.write(json.dumps(row) + "\n")
            if count % 20 == 0 or count == len(runs):
                left = (time.monotonic() - began) / count * (len(runs) - count)
                sys.stderr.write(f"{count} of {len(runs)}, {left:.0f} s left\n")


if __name__ == "__main__":
    main()
