"""Looks at points before a search: in a worker process, where trials run in some, else in this one.

What stands still, takes all the memory or ends its process ends only that worker, and is told.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, final

from ..errors import BuildError
from ..preflight import Here, Look, LookEngine, Looks, look_of
from ..space import Parameters, Space
from ..train import KerasEngine
from ..trial import Engine, Event, Executor, Job, Key, Limits, Outcome, Point, Status, Task
from .options import Options
from .problem import Problem, packed

if TYPE_CHECKING:
    from ..execute.plan import Plan

__all__ = ["looks_at"]

LONGEST = (
    600.0  # seconds for building a model and showing it one batch, where nothing limits trials
)
SHORTEST = 60.0  # where something does: a look does some of its work twice
PATIENCE = 10.0  # seconds of silence
TRIES = 2  # at a look that its worker has lost, which says nothing of the point
LINES = 4  # of what a process wrote before it ended: the last ones, of a crash the first
CRASH = "Fatal Python error"


@contextlib.contextmanager
def looks_at(
    problem: Problem, options: Options, plan: Plan | None, seed: int, note: Callable[[str], None]
) -> Iterator[Looks]:
    """Make what looks at points of a Keras space, and end it after.

    Args:
        plan: the workers of trials, of which looks take one; None for this process.
        seed: the study's, for data and splits.
        note: told if a look takes long.
    """
    assert problem.space is not None
    fixed = problem.parameters.with_fixed(options.fix)
    if plan is None:
        yield _here(problem.engine(seed), fixed)
        return
    from ..execute.process import start_server
    from ..execute.workers import Workers

    if plan.method == "forkserver":
        start_server(options.folder / "startup.log", keras=True)
    recipe = packed(functools.partial(_look_engine, problem.recipe(seed), dict(options.fix)))
    logs = options.folder / "check"
    shutil.rmtree(logs, ignore_errors=True)
    workers = Workers(recipe, dataclasses.replace(plan, devices=plan.devices[:1]), logs)
    try:
        yield _Apart(problem.space, fixed, workers, _limits(options), note)
    finally:
        workers.close(now=True)


def _look_engine(recipe: Callable[[], Engine], fix: Mapping[str, Any]) -> LookEngine:
    engine = recipe()
    assert isinstance(engine, KerasEngine)
    return LookEngine(_here(engine, engine.space.parameters.with_fixed(fix)))


def _here(engine: Engine, parameters: Parameters) -> Here:
    assert isinstance(engine, KerasEngine)
    return Here(engine, engine.space, parameters)


def _limits(options: Options) -> Limits:
    """Those of a trial, but that a look always ends, once its data is there."""
    own = options.trial_timeout
    seconds = LONGEST if own is None else max(SHORTEST, own)
    return Limits(preparing=options.preparing, seconds=seconds, memory=options.trial_memory)


@final
class _Apart:
    """Looks at points in another process."""

    def __init__(
        self,
        space: Space,
        parameters: Parameters,
        executor: Executor,
        limits: Limits,
        note: Callable[[str], None],
    ) -> None:
        self.space, self.parameters, self.hopeless = space, parameters, False
        self._executor, self._limits, self._note = executor, limits, note
        self._told = False  # that it takes long

    def at(self, point: Point) -> Look:
        for _ in range(TRIES):
            outcome = self._outcome(point)
            if outcome.status is not Status.LOST:
                break
        lost = outcome.status is Status.LOST
        self.hopeless = lost or bool(outcome.facts.get("hopeless"))
        if outcome.status in (Status.OK, Status.FAILED):
            return look_of(outcome)
        raise BuildError(self._how_it_ended(outcome))

    def _outcome(self, point: Point) -> Outcome:
        while not self._executor.free():
            self._executor.poll(None, lambda event: None)
        ends: list[Outcome] = []

        def deliver(event: Event) -> None:
            if isinstance(event, Outcome):
                ends.append(event)

        self._executor.submit(Task((Job(Key("check", 0), point, seed=0),), limits=self._limits))
        self._executor.poll(PATIENCE, deliver)
        if not ends and not self._told:
            self._told = True
            self._note(
                "One point is tried before the search: its data and model are made, and shown one "
                "batch. That takes long; --no-check leaves it out."
            )
        while not ends:
            self._executor.poll(None, deliver)
        return ends[0]

    def _how_it_ended(self, outcome: Outcome) -> str:
        """In words, with the last that the process wrote, or where Python saw it crash."""
        what = "Building a model and showing it one batch"
        if outcome.status is Status.TIMEOUT:
            return f"{what} did not end within {self._limits.seconds:g} s."
        if outcome.status is Status.LOST:
            what = "Making the data"
        lines = [line for line in (outcome.traceback or "").splitlines() if line.strip()]
        crashed = bool(lines) and lines[0].startswith(CRASH)
        words = "\n".join(lines[:LINES] if crashed else lines[-LINES:])
        return f"{what} failed: {outcome.error}." + (words and f" It wrote:\n{words}")
