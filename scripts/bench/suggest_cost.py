"""CPU milliseconds per suggestion: our `tpe` against hyperopt's own, on the same history.

    python scripts/bench/suggest_cost.py [--lengths 10 100 1000] [--rounds 15] [--json FILE]

Both search the same 12 parameters in one process, taking turns, so that whatever else the machine
does hits both. What plain hyperopt does for a trial beside suggesting (insert, refresh) is not
counted. Prints a Markdown table; `--json` also writes the figures.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hyperopt
import numpy as np
from hyperopt import Trials, rand, tpe
from hyperopt.base import Domain

from hpsearch import choice, integer, loguniform, maybe, normal, uniform
from hpsearch.space import space_of
from hpsearch.suggest import NAMES, Compiled, make
from hpsearch.trial import Observation


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


def trials_of(compiled: Compiled, length: int) -> tuple[list[Observation], Trials]:
    """The same random history twice: for us and as hyperopt keeps it. A tenth of it failed."""
    rng, history, trials = np.random.default_rng(length), [], Trials()
    for number in range(length):
        documents = rand.suggest([number], compiled.domain, trials, number)
        vals = documents[0]["misc"]["vals"]
        raws = {label: found[0] for label, found in vals.items() if len(found)}
        loss = None if rng.random() < 0.1 else float(rng.random())
        history.append(Observation(number, compiled.decode_point(raws), loss))
        documents[0]["state"] = hyperopt.JOB_STATE_DONE
        failed = {"status": hyperopt.STATUS_FAIL}
        documents[0]["result"] = (
            failed if loss is None else {"status": hyperopt.STATUS_OK, "loss": loss}
        )
        trials.insert_trial_docs(documents)
    trials.refresh()
    return history, trials


def cpu(call: Callable[[], Any]) -> float:
    """CPU milliseconds of one call."""
    before = time.process_time()
    call()
    return 1000 * (time.process_time() - before)


def measure(length: int, rounds: int) -> dict[str, Any]:
    """Return the median CPU milliseconds of every algorithm and of hyperopt's own tpe."""
    parameters = space_of(words())[0]
    compiled = Compiled(parameters)
    history, trials = trials_of(compiled, length)
    domain = Domain(lambda x: 0.0, compiled.expression)
    algorithms = {name: make(name, parameters) for name in NAMES}
    first = {
        name: cpu(functools.partial(a, history, [], length, 0)) for name, a in algorithms.items()
    }
    spent: dict[str, list[float]] = {name: [] for name in (*NAMES, "hyperopt tpe")}
    for turn in range(rounds):
        for name, algorithm in algorithms.items():
            ask = functools.partial(algorithm, history, [], length + turn, 0)
            spent[name].append(cpu(ask))
        ask = functools.partial(tpe.suggest, [length], domain, trials, turn, verbose=False)
        spent["hyperopt tpe"].append(cpu(ask))
    return {
        "trials": length,
        "median_ms": {name: round(statistics.median(found), 2) for name, found in spent.items()},
        "first_ms": {name: round(found, 2) for name, found in first.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args()
    with np.errstate(all="ignore"):
        rows = [measure(length, asked.rounds) for length in asked.lengths]
    columns = ["hyperopt tpe", *NAMES]
    lines = [
        "| trials | " + " | ".join(columns) + " | first tpe (resume) |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for row in rows:
        figures = [f"{row['median_ms'][column]:.2f}" for column in columns]
        lines.append(f"| {row['trials']} | {' | '.join(figures)} | {row['first_ms']['tpe']:.2f} |")
    sys.stdout.write("\n".join(lines) + "\n")
    if asked.json is not None:
        about = {"python": platform.python_version(), "machine": platform.machine(), "rows": rows}
        asked.json.write_text(json.dumps(about, indent=2) + "\n")


if __name__ == "__main__":
    main()
