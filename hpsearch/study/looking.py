"""Looks at points before a search: in a worker process, where trials run in some, else in this one.

What stands still, takes all the memory or ends its process ends only that worker, and is told.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, final

from ..errors import BuildError
from ..execute import run_alone
from ..preflight import WROTE, Here, Look, LookEngine, Looks, look_of
from ..space import Parameters, Space
from ..train import KerasEngine
from ..trial import Engine, Executor, Job, Key, Limits, Outcome, Point, Status, Task
from .options import Options
from .problem import Problem, packed

if TYPE_CHECKING:
    from ..execute.plan import Plan

__all__ = ["looks_at"]

# Seconds for building a model and showing it one batch.
LONGEST = 600.0  # where nothing limits trials
SHORTEST = 60.0  # where something does: a look does some of its work twice
LOADING = 3600.0  # seconds for the data, where nothing limits trials
PATIENCE = 10.0  # seconds of silence
LINES = 4  # of what a process wrote before it ended: the last ones, of a crash the first
KEY = Key("check", 0)
OF_TENSORFLOW = re.compile(r"[IWEF]\d{4} \d\d:\d\d:|WARNING: All log messages before absl::")


@contextlib.contextmanager
def looks_at(
    problem: Problem,
    options: Options,
    plan: Plan | None,
    engine: Engine,
    seed: int,
    note: Callable[[str], None],
    printed: Callable[[str], None] | None = None,
    hint: str = "",
) -> Iterator[Looks]:
    """Make what looks at points of a Keras space, and end it after.

    Args:
        plan: the workers of trials, of which looks take one; None for this process.
        engine: that of this process.
        seed: the study's, for data and splits.
        note: told if a look takes long.
        printed: told at the end what was printed in another process.
        hint: what may be done where a look takes long.
    """
    assert problem.space is not None
    fixed = problem.parameters.with_fixed(options.fix)
    if plan is None:
        yield _here(engine, fixed)
        return
    from ..execute.workers import Workers

    plan.start_server(options.folder, keras=True)
    recipe = packed(functools.partial(_look_engine, problem.recipe(seed), dict(options.fix)))
    one = dataclasses.replace(plan, devices=plan.devices[:1])
    with tempfile.TemporaryDirectory(prefix="check-", dir=options.folder) as logs:
        workers = Workers(recipe, one, Path(logs))
        try:
            yield _Apart(problem.space, fixed, workers, _limits(options), note, hint)
        finally:
            workers.close(now=True)
            if printed is not None:
                printed(_prints(Path(logs)))


def _look_engine(recipe: Callable[[], Engine], fix: Mapping[str, object]) -> LookEngine:
    engine = recipe()
    assert isinstance(engine, KerasEngine)
    return LookEngine(_here(engine, engine.space.parameters.with_fixed(fix)))


def _here(engine: Engine, parameters: Parameters) -> Here:
    assert isinstance(engine, KerasEngine)
    return Here(engine, engine.space, parameters)


def _limits(options: Options) -> Limits:
    """Those of a trial, but that a look always ends."""
    own, preparing = options.trial_timeout, options.preparing
    return Limits(
        preparing=LOADING if preparing is None else preparing,
        seconds=LONGEST if own is None else max(SHORTEST, own),
        memory=options.trial_memory,
    )


def _prints(logs: Path) -> str:
    """What user code has printed: without the places of crashes, which the messages have."""
    from ..execute.process import CRASH
    from ..execute.worker import headline

    head = f"{headline(Task((Job(KEY, {}, 0),)))}\n"
    texts = [log.read_text(errors="replace") for log in sorted(logs.glob("*.log"))]
    told = "".join(text.partition(CRASH)[0].replace(head, "") for text in texts)
    lines = told.splitlines(keepends=True)
    return "".join(line for line in lines if not OF_TENSORFLOW.match(line))


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
        hint: str,
    ) -> None:
        self.space, self.parameters, self.hopeless = space, parameters, False
        self._executor, self._limits, self._note = executor, limits, note
        self._hint = hint and f" {hint}"
        self._told = False  # that it takes long

    def at(self, point: Point) -> Look:
        task = Task((Job(KEY, point, seed=0),), limits=self._limits)
        late = None if self._told else self._tell
        outcome = run_alone(self._executor, task, late=late, patience=PATIENCE)
        lost = outcome.status is Status.LOST or "preparing" in outcome.facts
        self.hopeless = lost or bool(outcome.facts.get("hopeless"))
        if outcome.status in (Status.OK, Status.FAILED):
            return look_of(outcome)
        raise BuildError(self._how_it_ended(outcome))

    def _tell(self) -> None:
        self._told = True
        self._note(
            "A point is tried first: its data and model are made, and shown one batch. That takes "
            f"long; it is given up after {self._limits.seconds:g} s, its data after "
            f"{self._limits.preparing:g} s.{self._hint}"
        )

    def _how_it_ended(self, outcome: Outcome) -> str:
        """In words, with the last that the process wrote, or where Python saw it crash."""
        from ..execute.process import CRASH

        what = "Building a model and showing it one batch"
        if outcome.status is Status.TIMEOUT:
            return (
                f"{what} did not end within {self._limits.seconds:g} s. Give it longer with "
                "--trial-timeout, or see where it stands still: --workers 0, and Ctrl-C."
            )
        if "preparing" in outcome.facts:
            what = "Making the data"
        lines = [line for line in (outcome.traceback or "").splitlines() if line.strip()]
        crashed = bool(lines) and lines[0].startswith(CRASH)
        words = "\n".join(lines[:LINES] if crashed else lines[-LINES:])
        return f"{what} failed: {outcome.error}." + (words and f"{WROTE}{words}")
