"""Trials to a good point: hpsearch against hyperopt and Optuna, on problems nobody tuned for us.

    python scripts/bench/suggest/run.py [--methods auto hyperopt ...] [--split test] [--seeds 20]
        [--trials 200] [--jobs 2] [--out DIR]

Each run writes the best loss so far after each trial as one line of JSON; what is there already is
not run again, so that a long benchmark can be interrupted. report.py makes the tables.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from problems import NAMED, PROBLEMS, Loss, Point
from threadpoolctl import threadpool_limits

from hpsearch.declare import Choice, Integer, Maybe, Uniform
from hpsearch.space import Parameter, Parameters
from hpsearch.suggest import make
from hpsearch.trial import Observation

Method = Callable[[Parameters, Loss, int, int], Iterator[float]]


def ours(name: str, **options: Any) -> Method:
    """An algorithm of hpsearch, asked as its driver does."""

    def run(parameters: Parameters, loss: Loss, trials: int, seed: int) -> Iterator[float]:
        algorithm, history = make(name, parameters), []
        for number in range(trials):
            point = algorithm(history, [], number, seed)
            if point is None:
                return
            history.append(Observation(number, point.point, loss(point.point)))
            yield history[-1].loss

    return run


def hyperopt_tpe(parameters: Parameters, loss: Loss, trials: int, seed: int) -> Iterator[float]:
    """`fmin` with `tpe.suggest` and its own settings."""
    import hyperopt

    from hpsearch.suggest import Compiled

    compiled = Compiled(parameters)
    found: list[float] = []

    def of(expression: Any) -> float:
        raws: dict[str, Any] = {}
        _leaves(expression, raws)
        found.append(loss(compiled.decode_point(raws)))
        return found[-1]

    with np.errstate(all="ignore"):
        hyperopt.fmin(
            of,
            compiled.expression,
            algo=hyperopt.tpe.suggest,
            max_evals=trials,
            rstate=np.random.default_rng(seed),
            show_progressbar=False,
            verbose=False,
        )
    yield from found


def _leaves(expression: Any, raws: dict[str, Any]) -> None:
    for key, item in expression.items():
        if isinstance(item, dict):
            _leaves(item, raws)
        elif item is not None or " " not in key:
            raws[key] = item


def optuna_tpe(**options: Any) -> Method:
    """Optuna's `TPESampler`, the space defined by running."""

    def run(parameters: Parameters, loss: Loss, trials: int, seed: int) -> Iterator[float]:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # multivariate and group are marked experimental
            sampler = optuna.samplers.TPESampler(seed=seed, **options)
            study = optuna.create_study(sampler=sampler)
            for _ in range(trials):
                trial = study.ask()
                point = parameters.complete(lambda p, t=trial: optuna_asked(t, p))
                found = loss(point)
                study.tell(trial, found)
                yield found

    return run


def optuna_asked(trial: Any, parameter: Parameter) -> Any:
    """The value that Optuna suggests for a parameter, by the call that its users write."""
    word, label = parameter.word, parameter.label
    match word:
        case Choice() | Maybe():
            return trial.suggest_categorical(label, list(word.points))
        case Integer():
            step = {} if word.log else {"step": word.step}
            return trial.suggest_int(label, word.low, word.high, log=word.log, **step)
        case Uniform():
            step = {} if word.log else {"step": word.step}
            return trial.suggest_float(label, word.low, word.high, log=word.log, **step)
    raise TypeError(f"Optuna has no distribution for {word!r}")


def drawn(parameters: Parameters, loss: Loss, trials: int, seed: int) -> Iterator[float]:
    """Independent draws from the prior."""
    algorithm = make("random", parameters)
    for number in range(trials):
        yield loss(algorithm([], [], number, seed).point)


def method_of(name: str) -> Method:
    if name in METHODS:
        return METHODS[name]
    import importlib

    def run(*given: Any) -> Iterator[float]:
        old = []
        for part in name.split(":", 1)[1].split(","):
            key, value = part.split("=")
            where, what = key.split(".")
            module = importlib.import_module(f"hpsearch.suggest.{where}")
            old.append((module, what, getattr(module, what)))
            setattr(module, what, json.loads(value))
        try:
            yield from METHODS["auto"](*given)
        finally:
            for module, what, value in old:
                setattr(module, what, value)

    return run


METHODS: dict[str, Method] = {
    "auto": ours("auto"),
    "fast": ours("fast"),
    "hyperopt tpe": hyperopt_tpe,
    "Optuna TPE": optuna_tpe(multivariate=False),
    "Optuna mv+group": optuna_tpe(multivariate=True, group=True),
    "random": drawn,
}


def one(problem: str, method: str, seed: int, trials: int) -> dict[str, Any]:
    """One run: the best loss after each trial, and CPU seconds without the problem's own."""
    parameters, loss, _ = NAMED[problem].parts()
    spent = [0.0]

    def timed(point: Point) -> float:
        began = time.process_time()
        found = loss(point)
        spent[0] += time.process_time() - began
        return found

    began = time.process_time()
    losses = list(method_of(method)(parameters, timed, trials, seed))
    seconds = time.process_time() - began - spent[0]
    best = np.minimum.accumulate(losses)
    return {
        "problem": problem,
        "method": method,
        "seed": seed,
        "seconds": round(seconds, 3),
        "best": [float(f"{value:.8g}") for value in best],
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--methods", nargs="+", default=[*METHODS])
    asked.add_argument("--split", choices=["dev", "test"], default="test")
    asked.add_argument("--problems", nargs="+", default=None)
    asked.add_argument("--seeds", type=int, default=20)
    asked.add_argument("--trials", type=int, default=200)
    asked.add_argument("--jobs", type=int, default=2)
    asked.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = asked.parse_args()
    names = given.problems or [p.name for p in PROBLEMS if p.split == given.split]
    given.out.mkdir(parents=True, exist_ok=True)
    todo = []
    for method in given.methods:
        file = given.out / f"{method.replace(' ', '_')}.jsonl"
        done = set()
        if file.exists():
            for line in file.read_text().splitlines():
                row = json.loads(line)
                if len(row["best"]) >= given.trials:
                    done.add((row["problem"], row["seed"]))
        todo += [
            (name, method, seed)
            for seed in range(given.seeds)
            for name in names
            if (name, seed) not in done
        ]
    began = time.monotonic()
    with ProcessPoolExecutor(given.jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        runs = [pool.submit(one, *job, given.trials) for job in todo]
        for count, run in enumerate(as_completed(runs), 1):
            try:
                row = run.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            with (given.out / f"{row['method'].replace(' ', '_')}.jsonl").open("a") as out:
                out.write(json.dumps(row) + "\n")
            if count % 20 == 0 or count == len(runs):
                left = (time.monotonic() - began) / count * (len(runs) - count)
                print(f"{count} of {len(runs)}, {left:.0f} s left", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
