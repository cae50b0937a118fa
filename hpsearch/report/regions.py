"""The part of a space where trials fail: at most two conditions on labels.

Conditions are ranked by information gain, as in a decision tree (Quinlan, Induction of decision
trees, 1986), and believed by Fisher's exact test (The design of experiments, 1935), its chance
multiplied by the number of conditions that were looked at (Bonferroni). So few trials, or failures
that are spread over the space, give no region rather than a wrong one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from ..trial import Point, Value
from ..wire import to_json

__all__ = ["Condition", "Region", "region_of", "tail"]

LEAST = 3  # failures that a region holds
CHANCE = 0.05  # most that coincidence may explain, all conditions that were tried counted
EXCESS = 2.0  # times as often as elsewhere trials fail in a region, at least
MOST_CUTS = 200  # of one label: more than can be told apart
FIRSTS = 10  # conditions to which a second one is sought


@final
@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on a label; it does not hold where the label is inactive.

    Attributes:
        relation: ``"="`` or ``"!="`` an option; ``">"``, ``">="`` or ``"<="`` a number.
    """

    label: str
    relation: str
    value: Value

    def __str__(self) -> str:
        value = f"{self.value:.6g}" if isinstance(self.value, float) else str(self.value)
        sign = {"!=": "≠", ">=": "≥", "<=": "≤"}.get(self.relation, self.relation)
        return f"{self.label} {sign} {value}"

    def holds(self, point: Mapping[str, Value]) -> bool:
        """Whether it holds at a point."""
        if self.label not in point:
            return False
        value = point[self.label]
        if self.relation in ("=", "!="):
            return (to_json(value) == to_json(self.value)) is (self.relation == "=")
        if self.relation == "<=":
            return bool(value <= self.value)
        return bool(value > self.value if self.relation == ">" else value >= self.value)


@final
@dataclass(frozen=True, slots=True)
class Region:
    """Where trials fail more often than elsewhere; all conditions hold there.

    Attributes:
        failed, trials: how many failed in it, of how many.
        failed_elsewhere, elsewhere: the same outside of it.
        chance: the probability of so clear a region by coincidence, in (0, `CHANCE`].
    """

    conditions: tuple[Condition, ...]
    failed: int
    trials: int
    failed_elsewhere: int
    elsewhere: int
    chance: float


@final
@dataclass(frozen=True, slots=True)
class _Rule:
    """Conditions with the points where they hold, as the bits of a number."""

    conditions: tuple[Condition, ...]
    mask: int


def region_of(
    failed: Sequence[Point], succeeded: Sequence[Point], labels: Sequence[Mapping[str, Any]]
) -> Region | None:
    """Return the region that best separates failed points from those that succeeded.

    A region of two conditions is returned only where each of them matters within the other.

    Args:
        labels: ``{"label", "number", "log"}`` of each, as a study's settings have them.

    Returns:
        None where no region holds at least `LEAST` failures and separates beyond coincidence.
    """
    if len(failed) < LEAST or not succeeded:
        return None
    counts = _Counts((1 << len(failed)) - 1, len(failed) + len(succeeded))
    rules = [
        _Rule((condition,), mask)
        for label in labels
        for condition, mask in _conditions(label, [*failed, *succeeded])
    ]
    single = max(rules, key=counts.gain, default=None)
    if single is None:
        return None
    tried = len(rules)
    firsts = _best_of_each(rules, counts)[:FIRSTS]
    pairs = [pair for first in firsts if (pair := _with_second(first, rules, counts))]
    if pairs:
        pair = max(pairs, key=lambda two: counts.gain(_both(*two)))
        chance = counts.chance(_both(*pair)) * tried * tried
        if chance <= CHANCE and counts.each_matters(*pair, tried):
            return counts.region(_both(*_in_order(pair, rules)), chance)
    chance = counts.chance(single) * tried
    return counts.region(single, chance) if counts.gain(single) > 0 and chance <= CHANCE else None


def tail(failed: int, trials: int, all_failed: int, total: int) -> float:
    """The chance of `failed` failures or more among `trials` drawn from `total`.

    Of the `total`, `all_failed` failed: the upper tail of the hypergeometric distribution, which
    is Fisher's exact test with one side.
    """
    ways = (
        _log_comb(all_failed, k) + _log_comb(total - all_failed, trials - k)
        for k in range(max(failed, trials + all_failed - total), min(trials, all_failed) + 1)
    )
    every = _log_comb(total, trials)
    return min(1.0, math.fsum(math.exp(way - every) for way in ways))


def _log_comb(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


@final
@dataclass(frozen=True, slots=True)
class _Counts:
    """Counts failures under a rule: `failures` has a bit for each, `total` is the number of points."""

    failures: int
    total: int

    def of(self, mask: int) -> tuple[int, int]:
        """Failures and points under a mask."""
        return (mask & self.failures).bit_count(), mask.bit_count()

    def gain(self, rule: _Rule) -> float:
        """The information gained by it in bits; -1 where it is no region of failures."""
        failed, inside = self.of(rule.mask)
        every = self.failures.bit_count()
        outside, failed_outside = self.total - inside, every - failed
        if failed < LEAST or outside == 0:
            return -1.0
        if failed * outside < EXCESS * failed_outside * inside:
            return -1.0
        parts = inside * _entropy(failed, inside) + outside * _entropy(failed_outside, outside)
        return _entropy(every, self.total) - parts / self.total

    def chance(self, rule: _Rule, within: _Rule | None = None) -> float:
        """The chance of as many failures under a rule (among the points of another)."""
        mask = (1 << self.total) - 1 if within is None else within.mask
        return tail(*self.of(rule.mask & mask), *self.of(mask))

    def each_matters(self, one: _Rule, other: _Rule, tried: int) -> bool:
        """Whether each condition separates among the points of the other."""
        return all(
            self.chance(rule, within) * tried <= CHANCE
            for rule, within in ((one, other), (other, one))
        )

    def region(self, rule: _Rule, chance: float) -> Region:
        failed, inside = self.of(rule.mask)
        every = self.failures.bit_count()
        return Region(rule.conditions, failed, inside, every - failed, self.total - inside, chance)


def _entropy(some: int, total: int) -> float:
    """Of a part of a whole, in bits."""
    shares = (some / total, 1 - some / total)
    return -sum(share * math.log2(share) for share in shares if share > 0)


def _both(one: _Rule, other: _Rule) -> _Rule:
    return _Rule(one.conditions + other.conditions, one.mask & other.mask)


def _in_order(pair: tuple[_Rule, _Rule], rules: Sequence[_Rule]) -> list[_Rule]:
    """As the labels stand in the space; of one label, above before below."""
    labels = [rule.conditions[0].label for rule in rules]
    return sorted(
        pair,
        key=lambda rule: (
            labels.index(rule.conditions[0].label),
            rule.conditions[0].relation == "<=",
        ),
    )


def _best_of_each(rules: Sequence[_Rule], counts: _Counts) -> list[_Rule]:
    """The best condition of each label and relation, best first."""
    best: dict[tuple[str, str], tuple[float, _Rule]] = {}
    for rule in rules:
        key, gain = (rule.conditions[0].label, rule.conditions[0].relation), counts.gain(rule)
        if key not in best or gain > best[key][0]:
            best[key] = gain, rule
    return [rule for _, rule in sorted(best.values(), key=lambda item: -item[0])]


def _with_second(
    first: _Rule, rules: Sequence[_Rule], counts: _Counts
) -> tuple[_Rule, _Rule] | None:
    """The best second condition for a first, the best first for that, and the second again."""
    pair = [first, first]
    for place in (1, 0, 1):
        other = pair[1 - place]
        pair[place] = max(rules, key=lambda rule: counts.gain(_both(other, rule)))
    both = pair[0].mask & pair[1].mask
    if both in (pair[0].mask, pair[1].mask) or counts.gain(_both(*pair)) < 0:
        return None
    return pair[0], pair[1]


def _conditions(
    about: Mapping[str, Any], points: Sequence[Point]
) -> Iterator[tuple[Condition, int]]:
    """Every condition on one label that some points fulfil and some do not, with their bits."""
    label = about["label"]
    masks: dict[str, int] = {}
    values: dict[str, Value] = {}
    for number, point in enumerate(points):
        if label in point:
            key = to_json(point[label])
            values.setdefault(key, point[label])
            masks[key] = masks.get(key, 0) | 1 << number
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values.values())
    if not about["number"]:
        yield from _options(label, values, masks, all_but=not numbers)
    if numbers:
        steps = sorted((value, masks[key]) for key, value in values.items())
        yield from _cuts(label, steps, log=about["log"], listed=not about["number"])


def _options(
    label: str, values: Mapping[str, Value], masks: Mapping[str, int], *, all_but: bool
) -> Iterator[tuple[Condition, int]]:
    """This option; and, of three or more that have no order, any but this."""
    active = 0
    for mask in masks.values():
        active |= mask
    for key, value in values.items():
        yield Condition(label, "=", value), masks[key]
        if all_but and len(values) > 2:
            yield Condition(label, "!=", value), active & ~masks[key]


def _cuts(
    label: str, steps: Sequence[tuple[Any, int]], *, log: bool, listed: bool
) -> Iterator[tuple[Condition, int]]:
    """Above and below: between neighbouring values, on the label's own scale.

    Whole numbers and options are cut at a value that was tried, others between two of them.
    """
    exact = listed or all(isinstance(value, int) for value, _ in steps)
    active = 0
    for _, mask in steps:
        active |= mask
    places = range(1, len(steps))
    wanted = {places[i * len(places) // MOST_CUTS] for i in range(MOST_CUTS)} if places else set()
    below = 0
    for place in places:
        (low, mask), (high, _) = steps[place - 1], steps[place]
        below |= mask
        if place in wanted:
            cut = None if exact else _between(low, high, log=log)
            yield Condition(label, "<=", low if cut is None else cut), below
            above = Condition(label, ">=", high) if cut is None else Condition(label, ">", cut)
            yield above, active & ~below


def _between(low: float, high: float, *, log: bool) -> float:
    """A number in [low, high) near the middle, with as few digits as tell the two apart."""
    middle = math.sqrt(low) * math.sqrt(high) if log and low > 0 else low / 2 + high / 2
    for digits in range(1, 18):
        rounded = float(f"{middle:.{digits}g}")
        if low <= rounded < high:
            return rounded
    return low
