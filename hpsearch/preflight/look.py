"""One point before any training: its model is built, shown one batch, and its data judged by it."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any, final

from ..build import Construction, Parts, digest
from ..errors import BuildError, HpsearchError, nearest
from ..space import Space
from ..train import KerasEngine
from ..train.keras_engine import ensure_built
from ..trial import Job, Key, Point
from .explain import asks_axes, batch_failed, on_axes, said
from .judge import Judge, first_batch
from .score import scores_of
from .training import odd_in_training
from .values import Scans

__all__ = ["Look", "NoMetric", "look"]


@final
@dataclass(frozen=True, slots=True)
class Look:
    """What one point looks like when built.

    Attributes:
        params: the number of weights.
        metrics: the names that a trial will report.
        output: the shape of the output, as text.
        data: what to note of the data in a record.
        warnings: what is odd about data, output and loss, though it may be meant.
    """

    point: Point
    params: int
    metrics: tuple[str, ...]
    output: str
    data: dict[str, Any]
    warnings: tuple[str, ...] = ()


class NoMetric(BuildError):
    """No point will help: the metric that is searched for does not exist."""


def look(engine: KerasEngine, space: Space, point: Point, scans: Scans | None = None) -> Look:
    """Build and compile the model of a point, show it one batch, and build what it is trained with.

    Args:
        scans: what was found in the data by looks before, so that it is read once.

    Raises:
        BuildError: if one of these cannot be built, or data, output and loss do not agree, or it
            reports no metric of the name that is searched for.
        DataError: if the data does not fit.
    """
    job = Job(Key("check", 0), point, seed=0)
    model, made = _compiled(engine, job)
    about = digest(made.data, made.parts)
    judge = Judge(model, made, about["digest"], Scans() if scans is None else scans)
    warnings = [*judge.agreement(model, "loss")]
    try:
        values = judge.first_values()
        warnings += judge.numbers(values)
        warnings += judge.parts()
        names = _reported(values, made.parts)
    except HpsearchError:
        raise
    except Exception as error:
        raise BuildError(_told(model, made, error)) from error
    warnings += odd_in_training(model, made, names, judge)
    if space.evaluate is not None and names is not None:  # a loop of one's own may compile first
        scores, failed = scores_of(model, made)
        warnings += [failed] if failed else []
        unknown = failed is not None and space.metric not in names
        names = None if unknown else tuple(dict.fromkeys((*names, *scores)))
    if names is not None and space.metric not in names:
        raise NoMetric(
            f"No trial will report the metric {space.metric!r}. "
            + (_misspelt(space.metric) or nearest(space.metric, names))
            + _why_missing(space, made.parts)
        )
    shapes = getattr(model, "output_shape", None)
    data = {"digest": about["digest"], "shapes": about["parts"], "name": space.name or "data"}
    distinct = tuple(dict.fromkeys(warnings))
    return Look(point, int(model.count_params()), names or (), str(shapes), data, distinct)


def _compiled(engine: KerasEngine, job: Job) -> tuple[Any, Construction]:
    """The compiled model; where it cannot even be called with its inputs, what they are."""
    try:
        return engine.compiled(job)
    except HpsearchError as error:
        if advice := _on_axes(engine, job, error):
            raise BuildError(f"{error}\n{advice}") from error.__cause__
        raise
    except Exception as error:
        made = engine.construction(job)
        model, text = made.model(), f"The first batch failed: {said(error)}"
        try:
            ensure_built(model, made.parts)
        except Exception:
            text = _told(model, made, error)
        raise BuildError(text) from error


def _on_axes(engine: KerasEngine, job: Job, error: HpsearchError) -> str | None:
    """What to write for a model whose Input tells Keras, as it is made, that x lacks an axis."""
    if not isinstance(error, BuildError) or not asks_axes(error):
        return None
    try:
        return on_axes(error, first_batch(engine.construction(job).parts.train))
    except Exception:  # what is wrong with the model has been said
        return None


def _told(model: Any, made: Construction, error: Exception) -> str:
    try:
        return batch_failed(model, first_batch(made.parts.train), error)
    except HpsearchError:
        raise
    except Exception:  # the dataset itself fails
        return f"The first batch failed: {said(error)}"


def _reported(values: dict[str, float] | None, parts: Parts) -> tuple[str, ...] | None:
    """The names that an epoch will report; None where only the loop of the user's own knows."""
    if values is None:
        return None
    names = list(values)
    if parts.validation is not None:
        names += [f"val_{name}" for name in names]
    return tuple(names)


def _why_missing(space: Space, parts: Parts) -> str:
    if space.metric.startswith("val_") and parts.validation is None:
        return " There is no validation part: write Data(…, validation=0.2)."
    name = space.metric.removeprefix("val_")
    if _misspelt(name):
        return ""
    return f" Name {_keras_metric(name) or repr(name)} in metrics=[…], or return it from evaluate=."


def _misspelt(metric: str) -> str | None:
    """``Did you mean …?`` for a metric that is nearly one that Keras knows by its name."""
    import keras

    words = (re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind) for kind in dir(keras.metrics))
    known = ["accuracy", *(word.lower() for word in words)]
    name = metric.removeprefix("val_")
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    if not close:
        return None
    return f"Did you mean {metric[: len(metric) - len(name)] + close[0]!r}?"


def _keras_metric(name: str) -> str | None:
    """How to write the metric of Keras that goes by a short name: ``f1``, ``r2``, ``rmse``."""
    import keras

    short = name.lower()
    for kind in dir(keras.metrics):
        capitals = "".join(letter for letter in kind if letter.isupper()).lower()
        if len(short) > 1 and (kind.lower() == f"{short}score" or (capitals == short != kind)):
            return f"metrics.{kind}(name={name!r})"
    return None
