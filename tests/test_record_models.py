"""The best models in MLflow: logged, registered, and loaded again by MLflow itself."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow_server import free_port, server_uri

from hpsearch.errors import TrackingError
from hpsearch.record import Recorder
from hpsearch.record.models import champion, log_model, registered_name
from hpsearch.record.tracking import connect, tracking_uri
from hpsearch.store import Store
from hpsearch.trial import Key, Outcome, Status, Trial

keras = pytest.importorskip("keras")

# MLflow 3.17.2 uses an option that SQLAlchemy 2.1 deprecates, and warns about its own type hints
# when its `pyfunc` is first imported; variables of TensorFlow 2.21 do not know NumPy 2's `copy`.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tracking_uri(None, tmp_path_factory.mktemp("models") / "mlruns")


@pytest.fixture(params=["sqlite", "http"])
def uri(request: pytest.FixtureRequest) -> str:
    if request.param == "http":
        return server_uri()
    found: str = request.getfixturevalue("database")
    Path(found.removeprefix("sqlite:///")).parent.mkdir(exist_ok=True)
    return found


@pytest.fixture
def space() -> str:
    return f"digits/{uuid.uuid4().hex[:6]}:a"


@pytest.fixture
def started(tmp_path: Path, space: str, uri: str) -> Iterator[Any]:
    """Makes studies of the space with trials of given values, delivered to MLflow."""
    opened: list[Any] = []

    def start(*values: float, study: str = "s-1", **more: Any) -> Store:
        base = {"space": space, "metric": "val_accuracy", "direction": "maximize"}
        settings = base | {"fingerprint": "f00d", "data": {"name": "d", "digest": "abc"}} | more
        store = Store.create(tmp_path / "studies", study, settings)
        recorder = Recorder(store, uri)
        opened.extend([recorder, store])
        for number, value in enumerate(values):
            store.start(Trial(number, {"units": 3}, number, time.time()))
            key = Key(study, number)
            store.end(Outcome(key, Status.OK, value=value, metrics={"loss": 0.1}), time.time())
        assert recorder.flush(60), recorder.trouble
        return store

    yield start
    for each in opened:
        each.close()


def small() -> Any:
    return keras.Sequential([keras.Input((8,)), keras.layers.Dense(3, activation="softmax")])


def two_inputs(kind: type) -> tuple[Any, Any]:
    """A functional model with two inputs and outputs as dicts or lists, and a sample for it."""
    one, two = keras.Input((4,), name="one"), keras.Input((2,), name="two")
    joined = keras.layers.Concatenate()([one, two])
    outputs = [keras.layers.Dense(1, name="sum")(joined), keras.layers.Dense(2, name="rest")(one)]
    sample = [np.ones((5, 4), "float32"), np.ones((5, 2), "float32")]
    if kind is list:
        return keras.Model([one, two], outputs), sample
    named = dict(zip(("sum", "rest"), outputs, strict=True))
    return keras.Model({"one": one, "two": two}, named), dict(
        zip(("one", "two"), sample, strict=True)
    )


SAMPLE = np.linspace(0, 1, 40).reshape(5, 8).astype("float32")


def test_the_champion_is_loaded_by_mlflow_with_the_same_predictions(
    uri: str, space: str, started: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    import mlflow.keras

    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    store = started(0.5, 0.75)
    model = small()
    made = log_model(
        uri, store, store.trials()[1], lambda: model, SAMPLE, metrics={"accuracy": 0.7}
    )
    assert (made.alias, made.reason, made.version) == ("champion", "no other", "1")
    assert made.uri == f"models:/{registered_name(space)}@champion"
    assert mlflow.active_run() is None
    assert list(here.iterdir()) == []
    kept = champion(uri, space, tmp_path / "kept")
    again = keras.saving.load_model(kept.file)
    np.testing.assert_allclose(again(SAMPLE), model(SAMPLE), rtol=1e-6)
    assert kept.tags["hpsearch.value"] == "0.75"
    assert kept.tags["hpsearch.objective"] == "maximize val_accuracy"
    assert kept.tags["hpsearch.data"] == "abc"
    assert kept.tags["hpsearch.study"] == "s-1"
    before = mlflow.get_tracking_uri()
    try:
        mlflow.set_tracking_uri(uri)
        loaded = mlflow.keras.load_model(made.uri)
        info = mlflow.models.get_model_info(made.uri)
    finally:
        mlflow.set_tracking_uri(before)
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    np.testing.assert_allclose(loaded(SAMPLE), model(SAMPLE), rtol=1e-6)
    assert info.signature.inputs.inputs[0].shape == (-1, 8)
    assert info.signature.outputs.inputs[0].shape == (-1, 3)
    client = connect(uri)
    run = client.get_run(made.run_id)
    assert run.data.tags["hpsearch.number"] == "1"
    assert [each.model_id for each in run.outputs.model_outputs] == [made.model_id]
    logged = client.get_logged_model(made.model_id)
    assert {each.key: each.value for each in logged.metrics} == {
        "objective": 0.75,
        "test.accuracy": 0.7,
    }
    assert len(client.get_metric_history(made.run_id, "objective")) == 1
    files = {each.path for each in client.list_logged_model_artifacts(made.model_id)}
    assert {"MLmodel", "data", "requirements.txt", "sample.npz"} <= files


@pytest.mark.parametrize("kind", [dict, list])
def test_a_model_of_several_inputs_has_a_signature(
    uri: str, started: Any, kind: type, tmp_path: Path
) -> None:
    import mlflow.artifacts
    import mlflow.models

    store = started(0.5)
    model, sample = two_inputs(kind)
    made = log_model(uri, store, store.trials()[0], lambda: model, sample, register=False)
    assert (made.name, made.uri) == (None, f"models:/{made.model_id}")
    source = connect(uri).get_logged_model(made.model_id).artifact_location
    folder = mlflow.artifacts.download_artifacts(source, dst_path=tmp_path, tracking_uri=uri)
    signature = mlflow.models.Model.load(folder).signature
    assert sorted(signature.inputs.input_names()) == ["one", "two"]
    assert sorted(signature.outputs.input_names()) == ["rest", "sum"]


def test_the_champion_changes_only_for_a_better_model_on_the_same_data(
    uri: str, space: str, started: Any
) -> None:
    studies = [
        (started(0.5, study="a"), "champion", "no other"),
        (started(0.4, study="b"), "challenger", "not better"),
        (started(0.5, study="c"), "challenger", "not better"),
        (started(0.6, study="d"), "champion", "better"),
        (started(0.9, study="e", data={"digest": "other"}), "challenger", "not comparable"),
        (started(0.9, study="f", metric="accuracy"), "challenger", "not comparable"),
        (started(0.1, study="g", direction="minimize"), "challenger", "not comparable"),
    ]
    model = small()
    for number, (store, alias, reason) in enumerate(studies, 1):
        made = log_model(uri, store, store.trials()[0], lambda: model, SAMPLE)
        assert (made.alias, made.reason, made.version) == (alias, reason, str(number))
    client = connect(uri)
    name = registered_name(space)
    assert client.get_model_version_by_alias(name, "champion").tags["hpsearch.study"] == "d"
    assert client.get_model_version_by_alias(name, "challenger").tags["hpsearch.study"] == "g"


def test_smaller_is_better_where_the_objective_is_minimised(uri: str, started: Any) -> None:
    model = small()
    for name, value, reason in [("a", 0.5, "no other"), ("b", 0.4, "better"), ("c", 0.6, "not b")]:
        store = started(value, study=name, direction="minimize")
        made = log_model(uri, store, store.trials()[0], lambda: model, SAMPLE)
        assert (made.reason or "").startswith(reason)


def test_a_model_that_is_registered_is_not_registered_again(uri: str, started: Any) -> None:
    store = started(0.5)
    model = small()
    first = log_model(uri, store, store.trials()[0], lambda: model, SAMPLE)
    again = log_model(uri, store, store.trials()[0], lambda: pytest.fail("loaded"), SAMPLE)
    assert (again.version, again.alias, again.reason) == (first.version, "champion", "known")
    assert (again.model_id, again.run_id) == (first.model_id, first.run_id)


def test_a_model_without_a_run_is_refused(tmp_path: Path) -> None:
    with Store.create(tmp_path, "a", {"space": "x"}) as store:
        store.start(Trial(0, {}, 1, 1.0))
        trial = store.end(Outcome(Key("a", 0), Status.OK, value=1.0), 2.0)
        assert trial
        with pytest.raises(TrackingError, match=r"trial 0 of study 'a' has none yet"):
            log_model(f"http://127.0.0.1:{free_port()}", store, trial, small, SAMPLE)


def test_a_space_without_a_champion_is_named(uri: str, tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=r"'never' has none in .*hpsearch run never"):
        champion(uri, "never", tmp_path)
