"""Do failed trials teach? A toy where half of the space fails: hpsearch, hyperopt and Optuna.

    python scripts/bench/failing_half.py [--seeds 1 2 3 4 5] [--trials 100] [--out DIR]

x in [-1, 1] and y in [0, 1]; a trial with x < 0 raises, the others give (x - at)² + (y - 0.5)².
Counted is the share of the suggestions 41 to 100 that fall in the failing half; half of it would
be chance. The main table has the best point in the middle of the good half (at = 0.5); the others
show how much depends on that: the nearer it is to the border, the more is worth a try beyond it.

The rivals run with their own defaults, in this process, from the same seeds: `hyperopt.fmin` with
`tpe.suggest`, and Optuna's `TPESampler`. hpsearch runs whole studies through `hpsearch.search`.
Optuna is no dependency of hpsearch: without it the script says what to install, and its rows are
missing.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import hyperopt
import numpy as np
from hyperopt import hp

import hpsearch
from hpsearch import uniform

try:
    import optuna
except ModuleNotFoundError:
    optuna = None

OPTIMA = (0.5, 0.3, 0.1)
LEARNT = 40  # suggestions that are not counted
GOAL = 0.20  # of our tpe, with the best point in the middle of the good half

Objective = Callable[[float, float], float]
Run = Callable[[Objective, int, int], None]


class Half(RuntimeError):
    """The half of the space with x < 0 fails."""


class Counted:
    """The objective; it remembers where it was asked and how good that was."""

    def __init__(self, at: float) -> None:
        self._at = at
        self.tried: list[float] = []
        self.losses: list[float] = []

    def __call__(self, x: float, y: float) -> float:
        self.tried.append(x)
        if x < 0:
            raise Half("this half fails")
        self.losses.append((x - self._at) ** 2 + (y - 0.5) ** 2)
        return self.losses[-1]

    @property
    def share(self) -> float:
        """The share of the suggestions after the first `LEARNT` that failed."""
        late = self.tried[LEARNT:]
        return sum(x < 0 for x in late) / len(late)


def ours(algo: str) -> Run:
    """A study of hpsearch; its record goes to a folder that is thrown away."""

    def run(objective: Objective, seed: int, trials: int) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "mlruns"
            folder.mkdir()
            shutil.copy(database(), folder / "mlflow.db")
            hpsearch.search(
                {"x": uniform(-1, 1), "y": uniform(0, 1)},
                lambda at: objective(at["x"], at["y"]),
                algo=algo,
                seed=seed,
                max_trials=trials,
                max_consecutive_failures=trials,
                folder=folder,
                progress=False,
            )

    return run


def database() -> Path:
    """MLflow takes seconds to make its tables, so one empty database is made and copied."""
    if not MADE:
        from mlflow import MlflowClient

        MADE.append(Path(tempfile.mkdtemp(prefix="failing-half-")) / "mlflow.db")
        MlflowClient(f"sqlite:///{MADE[0]}").search_experiments()
    return MADE[0]


MADE: list[Path] = []


def plain_hyperopt(*, told: bool) -> Run:
    """`fmin`: the exception is caught by hyperopt, or turned into STATUS_FAIL by the objective."""

    def run(objective: Objective, seed: int, trials: int) -> None:
        def of(at: dict[str, float]) -> Any:
            try:
                return objective(at["x"], at["y"])
            except Half:
                if told:
                    return {"status": hyperopt.STATUS_FAIL}
                raise

        logging.getLogger("hyperopt").setLevel(logging.CRITICAL)  # it logs each caught exception
        with np.errstate(all="ignore"):
            hyperopt.fmin(
                of,
                {"x": hp.uniform("x", -1, 1), "y": hp.uniform("y", 0, 1)},
                algo=hyperopt.tpe.suggest,
                max_evals=trials,
                rstate=np.random.default_rng(seed),
                catch_eval_exceptions=not told,
                show_progressbar=False,
                verbose=False,
            )

    return run


def with_optuna(kind: str) -> Run:
    """Optuna: the exception is caught (`catch`), turned into TrialPruned, or told as a failure."""

    def run(objective: Objective, seed: int, trials: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))

        def of(trial: Any) -> float:
            x, y = trial.suggest_float("x", -1, 1), trial.suggest_float("y", 0, 1)
            try:
                return objective(x, y)
            except Half:
                if kind == "pruned":
                    raise optuna.TrialPruned from None
                raise

        if kind != "told":
            study.optimize(of, n_trials=trials, catch=(Exception,))
            return
        for _ in range(trials):
            trial = study.ask()
            try:
                study.tell(trial, of(trial))
            except Half:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)

    return run


@dataclass(frozen=True)
class Engine:
    """A row of the table."""

    name: str
    failing: str
    run: Run


ENGINES = [
    Engine("hpsearch tpe", "an exception", ours("tpe")),
    Engine("hpsearch auto", "an exception", ours("auto")),
    Engine("hyperopt tpe", "an exception, catch_eval_exceptions=True", plain_hyperopt(told=False)),
    Engine("hyperopt tpe", "returned as STATUS_FAIL", plain_hyperopt(told=True)),
    Engine("Optuna TPE", "an exception, catch=(Exception,)", with_optuna("caught")),
    Engine("Optuna TPE", "told as TrialState.FAIL", with_optuna("told")),
    Engine("Optuna TPE", "turned into TrialPruned", with_optuna("pruned")),
]


def measure(engine: Engine, at: float, seeds: list[int], trials: int) -> dict[str, Any]:
    """The figures of one engine with the best point at x = `at`, for each seed and in the middle."""
    runs = []
    for seed in seeds:
        objective = Counted(at)
        engine.run(objective, seed, trials)
        if len(objective.tried) != trials:
            raise SystemExit(f"{engine.name} ran {len(objective.tried)} of {trials} trials.")
        runs.append(objective)
    shares = [round(run.share, 3) for run in runs]
    best = [float(f"{min(run.losses, default=float('nan')):.2g}") for run in runs]
    return {
        "engine": engine.name,
        "a failing trial is": engine.failing,
        "optimum": at,
        "share": shares,
        "median_share": round(statistics.median(shares), 3),
        "best_loss": best,
        "median_best_loss": statistics.median(best),
    }


def table(rows: list[dict[str, Any]]) -> list[str]:
    """The rows as Markdown, one line per engine, the medians for each place of the optimum."""
    found: dict[tuple[str, str], dict[float, dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["engine"], row["a failing trial is"]), {})[row["optimum"]] = row
    lines = [
        "| engine | a failing trial is | share in the failing half | lowest to highest "
        + "| best loss | " + " | ".join(f"share, optimum at {at:g}" for at in OPTIMA[1:]) + " |",
        "|---|---|---|---|---" + "|---" * (len(OPTIMA) - 1) + "|",
    ]  # fmt: skip
    for (name, failing), places in found.items():
        main = places[OPTIMA[0]]
        low, high = min(main["share"]), max(main["share"])
        cells = [
            *(name, failing, f"{main['median_share']:.0%}", f"{low:.0%} to {high:.0%}"),
            f"{main['median_best_loss']:.2g}",
            *(f"{places[at]['median_share']:.0%}" for at in OPTIMA[1:]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Measure, print the table, and write it with the figures."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    asked.add_argument("--trials", type=int, default=100)
    asked.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = asked.parse_args()
    if given.trials <= LEARNT:
        asked.error(f"--trials must be more than the {LEARNT} that are not counted")
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # the studies of this script are nobody's record
    engines = [engine for engine in ENGINES if optuna is not None or "Optuna" not in engine.name]
    if optuna is None:
        print("Optuna is not installed, its rows are left out. Write: pip install -e '.[bench]'")
    rows = []
    for engine in engines:
        for at in OPTIMA:
            rows.append(measure(engine, at, given.seeds, given.trials))
            figure = f"{rows[-1]['median_share']:.0%}"
            print(f"{engine.name}, {engine.failing}, optimum at {at:g}: {figure}", flush=True)
    if MADE:
        shutil.rmtree(MADE[0].parent)
    write(given, rows)


def write(given: Any, rows: list[dict[str, Any]]) -> None:
    """The figures with what is needed to repeat them."""
    packages = ("hyperopt", "numpy", *(() if optuna is None else ("optuna",)))
    found = {
        "command": " ".join(["python", *sys.argv]),
        "seeds": given.seeds,
        "trials": given.trials,
        "goal": f"median share of hpsearch tpe at most {GOAL:.0%}, optimum at {OPTIMA[0]:g}",
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in packages},
        "rows": rows,
    }
    ours_now = next(row["median_share"] for row in rows if row["engine"] == "hpsearch tpe")
    lines = [
        f"`{found['command']}`: seeds {', '.join(map(str, given.seeds))}, {given.trials} trials "
        "each, medians over the seeds, "
        + ", ".join(f"{name} {version}" for name, version in found["versions"].items()),
        "",
        f"Share of the suggestions {LEARNT + 1} to {given.trials} that fall in the half of the "
        "space that fails (chance: 50%); the best point is at x = "
        f"{OPTIMA[0]:g}, the border at 0. Goal for hpsearch tpe: at most {GOAL:.0%}, "
        + ("reached." if ours_now <= GOAL else "not reached."),
        "",
        *table(rows),
        "",
    ]
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "failing_half.json").write_text(json.dumps(found, indent=2) + "\n")
    (given.out / "failing_half.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
