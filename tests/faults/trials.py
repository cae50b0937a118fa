"""Faults of trials: what a model or an objective may do to its process, while others run beside it."""

from __future__ import annotations

import ctypes
import functools
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hpsearch
from hpsearch import uniform
from hpsearch.errors import SearchStopped
from hpsearch.study import sync
from hpsearch.trial import Status, Trial

from .invariants import Program, check, trials_of

__all__ = ["FAST", "FAULTS"]

WORDS = {"x": uniform(-1, 1)}


def _hang() -> float:
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    while True:
        time.sleep(10)


def _grow() -> float:
    held = []
    while True:
        held.append(b"x" * 20_000_000)
        time.sleep(0.05)


ACTS: dict[str, tuple[Callable[[], Any], Status, str]] = {
    "segfault": (lambda: ctypes.string_at(0), Status.DIED, "SIGSEGV"),
    "abort": (os.abort, Status.DIED, "SIGABRT"),
    "os._exit": (lambda: os._exit(3), Status.DIED, "exit code 3"),
    "kill -9": (lambda: os.kill(os.getpid(), signal.SIGKILL), Status.DIED, "SIGKILL"),
    "hang with signals blocked": (_hang, Status.TIMEOUT, "--trial-timeout"),
    "memory": (_grow, Status.DIED, "out of memory"),
    "NaN": (lambda: math.nan, Status.FAILED, "returned nan"),
    "infinity": (lambda: -math.inf, Status.FAILED, "returned -inf"),
    "None": (lambda: None, Status.FAILED, "must return a number"),
    "a text": (lambda: "0.5", Status.FAILED, "must return a number"),
    "200 MB of text": (lambda: "x" * 200_000_000, Status.FAILED, "must return a number"),
    "what cannot be pickled": (lambda: (i for i in ()), Status.FAILED, "must return a number"),
    "an exception that cannot be pickled": (
        lambda: _raise(type("Odd", (Exception,), {"__reduce__": None})("odd")),
        Status.FAILED,
        "Odd: odd",
    ),
    "sys.exit": (lambda: _raise(SystemExit(0)), Status.FAILED, "SystemExit"),
}
"""What a trial does, how it must be recorded, and what its error must say."""


def _raise(error: BaseException) -> Any:
    raise error


def bad_trial(folder: Path, name: str) -> None:
    """4, 5, 7, 8, 10: every third trial does this; the others and the best are as if it did not."""
    _, status, text = ACTS[name]

    def objective(values: dict[str, Any]) -> Any:
        if values["x"] > 0.4:
            return ACTS[name][0]()
        return values["x"] ** 2

    hpsearch.search(
        WORDS, objective, max_trials=12, algo="qmc", seed=1, workers=2, trial_timeout=1.5,
        trial_memory=400_000_000, study="mine", folder=folder / "mlruns", progress=False,
    )  # fmt: skip
    check(folder, 12)
    bad = [t for t in trials_of(folder) if t.point["x"] > 0.4]
    assert bad, "no trial did it"
    for trial in bad:
        assert trial.status is status, f"{trial.status}: {trial.error}"
        assert text in (trial.error or ""), trial.error
        assert trial.value is None
    good = [t for t in trials_of(folder) if t.point["x"] <= 0.4]
    assert all(t.status is Status.OK for t in good), [t.error for t in good]


def all_fail(folder: Path) -> None:
    """9: twenty failures in a row end the search with the reason; everything is kept."""
    try:
        hpsearch.search(
            WORDS, lambda values: 1 / 0, max_trials=100, seed=1, workers=2, study="mine",
            folder=folder / "mlruns", progress=False,
        )  # fmt: skip
    except SearchStopped as error:
        assert "ZeroDivisionError" in str(error)
    else:
        raise AssertionError("the search went on")
    count = len(trials_of(folder))
    assert 20 <= count <= 22
    check(folder, count)


def load(folder: Path, *, total: int = 2000, workers: int = 4) -> str:
    """23: many short trials through several workers: none lost, none twice.

    Returns:
        How long a worker waited between trials: for the end to be stored, and the next point.
    """
    hpsearch.search(
        WORDS, lambda values: values["x"] ** 2, max_trials=total, algo="random", seed=1,
        workers=workers, study="mine", folder=folder / "mlruns", progress=False,
    )  # fmt: skip
    check(folder, total)
    waits = waits_of(trials_of(folder), workers)
    return f"99% of trials began within {1000 * waits[round(0.99 * (len(waits) - 1))]:.0f} ms"


def waits_of(trials: list[Trial], workers: int) -> list[float]:
    """The seconds from the end of each trial to the start of the one that takes its place, sorted.

    As many trials run as there are workers, so the n-th start after the first ones follows the
    n-th end.
    """
    starts = sorted(trial.started for trial in trials)
    ends = sorted(trial.ended for trial in trials if trial.ended is not None)
    return sorted(start - end for start, end in zip(starts[workers:], ends, strict=False))


def four_drivers(folder: Path, *, trials: int = 60) -> None:
    """23: four searches of four workers each, on one MLflow database that is not there yet."""
    names = [f"search-{i}" for i in range(4)]
    asked = ("--trials", str(trials), "--workers", "4", "--seconds", "0.02")
    programs = [Program(folder, *asked, "--study", name) for name in names]
    for program in programs:
        assert program.wait(300) == 0, program.out[-2000:]
        program.alone()
    for name in names:
        sync(folder / "mlruns", name, None, prepare=lambda: None)  # what the busy database refused
        check(folder, trials, study=name)


FAULTS: dict[str, Callable[[Path], None]] = {
    **{f"trial: {name}": functools.partial(bad_trial, name=name) for name in ACTS},
    "all trials fail": all_fail,
    "4 drivers of 4 workers on one MLflow database": four_drivers,
}
FAST = {
    name: FAULTS[name]
    for name in (
        "trial: segfault",
        "trial: hang with signals blocked",
        "trial: NaN",
        "trial: infinity",
        "trial: an exception that cannot be pickled",
        "all trials fail",
    )
}
