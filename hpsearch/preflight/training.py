"""What a trial is trained with: phases, their callbacks, and who sets the learning rate."""

from __future__ import annotations

import inspect
from typing import Any

from ..build import Construction
from ..errors import BuildError, nearest
from .judge import Judge

__all__ = ["odd_in_training"]

RATE_SETTERS = ("ReduceLROnPlateau", "LearningRateScheduler")


def odd_in_training(
    model: Any, made: Construction, names: tuple[str, ...] | None, judge: Judge
) -> list[str]:
    """Warnings about what a trial is trained with: each phase is built, and none of it is used.

    Args:
        names: what an epoch reports; None where only a loop of the user's own knows.

    Raises:
        BuildError: if a phase cannot be built, waits for a metric that no epoch reports, or has a
            callback that cannot set the learning rate.
    """
    odd: list[str] = []
    phases, own_loop = len(made.space.phases), made.space.train is not None
    if own_loop:
        phases = int("fit" in inspect.signature(made.function("train")).parameters)
    prepared, optimizer = False, getattr(model, "optimizer", None)
    for number in range(phases):
        phase = made.phase(number)
        optimizer = optimizer if phase.optimizer is None else phase.optimizer
        for callback in phase.callbacks or ():
            _check_monitor(callback, names)
            if not own_loop:
                _check_rate(callback, optimizer)
        prepared = prepared or phase.prepare is not None  # which may change the output
        if phase.loss is not None and not prepared:
            odd += judge.agreement(phase, f"{made.phase_place(number)}.loss")
    return odd


def _check_monitor(callback: Any, names: tuple[str, ...] | None) -> None:
    """Refuse a callback that waits for a metric that no epoch reports; Keras would fail or ignore it."""
    monitor = getattr(callback, "monitor", None)
    if isinstance(monitor, str) and names is not None and monitor not in (*names, "learning_rate"):
        raise BuildError(
            f"{type(callback).__name__} monitors {monitor!r}, which no trial reports. "
            f"{nearest(monitor, names)}"
        )


def _check_rate(callback: Any, optimizer: Any) -> None:
    """Refuse one of Keras's callbacks that sets a rate which a schedule sets: it raises in training."""
    import keras

    name = type(callback).__name__
    if name not in RATE_SETTERS or getattr(keras.callbacks, name) is not type(callback):
        return
    rate = getattr(optimizer, "_learning_rate", None)  # Keras's own setter looks here (3.15)
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        raise BuildError(
            f"{name} sets the learning rate, and here the optimizer's is a schedule, "
            f"{type(rate).__name__}, which sets it too: Keras raises a TypeError in training, when "
            "the callback is to set it. Leave one of them out; to search for either, name the "
            "choice of the schedule, and write when(schedule == 'constant', "
            f"callbacks.{name}(…))."
        )
