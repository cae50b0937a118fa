"""What the study store and the record in MLflow cost per trial, beside the least MLflow can cost.

    python scripts/bench/record_cost.py [--uri sqlite:///DIR/mlflow.db] [--rounds 7] [--trials 20]

Bare is ``create_run`` + one ``log_batch`` + ``set_terminated`` with the same parameters and curve.
The two are interleaved; printed are medians of CPU milliseconds of this process per trial.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from hpsearch.record import Recorder, Settings, tracking_uri
from hpsearch.record.tracking import connect
from hpsearch.store import Store
from hpsearch.trial import Key, Outcome, Status, Trial

POINT = {
    "model.dense.units": 64,
    "model.dense.activation": "relu",
    "model.dropout.rate": 0.25,
    "optimizer": "sgd",
    "optimizer.sgd.rate": 0.01,
    "optimizer.sgd.momentum": 0.9,
    "fit.batch_size": 32,
    "seed": 7,
}
HISTORY = tuple(
    {"loss": 1 / (i + 1), "accuracy": 0.9, "val_loss": 1.1 / (i + 1), "val_accuracy": 0.9 + i / 500}
    for i in range(15)
)
SETTINGS: Settings = {
    "space": "cost",
    "metric": "val_accuracy",
    "direction": "maximize",
    "labels": [{"label": key, "number": True, "log": "rate" in key} for key in POINT],
    "data": {"name": "digits", "digest": "0123456789abcdef", "shapes": {"train": [1437, 64]}},
}


def bare(client: Any, experiment: str, trials: int) -> float:
    """CPU milliseconds per trial of the least that makes a run with its curve."""
    from mlflow.entities import Metric, Param

    began = time.process_time()
    for _ in range(trials):
        run = client.create_run(experiment).info.run_id
        now = int(time.time() * 1000)
        metrics = [Metric(k, v, now, i) for i, row in enumerate(HISTORY) for k, v in row.items()]
        client.log_batch(run, metrics, [Param(key, str(value)) for key, value in POINT.items()])
        client.set_terminated(run)
    return 1000 * (time.process_time() - began) / trials


def ours(store: Store, recorder: Recorder | None, first: int, trials: int, *, each: bool) -> float:
    """CPU milliseconds per trial of the store alone, or with the record.

    Args:
        each: deliver after every trial, as for trials that take seconds; else as they come.
    """
    began = time.process_time()
    for number in range(first, first + trials):
        store.start(Trial(number, POINT, number, time.time()))
        outcome = Outcome(
            Key(store.name, number),
            Status.OK,
            value=0.9 + number / 1e6,
            metrics=HISTORY[-1],
            history=HISTORY,
            epoch=14,
            params=650,
            seconds=1.5,
        )
        store.end(outcome, time.time())
        if each and recorder is not None:
            recorder.flush(60)
    if recorder is not None and not recorder.flush(120):
        raise SystemExit(f"not delivered: {recorder.trouble}")
    return 1000 * (time.process_time() - began) / trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uri")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--trials", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        uri = tracking_uri(arguments.uri or f"sqlite:///{root}/mlflow.db")
        client = connect(uri)
        name = f"bare {time.time()}"
        experiment = client.create_experiment(name, artifact_location=(root / "bare").as_uri())
        alone = Store.create(root / "studies", "alone", SETTINGS)
        store = Store.create(root / "studies", "recorded", SETTINGS)
        recorder = Recorder(store, uri)
        store.queue("study")
        recorder.flush(60)
        found: dict[str, list[float]] = {}
        count = arguments.trials
        for turn in range(arguments.rounds + 1):  # the first is thrown away
            measured = {
                "store": ours(alone, None, turn * count, count, each=False),
                "bare": bare(client, experiment, count),
                "as they come": ours(store, recorder, 2 * turn * count, count, each=False),
                "bare again": bare(client, experiment, count),
                "one by one": ours(store, recorder, (2 * turn + 1) * count, count, each=True),
            }
            if turn:
                for key, value in measured.items():
                    found.setdefault(key, []).append(value)
        recorder.close()
        store.close()
        alone.close()
    floor = statistics.median(found["bare"] + found["bare again"])
    for key, values in found.items():
        middle = statistics.median(values)
        print(f"{key:14} {middle:6.1f} ms CPU per trial, {middle / floor:4.2f} times bare")


if __name__ == "__main__":
    main()
