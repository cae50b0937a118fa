"""The search itself, on rows of codes: a quasi-random start, then what a Gaussian process likes best.

Candidates come from the prior, from a Parzen mixture over what did well, and from mutations of the
best (moves.py). The process (gaussian.py), fitted to warped losses (warps.py), ranks them by
expected improvement; local search goes on from the best of them. Trials that still run count with
the loss that the process expects of them (a kriging believer: Ginsbourger, Le Riche and Carraro,
*Kriging is well-suited to parallelize optimization*, 2010).
"""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

from ..trial import Why
from . import moves
from .columns import Codes, Columns
from .gaussian import Features, Posterior, Scales, fitted
from .improvement import log_improvement
from .legal import first_legal
from .told import Told
from .warps import WARPS, Warp, Warped

__all__ = ["FAST", "THOROUGH", "Found", "Pace", "Searcher"]

START = 6  # trials before the process is asked: the centre, then a Sobol sequence
LEAST_KNOWN = 3  # losses that it needs
PARENTS = 10  # best trials that mutations start from
SHARE_GOOD, MOST_GOOD = 0.15, 25  # trials that the Parzen mixture is made of
FIRST_STEP, SHRINK = 0.1, 0.4  # of local search, in shares of the prior
CURIOUS = 3  # every so many suggestions look for a larger improvement only
CURIOSITY = 0.2  # how large, in standard deviations of the warped losses
HOPELESS = -10.0  # the logarithm of an improvement below which looking for it is no use
BEST, LATEST, SPREAD = 100, 30, 70  # trials that the process is given, of more
MOST_FITTED = 150  # trials that its scales are fitted to
ALWAYS_FITTED = 24  # trials up to which they are fitted each time
LEAST_HOPE = 1e-3  # the least probability that a trial does not fail
RANKED = 200  # candidates that are looked at in the order of their rank
TRIES = 1200  # draws from the prior after them
FEW = 32  # untried candidates below which a finite space is walked
WALKED = 512  # rows that the walk adds


@final
@dataclass(frozen=True, slots=True)
class Pace:
    """How much is computed for a suggestion.

    Attributes:
        prior, parzen, mutated: candidates of each kind.
        rounds, starts, neighbours: of local search: how often, from how many, how many of each.
        warps: of the losses, which take turns.
        growth: of the history, after which the scales are fitted anew.
        kept: trials for which a process is kept and only extended.
    """

    prior: int
    parzen: int
    mutated: int
    rounds: int
    starts: int
    neighbours: int
    warps: tuple[Warp, ...]
    growth: float
    kept: int


THOROUGH = Pace(128, 128, 256, rounds=6, starts=5, neighbours=20, warps=WARPS, growth=1.1, kept=1)
FAST = Pace(16, 16, 32, rounds=1, starts=2, neighbours=16, warps=WARPS[:1], growth=1.5, kept=32)


@final
@dataclass(frozen=True, slots=True)
class Found:
    """A suggested row.

    Attributes:
        source: how it came about: "start", "prior", "parzen", "mutation" or "local".
        loss: what the process expects, None where it was not asked.
        spread: the standard deviation of that.
        improvement: how much it is expected to fall below the best mean.
    """

    row: Codes
    source: str
    loss: float | None = None
    spread: float | None = None
    improvement: float | None = None

    def why(self, told: Told) -> Why:
        """The reason as it is kept with the trial."""
        number, distance = told.nearest(self.row) or (None, None)
        return Why(self.source, self.loss, self.spread, self.improvement, number, distance)


@final
class Searcher:
    """A pure function of what it is told, but for caches.

    Args:
        columns: what is searched.
        violated: names the constraint that a row violates, None for a legal one.
        pace: how much is computed for each suggestion.
        repeats: whether a row that was tried may be suggested again.
    """

    def __init__(
        self,
        columns: Columns,
        violated: Callable[[Codes], str | None],
        *,
        pace: Pace = THOROUGH,
        repeats: bool = False,
    ) -> None:
        self._columns, self._violated, self._repeats = columns, violated, repeats
        self._pace = pace
        self._features = Features(columns) if len(columns) else None
        self._scales: dict[tuple[int, int], Scales] = {}
        self._models: dict[int, _Model] = {}

    def forget(self, count: int) -> None:
        """Drop what is remembered of more than the first `count` trials: they have changed."""
        self._scales = {key: scales for key, scales in self._scales.items() if key[1] <= count}
        self._models = {key: m for key, m in self._models.items() if m.count <= count}

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
        with _threads().limit(limits=1, user_api="blas"):
            return self._suggest(told, pending, number, seed, seed if start is None else start)

    def _suggest(
        self, told: Told, pending: Codes, number: int, seed: int, start: int
    ) -> Found | None:
        random = np.random.default_rng((seed % 2**64, number))
        begun = len(told) + len(pending)
        if self._features is None or begun < START or told.known < LEAST_KNOWN:
            return self._first(told, pending, self._started(begun, start, random))
        return self._first(told, pending, self._modelled(told, pending, number, random))

    def _first(self, told: Told, pending: Codes, found: Iterable[Found]) -> Found | None:
        """The first row that is legal and was not tried."""
        seen = set() if self._repeats else set(self._columns.keys(pending))

        def untried() -> Iterator[Found]:
            for each in found:
                (key,) = self._columns.keys(each.row[None])
                if key not in seen and (self._repeats or not told.tried(key)):
                    seen.add(key)
                    yield each

        return first_legal(lambda each: self._violated(each.row), untried())

    def _started(self, begun: int, seed: int, random: np.random.Generator) -> Iterator[Found]:
        """The centre, then the points of a sequence that covers the space evenly."""
        width = len(self._columns)
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
        for _ in range(0, TRIES, RANKED):
            for row in moves.prior(self._columns, RANKED, random):
                yield Found(row, "prior")
        if self._columns.finite:
            for row in self._columns.every():
                yield Found(row, "prior")

    def _modelled(
        self, told: Told, pending: Codes, number: int, random: np.random.Generator
    ) -> Iterator[Found]:
        """Candidates in the order of their expected improvement."""
        columns, pace = self._columns, self._pace
        model = self._model(told, len(pending), number % len(pace.warps))
        if len(pending):
            model = model.believing(pending)
        aim = model.best - (CURIOSITY if number % CURIOUS == CURIOUS - 1 else 0.0)
        rows, sources = self._candidates(told, pending, model, random)
        means, spreads = model.process.predict(rows)
        scores = model.scores(means, spreads, aim)
        if aim < model.best and scores.max() < HOPELESS:
            aim = model.best
            scores = model.scores(means, spreads, aim)
        for round_ in range(pace.rounds):
            starts = np.argsort(-scores, kind="stable")[: pace.starts]
            starts = np.repeat(starts, pace.neighbours)
            near = moves.nearby(columns, rows[starts], FIRST_STEP * SHRINK**round_, random)
            near_means, near_spreads = model.process.predict(near)
            near_scores = model.scores(near_means, near_spreads, aim)
            rows, means = np.concatenate([rows, near]), np.concatenate([means, near_means])
            spreads = np.concatenate([spreads, near_spreads])
            scores = np.concatenate([scores, near_scores])
        sources += ["local"] * (len(rows) - len(sources))
        for i in np.argsort(-scores, kind="stable")[:RANKED]:
            yield model.found(rows[i], sources[i], means[i, 0], spreads[i])
        for each in self._drawn(random):
            means, spreads = model.process.predict(each.row[None])
            yield model.found(each.row, each.source, means[0, 0], spreads[0])

    def _candidates(
        self, told: Told, pending: Codes, model: _Model, random: np.random.Generator
    ) -> tuple[Codes, list[str]]:
        """Rows, and what they come from."""
        columns, pace = self._columns, self._pace
        count = max(2, min(MOST_GOOD, math.ceil(SHARE_GOOD * len(told))))
        good = told.rows[model.least]
        parts = {
            "prior": moves.prior(columns, pace.prior, random),
            "parzen": moves.parzen(columns, good[:count], pace.parzen, random),
            "mutation": moves.mutated(columns, good[:PARENTS], pace.mutated, random),
        }
        if columns.finite and not self._repeats:
            running = set(columns.keys(pending))
            keys = set(columns.keys(np.concatenate([*parts.values()])))
            if sum(not (key in running or told.tried(key)) for key in keys) < FEW:
                parts["prior"] = np.concatenate([parts["prior"], self._walked(told)])
        sources = [source for source, rows in parts.items() for _ in rows]
        return np.concatenate([*parts.values()]), sources

    def _walked(self, told: Told) -> Codes:
        """The first rows of a finite space that were not tried: nearly all were."""
        rows = (
            row for row in self._columns.every() if not told.tried(self._columns.keys(row[None])[0])
        )
        return np.array([*itertools.islice(rows, WALKED)]).reshape(-1, len(self._columns))

    def _model(self, told: Told, running: int, which: int) -> _Model:
        """What the process knows of all ended trials; begun anew every so many, else extended."""
        start = len(told) - len(told) % self._pace.kept
        model = self._models.get(which)
        if model is None or model.start != start or model.count > len(told):
            model = self._begun(told, start, running, which)
        if model.count < len(told):
            model = model.extended(told)
        self._models[which] = model
        return model

    def _begun(self, told: Told, start: int, running: int, which: int) -> _Model:
        """A process for the first trials."""
        assert self._features is not None
        start = start if np.isfinite(told.losses[:start]).sum() >= LEAST_KNOWN else len(told)
        losses = told.losses[:start]
        failed = ~np.isfinite(losses)
        losses = np.where(failed, losses[~failed].max(), losses)
        scales = self._fitted(told.rows, losses, running, which)
        warped = self._pace.warps[which](losses)
        failing = float(failed.mean())
        picked = _picked(losses, BEST, LATEST, SPREAD)
        values = np.stack([warped.values, failed - failing], axis=1)[picked]
        process = Posterior(self._features, scales, told.rows[picked], values)
        return _Model(process, warped, failing, start, start, _least(losses, MOST_GOOD))

    def _fitted(self, rows: Codes, losses: Codes, running: int, which: int) -> Scales:
        """The scales as they were when the history last had grown by a share.

        Trials that run end out of order: so the newest are left out, not to fit anew for each.
        """
        assert self._features is not None
        count = max(len(losses) - 2 * running, min(len(losses), ALWAYS_FITTED))
        if count > ALWAYS_FITTED:
            growth = math.log(self._pace.growth)
            times = int(math.log(count / ALWAYS_FITTED) / growth + 1e-9)
            count = min(count, round(ALWAYS_FITTED * math.exp(growth * times)))
        if (which, count) not in self._scales:
            first = losses[:count]
            share = MOST_FITTED / (BEST + LATEST + SPREAD)
            picked = _picked(first, *(int(share * each) for each in (BEST, LATEST, SPREAD)))
            values = self._pace.warps[which](first).values[picked]
            self._scales[which, count] = fitted(self._features, rows[picked], values)
        return self._scales[which, count]


@final
@dataclass(frozen=True, slots=True)
class _Model:
    """What a process knows at one moment.

    Attributes:
        process: of the warped losses, and of failures.
        warped: what its values mean.
        failing: the share of trials that failed.
        start: how many trials the warp was made for.
        count: how many trials it knows of.
        least: the numbers of those that did best, ascending by loss.
    """

    process: Posterior
    warped: Warped
    failing: float
    start: int
    count: int
    least: NDArray[np.intp]

    @property
    def best(self) -> float:
        """The least mean of the losses at a known row."""
        return float(self.process.means[:, 0].min())

    def extended(self, told: Told) -> _Model:
        """With the trials that ended since."""
        losses = told.losses[self.count :]
        failed = ~np.isfinite(losses)
        values = self.warped.later(np.where(failed, np.inf, losses))
        values = np.stack([values, failed - self.failing], axis=1)
        process = self.process.extended(told.rows[self.count :], values)
        least = np.concatenate([self.least, np.arange(self.count, len(told))])
        ranked = np.argsort(np.nan_to_num(told.losses[least], nan=np.inf), kind="stable")
        return replace(self, process=process, count=len(told), least=least[ranked[:MOST_GOOD]])

    def believing(self, pending: Codes) -> _Model:
        """With trials that run, as if they ended as expected."""
        means, _ = self.process.predict(pending)
        return replace(self, process=self.process.extended(pending, means))

    def scores(self, means: Codes, spreads: Codes, aim: float) -> Codes:
        """Logarithms of the improvements that are expected over `aim`, failures considered.

        Schonlau, Welch and Jones, *Global versus Local Search in Constrained Optimization of
        Computer Models*, 1998: improvement times the probability that there is a value at all.
        """
        found = log_improvement(means[:, 0], spreads, aim)
        if not self.failing:
            return found
        return found + np.log(np.clip(1.0 - self.failing - means[:, 1], LEAST_HOPE, 1.0))

    def found(self, row: Codes, source: str, mean: float, spread: float) -> Found:
        """A row with what is expected of it, in units of the loss."""
        (log,) = log_improvement(np.array([mean]), np.array([spread]), self.best)
        loss, slope = self.warped.loss(float(mean)), self.warped.slope
        return Found(row, source, loss, slope * float(spread), slope * math.exp(log))


@functools.cache
def _threads() -> ThreadpoolController:
    """The threads of linear algebra: on a busy machine more of them wait for one another.

    Two made matrices of this size ten times slower beside other work; and the last digits of what
    is computed, so the suggestions, would depend on their number.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _least(losses: Codes, count: int) -> NDArray[np.intp]:
    """The numbers of the least losses, ascending; of equal ones the earlier."""
    if len(losses) > 4 * count:
        bound = np.partition(losses, count - 1)[count - 1]
        near = np.flatnonzero(losses <= bound)
        return near[np.argsort(losses[near], kind="stable")][:count]
    return np.argsort(losses, kind="stable")[:count]


def _picked(losses: Codes, best: int, latest: int, spread: int) -> NDArray[np.intp]:
    """The numbers of the best trials, the latest, and some evenly spread over the rest."""
    count = len(losses)
    if count <= best + latest + spread:
        return np.arange(count)
    chosen = np.zeros(count, dtype=bool)
    chosen[_least(losses, best)] = True
    chosen[-latest:] = True
    rest = np.flatnonzero(~chosen)
    chosen[rest[np.linspace(0, len(rest) - 1, spread).astype(np.intp)]] = True
    return np.flatnonzero(chosen)
