"""From history to the next point: the space compiled for hyperopt, and the search algorithms.

The only package that imports hyperopt and scipy. Nothing here keeps state that matters: every
suggestion is a pure function of history, pending trials, trial number and the study's seed.
"""

from __future__ import annotations

from .algorithms import NAMES, fill, make
from .compiled import Compiled
from .dropin import hyperopt_algo
from .plain import to_hyperopt
from .sequences import grid_size

__all__ = ["NAMES", "Compiled", "fill", "grid_size", "hyperopt_algo", "make", "to_hyperopt"]
