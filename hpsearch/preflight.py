"""Trying a space before it costs anything: a few points are built and shown one batch, untrained."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, final

from .build import Construction, Part, Parts, digest
from .errors import BuildError, DataError, HpsearchError, PointError, SearchStopped, nearest
from .space import Parameter, Parameters, Space
from .train import KerasEngine
from .train.keras_engine import failure
from .trial import Job, Key, Point, Value, to_json

__all__ = ["Look", "Survey", "covering", "first_look", "look", "survey"]

BATCH = 32  # rows that a model is shown
TRIES = 4
MOST_POINTS = 200
MOST_DRAWS = 1000
MOST_COMPANIES = 50  # points in which one value is tried, until one of them is legal


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
        uncovered: (label, value) of options and ends that no point tried has, other than those of
            dead labels: no legal point with them was found, or there were too many.
    """

    looks: list[Look] = field(default_factory=list)
    failed: list[tuple[Point, str]] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    uncovered: list[tuple[str, Value]] = field(default_factory=list)


class _NoMetric(BuildError):
    """No point will help: the metric that is searched for does not exist."""


def look(engine: KerasEngine, space: Space, point: Point) -> Look:
    """Build and compile the model of a point, show it one batch, and build what it is trained with.

    Raises:
        BuildError: if one of these cannot be built, or it reports no metric of the name that is searched for.
        DataError: if the data does not fit.
    """
    job = Job(Key("check", 0), point, seed=0)
    try:
        model, made = engine.compiled(job)
        names = _reported(model, made.parts, space, made)
        _build_training(made, names)
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
    about = digest(made.data, made.parts)
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
    taken: set[tuple[str, str]] = set()
    for point in covering(parameters):
        seen |= set(point)
        taken |= _values(point)
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
    alive = {label: p for label, p in parameters.items() if label in seen}
    found.uncovered.extend(_missing(alive, taken))
    return found


def covering(parameters: Parameters) -> Iterator[Point]:
    """Yield few legal points that take every option and both ends of every range.

    At most `MOST_POINTS`; a value for which no legal point is found is in none of them.
    """
    taken: set[tuple[str, str]] = set()
    draw = random.Random(0)
    for number, point in enumerate(_covering(parameters, taken, draw)):
        if number >= MOST_POINTS:
            return
        taken |= _values(point)
        yield point


def _covering(
    parameters: Parameters, taken: set[tuple[str, str]], draw: random.Random
) -> Iterator[Point]:
    """First many values at once, then each that is left in other companies; see `covering`."""
    wanted = {label: list(p.word.ends()) for label, p in parameters.items()}
    idle = 0  # points in which no label with a value left was active
    for _ in range(MOST_POINTS):
        asked: list[tuple[str, Value]] = []

        def choose(parameter: Parameter) -> Value:
            left = wanted[parameter.label]
            if left:
                asked.append((parameter.label, left[0]))  # noqa: B023
            return left[0] if left else draw.choice(parameter.word.ends())

        point = parameters.complete(choose)
        for label, _value in asked:
            del wanted[label][0]
        if asked and parameters.violated(point) is None:
            yield point
        idle = 0 if asked else idle + 1
        if not any(wanted.values()) or idle > MOST_COMPANIES:
            break
    for label, value in _missing(parameters, set()):
        if (label, to_json(value)) not in taken and label not in parameters.fixed:
            yield from _legal_with(label, value, parameters, draw)


def _legal_with(
    label: str, value: Value, parameters: Parameters, draw: random.Random
) -> Iterator[Point]:
    """Yield a legal point that has this value, if one is found soon."""

    def company(parameter: Parameter) -> Value:
        if parameter.label == label:
            return value
        if draw.random() < 0.5:
            return draw.choice(parameter.word.ends())
        return parameter.word.quantile(draw.random())

    for _ in range(MOST_COMPANIES):
        point = parameters.complete(company)
        if label in point and parameters.violated(point) is None:
            yield point
            return


def _values(point: Point) -> set[tuple[str, str]]:
    """The values of a point, so written that 1, 1.0 and True are three."""
    return {(label, to_json(value)) for label, value in point.items()}


def _missing(
    parameters: Mapping[str, Parameter], taken: set[tuple[str, str]]
) -> list[tuple[str, Value]]:
    """The options and ends that are not taken."""
    return [
        (label, value)
        for label, p in parameters.items()
        for value in p.word.ends()
        if (label, to_json(value)) not in taken
    ]


def _build_training(made: Construction, names: tuple[str, ...] | None) -> None:
    """Build what a trial is trained with, and use none of it: phases, a loop of one's own."""
    phases = len(made.space.phases)
    if made.space.train is not None:
        phases = int("fit" in inspect.signature(made.function("train")).parameters)
    for number in range(phases):
        for callback in made.phase(number).callbacks or ():
            _check_monitor(callback, names)


def _check_monitor(callback: Any, names: tuple[str, ...] | None) -> None:
    """Refuse a callback that waits for a metric that no epoch reports; Keras would fail or ignore it."""
    monitor = getattr(callback, "monitor", None)
    if isinstance(monitor, str) and names is not None and monitor not in (*names, "learning_rate"):
        raise BuildError(
            f"{type(callback).__name__} monitors {monitor!r}, which no trial reports. "
            f"{nearest(monitor, names)}"
        )


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
    name = space.metric.removeprefix("val_")
    return f" Name {name!r} in metrics=[…], or return it from evaluate=."
