"""The search itself, on rows of codes: a quasi-random start, then what a Gaussian process likes best.

Candidates come from the prior, from a Parzen mixture over what did well, and from mutations of the
best (moves.py). The process (surrogate.py), fitted to warped losses, ranks them by expected
improvement (ranked.py); local search goes on from the best of them. Trials that still run count with
the loss that the process expects of them (a kriging believer: Ginsbourger, Le Riche and Carraro,
*Kriging is well-suited to parallelize optimization*, 2010).
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

from ..errors import SearchStopped
from .branches import LATEST, Branch, Branches, Stall, every, looks, promising, stalled
from .codes import Codes
from .columns import Columns
from .earlier import Earlier
from .legal import first_legal
from .paces import THOROUGH, Pace
from .ranked import FEW, Asked, Found, Ranking, Scope, drawn
from .surrogate import LEAST_KNOWN, Surrogates
from .told import Told

__all__ = ["Searcher"]

START = 6  # trials before the process is asked: the centre, then a Sobol sequence
MOST_WALKED = 100_000  # rows of a finite space that are asked for constraints
MOST_BELIEVED = 200  # running trials that count, the latest
MOST_LOOKED = 3  # branches that are looked at for one suggestion, until one is promising


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
        self._branches = Branches(columns)
        self._surrogates = self._unfitted(crowds_once=len(self._branches) > 0)
        self._ranking = Ranking(
            columns, self._violation, pace=pace, repeats=repeats, earlier=self._earlier
        )
        self._of_branches: dict[Branch, Surrogates] = {}

    def _unfitted(self, *, crowds_once: bool = False) -> Surrogates:
        pace = self._pace
        return Surrogates(
            self._columns,
            warps=pace.warps,
            growth=pace.growth,
            kept=pace.kept,
            kept_from=pace.kept_from,
            crowds_once=crowds_once,
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
            return self._first(told, pending, drawn(self._columns, random))

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
                for row in self._earlier.again(random, begun // 2):
                    yield Found(row, "earlier")
            begun -= min((begun + 1) // 2, len(self._earlier.best))
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
        yield from drawn(self._columns, random)

    def _modelled(
        self, told: Told, pending: Codes, number: int, random: np.random.Generator
    ) -> Iterator[Found]:
        """Rows in the order of their expected improvement; where that stalls, of one branch first."""
        asked, running = Asked(told, number, number, random), pending[-MOST_BELIEVED:]
        stall = self._branches.stall(told)
        if stall is not None:
            ended = len(told)
            look = number // every(ended)
            if looks(number, ended):
                yield from self._looked(stall, running, replace(asked, turn=look))
            if ended >= LATEST:
                # Looks have the odd numbers: by the even ones one view would have all turns.
                asked = replace(asked, turn=look)
        yield from self._ranking.of(Scope(self._columns, told, running, self._surrogates), asked)

    def _looked(self, stall: Stall, running: Codes, asked: Asked) -> Iterator[Found]:
        """Rows of those of the branches whose turn it is, as far as they promise something."""
        told, neglected = asked.told, stall.neglected
        after = stalled(told.losses, stall.fair)
        turn, first = divmod(asked.turn, len(neglected))
        asked = replace(asked, number=turn, turn=turn)  # each branch by itself takes all turns
        for branch, since in [*neglected[first:], *neglected[:first]][:MOST_LOOKED]:
            inside = np.flatnonzero(branch.holds(told.rows))
            if promising(told, inside, stall.best, since=since, after=after):
                with contextlib.suppress(np.linalg.LinAlgError):
                    yield from self._inside(branch, inside, running, asked)

    def _inside(
        self, branch: Branch, inside: NDArray[np.intp], running: Codes, asked: Asked
    ) -> Iterator[Found]:
        """Rows of one branch as if there were no other; none if it is used up, or not allowed.

        Args:
            inside: which trials are in it (k,).
        """
        columns, told = self._columns, asked.told
        rows = branch.drawn(columns, asked.random.random((FEW, len(columns))))
        if not any(self._open(row, told) for row in rows):
            return
        if branch not in self._of_branches:
            self._of_branches[branch] = self._unfitted()
        part, running = told.of(inside), running[branch.holds(running)]
        scope = Scope(columns, part, running, self._of_branches[branch], branch)
        if np.isfinite(part.losses).sum() >= LEAST_KNOWN:
            yield from self._ranking.of(scope, asked)
        else:
            for row in rows:
                yield Found(row, "prior", branch=scope.label)

    def _open(self, row: Codes, told: Told) -> bool:
        """Whether a row can be tried."""
        (key,) = self._columns.keys(row[None])
        return (self._repeats or not told.tried(key)) and self._violation(row) is None


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
