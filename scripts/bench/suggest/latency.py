"""CPU milliseconds per suggestion against the length of the history: hpsearch, hyperopt, Optuna.

    python scripts/bench/suggest/latency.py [--lengths 10 100 1000 10000 20000] [--rounds 7]
        [--longest 10000] [--out DIR]

Two spaces: 12 parameters, 3 of them below a choice, and 40 below choices three deep. All search
the same history, a tenth of it failed, in one process, and take turns, so that whatever else the
machine does hits all. Each call is asked after one more trial, as in a search. Counted is CPU time
of the suggestion alone: neither hyperopt's nor Optuna's bookkeeping beside it. Our scales are fitted
anew when a history has grown by a tenth, which the medians do not show and the CPU time of whole runs
does (run.py). The rivals are not asked beyond `--longest` trials, where one call of theirs takes a second.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import hyperopt
import numpy as np
import optuna
from hyperopt.base import Domain
from methods import optuna_asked
from problems import deep
from threadpoolctl import threadpool_limits

from hpsearch import choice, integer, loguniform, maybe, uniform
from hpsearch.space import Parameters, space_of
from hpsearch.suggest import Compiled, make
from hpsearch.trial import Observation

OURS = ("auto", "fast", "tpe")
RIVALS = ("hyperopt tpe", "Optuna TPE", "Optuna mv+group")


def mixed() -> dict[str, Any]:
    """Twelve parameters, three of them below a choice."""
    return {
        "lr": loguniform(1e-5, 1e-1),
        "momentum": uniform(0, 0.99),
        "decay": loguniform(1e-8, 1e-2),
        "batch": choice([16, 32, 64, 128, 256]),
        "layers": integer(1, 6),
        "units": integer(16, 512, log=True),
        "activation": choice(["relu", "gelu", "tanh", "selu"]),
        "noise": uniform(0, 0.3),
        "model": choice(
            {
                "plain": {"dropout": uniform(0, 0.7, step=0.05)},
                "wide": {"width": integer(1, 8), "norm": maybe("batch")},
            }
        ),
    }


SPACES = {"12 mixed": mixed, "40 conditional": lambda: deep(103)()[0]}


class Rival:
    """hyperopt's `Trials` and two Optuna studies, told the same trials as we are."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters, self.compiled = parameters, Compiled(parameters)
        self.domain = Domain(lambda expression: 0.0, self.compiled.expression)
        self.trials = hyperopt.Trials()
        sampler = optuna.samplers.TPESampler
        self.studies = {
            "Optuna TPE": optuna.create_study(sampler=sampler(seed=0)),
            "Optuna mv+group": optuna.create_study(
                sampler=sampler(seed=0, multivariate=True, group=True)
            ),
        }
        self.distributions: dict[str, Any] = {}

    def tell(self, seen: list[Observation]) -> None:
        """Add trials; for Optuna under the distributions that asking declares."""
        documents = []
        for trial in seen:
            raws = self.compiled.encode_point(trial.point)
            vals = {label: [raws[label]] if label in raws else [] for label in self.compiled.labels}
            idxs = {label: [trial.number] if found else [] for label, found in vals.items()}
            misc = {"tid": trial.number, "cmd": None, "workdir": None, "idxs": idxs, "vals": vals}
            failed = {"status": hyperopt.STATUS_FAIL}
            result = failed if trial.loss is None else {"status": "ok", "loss": trial.loss}
            (document,) = self.trials.new_trial_docs([trial.number], [None], [result], [misc])
            document["state"] = hyperopt.JOB_STATE_DONE
            documents.append(document)
        self.trials.insert_trial_docs(documents)
        self.trials.refresh()
        for study in self.studies.values():
            for trial in seen:
                asked = optuna.trial.FixedTrial(trial.point)
                self.parameters.complete(functools.partial(optuna_asked, asked))
                study.add_trial(
                    optuna.trial.create_trial(
                        params=asked.params,
                        distributions=asked.distributions,
                        value=trial.loss,
                        state=optuna.trial.TrialState.FAIL
                        if trial.loss is None
                        else optuna.trial.TrialState.COMPLETE,
                    )
                )

    def ask(self, name: str, number: int) -> None:
        if name == "hyperopt tpe":
            hyperopt.tpe.suggest([number], self.domain, self.trials, number, verbose=False)
            return
        trial = self.studies[name].ask()
        self.parameters.complete(functools.partial(optuna_asked, trial))
        self.studies[name].tell(trial, state=optuna.trial.TrialState.FAIL)


def cpu(call: Callable[[], Any]) -> float:
    """CPU milliseconds of one call."""
    before = time.process_time()
    call()
    return 1000 * (time.process_time() - before)


def history_of(parameters: Parameters, length: int) -> list[Observation]:
    """A random history whose losses depend on the points; a tenth of it failed."""
    random, drawn = np.random.default_rng(0), make("random", parameters)
    history = []
    for number in range(length):
        point = drawn([], [], number, 0).point
        numbers = [value for value in point.values() if isinstance(value, float)]
        loss = None if random.random() < 0.1 else float(sum(np.square(numbers)) + random.normal())
        history.append(Observation(number, point, loss))
    return history


def measure(space: str, lengths: list[int], rounds: int, longest: int) -> list[dict[str, Any]]:
    """Median CPU milliseconds of each algorithm after each number of trials."""
    parameters = space_of(SPACES[space]())[0]
    history = history_of(parameters, max(lengths) + rounds)
    algorithms, rival, told = {name: make(name, parameters) for name in OURS}, Rival(parameters), 0
    rows = []
    for length in sorted(lengths):
        spent: dict[str, list[float]] = {name: [] for name in (*OURS, *RIVALS)}
        resumed = {}
        for name, algorithm in algorithms.items():
            resumed[name] = cpu(lambda a=algorithm, n=length: a(history[:n], [], n, 0))
        for turn in range(1, rounds + 1):
            now = history[: length + turn]
            for name, algorithm in algorithms.items():
                if name != "tpe" or length <= longest:
                    ask = functools.partial(algorithm, now, [], len(now), 0)
                    spent[name].append(cpu(ask))
            if length <= longest:
                rival.tell(history[told : len(now)])
                told = len(now)
                for name in RIVALS:
                    spent[name].append(cpu(functools.partial(rival.ask, name, told)))
        medians = {
            name: round(statistics.median(found), 2) for name, found in spent.items() if found
        }
        longest_ms = {name: round(max(found), 2) for name, found in spent.items() if found}
        rows.append(
            {
                "space": space,
                "trials": length,
                "median_ms": medians,
                "longest_ms": longest_ms,
                "first_ms": resumed,
            }
        )
        sys.stderr.write(f"{space}, {length} trials: {medians}\n")
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    lines = []
    for space in SPACES:
        names = [*OURS, *RIVALS]
        lines += ["", f"| {space}, trials | " + " | ".join(names) + " | fastest rival / fast |"]
        lines.append("|---" * (len(names) + 2) + "|")
        for row in (row for row in rows if row["space"] == space):
            found = row["median_ms"]
            figures = [f"{found[name]:.1f}" if name in found else "" for name in names]
            rivals = [found[name] for name in RIVALS if name in found]
            ratio = f"{min(rivals) / found['fast']:.0f}" if rivals else ""
            lines.append(f"| {row['trials']:,} | {' | '.join(figures)} | {ratio} |")
    return "\n".join(lines[1:]) + "\n"


def picture(rows: list[dict[str, Any]], file: Path) -> None:
    """Milliseconds against the length of the history, a panel for each space."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(SPACES), figsize=(9, 3.8), sharey=True)
    for axes, space in zip(panels, SPACES, strict=True):
        for number, name in enumerate((*OURS[:2], *RIVALS)):
            found = [row for row in rows if row["space"] == space and name in row["median_ms"]]
            at = [row["trials"] for row in found]
            axes.plot(at, [row["median_ms"][name] for row in found], "o-", ms=3, label=name)
            axes.lines[-1].set_color(f"C{number}")
        axes.set(title=f"{space} parameters", xlabel="trials so far", xscale="log", yscale="log")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("CPU ms per suggestion")
    panels[0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(file, dpi=150)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--lengths", type=int, nargs="+", default=[10, 100, 1000, 10_000, 20_000])
    asked.add_argument("--rounds", type=int, default=7)
    asked.add_argument("--longest", type=int, default=10_000)
    asked.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results")
    given = asked.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    threadpool_limits(1)
    with np.errstate(all="ignore"):
        rows = [
            row
            for space in SPACES
            for row in measure(space, given.lengths, given.rounds, given.longest)
        ]
    versions = {name: metadata.version(name) for name in ("hyperopt", "optuna", "numpy", "scipy")}
    about = {
        "command": " ".join(["python", "scripts/bench/suggest/latency.py", *sys.argv[1:]]),
        "versions": {"python": platform.python_version(), **versions},
        "rounds": given.rounds,
        "rows": rows,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "latency.json").write_text(json.dumps(about, indent=2) + "\n")
    (given.out / "latency.md").write_text(table(rows))
    picture(rows, given.out / "latency.png")
    sys.stdout.write(table(rows))


if __name__ == "__main__":
    main()
