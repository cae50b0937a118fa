"""hyperopt's own algorithms (`tpe`, `random`, `anneal`) as pure functions of the history."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

import numpy as np
from hyperopt import anneal, rand, tpe
from hyperopt.base import (
    JOB_STATE_DONE,
    JOB_STATE_RUNNING,
    STATUS_FAIL,
    STATUS_OK,
    STATUS_RUNNING,
    Trials,
    trials_from_docs,
)

from ..space import Parameters
from ..trial import Observation, Suggestion, Why, finite
from .compiled import Compiled
from .legal import first_legal
from .told import common

__all__ = ["STARTUP", "Drawn", "anneal_of", "draw_seed", "random_of", "tpe_of"]

STARTUP = 20  # trials that hyperopt's tpe wants to have seen, its own default; before, it is random
CANDIDATES = 24  # hyperopt's own default for tpe: it proposes the best of so many
MOST_GUIDED = 50  # rejected draws of an algorithm after which the prior is drawn from

Row = tuple[Observation, bool]  # (trial, whether it still runs)
_EMPTY = Trials()  # only for its `new_trial_docs`, which knows the fields of a document


@final
class Drawn:
    """An `Algorithm` that asks one of hyperopt's.

    An algorithm that has learnt what is good may propose the same illegal corner for ever, so
    each draw that the constraints reject is followed by a less greedy one, at last by the prior.

    Args:
        suggest: hyperopt's function ``(new_ids, domain, trials, seed) -> [document]``, which is
            also told the number of the attempt.
        source: what its suggestions are said to come from; see `Why`.
        learns_from: the least number of trials that it learns from: with fewer it draws at
            random. None: it never looks at the trials.
    """

    def __init__(
        self,
        parameters: Parameters,
        suggest: Callable[..., Any],
        *,
        source: str,
        learns_from: int | None = None,
    ) -> None:
        self._parameters = parameters
        self._compiled = Compiled(parameters)
        self._suggest = suggest
        self._source = source
        self._least = learns_from or 0
        self._documents = None if learns_from is None else _Documents(self._compiled)

    def __call__(
        self,
        history: Sequence[Observation],
        pending: Sequence[Observation],
        number: int,
        seed: int,
    ) -> Suggestion | None:
        """Suggest trial `number`.

        Raises:
            SearchStopped: if 1,000 draws violate the constraints.
        """
        documents = [] if self._documents is None else self._documents.of(history, pending)
        trials = trials_from_docs(documents, validate=False)
        draws = self._draws(trials, number, seed)
        return first_legal(lambda draw: self._parameters.violated(draw.point), draws)

    def _draws(self, trials: Trials, number: int, seed: int) -> Iterator[Suggestion]:
        for attempt in itertools.count():
            own = draw_seed(seed, number, attempt)
            point = self._compiled.decode_point(self._draw(trials, own, attempt))
            guided = attempt < MOST_GUIDED and len(trials) >= self._least
            yield Suggestion(point, Why(self._source if guided else "random"))

    def _draw(self, trials: Trials, seed: int, attempt: int) -> dict[str, Any]:
        """Return the raw values of one suggestion; hyperopt cannot handle a space without labels."""
        if not self._compiled.labels:
            return {}
        suggest = self._suggest if attempt < MOST_GUIDED else _random
        with np.errstate(all="ignore"):  # tpe takes the logarithm of densities that are 0
            (document,) = suggest([len(trials)], self._compiled.domain, trials, seed, attempt)
        vals = document["misc"]["vals"]
        return {label: found[0] for label, found in vals.items() if len(found)}


def tpe_of(parameters: Parameters) -> Drawn:
    """hyperopt's tree of Parzen estimators, with its own settings; 20 random trials first."""
    return Drawn(parameters, _tpe, source="tpe", learns_from=STARTUP)


def random_of(parameters: Parameters) -> Drawn:
    """Independent draws."""
    return Drawn(parameters, _random, source="random")


def anneal_of(parameters: Parameters) -> Drawn:
    """hyperopt's annealing: draws ever closer to the best trials."""
    return Drawn(parameters, _anneal, source="anneal", learns_from=1)


def _tpe(ids: list[int], domain: Any, trials: Trials, seed: int, attempt: int) -> Any:
    """With fewer candidates tpe's choice is less greedy; with one it draws from its good density."""
    candidates = max(CANDIDATES >> attempt, 1)
    return tpe.suggest(
        ids,
        domain,
        trials,
        seed,
        n_startup_jobs=STARTUP,
        n_EI_candidates=candidates,
        verbose=False,
    )


def _random(ids: list[int], domain: Any, trials: Trials, seed: int, attempt: int) -> Any:
    return rand.suggest(ids, domain, trials, seed)


def _anneal(ids: list[int], domain: Any, trials: Trials, seed: int, attempt: int) -> Any:
    return anneal.suggest(ids, domain, trials, seed)


def draw_seed(seed: int, number: int, attempt: int) -> int:
    """Return the seed of one draw: its own for every study, trial and attempt."""
    source = np.random.SeedSequence((seed % 2**64, number, attempt))
    return int(source.generate_state(1, np.uint64)[0])


@final
class _Documents:
    """Trials as hyperopt keeps them, in order of number.

    Those that have not changed since the last call are kept: making them anew for every
    suggestion would cost more than the suggestion.
    """

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._rows: list[Row] = []
        self._documents: list[dict[str, Any]] = []

    def of(
        self, history: Sequence[Observation], pending: Sequence[Observation]
    ) -> list[dict[str, Any]]:
        """Return a document for each trial."""
        rows = [*((trial, False) for trial in history), *((trial, True) for trial in pending)]
        rows.sort(key=lambda row: row[0].number)
        kept = common(self._rows, rows)
        del self._documents[kept:]
        for trial, runs in rows[kept:]:
            self._documents.append(self._document(len(self._documents), trial, runs))
        self._rows = rows
        return list(self._documents)

    def _document(self, tid: int, trial: Observation, runs: bool) -> dict[str, Any]:
        raws = self._compiled.encode_point(trial.point)
        vals = {label: [raws[label]] if label in raws else [] for label in self._compiled.labels}
        misc = {
            "tid": tid,
            "cmd": None,
            "workdir": None,
            "idxs": {label: [tid] if found else [] for label, found in vals.items()},
            "vals": vals,
        }
        (document,) = _EMPTY.new_trial_docs([tid], [None], [_result(trial, runs)], [misc])
        document["state"] = JOB_STATE_RUNNING if runs else JOB_STATE_DONE
        return dict(document)


def _result(trial: Observation, runs: bool) -> dict[str, Any]:
    """A failure has no `loss` key: that is what tpe and anneal take for the worst outcome.

    With NaN or an error state they would drop the trial and go on proposing what fails.
    """
    if runs:
        return {"status": STATUS_RUNNING}
    if trial.loss is None or not finite(trial.loss):
        return {"status": STATUS_FAIL}
    return {"status": STATUS_OK, "loss": float(trial.loss)}
