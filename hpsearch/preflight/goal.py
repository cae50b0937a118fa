"""Whether what is searched for says anything: accuracy counts classes, and there may be none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..space import Space
from .subjects import Finding, Subject
from .values import Scans, outside

__all__ = ["goal_without_sense"]

ACCURACIES = ("accuracy", "acc", "binary_accuracy")


def goal_without_sense(
    space: Space, subjects: Iterable[Subject], digest: str, scans: Scans
) -> Iterator[Finding]:
    """Yield a warning where Keras's accuracy is searched for and the targets are real numbers.

    Nothing is said of several outputs, of metrics that are no plain names, and of own scores.

    Args:
        subjects: the outputs with loss and targets.
    """
    several = list(subjects)
    own = space.evaluate is not None and not space.metric.startswith("val_")
    plain = space.metrics is None or all(isinstance(one, str) for one in space.metrics)
    if space.metric.removeprefix("val_") not in ACCURACIES or own or not plain:
        return
    for subject in several if len(several) == 1 else ():
        y = subject.targets["train"]
        if subject.loss.kind != "each" or subject.shapes[1] != (1,):
            continue
        key = (digest, "train", subject.key, "whole")
        found = scans.once(key, lambda y=y: outside(y, -np.inf, np.inf, whole=True))  # type: ignore[misc]
        if found is not None and np.isfinite(found.value):
            place = "val_" if space.metric.startswith("val_") else ""
            yield Finding(
                f"{space.metric} counts outputs that, rounded to 0 or 1, equal the target, and "
                f"{subject.key} holds real numbers, {subject.key}{found.place} = "
                f"{found.value:.6g}: it says nothing of them. Write minimize='{place}loss' or "
                f"minimize='{place}mean_absolute_error'.",
                sure=False,
            )
