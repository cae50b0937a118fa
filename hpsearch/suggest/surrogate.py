"""What the Gaussian process knows at one moment, in units of the loss; begun seldom, else extended."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from .columns import Codes, Columns, Mask
from .gaussian import Features, Posterior, Scales, fitted
from .improvement import log_improvement
from .told import Told
from .warps import Warp, Warped

__all__ = ["LEAST_KNOWN", "MOST_GOOD", "Surrogate", "Surrogates"]

BEST, LATEST, SPREAD = 100, 30, 70  # trials that the process is given, of more
MOST_FITTED = 150  # trials that its scales are fitted to
ALWAYS_FITTED = 24  # trials up to which they are fitted each time
LEAST_KNOWN = 3  # losses that it needs
UNSAFE = 1e6  # what a logarithm of improvement is lowered by, beyond all others
LEAST_HOPE = 1e-3  # the least probability that a trial does not fail
WARY = 2.0  # the power of that: a process fitted to zeros and ones is too hopeful near its mean
TAKING_TURNS = 2  # warps
LEAST_COMPARED = 16  # trials before warps are compared; until then the first ones take turns
FAVOUR = 0.02  # rank correlation that those are given for nothing
MOST_GOOD = 25  # trials that did best, whose numbers are kept


@final
@dataclass(frozen=True, slots=True)
class Surrogate:
    """What the process knows at one moment.

    Attributes:
        process: of the warped losses, and of failures.
        warped: what its values mean.
        failing: the share of trials that failed, of those that it was made for.
        failed: whether any has failed.
        count: how many trials it knows of.
        least: the numbers of those that did best, ascending by loss.
    """

    process: Posterior
    warped: Warped
    failing: float
    failed: bool
    count: int
    least: NDArray[np.intp]

    @property
    def best(self) -> float:
        """The least mean of the losses at a known row."""
        return float(self.process.means[:, 0].min())

    def extended(self, told: Told, count: int) -> Surrogate:
        """With the trials that ended since, up to so many in all."""
        losses = told.losses[self.count : count]
        failed = ~np.isfinite(losses)
        values = self.warped.later(np.where(failed, np.inf, losses))
        values = np.stack([values, failed - self.failing], axis=1)
        process = self.process.extended(told.rows[self.count : count], values)
        least = np.concatenate([self.least, np.arange(self.count, count)])
        ranked = np.argsort(np.nan_to_num(told.losses[least], nan=np.inf), kind="stable")
        return replace(
            self,
            process=process,
            count=count,
            failed=self.failed or bool(failed.any()),
            least=least[ranked[:MOST_GOOD]],
        )

    def believing(self, pending: Codes) -> Surrogate:
        """With trials that run, as if they ended as expected."""
        means, _ = self.process.predict(pending)
        return replace(self, process=self.process.extended(pending, means))

    def scores(self, means: Codes, spreads: Codes, aim: float, *, safe: bool = False) -> Codes:
        """Logarithms of the improvements that are expected over `aim`, failures considered.

        Args:
            safe: whether what rather fails than not comes after all that does not.

        Schonlau, Welch and Jones, *Global versus Local Search in Constrained Optimization of
        Computer Models*, 1998: improvement times the probability that there is a value at all.
        """
        found = log_improvement(means[:, 0], spreads, aim)
        if not self.failed:
            return found
        hope = 1.0 - self.failing - means[:, 1]
        found += WARY * np.log(np.clip(hope, LEAST_HOPE, 1.0))
        return np.where(hope < 0.5, found - UNSAFE, found) if safe else found

    def expected(self, mean: float, spread: float) -> tuple[float, float, float]:
        """The loss, its standard deviation and its improvement over the best, in units of the loss."""
        (log,) = log_improvement(np.array([mean]), np.array([spread]), self.best)
        slope = self.warped.slope(mean)
        return self.warped.loss(mean), slope * spread, slope * math.exp(log)


@final
class Surrogates:
    """The surrogates of one search. Begun anew every so many trials, else extended; scales are kept.

    Args:
        warps: of the losses; the two that predict best take turns.
        growth: of the history, after which the scales are fitted anew.
        kept: trials for which one is kept and only extended.
        guess: what is believed of rows before; see `Features`.
    """

    def __init__(
        self,
        columns: Columns,
        *,
        warps: Sequence[Warp],
        growth: float,
        kept: int,
        guess: Callable[[Codes], Codes] | None = None,
    ) -> None:
        self._features = Features(columns, guess)
        self._warps, self._growth, self._kept = warps, growth, kept
        self._scales: dict[tuple[int, int], Scales] = {}
        self._models: dict[int, tuple[Surrogate, int]] = {}
        self._orders: dict[int, list[int]] = {}

    def of(self, told: Told, turn: int) -> Surrogate:
        """What is known of all ended trials, by the warp whose turn it is.

        What is kept changes nothing: the same is found by who begins with all trials.
        """
        which = self._ordered(told)[turn % min(len(self._warps), TAKING_TURNS)]
        start = len(told) - len(told) % self._kept
        if np.isfinite(told.losses[:start]).sum() < LEAST_KNOWN:
            start = len(told)
        model, began = self._models.get(which, (None, None))
        if model is None or began != start or model.count > len(told):
            model = self._begun(told, start, which)
        while model.count < len(told):  # one by one: several at once differ in the last digits
            model = model.extended(told, model.count + 1)
        self._models[which] = (model, start)
        return model

    def forget(self, count: int) -> None:
        """Drop what is remembered of more than the first `count` trials: they have changed."""
        self._scales = {key: scales for key, scales in self._scales.items() if key[1] <= count}
        self._models = {key: item for key, item in self._models.items() if item[0].count <= count}
        self._orders = {key: order for key, order in self._orders.items() if key <= count}

    def _begun(self, told: Told, start: int, which: int) -> Surrogate:
        """One of the first trials."""
        losses, failed = _first(told, start)
        scales = self._fitted(told, self._fitted_to(told, start), which)
        warped = self._warps[which](losses)
        failing = float(failed.mean())
        picked = _picked(losses, BEST, LATEST, SPREAD)
        values = np.stack([warped.values, failed - failing], axis=1)[picked]
        process = Posterior(self._features, scales, told.rows[picked], values)
        least = _least(losses, MOST_GOOD)
        return Surrogate(process, warped, failing, bool(failed.any()), start, least)

    def _fitted_to(self, told: Told, start: int) -> int:
        """How many of the first `start` the scales are of: those when it last had grown by a share."""
        count = start
        if start > ALWAYS_FITTED:
            growth = math.log(self._growth)
            times = int(math.log(start / ALWAYS_FITTED) / growth + 1e-9)
            count = min(start, round(ALWAYS_FITTED * math.exp(growth * times)))
        known = np.flatnonzero(np.isfinite(told.losses[:start]))[:LEAST_KNOWN]
        return max(count, int(known[-1]) + 1)  # few losses among many failures

    def _fitted(self, told: Told, count: int, which: int) -> Scales:
        """The scales of the first trials."""
        if (which, count) not in self._scales:
            picked, values, _ = self._sample(told, count, which)
            self._scales[which, count] = fitted(self._features, told.rows[picked], values)
        return self._scales[which, count]

    def _sample(self, told: Told, count: int, which: int) -> tuple[NDArray[np.intp], Codes, Codes]:
        """Of the first trials those that scales are fitted to: numbers, values, losses."""
        losses, _ = _first(told, count)
        share = MOST_FITTED / (BEST + LATEST + SPREAD)
        picked = _picked(losses, *(int(share * each) for each in (BEST, LATEST, SPREAD)))
        return picked, self._warps[which](losses).values[picked], losses[picked]

    def _ordered(self, told: Told) -> list[int]:
        """The warps, first those whose process predicts left out losses best.

        What counts is the order of the better half, of which values of any warp can be asked
        (Kendall, *A New Measure of Rank Correlation*, 1938).
        """
        numbers = range(len(self._warps))
        count = self._fitted_to(told, len(told))
        if len(self._warps) <= TAKING_TURNS or count < LEAST_COMPARED:
            return [*numbers]
        if count not in self._orders:
            merits = [self._merit(told, count, which) for which in numbers]
            self._orders[count] = sorted(numbers, key=lambda which: -merits[which])
        return self._orders[count]

    def _merit(self, told: Told, count: int, which: int) -> float:
        """The rank correlation of losses and what is predicted of them, in [-1, 1]."""
        scales = self._fitted(told, count, which)
        picked, values, losses = self._sample(told, count, which)
        process = Posterior(self._features, scales, told.rows[picked], values[:, None])
        better = np.minimum(losses, np.median(losses))
        found = float(kendalltau(process.left_out[:, 0], better).statistic)
        return (found if math.isfinite(found) else 0.0) + (FAVOUR if which < TAKING_TURNS else 0.0)


def _first(told: Told, count: int) -> tuple[Codes, Mask]:
    """The losses of the first trials with their worst in place of failures, and which those are.

    Not the worst of all: what is known of the first trials must not depend on what came after.
    """
    losses = told.losses[:count]
    failed = ~np.isfinite(losses)
    return np.where(failed, losses[~failed].max(), losses), failed


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
