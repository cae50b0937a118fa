"""Tables of real scikit-learn runs, and a smooth stand-in for each: what the `real` family asks.

    python scripts/bench/suggest/tables.py NAME [--rows 1200] [--jobs 2]

draws points from the prior, cross-validates each for real, and keeps rows of codes and losses in
data/NAME.npz. The benchmark's loss of a point is what extremely randomised trees predict from the
table (Geurts, Ernst and Wehenkel, 2006), fitted from a fixed seed when it is loaded.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch import choice, integer, loguniform, maybe, uniform
from hpsearch.space import space_of
from hpsearch.suggest import make
from hpsearch.suggest.coded import Coded

DATA = Path(__file__).parent / "data"
Point = dict[str, Any]


def _digits() -> Any:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x / 16.0, y


def _wine() -> Any:
    from sklearn.datasets import load_wine

    return load_wine(return_X_y=True)


def _cancer() -> Any:
    from sklearn.datasets import load_breast_cancer

    return load_breast_cancer(return_X_y=True)


def mlp_words() -> dict[str, Any]:
    return {
        "lr": loguniform(1e-4, 1e-1, name="lr"),
        "alpha": loguniform(1e-7, 1e-1, name="alpha"),
        "batch": integer(16, 256, log=True, name="batch"),
        "activation": choice(["relu", "tanh", "logistic"], name="activation"),
        "units0": integer(8, 256, log=True, name="units0"),
        "second": maybe({"units1": integer(8, 256, log=True, name="units1")}, name="second"),
        "solver": choice(
            {
                "adam": {"beta": uniform(0.7, 0.99, name="beta")},
                "sgd": {
                    "momentum": uniform(0, 0.99, name="momentum"),
                    "nesterov": choice([True, False], name="nesterov"),
                },
            },
            name="solver",
        ),
    }


def mlp_model(point: Point) -> Any:
    from sklearn.neural_network import MLPClassifier

    hidden = (point["units0"], *((point["units1"],) if point["second"] else ()))
    more = (
        {"beta_1": point["beta"]}
        if point["solver"] == "adam"
        else {"momentum": point["momentum"], "nesterovs_momentum": point["nesterov"]}
    )
    return MLPClassifier(
        hidden,
        activation=point["activation"],
        solver=point["solver"],
        alpha=point["alpha"],
        batch_size=point["batch"],
        learning_rate_init=point["lr"],
        max_iter=12,
        random_state=0,
        **more,
    )


def svm_words() -> dict[str, Any]:
    return {
        "C": loguniform(1e-3, 1e3, name="C"),
        "balanced": choice([True, False], name="balanced"),
        "components": integer(4, 64, name="components"),
        "kernel": choice(
            {
                "rbf": {"gamma": loguniform(1e-5, 10, name="rbf.gamma")},
                "poly": {
                    "gamma": loguniform(1e-5, 10, name="poly.gamma"),
                    "degree": integer(2, 5, name="degree"),
                    "coef0": uniform(0, 2, name="coef0"),
                },
                "sigmoid": {
                    "gamma": loguniform(1e-5, 10, name="sigmoid.gamma"),
                    "coef0": uniform(-2, 2, name="sigmoid.coef0"),
                },
            },
            name="kernel",
        ),
    }


def svm_model(point: Point, most: int = 64) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    kernel = point["kernel"]
    more = {"gamma": point[f"{kernel}.gamma"]}
    if kernel == "poly":
        more |= {"degree": point["degree"], "coef0": point["coef0"]}
    if kernel == "sigmoid":
        more["coef0"] = point["sigmoid.coef0"]
    model = SVC(
        C=point["C"],
        kernel=kernel,
        class_weight="balanced" if point["balanced"] else None,
        max_iter=3000,
        **more,
    )
    return make_pipeline(PCA(min(point["components"], most), random_state=0), model)


def cash_words() -> dict[str, Any]:
    return {
        "model": choice(
            {
                "svm": {
                    "C": loguniform(1e-3, 1e3, name="svm.C"),
                    "gamma": loguniform(1e-5, 10, name="svm.gamma"),
                },
                "forest": {
                    "depth": integer(2, 20, name="forest.depth"),
                    "features": uniform(0.05, 1, name="forest.features"),
                    "leaf": integer(1, 20, log=True, name="forest.leaf"),
                    "criterion": choice(["gini", "entropy"], name="forest.criterion"),
                },
                "neighbours": {
                    "k": integer(1, 50, log=True, name="knn.k"),
                    "weights": choice(["uniform", "distance"], name="knn.weights"),
                    "p": uniform(1, 3, name="knn.p"),
                },
                "linear": {
                    "alpha": loguniform(1e-7, 1, name="linear.alpha"),
                    "penalty": choice(["l1", "l2", "elasticnet"], name="linear.penalty"),
                    "eta0": loguniform(1e-4, 1, name="linear.eta0"),
                },
                "tree": {
                    "depth": integer(1, 25, name="tree.depth"),
                    "leaf": integer(1, 50, log=True, name="tree.leaf"),
                },
            },
            name="model",
        ),
        "scaled": choice(["no", "standard", "range"], name="scaled"),
    }


def cash_model(point: Point) -> Any:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import SGDClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    match point["model"]:
        case "svm":
            model = SVC(C=point["svm.C"], gamma=point["svm.gamma"], max_iter=3000)
        case "forest":
            model = RandomForestClassifier(
                25,
                max_depth=point["forest.depth"],
                max_features=point["forest.features"],
                min_samples_leaf=point["forest.leaf"],
                criterion=point["forest.criterion"],
                random_state=0,
            )
        case "neighbours":
            model = KNeighborsClassifier(
                point["knn.k"], weights=point["knn.weights"], p=point["knn.p"]
            )
        case "linear":
            model = SGDClassifier(
                alpha=point["linear.alpha"],
                penalty=point["linear.penalty"],
                eta0=point["linear.eta0"],
                learning_rate="adaptive",
                max_iter=15,
                random_state=0,
            )
        case _:
            model = DecisionTreeClassifier(
                max_depth=point["tree.depth"],
                min_samples_leaf=point["tree.leaf"],
                random_state=0,
            )
    scale = {"no": FunctionTransformer(), "standard": StandardScaler(), "range": MinMaxScaler()}
    return make_pipeline(scale[point["scaled"]], model)


def gbdt_words() -> dict[str, Any]:
    return {
        "rate": loguniform(1e-3, 1, name="rate"),
        "trees": integer(10, 200, log=True, name="trees"),
        "depth": integer(1, 8, name="depth"),
        "subsample": uniform(0.2, 1, name="subsample"),
        "features": uniform(0.05, 1, name="features"),
        "leaf": integer(1, 40, log=True, name="leaf"),
        "decrease": loguniform(1e-6, 1e-1, name="decrease"),
    }


def gbdt_model(point: Point) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(
        learning_rate=point["rate"],
        n_estimators=point["trees"],
        max_depth=point["depth"],
        subsample=point["subsample"],
        max_features=point["features"],
        min_samples_leaf=point["leaf"],
        min_impurity_decrease=point["decrease"],
        random_state=0,
    )


TABLES: dict[
    str, tuple[Callable[[], Any], Callable[[], dict[str, Any]], Callable[[Point], Any]]
] = {
    "mlp_wine": (_wine, mlp_words, mlp_model),
    "cash_cancer": (_cancer, cash_words, cash_model),
    "mlp_digits": (_digits, mlp_words, mlp_model),
    "svm_digits": (_digits, svm_words, svm_model),
    "cash_digits": (_digits, cash_words, cash_model),
    "gbdt_cancer": (_cancer, gbdt_words, gbdt_model),
    "gbdt_wine": (_wine, gbdt_words, gbdt_model),
    "svm_wine": (_wine, svm_words, partial(svm_model, most=13)),
}


def measured(name: str, point: Point) -> float:
    """The error rate over three folds, for real. What cannot be trained is as bad as can be."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    data, _, model = TABLES[name]
    x, y = data()
    if name in ("mlp_wine", "svm_wine"):
        x = (x - x.mean(0)) / x.std(0)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = cross_val_predict(model(point), x, y, cv=folds)
        except ValueError:
            return 1.0
    return float((found != y).mean())


def batch(problem: str) -> Callable[[Any], Any] | None:
    """The losses of many rows of codes at once, None for a problem that is no table."""
    name = problem.replace(" ", "_")
    if name not in TABLES:
        return None
    coded, trees = _fitted(name)
    return lambda rows: trees.predict(_filled(coded, rows))


def load(name: str) -> tuple[dict[str, Any], Callable[[Point], float], float | None]:
    """The words, the loss that the trees predict, and no known optimum."""
    coded, trees = _fitted(name)

    def loss(point: Point) -> float:
        return float(trees.predict(_filled(coded, coded.row(point)[None]))[0])

    return TABLES[name][1](), loss, None


def _fitted(name: str) -> tuple[Coded, Any]:
    """How points are coded, and the trees fitted to the table."""
    from sklearn.ensemble import ExtraTreesRegressor

    coded = Coded(space_of(TABLES[name][1]())[0])
    with np.load(DATA / f"{name}.npz") as found:
        rows, losses = found["rows"], found["losses"]
    trees = ExtraTreesRegressor(100, min_samples_leaf=2, random_state=0, n_jobs=1)
    return coded, trees.fit(_filled(coded, rows), losses)


def _filled(coded: Coded, rows: Any) -> Any:
    """Options as one column each, what is not active as -1: trees ask one column at a time."""
    parts = []
    for j, column in enumerate(coded.columns):
        if column.ordered:
            parts.append(np.nan_to_num(rows[:, j], nan=-1.0)[:, None])
        else:
            parts.append((rows[:, j][:, None] == np.arange(column.count)).astype(float))
    return np.concatenate(parts, axis=1)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("name", choices=[*TABLES])
    asked.add_argument("--rows", type=int, default=1200)
    asked.add_argument("--jobs", type=int, default=2)
    given = asked.parse_args()
    parameters = space_of(TABLES[given.name][1]())[0]
    coded = Coded(parameters)
    drawn = make("random", parameters)
    points = [drawn([], [], number, 7).point for number in range(given.rows)]
    began = time.monotonic()
    with ProcessPoolExecutor(given.jobs) as pool:
        losses = list(pool.map(measured, [given.name] * len(points), points, chunksize=4))
    DATA.mkdir(exist_ok=True)
    rows = np.array([coded.row(point) for point in points])
    np.savez_compressed(DATA / f"{given.name}.npz", rows=rows, losses=np.array(losses))
    spread = np.quantile(losses, [0, 0.1, 0.5, 0.9])
    print(f"{given.name}: {time.monotonic() - began:.0f} s, losses {spread.round(4).tolist()}")


if __name__ == "__main__":
    main()
