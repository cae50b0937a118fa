"""Failures that come from the point and failures that come by chance: who still finds the best point?

    python scripts/bench/suggest/failures.py [--seeds 6] [--methods …] [--jobs 2] [--out DIR]

Two to four parameters; a trial fails in half of the space, by chance, once beside the best point, where
it needs too much memory (and the best lies on that border), or in a disc that all else leads to. Each
searcher is told of a failure in its own way (methods.py). Geometric means over seeds of the least loss,
and the share of the last three fifths of the trials that failed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from methods import METHODS
from report import head, row, versions
from threadpoolctl import threadpool_limits

from hpsearch import integer, loguniform, uniform
from hpsearch.space import space_of

Point = dict[str, Any]
Loss = Callable[[Point], float]
LEAST = 1e-9  # losses below count as this
SQUARE = {"x": uniform(-1, 1, name="x"), "y": uniform(-1, 1, name="y")}


def half(random: np.random.Generator) -> Loss:
    """Half of the space fails; the best point is at x = 0.3, the border at 0."""
    return lambda at: math.nan if at["x"] < 0 else (at["x"] - 0.3) ** 2 + (at["y"] - 0.5) ** 2


def bowl(at: Point) -> float:
    return (at["x"] - 0.31) ** 2 + (at["y"] - 0.47) ** 2


def chance(share: float) -> Callable[[np.random.Generator], Loss]:
    """So many trials fail, wherever they are."""

    def made(random: np.random.Generator) -> Loss:
        return lambda at: math.nan if random.random() < share else bowl(at)

    return made


def beside(random: np.random.Generator) -> Loss:
    """The first trial that comes near the best point fails, and no other."""
    near: list[Point] = []

    def loss(at: Point) -> float:
        if bowl(at) < 1e-3 and not near:
            near.append(at)
            return math.nan
        return bowl(at)

    return loss


def memory(random: np.random.Generator) -> Loss:
    """Large layers are better, and units × batch must not be too many."""

    def loss(at: Point) -> float:
        if at["units"] * at["batch"] > 60_000:
            return math.nan
        rate = 0.3 * (math.log10(at["rate"]) + 2.7) ** 2
        batch = 0.1 * abs(math.log(at["batch"] / 64))
        return math.log(2048 / at["units"]) / 5 + rate + (at["drop"] - 0.4) ** 2 + batch

    return loss


def disc(random: np.random.Generator) -> Loss:
    """What all else leads to fails; the best points lie around it."""

    def loss(at: Point) -> float:
        if at["x"] ** 2 + at["y"] ** 2 < 0.16:
            return math.nan
        return abs(at["x"]) + abs(at["y"]) + 0.2 * (at["x"] - 0.5) ** 2

    return loss


NETWORK = {
    "units": integer(16, 2048, log=True, name="units"),
    "batch": integer(8, 512, log=True, name="batch"),
    "rate": loguniform(1e-5, 1, name="rate"),
    "drop": uniform(0, 0.9, name="drop"),
}
KINDS: dict[str, tuple[dict[str, Any], Callable[[np.random.Generator], Loss], int]] = {
    "half fails": (SQUARE, half, 100),
    "a fifth by chance": (SQUARE, chance(0.2), 40),
    "half by chance": (SQUARE, chance(0.5), 40),
    "one beside the best": (SQUARE, beside, 40),
    "too much memory": (NETWORK, memory, 100),
    "a disc": (SQUARE, disc, 60),
}


def one(job: tuple[str, str, int]) -> dict[str, Any]:
    """A run: its least loss, and the share of its later trials that failed."""
    kind, method, seed = job
    words, made, trials = KINDS[kind]
    loss, search = made(np.random.default_rng(seed)), METHODS[method](space_of(words)[0], seed)
    losses = []
    for _ in range(trials):
        by, point = search.ask()
        losses.append(loss(point))
        search.tell(by, losses[-1])
    late = float(np.isnan(losses[2 * trials // 5 :]).mean())
    return {"kind": kind, "method": method, "seed": seed, "least": np.nanmin(losses), "late": late}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--methods", nargs="+", choices=[*METHODS], default=[*METHODS])
    asked.add_argument("--seeds", type=int, default=6)
    asked.add_argument("--jobs", type=int, default=2)
    asked.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results")
    given = asked.parse_args()
    jobs = [(k, m, s) for k in KINDS for m in given.methods for s in range(given.seeds)]
    with ProcessPoolExecutor(given.jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        found = list(pool.map(one, jobs))

    def cell(method: str, kind: str) -> str:
        own = [run for run in found if (run["method"], run["kind"]) == (method, kind)]
        least = np.exp(np.mean([math.log(max(run["least"], LEAST)) for run in own]))
        return f"{least:.2g} ({np.mean([run['late'] for run in own]):.0%})"

    lines = head("least loss (failed)", *KINDS)
    lines += [row(m, *(cell(m, kind) for kind in KINDS)) for m in given.methods]
    command = " ".join(["python", *sys.argv])
    text = f"{given.seeds} seeds; {versions()}; `{command}`\n\n" + "\n".join(lines) + "\n"
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "suggest_failures.md").write_text(text)
    data = {"seeds": given.seeds, "versions": versions(), "runs": found}
    (given.out / "suggest_failures.json").write_text(json.dumps(data, indent=1) + "\n")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
