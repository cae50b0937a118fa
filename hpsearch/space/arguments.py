"""Arguments that a noun does not take: refused with a word on where they belong."""

from __future__ import annotations

import functools
from dataclasses import fields
from typing import Any, TypeVar

from ..errors import SpaceError, nearest

__all__ = ["refusing_unknown"]

T = TypeVar("T")
WHERE_IT_BELONGS = {
    **dict.fromkeys(
        ("epochs", "batch_size", "callbacks", "class_weight", "shuffle", "steps_per_epoch"),
        "It belongs in Fit: Space(fit=Fit(epochs=5, …)).",
    ),
    "nb_epoch": "It is epochs now, in Fit: Space(fit=Fit(epochs=5, …)).",
    **dict.fromkeys(
        ("validation_split", "validation_data", "validation"),
        "It belongs in Data: Data((x, y), validation=0.2).",
    ),
    **dict.fromkeys(("x", "y"), "The data belongs in Data: Data((x, y), validation=0.2)."),
    "objective": "Name a metric: maximize='val_accuracy' or minimize='val_loss'.",
}


def refusing_unknown(kind: type[T]) -> type[T]:
    """Make a dataclass refuse arguments that it does not take with SpaceError, not TypeError."""
    original = kind.__init__
    known = [item.name for item in fields(kind) if item.init]  # type: ignore[arg-type]

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        for name in kwargs:
            if name not in known:
                hint = WHERE_IT_BELONGS.get(name) or nearest(name, known)
                raise SpaceError(f"{kind.__name__} has no argument {name!r}. {hint}")
        original(self, *args, **kwargs)

    kind.__init__ = __init__  # type: ignore[method-assign]
    return kind
