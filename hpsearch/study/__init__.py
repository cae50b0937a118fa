"""The search itself: options, the driver's loop, one study's session, and the scripting interface."""

from __future__ import annotations

from .api import Asked, Study, search
from .budget import best_of, latest
from .loop import model_file
from .opening import make_folder
from .options import ALGORITHMS, DEFAULT_TRIALS, Options, options_from, read_points, seconds_of
from .problem import Problem, problem_of
from .result import Best, Result
from .session import Session, restore_model
from .watch import Lines, Silent, Watcher, value_text

__all__ = [
    "ALGORITHMS",
    "DEFAULT_TRIALS",
    "Asked",
    "Best",
    "Lines",
    "Options",
    "Problem",
    "Result",
    "Session",
    "Silent",
    "Study",
    "Watcher",
    "best_of",
    "latest",
    "make_folder",
    "model_file",
    "options_from",
    "problem_of",
    "read_points",
    "restore_model",
    "search",
    "seconds_of",
    "value_text",
]
