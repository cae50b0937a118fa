"""The one check: format, lint, types, tests (import directions among them). CI runs exactly this.

python scripts/check.py              everything but what is marked slow
python scripts/check.py --slow       the slow tests too
python scripts/check.py tests/test_space.py -k labels     some tests only, after the rest
"""

from __future__ import annotations

import compileall
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run every step; stop at the first that fails."""
    arguments = sys.argv[1:]
    slow = "--slow" in arguments
    chosen = [argument for argument in arguments if argument != "--slow"]
    compile_tensorflow()
    # One test file per process: each imports TensorFlow once; in the order of tests/conftest.py.
    count = str(min(4, os.cpu_count() or 1))
    workers = ["-n", count, "--dist", "loadfile", "--no-loadscope-reorder"]
    steps = [
        ["ruff", "format", "--check", "."],
        ["ruff", "check", "."],
        ["mypy"],
        ["pytest", "-q", *workers, *([] if slow else ["-m", "not slow"]), *chosen],
    ]
    for step in steps:
        began = time.monotonic()
        print("$", *step, flush=True)
        code = subprocess.run([sys.executable, "-m", *step], cwd=ROOT).returncode
        print(f"  {time.monotonic() - began:.0f} s", flush=True)
        if code:
            return code
    return 0


def compile_tensorflow() -> None:
    """Compile the environment where Python is told not to: TensorFlow then imports twice as fast."""
    found = importlib.util.find_spec("tensorflow")
    if found is None or found.origin is None:
        return
    package = Path(found.origin).parent
    if os.environ.get("PYTHONDONTWRITEBYTECODE") and not (package / "__pycache__").exists():
        print("compiling the environment once", flush=True)
        compileall.compile_dir(package.parent, quiet=2, workers=0)


if __name__ == "__main__":
    sys.exit(main())
