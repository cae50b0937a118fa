"""Bad inputs to the command line: each is refused with one clear message and leaves nothing behind.

python -m faults.inputs, in tests/, runs all; it prints those that were not refused clearly, and times
"""

from __future__ import annotations

import atexit
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .bad_inputs import CASES, SPACE, Case, on_space
from .invariants import MARK, end_marked, marked, without_privileges

__all__ = ["CASES", "Case", "Ended", "count", "judged", "mutations", "prepared", "ran"]

CODES = {0, 2, 3, 4, 130}
LINES = 6  # of a message, beside click's lines about usage
LIMIT = 240.0  # seconds after which a command counts as stuck
GRACE = 10.0  # seconds within which what it started must be gone
SLOWEST = 25.0  # times `hpsearch --version`: with its 0.2 s on an idle machine, 5 s


@dataclass(frozen=True)
class Ended:
    """What came of a command."""

    code: int
    out: str
    err: str
    seconds: float = 0.0


def prepared(case: Case, folder: Path) -> None:
    """Put into `folder`, the working directory, what the case needs."""
    if case.studied:
        shutil.copytree(_studies(), folder / "mlruns", dirs_exist_ok=True)
    for name, content in case.files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    if case.make is not None:
        case.make(folder)


@cache
def _studies() -> Path:
    """A folder with studies, made once: one succeeded, one did not, one has lost its space file."""
    import hpsearch
    from hpsearch import uniform

    def fails(values: object) -> float:
        raise RuntimeError("never")

    folder = Path(tempfile.mkdtemp(prefix="hpsearch-inputs-"))
    gone, words = folder / "gone.py", {"x": uniform(0, 1)}
    gone.write_text(SPACE)
    for name, space, objective in (
        ("bad", words, fails),
        ("good", words, lambda values: values["x"]),
        ("fileless", gone, None),
    ):
        hpsearch.search(
            space, objective, max_trials=1, algo="random", study=name,
            offline=True, folder=folder, progress=False, keep_models=0,
        )  # fmt: skip
    gone.unlink()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def ran(case: Case, root: Path) -> tuple[Ended, list[str]]:
    """Run a case as a process in a new folder below `root`; with it what it left behind."""
    folder, home, scratch = root / "work", root.parent / "home", root / "tmp"
    for each in (folder, home, scratch):
        each.mkdir(parents=True, exist_ok=True)
    prepared(case, folder)
    mark = uuid.uuid4().hex
    outer = {
        **_outside(), "HOME": str(home), "TMPDIR": str(scratch),
        "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "200",
        "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "",
        **_workers(case), **case.variables, MARK: mark,
    }  # fmt: skip
    before, began = _tree(root, home), time.monotonic()
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "hpsearch", *case.arguments],
            cwd=folder, env=outer, capture_output=True, timeout=LIMIT, stdin=subprocess.DEVNULL,
            preexec_fn=without_privileges if case.powerless else None,
        )  # fmt: skip
        seconds = time.monotonic() - began
        alive = _alive(mark)
    finally:
        end_marked(mark)
    left = [f"left {name}" for name in sorted(_tree(root, home) - before) if not _harmless(name)]
    left += [f"process {number} lives on" for number in alive]
    texts = (each.decode(errors="backslashreplace") for each in (ended.stdout, ended.stderr))
    return Ended(ended.returncode, *texts, seconds), left


def _outside() -> dict[str, str]:
    """The environment, without what the tests or the user say to hpsearch in it."""
    ours = ("HPSEARCH_WORKERS", "MLFLOW_TRACKING_URI")
    return {name: value for name, value in os.environ.items() if name not in ours}


def _workers(case: Case) -> dict[str, str]:
    """None, but the command line's default where a search gets as far as Keras.

    Then their fork server is there before the fault is found. With the others, what is told first
    may depend on whether there are any.
    """
    default = case.heavy and case.arguments[0] == "run"
    return {} if default else {"HPSEARCH_WORKERS": "0"}


def _alive(mark: str) -> list[int]:
    """What a command has left running, once it had time to end."""
    late = time.monotonic() + GRACE
    while (found := marked(mark)) and time.monotonic() < late:
        time.sleep(0.05)
    return found


def _tree(*roots: Path) -> set[str]:
    return {
        str(path.relative_to(root if root.name != "home" else root.parent))
        for root in roots
        for path in root.rglob("*")
    }


def _harmless(name: str) -> bool:
    """Whether it may be there: the folder for studies with its log, and files of other libraries.

    Keras and matplotlib keep settings in the home; SQLite has files beside a database that is read,
    and MLflow makes its own where it is asked about a model.
    """
    known = ("home/.keras", "home/.cache", "home/.config")
    beside = name.endswith(("/study.db-shm", "/study.db-wal", "work/mlruns/mlflow.db"))
    return name in ("work/mlruns", "work/mlruns/startup.log") or name.startswith(known) or beside


def judged(case: Case, ended: Ended) -> list[str]:
    """What is wrong with how it was refused; nothing if it was refused clearly."""
    lines = ended.err.splitlines()
    at = [i for i, line in enumerate(lines) if line.startswith("Error: ")]
    told = "\n".join(lines[at[0] :]) if at else ""
    before = lines[: at[0]] if at else lines
    odd = [line for line in before if line and not line.startswith(("Usage: ", "Try 'hpsearch"))]
    faults = {
        f"exit code {ended.code}, not {case.code}": ended.code != case.code,
        f"exit code {ended.code} is none of ours": ended.code not in CODES,
        f"{len(at)} messages": len(at) != 1,
        f"{told.count(chr(10)) + 1} lines": told.count("\n") >= LINES,
        f"a line of {max(map(len, lines), default=0)} characters": max(map(len, lines), default=0)
        > 1000,
        "a traceback": "Traceback" in ended.err + ended.out,
        f"standard output {ended.out[:80]!r}": bool(ended.out),
        f"it also says {odd[:1]!r}": bool(odd),
        "a control character": bool(re.search(r"[\x00-\x09\x0b-\x1f\x7f]", ended.err)),
        f"no word of {case.says!r}": case.says not in " ".join(told.split()),
    }
    return [fault for fault, true in faults.items() if true]


# Mutations.


def mutations(number: int = 100, seed: int = 4) -> Iterator[tuple[str, Case]]:
    """Inputs that were good before something in them was changed at random.

    Each is wrong in any case, as its study's name is refused too: the change may be harmless, and
    what is told first is left open.
    """
    draw = random.Random(seed)
    point = json.dumps({"units": 2, "learning_rate": 0.01, "model.dense.units": [1, None, "x"]})
    whole = {"enqueue": point, "fix": "units=2", "timeout": "30m", "max-trials": "20",
             "target": "0.5", "algo": "tpe", "trial-memory": "4GB", "seed": "1"}  # fmt: skip
    for count in range(number):
        what = draw.choice([*["space"] * 3, *["file"] * 2, *whole])
        if what == "space":
            text = _mutated(draw, SPACE.encode())
            case = Case(("run", "s.py", "--study=.."), "", files={"s.py": text})
        elif what == "file":
            text = _mutated(draw, (point + "\n" + point).encode())
            case = on_space(("--study=..", "--enqueue", "p.json"), "", files={"p.json": text})
        else:
            text = _mutated(draw, whole[what].encode()).replace(b"\0", b"?")
            value = text.decode("utf-8", "surrogateescape")
            case = on_space(("--study=..", f"--{what}={value}"), "")
        yield f"mutation {count} of {what}", case


def _mutated(draw: random.Random, data: bytes) -> bytes:
    """One to six changes: bytes replaced, removed, repeated, or put in."""
    pieces = [b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"NaN", b"1e-3", b"9" * 400, b"[" * 200,
              b'"', b"}", b",", b"-", b"\\ud800", "🦊".encode(), b"\x1b[2J", b"' or 1"]  # fmt: skip
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(data) + 1)
        end = min(len(data), at + draw.choice([0, 1, 1, 5, 40]))
        new = draw.choice([b"", draw.choice(pieces), data[at:end] * 2, draw.randbytes(3)])
        data = data[:at] + new + data[end:]
    return data


def count() -> Counter[str]:
    """Run all cases and mutations as processes.

    Returns:
        How many were ``tried``, and how many of them ``refused`` clearly, ``stuck``, or left
        processes behind (``orphans``).
    """
    tried = {name: case for name, case in [*CASES.items(), *mutations()] if case.real}
    times: dict[str, float] = {}
    found = Counter(tried=len(tried))
    with tempfile.TemporaryDirectory(prefix="hpsearch-inputs-") as place:
        usual = statistics.median(_version(Path(place), number) for number in range(3))
        for number, (name, case) in enumerate(tried.items()):
            root = Path(place) / str(number)
            ended, faults = _tried(case, root, SLOWEST * usual)
            if not case.heavy:
                times[name] = ended.seconds
            found["refused"] += not faults
            found["stuck"] += any(fault.startswith("stuck") for fault in faults)
            found["orphans"] += any(fault.startswith("process") for fault in faults)
            if faults:
                print(f"{name}: {'; '.join(faults)}\n    {ended.err[-400:]!r}", flush=True)
            shutil.rmtree(root, ignore_errors=True)
    slowest = max(times, key=times.__getitem__)
    print(
        f"{len(times)} need neither Keras nor MLflow: median {statistics.median(times.values()):.2f} s, "
        f"slowest {times[slowest]:.2f} s ({slowest}); `hpsearch --version` {usual:.2f} s"
    )
    return found


def _tried(case: Case, root: Path, limit: float) -> tuple[Ended, list[str]]:
    """What came of a case, and what is wrong with it; `limit` seconds are allowed to a light one."""
    try:
        ended, left = ran(case, root)
    except subprocess.TimeoutExpired:
        return Ended(-1, "", ""), [f"stuck for {LIMIT:g} s"]
    faults = [*judged(case, ended), *left]
    if not case.heavy and ended.seconds > limit:  # or other programs have held it up
        again = (ran(case, root.with_name(f"{root.name}-{n}"))[0].seconds for n in range(3))
        if (least := min(again)) > limit:
            faults.append(f"it takes {least:.1f} s, more than {limit:.1f}")
    return ended, faults


def _version(place: Path, number: int) -> float:
    """The seconds that the command itself takes."""
    ended, _ = ran(Case(("--version",), "", code=0), place / f"version{number}")
    return ended.seconds


if __name__ == "__main__":
    print("bad inputs {tried} tried, {refused} refused clearly".format(**count()))
