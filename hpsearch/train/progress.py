"""What a running trial tells: reports within epochs, the kept epoch, and when to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, final

from ..errors import BuildError, nearest
from ..trial import Key, Limits, Report, finite

__all__ = ["REPORTS_PER_EPOCH", "Progress", "keras_callback"]

REPORTS_PER_EPOCH = 3


@final
class Progress:
    """Follows one trial over all its phases: history, the kept epoch, reports, and its end.

    Args:
        key: the trial.
        metric: the monitored metric.
        maximize: whether larger is better.
        keep_best: keep the weights of the best epoch rather than those of the last.
        epochs: how many epochs there are at most, over all phases; see `planned`.
        rows: examples per epoch, 0 if not known.
        limits: what the trial may use.
        report: receives every report; returns True where the trial is to end with the epoch.
    """

    def __init__(
        self,
        key: Key,
        *,
        metric: str,
        maximize: bool,
        keep_best: bool,
        epochs: int,
        rows: int,
        limits: Limits,
        report: Callable[[Report], bool],
    ) -> None:
        self._key, self._metric, self._epochs, self._rows = key, metric, epochs, rows
        self._sign = -1.0 if maximize else 1.0
        self._keep_best, self._report = keep_best, report
        self._ends = None if limits.deadline is None else time.monotonic() + limits.deadline
        self.history: list[dict[str, float]] = []
        self.epoch: int | None = None
        self.weights: list[Any] | None = None
        self.stopped = False
        self._asked = False
        self.diverged: str | None = None
        self._best = math.inf

    def planned(self, left: int) -> None:
        """Say how many epochs are still to come, where an earlier phase ended before its last."""
        self._epochs = len(self.history) + left

    @property
    def stopping(self) -> bool:
        """Whether no further step is to be trained."""
        return self.stopped or self.diverged is not None

    def within(self, fraction: float, metrics: Mapping[str, Any]) -> bool:
        """Report from within an epoch; returns whether to stop."""
        self._tell(fraction, _numbers(metrics))
        return self.stopping

    def epoch_end(self, metrics: Mapping[str, Any], weights: Callable[[], list[Any]]) -> bool:
        """Record a finished epoch, keep its weights if they are the best; returns whether to stop."""
        numbers = _numbers(metrics)
        self.history.append(numbers)
        loss = self._sign * numbers.get(self._metric, math.nan)
        if not self._keep_best or (finite(loss) and loss < self._best):
            self._best, self.epoch, self.weights = loss, len(self.history) - 1, weights()
        self._tell(1.0, numbers, epoch=len(self.history) - 1)
        return self.stopping

    def kept(self) -> dict[str, float]:
        """The metrics of the kept epoch: the best, else the last."""
        if self.epoch is None and self.history:
            self.epoch = len(self.history) - 1
        return dict(self.history[self.epoch]) if self.epoch is not None else {}

    def missing_metric(self, metrics: Mapping[str, float]) -> BuildError:
        """The error for a monitored metric that the trial does not report."""
        return BuildError(
            f"No trial reports the metric {self._metric!r}. {nearest(self._metric, metrics)}"
        )

    def _tell(self, fraction: float, metrics: dict[str, float], epoch: int | None = None) -> None:
        number = len(self.history) if epoch is None else epoch
        seen = round(self._rows * (number + fraction))
        loss = metrics.get("loss")
        if loss is not None and not math.isfinite(loss) and self.diverged is None:
            self.diverged = f"the training loss became {loss} in epoch {number + 1}"
        report = Report(self._key, number, fraction, self._epochs, seen, metrics)
        self._asked |= self._report(report)
        late = self._ends is not None and time.monotonic() > self._ends
        ended = fraction >= 1
        whole = ended and number + 1 == self._epochs  # nothing is left to be stopped
        if ((self._asked and ended) or late) and not whole:
            self.stopped = True


def keras_callback(progress: Progress) -> Any:
    """The progress of ``Model.fit`` as a Keras callback."""
    import keras

    class _Follow(keras.callbacks.Callback):  # type: ignore[misc]
        """Reports a few times per epoch; Keras's own logs are running means."""

        def on_train_begin(self, logs: Any = None) -> None:
            self._steps = int((self.params or {}).get("steps") or 0)  # 0 where it is not known
            shares = range(1, REPORTS_PER_EPOCH)
            wanted = {math.ceil(self._steps * k / REPORTS_PER_EPOCH) for k in shares}
            self._at = sorted(step for step in wanted if 0 < step < self._steps)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._next = list(self._at)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self._next and batch + 1 >= self._next[0]:
                del self._next[0]
                if progress.within((batch + 1) / self._steps, logs or {}):
                    self.model.stop_training = True

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if progress.stopping or progress.epoch_end(
                logs or {}, self.model.get_weights
            ):  # stopped within the epoch: it is not a whole one
                self.model.stop_training = True

    return _Follow()


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as Python floats; an array-valued one is left out."""
    numbers = {}
    for name, value in metrics.items():
        try:
            numbers[str(name)] = float(value)
        except (TypeError, ValueError):
            continue
    return numbers
