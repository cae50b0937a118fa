"""What hpsearch adds to a trial beside training: suggest, store, MLflow, scheduling, in CPU time.

    python scripts/bench/overhead.py [--trials 100] [--rounds 5] [--algo auto]
        [--out scripts/bench/results]

Whole studies of the digits space run with their training taken out: an engine hands back outcomes
with 15 epochs of 4 metrics at once. In between, in the same process, bare MLflow logs as many
trials with one create_run, one log_batch and one set_terminated each. Both are CPU seconds of the
whole process (all threads), interleaved; the median of the rounds is reported. Goals: at most
40 ms a trial, and at most 2.5 times bare MLflow.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from hpsearch.study import Session, Silent, options_from, problem_of
from hpsearch.trial import Outcome, Report, Status, Task

EPOCHS = 15
NAMES = ("loss", "accuracy", "val_loss", "val_accuracy")


class NoTraining:
    """An engine whose trials end at once, with the record of a trial of 15 epochs."""

    def prepare(self, task: Task) -> None:
        """Nothing."""

    def run(self, task: Task, report: Callable[[Report], bool]) -> list[Outcome]:
        job = task.jobs[0]
        quality = (job.seed % 1000) / 1000
        history = tuple(dict.fromkeys(NAMES, quality + i / 100) for i in range(EPOCHS))
        for i, metrics in enumerate(history):
            for third in (1, 2, 3):
                report(Report(job.key, i, third / 3, EPOCHS, i * 1000, metrics))
        value = history[-1]["val_accuracy"]
        about = {"metrics": history[-1], "history": history, "epoch": EPOCHS - 1, "params": 6500}
        return [Outcome(job.key, Status.OK, value, seconds=0.1, **about)]


def main() -> None:
    """Measure, and write a JSON and a Markdown file."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--trials", type=int, default=100)
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--algo", default="auto")
    asked.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = asked.parse_args()
    problem = dataclasses.replace(problem_of("digits_mlp"), engine=lambda seed: NoTraining())
    rows: dict[str, list[float]] = {"hpsearch": [], "bare MLflow": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "mlruns"
        study(problem, folder, 5, given.algo)  # the tables are made, the modules imported
        bare(folder, 5)
        for number in range(given.rounds):
            rows["hpsearch"].append(study(problem, folder, given.trials, given.algo))
            rows["bare MLflow"].append(bare(folder, given.trials))
            print(number, {name: round(times[-1], 1) for name, times in rows.items()}, flush=True)
    write(given, rows)


def study(problem: Any, folder: Path, trials: int, algo: str) -> float:
    """CPU milliseconds per trial of a whole study, its opening and end included."""
    options = options_from(
        {"max_trials": trials, "seed": 1, "algo": algo, "folder": folder, "check": False}
    )
    before = time.process_time()
    with Session(problem, options, Silent()) as session:
        session.run()
    return 1000 * (time.process_time() - before) / trials


def bare(folder: Path, trials: int) -> float:
    """CPU milliseconds per trial of the least that logs one: three calls of MLflow's client."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

    client = MlflowClient(f"sqlite:///{folder.absolute()}/mlflow.db")
    found = client.get_experiment_by_name("bare")
    place = (folder.absolute() / "bare").as_uri()  # MLflow's own choice is the working directory
    experiment = found.experiment_id if found else client.create_experiment("bare", place)
    before = time.process_time()
    for number in range(trials):
        run = client.create_run(experiment).info.run_id
        now = int(time.time() * 1000)
        curve = [Metric(n, 0.5 + i / 100, now, i) for n in NAMES for i in range(EPOCHS)]
        params = [Param(f"p{i}", str(number)) for i in range(5)]
        client.log_batch(run, curve, params, [RunTag("number", str(number))])
        client.set_terminated(run)
    return 1000 * (time.process_time() - before) / trials


def write(given: Any, rows: dict[str, list[float]]) -> None:
    """The figures with what is needed to repeat them."""
    middle = {name: statistics.median(times) for name, times in rows.items()}
    ratio = middle["hpsearch"] / middle["bare MLflow"]
    packages = ("hyperopt", "mlflow", "numpy")
    found = {
        "command": " ".join(["python", *sys.argv]),
        "trials": given.trials,
        "seed": 1,
        "cpu_ms_per_trial": {name: [round(t, 2) for t in times] for name, times in rows.items()},
        "median": {name: round(value, 2) for name, value in middle.items()},
        "ratio": round(ratio, 2),
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in packages},
    }
    lines = [
        f"`{found['command']}`: {given.rounds} rounds of {given.trials} trials, interleaved, seed 1, "
        + ", ".join(f"{name} {version}" for name, version in found["versions"].items()),
        "",
        "| CPU ms per trial | median | times bare MLflow | goal |",
        "|---|---|---|---|",
        f"| hpsearch: {given.algo}, store, MLflow, scheduling | {middle['hpsearch']:.1f} | {ratio:.2f} | ≤ 40, ≤ 2.5 |",
        f"| bare create_run + log_batch + set_terminated | {middle['bare MLflow']:.1f} | 1 | |",
        "",
    ]
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "overhead.json").write_text(json.dumps(found, indent=2) + "\n")
    (given.out / "overhead.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
