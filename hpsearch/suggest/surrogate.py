"""What the Gaussian process knows at one moment, in units of the loss; begun seldom, else extended."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from .codes import Codes, Mask
from .columns import Columns
from .failing import Failing
from .features import Features
from .gaussian import Joined, Posterior, Scales, fitted
from .improvement import log_improvement
from .sample import GIVEN, leaders, least_of, like_neighbours, sampled
from .told import Trials
from .warps import Warp, Warped, warped

__all__ = ["LEAST_KNOWN", "MOST_GOOD", "Expected", "Surrogate", "Surrogates"]

MOST_FITTED = 150  # trials that its scales are fitted to
ALWAYS_FITTED = 24  # trials up to which they are fitted each time
LEAST_KNOWN = 3  # losses that it needs
UNSAFE = 1e6  # what a logarithm of improvement is lowered by, beyond all others
LEAST_HOPE = 1e-3  # the least probability that a trial does not fail
WARY = 4.0  # the power of that: what is fitted to zeros and ones is too hopeful beyond a border
TAKING_TURNS = 2  # warps
LATE = 8  # surrogates that are kept for trials that end before earlier ones do
LEAST_COMPARED = 16  # trials before warps are compared; until then the first ones take turns
FAVOUR = 0.02  # rank correlation that those are given for nothing
MOST_GOOD = 25  # trials that did best, whose numbers are kept


@final
@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of rows.

    Attributes:
        means, spreads: of the warped losses (m,).
        failing: the chance to fail (m,).
    """

    means: Codes
    spreads: Codes
    failing: Codes

    def joined(self, other: Expected) -> Expected:
        """Of these rows and others."""
        return Expected(
            np.concatenate([self.means, other.means]),
            np.concatenate([self.spreads, other.spreads]),
            np.concatenate([self.failing, other.failing]),
        )


@final
@dataclass(frozen=True, slots=True)
class Surrogate:
    """What the process knows at one moment.

    Of a trial that failed, or still runs, the process believes what it expected when it was told of
    it: nothing is to be learnt beside it.

    Attributes:
        process: of the warped losses.
        warped: what its values mean.
        failed: which of the process's rows failed.
        failing: where trials fail, None if none has.
        count: how many trials it knows of.
        least: the numbers of those that did best, ascending by loss.
    """

    process: Posterior
    warped: Warped
    failed: Mask
    failing: Failing | None
    count: int
    least: NDArray[np.intp]

    @property
    def best(self) -> float:
        """The least mean of the losses at a row that did not fail."""
        return float(self.process.means[~self.failed].min())

    def extended(self, told: Trials) -> Surrogate:
        """With the trial that ended next."""
        number = self.count
        row, loss = told.rows[number : number + 1], told.losses[number : number + 1]
        failed = ~np.isfinite(loss)
        new = self.process.joined(row)
        process = self.process.extended(new, None if failed[0] else self.warped.later(loss))
        least = self.least if failed[0] else np.append(self.least, number)
        ranked = np.argsort(told.losses[least], kind="stable")
        return replace(
            self,
            process=process,
            failed=np.append(self.failed, failed),
            failing=self._failing(process, new, failed),
            count=number + 1,
            least=least[ranked[:MOST_GOOD]],
        )

    def _failing(self, process: Posterior, new: Joined, failed: Mask) -> Failing | None:
        """What is known of failures with one more trial, which the process has."""
        if self.failing is not None:
            return self.failing.extended(new.across, new.own, failed)
        if not failed.any():
            return None
        return Failing.of(process.covariance(), np.append(self.failed, failed))

    def believing(self, pending: Codes) -> Surrogate:
        """With trials that run."""
        return replace(
            self,
            process=self.process.extended(self.process.joined(pending), None),
            failed=np.append(self.failed, np.zeros(len(pending), dtype=bool)),
        )

    def predict(self, rows: Codes) -> Expected:
        """What is expected of rows (m, columns)."""
        means, spreads, across = self.process.predict(rows)
        failing = np.zeros(len(rows)) if self.failing is None else self.failing.at(across)
        return Expected(means, spreads, failing)

    def scores(self, of: Expected, aim: float, *, least: float = 0.0, safe: bool = False) -> Codes:
        """Logarithms of the improvements that are expected over `aim`, failures considered.

        Args:
            least: the least chance to fail that is in sight. What fails everywhere by chance is no
                reason to be wary anywhere.
            safe: whether what fails twice as often as that comes after all else.

        Schonlau, Welch and Jones, *Global versus Local Search in Constrained Optimization of
        Computer Models*, 1998: improvement times the probability that there is a value at all.
        """
        found = log_improvement(of.means, of.spreads, aim)
        if self.failing is None:
            return found
        hope = (1.0 - of.failing) / max(1.0 - least, LEAST_HOPE)
        found += WARY * np.log(np.clip(hope, LEAST_HOPE, 1.0))
        return np.where(hope < 0.5, found - UNSAFE, found) if safe else found

    def outlook(
        self, of: Expected, which: int, aim: float
    ) -> tuple[float, float, float, float, bool]:
        """What is expected of one row, in units of the loss, of which `aim` is to be fallen below.

        The loss, its standard deviation, its improvement over the best, that of the aim, and
        whether the loss may as well be any worse one, as those are alike in this view.
        """
        mean, spread = float(of.means[which]), float(of.spreads[which])
        best = self.best
        (log,) = log_improvement(np.array([mean]), np.array([spread]), best)
        slope, wanted = self.warped.slope(mean), self.warped.slope(best) * (best - aim)
        worse = mean + spread >= self.warped.top
        return self.warped.loss(mean), slope * spread, slope * math.exp(log), wanted, worse


@final
class Surrogates:
    """The surrogates of one search. Begun anew every so many trials, else extended; scales are kept.

    Args:
        warps: of the losses; the two that predict best take turns.
        growth: of the history, after which the scales are fitted anew.
        kept, kept_from: trials for which one is kept and only extended, from a number of them on.
        crowds_once: whether trials that stand close together count once in the warps.
        guess: what is believed of rows before; see `Features`.
    """

    def __init__(
        self,
        columns: Columns,
        *,
        warps: Sequence[Warp],
        growth: float,
        kept: int = 1,
        kept_from: int = 0,
        crowds_once: bool = False,
        guess: Callable[[Codes], Codes] | None = None,
    ) -> None:
        self._features = Features(columns, guess)
        self._warps, self._growth = warps, growth
        self._kept, self._kept_from = kept, kept_from
        self._crowds_once = crowds_once
        self._leaders: tuple[int, NDArray[np.intp]] | None = None  # of the first so many trials
        self._scales: dict[tuple[int, int], Scales] = {}
        # By warp the latest ones, and how many trials they began with.
        self._models: dict[int, tuple[list[Surrogate], int]] = {}
        self._orders: dict[int, list[int]] = {}

    def of(self, told: Trials, turn: int) -> Surrogate:
        """What is known of all ended trials, by the warp whose turn it is.

        What is kept changes nothing: the same is found by who begins with all trials.
        """
        which = self._ordered(told)[turn % min(len(self._warps), TAKING_TURNS)]
        start = len(told)
        if start >= self._kept_from:
            start -= start % self._kept
        if np.isfinite(told.losses[:start]).sum() < LEAST_KNOWN:
            start = len(told)
        models, began = self._models.get(which, ([], start))
        models = [model for model in models if began == start and model.count <= len(told)]
        if not models:
            models = [self._begun(told, start, which)]
        while models[-1].count < len(told):  # one by one: several at once differ in the last digits
            models.append(models[-1].extended(told))
        self._models[which] = models[-LATE:], start
        return models[-1]

    def forget(self, count: int) -> None:
        """Drop what is remembered of more than the first `count` trials: they have changed."""
        self._scales = {key: scales for key, scales in self._scales.items() if key[1] <= count}
        self._models = {
            key: ([model for model in models if model.count <= count], began)
            for key, (models, began) in self._models.items()
        }
        self._orders = {key: order for key, order in self._orders.items() if key <= count}
        self._leaders = None

    def _begun(self, told: Trials, start: int, which: int) -> Surrogate:
        """One of the first trials."""
        losses = told.losses[:start]
        known = np.isfinite(losses)
        scales = self._fitted(told, self._fitted_to(told, start), which)
        found = self._warped(told, start, which)
        values = np.full(start, np.nan)
        values[known] = found.values
        ranked = np.where(known, losses, np.inf)
        if start > GIVEN:
            ranked = like_neighbours(
                ranked, lambda numbers: self._features.scaled(told.rows[numbers], scales.lengths)
            )
        numbers = np.flatnonzero(known)
        best = numbers[least_of(losses[numbers], MOST_GOOD)]
        picked = np.union1d(sampled(ranked), best)
        good, bad = picked[known[picked]], picked[~known[picked]]
        process = Posterior(self._features, scales, told.rows[good], values[good])
        failed = np.arange(len(picked)) >= len(good)
        failing = None
        if len(bad):
            process = process.extended(process.joined(told.rows[bad]), None)
            failing = Failing.of(process.covariance(), failed)
        return Surrogate(process, found, failed, failing, start, best)

    def _fitted_to(self, told: Trials, start: int) -> int:
        """How many of the first `start` the scales are of: those when it last had grown by a share."""
        count = start
        if start > ALWAYS_FITTED:
            growth = math.log(self._growth)
            times = int(math.log(start / ALWAYS_FITTED) / growth + 1e-9)
            count = min(start, round(ALWAYS_FITTED * math.exp(growth * times)))
        known = np.flatnonzero(np.isfinite(told.losses[:start]))[:LEAST_KNOWN]
        return max(count, int(known[-1]) + 1)  # few losses among many failures

    def _fitted(self, told: Trials, count: int, which: int) -> Scales:
        """The scales of the first trials."""
        if (which, count) not in self._scales:
            picked, values, _ = self._sample(told, count, which)
            self._scales[which, count] = fitted(self._features, told.rows[picked], values)
        return self._scales[which, count]

    def _sample(
        self, told: Trials, count: int, which: int
    ) -> tuple[NDArray[np.intp], Codes, Codes]:
        """Of the first trials those that scales are fitted to: numbers, values, losses."""
        known = np.flatnonzero(np.isfinite(told.losses[:count]))
        losses = told.losses[known]
        picked = sampled(losses, MOST_FITTED)
        return known[picked], self._warped(told, count, which).values[picked], losses[picked]

    def _warped(self, told: Trials, count: int, which: int) -> Warped:
        """The losses of the first trials, without failures, by a warp."""
        known = np.isfinite(told.losses[:count])
        losses, leading = told.losses[:count][known], None
        if self._crowds_once:
            if self._leaders is None or self._leaders[0] != count:
                self._leaders = count, leaders(told.cells[:count][known], losses)
            leading = self._leaders[1]
        return warped(self._warps[which], losses, leading)

    def _ordered(self, told: Trials) -> list[int]:
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

    def _merit(self, told: Trials, count: int, which: int) -> float:
        """The rank correlation of losses and what is predicted of them, in [-1, 1]."""
        scales = self._fitted(told, count, which)
        picked, values, losses = self._sample(told, count, which)
        process = Posterior(self._features, scales, told.rows[picked], values)
        better = np.minimum(losses, np.median(losses))
        found = float(kendalltau(process.left_out, better).statistic)
        return (found if math.isfinite(found) else 0.0) + (FAVOUR if which < TAKING_TURNS else 0.0)
