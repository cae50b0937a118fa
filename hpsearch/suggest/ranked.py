"""Candidates for one suggestion, in the order of what a process expects of them."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from ..trial import Why
from . import moves
from .branches import Branch
from .codes import Codes
from .columns import Columns
from .earlier import Earlier
from .paces import Breadth, Pace, margin
from .surrogate import MOST_GOOD, Expected, Surrogate, Surrogates
from .told import Told, Trials

__all__ = ["FEW", "Asked", "Found", "Ranking", "Scope", "drawn"]

PARENTS = 10  # best trials that mutations start from
SHARE_GOOD = 0.15  # trials that the Parzen mixture is made of
FIRST_STEP, SHRINK = 0.1, 0.4  # of local search, in shares of the prior
WORTH_A_FAILURE = -7.0  # the logarithm of one below which what rather fails comes last
HOPELESS = -10.0  # the logarithm of an improvement below which looking for it is no use
TRIES, AT_ONCE = 1200, 200  # draws from the prior after all candidates
FEW = 32  # untried candidates below which a finite space is walked
WALKED = 512  # rows that the walk adds
BESIDE = 0.01  # how near a running trial a point comes after all others, as a share of the space


@final
@dataclass(frozen=True, slots=True)
class Found:
    """A suggested row.

    Attributes:
        source: how it came about: "start", "earlier", "prior", "parzen", "mutation" or "local".
        loss: what the process expects, None where it was not asked.
        spread: the standard deviation of that.
        improvement: how much it is expected to fall below the best mean.
        wanted: how much at least it was to fall below it.
        worse: whether the loss may as well be any worse one.
        branch: the choice of which one option was looked at alone: all of these are of its trials.
    """

    row: Codes
    source: str
    loss: float | None = None
    spread: float | None = None
    improvement: float | None = None
    wanted: float | None = None
    worse: bool = False
    branch: str | None = None

    def why(self, told: Told) -> Why:
        """The reason as it is kept with the trial."""
        number, distance = told.nearest(self.row) or (None, None)
        expected = (self.loss, self.spread, self.improvement)
        return Why(self.source, *expected, number, distance, self.wanted, self.branch, self.worse)


@final
@dataclass(frozen=True, eq=False, slots=True)
class Scope:
    """What is searched: everything, or a branch as if there were no other.

    Attributes:
        columns: of the whole space.
        trials: the ended ones in it.
        running: rows (k, columns) of those in it that run.
        surrogates: of these trials.
        branch: None for everything.
    """

    columns: Columns
    trials: Trials
    running: Codes
    surrogates: Surrogates
    branch: Branch | None = None

    @property
    def label(self) -> str | None:
        """That of the choice whose branch it is."""
        return None if self.branch is None else self.columns.labels[self.branch.column]

    def kept(self, rows: Codes) -> Codes:
        """Those of the rows that are in it."""
        return rows if self.branch is None else rows[self.branch.holds(rows)]

    def drawn(self, shares: Codes) -> Codes:
        """Rows in it for shares of the prior (n, columns)."""
        if self.branch is None:
            return self.columns.at(shares)
        return self.branch.drawn(self.columns, shares)


@final
@dataclass(frozen=True, eq=False, slots=True)
class Asked:
    """One suggestion that is asked for.

    Attributes:
        told: all ended trials.
        number: of the trial that it is for.
        turn: of the views of the losses, and of branches.
        random: what is drawn comes from it.
    """

    told: Told
    number: int
    turn: int
    random: np.random.Generator


@final
class Ranking:
    """Makes candidates, and looks on from the best of them.

    Args:
        columns: what is searched.
        violation: the name of the constraint that a row violates, None for a legal one.
        pace: how much is computed.
        repeats: whether a row that was tried may be suggested again.
        earlier: an earlier study, whose best are candidates as well.
    """

    def __init__(
        self,
        columns: Columns,
        violation: Callable[[Codes], str | None],
        *,
        pace: Pace,
        repeats: bool,
        earlier: Earlier | None,
    ) -> None:
        self._columns, self._violation, self._pace = columns, violation, pace
        self._repeats, self._earlier = repeats, earlier

    def of(self, scope: Scope, asked: Asked) -> Iterator[Found]:
        """Candidates in the order of their expected improvement, then draws from the prior."""
        columns, random, known = self._columns, asked.random, len(scope.trials)
        breadth = self._pace.breadth_of(asked.number, known, len(columns))
        model = scope.surrogates.of(scope.trials, asked.turn)
        if len(scope.running):
            model = model.believing(scope.running)
        rows, sources = self._candidates(breadth, scope, asked, model)
        expected = model.predict(rows)
        score, aim, scores = _aimed(model, expected, margin(known, asked.number))
        order = _Order(columns, self._violation, scope.running)
        for round_ in range(breadth.rounds):
            leading = itertools.islice(order.leading(rows, scores), breadth.starts)
            starts = np.repeat(np.fromiter(leading, dtype=np.intp), breadth.neighbours)
            near = moves.nearby(columns, rows[starts], FIRST_STEP * SHRINK**round_, random)
            near = scope.kept(near)
            if not len(near):
                break
            of_near = model.predict(near)
            rows, expected = np.concatenate([rows, near]), expected.joined(of_near)
            scores = np.concatenate([scores, score(of_near)])
        sources += ["local"] * (len(rows) - len(sources))
        for i in order.leading(rows, scores):
            yield Found(rows[i], sources[i], *model.outlook(expected, i, aim), scope.label)
        if scope.branch is None:
            for each in drawn(columns, random):
                outlook = model.outlook(model.predict(each.row[None]), 0, aim)
                yield Found(each.row, each.source, *outlook)

    def _candidates(
        self, breadth: Breadth, scope: Scope, asked: Asked, model: Surrogate
    ) -> tuple[Codes, list[str]]:
        """Rows, and what they come from."""
        columns, told, random = self._columns, asked.told, asked.random
        shares = random.random((breadth.prior, len(columns)))
        count = max(2, min(MOST_GOOD, math.ceil(SHARE_GOOD * len(scope.trials))))
        good = scope.trials.rows[model.least]
        parts = {
            "prior": scope.drawn(shares),
            "parzen": scope.kept(moves.parzen(columns, good[:count], breadth.parzen, random)),
            "mutation": scope.kept(moves.mutated(columns, good[:PARENTS], breadth.mutated, random)),
        }
        if self._earlier is not None:
            parts["earlier"] = scope.kept(self._earlier.again(random))
        if columns.finite and not self._repeats and scope.branch is None:
            running = set(columns.keys(scope.running))
            keys = set(columns.keys(np.concatenate([*parts.values()])))
            if sum(not (key in running or told.tried(key)) for key in keys) < FEW:
                parts["prior"] = np.concatenate([parts["prior"], _walked(columns, told)])
        sources = [source for source, rows in parts.items() for _ in rows]
        return np.concatenate([*parts.values()]), sources


def drawn(columns: Columns, random: np.random.Generator) -> Iterator[Found]:
    """Draws from the prior; then, where that is possible, every row there is."""
    for _ in range(0, TRIES, AT_ONCE):
        for row in moves.prior(columns, AT_ONCE, random):
            yield Found(row, "prior")
    if columns.finite:
        for row in columns.every():
            yield Found(row, "prior")


def _walked(columns: Columns, told: Told) -> Codes:
    """The first rows of a finite space that were not tried: nearly all were."""
    rows = (row for row in columns.every() if not told.tried(columns.keys(row[None])[0]))
    return np.array([*itertools.islice(rows, WALKED)]).reshape(-1, len(columns))


def _aimed(
    model: Surrogate, expected: Expected, wanted: float
) -> tuple[Callable[[Expected], Codes], float, Codes]:
    """How rows are scored, what they are to fall below, and the scores of the first candidates.

    Where an improvement as large as is wanted is hopeless, any will do; and where none is worth a
    failure, what rather fails comes last.
    """
    aim, least = model.best - wanted, float(expected.failing.min())
    scores = model.scores(expected, aim, least=least)
    if scores.max() < HOPELESS:
        aim = model.best
        scores = model.scores(expected, aim, least=least)
    if safe := bool(scores.max() < WORTH_A_FAILURE):
        scores = model.scores(expected, aim, least=least, safe=True)
    return functools.partial(model.scores, aim=aim, least=least, safe=safe), aim, scores


@final
class _Order:
    """The order in which rows are tried: what is legal, by score, what stands beside a running trial last.

    Nothing is learnt of illegal points, so that what seems best may lie among them for ever. What is
    asked is remembered by the numbers of rows: those of a search only ever grow at the end.
    """

    def __init__(
        self, columns: Columns, violation: Callable[[Codes], str | None], running: Codes
    ) -> None:
        self._columns, self._violation, self._running = columns, violation, running
        self._beside: dict[int, bool | None] = {}  # None for an illegal row

    def leading(self, rows: Codes, scores: Codes) -> Iterator[int]:
        """The numbers of rows, the best first."""
        last = []
        for i in np.argsort(-scores, kind="stable").tolist():
            if i not in self._beside:
                self._beside[i] = self._asked(rows[i])
            if self._beside[i]:
                last.append(i)
            elif self._beside[i] is not None:
                yield i
        yield from last

    def _asked(self, row: Codes) -> bool | None:
        """Whether a row stands beside a running trial, None if it is not legal."""
        if self._violation(row) is not None:
            return None
        return len(self._running) > 0 and self._columns.beside(row, self._running, BESIDE)
