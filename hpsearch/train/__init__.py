"""One trial, from a point to an outcome. The only place that trains with Keras."""

from __future__ import annotations

from .keras_engine import KerasEngine, ensure_built, set_seeds, with_metric
from .progress import REPORTS_PER_EPOCH, Progress

__all__ = [
    "REPORTS_PER_EPOCH",
    "KerasEngine",
    "Progress",
    "ensure_built",
    "set_seeds",
    "with_metric",
]
