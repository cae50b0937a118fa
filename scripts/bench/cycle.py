"""What a trial costs beside its training, by the number of trials that the study has already.

    python scripts/bench/cycle.py [--sizes 100 1000 5000 10000] [--algo random] [--mlflow]

Real studies of 12 parameters, run by the driver in this process with the training taken out: an
engine hands back 15 epochs of 4 metrics in 45 reports at once. A study of each size is made with
`Store.rebuild`, resumed, and run for some trials more; the sizes take turns. Each part is the
median over all of these trials of the CPU milliseconds of the driver's thread; *driver* is what the
others leave, and *all* the median of their sum. *Resume* is the opening of a study up to its first
trial, without imports, and *result* what `search` returns at the end. With `--mlflow` the record is
on, and *other threads* is the mean CPU of its thread until nothing is owed; MLflow itself has only
the trials of these runs. Goals: 5 ms in all at 10,000 trials, at most 1.2 times that at 1,000; a
resume within 1 s.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import io
import json
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from overhead import NoTraining
from rich.console import Console

from hpsearch import choice, integer, loguniform, maybe, normal, suggest, uniform
from hpsearch.cli.progress import Progress
from hpsearch.execute import Inline
from hpsearch.store import Store
from hpsearch.study import Lines, Problem, Session, Silent, options_from, problem_of
from hpsearch.study.loop import Driver, seed_of
from hpsearch.trial import Job, Key, Task, Trial

PARTS = ("suggest", "store", "watcher", "driver")
SEED = 1


def words() -> dict[str, Any]:
    """Twelve parameters, three of them below a choice."""
    return {
        "lr": loguniform(1e-5, 1e-1),
        "momentum": uniform(0, 0.99),
        "decay": loguniform(1e-8, 1e-2),
        "batch": choice([16, 32, 64, 128, 256]),
        "layers": integer(1, 6),
        "units": integer(16, 512, log=True),
        "activation": choice(["relu", "gelu", "tanh", "selu"]),
        "noise": normal(0, 0.1),
        "model": choice(
            {
                "plain": {"dropout": uniform(0, 0.7, step=0.05)},
                "wide": {"width": integer(1, 8), "norm": maybe("batch")},
            }
        ),
    }


class Clock:
    """CPU milliseconds of this thread by part; within a part another one stops its clock."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self._spent: Counter[str] = Counter()
        self._part, self._since = "driver", time.thread_time()

    def timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, as this part."""

        def run(*given: Any, **named: Any) -> Any:
            before = self._switch(part)
            try:
                return call(*given, **named)
            finally:
                self._switch(before)

        return run

    def turn(self) -> None:
        """A trial has ended: keep what was spent on it."""
        self._switch(self._part)
        self.rows.append({part: self._spent[part] for part in PARTS})
        self._spent.clear()

    def _switch(self, part: str) -> str:
        now, before = time.thread_time(), self._part
        self._spent[before] += 1000 * (now - self._since)
        self._part, self._since = part, now
        return before


class Timed:
    """A watcher and an engine whose calls are timed."""

    def __init__(self, clock: Clock, watcher: Any) -> None:
        self._clock, self._engine = clock, NoTraining()
        for name in ("begun", "started", "reported", "note", "finished"):
            setattr(self, name, clock.timed("watcher", getattr(watcher, name)))
        self._ended = clock.timed("watcher", watcher.ended)

    def ended(self, trial: Trial) -> None:
        self._ended(trial)
        self._clock.turn()

    def prepare(self, task: Task) -> None:
        """Nothing."""

    def run(self, task: Task, report: Callable[..., Any]) -> Any:
        told = self._clock.timed("driver", report)
        return self._clock.timed("training", self._engine.run)(task, told)


def watcher(name: str) -> Any:
    """What a terminal gets, or a log, or nothing; its text is thrown away."""
    if name == "live":
        return Progress(Console(file=io.StringIO(), force_terminal=True, width=120))
    return Lines(io.StringIO()) if name == "lines" else Silent()


def made(problem: Problem, folder: Path, size: int) -> Path:
    """A folder with a study of so many trials at random points."""
    draw = suggest.make("random", problem.parameters)
    given = {"max_trials": 1, "seed": SEED, "folder": folder / "other", "offline": True}
    with Session(problem, options_from(given), Silent()) as session:
        settings = session.store.settings
    trials = []
    for number in range(size):
        found = draw([], [], number, SEED)
        assert found is not None
        job = Job(Key("cycle", number), found.point, seed_of(SEED, number))
        (outcome,) = NoTraining().run(Task((job,)), lambda report: False)
        begun = 1e9 + number
        trial = Trial(number, job.point, job.seed, begun, why=found.why)
        trials.append(dataclasses.replace(trial, ended=begun + 1, outcome=outcome))
    root = folder / "studies"
    Store.rebuild(root, "cycle", settings, id="0" * 32, trials=trials, runs={}).close()
    return folder


def resumed(given: Any, problem: Problem, folder: Path, size: int) -> dict[str, Any]:
    """CPU milliseconds of one resumed study: opening, each trial, result."""
    options = options_from(
        {
            "max_trials": size + given.trials,
            "study": "cycle",
            "resume": True,
            "algo": given.algo,
            "folder": folder,
            "offline": not given.mlflow,
        }
    )
    gc.collect()  # what the round before has left is not this one's
    began, began_here, clock = time.process_time(), time.thread_time(), Clock()
    timed = Timed(clock, watcher(given.watcher))
    with Session(problem, options, Silent()) as session:
        store = session.store
        for name in ("start", "end"):
            setattr(store, name, clock.timed("store", getattr(store, name)))
        driver = Driver(
            *(problem, store, session.options),
            seed=session.seed,
            algorithm=clock.timed("suggest", session.algorithm),
            executor=Inline(timed),
            watcher=timed,
            attempts=session.attempts,
            progress=session.recorder.progress,
        )
        opened = 1000 * (time.process_time() - began)
        driver.run()
        before = time.thread_time()
        assert session.result().counts["total"] == size + given.trials
        result = 1000 * (time.thread_time() - before)
        if given.mlflow and not session.recorder.flush(600):
            raise SystemExit(f"not delivered: {session.recorder.trouble}")
    others = (time.process_time() - began) - (time.thread_time() - began_here)
    return {
        "resume": opened,
        "result": result,
        "other threads": 1000 * others / given.trials,
        "rows": clock.rows[given.trials // 10 :],  # the first ones load and learn
    }


def middle(runs: list[dict[str, Any]]) -> dict[str, float]:
    """The medians over the rounds of one size."""
    rows = [row for run in runs for row in run["rows"]]
    found = {part: statistics.median(row[part] for row in rows) for part in PARTS}
    found["all"] = statistics.median(sum(row.values()) for row in rows)
    for name in ("other threads", "resume", "result"):
        found[name] = statistics.median(run[name] for run in runs)
    return {name: round(value, 3) for name, value in found.items()}


def main() -> None:
    """Measure, print a Markdown table, and write it with JSON beside it."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 5000, 10000])
    asked.add_argument("--trials", type=int, default=100, help="run after those, in each round")
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--algo", default="random")
    asked.add_argument("--watcher", choices=["live", "lines", "none"], default="lines")
    asked.add_argument("--mlflow", action="store_true")
    asked.add_argument("--name", default="cycle", help="of the files that are written")
    asked.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = asked.parse_args()
    problem = dataclasses.replace(
        problem_of(words(), lambda values: 0.0, maximize=True), metric="val_accuracy"
    )
    runs: dict[int, list[dict[str, Any]]] = {size: [] for size in given.sizes}
    with tempfile.TemporaryDirectory() as scratch:
        for size in given.sizes:
            made(problem, Path(scratch) / str(size), size)
        for number in range(given.rounds + 1):  # the first is thrown away
            for size in given.sizes:
                folder = Path(scratch) / f"{size}-{number}"
                shutil.copytree(Path(scratch) / str(size) / "studies", folder / "studies")
                run = resumed(given, problem, folder, size)
                shutil.rmtree(folder)
                runs[size] += [run] if number else []
    write(given, {size: middle(found) for size, found in runs.items()})


def write(given: Any, found: dict[int, dict[str, float]]) -> None:
    """The figures with what is needed to repeat them."""
    about = {
        "command": " ".join(["python", *sys.argv]),
        **{
            name: getattr(given, name) for name in ("trials", "rounds", "algo", "watcher", "mlflow")
        },
        "seed": SEED,
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in ("hpsearch", "hyperopt", "mlflow", "numpy")},
        "cpu_ms": found,
    }
    columns = [
        name for name in next(iter(found.values())) if given.mlflow or name != "other threads"
    ]
    lines = [
        f"`{about['command']}`: medians of {given.rounds} rounds of {given.trials} trials, seed "
        f"{SEED}, " + ", ".join(f"{name} {text}" for name, text in about["versions"].items()),
        "",
        f"| trials before | {' | '.join(columns)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for size, row in found.items():
        figures = [
            f"{row[c]:.0f}" if c in ("resume", "result") else f"{row[c]:.2f}" for c in columns
        ]
        lines.append(f"| {size:,} | {' | '.join(figures)} |")
    lines += [
        "",
        "CPU milliseconds: per trial, but for *resume* and *result*, which are whole.",
        "",
    ]
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / f"{given.name}.json").write_text(json.dumps(about, indent=2) + "\n")
    (given.out / f"{given.name}.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
