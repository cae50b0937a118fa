"""What a model is compiled with, beside what its space says; and compiling one anew."""

from __future__ import annotations

import inspect
from typing import Any

from ..space import Space

__all__ = ["compile_again", "with_metric"]


def with_metric(metrics: Any, space: Space) -> Any:
    """Add the metric that the space searches for to those it gives, unless it is there already."""
    name = space.metric.removeprefix("val_")
    own_score = space.evaluate is not None and not space.metric.startswith("val_")
    if name == "loss" or own_score or isinstance(metrics, dict) or not _is_metric(name):
        return metrics
    if metrics is None:
        return [name]
    names = [item if isinstance(item, str) else getattr(item, "name", None) for item in metrics]
    if name in names or any(isinstance(item, list | tuple) for item in metrics):
        return metrics
    known = {"acc": "accuracy", "accuracy": "acc"}
    return metrics if known.get(name) in names else [*metrics, name]


def _is_metric(name: str) -> bool:
    """Whether Keras knows a metric of this name; another may still come from the user's own."""
    import keras

    try:
        return name in ("accuracy", "acc", "crossentropy", "ce") or bool(keras.metrics.get(name))
    except ValueError:
        return False


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
