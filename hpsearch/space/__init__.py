"""The search space: its nouns, the one walk over it, its parameters, and where it is found."""

from __future__ import annotations

from .describe import Description, describe
from .load import RUN_AS, Loaded, find, glance, load, ready_spaces
from .nouns import Data, Fit, Holdout, Space, space_of
from .parameters import Guard, Parameter, Parameters
from .walk import Child, Walk, is_layers, is_part

__all__ = [
    "RUN_AS",
    "Child",
    "Data",
    "Description",
    "Fit",
    "Guard",
    "Holdout",
    "Loaded",
    "Parameter",
    "Parameters",
    "Space",
    "Walk",
    "describe",
    "find",
    "glance",
    "is_layers",
    "is_part",
    "load",
    "ready_spaces",
    "space_of",
]
