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

if TYPE_CHECKING:
    from .study import Study, search
    from .suggest import hyperopt_algo, to_hyperopt

__all__ = [
    "Data",
    "Fit",
    "Holdout",
    "Space",
    "Study",
    "adapted",
    "choice",
    "delayed",
    "given",
    "hyperopt_algo",
    "integer",
    "lognormal",
    "loguniform",
    "match",
    "maybe",
    "normal",
    "repeat",
    "search",
    "to_hyperopt",
    "uniform",
    "when",
]
__version__ = "0.1.0"

LAZY = {
    "search": "study",
    "Study": "study",
    "hyperopt_algo": "suggest",
    "to_hyperopt": "suggest",
}


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module 'hpsearch' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *LAZY])
