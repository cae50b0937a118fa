"""What things are called in labels: names of the user's own, and of recorded parts."""

from __future__ import annotations

import re
from typing import Any

from ..errors import SpaceError
from .expression import Expression

__all__ = ["check_name", "function_name", "legal_name", "part_name", "snake"]

NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\Z")
LONGEST_NAME = 250  # MLflow's longest parameter key


def check_name(name: str | None) -> str | None:
    """Return a user's label if MLflow can store it."""
    if name is None:
        return None
    if not isinstance(name, str) or not NAME.match(name) or len(name) > LONGEST_NAME:
        raise SpaceError(
            "A name may hold letters, digits, '_', '-' and single dots, at most "
            f"{LONGEST_NAME} characters, got {name!r}. MLflow refuses the rest."
        )
    return name


def snake(name: str) -> str:
    """Write a class or function name as Keras names a layer: BatchNormalization, batch_normalization."""
    bare = re.sub(r"\W+", "", name)
    parted = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", bare)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", parted).lower()


def part_name(part: Any) -> str:
    """The name of a part in labels: ``dense``, its own ``name=``, or what kind of part it is."""
    if isinstance(part, Expression):
        return part.part_name()
    if isinstance(part, list | tuple):
        return "_".join(part_name(item) for item in part[:3]) or "nothing"
    return function_name(part) if callable(part) else snake(type(part).__name__)


def function_name(function: Any) -> str:
    """The name of a function in labels; a lambda is a ``block``."""
    name = getattr(function, "__name__", type(function).__name__)
    return "block" if name == "<lambda>" else snake(name)


def legal_name(name: str) -> str:
    """The name itself where a label may hold it, else the nearest that it may."""
    try:
        check_name(name)
    except SpaceError:
        return snake(name) or "layer"
    return name
