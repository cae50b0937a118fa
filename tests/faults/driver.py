"""Faults of the driver; numbers are those of the fault plan."""

from __future__ import annotations

import contextlib
import functools
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from hpsearch.store import Store
from hpsearch.trial import Key, Outcome, Status, Trial

from .invariants import ENDLESS, Program, check, fingerprint, finished, trials_of, witnessed
from .searching import STEPS

__all__ = ["FAST", "FAULTS"]


def killed_at_random(folder: Path, *, kills: int = 50, total: int = 200, workers: int = 1) -> None:
    """1: `kill -9` at random moments of one study, the first ones while it starts."""
    draw = random.Random(5)
    for number in range(kills):
        program = Program(folder, "--trials", ENDLESS, "--workers", str(workers))
        if number % 5:
            program.until(len(witnessed(folder)) + 1)
        time.sleep(draw.uniform(0, 0.5 if number % 5 else 2.5))
        program.signal(signal.SIGKILL)
        assert program.wait() == -signal.SIGKILL, program.out
        program.alone()
    total = _more_than_there_are(folder, total)
    assert finished(folder, total, workers) == 0
    check(folder, total)
    if workers == 1:
        _same_as_uninterrupted(folder, total)


def killed_at(folder: Path, step: str) -> None:
    """2: `kill -9` before and after a step in the life of a trial."""
    for when in ("before", "after"):
        for count in (1, 3):
            program = Program(
                folder, "--trials", ENDLESS, "--kill", f"{when} {step}", "--count", str(count)
            )
            assert program.wait() == -signal.SIGKILL, f"{when} {step} was not met: {program.out}"
            program.alone()
    total = _more_than_there_are(folder, 8)
    assert finished(folder, total) == 0
    check(folder, total)
    _same_as_uninterrupted(folder, total)


def signalled(folder: Path, *numbers: int, code: int = 130) -> None:
    """6: a signal, or two, with work under way: an end within ten seconds, and a way on."""
    program = Program(folder, "--trials", "30", "--workers", "2", "--seconds", "0.6")
    program.until(2)
    began = time.monotonic()
    for number in numbers:
        program.signal(number)
        time.sleep(0.1)
    assert program.wait(20) == code, program.out
    assert time.monotonic() - began < 10, "the driver took too long to end"
    program.alone()
    assert finished(folder, 12, workers=2) == 0
    check(folder, 12)


def two_drivers(folder: Path) -> None:
    """16: a second driver on one study is refused while the first runs, and hurts nothing."""
    first = Program(folder, "--trials", "25", "--seconds", "0.3")
    first.until(2)
    second = Program(folder, "--trials", "25")
    assert second.wait() != 0
    assert "runs already" in second.out or "is running" in second.out, second.out[-500:]
    assert first.wait() == 0, first.out
    check(folder, 25)


def late_word(folder: Path) -> None:
    """19: an attempt that reports after another took its place changes nothing."""
    root = folder / "mlruns" / "studies"
    with Store.create(root, "mine", {"seed": 1}) as store:
        for attempt in range(2):
            store.start(Trial(0, {"x": 1.0}, 1, time.time(), attempt))
        new, old = Key("mine", 0, 1), Key("mine", 0, 0)
        assert store.end(Outcome(new, Status.OK, value=1.0), time.time()) is not None
        store.end(Outcome(old, Status.OK, value=0.0), time.time())
        store.end(Outcome(new, Status.FAILED, error="again"), time.time())
    last = {trial.number: trial for trial in trials_of(folder)}[0]
    assert (last.attempt, last.status, last.value) == (1, Status.OK, 1.0)


def worker_killed(folder: Path) -> None:
    """4: workers and their fork server are killed from outside while four run."""
    program = Program(folder, "--trials", "60", "--workers", "4", "--seconds", "0.2")
    draw = random.Random(2)
    for number in range(8):
        program.until(2 + 4 * number)
        found = psutil.Process(program.process.pid).children(recursive=True)
        draw.choice(found).kill()
    assert program.wait() == 0, program.out
    program.alone()
    check(folder, 60)


def server_killed(folder: Path) -> None:
    """4: the fork server alone is killed while trials run: they are lost, and run again well."""
    program = Program(folder, "--trials", "16", "--workers", "2", "--seconds", "1.5")
    program.until(2)
    children = psutil.Process(program.process.pid).children()
    servers = [child for child in children if "multiprocessing.forkserver" in child.cmdline()[-1]]
    assert len(servers) == 1, [child.cmdline() for child in children]
    servers[0].kill()
    assert program.wait() == 0, program.out
    program.alone()
    check(folder, 16)
    ends = {(trial.number, trial.attempt): trial.status for trial in trials_of(folder)}
    lost = [(number, attempt) for (number, attempt), end in ends.items() if end is Status.LOST]
    assert lost, "no trial ran while the server was killed"
    assert all(ends[number, attempt + 1] is Status.OK for number, attempt in lost)
    assert set(ends.values()) == {Status.LOST, Status.OK}, "a trial was blamed"


def clock_jumps(folder: Path) -> None:
    """22: the wall clock goes back an hour in the middle; nothing is timed by it."""
    program = Program(folder, "--trials", "12", "--jump", "-3600", "--timeout", "60")
    assert program.wait() == 0, program.out
    program.alone()
    started = [trial.started for trial in trials_of(folder)]
    assert min(started) < max(started) - 3000, "the clock did not go back"
    check(folder, 12)
    assert finished(folder, 15) == 0
    check(folder, 15)


def read_only(folder: Path) -> None:
    """22: a folder that cannot be written, a study in it, a file in the way: one clear message."""
    (folder / "mlruns").write_text("a file stands in the way")
    _ends_with(Program(folder, "--trials", "3"), "cannot be made")
    (folder / "mlruns").unlink()
    with _only_readable(folder):
        _ends_with(Program(folder, "--trials", "3", powerless=True), "cannot be made")
    assert finished(folder, 3) == 0
    study = folder / "mlruns" / "studies" / "mine"
    with _only_readable(study, *study.glob("*")):
        _ends_with(Program(folder, "--trials", "6", powerless=True), "must be writable")
    assert finished(folder, 6) == 0
    check(folder, 6)


@contextlib.contextmanager
def _only_readable(*paths: Path) -> Iterator[None]:
    """Take the right to write away, from a folder and from what is in it."""
    before = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        yield
    finally:
        for path, mode in before.items():
            path.chmod(mode)


def _ends_with(program: Program, words: str) -> None:
    assert program.wait() == 1, program.out[-500:]
    last = program.out.strip().splitlines()[-1]
    assert last.startswith("hpsearch.errors.StudyError: ") and words in last, program.out[-500:]
    program.alone()


def odd_names(folder: Path) -> None:
    """22: spaces, quotes and letters of other alphabets in the path."""
    odd = folder / "naïve 'søk' – 研究"
    odd.mkdir()
    assert finished(odd, 4) == 0
    check(odd, 4)


def _more_than_there_are(folder: Path, total: int) -> int:
    """At least `total`, and some more than have been started, so that the study goes on."""
    return max(total, len({trial.number for trial in trials_of(folder)}) + 3)


def _same_as_uninterrupted(folder: Path, total: int) -> None:
    """The points are those of a search that nothing has happened to."""
    calm = folder / "calm"
    calm.mkdir()
    assert finished(calm, total) == 0
    assert fingerprint(folder) == fingerprint(calm), "the points are not those of a calm search"


FAULTS: dict[str, Callable[[Path], None]] = {
    "driver killed at 50 random moments": killed_at_random,
    "driver of 4 workers killed at 12 random moments": functools.partial(
        killed_at_random, kills=12, total=80, workers=4
    ),
    **{
        f"driver killed before and after {step}": functools.partial(killed_at, step=step)
        for step in STEPS
    },
    "workers and fork server killed": worker_killed,
    "fork server killed": server_killed,
    "Ctrl-C": lambda folder: signalled(folder, signal.SIGINT),
    "Ctrl-C twice": lambda folder: signalled(folder, signal.SIGINT, signal.SIGINT),
    "SIGTERM": lambda folder: signalled(folder, signal.SIGTERM),
    "SIGHUP": lambda folder: signalled(folder, signal.SIGHUP),
    "two drivers on one study": two_drivers,
    "an attempt reports late": late_word,
    "the clock goes back": clock_jumps,
    "a folder that cannot be written": read_only,
    "an odd path": odd_names,
}
"""What happens, and the function that makes it happen in an empty folder and checks the promises."""

FAST: dict[str, Callable[[Path], None]] = {
    "driver killed at 3 random moments": functools.partial(killed_at_random, kills=3, total=30),
    **{
        name: FAULTS[name]
        for name in (
            "driver killed before and after end",
            "workers and fork server killed",
            "Ctrl-C",
            "SIGTERM",
            "two drivers on one study",
            "an attempt reports late",
            "a folder that cannot be written",
            "an odd path",
        )
    },
}
"""Those that continuous integration runs."""
