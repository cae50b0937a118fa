"""What travels: points, trials, tasks, reports and outcomes as plain data, and the protocols.

Everything here is frozen, holds only JSON values and imports nothing of hpsearch, so that it can
cross a process, a database or a network unchanged (wire.py).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeAlias

__all__ = [
    "Algorithm",
    "Engine",
    "Event",
    "Executor",
    "Job",
    "Key",
    "Limits",
    "Observation",
    "Outcome",
    "Point",
    "Report",
    "Status",
    "Suggestion",
    "Task",
    "Trial",
    "Value",
    "Why",
    "digest_of",
    "finite",
]

Value: TypeAlias = Any
"""A JSON value: None, bool, int, float, str or a list of those."""

Point: TypeAlias = dict[str, Value]
"""``{label: value}``: active labels only, real values, never indices."""


class Status(StrEnum):
    """How a trial stands. All but ``RUNNING`` are ends."""

    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"  # an exception, a NaN or infinite value, out of memory
    DIED = "died"  # its process ended: exit code or signal
    TIMEOUT = "timeout"  # killed at its own time limit
    LOST = "lost"  # its worker or node disappeared
    PRUNED = "pruned"  # stopped early because others were better
    REJECTED = "rejected"  # built, but larger than `max_params`; not counted in the budget
    CANCELLED = "cancelled"  # stopped by the user or by the study's own time limit

    @property
    def failed(self) -> bool:
        """Whether the trial ended without a value through a fault of its own."""
        return self in (Status.FAILED, Status.DIED, Status.TIMEOUT, Status.LOST)

    @property
    def counted(self) -> bool:
        """Whether the trial counts towards the study's total."""
        return self in (Status.OK, Status.PRUNED) or self.failed


@dataclass(frozen=True, slots=True)
class Key:
    """One attempt at one trial. Numbers and attempts count from 0."""

    study: str
    number: int
    attempt: int = 0

    def __str__(self) -> str:
        again = f" (attempt {self.attempt + 1})" if self.attempt else ""
        return f"trial {self.number}{again}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a trial may use. None is no limit.

    Attributes:
        deadline: seconds from now after which the trial is cancelled at its next report, unless
            that ends its last epoch (the study's ``--timeout``; docs/decisions/005).
        max_params: most parameters (weights) a model may have before it is rejected.
        preparing: seconds until its data must be ready; else its worker has lost it.
        seconds: how long the trial may train, its data being ready, before it is killed.
        memory: most bytes of memory that the trial's processes may hold together.
    """

    deadline: float | None = None
    max_params: int | None = None
    preparing: float | None = None
    seconds: float | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One trial to run: its key, its point, and the seed for Python, NumPy and Keras."""

    key: Key
    point: Point
    seed: int


@dataclass(frozen=True, slots=True)
class Task:
    """What an executor is given: 1..K jobs of one structure.

    Attributes:
        purpose: ``"train"``, or ``"test"``: score the saved `model` of the job on the test data.
        folder: where the trial may write files of its own; made when it asks for ``given.folder``.
        bar: save the model only if its loss is below this (None: always); see `model`.
        model: the file to write the kept weights to (train), or to read them from (test).
    """

    jobs: tuple[Job, ...]
    purpose: str = "train"
    limits: Limits = field(default_factory=Limits)
    folder: str = "."
    bar: float | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Progress of a running trial, several times per epoch.

    Attributes:
        epoch: the running epoch, counted from 0 over all phases.
        fraction: how much of that epoch is done, in (0, 1]; 1 comes with the validation metrics.
        epochs: how many epochs the trial will run at most.
        examples: training examples seen so far.
        metrics: running training loss and metrics; at fraction 1 also the ``val_`` ones.
    """

    key: Key
    epoch: int
    fraction: float
    epochs: int
    examples: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    Attributes:
        value: the monitored metric at the kept epoch, in the user's own sign; None unless ok.
        error: one line; `traceback` holds the rest.
        metrics: all metrics at the kept epoch (and those of ``evaluate=``); for a test task the
            test metrics.
        history: the metrics of each epoch, in order.
        epoch: the kept epoch, from 0.
        params: the number of parameters (weights) of the model.
        seconds: wall seconds spent on the trial.
        model: the file that holds the kept weights, if it was written; `digest` is its SHA-256.
        facts: small facts worth keeping: phases, given values, notes.
    """

    key: Key
    status: Status
    value: float | None = None
    error: str | None = None
    traceback: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    history: tuple[dict[str, float], ...] = ()
    epoch: int | None = None
    params: int | None = None
    seconds: float = 0.0
    model: str | None = None
    digest: str | None = None
    facts: dict[str, Value] = field(default_factory=dict)


Event: TypeAlias = Report | Outcome


@dataclass(frozen=True, slots=True)
class Why:
    """Why an algorithm proposed a point, as it was known then. None is not known.

    Attributes:
        source: how the point came about: ``"start"`` (a quasi-random start), ``"earlier"``
            (did well in the study it starts from), ``"prior"``, ``"parzen"``, ``"mutation"``,
            ``"local"``, ``"random"``, ``"tpe"``, ``"anneal"``, ``"grid"``, ``"sequence"`` or
            ``"filled"`` (given in part).
        loss: its predicted loss: the value of the metric, negated where that is maximized.
        spread: the standard deviation of that prediction.
        improvement: the expected improvement on the best trial (with a `branch`, on the best of
            that), in units of the loss, from 0: of a point that does not fail, and over running
            trials as well, which count as expected.
        nearest: the number of the nearest trial that was tried.
        distance: how far that one is, in [0, 1]: the mean over the labels active in either of
            the share of the prior between two ordered values, or 1 for different options and
            for a label active in only one.
        wanted: how large an improvement was looked for at least, in units of the loss: now and then
            it is more than a small step. 0 where any will do, in the first trials and where one of
            the size is not in sight.
        branch: the label of a choice of which one option was looked at alone, as the search of all
            had stalled; what is expected then follows from the trials with that option.
        worse: whether the loss may as well be any worse one: bad losses are alike to the model, so
            that it tells the good ones apart.
    """

    source: str
    loss: float | None = None
    spread: float | None = None
    improvement: float | None = None
    nearest: int | None = None
    distance: float | None = None
    wanted: float | None = None
    branch: str | None = None
    worse: bool = False


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A point to try, and why; None where nothing had to be chosen."""

    point: Point
    why: Why | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Trial:
    """One attempt at a trial as the study store keeps it.

    Attributes:
        source: ``"suggested"``, ``"baseline"`` or ``"enqueued"``.
        name: the baseline's name.
        started, ended: seconds since the epoch (UTC).
        outcome: None while it runs.
        why: why its point was suggested; None for a baseline, for a point that was given whole,
            and in a study of an earlier version.
    """

    number: int
    point: Point
    seed: int
    started: float
    attempt: int = 0
    source: str = "suggested"
    name: str | None = None
    ended: float | None = None
    outcome: Outcome | None = None
    why: Why | None = None

    def __repr__(self) -> str:
        """In one line, for lists of them."""
        said = [f"value {self.value:g}"] if self.value is not None else []
        if self.status is not Status.OK:
            said = [str(self.status), *said, *(self.error or "").splitlines()[:1]]
        return f"Trial({self.number}: {', '.join(said)}, {self.point})"

    @property
    def status(self) -> Status:
        return Status.RUNNING if self.outcome is None else self.outcome.status

    @property
    def value(self) -> float | None:
        return None if self.outcome is None else self.outcome.value

    @property
    def error(self) -> str | None:
        return None if self.outcome is None else self.outcome.error

    @property
    def seconds(self) -> float | None:
        return None if self.outcome is None else self.outcome.seconds


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What an algorithm learns from one ended trial: smaller is better, None is a failure.

    Two are equal if they teach the same, to the type of each value: 1 is not True.
    """

    number: int
    point: Point
    loss: float | None
    source: str = "suggested"

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Observation):
            return NotImplemented
        if self.number != other.number or self.loss != other.loss:
            return False
        return self.point is other.point or repr(self.point) == repr(other.point)


class Algorithm(Protocol):
    """Proposes points. A pure function of its arguments; a cache may change nothing."""

    def __call__(
        self,
        history: Sequence[Observation],
        pending: Sequence[Observation],
        number: int,
        seed: int,
    ) -> Suggestion | None:
        """Suggest trial `number` of the study seeded with `seed`, None if no point is left."""


class Engine(Protocol):
    """Trains the jobs of a task: `train.KerasEngine`, or an objective of the user's own."""

    def prepare(self, task: Task) -> None:
        """Make what is kept from task to task, such as the data. Raises nothing: `run` will."""

    def run(self, task: Task, report: Callable[[Report], bool]) -> list[Outcome]:
        """Run a task to its end; `report` returns True where a trial is to end with its epoch."""


class Executor(Protocol):
    """Runs tasks somewhere. Events are delivered from inside `poll`, in the caller's thread."""

    def free(self) -> int:
        """How many trials would start now; may change as nodes join and leave."""

    def submit(self, task: Task) -> None:
        """Accept a task; does not block."""

    def poll(self, timeout: float | None, deliver: Callable[[Event], None]) -> None:
        """Hand every event that comes within `timeout` seconds to `deliver`; return after the first outcome."""

    def stop(self, key: Key, *, now: bool) -> None:
        """End a trial: cancelled at the end of its epoch, or (`now`) killed.

        A trial in its last epoch ends as if not stopped.
        """

    def close(self, *, now: bool) -> None:
        """Release everything; with `now` without waiting for running trials."""


def digest_of(file: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def finite(number: float | None) -> bool:
    """Whether this is a number that can be compared: not None, NaN or infinite."""
    return number is not None and math.isfinite(number)
