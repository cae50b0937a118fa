"""How soon does `hyperopt_algo` reach what hyperopt's own tests ask of `tpe.suggest`?

    python scripts/bench/fmin.py [--seeds 10] [--out DIR]

The problems, thresholds, numbers of trials and settings of `tpe.suggest` are those of
`hyperopt.tests.unit.test_tpe.TestOpt`. Counted are the trials until the loss is below the
threshold; a search that does not get there counts as one more trial than it has.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np
from hyperopt import Trials, fmin, tpe
from hyperopt.tests.unit import test_domains as domains
from hyperopt.tests.unit.test_tpe import TestOpt

import hpsearch

HEAD = "| problem | trials at most | threshold | `hyperopt_algo` | `tpe.suggest` |\n|---|---|---|---|---|"


def ours(name):
    return hpsearch.hyperopt_algo(repeats=name == "n_arms")  # two arms, and noise


def theirs(name):
    return partial(
        tpe.suggest,
        verbose=False,
        gamma=TestOpt.gammas.get(name, tpe._default_gamma),
        prior_weight=TestOpt.prior_weights.get(name, tpe._default_prior_weight),
        n_EI_candidates=TestOpt.n_EIs.get(name, tpe._default_n_EI_candidates),
    )


def needed(name, algo, seed: int) -> int:
    """Trials until the threshold."""
    most, threshold = TestOpt.LEN.get(name, 50), TestOpt.thresholds[name]
    trials = Trials()
    with np.errstate(all="ignore"):
        fmin(
            lambda result: result,
            getattr(domains, name)().expr,
            algo=algo,
            max_evals=most,
            trials=trials,
            rstate=np.random.default_rng(seed),
            show_progressbar=False,
            loss_threshold=threshold,
        )
    return len(trials) if min(trials.losses()) < threshold else most + 1


def told(counts: list[int]) -> str:
    return f"{statistics.median(counts):g} ({min(counts)} to {max(counts)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 0")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    asked = parser.parse_args()
    rows = [HEAD]
    for name, threshold in TestOpt.thresholds.items():
        found = [
            told([needed(name, made(name), seed) for seed in range(asked.seeds)])
            for made in (ours, theirs)
        ]
        rows.append(
            f"| {name} | {TestOpt.LEN.get(name, 50)} | {threshold} | {found[0]} | {found[1]} |"
        )
        print(rows[-1], flush=True)
    head = (
        f"`python scripts/bench/fmin.py`: seeds 0 to {asked.seeds - 1}, medians (lowest to "
        f"highest), hyperopt {metadata.version('hyperopt')}, numpy {np.__version__}\n\n"
    )
    (asked.out / "fmin.md").write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
