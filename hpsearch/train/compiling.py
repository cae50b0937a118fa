"""What a model is compiled with, beside what its space says; and compiling one anew."""

from __future__ import annotations

import inspect
from typing import Any

from ..space import Space

__all__ = ["compile_again", "with_metric"]

CHOSEN = ("accuracy", "acc", "crossentropy", "ce")
"""Names for which Keras chooses a metric by the shapes of outputs and targets."""


def with_metric(metrics: Any, space: Space) -> Any:
    """Add the metric that the space searches for to those it gives, unless it is there already."""
    name = space.metric.removeprefix("val_")
    own_score = space.evaluate is not None and not space.metric.startswith("val_")
    if name == "loss" or own_score or isinstance(metrics, dict) or not _is_metric(name):
        return metrics
    if metrics is None:
        return [name]
    if any(isinstance(item, list | tuple) for item in metrics):
        return metrics
    names = [item if isinstance(item, str) else getattr(item, "name", None) for item in metrics]
    known = {"acc": "accuracy", "accuracy": "acc"}
    if name in names or known.get(name) in names:
        return metrics
    if (written := _class_of(name)) in names:  # Keras reports "AUC" as it is written
        return [name if item == written else item for item in metrics]
    return [*metrics, name]


def _is_metric(name: str) -> bool:
    """Whether Keras knows a metric of this name; another may still come from the user's own."""
    return name in CHOSEN or _class_of(name) is not None


def _class_of(name: str) -> str | None:
    """The class of Keras's metric of this name, ``AUC`` of ``auc``; None where it is no one class."""
    import keras

    try:
        found = None if name in CHOSEN else keras.metrics.get(name)
    except ValueError:
        return None
    return type(found).__name__ if found else None


def compile_again(model: Any, **changes: Any) -> None:
    """Compile a model as it was compiled before but for `changes`, with a new optimizer."""
    # Not `get_compile_config`: Keras 3.15 writes functions of one's own by name, and cannot read
    # them back.
    arguments = {**model._compile_config.config, **changes}
    if "optimizer" not in changes and model.optimizer is not None:
        arguments["optimizer"] = type(model.optimizer).from_config(model.optimizer.get_config())
    takes = inspect.signature(model.compile).parameters  # a class may have a `compile` of its own
    anything = any(one.kind is one.VAR_KEYWORD for one in takes.values())
    model.compile(
        **{
            name: value
            for name, value in arguments.items()
            if name in changes or (value is not None and (anything or name in takes))
        }
    )
