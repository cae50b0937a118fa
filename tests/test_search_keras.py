"""Searching Keras spaces from a script: training, record and model, end to end on small data."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras
import mlflow
import numpy as np
import pytest
from mlflow_server import fluent

import hpsearch
from hpsearch import Data, Fit, Space, choice, loguniform, maybe, uniform
from hpsearch.errors import BuildError, DataError, SearchStopped, StudyError
from hpsearch.keras import Sequential, layers, optimizers
from hpsearch.store import studies
from hpsearch.study import Lines
from hpsearch.trial import Status

rng = np.random.default_rng(0)
X = rng.normal(size=(96, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int32")


pytestmark = pytest.mark.usefixtures("study_folder")


def small(**given: Any) -> Space:
    """A space of a second per trial."""
    settings: dict[str, Any] = {
        "data": Data((X, Y), validation=0.25, test=(X[:24], Y[:24])),
        "model": Sequential(
            [
                layers.Input((4,)),
                layers.Dense(choice([2, 4]), activation="relu"),
                maybe(layers.Dropout(uniform(0, 0.5))),
                layers.Dense(2, activation="softmax"),
            ]
        ),
        "optimizer": optimizers.Adam(loguniform(1e-3, 1e-1)),
        "loss": "sparse_categorical_crossentropy",
        "fit": Fit(epochs=2, batch_size=16),
        "maximize": "val_accuracy",
        "name": "small",
    }
    return Space(**(settings | given))


def found(space: Space, **options: Any) -> Any:
    return hpsearch.search(space, **({"max_trials": 3, "seed": 1, "progress": False} | options))


def test_the_best_model_scores_what_was_recorded() -> None:
    result = found(small(), max_trials=4)
    model = result.best.model()
    x, y = X[72:], Y[72:]
    scored = model.evaluate(x, y, verbose=0, return_dict=True)
    assert scored["accuracy"] == pytest.approx(result.best.value, abs=1e-6)
    tested = model.evaluate(X[:24], Y[:24], verbose=0, return_dict=True)
    assert tested == pytest.approx(result.best.test, abs=1e-5)


def test_the_same_seed_gives_the_same_points_and_values() -> None:
    first, second = found(small()), found(small())
    assert [t.point for t in first.trials] == [t.point for t in second.trials]
    assert [t.value for t in first.trials] == [t.value for t in second.trials]
    assert first.trials[0].outcome.history == second.trials[0].outcome.history


def test_mlflow_holds_a_parent_and_children_with_exactly_their_active_labels() -> None:
    result = found(small(), max_trials=5)
    client = mlflow.MlflowClient(result.tracking_uri)
    experiment = client.get_experiment_by_name("small")
    runs = client.search_runs([experiment.experiment_id], max_results=100)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = {
        int(run.data.tags["hpsearch.number"]): run
        for run in runs
        if "mlflow.parentRunId" in run.data.tags
    }
    assert len(parents) == 1 and len(children) == 5
    assert parents[0].info.run_name == "small-1"
    for trial in result.trials:
        run = children[trial.number]
        assert set(run.data.params) == set(trial.point)
        assert run.info.status == "FINISHED"
        read = {key: _read(text) for key, text in run.data.params.items()}
        assert read == trial.point
        curve = client.get_metric_history(run.info.run_id, "val_accuracy")
        assert [point.step for point in curve] == [0, 1]
    assert result.best.run_id == children[result.best.number].info.run_id


def _read(text: str) -> Any:
    import json

    return json.loads(text)


def test_the_champion_loads_from_the_registry_without_hpsearch() -> None:
    result = found(small())
    with fluent(result.tracking_uri):
        model = mlflow.keras.load_model("models:/small@champion")
    ours = result.best.model().predict(X[:8], verbose=0)
    assert np.allclose(model.predict(X[:8], verbose=0), ours, atol=1e-6)


def test_only_the_best_models_stay_on_disk() -> None:
    result = found(small(), max_trials=6, keep_models=2)
    files = sorted(path.name for path in Path("mlruns/studies/small-1/models").iterdir())
    values = {trial.number: trial.value for trial in result.trials}
    best = sorted(values, key=lambda n: (-values[n], n))[:2]
    assert files == sorted(f"trial-{number}-0.keras" for number in best)


def test_no_model_is_kept_where_none_is_wanted() -> None:
    result = found(small(), keep_models=0, max_trials=1)
    with pytest.raises(StudyError, match="No model was kept of trial 0"):
        result.best.model()


def test_a_trial_that_fails_teaches_and_is_recorded() -> None:
    @hpsearch.delayed
    def model(width: int) -> Any:
        if width == 3:
            raise MemoryError("no room")
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])

    space = small(model=model(choice([2, 3], name="width")))
    result = found(space, enqueue=[{"width": 2}, {"width": 3}], max_trials=2)
    assert [trial.status for trial in result.trials] == [Status.OK, Status.FAILED]
    error = result.trials[1].error
    assert error.startswith(
        "out of memory: model: model(choice([2, 3])) failed: test_search_keras.py:"
    )
    assert error.endswith("MemoryError: no room")


def test_a_diverging_trial_is_a_failure_not_the_best() -> None:
    space = small(
        optimizer=choice({"wild": optimizers.SGD(1e30), "tame": optimizers.SGD(0.01)}, name="o")
    )
    result = found(space, enqueue=[{"o": "wild"}, {"o": "tame"}], max_trials=2)
    assert result.trials[0].status is Status.FAILED
    assert "nan" in result.trials[0].error
    assert result.best.number == 1


def test_the_time_cuts_a_trial_short_and_resume_runs_it_again() -> None:
    space = small(fit=Fit(epochs=choice([1, 3000], name="epochs"), batch_size=16))
    slow = {"epochs": 3000, "model.dropout": False}
    began = time.monotonic()
    result = found(space, enqueue=[slow], max_trials=1, timeout=4, study="cut")
    assert time.monotonic() - began < 120
    assert [trial.status for trial in result.trials] == [Status.CANCELLED]
    assert result.ended_by == "the time is used up"
    assert result.counts["total"] == 0
    again = found(space, enqueue=[slow], max_trials=1, timeout=4, study="cut", resume=True)
    assert again.trials[0].attempt == 1
    assert again.trials[0].point == result.trials[0].point


def test_models_that_are_too_large_are_rejected_and_not_counted() -> None:
    space = small(max_params=20)
    result = found(space, enqueue=[{"units": 4}, {"units": 2}], max_trials=1, algo="random")
    assert [trial.status for trial in result.trials] == [Status.REJECTED, Status.OK]
    assert "parameters, more than max_params=20" in result.trials[0].error
    assert result.counts["total"] == 1
    client = mlflow.MlflowClient(result.tracking_uri)
    runs = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    assert {run.data.tags.get("hpsearch.number") for run in runs} == {None, "1"}


def test_a_space_where_every_model_is_too_large_stops_with_the_reason() -> None:
    with pytest.raises(SearchStopped, match=r"100 models in a row were larger than max_params: "):
        found(small(max_params=1), max_trials=1, algo="random")


def test_baselines_run_first_and_can_be_left_out() -> None:
    space = small(baselines={"plain": {"units": 2, "dropout": False, "learning_rate": 0.01}})
    result = found(space, max_trials=2)
    assert [trial.name for trial in result.trials] == ["plain", None]
    assert result.trials[0].source == "baseline" and result.trials[0].why is None
    assert found(space, max_trials=1, baselines=False).trials[0].name is None


def test_a_baseline_that_what_is_fixed_excludes_is_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    space = small(baselines={"with": {"dropout": True, "rate": 0.1}})
    result = found(space, fix={"dropout": False}, max_trials=1, progress=True)
    assert result.trials[0].source == "suggested"
    assert "The baseline 'with' is left out: " in capsys.readouterr().err


def test_what_mlflow_cannot_describe_does_not_cost_the_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hpsearch import record

    def broken(*args: Any, **kwargs: Any) -> None:
        raise AttributeError("'M' object has no attribute 'inputs'")

    monkeypatch.setattr(record, "log_model", broken)
    result = found(small(), max_trials=1, progress=True)
    assert result.counts["finished"] == 1
    assert "The model of trial 0 is not in MLflow: 'M' object" in capsys.readouterr().err


def test_a_space_refuses_what_only_a_dict_of_words_takes() -> None:
    with pytest.raises(hpsearch.errors.SpaceError, match="takes no objective"):
        hpsearch.search(small(), lambda values: 1.0)
    with pytest.raises(hpsearch.errors.SpaceError, match="The space says minimize='val_loss'"):
        hpsearch.search(small(maximize=None, minimize="val_loss"), maximize=True)


def test_a_metric_that_nothing_reports_is_found_before_the_search() -> None:
    with pytest.raises(BuildError, match=r"No trial will report the metric 'val_accuracy'"):
        found(small(data=Data((X, Y))))
    with pytest.raises(BuildError, match=r"val_acuracy|acuracy"):
        found(small(maximize="val_acuracy"))
    assert studies(Path("mlruns/studies")) == []


def test_data_that_does_not_fit_is_found_before_the_search() -> None:
    with pytest.raises(DataError, match="72 rows of x but 96 of y"):
        found(small(data=Data((X[:72], Y), validation=0.25)))
    with pytest.raises(BuildError, match="The first batch failed"):
        found(small(data=Data((X[:, :3], Y), validation=0.25)))
    assert studies(Path("mlruns/studies")) == []


def test_a_space_in_place_gets_its_data_once() -> None:
    calls: list[int] = []

    @hpsearch.delayed
    def load() -> Data:
        calls.append(1)
        return Data((X, Y), validation=0.25)

    found(small(data=load()))
    assert len(calls) == 1


def test_the_score_of_ones_own_can_be_the_objective() -> None:
    def skill(model: Any, data: Any) -> dict[str, float]:
        right = model.predict(data.validation.x, verbose=0).argmax(axis=1) == data.validation.y
        return {"skill": float(2 * right.mean() - 1)}

    result = found(small(evaluate=skill, maximize="skill"), max_trials=2)
    assert -1 <= result.best.value <= 1
    assert "skill" in result.best.test


def test_a_loop_of_ones_own_keeps_all_the_rest() -> None:
    def loop(model: Any, data: Any, report: Any) -> None:
        for _ in range(3):
            model.fit(data.train.x, data.train.y, verbose=0)
            loss, accuracy = model.evaluate(data.validation.x, data.validation.y, verbose=0)
            if report({"val_loss": loss, "val_accuracy": accuracy}):
                return

    result = found(small(train=loop), max_trials=2)
    assert len(result.trials[0].outcome.history) == 3
    assert result.best.value == max(
        e["val_accuracy"] for e in result.trials[result.best.number].outcome.history
    )


def test_ask_and_tell_give_models_and_data() -> None:
    with hpsearch.Study(small(), max_trials=2, seed=1) as study:
        while (trial := study.ask()) is not None:
            model, data = study.model(trial), study.data(trial)
            model.fit(data.train.x, data.train.y, verbose=0)
            study.tell(trial, model.evaluate(data.validation.x, data.validation.y, verbose=0)[1])
        assert study.best.value == max(t.value for t in study.trials)


def test_the_users_own_mlflow_run_is_left_alone() -> None:
    uri = f"sqlite:///{Path.cwd()}/own.db"
    with fluent(uri):
        with mlflow.start_run() as run:
            found(small(), max_trials=1)
            assert mlflow.active_run().info.run_id == run.info.run_id
            mlflow.log_metric("mine", 1.0)
        assert mlflow.get_run(run.info.run_id).data.metrics == {"mine": 1.0}


def test_progress_is_a_line_for_each_trial(capsys: pytest.CaptureFixture[str]) -> None:
    found(small(), max_trials=2, progress=True)
    lines = capsys.readouterr().err.splitlines()
    trials = [line for line in lines if line.startswith("[")]
    assert trials[0].startswith("[1/2] trial 0: val_accuracy ")
    assert trials[1].startswith("[2/2] trial 1: val_accuracy ")
    assert len(trials) == 2
    found(small(), max_trials=1, progress=Lines())
    assert "trial 0" in capsys.readouterr().err
