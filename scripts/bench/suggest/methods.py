"""The searchers that are compared, each asked and told as its own users do."""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from hpsearch.declare import Choice, Integer, Maybe, Uniform
from hpsearch.space import Parameter, Parameters
from hpsearch.suggest import Compiled, make
from hpsearch.trial import Observation

__all__ = ["METHODS", "Method", "optuna_asked"]

Point = dict[str, Any]


class Search(Protocol):
    """One search. Several points may be asked for before the first is told."""

    def ask(self) -> tuple[Any, Point] | None:
        """What to tell the loss by, and the point; None if nothing is left."""

    def tell(self, by: Any, loss: float) -> None:
        """The loss, NaN for a failure."""


Method = Callable[[Parameters, int], Search]


class Ours:
    """An algorithm of hpsearch, asked as its driver does."""

    def __init__(self, name: str, parameters: Parameters, seed: int) -> None:
        self.algorithm, self.seed = make(name, parameters), seed
        self.history: list[Observation] = []
        self.running: dict[int, Observation] = {}
        self.numbers = itertools.count()

    def ask(self) -> tuple[int, Point] | None:
        number, pending = next(self.numbers), list(self.running.values())
        found = self.algorithm(self.history, pending, number, self.seed)
        if found is None:
            return None
        self.running[number] = Observation(number, found.point, None)
        return number, found.point

    def tell(self, by: int, loss: float) -> None:
        ended = None if math.isnan(loss) else loss
        self.history.append(Observation(by, self.running.pop(by).point, ended))
        self.history.sort(key=lambda trial: trial.number)


class Hyperopt:
    """`tpe.suggest` with its own settings, its trials and seeds handled as `fmin` does."""

    def __init__(self, parameters: Parameters, seed: int) -> None:
        import hyperopt
        from hyperopt.base import Domain

        self.compiled, self.trials = Compiled(parameters), hyperopt.Trials()
        self.domain = Domain(lambda expression: 0.0, self.compiled.expression)
        self.random = np.random.default_rng(seed)

    def ask(self) -> tuple[Any, Point]:
        import hyperopt

        ids = self.trials.new_trial_ids(1)
        self.trials.refresh()
        seed = self.random.integers(2**31 - 1)
        with np.errstate(all="ignore"):
            documents = hyperopt.tpe.suggest(ids, self.domain, self.trials, seed, verbose=False)
        self.trials.insert_trial_docs(documents)
        self.trials.refresh()
        (document,) = (d for d in self.trials._dynamic_trials if d["tid"] == documents[0]["tid"])
        document["state"] = hyperopt.JOB_STATE_RUNNING
        raws = {label: v[0] for label, v in document["misc"]["vals"].items() if len(v)}
        return document, self.compiled.decode_point(raws)

    def tell(self, by: Any, loss: float) -> None:
        import hyperopt

        ok = {"status": hyperopt.STATUS_OK, "loss": loss}
        by["result"] = {"status": hyperopt.STATUS_FAIL} if math.isnan(loss) else ok
        by["state"] = hyperopt.JOB_STATE_DONE
        self.trials.refresh()


class Optuna:
    """`TPESampler`, the space defined by running."""

    def __init__(self, options: dict[str, Any], parameters: Parameters, seed: int) -> None:
        import optuna

        self.options = options
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # multivariate and group are marked experimental
            sampler = optuna.samplers.TPESampler(seed=seed, **options)
        self.study, self.parameters = optuna.create_study(sampler=sampler), parameters

    def ask(self) -> tuple[Any, Point]:
        trial = self.study.ask()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return trial, self.parameters.complete(functools.partial(optuna_asked, trial))

    def tell(self, by: Any, loss: float) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NaN is a failure to it, of which it warns
            self.study.tell(by, loss)


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


METHODS: dict[str, Method] = {
    "auto": functools.partial(Ours, "auto"),
    "fast": functools.partial(Ours, "fast"),
    "hyperopt tpe": Hyperopt,
    "Optuna TPE": functools.partial(Optuna, {}),
    "Optuna mv+group": functools.partial(Optuna, {"multivariate": True, "group": True}),
    "random": functools.partial(Ours, "random"),
}
"""By name: what makes a search from the parameters and a seed."""
