"""Make every fault happen and check what hpsearch promises; takes about half an hour.

python scripts/faults.py                  all of them; writes scripts/bench/results/faults.{json,md}
python scripts/faults.py --only killed    those whose name has this word; writes nothing

The faults themselves are in tests/faults/; continuous integration runs the fast ones.
"""

from __future__ import annotations

import argparse
import collections
import json
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
RESULTS = ROOT / "scripts" / "bench" / "results"
KINDS = ("lost", "duplicated", "stuck", "orphans")
LOAD = 2000


def main() -> int:
    """Run what is asked for, print the line that sums it up, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="run the faults whose name has this word")
    only = parser.parse_args().only
    found = [_run(name, fault) for name, fault in _faults().items() if only in name]
    held, tried, refused = _load(only), 0, 0
    if not only or only in "bad inputs":
        tried, refused = import_module("faults.inputs").count()
    line = _line(found, held, tried, refused)
    print(line)
    if not only:
        _write(found, line)
    good = all(row["held"] for row in found) and tried == refused
    return 0 if good else 1


def _faults() -> dict[str, Callable[[Path], None]]:
    found: dict[str, Callable[[Path], None]] = {}
    for part in ("driver", "models", "trials", "tracking"):
        found |= import_module(f"faults.{part}").FAULTS
    return found


def _run(name: str, fault: Callable[[Path], Any]) -> dict[str, Any]:
    """Make one fault happen in a folder of its own."""
    began, kind, text = time.monotonic(), None, None
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        try:
            fault(Path(folder))
        except Exception as error:
            kind = getattr(error, "kind", "broken")
            text = str(error).strip() or type(error).__name__
            traceback.print_exc()
    seconds = time.monotonic() - began
    print(f"{'held  ' if text is None else 'BROKEN'}  {name}  ({seconds:.0f} s)", flush=True)
    return {"fault": name, "held": text is None, "kind": kind, "text": text, "seconds": seconds}


def _load(only: str) -> int:
    """How many trials went through four workers, none lost; 0 if some were, or it was not asked."""
    if only not in "load":
        return 0
    load = import_module("faults.trials").load
    return LOAD if _run(f"{LOAD} trials through 4 workers", load)["held"] else 0


def _line(found: list[dict[str, Any]], held: int, tried: int, refused: int) -> str:
    kinds = collections.Counter(row["kind"] for row in found)
    survived = sum(row["held"] for row in found)
    ends = ", ".join(f"{kind} {kinds[kind]}" for kind in KINDS)
    return (
        f"load held {held} trials / faults survived {survived} of {len(found)} / "
        f"bad inputs {tried} tried, {refused} refused clearly / {ends}"
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
    rows = [
        f"| {row['fault']} | {'held' if row['held'] else row['text']} | {row['seconds']:.0f} |"
        for row in found
    ]
    table = ["| fault | promises | seconds |", "|---|---|---|", *rows]
    text = "\n".join([line, "", *table, "", f"`{about['command']}`, {versions}"])
    (RESULTS / "faults.md").write_text(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
