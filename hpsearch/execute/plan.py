"""How many workers there are, and what each may use: settled before a search starts."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import final

from ..errors import StudyError
from .machine import cores, default_workers, environment, gpus, shares
from .process import METHODS, start_server
from .worker import Setup

__all__ = ["Plan", "default_method", "plan"]

TRIALS = 100  # Keras keeps about 5 MB of each model
GROWTH = 500_000_000


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """The workers of a search.

    Attributes:
        devices: for each worker its GPUs; () for none.
        threads: of each worker, for one operation.
        method: how processes are started, one of `METHODS`.
        trials, growth: after how many trials, or bytes of growth, a worker is replaced.
        gpus: how many GPUs a worker may use, 0.5 for half of one; None where nothing says.
    """

    devices: tuple[tuple[str, ...], ...]
    threads: int
    method: str = "forkserver"
    trials: int = TRIALS
    growth: int = GROWTH
    gpus: float | None = None

    @property
    def count(self) -> int:
        """How many trials run side by side."""
        return len(self.devices)

    def start_server(self, folder: Path, *, keras: bool) -> None:
        """Start the fork server, where workers come from one: it imports while others do.

        Args:
            folder: where ``startup.log`` is, for what its imports print.
        """
        if self.method == "forkserver":
            start_server(folder / "startup.log", keras=keras)

    def setup(self, slot: int, log: Path, outer: dict[str, str]) -> Setup:
        """What the worker of a slot is told; `outer` is the environment of the driver."""
        own = {**outer, **environment(self.threads, self.devices[slot], outer)}
        return Setup(own, self.threads, log, self.trials, self.growth)

    def in_words(self) -> str:
        """For the line that announces a search: ``2 workers of 1 thread``."""
        workers = "1 worker" if self.count == 1 else f"{self.count} workers"
        if self.gpus:
            used = ", ".join(sorted({device for devices in self.devices for device in devices}))
            each = "a GPU" if self.gpus == 1 else f"{self.gpus:g} GPUs"
            return f"{workers}{' ' if self.count == 1 else ', each '}with {each} ({used})"
        return f"{workers} of {self.threads} thread{'s' if self.threads > 1 else ''}"


def default_method() -> str:
    """How processes start: by the fork server, but on macOS in a new interpreter each.

    The libraries of macOS do not promise to work in the fork of a process that has loaded them.
    """
    return "spawn" if sys.platform == "darwin" else "forkserver"


def plan(
    workers: int | None,
    gpus_per_trial: float | None = None,
    method: str | None = None,
    most: int | None = None,
    *,
    keras: bool = True,
) -> Plan:
    """Settle the workers of a search.

    Args:
        workers: how many; None for one to each core, but no more than the memory holds, and than
            there are shares of GPUs.
        gpus_per_trial: a whole number or a part of one; None for one where there are any.
        method: one of `METHODS`; None for `default_method`.
        most: trials of the search: more workers than that are of no use.
        keras: whether trials train Keras models. An objective of the caller's own may need no GPU:
            unless GPUs are asked for, its workers take turns at them, however many there are.

    Raises:
        StudyError: if there are fewer GPUs than that takes, or a value is none.
    """
    method = default_method() if method is None else method
    if method not in METHODS:
        raise StudyError(f"--start-method is {' or '.join(METHODS)}, got {method!r}.")
    there = gpus()
    of_each = shares(there, gpus_per_trial)
    shared = of_each is not None and not keras and gpus_per_trial is None
    room = None if of_each is None or shared else len(of_each)
    count = _count(workers, room, most)
    if room is not None and count > room:
        raise StudyError(
            f"{count} workers of {gpus_per_trial or 1:g} GPUs each do not fit on {len(there)}. "
            f"Write --workers {room}, or a smaller --gpus-per-trial such as 0.5."
        )
    devices = tuple(of_each[slot % len(of_each)] if of_each else () for slot in range(count))
    each = None if room is None else float(gpus_per_trial or 1)
    return Plan(devices, max(1, cores() // count), method, gpus=each)


def _count(workers: int | None, room: int | None, most: int | None) -> int:
    """The number that was asked for, else as many as are of use."""
    if workers is not None:
        return workers
    return max(1, min(n for n in (default_workers(), room, most) if n is not None))
