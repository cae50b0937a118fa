"""What is searched, whatever it is: a Keras space, or a dict of words with an objective."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import reprlib
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from ..build import Builder, where_raised
from ..errors import PointError, SpaceError
from ..space import Loaded, Parameters, Space, Walk, load, space_of
from ..trial import Engine, Job, Outcome, Point, Report, Status, Task, finite

__all__ = [
    "Problem",
    "agreed",
    "check_travels",
    "digest",
    "number_of",
    "outcome_of_value",
    "packed",
    "problem_of",
]


@final
@dataclass(frozen=True, eq=False, slots=True)
class Problem:
    """A search space with its goal.

    Attributes:
        name: the space's name.
        space: the Keras space, None for a dict of words.
        engine: makes the engine that runs trials, given the study's seed.
        recipe: makes a function that makes that engine in another process, which cloudpickle can
            write, given the seed.
        path: the file that the space came from, None for one made in the caller's code;
            `target` loads it again.
        values: turns a point into what an objective receives.
    """

    name: str
    parameters: Parameters
    description: Any
    fingerprint: str
    metric: str
    maximize: bool
    space: Space | None
    engine: Callable[[int], Engine]
    recipe: Callable[[int], Callable[[], Engine]]
    values: Callable[[Mapping[str, Any]], Any]
    path: Path | None = None
    target: str | None = None
    source: str | None = None

    @property
    def direction(self) -> str:
        return "maximize" if self.maximize else "minimize"

    @property
    def source_digest(self) -> str | None:
        """Of the text of the space file, None where there is none."""
        return None if self.source is None else digest(self.source)

    @property
    def baselines(self) -> Mapping[str, Mapping[str, Any]]:
        return {} if self.space is None else self.space.baselines

    def loss(self, value: float | None) -> float | None:
        """The value as algorithms see it: smaller is better, None for none."""
        if value is None or not finite(value):
            return None
        return -value if self.maximize else value

    def better(self, value: float, other: float) -> bool:
        """Whether `value` beats `other`."""
        return value > other if self.maximize else value < other


def digest(text: str) -> str:
    """A short name for a text, equal for equal ones."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def problem_of(
    space: Any,
    objective: Callable[[Any], Any] | None = None,
    *,
    maximize: bool = False,
    require: Sequence[Any] | None = None,
) -> Problem:
    """Make a problem from what `hpsearch.search` takes.

    Raises:
        SpaceError: if the space, the objective, `maximize` and `require` do not fit together.
    """
    if not isinstance(maximize, bool):
        raise SpaceError(
            f"maximize is True or False, got {maximize!r}. The value of a dict of words has no name; "
            "a Space names its metric itself."
        )
    if not isinstance(space, str | Path | Loaded | Space):
        return _objective_problem(space, objective, maximize, () if require is None else require)
    if require is not None:
        raise SpaceError("A Space says itself what it requires: Space(require=[...]).")
    if isinstance(space, str | Path):
        space = load(str(space))
    if isinstance(space, Loaded):
        made = _keras_problem(space.space, space.name, objective, maximize)
        loaded, fingerprint = space, made.fingerprint

        def recipe(seed: int) -> Callable[[], Engine]:
            return functools.partial(_engine_again, loaded.target, loaded.source, fingerprint, seed)

        return dataclasses.replace(
            made, recipe=recipe, path=space.path, target=space.target, source=space.source
        )
    return _keras_problem(space, space.name or "space", objective, maximize)


def _keras_problem(space: Space, name: str, objective: Any, maximize: bool) -> Problem:
    if objective is not None:
        raise SpaceError(
            "A Space trains a model and knows its metric, so it takes no objective. "
            "For a score of your own write Space(evaluate=f), or search a dict of words."
        )
    if maximize and space.maximize is None:
        raise SpaceError(f"The space says minimize={space.minimize!r}; leave maximize=True out.")

    def engine(seed: int) -> Engine:
        from ..train import KerasEngine  # Keras is imported with the first trial

        return KerasEngine(space, seed)

    return Problem(
        name=name,
        parameters=space.parameters,
        description=space.description,
        fingerprint=space.fingerprint,
        metric=space.metric,
        maximize=space.maximize is not None,
        space=space,
        engine=engine,
        recipe=lambda seed: functools.partial(engine, seed),
        values=dict,
    )


def packed(recipe: Callable[[], Engine]) -> bytes:
    """A recipe as it is sent to a worker.

    Raises:
        SpaceError: if it holds what cannot leave this process.
    """
    import cloudpickle

    try:
        data: bytes = cloudpickle.dumps(recipe)
    except Exception as error:  # whatever the user's own objects raise
        raise SpaceError(
            "Trials in processes of their own are sent the objective, or the space with its data, "
            f"and something in it cannot be sent: {error}.\nMake it inside the function that uses "
            "it, put the space into a file, or search in this process: workers=0."
        ) from error
    return data


def check_travels(problem: Problem) -> None:
    """Make sure that a problem can be sent to workers; one from a file is loaded there anew.

    Raises:
        SpaceError: see `packed`.
    """
    if problem.path is None:
        packed(problem.recipe(0))


def _engine_again(target: str, source: str, fingerprint: str, seed: int) -> Engine:
    """The engine of a space file in another process, from the text that the search began with.

    Raises:
        SpaceError: if a module that it imports has changed since, and the space with it.
    """
    space = load(target, source=source).space
    if space.fingerprint != fingerprint:
        raise SpaceError(
            f"{target} has become another space since the search began: a module that it imports "
            "has changed, or it draws something at random. Undo that, and resume."
        )
    from ..train import KerasEngine

    return KerasEngine(space, seed)


def _objective_problem(
    words: Any, objective: Any, maximize: bool, require: Sequence[Any] = ()
) -> Problem:
    parameters, description, fingerprint, walk = space_of(words, require)
    content = dict(words)
    name = getattr(objective, "__name__", "objective")

    def values(point: Mapping[str, Any]) -> Any:
        return _resolved(content, walk, parameters, point)

    return Problem(
        name="search" if name in ("<lambda>", "objective") else name,
        parameters=parameters,
        description=description,
        fingerprint=fingerprint,
        metric="value",
        maximize=maximize,
        space=None,
        engine=lambda seed: _ObjectiveEngine(objective, values),
        recipe=lambda seed: functools.partial(_objective_again, words, objective),
        values=values,
    )


def _objective_again(words: Any, objective: Any) -> Engine:
    return _objective_problem(words, objective, False).engine(0)


def _resolved(content: Any, walk: Walk, parameters: Parameters, point: Mapping[str, Any]) -> Any:
    def no_facts(name: str) -> Any:
        raise SpaceError(f"given.{name} is known only where a Keras model is trained.")

    return Builder(walk, parameters, dict(point), no_facts).build(content, "")


@final
class _ObjectiveEngine:
    """Runs a Python function as a trial."""

    def __init__(self, objective: Any, values: Callable[[Mapping[str, Any]], Any]) -> None:
        self._objective, self._values = objective, values

    def prepare(self, task: Task) -> None:
        """Nothing is kept."""

    def run(self, task: Task, report: Callable[[Report], bool]) -> list[Outcome]:
        return [self._run(job) for job in task.jobs]

    def _run(self, job: Job) -> Outcome:
        started = time.monotonic()
        _seed_everything(job.seed)
        try:
            value = self._objective(self._values(job.point))
        except (Exception, SystemExit) as error:
            return Outcome(
                job.key,
                Status.FAILED,
                error=where_raised(error).splitlines()[0] + _hint(error),
                traceback=traceback.format_exc(),
                seconds=time.monotonic() - started,
            )
        return outcome_of_value(job, value, time.monotonic() - started)


def _hint(error: BaseException) -> str:
    """What an objective is given, where it takes that for a number or for a trial of Optuna's."""
    if isinstance(error, TypeError | AttributeError) and "'dict'" in str(error):
        return " (an objective is given one dict, as in values['x'])"
    return ""


def agreed(parameters: Parameters, values: Mapping[str, Any]) -> Point:
    """The values of a point to run first, if they agree with each other and with what is fixed.

    Raises:
        PointError: if they do not.
    """
    point = parameters.check_reachable(values)
    for label in parameters.differing(point):
        raise PointError(
            f"{label!r} is fixed at {parameters.fixed[label]!r}, and the point has {point[label]!r}."
        )
    return point


def number_of(value: Any) -> float | None:
    """A value as a number of Python's, those of NumPy among them; None where it is none."""
    number = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
    return None if isinstance(number, bool) or not isinstance(number, int | float) else number


def outcome_of_value(job: Job, value: Any, seconds: float) -> Outcome:
    """The outcome of a trial whose objective returned `value`."""
    number = number_of(value)
    if number is None:
        text = f"the objective returned {reprlib.repr(value)}; it must return a number"
        if isinstance(value, Mapping) and "loss" in value:
            text += ", here its 'loss'"
        return Outcome(job.key, Status.FAILED, error=text, seconds=seconds)
    try:
        number = float(number)
    except OverflowError:  # of an int
        number = math.inf if number > 0 else -math.inf
    if not finite(number):
        text = f"the objective returned {number}"
        return Outcome(job.key, Status.FAILED, error=text, seconds=seconds)
    metrics = {"value": number}
    return Outcome(job.key, Status.OK, number, metrics=metrics, seconds=seconds)


def _seed_everything(seed: int) -> None:
    """Seed Python and NumPy; Keras too where the caller has imported it."""
    import random
    import sys

    import numpy as np

    random.seed(seed)
    np.random.seed(seed % 2**32)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(seed)
