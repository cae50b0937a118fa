"""The search itself, on rows of codes: a quasi-random start, then what a Gaussian process likes best.

Candidates come from the prior, from a Parzen mixture over what did well, and from mutations of the
best (moves.py). The process (surrogate.py), fitted to warped losses, ranks them by expected
improvement; local search goes on from the best of them. Trials that still run count with
the loss that the process expects of them (a kriging believer: Ginsbourger, Le Riche and Carraro,
*Kriging is well-suited to parallelize optimization*, 2010).
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from scipy.stats import qmc

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

from ..errors import SearchStopped
from ..trial import Why
from . import moves
from .branches import EVERY, Branch, Branches, looks, promising
from .columns import Codes, Columns
from .earlier import Earlier
from .legal import first_legal
from .paces import THOROUGH, Breadth, Pace, margin
from .surrogate import LEAST_KNOWN, MOST_GOOD, Expected, Surrogate, Surrogates
from .told import Told, Trials

__all__ = ["Found", "Searcher"]

START = 6  # trials before the process is asked: the centre, then a Sobol sequence
PARENTS = 10  # best trials that mutations start from
SHARE_GOOD = 0.15  # trials that the Parzen mixture is made of
FIRST_STEP, SHRINK = 0.1, 0.4  # of local search, in shares of the prior
WORTH_A_FAILURE = -7.0  # the logarithm of one below which what rather fails comes last
HOPELESS = -10.0  # the logarithm of an improvement below which looking for it is no use
TRIES, AT_ONCE = 1200, 200  # draws from the prior after all candidates
FEW = 32  # untried candidates below which a finite space is walked
WALKED = 512  # rows that the walk adds
MOST_WALKED = 100_000  # rows of a finite space that are asked for constraints
BESIDE = 0.01  # how near a running trial a point comes after all others, as a share of the space
MOST_BELIEVED = 200  # running trials that count, the latest
MOST_LOOKED = 3  # branches that are looked at for one suggestion, until one is promising


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
        branch: the choice of which one option was looked at alone: all of these are of its trials.
    """

    row: Codes
    source: str
    loss: float | None = None
    spread: float | None = None
    improvement: float | None = None
    wanted: float | None = None
    branch: str | None = None

    def why(self, told: Told) -> Why:
        """The reason as it is kept with the trial."""
        number, distance = told.nearest(self.row) or (None, None)
        expected = (self.loss, self.spread, self.improvement)
        return Why(self.source, *expected, number, distance, self.wanted, self.branch)


@final
class Searcher:
    """A pure function of what it is told, but for caches.

    Args:
        columns: what is searched.
        violated: names the constraint that a row violates, None for a legal one; None if there are
            no constraints.
        pace: how much is computed for each suggestion.
        repeats: whether a row that was tried may be suggested again.
        earlier: trials of an earlier study, to start from.
    """

    def __init__(
        self,
        columns: Columns,
        violated: Callable[[Codes], str | None] | None,
        *,
        pace: Pace = THOROUGH,
        repeats: bool = False,
        earlier: Told | None = None,
    ) -> None:
        self._columns, self._violated, self._repeats = columns, violated, repeats
        self._pace = pace
        self._legal: tuple[list[Codes], bool] | None = None
        with _alone():
            self._earlier = None if earlier is None else Earlier(columns, earlier)
        self._surrogates = self._unfitted()
        self._branches = Branches(columns)
        self._of_branches: dict[Branch, Surrogates] = {}

    def _unfitted(self) -> Surrogates:
        pace = self._pace
        return Surrogates(
            self._columns,
            warps=pace.warps,
            growth=pace.growth,
            kept=pace.kept,
            guess=self._earlier,
        )

    def forget(self, told: Told) -> None:
        """Drop what is remembered of more than these trials: those after them have changed."""
        self._surrogates.forget(len(told))
        for branch, surrogates in self._of_branches.items():
            surrogates.forget(int(branch.holds(told.rows).sum()))

    def suggest(
        self, told: Told, pending: Codes, number: int, seed: int, *, start: int | None = None
    ) -> Found | None:
        """Return a row for trial `number`; None if every legal row of a finite space was tried.

        Args:
            pending: rows (k, columns) of trials that still run.
            start: the seed of the sequence of the start, where `seed` changes from trial to trial.

        Raises:
            SearchStopped: if 1,000 rows in a row violate the constraints.
        """
        with _alone():
            return self._suggest(told, pending, number, seed, seed if start is None else start)

    def _suggest(
        self, told: Told, pending: Codes, number: int, seed: int, start: int
    ) -> Found | None:
        random = np.random.default_rng((seed % 2**64, number))
        begun = len(told) + len(pending)
        if not len(self._columns) or begun < START or told.known < LEAST_KNOWN:
            return self._first(told, pending, self._started(begun, start, random))
        try:
            return self._first(told, pending, self._modelled(told, pending, number, random))
        except np.linalg.LinAlgError:  # of losses and rows that nobody has thought of
            return self._first(told, pending, self._drawn(random))

    def _first(self, told: Told, pending: Codes, found: Iterable[Found]) -> Found | None:
        """The first row that is legal and was not tried."""
        seen = set() if self._repeats else set(self._columns.keys(pending))

        def untried(found: Iterable[Found]) -> Iterator[Found]:
            for each in found:
                (key,) = self._columns.keys(each.row[None])
                if key not in seen and (self._repeats or not told.tried(key)):
                    seen.add(key)
                    yield each

        try:
            return first_legal(lambda each: self._violation(each.row), untried(found))
        except SearchStopped:
            if not self._columns.finite:
                raise
            legal, whole = self._legal_rows()
            left = next(untried(Found(row, "prior") for row in legal), None)
            if left is None and not whole:
                raise
            return left

    def _legal_rows(self) -> tuple[list[Codes], bool]:
        """The legal rows of a finite space, and whether it is small enough for these to be all."""
        if self._legal is None:
            walk = self._columns.every()
            rows = itertools.islice(walk, MOST_WALKED)
            legal = [row for row in rows if self._violation(row) is None]
            self._legal = legal, next(walk, None) is None
        return self._legal

    def _violation(self, row: Codes) -> str | None:
        return None if self._violated is None else self._violated(row)

    def _started(self, begun: int, seed: int, random: np.random.Generator) -> Iterator[Found]:
        """The centre, then the points of a sequence that covers the space evenly.

        What did best in an earlier study takes turns with them.
        """
        width = len(self._columns)
        if self._earlier is not None:
            if begun % 2 == 0:
                for row in self._again(self._earlier.best[begun // 2 :], random):
                    yield Found(row, "earlier")
            begun //= 2
        if begun == 0:
            yield Found(self._columns.at(np.full((1, width), 0.5))[0], "start")
        if width:
            engine = qmc.Sobol(width, scramble=True, rng=np.random.default_rng(seed % 2**64))
            if begun > 1:
                engine.fast_forward(begun - 1)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a count that is no power of 2
                for row in self._columns.at(engine.random(START)):
                    yield Found(row, "start")
        yield from self._drawn(random)

    def _drawn(self, random: np.random.Generator) -> Iterator[Found]:
        """Draws from the prior; then, where that is possible, every row there is."""
        for _ in range(0, TRIES, AT_ONCE):
            for row in moves.prior(self._columns, AT_ONCE, random):
                yield Found(row, "prior")
        if self._columns.finite:
            for row in self._columns.every():
                yield Found(row, "prior")

    def _modelled(
        self, told: Told, pending: Codes, number: int, random: np.random.Generator
    ) -> Iterator[Found]:
        """Rows in the order of their expected improvement; where that stalls, of one branch first."""
        running, turn = pending[-MOST_BELIEVED:], number
        if self._branches.stalled(told.losses):
            turn = number // EVERY  # both the search of all and that of branches take all turns
            if looks(number):
                best = int(np.nanargmin(told.losses))
                for branch in self._branches.others(told.rows[best], turn)[:MOST_LOOKED]:
                    with contextlib.suppress(np.linalg.LinAlgError):
                        yield from self._inside(branch, best, told, running, number, turn, random)
        scope = _Scope(told, running, self._surrogates)
        yield from self._ranked(scope, told, number, turn, random)

    def _inside(
        self,
        branch: Branch,
        best: int,
        told: Told,
        running: Codes,
        number: int,
        turn: int,
        random: np.random.Generator,
    ) -> Iterator[Found]:
        """The same of one branch as if there were no other; nothing if it promises nothing.

        Args:
            best: which of all trials has the least loss.
        """
        there = np.flatnonzero(branch.holds(told.rows))
        if not promising(told, there, float(told.losses[best])):
            return
        drawn = branch.drawn(self._columns, random.random((FEW, len(self._columns))))
        if not any(self._open(row, told) for row in drawn):  # it is used up, or not allowed
            return
        if branch not in self._of_branches:
            self._of_branches[branch] = self._unfitted()
        part, running = told.of(there), running[branch.holds(running)]
        scope = _Scope(part, running, self._of_branches[branch], branch)
        if np.isfinite(part.losses).sum() >= LEAST_KNOWN:
            yield from self._ranked(scope, told, number, turn, random)
        else:
            for row in drawn:
                yield Found(row, "prior", branch=self._labelled(scope))

    def _open(self, row: Codes, told: Told) -> bool:
        """Whether a row can be tried."""
        (key,) = self._columns.keys(row[None])
        return (self._repeats or not told.tried(key)) and self._violation(row) is None

    def _labelled(self, scope: _Scope) -> str | None:
        return None if scope.branch is None else self._columns.labels[scope.branch.column]

    def _ranked(
        self, scope: _Scope, told: Told, number: int, turn: int, random: np.random.Generator
    ) -> Iterator[Found]:
        """Candidates in the order of their expected improvement, then draws from the prior."""
        columns, known = self._columns, len(scope.trials)
        breadth = self._pace.breadth_of(number, known)
        model = scope.surrogates.of(scope.trials, turn)
        if len(scope.running):
            model = model.believing(scope.running)
        rows, sources = self._candidates(breadth, scope, told, model, random)
        expected = model.predict(rows)
        score, aim, scores = _aimed(model, expected, margin(known, number))
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
        name = self._labelled(scope)
        for i in order.leading(rows, scores):
            yield Found(rows[i], sources[i], *model.outlook(expected, i, aim), name)
        if scope.branch is None:
            for each in self._drawn(random):
                outlook = model.outlook(model.predict(each.row[None]), 0, aim)
                yield Found(each.row, each.source, *outlook)

    def _candidates(
        self,
        breadth: Breadth,
        scope: _Scope,
        told: Told,
        model: Surrogate,
        random: np.random.Generator,
    ) -> tuple[Codes, list[str]]:
        """Rows, and what they come from."""
        columns, shares = self._columns, random.random((breadth.prior, len(self._columns)))
        count = max(2, min(MOST_GOOD, math.ceil(SHARE_GOOD * len(scope.trials))))
        good = scope.trials.rows[model.least]
        parts = {
            "prior": scope.drawn(columns, shares),
            "parzen": scope.kept(moves.parzen(columns, good[:count], breadth.parzen, random)),
            "mutation": scope.kept(moves.mutated(columns, good[:PARENTS], breadth.mutated, random)),
        }
        if self._earlier is not None:
            parts["earlier"] = scope.kept(self._again(self._earlier.best, random))
        if columns.finite and not self._repeats and scope.branch is None:
            running = set(columns.keys(scope.running))
            keys = set(columns.keys(np.concatenate([*parts.values()])))
            if sum(not (key in running or told.tried(key)) for key in keys) < FEW:
                parts["prior"] = np.concatenate([parts["prior"], self._walked(told)])
        sources = [source for source, rows in parts.items() for _ in rows]
        return np.concatenate([*parts.values()]), sources

    def _again(self, rows: Codes, random: np.random.Generator) -> Codes:
        """Rows of an earlier study; what it did not know is drawn from the prior."""
        return self._columns.completed(rows, random.random(rows.shape))

    def _walked(self, told: Told) -> Codes:
        """The first rows of a finite space that were not tried: nearly all were."""
        rows = (
            row for row in self._columns.every() if not told.tried(self._columns.keys(row[None])[0])
        )
        return np.array([*itertools.islice(rows, WALKED)]).reshape(-1, len(self._columns))


@final
@dataclass(frozen=True, eq=False, slots=True)
class _Scope:
    """What is searched: everything, or a branch as if there were no other.

    Attributes:
        trials: the ended ones in it.
        running: rows (k, columns) of those in it that run.
        surrogates: of these trials.
        branch: None for everything.
    """

    trials: Trials
    running: Codes
    surrogates: Surrogates
    branch: Branch | None = None

    def kept(self, rows: Codes) -> Codes:
        """Those of the rows that are in it."""
        return rows if self.branch is None else rows[self.branch.holds(rows)]

    def drawn(self, columns: Columns, shares: Codes) -> Codes:
        """Rows in it for shares of the prior (n, columns)."""
        if self.branch is None:
            return columns.at(shares)
        return self.branch.drawn(columns, shares)


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


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Numerics as they are, whatever the caller has set up: one thread, and no floating-point errors."""
    with np.errstate(all="ignore"), _threads().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _threads() -> ThreadpoolController:
    """The threads of linear algebra: on a busy machine more of them wait for one another.

    Two made matrices of this size ten times slower beside other work; and the last digits of what
    is computed, so the suggestions, would depend on their number.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
