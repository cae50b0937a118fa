"""The least loss of every problem and what random draws reach: the ends of the scale of regret.

    python scripts/bench/suggest/references.py [--seeds 50]

writes references.json, so that nobody moves the ends afterwards. COCO and some conditional problems
know their optimum. Where a loss is cheap it is searched for by evolution, with 100 times the trials
of a run; of the two problems that train a model for each point it is the least that 2,000 trials
of evolution saw.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from problems import PROBLEMS, Problem
from tables import batch

from hpsearch.suggest import make, moves
from hpsearch.suggest.coded import Coded

BUDGETS = (25, 50, 100, 200)
FILE = Path(__file__).parent / "references.json"
PARENTS = 40


def evolved(coded: Coded, losses: Callable[[Any], Any], size: int, times: int, seed: int) -> float:
    """The least loss that mutations of the best rows find, from random ones on."""
    random = np.random.default_rng(seed)
    rows = moves.prior(coded.columns, size, random)
    found = losses(rows)
    for turn in range(times):
        order = np.argsort(found, kind="stable")[:PARENTS]
        rows, found = rows[order], found[order]
        step = 0.2 * 0.85**turn
        near = moves.nearby(coded.columns, rows[np.arange(size // 2) % len(rows)], step, random)
        far = moves.mutated(coded.columns, rows, size // 2, random)
        new = np.concatenate([near, far])
        rows, found = np.concatenate([rows, new]), np.concatenate([found, losses(new)])
    return float(found.min())


def least(problem: Problem) -> tuple[float, str]:
    """The least loss and how it is known."""
    parameters, loss, best = problem.parts()
    if best is not None:
        return best, "known"
    coded = Coded(parameters)
    table = batch(problem.name)
    if table is not None:
        return min(evolved(coded, table, 1000, 25, seed) for seed in range(3)), "searched"

    def losses(rows: Any) -> Any:
        return np.array([loss(coded.point(row)) for row in rows])

    if problem.family == "real":
        return evolved(coded, losses, 100, 20, 0), "least seen"
    return min(evolved(coded, losses, 800, 40, seed) for seed in range(3)), "searched"


def drawn(problem: Problem, seeds: int) -> dict[str, float]:
    """The median over seeds of the least loss of so many random draws."""
    parameters, loss, _ = problem.parts()
    draw = make("random", parameters)
    found = []
    for seed in range(seeds):
        losses = [loss(draw([], [], number, 1000 + seed).point) for number in range(max(BUDGETS))]
        found.append(np.fmin.accumulate(losses))
    return {str(budget): float(np.median([run[budget - 1] for run in found])) for budget in BUDGETS}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seeds", type=int, default=50)
    given = asked.parse_args()
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    for problem in PROBLEMS:
        if problem.name not in known:
            best, how = least(problem)
            slow = how == "least seen"
            random = drawn(problem, given.seeds // 5 if slow else given.seeds)
            known[problem.name] = {"best": best, "how": how, "random": random}
            FILE.write_text(json.dumps(known, indent=1) + "\n")
            sys.stderr.write(f"{problem.name}: {known[problem.name]}\n")


if __name__ == "__main__":
    main()
