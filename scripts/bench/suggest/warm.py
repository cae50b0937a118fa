"""Whether a search gets there sooner if it starts from an earlier one, ours and Optuna's.

    python scripts/bench/suggest/warm.py [--seeds 10] [--trials 50] [--jobs 2] [--out DIR]

The earlier study is 50 trials of the same method on another problem of the same space: other data
(`kin`), or an optimum that has nothing to do with it (`misleading`). Ours starts as
`--warm-start` does, Optuna with `Study.add_trials`. Regret as in report.py, but after few trials.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from methods import METHODS, Optuna, Ours
from problems import NAMED, nn_tree, shared
from report import FLOOR, REFERENCES, head, versions
from report import row as table_row
from threadpoolctl import threadpool_limits

from hpsearch.space import Parameters, space_of
from hpsearch.suggest import make

EARLIER = 50  # trials
BUDGETS = (5, 10, 25, 50)
PAIRS: dict[str, tuple[str, Any, str]] = {
    "svm wine, then digits": ("kin", "svm wine", "svm digits"),
    "mlp wine, then digits": ("kin", "mlp wine", "mlp digits"),
    "gbdt wine, then cancer": ("kin", "gbdt wine", "gbdt cancer"),
    "cash cancer, then digits": ("kin", "cash cancer", "cash digits"),
    "nn_tree 7, then 101": ("misleading", nn_tree(7), "nn_tree 101"),
    "shared 7, then 104": ("misleading", shared(7), "shared 104"),
}
OF = {"auto": "auto", "auto, warm": "auto", "Optuna": "Optuna mv+group"}
OF["Optuna, warm"] = OF["Optuna"]


def parts(problem: Any) -> tuple[Parameters, Any]:
    if isinstance(problem, str):
        return NAMED[problem].parts()[:2]
    words, loss, _ = problem()
    return space_of(words)[0], loss


def run(search: Any, loss: Any, trials: int) -> list[float]:
    """The loss of each trial."""
    losses = []
    for _ in range(trials):
        by, point = search.ask()
        losses.append(loss(point))
        search.tell(by, losses[-1])
    return losses


def warm(search: Any, earlier: Any, parameters: Parameters) -> None:
    """Tell a new search of an earlier one of the same method."""
    if isinstance(search, Optuna):
        search.study.add_trials(earlier.study.trials)
    elif isinstance(search, Ours):
        search.algorithm = make("auto", parameters, earlier=earlier.history)


def one(name: str, method: str, seed: int, trials: int) -> dict[str, Any]:
    with threadpool_limits(1):
        _, before, now = PAIRS[name]
        parameters, loss = parts(now)
        search = METHODS[OF[method]](parameters, seed)
        if method.endswith("warm"):
            earlier_parameters, earlier_loss = parts(before)
            earlier = METHODS[OF[method]](earlier_parameters, 1000 + seed)
            run(earlier, earlier_loss, EARLIER)
            warm(search, earlier, parameters)
        losses = run(search, loss, trials)
    return {"pair": name, "method": method, "seed": seed, "losses": losses}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seeds", type=int, default=10)
    asked.add_argument("--trials", type=int, default=50)
    asked.add_argument("--jobs", type=int, default=2)
    asked.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results")
    given = asked.parse_args()
    jobs = [(n, m, s) for n in PAIRS for m in OF for s in range(given.seeds)]
    with ProcessPoolExecutor(given.jobs) as pool:
        found = list(pool.map(functools.partial(_one, given.trials), jobs))
    references = json.loads(REFERENCES.read_text())
    regrets = {
        (pair, method, budget): regret(found, references[now], pair, method, budget)
        for pair, (_, _, now) in PAIRS.items()
        for method in OF
        for budget in BUDGETS
    }
    text = (
        f"{given.seeds} seeds; earlier studies of {EARLIER} trials; {versions()}; "
        f"`{' '.join(['python', *sys.argv])}`\n\n{_short(regrets)}\n\n{_whole(regrets)}\n"
    )
    data = [{"pair": p, "method": m, "trials": b, "regret": r} for (p, m, b), r in regrets.items()]
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "warm.md").write_text(text)
    (given.out / "warm.json").write_text(
        json.dumps({"seeds": given.seeds, "versions": versions(), "rows": data}, indent=1) + "\n"
    )
    sys.stdout.write(text)


def regret(
    runs: list[dict[str, Any]], reference: Any, pair: str, method: str, trials: int
) -> float:
    """The geometric mean over seeds; 1 is the median of 25 random draws."""
    best = [
        min(row["losses"][:trials]) - reference["best"]
        for row in runs
        if (row["pair"], row["method"]) == (pair, method)
    ]
    scale = reference["random"]["25"] - reference["best"]
    return float(np.exp(np.log(np.maximum(np.array(best) / scale, FLOOR)).mean()))


def _short(regrets: dict[tuple[str, str, int], float]) -> str:
    """Geometric means over the pairs of a kind."""
    kinds: dict[str, list[str]] = {}
    for pair, (kind, _, _) in PAIRS.items():
        kinds.setdefault(kind, []).append(pair)
    lines = head("regret after trials", *(f"{kind}, {b}" for kind in kinds for b in BUDGETS))
    for method in OF:
        means = [
            np.exp(np.mean([np.log(regrets[pair, method, b]) for pair in pairs]))
            for pairs in kinds.values()
            for b in BUDGETS
        ]
        lines.append(table_row(method, *(f"{mean:.2f}" for mean in means)))
    return "\n".join(lines)


def _whole(regrets: dict[tuple[str, str, int], float]) -> str:
    lines = head("regret", *(f"{method} {b}" for b in BUDGETS for method in OF))
    for pair in PAIRS:
        found = (f"{regrets[pair, method, b]:.2f}" for b in BUDGETS for method in OF)
        lines.append(table_row(pair, *found))
    return "\n".join(lines)


def _one(trials: int, job: tuple[str, str, int]) -> dict[str, Any]:
    return one(*job, trials)


if __name__ == "__main__":
    main()
