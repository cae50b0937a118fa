"""A Keras search whose driver is killed: the best model is the best, loads, and scores what it did."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .invariants import Program, check, hold, trials_of

__all__ = ["FAST", "FAULTS"]

SPACE = """
import numpy as np
from hpsearch import Data, Fit, Space, choice, loguniform
from hpsearch.keras import Sequential, layers, optimizers

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = (x.sum(axis=1) > 0).astype("int32")
space = Space(
    data=Data((x[:48], y[:48]), validation=(x[48:], y[48:])),
    model=Sequential([
        layers.Dense(choice([2, 4, 8]), activation="relu"), layers.Dense(2, activation="softmax"),
    ]),
    optimizer=optimizers.Adam(loguniform(1e-3, 1e-1)),
    loss="sparse_categorical_crossentropy",
    fit=Fit(epochs=3, batch_size=8),
    minimize="val_loss",
)
"""


def keras_search_killed(folder: Path, *, kills: int = 3, total: int = 10) -> None:
    """1, with models: killed while trials train, test and log; what is left is whole."""
    (folder / "small.py").write_text(SPACE)
    command = ["-m", "hpsearch", "run", "small.py", "--study", "mine", "--resume", "--seed", "1"]
    command += ["--max-trials", str(total), "--workers", "2", "--folder", "mlruns"]
    for number in range(kills):
        program = Program(folder, *command, script=None)
        _until(program, folder, 2 + 2 * number)
        program.signal(signal.SIGKILL)
        program.wait()
        program.alone()
    program = Program(folder, *command, script=None)
    assert program.wait(300) == 0, program.out[-2000:]
    program.alone()
    check(folder, total)
    _best_model(folder)


def _until(program: Program, folder: Path, ended: int) -> None:
    late = time.monotonic() + 120
    while True:
        assert program.process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < late, "its trials do not end"
        there = (folder / "mlruns" / "studies" / "mine" / "study.db").exists()
        if there and sum(t.outcome is not None for t in trials_of(folder)) >= ended:
            return
        time.sleep(0.05)


def _best_model(folder: Path) -> None:
    """The best value of the store is that of the model on disk and in MLflow's registry."""
    import numpy as np

    from hpsearch.space import load
    from hpsearch.study import Session, Silent, options_from, problem_of

    best = min(t.value for t in trials_of(folder) if t.value is not None)
    problem = problem_of(load(str(folder / "small.py")))
    options = options_from(
        {"study": "mine", "resume": True, "folder": folder / "mlruns", "max_trials": 1}
    )
    with Session(problem, options, Silent()) as session:
        found = session.result().best
    assert found is not None and found.value == best
    space = load(str(folder / "small.py")).space
    x, y = space.data.validation
    for model in (found.model(), _registered(folder)):
        chance = np.asarray(model.predict(x, verbose=0))
        loss = float(-np.log(chance[np.arange(len(y)), y]).mean())
        hold(math.isclose(loss, best, rel_tol=1e-4), "lost", f"the model scores {loss}, not {best}")


def _registered(folder: Path) -> Any:
    """The champion as anyone's script loads it."""
    import mlflow
    from mlflow_server import fluent

    with fluent(f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}"):
        return mlflow.keras.load_model("models:/small@champion")


FAULTS: dict[str, Callable[[Path], None]] = {
    "a Keras search is killed three times": keras_search_killed
}
FAST: dict[str, Callable[[Path], None]] = {}
