"""Live Keras objects do not belong into a declaration: they carry state from trial to trial."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ..errors import SpaceError

__all__ = ["live_keras_object", "refuse_live"]

LONGEST_LIST = 1000
STATEFUL = {
    "Layer": "layers",
    "Model": "Model",
    "Optimizer": "optimizers",
    "Metric": "metrics",
    "Callback": "callbacks",
    "LearningRateSchedule": "optimizers.schedules",
    "RandomInitializer": "initializers",
    "KerasTensor": "Input",
    "Variable": "layers",
}


def live_keras_object(value: Any) -> str | None:
    """Name the kind of a live, stateful Keras object (``"layers"``), None for anything else."""
    for kind in type(value).__mro__:
        if kind.__module__.partition(".")[0] == "keras" and kind.__name__ in STATEFUL:
            return STATEFUL[kind.__name__]
    return None


def refuse_live(value: Any) -> None:
    """Raise SpaceError for a live Keras object, also inside a list, tuple, set, dict or partial."""
    if isinstance(value, list | tuple | set | frozenset):
        if len(value) <= LONGEST_LIST:  # more is data
            for item in value:
                refuse_live(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            refuse_live(item)
    elif isinstance(value, functools.partial):
        refuse_live([*value.args, *value.keywords.values()])
    elif (kind := live_keras_object(value)) is not None:
        source = f"from hpsearch.keras import {kind.partition('.')[0]}"
        raise SpaceError(
            f"A space holds recorded calls, got a live Keras object: {type(value).__name__}. "
            "It would carry its state from trial to trial.\n"
            f"Write `{source}`, and the same call is recorded; "
            "or make the object inside a function made with `delayed`."
        )
