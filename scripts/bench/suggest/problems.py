"""The problems of the benchmark: each a space in hpsearch's words and a loss of its points.

Three families, each split into problems for tuning (`dev`) and problems only for the report
(`test`):

- `black-box`: COCO's bbob and bbob-mixint (Hansen et al., *COCO: a platform for comparing
  continuous optimizers in a black-box setting*, 2021), whose optima are known.
- `conditional`: synthetic spaces whose parameters depend on choices, in several structures.
- `real`: scikit-learn models; smooth stand-ins fitted to tables of real runs (see tables.py), or
  trained on the spot.

And, by themselves, `keras`: networks of which every point was trained (see trained.py).
"""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch import choice, integer, loguniform, maybe, uniform
from hpsearch.space import Parameters, space_of

Point = dict[str, Any]
Loss = Callable[[Point], float]  # NaN is a failure


@dataclass(frozen=True)
class Problem:
    """A problem, made when it is asked for.

    Attributes:
        make: returns the words of the space and the loss of a point.
        best: the least loss there is, None where it is not known: then the least that was ever seen.
    """

    name: str
    family: str
    split: str
    make: Callable[[], tuple[dict[str, Any], Loss, float | None]]

    def parts(self) -> tuple[Parameters, Loss, float | None]:
        words, loss, best = self.make()
        return space_of(words)[0], loss, best


def bbob(function: int, dimension: int, instance: int = 1) -> Callable[[], Any]:
    """A function of COCO's noiseless suite."""

    def make() -> Any:
        problem, best = _coco("bbob", function, dimension, instance)
        labels = [f"x{i}" for i in range(dimension)]
        words = {label: uniform(-5, 5) for label in labels}
        return words, lambda point: float(problem([point[label] for label in labels])), best

    return make


def mixint(function: int, dimension: int, instance: int = 1) -> Callable[[], Any]:
    """A function of COCO's mixed-integer suite."""

    def make() -> Any:
        problem, best = _coco("bbob-mixint", function, dimension, instance)
        whole = problem.number_of_integer_variables
        words: dict[str, Any] = {}
        for i, (low, high) in enumerate(
            zip(problem.lower_bounds, problem.upper_bounds, strict=True)
        ):
            words[f"x{i}"] = (
                integer(int(low), int(high)) if i < whole else uniform(float(low), float(high))
            )
        labels = list(words)
        return words, lambda point: float(problem([point[label] for label in labels])), best

    return make


_SUITES: dict[tuple[str, int], Any] = {}


def _coco(suite: str, function: int, dimension: int, instance: int) -> tuple[Any, float]:
    """The problem and its least value: COCO tells the best parameters only by way of a file."""
    import cocoex

    if (suite, instance) not in _SUITES:
        _SUITES[suite, instance] = cocoex.Suite(
            suite, f"instances: {instance}", "dimensions: 5,10,20"
        )
    problem = _SUITES[suite, instance].get_problem_by_function_dimension_instance(
        function, dimension, instance
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        problem._best_parameter("print")
        (found,) = Path(folder).iterdir()
        at = np.loadtxt(found)[:dimension]
    return problem, float(problem(at))


class Bowl:
    """A loss of shares in [0, 1] with its least value 0 at a drawn place: not the middle.

    A sum of powers between 1.2 and 3 of distances, with drawn weights over two powers of ten, and
    products of pairs: few parameters matter much, and some only together.
    """

    def __init__(self, labels: list[str], rng: np.random.Generator) -> None:
        self.labels = labels
        count = len(labels)
        self.at = rng.uniform(0.08, 0.92, count)
        self.weights = 10.0 ** rng.uniform(-1.5, 0.5, count)
        self.powers = rng.uniform(1.2, 3.0, count)
        self.mixed = (
            [
                (*rng.choice(count, 2, replace=False), 10.0 ** rng.uniform(-1, 0.3))
                for _ in range(count // 2)
            ]
            if count > 1
            else []
        )

    def __call__(self, shares: dict[str, float]) -> float:
        away = np.array([shares[label] for label in self.labels]) - self.at
        total = float((self.weights * np.abs(away) ** self.powers).sum())
        for i, j, weight in self.mixed:
            total += weight * float(abs(away[int(i)] + away[int(j)]))
        return total


def log_share(value: float, low: float, high: float) -> float:
    return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))


OPTIMIZERS = {"sgd": 0.15, "adam": 0.0, "rmsprop": 0.05}


def nn_tree(seed: int) -> Callable[[], Any]:
    """Like a network: depth decides which layers there are, the optimizer which knobs it has."""

    def make() -> Any:
        rng = np.random.default_rng(seed)
        depths = range(1, 5)
        words: dict[str, Any] = {
            "depth": choice(
                {
                    f"d{depth}": {
                        f"layer{i}": {
                            "units": integer(16, 512, log=True, name=f"d{depth}.units{i}"),
                            "dropout": uniform(0, 0.7, name=f"d{depth}.dropout{i}"),
                        }
                        for i in range(depth)
                    }
                    for depth in depths
                },
                name="depth",
            ),
            "activation": choice(["relu", "gelu", "tanh", "selu"], name="activation"),
            "batch": choice([16, 32, 64, 128, 256], name="batch"),
            "optimizer": choice(
                {
                    "sgd": {
                        "lr": loguniform(1e-4, 1, name="sgd.lr"),
                        "momentum": uniform(0, 0.99, name="sgd.momentum"),
                    },
                    "adam": {
                        "lr": loguniform(1e-5, 1e-1, name="adam.lr"),
                        "beta": uniform(0.8, 0.999, name="adam.beta"),
                    },
                    "rmsprop": {"lr": loguniform(1e-5, 1e-1, name="rmsprop.lr")},
                },
                name="optimizer",
            ),
        }
        base = dict(
            zip((f"d{d}" for d in depths), rng.permutation([0.0, 0.08, 0.2, 0.35]), strict=True)
        )
        kind = dict(
            zip(
                ["relu", "gelu", "tanh", "selu"],
                rng.permutation([0.0, 0.03, 0.1, 0.2]),
                strict=True,
            )
        )
        extra = dict(zip(OPTIMIZERS, rng.permutation([0.0, 0.06, 0.15]), strict=True))
        batch_at = rng.uniform(0.1, 0.9)
        layers = {
            f"d{depth}": Bowl([f"{k}{i}" for i in range(depth) for k in ("units", "dropout")], rng)
            for depth in depths
        }
        knobs = {
            "sgd": Bowl(["lr", "momentum"], rng),
            "adam": Bowl(["lr", "beta"], rng),
            "rmsprop": Bowl(["lr"], rng),
        }
        ranges = {"sgd": (1e-4, 1.0), "adam": (1e-5, 1e-1), "rmsprop": (1e-5, 1e-1)}

        def loss(point: Point) -> float:
            depth, optimizer = point["depth"], point["optimizer"]
            shares = {}
            for i in range(int(depth[1:])):
                shares[f"units{i}"] = log_share(point[f"{depth}.units{i}"], 16, 512)
                shares[f"dropout{i}"] = point[f"{depth}.dropout{i}"] / 0.7
            low, high = ranges[optimizer]
            lr = log_share(point[f"{optimizer}.lr"], low, high)
            own = {"lr": lr}
            if optimizer == "sgd":
                own["momentum"] = point["sgd.momentum"] / 0.99
            if optimizer == "adam":
                own["beta"] = (point["adam.beta"] - 0.8) / 0.199
            batch = log_share(point["batch"], 16, 256)
            coupled = 0.4 * abs((batch - batch_at) - 0.5 * (lr - knobs[optimizer].at[0]))
            return float(
                base[depth]
                + kind[point["activation"]]
                + extra[optimizer]
                + 0.5 * layers[depth](shares) / int(depth[1:])
                + 2.0 * knobs[optimizer](own)
                + coupled
            )

        return words, loss, None

    return make


def cash(seed: int, count: int) -> Callable[[], Any]:
    """Which of several algorithms, each with one to five parameters of its own."""

    def make() -> Any:
        rng = np.random.default_rng(seed)
        names = [f"a{i}" for i in range(count)]
        bowls, options = {}, {}
        for name in names:
            labels = [f"{name}.p{i}" for i in range(int(rng.integers(1, 6)))]
            bowls[name] = Bowl(labels, rng)
            options[name] = {
                label: loguniform(1e-4, 1, name=label)
                if rng.random() < 0.5
                else uniform(0, 1, name=label)
                for label in labels
            }
        logs = {label for option in options.values() for label, w in option.items() if w.log}
        floors = dict(zip(names, np.sort(rng.exponential(0.25, count)), strict=True))
        floors[names[0]] = 0.0
        slopes = dict(zip(names, rng.uniform(0.5, 2.0, count), strict=True))
        order = rng.permutation(count)
        floors = {names[order[i]]: floors[names[i]] for i in range(count)}

        def loss(point: Point) -> float:
            name = point["algorithm"]
            shares = {
                label: log_share(point[label], 1e-4, 1) if label in logs else point[label]
                for label in bowls[name].labels
            }
            return float(floors[name] + slopes[name] * bowls[name](shares))

        return {"algorithm": choice(options, name="algorithm")}, loss, 0.0

    return make


def shared(seed: int) -> Callable[[], Any]:
    """Parameters that every branch shares, best elsewhere in each branch."""

    def make() -> Any:
        rng = np.random.default_rng(seed)
        kinds = ["dense", "conv", "attention"]
        words: dict[str, Any] = {
            "lr": loguniform(1e-5, 1e-1, name="lr"),
            "decay": loguniform(1e-7, 1e-2, name="decay"),
            "smoothing": uniform(0, 0.3, name="smoothing"),
            "kind": choice(
                {
                    "dense": {
                        "units": integer(8, 256, log=True, name="units"),
                        "norm": maybe(
                            {"momentum": uniform(0.5, 0.999, name="momentum")}, name="norm"
                        ),
                    },
                    "conv": {
                        "filters": integer(4, 64, log=True, name="filters"),
                        "kernel": integer(1, 7, name="kernel"),
                    },
                    "attention": {
                        "heads": integer(1, 12, name="heads"),
                        "key": integer(8, 128, step=8, name="key"),
                        "drop": uniform(0, 0.5, name="drop"),
                    },
                },
                name="kind",
            ),
        }
        common = {kind: Bowl(["lr", "decay", "smoothing"], rng) for kind in kinds}
        own = {
            "dense": Bowl(["units"], rng),
            "conv": Bowl(["filters", "kernel"], rng),
            "attention": Bowl(["heads", "key", "drop"], rng),
        }
        floors = dict(zip(kinds, rng.permutation([0.0, 0.1, 0.25]), strict=True))
        normed = float(rng.uniform(-0.1, 0.1))
        moment = float(rng.uniform(0.1, 0.9))

        def loss(point: Point) -> float:
            kind = point["kind"]
            total = floors[kind] + common[kind](
                {
                    "lr": log_share(point["lr"], 1e-5, 1e-1),
                    "decay": log_share(point["decay"], 1e-7, 1e-2),
                    "smoothing": point["smoothing"] / 0.3,
                }
            )
            if kind == "dense":
                total += own[kind]({"units": log_share(point["units"], 8, 256)})
                if point["norm"]:
                    total += normed + 0.3 * abs((point["momentum"] - 0.5) / 0.499 - moment)
            elif kind == "conv":
                total += own[kind](
                    {
                        "filters": log_share(point["filters"], 4, 64),
                        "kernel": (point["kernel"] - 1) / 6,
                    }
                )
            else:
                total += own[kind](
                    {
                        "heads": (point["heads"] - 1) / 11,
                        "key": (point["key"] - 8) / 120,
                        "drop": point["drop"] / 0.5,
                    }
                )
            return float(total)

        return words, loss, None

    return make


def deep(seed: int) -> Callable[[], Any]:
    """Forty parameters, choices three deep: at most about ten are active together."""

    def make() -> Any:
        rng = np.random.default_rng(seed)
        losses: list[tuple[tuple[tuple[str, str], ...], str, float, float]] = []
        floors: dict[tuple[str, str], float] = {}

        def knobs(prefix: str, count: int) -> dict[str, Any]:
            return {f"{prefix}.k{i}": uniform(0, 1, name=f"{prefix}.k{i}") for i in range(count)}

        def branch(prefix: str, depth: int) -> dict[str, Any]:
            found = knobs(prefix, 2)
            for label in found:
                losses.append(
                    ((), label, float(rng.uniform(0.05, 0.95)), 10 ** rng.uniform(-1, 0.3))
                )
            if depth:
                name = f"{prefix}.c"
                keys = ["l", "m", "r"][: 3 if depth == 2 else 2]
                for key, floor in zip(
                    keys, rng.permutation([0.0, 0.15, 0.4][: len(keys)]), strict=True
                ):
                    floors[name, key] = float(floor)
                found[name] = choice(
                    {key: branch(f"{prefix}{key}", depth - 1) for key in keys}, name=name
                )
            return found

        words = {"left": branch("a", 2), "right": branch("b", 2)}
        known = {label: (at, weight) for _, label, at, weight in losses}

        def loss(point: Point) -> float:
            total = 0.0
            for label, value in point.items():
                if label in known:
                    at, weight = known[label]
                    total += weight * abs(value - at) ** 1.5
                else:
                    total += floors[label, value]
            return total

        return words, loss, 0.0

    return make


def _table(name: str) -> Callable[[], Any]:
    def make() -> Any:
        from tables import load

        return load(name)

    return make


def svr_diabetes() -> Any:
    """Support vector regression on the diabetes data, trained for each point: 5 folds."""
    from sklearn.datasets import load_diabetes
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    x, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    words = {
        "C": loguniform(1e-3, 1e3, name="C"),
        "epsilon": loguniform(1e-3, 1, name="epsilon"),
        "kernel": choice(
            {
                "rbf": {"gamma": loguniform(1e-5, 10, name="rbf.gamma")},
                "poly": {
                    "gamma": loguniform(1e-5, 10, name="poly.gamma"),
                    "degree": integer(2, 4, name="degree"),
                    "coef0": uniform(0, 2, name="coef0"),
                },
                "linear": {},
            },
            name="kernel",
        ),
    }

    def loss(point: Point) -> float:
        kernel = point["kernel"]
        more = {"gamma": point[f"{kernel}.gamma"]} if kernel != "linear" else {}
        if kernel == "poly":
            more |= {"degree": point["degree"], "coef0": point["coef0"]}
        model = SVR(C=point["C"], epsilon=point["epsilon"], kernel=kernel, max_iter=3_000, **more)
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = cross_val_score(
                make_pipeline(StandardScaler(), model),
                x,
                y,
                cv=KFold(5, shuffle=True, random_state=0),
                scoring="neg_mean_squared_error",
            )
        return float(min(-scores.mean(), 10.0))

    return words, loss, None


def ridge_diabetes() -> Any:
    """Kernel ridge regression on the diabetes data with a length scale for each column: 12 parameters."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    y = (y - y.mean()) / y.std()
    parts = np.array_split(np.random.default_rng(0).permutation(len(x)), 5)
    apart = ((x[:, None] - x[None]) ** 2).transpose(2, 0, 1).reshape(x.shape[1], -1)
    words = {
        "alpha": loguniform(1e-4, 100, name="alpha"),
        "power": uniform(0.5, 2, name="power"),
        **{f"scale{i}": loguniform(1e-3, 10, name=f"scale{i}") for i in range(x.shape[1])},
    }

    def loss(point: Point) -> float:
        scales = np.array([point[f"scale{i}"] for i in range(x.shape[1])])
        squares = (scales**2 @ apart).reshape(len(x), len(x))
        kernel = np.exp(-(squares ** (point["power"] / 2)))
        errors = []
        for part in parts:
            rest = np.setdiff1d(np.arange(len(x)), part)
            inner = kernel[np.ix_(rest, rest)] + point["alpha"] * np.eye(len(rest))
            solved = np.linalg.solve(inner, y[rest])
            errors.append(((kernel[np.ix_(part, rest)] @ solved - y[part]) ** 2).mean())
        return float(np.mean(errors))

    return words, loss, None


ADAM_RATES = [0.0001, 0.0003, 0.001, 0.003, 0.01]
SGD_RATES = [0.01, 0.03, 0.1, 0.3, 1.0]


def _optimizers() -> Any:
    return choice(
        {
            "adam": {"rate": choice(ADAM_RATES, name="adam.rate")},
            "sgd": {
                "rate": choice(SGD_RATES, name="sgd.rate"),
                "momentum": choice([0.0, 0.9], name="momentum"),
            },
        },
        name="optimizer",
    )


def keras_words(name: str) -> dict[str, Any]:
    """The space of networks of which trained.py trains every point."""
    digits = name == "digits"
    return {
        "depth": integer(1, 3, name="depth"),
        "units": choice([16, 64, 256] if digits else [32, 128], name="units"),
        "activation": choice(["relu", "tanh"], name="activation"),
        "dropout": choice([0.0, 0.3], name="dropout"),
        "optimizer": _optimizers(),
        "batch": choice([16, 64] if digits else [32, 128], name="batch"),
    }


def grid_words() -> dict[str, Any]:
    """The space of networks of which grids.py trains every point."""
    return {
        "depth": integer(1, 3, name="depth"),
        "units": choice([8, 32, 128], name="units"),
        "activation": choice(["relu", "tanh"], name="activation"),
        "alpha": choice([0.0001, 0.1], name="alpha"),
        "optimizer": _optimizers(),
        "batch": choice([16, 64], name="batch"),
    }


def _trained(file: str, words: Callable[[], dict[str, Any]]) -> Callable[[], Any]:
    """Networks of which every point was trained: the mean over seeds, NaN where one failed."""

    def make() -> Any:
        text = (Path(__file__).parent / "data" / f"{file}.json").read_text()
        losses = {
            key_of(point): math.nan if None in values else float(np.mean(values))
            for point, values in json.loads(text)["trials"]
        }
        best = float(np.nanmin([*losses.values()]))
        return words(), lambda point: losses[key_of(point)], best

    return make


def write_trained(file: Path, packages: Iterable[str], trials: Iterable[Any]) -> None:
    """Write points with their losses by seed, a line each, and the versions that trained them."""
    versions = {name: version(name) for name in packages}
    lines = ",\n".join(map(json.dumps, trials))
    file.write_text(f'{{"versions": {json.dumps(versions)}, "trials": [\n{lines}\n]}}\n')


def key_of(point: Point) -> str:
    return json.dumps(point, sort_keys=True)


PROBLEMS = [
    Problem("bbob f6 d5", "black-box", "dev", bbob(6, 5)),
    Problem("bbob f13 d5", "black-box", "dev", bbob(13, 5)),
    Problem("bbob f22 d5", "black-box", "dev", bbob(22, 5)),
    Problem("bbob f2 d10", "black-box", "dev", bbob(2, 10)),
    Problem("bbob f17 d10", "black-box", "dev", bbob(17, 10)),
    Problem("mixint f3 d10", "black-box", "dev", mixint(3, 10)),
    Problem("nn_tree 1", "conditional", "dev", nn_tree(1)),
    Problem("cash 2", "conditional", "dev", cash(2, 4)),
    Problem("shared 4", "conditional", "dev", shared(4)),
    Problem("deep 5", "conditional", "dev", deep(5)),
    Problem("bbob f9 d5", "black-box", "dev", bbob(9, 5)),
    Problem("bbob f16 d5", "black-box", "dev", bbob(16, 5)),
    Problem("mixint f7 d5", "black-box", "dev", mixint(7, 5)),
    Problem("cash 12", "conditional", "dev", cash(12, 7)),
    Problem("nn_tree 11", "conditional", "dev", nn_tree(11)),
    Problem("shared 14", "conditional", "dev", shared(14)),
    Problem("svm wine", "real", "dev", _table("svm_wine")),
    Problem("gbdt wine", "real", "dev", _table("gbdt_wine")),
    Problem("mlp wine", "real", "dev", _table("mlp_wine")),
    Problem("cash cancer", "real", "dev", _table("cash_cancer")),
    Problem("grid cancer", "real", "dev", _trained("grid_cancer", grid_words)),
    Problem("grid wine", "real", "dev", _trained("grid_wine", grid_words)),
    Problem("bbob f8 d5", "black-box", "test", bbob(8, 5)),
    Problem("bbob f15 d5", "black-box", "test", bbob(15, 5)),
    Problem("bbob f21 d5", "black-box", "test", bbob(21, 5)),
    Problem("bbob f3 d10", "black-box", "test", bbob(3, 10)),
    Problem("bbob f10 d10", "black-box", "test", bbob(10, 10)),
    Problem("bbob f20 d10", "black-box", "test", bbob(20, 10)),
    Problem("mixint f8 d5", "black-box", "test", mixint(8, 5)),
    Problem("mixint f15 d10", "black-box", "test", mixint(15, 10)),
    Problem("nn_tree 101", "conditional", "test", nn_tree(101)),
    Problem("cash 102", "conditional", "test", cash(102, 6)),
    Problem("deep 103", "conditional", "test", deep(103)),
    Problem("shared 104", "conditional", "test", shared(104)),
    Problem("mlp digits", "real", "test", _table("mlp_digits")),
    Problem("svm digits", "real", "test", _table("svm_digits")),
    Problem("cash digits", "real", "test", _table("cash_digits")),
    Problem("gbdt cancer", "real", "test", _table("gbdt_cancer")),
    Problem("svr diabetes", "real", "test", svr_diabetes),
    Problem("ridge diabetes", "real", "test", ridge_diabetes),
    Problem(
        "keras digits", "keras", "keras", _trained("keras_digits", lambda: keras_words("digits"))
    ),
    Problem("keras mnist", "keras", "keras", _trained("keras_mnist", lambda: keras_words("mnist"))),
]

NAMED = {problem.name: problem for problem in PROBLEMS}
