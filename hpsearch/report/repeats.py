"""Points that were tried several times: where values are noisy, their means tell more than the best trial."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from ..trial import Point, Status, Trial

__all__ = ["Repeated", "repeats_of"]


@final
@dataclass(frozen=True, slots=True)
class Repeated:
    """A point with two values or more.

    Attributes:
        numbers: of the trials that have a value, ascending.
        mean: of their values.
        error: the standard error of the mean.
    """

    point: Point
    numbers: tuple[int, ...]
    mean: float
    error: float


def repeats_of(trials: Iterable[Trial], *, maximize: bool) -> list[Repeated]:
    """The points that succeeded twice or more, the best mean first."""
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.status is Status.OK and trial.value is not None:
            groups[json.dumps(trial.point, sort_keys=True)].append(trial)
    found = [_repeated(group) for group in groups.values() if len(group) > 1]
    sign = -1 if maximize else 1
    return sorted(found, key=lambda each: (sign * each.mean, each.numbers))


def _repeated(trials: list[Trial]) -> Repeated:
    values = [trial.value for trial in trials if trial.value is not None]
    return Repeated(
        trials[0].point,
        tuple(sorted(trial.number for trial in trials)),
        statistics.fmean(values),
        statistics.stdev(values) / math.sqrt(len(values)),
    )
