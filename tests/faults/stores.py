"""Faults of the study store; numbers are those of the fault plan."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpsearch.errors import StudyError
from hpsearch.store import Store
from hpsearch.trial import Trial

from .invariants import ENDLESS, Program, check, finished, hold, trials_of, witnessed

__all__ = ["FAST", "FAULTS"]

HEADER, FRAME = 32, 24 + 4096  # bytes of SQLite's write-ahead log: its header, and each page in it


def store_truncated(folder: Path, *, places: int = 40) -> None:
    """3: a store that was cut is refused loudly, wherever it was cut, and never shortened."""
    assert finished(folder, 6) == 0
    database = folder / "mlruns" / "studies" / "mine" / "study.db"
    whole = database.read_bytes()
    before = trials_of(folder)
    for place in range(places):
        database.write_bytes(whole[: len(whole) * place // places])
        _refused(folder)
    for cut in range(1, 33):  # SQLite reads zeros for the last bytes, where it may have had some
        database.write_bytes(whole[:-cut])
        with contextlib.suppress(StudyError):
            assert trials_of(folder) == before, f"without {cut} bytes it is another study"
    database.write_bytes(whole)
    assert trials_of(folder) == before and len(before) == 6


def store_cut_while_it_runs(folder: Path, *, places: int = 40) -> None:
    """3: the files of a running study, database or log cut anywhere: refused, or nothing is lost.

    SQLite takes a log up to its last whole transaction without a word. That ends of trials are
    missing is known from the lock file alone; without it the study is shorter, but never wrong.
    """
    source, told = _stopped_in_the_middle(folder)
    database, log = (source[name] for name in ("study.db", "study.db-wal"))
    sizes = [len(database) * place // places for place in range(places)]
    refused = [_refused_or_whole(folder, {**source, "study.db": database[:n]}, told) for n in sizes]
    assert any(refused), "no cut of the database was noticed"
    ends = range(HEADER, len(log) + 1, FRAME)
    assert len(ends) > 20, "there is no log to be cut"
    cuts = {size for end in ends for size in (end - 1, end, end + 1) if size <= len(log)}
    noticed = {
        n: _refused_or_whole(folder, {**source, "study.db-wal": log[:n]}, told) for n in cuts
    }
    assert noticed[HEADER] and not noticed[len(log)]
    kept = [_ends_without_lock(folder, {**source, "study.db-wal": log[:end]}) for end in ends]
    assert all(kept[-1][: len(each)] == each for each in kept), "a shorter study is another one"
    assert {line[:2] for line in told} <= set(kept[-1])


def store_damaged(folder: Path) -> None:
    """3: a store with overwritten bytes is refused, or opens with every trial as it was."""
    assert finished(folder, 6) == 0
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


def disk_full(folder: Path) -> None:
    """14: no room for the study store: a clean end, and a resume when there is."""
    limit = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (900_000,) * 2)"
    assert finished(folder, 2) == 0  # MLflow has made its tables
    script = f"{limit}; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    searching = Path(__file__).parent / "searching.py"
    command = [sys.executable, "-c", script, str(searching), str(folder / "mlruns")]
    ended = subprocess.run(
        [*command, "--trials", "2000", "--seconds", "0"],
        capture_output=True, text=True, timeout=300, cwd=folder, env={**os.environ},
    )  # fmt: skip
    assert ended.returncode == 1, f"exit code {ended.returncode}: was the limit reached?"
    last = ended.stderr.strip().splitlines()[-1]  # the program lets it through: a message of ours
    assert last.startswith("hpsearch.errors.StudyError: A trial is stored before"), ended.stderr
    assert "hpsearch resume mine" in last and "in thread" not in ended.stderr, ended.stderr
    held = len(trials_of(folder))
    assert finished(folder, held + 3) == 0
    check(folder, held + 3)


def _stopped_in_the_middle(folder: Path) -> tuple[dict[str, bytes], list[Any]]:
    """The files of a study that runs, as a crash would leave them, and the ends told until then."""
    program = Program(folder, "--trials", ENDLESS)
    program.until(8)
    program.signal(signal.SIGSTOP)
    study, names = folder / "mlruns" / "studies" / "mine", ("study.db", "study.db-wal", "lock")
    files = {name: (study / name).read_bytes() for name in names}
    told = witnessed(folder)
    program.signal(signal.SIGKILL)
    program.wait()
    return files, told


def _refused_or_whole(folder: Path, files: dict[str, bytes], told: list[Any]) -> bool:
    """Whether these files are refused as a study; if they are not, all that was told is in it."""
    try:
        kept = _read(folder, files)
    except StudyError:
        return True
    ends = {(trial.number, trial.attempt): (trial.status.value, trial.value) for trial in kept}
    for number, attempt, *end in told:
        hold(ends.get((number, attempt)) == tuple(end), "lost", f"a cut study has no {number}")
    return False


def _ends_without_lock(folder: Path, files: dict[str, bytes]) -> list[tuple[int, int]]:
    """The ended trials that these files hold, in order of their end, where the lock is missing."""
    without = {name: content for name, content in files.items() if name != "lock"}
    try:
        ended = [trial for trial in _read(folder, without) if trial.ended is not None]
    except StudyError:  # the whole log is gone, and with it the tables
        return []
    return [(trial.number, trial.attempt) for trial in sorted(ended, key=lambda t: t.ended or 0)]


def _read(folder: Path, files: dict[str, bytes]) -> list[Trial]:
    """The trials of a study that consists of these files."""
    study = folder / "copy" / "mine"
    shutil.rmtree(study, ignore_errors=True)
    study.mkdir(parents=True)
    for name, content in files.items():
        (study / name).write_bytes(content)
    with Store.open(study.parent, "mine", write=True) as store:
        return store.trials()


def _refused(folder: Path) -> None:
    try:
        found = trials_of(folder)
    except StudyError:
        return
    raise AssertionError(f"a damaged store was read, with {len(found)} trials")


FAULTS: dict[str, Callable[[Path], None]] = {
    "store cut off": store_truncated,
    "store and its log cut off while it runs": store_cut_while_it_runs,
    "store overwritten": store_damaged,
    "store copied while it is written": unfinished_writes,
    "disk full": disk_full,
}
"""What happens, and the function that makes it happen in an empty folder and checks the promises."""

FAST = ("store cut off", "store and its log cut off while it runs", "store overwritten")
"""Those that continuous integration runs."""
