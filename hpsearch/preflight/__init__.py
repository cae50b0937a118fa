"""Trying a space before it costs anything: a few points are built and shown one batch, untrained.

What does not fit is told with shapes and what to write: data and model (`look`), outputs, targets
and loss (`agree`), NaN and infinity (`judge`), parts that differ, and for a searched space the
option at which it happens (`survey`). Nothing of this runs in a trial.
"""

from __future__ import annotations

from .engine import LookEngine, look_of
from .look import Look, look
from .looks import WROTE, Here, Looks, first_look
from .points import covering
from .survey import Cause, Survey, survey

__all__ = [
    "WROTE",
    "Cause",
    "Here",
    "Look",
    "LookEngine",
    "Looks",
    "Survey",
    "covering",
    "first_look",
    "look",
    "look_of",
    "survey",
]
