"""One trial, from a point to an outcome. The only place that trains with Keras."""

from __future__ import annotations

from .compiling import compile_again, with_metric
from .keras_engine import KerasEngine, ensure_built, set_seeds
from .progress import REPORTS_PER_EPOCH, Progress

__all__ = [
    "REPORTS_PER_EPOCH",
    "KerasEngine",
    "Progress",
    "compile_again",
    "ensure_built",
    "set_seeds",
    "with_metric",
]
