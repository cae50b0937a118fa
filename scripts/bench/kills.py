"""The driver is killed at random moments: what is left of a study, here and with the rivals.

    python scripts/bench/kills.py [--kills 20] [--trials 60] [--out scripts/bench/results]

Needs `pip install -e '.[bench]'`; a rival that is not there is left out, and said so. Every
program searches the same bowl, 60 ms a trial, with its own storage on disk, and is started again
after each `kill -9`, with the same kill times for all; at last it runs to its end. A program that
ends by itself with an error while it resumes has a study that cannot be opened: it is counted, and
the next study begins. *Stuck* are trials that are still marked as running after the last, unharmed
run; *returned* counts every value that the objective gave, *kept* the finished trials of the record
that can be read at the end.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path
from typing import Any

SECONDS = 0.06


def objective(folder: Path, x: float) -> float:
    """A bowl; notes that it has given a value."""
    time.sleep(SECONDS)
    with (folder / "returned").open("a") as file:
        file.write(f"{x!r}\n")
    return (x - 1) ** 2


# The programs: each searches the study in `folder` up to `trials`, from whatever is there.


def run_hpsearch(folder: Path, trials: int) -> None:
    import hpsearch
    from hpsearch import uniform

    hpsearch.search(
        {"x": uniform(-5, 5)}, lambda values: objective(folder, values["x"]), max_trials=trials,
        seed=1, workers=1, study="mine", resume=True, folder=folder / "mlruns", progress=False,
    )  # fmt: skip


def run_optuna(folder: Path, trials: int, *, heartbeat: bool = False) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = f"sqlite:///{folder}/optuna.db"
    beat = {"heartbeat_interval": 1, "grace_period": 2} if heartbeat else {}
    storage = optuna.storages.RDBStorage(url, **beat)
    study = optuna.create_study(storage=storage, study_name="mine", load_if_exists=True)
    done = sum(trial.state.is_finished() for trial in study.trials)
    study.optimize(
        lambda trial: objective(folder, trial.suggest_float("x", -5, 5)), n_trials=trials - done
    )


def run_keras_tuner(folder: Path, trials: int) -> None:
    import keras_tuner

    class Tuner(keras_tuner.RandomSearch):  # type: ignore[misc]
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            return objective(folder, trial.hyperparameters.Float("x", -5, 5))

    tuner = Tuner(
        hypermodel=None, objective=keras_tuner.Objective("default_objective", "min"),
        max_trials=trials, directory=str(folder), project_name="mine", overwrite=False,
    )  # fmt: skip
    tuner.search()


# What is left: (finished, stuck).


def left_hpsearch(folder: Path) -> tuple[int, int]:
    from hpsearch.store import Store
    from hpsearch.trial import Status

    with Store.open(folder / "mlruns" / "studies", "mine", write=False) as store:
        found = [trial.status for trial in store.trials()]
    return found.count(Status.OK), found.count(Status.RUNNING)


def left_optuna(folder: Path) -> tuple[int, int]:
    import optuna

    study = optuna.load_study(study_name="mine", storage=f"sqlite:///{folder}/optuna.db")
    states = [trial.state.name for trial in study.trials]
    return states.count("COMPLETE"), states.count("RUNNING")


def left_keras_tuner(folder: Path) -> tuple[int, int]:
    states = []
    for file in (folder / "mine").glob("trial_*/trial.json"):
        states.append(json.loads(file.read_text())["status"])
    return states.count("COMPLETED"), states.count("RUNNING")


PROGRAMS: dict[str, tuple[str, Callable[..., None], Callable[[Path], tuple[int, int]]]] = {
    "hpsearch": ("hpsearch", run_hpsearch, left_hpsearch),
    "Optuna, SQLite": ("optuna", run_optuna, left_optuna),
    "Optuna, SQLite, heartbeat": (
        "optuna",
        lambda folder, trials: run_optuna(folder, trials, heartbeat=True),
        left_optuna,
    ),
    "KerasTuner": ("keras_tuner", run_keras_tuner, left_keras_tuner),
}


def main() -> None:
    """Kill every program as often, and write a JSON and a Markdown file."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--kills", type=int, default=20)
    asked.add_argument("--trials", type=int, default=60)
    asked.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    asked.add_argument("--run", nargs=2, metavar=("PROGRAM", "FOLDER"), help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.run:
        PROGRAMS[given.run[0]][1](Path(given.run[1]), given.trials)
        return
    rows = {}
    for name, (module, _, _) in PROGRAMS.items():
        if util.find_spec(module) is None:
            print(f"{name} is left out: there is no module {module}; see the docstring.")
            continue
        rows[name] = _hurt(name, given.kills, given.trials)
        print(f"{name}: {rows[name]}", flush=True)
    _write(rows, given)


def _hurt(name: str, kills: int, trials: int) -> dict[str, int]:
    """Kill a program so often, let it run to its end, and look at what is left."""
    draw = random.Random(11)
    row = dict.fromkeys(("studies", "kills", "unreadable", "returned", "kept", "stuck"), 0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = _fresh(Path(scratch), row)
        while row["kills"] < kills:
            program = _start(name, folder, trials)
            if _until_it_works(program, folder):
                time.sleep(draw.uniform(0, 8 * SECONDS))
            if program.poll() is None:
                program.send_signal(signal.SIGKILL)
                program.wait()
                row["kills"] += 1
            elif program.returncode == 0:  # it had nothing left to do
                _note(name, folder, row)
                folder = _fresh(Path(scratch), row)
            else:
                row["unreadable"] += 1
                row["returned"] += _returned(folder)
                folder = _fresh(Path(scratch), row)
            time.sleep(0.2)
        if _start(name, folder, trials).wait(600):
            row["unreadable"] += 1
            row["returned"] += _returned(folder)
        else:
            _note(name, folder, row)
    return row


def _fresh(scratch: Path, row: dict[str, int]) -> Path:
    row["studies"] += 1
    folder = scratch / str(row["studies"])
    folder.mkdir()
    return folder


def _start(name: str, folder: Path, trials: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "--trials", str(trials), "--run", name, str(folder)]
    log = (folder / "log").open("ab")
    return subprocess.Popen(command, stdout=log, stderr=log)


def _until_it_works(program: subprocess.Popen[bytes], folder: Path) -> bool:
    """Wait until it has run a trial since it was started; False if it ended before."""
    before = _returned(folder)
    while program.poll() is None:
        if _returned(folder) > before:
            return True
        time.sleep(0.01)
    return False


def _returned(folder: Path) -> int:
    file = folder / "returned"
    return len(file.read_text().splitlines()) if file.exists() else 0


def _note(name: str, folder: Path, row: dict[str, int]) -> None:
    kept, stuck = PROGRAMS[name][2](folder)
    row["kept"] += kept
    row["stuck"] += stuck
    row["returned"] += _returned(folder)


def _write(rows: dict[str, dict[str, int]], given: argparse.Namespace) -> None:
    about = {
        "command": f"python scripts/bench/kills.py --kills {given.kills} --trials {given.trials}",
        "python": platform.python_version(),
        "versions": {n: _version(n) for n in ("hpsearch", "optuna", "keras-tuner", "mlflow")},
        "seed": 11,
        "rows": rows,
    }
    head = "| after the driver's death | kills | studies | that cannot be opened | values returned | trials kept | stuck as running |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for name, row in rows.items():
        cells = (row[k] for k in ("kills", "studies", "unreadable", "returned", "kept", "stuck"))
        lines.append(f"| {name} | {' | '.join(map(str, cells))} |")
    lines += [
        "",
        f"`{about['command']}`, Python {about['python']}, {about['versions']}, seed 11",
        "",
    ]
    given.out.mkdir(exist_ok=True)
    (given.out / "kills.json").write_text(json.dumps(about, indent=1) + "\n")
    (given.out / "kills.md").write_text("\n".join(lines))
    print("\n".join(lines))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
