"""What must hold after every fault, and the processes of a fault."""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import psutil

from hpsearch.store import Store
from hpsearch.trial import Status, Trial

__all__ = [
    "ENDLESS",
    "MARK",
    "Broken",
    "Program",
    "check",
    "end_marked",
    "fingerprint",
    "finished",
    "hold",
    "marked",
    "trials_of",
    "without_privileges",
    "witnessed",
]

HERE = Path(__file__).parent
MARK = "HPSEARCH_FAULT"
ENDLESS = "100000"  # trials of a search that is to be killed before its end
PARENT = "mlflow.parentRunId"
FINAL = (Status.OK, Status.FAILED, Status.DIED, Status.TIMEOUT, Status.PRUNED, Status.REJECTED)
"""Ends after which a trial never runs again; LOST and CANCELLED attempts may come before."""


class Broken(AssertionError):
    """A promise that was not held: something lost, duplicated, stuck or orphaned."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Program:
    """A search as a process of its own, found again with all it has started by a mark.

    Args:
        folder: its working directory.
        arguments: of `searching.py`, or of Python itself where `script` is None.
        powerless: permissions hold, also where the tests run as root.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        script: str | None = "searching.py",
        powerless: bool = False,
    ) -> None:
        self.folder, self.mark = folder, uuid.uuid4().hex
        first = [] if script is None else [str(HERE / script), str(folder / "mlruns")]
        command = [sys.executable, *first, *arguments]
        outer = {**os.environ, MARK: self.mark}
        outer.pop("MLFLOW_TRACKING_URI", None)
        self.process = subprocess.Popen(
            command,
            env=outer,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=without_privileges if powerless else None,
        )

    def wait(self, seconds: float = 120) -> int:
        """Its exit code; its output is in `out`. One that does not end is ended, and `Broken`."""
        try:
            self.out, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise self._stuck(f"no end after {seconds:g} s") from None
        return self.process.returncode

    def _stuck(self, text: str) -> Broken:
        """End it, with all that it has started; what is to be raised."""
        end_marked(self.mark)
        self.out, _ = self.process.communicate()
        return Broken("stuck", f"{text}:\n{self.out[-2000:]}")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def until(self, ended: int, seconds: float = 90) -> None:
        """Wait until so many trials have been witnessed."""
        late = time.monotonic() + seconds
        while len(witnessed(self.folder)) < ended:
            assert self.process.poll() is None, self.process.stdout and self.process.stdout.read()
            if time.monotonic() > late:
                raise self._stuck(f"{len(witnessed(self.folder))} of {ended} trials ended")
            time.sleep(0.01)

    def alone(self, seconds: float = 10) -> None:
        """Assert that what it started is gone within so long."""
        late = time.monotonic() + seconds
        while (found := marked(self.mark)) and time.monotonic() < late:
            time.sleep(0.05)
        end_marked(self.mark)
        hold(not found, "orphans", f"{len(found)} processes outlived their driver")


def finished(folder: Path, total: int, workers: int = 1) -> int:
    """Go on with the study until it has so many trials; 0, the exit code."""
    program = Program(
        folder, "--trials", str(total), "--workers", str(workers), "--seconds", "0.01"
    )
    code = program.wait(300)
    assert code == 0, program.out[-2000:]
    program.alone()
    return code


def marked(mark: str) -> list[int]:
    """The processes that live and have this mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def end_marked(mark: str, seconds: float = 10) -> None:
    """Kill whatever has this mark, also what is started meanwhile."""
    late = time.monotonic() + seconds
    while (found := marked(mark)) and time.monotonic() < late:
        for number in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.05)


def without_privileges() -> None:
    """Have permissions hold for root too: what this process starts may not override them."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability)  # PR_CAPBSET_DROP


def hold(promise: bool, kind: str, text: str) -> None:
    """Raise `Broken` where a promise is not held."""
    if not promise:
        raise Broken(kind, text)


def witnessed(folder: Path, study: str = "mine") -> list[tuple[int, int, str, float | None]]:
    """The ends that a program has told, (number, attempt, status, value)."""
    file = folder / f"witnessed-{study}"
    lines = file.read_text().splitlines() if file.exists() else []
    return [tuple(json.loads(line)) for line in lines if line.endswith("]")]


def trials_of(folder: Path, study: str = "mine") -> list[Trial]:
    """All attempts in the store."""
    with Store.open(folder / "mlruns" / "studies", study, write=False) as store:
        return store.trials()


def fingerprint(folder: Path) -> list[Any]:
    """The points in order, to compare with those of an uninterrupted search."""
    last = {t.number: t for t in trials_of(folder)}
    return [json.dumps(last[number].point, sort_keys=True) for number in sorted(last)]


def check(folder: Path, total: int, *, study: str = "mine", mlflow: bool = True) -> None:
    """Assert that nothing was lost, ended twice, or left running, in the store and in MLflow.

    Args:
        total: how many trials the study has after it was resumed to its end.
    """
    trials = trials_of(folder, study)
    attempts: dict[int, list[Trial]] = {}
    for trial in trials:
        hold(trial.status is not Status.RUNNING, "stuck", f"{trial.number} is left running")
        attempts.setdefault(trial.number, []).append(trial)
    again = [n for n, tried in attempts.items() if any(t.status in FINAL for t in tried[:-1])]
    hold(not again, "duplicated", f"ran again after their end: {again}")
    ended = [n for n, tried in attempts.items() if tried[-1].status in (*FINAL, Status.LOST)]
    whole = sorted(ended) == list(range(total))
    hold(whole, "lost", f"{len(ended)} of {total} trials have an end")
    kept = {(t.number, t.attempt): (t.status.value, t.value) for t in trials}
    for number, attempt, status, value in witnessed(folder, study):
        same = kept.get((number, attempt)) == (status, value)
        hold(same, "lost", f"{number} was lost or changed")
    if mlflow:
        _check_mlflow(folder, study, trials)


def _check_mlflow(folder: Path, study: str, trials: list[Trial]) -> None:
    from hpsearch.record.tracking import connect

    client = connect(f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    runs: list[Any] = []
    page = None
    while True:
        found = client.search_runs(experiments, page_token=page, max_results=1000)
        runs += found
        page = found.token
        if not page:
            break
    parents = [r for r in runs if r.info.run_name == study and PARENT not in r.data.tags]
    hold(len(parents) == 1, "duplicated", f"there are {len(parents)} parent runs")
    children = [r for r in runs if r.data.tags.get(PARENT) == parents[0].info.run_id]
    live = ("RUNNING", "SCHEDULED")
    running = [r.info.run_name for r in [*parents, *children] if r.info.status in live]
    hold(not running, "stuck", f"left running in MLflow: {running}")
    names = [run.info.run_name for run in children]
    hold(len(names) == len(set(names)), "duplicated", "a run is in MLflow twice")
    good = [run for run in children if run.info.status == "FINISHED"]
    succeeded = sum(trial.status is Status.OK for trial in trials)
    hold(len(good) == succeeded, "lost", f"{succeeded} succeeded, {len(good)} are in MLflow")
    values = [t.value for t in trials if t.value is not None and math.isfinite(t.value)]
    if values:
        best = min(run.data.metrics["objective"] for run in good)
        same = math.isclose(best, min(values), rel_tol=1e-5)  # a column of the page, rounded
        hold(same, "lost", f"best {min(values)}, in MLflow {best}")
