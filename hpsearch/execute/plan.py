"""How many workers there are, and what each may use: settled before a search starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from ..errors import StudyError
from .machine import cores, default_workers, environment, gpus, shares
from .process import METHODS
from .worker import Setup

__all__ = ["Plan", "plan"]

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
    """

    devices: tuple[tuple[str, ...], ...]
    threads: int
    method: str = "forkserver"
    trials: int = TRIALS
    growth: int = GROWTH

    @property
    def count(self) -> int:
        """How many trials run side by side."""
        return len(self.devices)

    def setup(self, slot: int, log: Path, outer: dict[str, str]) -> Setup:
        """What the worker of a slot is told."""
        own = environment(self.threads, self.devices[slot], outer)
        return Setup(own, self.threads, log, self.trials, self.growth)

    def in_words(self) -> str:
        """For the line that announces a search: ``2 workers of 1 thread``."""
        workers = "1 worker" if self.count == 1 else f"{self.count} workers"
        used = sorted({device for devices in self.devices for device in devices})
        if used:
            each = "a GPU" if self.count <= len(used) else f"{len(used) / self.count:.2g} GPUs"
            return f"{workers}, each with {each} ({', '.join(used)})"
        return f"{workers} of {self.threads} thread{'s' if self.threads > 1 else ''}"


def plan(
    workers: int | None,
    gpus_per_trial: float | None = None,
    method: str = "forkserver",
    most: int | None = None,
) -> Plan:
    """Settle the workers of a search.

    Args:
        workers: how many; None for one to each share of a GPU, or to each core.
        gpus_per_trial: a whole number or a part of one; None for one where there are any.
        most: trials of the search: more workers than that are of no use.

    Raises:
        StudyError: if there are fewer GPUs than that takes, or a value is none.
    """
    if method not in METHODS:
        raise StudyError(f"--start-method is {' or '.join(METHODS)}, got {method!r}.")
    there = gpus()
    of_each = shares(there, gpus_per_trial)
    if of_each is None:
        count = default_workers() if workers is None else workers
    else:
        count = len(of_each) if workers is None else workers
        if count > len(of_each):
            raise StudyError(
                f"{count} workers of {gpus_per_trial or 1:g} GPUs each do not fit on {len(there)}. "
                f"Write --workers {len(of_each)}, or a smaller --gpus-per-trial such as 0.5."
            )
    if workers is None and most is not None:
        count = max(1, min(count, most))
    devices = tuple(() if of_each is None else of_each[slot] for slot in range(count))
    return Plan(devices, max(1, cores() // count), method)
