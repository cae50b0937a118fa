"""Make every fault happen and check what hpsearch promises; takes about half an hour.

python scripts/faults.py                  all of them; writes scripts/bench/results/faults.{json,md}
python scripts/faults.py --only killed    those whose name has this word; writes nothing
python scripts/faults.py --only load      the 2,000 trials alone; "bad inputs": those alone

The faults themselves are in tests/faults/; continuous integration runs the fast ones.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
RESULTS = ROOT / "scripts" / "bench" / "results"
KINDS = ("lost", "duplicated", "stuck", "orphans")
TRIALS = 2000
LOAD = f"load: {TRIALS} trials through 4 workers"
INPUTS = "bad inputs"


def main() -> int:
    """Run what is asked for, print the line that sums it up, and write the table."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and `nohup` this
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="run the faults whose name has this word")
    only = parser.parse_args().only
    faults = {name: fault for name, fault in _faults().items() if only in name}
    if not faults and only not in INPUTS:
        known = "\n  ".join([*_faults(), INPUTS])
        parser.error(f"no fault has {only!r} in its name. There are:\n  {known}")
    found = [_run(name, fault) for name, fault in faults.items()]
    inputs: Counter[str] = Counter()
    if only in INPUTS:
        inputs = import_module("faults.inputs").count()
    line = _line(found, inputs)
    print(line)
    if not only:
        _write(found, line)
    good = all(row["held"] for row in found) and inputs["tried"] == inputs["refused"]
    return 0 if good else 1


def _faults() -> dict[str, Callable[[Path], Any]]:
    found: dict[str, Callable[[Path], Any]] = {}
    for part in ("driver", "stores", "models", "trials", "tracking"):
        found |= import_module(f"faults.{part}").FAULTS
    return {**found, LOAD: import_module("faults.trials").load}


def _run(name: str, fault: Callable[[Path], Any]) -> dict[str, Any]:
    """Make one fault happen in a folder of its own; what it returns is a note on how it went."""
    began, kind, text, note = time.monotonic(), None, None, None
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        try:
            note = fault(Path(folder))
        except Exception as error:
            late = isinstance(error, subprocess.TimeoutExpired)
            kind = "stuck" if late else getattr(error, "kind", "broken")
            text = str(error).strip() or type(error).__name__
            traceback.print_exc()
    seconds = time.monotonic() - began
    told = f"; {note}" if note else ""
    print(f"{'BROKEN' if kind else 'held  '}  {name}  ({seconds:.0f} s{told})", flush=True)
    return {
        "fault": name, "held": kind is None, "kind": kind, "text": text, "note": note,
        "seconds": seconds,
    }  # fmt: skip


def _line(found: list[dict[str, Any]], inputs: Counter[str]) -> str:
    """All in one line. What is broken in another way than by the four kinds is told where there is any."""
    kinds = Counter(row["kind"] for row in found if not row["held"]) + inputs
    survived = sum(row["held"] for row in found)
    held = any(row["fault"] == LOAD and row["held"] for row in found)
    ends = [f"{kind} {kinds[kind]}" for kind in KINDS]
    ends += [f"broken {kinds['broken']}"] if kinds["broken"] else []
    return (
        f"load held {TRIALS if held else 0} trials / faults survived {survived} of {len(found)} / "
        f"bad inputs {inputs['tried']} tried, {inputs['refused']} refused clearly / "
        f"{', '.join(ends)}"
    )


def _write(found: list[dict[str, Any]], line: str) -> None:
    versions = {name: version(name) for name in ("hpsearch", "keras", "mlflow", "hyperopt")}
    about = {
        "command": "python scripts/faults.py",
        "python": platform.python_version(),
        "versions": versions,
        "line": line,
        "faults": found,
    }
    (RESULTS / "faults.json").write_text(json.dumps(about, indent=1) + "\n")
    rows = [f"| {row['fault']} | {_told(row)} | {row['seconds']:.0f} |" for row in found]
    table = ["| fault | promises | seconds |", "|---|---|---|", *rows]
    text = "\n".join([line, "", *table, "", f"`{about['command']}`, {versions}"])
    (RESULTS / "faults.md").write_text(text + "\n")


def _told(row: dict[str, Any]) -> str:
    """In one cell of a table."""
    text = "held" if row["held"] else row["text"].splitlines()[0].replace("|", "\\|")
    return f"{text}; {row['note']}" if row["note"] else text


if __name__ == "__main__":
    sys.exit(main())
