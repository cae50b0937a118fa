"""hpsearch: write a Keras model with its choices in place; find the best one; keep the record.

`import hpsearch` loads neither Keras, TensorFlow, MLflow nor hyperopt: those come when needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .declare import (
    adapted,
    choice,
    delayed,
    given,
    integer,
    lognormal,
    loguniform,
    match,
    maybe,
    normal,
    repeat,
    uniform,
    when,
)
from .space import Data, Fit, Holdout, Space

__all__ = [
    "Data",
    "Fit",
    "Holdout",
    "Space",
    "adapted",
    "choice",
    "delayed",
    "given",
    "integer",
    "lognormal",
    "loguniform",
    "match",
    "maybe",
    "normal",
    "repeat",
    "uniform",
    "when",
]
__version__ = "0.1.0"
