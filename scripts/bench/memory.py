"""What 1,000 short digits trials do to the memory of the driver and its workers.

    python scripts/bench/memory.py [--trials 1000] [--workers 2] [--out scripts/bench/results]

One study of the digits space with one epoch a trial. After each trial the resident memory of the
driver and of each worker is noted. Keras keeps some megabytes of every model, so that a worker is
replaced after 100 trials or 500 MB; what has to stay bounded is the whole. Growth is the slope of a
straight line through the sum, after the first 100 trials. Goal: at most 0.1 MB per trial.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import hpsearch
from hpsearch.spaces.digits_mlp import space
from hpsearch.study import Silent
from hpsearch.trial import Trial

WARM = 100  # trials before the line is fitted


class Noting:
    """A watcher that notes the memory of this process and of its workers."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._quiet, self._began = Silent(), time.monotonic()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._quiet, name)

    def ended(self, trial: Trial) -> None:
        driver = psutil.Process()
        held = {"driver": driver.memory_info().rss / 1e6}
        for child in driver.children(recursive=True):
            try:
                if child.memory_info().rss > 300e6 and child.ppid() != driver.pid:
                    held[str(child.pid)] = child.memory_info().rss / 1e6
            except psutil.Error:
                continue
        seconds = time.monotonic() - self._began
        self.rows.append({"trial": trial.number, "seconds": seconds, "held": held})


def main() -> None:
    """Measure, write JSON and Markdown, and draw the curve."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--trials", type=int, default=1000)
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = asked.parse_args()
    short = replace(space, fit=replace(space.fit, epochs=1))
    noting = Noting()
    with tempfile.TemporaryDirectory() as folder:
        found = hpsearch.search(
            short, max_trials=given.trials, workers=given.workers, algo="random", seed=1,
            fix={"fit.batch_size": 128}, baselines=False, folder=folder, progress=noting,
        )  # fmt: skip
    assert found.counts["finished"] == given.trials, found.counts
    about = _summary(noting.rows, given)
    given.out.mkdir(exist_ok=True)
    (given.out / "memory.json").write_text(json.dumps({**about, "rows": noting.rows}) + "\n")
    (given.out / "memory.md").write_text(_table(about))
    _draw(noting.rows, Path(__file__).parents[2] / "docs" / "images" / "memory.png")
    print(_table(about))


def _summary(rows: list[dict[str, Any]], given: argparse.Namespace) -> dict[str, Any]:
    count = np.arange(len(rows))
    whole = np.array([sum(row["held"].values()) for row in rows])
    driver = np.array([row["held"]["driver"] for row in rows])
    warm = count >= min(WARM, len(rows) // 2)
    return {
        "command": f"python scripts/bench/memory.py --trials {given.trials} --workers {given.workers}",
        "python": platform.python_version(),
        "versions": {n: metadata.version(n) for n in ("hpsearch", "keras", "tensorflow", "mlflow")},
        "seed": 1,
        "seconds": rows[-1]["seconds"],
        "processes": len({name for row in rows for name in row["held"]}) - 1,
        "growth": float(np.polyfit(count[warm], whole[warm], 1)[0]),
        "driver growth": float(np.polyfit(count[warm], driver[warm], 1)[0]),
        "most": float(whole.max()),
        "driver": [float(driver[warm][0]), float(driver[-1])],
    }


def _table(about: dict[str, Any]) -> str:
    first, last = about["driver"]
    return "\n".join(
        [
            "| measure | goal | seen |",
            "|---|---|---|",
            f"| growth of driver and workers, MB per trial | ≤ 0.1 | {about['growth']:.3f} |",
            f"| growth of the driver, MB per trial | | {about['driver growth']:.3f} |",
            f"| the driver, MB, after the first {WARM} trials and at the end | | {first:.0f}, {last:.0f} |",
            f"| most that all held together, MB | | {about['most']:.0f} |",
            f"| worker processes used | | {about['processes']} |",
            f"| seconds | | {about['seconds']:.0f} |",
            "",
            f"`{about['command']}`, Python {about['python']}, {about['versions']}, seed 1",
            "",
        ]
    )


def _draw(rows: list[dict[str, Any]], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    for name in dict.fromkeys(name for row in rows for name in row["held"]):
        at = [(i, row["held"][name]) for i, row in enumerate(rows) if name in row["held"]]
        own = name == "driver"
        axes.plot(*zip(*at, strict=True), color="C3" if own else "C0", lw=2 if own else 0.8)
    axes.plot([sum(row["held"].values()) for row in rows], color="0.4", lw=1)
    axes.set(xlabel="trials", ylabel="resident memory, MB", ylim=(0, None))
    axes.set_title("The driver (red), each worker (blue) and all together (grey)", fontsize=10)
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
