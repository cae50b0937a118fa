"""Every point of a discrete space of small scikit-learn networks, trained for real: dev problems.

    python scripts/bench/suggest/grids.py cancer|wine [--jobs 2]

writes data/grid_NAME.json: every point, and its log loss on a third of the rows for three seeds (the
split and the weights), null where training failed. What is searched is the mean over seeds. The
space is like those of trained.py, whose tables are for the report only; these are to tune on.
"""

from __future__ import annotations

import argparse
import functools
import math
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from problems import grid_words, write_trained
from threadpoolctl import threadpool_limits

from hpsearch.space import space_of
from hpsearch.suggest.coded import Coded

DATA = Path(__file__).parent / "data"
SEEDS, EPOCHS = 3, 8


def loss(name: str, point: dict[str, Any], seed: int) -> float | None:
    """The log loss on the rows that were held out, None where training fails."""
    from sklearn import datasets
    from sklearn.metrics import log_loss
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    x, y = {"cancer": datasets.load_breast_cancer, "wine": datasets.load_wine}[name](
        return_X_y=True
    )
    x, held_out, y, wanted = train_test_split(x, y, test_size=0.3, random_state=seed, stratify=y)
    scaler = StandardScaler().fit(x)
    network = MLPClassifier(
        (point["units"],) * point["depth"],
        activation=point["activation"],
        alpha=point["alpha"],
        batch_size=point["batch"],
        solver=point["optimizer"],
        learning_rate_init=point.get("adam.rate", point.get("sgd.rate")),
        momentum=point.get("momentum", 0.9),
        nesterovs_momentum=False,
        max_iter=EPOCHS,
        random_state=seed,
    )
    warnings.simplefilter("ignore")  # that it has not converged
    try:
        network.fit(scaler.transform(x), y)
        found = float(log_loss(wanted, network.predict_proba(scaler.transform(held_out))))
    except ValueError:  # weights that are no numbers any more
        return None
    return found if math.isfinite(found) else None


def losses(name: str, point: dict[str, Any]) -> list[float | None]:
    return [loss(name, point, seed) for seed in range(SEEDS)]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("name", choices=["cancer", "wine"])
    asked.add_argument("--jobs", type=int, default=2)
    given = asked.parse_args()
    coded = Coded(space_of(grid_words())[0])
    points = [coded.point(row) for row in coded.columns.every()]
    with ProcessPoolExecutor(given.jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        values = list(pool.map(functools.partial(losses, given.name), points, chunksize=8))
    file = DATA / f"grid_{given.name}.json"
    write_trained(file, ("scikit-learn", "numpy"), zip(points, values, strict=True))
    print(f"{file.name}: {len(points)} points, {sum(None in each for each in values)} failed")


if __name__ == "__main__":
    main()
