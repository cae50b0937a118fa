"""Looks as the tasks of a worker process, and what comes back of them."""

from __future__ import annotations

import contextlib
import dataclasses
import traceback
from collections.abc import Callable, Mapping
from typing import Any, final

from ..errors import BuildError, DataError, HpsearchError
from ..trial import Job, Outcome, Report, Status, Task
from .look import Look, NoMetric
from .looks import Here

__all__ = ["LookEngine", "look_of"]

KINDS = {kind.__name__: kind for kind in (BuildError, DataError, NoMetric)}


class _There(Exception):
    """The traceback of another process, to be shown as a cause."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


@final
class LookEngine:
    """Looks at the points of tasks instead of training them; see `look_of` for what it tells."""

    def __init__(self, looks: Here) -> None:
        self._looks = looks

    def prepare(self, task: Task) -> None:
        """Make the data of the points, which is kept; `run` tells what is wrong with it."""
        for job in task.jobs:
            with contextlib.suppress(HpsearchError):
                self._looks.prepare(job.point)

    def run(self, task: Task, report: Callable[[Report], bool]) -> list[Outcome]:
        """Look at the points one after another."""
        return [self._outcome(job) for job in task.jobs]

    def _outcome(self, job: Job) -> Outcome:
        try:
            seen = dataclasses.asdict(self._looks.at(job.point))
        except HpsearchError as error:
            facts = {"kind": type(error).__name__, "hopeless": self._looks.hopeless}
            stack = "".join(traceback.format_exception(error))
            return Outcome(job.key, Status.FAILED, error=str(error), traceback=stack, facts=facts)
        return Outcome(job.key, Status.OK, facts={"look": seen})


def look_of(outcome: Outcome) -> Look:
    """What a `LookEngine` saw.

    Raises:
        BuildError, DataError: what was wrong.
    """
    if outcome.status is Status.OK:
        return _read(outcome.facts["look"])
    kind = KINDS.get(outcome.facts.get("kind", ""), BuildError)
    raise kind(outcome.error) from _There(outcome.traceback)


def _read(seen: Mapping[str, Any]) -> Look:
    """JSON has no tuples."""
    return Look(**{**seen, "metrics": tuple(seen["metrics"]), "warnings": tuple(seen["warnings"])})
