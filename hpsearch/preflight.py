"""Trying a space before it costs anything: a few points are built and shown one batch, untrained."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, final

from .build import Part, Parts, digest
from .errors import BuildError, DataError, HpsearchError, PointError, SearchStopped, nearest
from .space import Parameter, Parameters, Space
from .train import KerasEngine
from .train.keras_engine import failure
from .trial import Job, Key, Point

__all__ = ["Look", "Survey", "covering", "first_look", "look", "survey"]

BATCH = 32  # rows that a model is shown
TRIES = 4
MOST_POINTS = 200
MOST_DRAWS = 1000


@final
@dataclass(frozen=True, slots=True)
class Look:
    """What one point looks like when built.

    Attributes:
        params: the number of weights.
        metrics: the names that a trial will report.
        output: the shape of the output, as text.
        data: what to note of the data in a record.
    """

    point: Point
    params: int
    metrics: tuple[str, ...]
    output: str
    data: dict[str, Any]


@final
@dataclass(frozen=True, slots=True)
class Survey:
    """What `survey` found.

    Attributes:
        looks: the points that were built.
        failed: (point, one-line error) of those that could not be.
        dead: labels that no point of many made active.
    """

    looks: list[Look] = field(default_factory=list)
    failed: list[tuple[Point, str]] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)


class _NoMetric(BuildError):
    """No point will help: the metric that is searched for does not exist."""


def look(engine: KerasEngine, space: Space, point: Point) -> Look:
    """Build and compile the model of a point and show it one batch.

    Raises:
        BuildError: if it cannot be built, or reports no metric of the name that is searched for.
        DataError: if the data does not fit.
    """
    job = Job(Key("check", 0), point, seed=0)
    try:
        model, made = engine.compiled(job)
        names = _reported(model, made.parts, space, made)
    except HpsearchError:
        raise
    except Exception as error:
        raise BuildError(f"The first batch failed: {failure(job, error).error}") from error
    if names is not None and space.metric not in names:
        raise _NoMetric(
            f"No trial will report the metric {space.metric!r}. {nearest(space.metric, names)}"
            + _why_missing(space, made.parts)
        )
    shapes = getattr(model, "output_shape", None)
    about = digest(made.parts)
    data = {"digest": about["digest"], "shapes": about["parts"], "name": space.name or "data"}
    return Look(point, int(model.count_params()), names or (), str(shapes), data)


def first_look(engine: KerasEngine, space: Space, parameters: Parameters) -> Look:
    """Look at one point that can be built: a baseline, one from the middle, or one of a few more.

    A point that fails is a trial that would fail, which is no reason not to search; several in a
    row are.

    Raises:
        BuildError: the first failure, if none of `TRIES` points can be built; or at once if no
            trial would report the metric.
        SearchStopped: if no point satisfies `require`.
    """
    first: BuildError | None = None
    for point in itertools.islice(_candidates(space, parameters), TRIES):
        try:
            return look(engine, space, point)
        except _NoMetric:
            raise
        except BuildError as error:
            first = first or error
    assert first is not None, "there is a candidate, or `_candidates` has raised"
    raise first


def _candidates(space: Space, parameters: Parameters) -> Iterator[Point]:
    """Legal points to try: the whole baselines, then one from the middle, then random ones."""
    for point in space.baselines.values():
        with contextlib.suppress(PointError):
            yield parameters.legal(parameters.check(point))
    draw = random.Random(0)
    middle = parameters.complete(lambda p: p.word.quantile(0.5))
    some = (
        parameters.complete(lambda p: p.word.quantile(draw.random())) for _ in range(MOST_DRAWS)
    )
    legal = 0
    for point in itertools.chain([middle], some):
        violated = parameters.violated(point)
        if violated is None:
            legal += 1
            yield point
    if not legal:
        raise SearchStopped(
            f"None of {MOST_DRAWS} random points satisfies the constraint {violated}. "
            "Loosen it, or write the choice so that illegal points cannot be declared."
        )


def survey(engine: KerasEngine, space: Space, parameters: Parameters) -> Survey:
    """Try the few points that together take every option and both ends of every range."""
    found = Survey()
    seen: set[str] = set()
    for point in covering(parameters):
        seen |= set(point)
        try:
            found.looks.append(look(engine, space, point))
        except DataError:
            raise
        except HpsearchError as error:
            found.failed.append((point, str(error)))
    draw = random.Random(1)
    for _ in range(MOST_DRAWS):
        seen |= set(parameters.complete(lambda p: p.word.quantile(draw.random())))
    found.dead.extend(label for label in parameters if label not in seen)
    return found


def covering(parameters: Parameters) -> Iterator[Point]:
    """Yield few legal points that take every option and both ends of every range."""
    wanted = {label: list(p.word.ends()) for label, p in parameters.items()}
    draw = random.Random(0)
    idle = 0
    for _ in range(MOST_POINTS):
        taken: list[tuple[str, Any]] = []

        def choose(parameter: Parameter) -> Any:
            left = wanted[parameter.label]
            if left:
                taken.append((parameter.label, left[0]))  # noqa: B023
                return left[0]
            return draw.choice(parameter.word.ends())

        point = parameters.complete(choose)
        legal = parameters.violated(point) is None
        for label, value in taken:
            wanted[label].remove(value)
            if not legal and draw.random() < 0.5:  # in another company it may be legal
                wanted[label].append(value)
        idle = 0 if taken and legal else idle + 1
        if legal and taken:
            yield point
        if not any(wanted.values()) or idle > 50:
            return


def _reported(model: Any, parts: Parts, space: Space, made: Any) -> tuple[str, ...] | None:
    """The names that an epoch will report; None where only the loop of the user's own knows."""
    if space.train is not None:
        return None
    train = _first_batch(parts.train)
    arrays = {} if train.dataset else {"y": train.y, "sample_weight": train.weight}
    steps = {"steps": 1} if train.dataset else {"batch_size": BATCH}
    names = list(model.evaluate(train.x, **arrays, **steps, verbose=0, return_dict=True))
    if parts.validation is not None:
        names += [f"val_{name}" for name in names]
    if space.evaluate is not None and space.metric not in names:
        try:
            scores = made.function("evaluate")(model, Parts(train, train, None))
            names += [str(name) for name in scores]
        except Exception:
            return None  # a score may need more rows than one batch has
    return tuple(names)


def _first_batch(part: Part) -> Part:
    return part if part.dataset else part.take(slice(0, BATCH))


def _why_missing(space: Space, parts: Parts) -> str:
    if space.metric.startswith("val_") and parts.validation is None:
        return " There is no validation part: write Data(…, validation=0.2)."
    return ""
