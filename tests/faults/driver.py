"""Faults of the driver and of the study store; numbers are those of the fault plan."""

from __future__ import annotations

import functools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from hpsearch.errors import StudyError
from hpsearch.store import Store
from hpsearch.trial import Key, Outcome, Status, Trial

from .invariants import Program, check, fingerprint, trials_of, witnessed
from .searching import STEPS

__all__ = ["FAST", "FAULTS"]


def killed_at_random(folder: Path, *, kills: int = 50, total: int = 200, workers: int = 1) -> None:
    """1: `kill -9` at random moments of one study, the first ones while it starts."""
    draw = random.Random(5)
    for number in range(kills):
        program = Program(folder, "--trials", str(total), "--workers", str(workers))
        if number % 5:
            program.until(min(total - 2, len(witnessed(folder)) + 1))
        time.sleep(draw.uniform(0, 0.5 if number % 5 else 2.5))
        program.signal(signal.SIGKILL)
        program.wait()
        program.alone()
    assert _finished(folder, total, workers) == 0
    check(folder, total)
    if workers == 1:
        _same_as_uninterrupted(folder, total)


def killed_at(folder: Path, step: str) -> None:
    """2: `kill -9` before and after a step in the life of a trial."""
    for when in ("before", "after"):
        for count in (1, 3):
            program = Program(
                folder, "--trials", "8", "--kill", f"{when} {step}", "--count", str(count)
            )
            code = program.wait()
            assert code in (-signal.SIGKILL, 0), program.out
            program.alone()
    assert _finished(folder, 8) == 0
    check(folder, 8)
    _same_as_uninterrupted(folder, 8)


def store_truncated(folder: Path) -> None:
    """3: a store that was cut is refused loudly, wherever it was cut, and never shortened."""
    assert _finished(folder, 6) == 0
    database = folder / "mlruns" / "studies" / "mine" / "study.db"
    whole = database.read_bytes()
    for share in (0.0, 0.01, 0.3, 0.6, 0.9, 0.999):
        database.write_bytes(whole[: int(len(whole) * share)])
        _refused(folder)
    database.write_bytes(whole)
    assert len(trials_of(folder)) == 6


def store_damaged(folder: Path) -> None:
    """3: a store with overwritten bytes is refused, or opens with every trial as it was."""
    assert _finished(folder, 6) == 0
    before = trials_of(folder)
    database = folder / "mlruns" / "studies" / "mine" / "study.db"
    whole = database.read_bytes()
    draw, refused = random.Random(3), 0
    for _ in range(40):
        at = draw.randrange(len(whole) - 64)
        database.write_bytes(whole[:at] + bytes(draw.randbytes(64)) + whole[at + 64 :])
        try:
            assert trials_of(folder) == before, f"bytes at {at} changed what the study holds"
        except StudyError:
            refused += 1
    database.write_bytes(whole)
    assert refused > 0, "no damage was noticed"
    assert trials_of(folder) == before


def unfinished_writes(folder: Path) -> None:
    """3: a copy of the files of a running study, taken at any moment, opens and goes on."""
    program = Program(folder, "--trials", "400")
    program.until(3)
    source, copies = folder / "mlruns" / "studies" / "mine", folder / "copies"
    for number in range(10):
        time.sleep(0.07)
        copy = copies / str(number) / "studies" / "mine"
        copy.mkdir(parents=True)
        for name in ("study.db-wal", "study.db"):  # as a crash leaves them: the log first
            if (source / name).exists():
                shutil.copy(source / name, copy / name)
    known = len(witnessed(folder))
    program.signal(signal.SIGKILL)
    program.wait()
    for number in range(10):
        with Store.open(copies / str(number) / "studies", "mine", write=True) as store:
            assert 3 <= len(store.trials()) <= known + 2


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
    assert _finished(folder, 12, workers=2) == 0
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


def disk_full(folder: Path) -> None:
    """14: no room for the study store: a clean end, and a resume when there is."""
    limit = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (900_000,) * 2)"
    assert _finished(folder, 2) == 0  # MLflow has made its tables
    for name in ("filler",):
        (folder / name).write_text("")
    script = f"{limit}; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    searching = Path(__file__).parent / "searching.py"
    command = [sys.executable, "-c", script, str(searching), str(folder / "mlruns")]
    ended = subprocess.run(
        [*command, "--trials", "2000", "--seconds", "0"],
        capture_output=True, text=True, timeout=300, cwd=folder, env={**os.environ},
    )  # fmt: skip
    assert ended.returncode != 0, "the limit was not reached"
    assert "Traceback" not in ended.stdout
    held = len(trials_of(folder))
    assert _finished(folder, held + 3) == 0
    check(folder, held + 3)


def clock_jumps(folder: Path) -> None:
    """22: the wall clock goes back an hour in the middle; nothing is timed by it."""
    program = Program(folder, "--trials", "12", "--jump", "-3600", "--timeout", "60")
    assert program.wait() == 0, program.out
    program.alone()
    started = [trial.started for trial in trials_of(folder)]
    assert min(started) < max(started) - 3000, "the clock did not go back"
    check(folder, 12)
    assert _finished(folder, 15) == 0
    check(folder, 15)


def read_only(folder: Path) -> None:
    """22: a folder that cannot be written is one clear message."""
    (folder / "mlruns").write_text("a file stands in the way")
    program = Program(folder, "--trials", "3")
    assert program.wait() != 0
    assert "cannot be made" in program.out, program.out[-500:]


def odd_names(folder: Path) -> None:
    """22: spaces, quotes and letters of other alphabets in the path."""
    odd = folder / "naïve 'søk' – 研究"
    odd.mkdir()
    assert _finished(odd, 4) == 0
    check(odd, 4)


def _finished(folder: Path, total: int, workers: int = 1) -> int:
    program = Program(
        folder, "--trials", str(total), "--workers", str(workers), "--seconds", "0.01"
    )
    code = program.wait(300)
    assert code == 0, program.out[-2000:]
    program.alone()
    return code


def _same_as_uninterrupted(folder: Path, total: int) -> None:
    """The points are those of a search that nothing has happened to."""
    calm = folder / "calm"
    calm.mkdir()
    assert _finished(calm, total) == 0
    assert fingerprint(folder) == fingerprint(calm), "the points are not those of a calm search"


def _refused(folder: Path) -> None:
    try:
        found = trials_of(folder)
    except StudyError:
        return
    raise AssertionError(f"a damaged store was read, with {len(found)} trials")


FAULTS: dict[str, Callable[[Path], None]] = {
    "driver killed at 50 random moments": killed_at_random,
    "driver of 4 workers killed at 12 random moments": functools.partial(
        killed_at_random, kills=12, total=80, workers=4
    ),
    **{
        f"driver killed before and after {step}": functools.partial(killed_at, step=step)
        for step in STEPS
    },
    "store cut off": store_truncated,
    "store overwritten": store_damaged,
    "store copied while it is written": unfinished_writes,
    "workers and fork server killed": worker_killed,
    "Ctrl-C": lambda folder: signalled(folder, signal.SIGINT),
    "Ctrl-C twice": lambda folder: signalled(folder, signal.SIGINT, signal.SIGINT),
    "SIGTERM": lambda folder: signalled(folder, signal.SIGTERM),
    "SIGHUP": lambda folder: signalled(folder, signal.SIGHUP),
    "disk full": disk_full,
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
            "store cut off",
            "store overwritten",
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
