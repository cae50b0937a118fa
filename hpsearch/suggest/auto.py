"""`auto`: our own search algorithm, as a pure function of the history."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import final

import numpy as np

from ..space import Parameters
from ..trial import Observation, Suggestion, finite
from .coded import Coded
from .codes import Codes
from .paces import THOROUGH, Pace
from .searcher import Searcher
from .told import Told, common

__all__ = ["Auto"]


_NUMBER = operator.attrgetter("number")


@final
class Auto:
    """An `Algorithm` that asks a `Searcher`.

    Args:
        pace: how much is computed for each suggestion.
        repeats: whether a point that was tried may be suggested again.
        earlier: trials of an earlier study to start from; labels in common are used.
    """

    def __init__(
        self,
        parameters: Parameters,
        *,
        pace: Pace = THOROUGH,
        repeats: bool = False,
        earlier: Sequence[Observation] = (),
    ) -> None:
        self._parameters = parameters
        self._coded = Coded(parameters)
        self._searcher = Searcher(
            self._coded.columns,
            self._violated if parameters.require else None,
            pace=pace,
            repeats=repeats,
            earlier=self._known(earlier) if earlier else None,
        )
        self._told = Told(self._coded.columns)
        self._seen: list[Observation] = []

    def __call__(
        self,
        history: Sequence[Observation],
        pending: Sequence[Observation],
        number: int,
        seed: int,
    ) -> Suggestion | None:
        """Suggest trial `number`, None if all points of a finite space were tried.

        Raises:
            SearchStopped: if 1,000 suggestions violate the constraints.
        """
        self._learn(history)
        rows = [self._coded.row(trial.point) for trial in sorted(pending, key=_NUMBER)]
        running = np.array(rows).reshape(len(rows), len(self._coded.columns))
        found = self._searcher.suggest(self._told, running, number, seed)
        return (
            None
            if found is None
            else Suggestion(self._coded.point(found.row), found.why(self._told))
        )

    def _violated(self, row: Codes) -> str | None:
        return self._parameters.violated(self._coded.point(row))

    def _known(self, earlier: Sequence[Observation]) -> Told:
        """Trials of another study as rows on our columns.

        It may not have had the choice under which its parameters stand here.
        """
        columns = self._coded.columns
        told = Told(columns)
        for trial in filter(self._is_of_these, earlier):
            row = columns.reached(self._coded.row(trial.point)[None])
            row = columns.blanked(row)[0]
            if not np.isnan(row).all():
                told.add(trial.number, row, _loss(trial))
        return told

    def _is_of_these(self, trial: Observation) -> bool:
        """Whether it is of what is searched now: a study may go on with other fixed values."""
        return self._parameters.agrees(trial.point)

    def _learn(self, history: Sequence[Observation]) -> None:
        """Take in what is new; forget what is no longer as it was."""
        kept = common(self._seen, history)
        if kept < len(self._seen) or not _ascending(history[max(kept - 1, 0) :]):
            history = sorted(history, key=_NUMBER)
            kept = common(self._seen, history)
        if kept < len(self._seen):
            fixed = bool(self._parameters.fixed)
            count = sum(map(self._is_of_these, self._seen[:kept])) if fixed else kept
            self._told.cut(count)
            self._searcher.forget(self._told)
            del self._seen[kept:]
        for trial in history[kept:]:
            if self._is_of_these(trial):
                self._told.add(trial.number, self._coded.row(trial.point), _loss(trial))
            self._seen.append(trial)


def _loss(trial: Observation) -> float:
    """Its loss, NaN for a failure."""
    return math.nan if trial.loss is None or not finite(trial.loss) else float(trial.loss)


def _ascending(trials: Sequence[Observation]) -> bool:
    return all(a.number < b.number for a, b in itertools.pairwise(trials))
