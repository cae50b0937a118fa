"""The search itself: options, the driver's loop, one study's session, and the scripting interface."""

from __future__ import annotations

from .api import Asked, Study, search
from .kept import kept_file, restore_model
from .looking import looks_at
from .loop import model_file
from .opening import check_new, make_folder
from .options import ALGORITHMS, DEFAULT_TRIALS, WHERE, Options, options_from
from .problem import Problem, problem_of
from .rebuilding import free_name
from .result import Best, Result
from .session import Session, planned
from .syncing import Delivered, owing, sync
from .tally import best_of, counts_of, latest
from .watch import Lines, Silent, Watcher, folder_option, value_text
from .written import read_points, seconds_of

__all__ = [
    "ALGORITHMS",
    "DEFAULT_TRIALS",
    "WHERE",
    "Asked",
    "Best",
    "Delivered",
    "Lines",
    "Options",
    "Problem",
    "Result",
    "Session",
    "Silent",
    "Study",
    "Watcher",
    "best_of",
    "check_new",
    "counts_of",
    "folder_option",
    "free_name",
    "kept_file",
    "latest",
    "looks_at",
    "make_folder",
    "model_file",
    "options_from",
    "owing",
    "planned",
    "problem_of",
    "read_points",
    "restore_model",
    "search",
    "seconds_of",
    "sync",
    "value_text",
]
