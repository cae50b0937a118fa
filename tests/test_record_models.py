"""The best models in MLflow: logged, registered, and loaded again by MLflow itself."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow_server import fluent, free_port, server_uri

from hpsearch.errors import StudyError, TrackingError
from hpsearch.record import Recorder
from hpsearch.record.models import log_model
from hpsearch.record.registry import champion, registered_name
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


ON_DISK = pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
"""For what is the same with a server."""


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
        opened.append(store)
        for number, value in enumerate(values):
            store.start(Trial(number, {"units": 3}, number, time.time()))
            key = Key(study, number)
            store.end(Outcome(key, Status.OK, value=value, metrics={"loss": 0.1}), time.time())
        assert recorder.flush(60), recorder.trouble
        recorder.close()
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
    with fluent(uri):
        loaded = mlflow.keras.load_model(made.uri)
        info = mlflow.models.get_model_info(made.uri)
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


def end_trial(store: Store, uri: str, number: int, value: float) -> Trial:
    """One more trial of a study that is resumed, delivered."""
    store.start(Trial(number, {"units": 3}, number, time.time()))
    trial = store.end(Outcome(Key(store.name, number), Status.OK, value=value), time.time())
    recorder = Recorder(store, uri)
    assert recorder.flush(60), recorder.trouble
    recorder.close()
    assert trial is not None
    return trial


def versions(uri: str, space: str) -> dict[str, tuple[str, list[str]]]:
    """``{version: (study and trial, aliases)}`` of the space's registered model."""
    client, name = connect(uri), registered_name(space)
    found = {}
    for each in client.search_model_versions(f"name = '{name}'"):
        aliases = client.get_model_version(name, each.version).aliases
        about = f"{each.tags['hpsearch.study']} {each.tags['hpsearch.number']}"
        found[str(each.version)] = (about, sorted(aliases))
    return found


def test_a_resumed_study_has_one_version_that_of_its_best_trial(
    uri: str, space: str, started: Any
) -> None:
    store, model = started(0.5), small()
    first = log_model(uri, store, store.trials()[0], lambda: model, SAMPLE)
    made = log_model(uri, store, end_trial(store, uri, 1, 0.6), lambda: model, SAMPLE)
    assert (made.version, made.alias, made.reason) == ("2", "champion", "own")
    assert versions(uri, space) == {"2": ("s-1 1", ["champion"])}
    assert connect(uri).get_logged_model(first.model_id).status == "READY"
    assert connect(uri).get_run(first.run_id).outputs.model_outputs[0].model_id == first.model_id
    again = log_model(uri, store, store.trials()[1], lambda: pytest.fail("loaded"), SAMPLE)
    assert (again.version, again.alias, again.reason) == ("2", "champion", "known")


def test_a_resumed_study_replaces_its_challenger_and_spares_other_aliases_and_studies(
    uri: str, space: str, started: Any
) -> None:
    model = small()
    stores = [started(0.5, study="a"), started(0.4, study="b"), started(0.3, study="c")]
    for store in stores:
        log_model(uri, store, store.trials()[0], lambda: model, SAMPLE)
    connect(uri).set_registered_model_alias(registered_name(space), "mine", "1")
    made = log_model(uri, stores[1], end_trial(stores[1], uri, 1, 0.6), lambda: model, SAMPLE)
    assert (made.version, made.alias, made.reason) == ("4", "champion", "better")
    made = log_model(uri, stores[0], end_trial(stores[0], uri, 1, 0.55), lambda: model, SAMPLE)
    assert (made.version, made.alias, made.reason) == ("5", "challenger", "not better")
    assert versions(uri, space) == {
        "1": ("a 0", ["mine"]),
        "3": ("c 0", []),
        "4": ("b 1", ["champion"]),
        "5": ("a 1", ["challenger"]),
    }


def test_a_registration_that_was_cut_off_is_finished(uri: str, space: str, started: Any) -> None:
    store, model, name = started(0.5), small(), registered_name(space)
    log_model(uri, store, store.trials()[0], lambda: model, SAMPLE)
    connect(uri).delete_registered_model_alias(name, "champion")
    again = log_model(uri, store, store.trials()[0], lambda: pytest.fail("loaded"), SAMPLE)
    assert (again.alias, again.reason) == ("champion", "no other")
    better = end_trial(store, uri, 1, 0.6)
    made = log_model(uri, store, better, lambda: model, SAMPLE, register=False)
    client = connect(uri)
    tags = {**client.get_logged_model(made.model_id).tags, "hpsearch.model_id": made.model_id}
    location = client.get_logged_model(made.model_id).artifact_location
    source = f"models:/{made.model_id}" if uri.startswith("http") else location
    client.create_model_version(name, source, run_id=made.run_id, tags=tags, model_id=made.model_id)
    again = log_model(uri, store, better, lambda: pytest.fail("loaded"), SAMPLE)
    assert (again.version, again.alias, again.reason) == ("2", "champion", "own")
    assert versions(uri, space) == {"2": ("s-1 1", ["champion"])}


@ON_DISK
@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ({"data": {"digest": ""}}, {"data": {"digest": ""}}, "better"),
        ({"data": {"digest": None}}, {}, "better"),
        ({}, {"data": {"digest": ""}}, "better"),
        ({"data": {}}, {"data": {}, "fingerprint": "beef"}, "not comparable"),
        ({"data": {}}, {"data": {}, "source_digest": "other"}, "not comparable"),
        ({"data": {}, "source_digest": None}, {"data": {}, "source_digest": None}, "not comp"),
        ({}, {"fingerprint": "beef", "source_digest": "other"}, "better"),
    ],
)
def test_data_without_a_digest_is_compared_only_where_space_and_file_are_the_same(
    uri: str, started: Any, first: Any, second: Any, reason: str
) -> None:
    model = small()
    for name, value, more in [("a", 0.5, first), ("b", 0.6, second)]:
        store = started(value, study=name, **({"source_digest": "file"} | more))
        made = log_model(uri, store, store.trials()[0], lambda: model, SAMPLE)
    assert (made.reason or "").startswith(reason)


def test_test_metrics_that_were_missing_are_added_to_a_known_version(
    uri: str, started: Any
) -> None:
    store, model = started(0.5), small()
    trial = store.trials()[0]
    log_model(uri, store, trial, lambda: model, SAMPLE)
    for _ in range(2):
        made = log_model(uri, store, trial, lambda: model, SAMPLE, metrics={"loss": 0.21})
        assert made.reason == "known"
    client = connect(uri)
    logged = client.get_logged_model(made.model_id)
    assert {each.key: each.value for each in logged.metrics} == {
        "objective": 0.5,
        "test.loss": 0.21,
    }
    assert client.get_run(made.run_id).data.metrics["test.loss"] == 0.21
    assert len(client.get_metric_history(made.run_id, "test.loss")) == 1


def test_a_model_is_logged_once_with_its_run_and_again_if_it_was_deleted(
    uri: str, started: Any
) -> None:
    store, model = started(0.5), small()
    trial = store.trials()[0]
    first = log_model(uri, store, trial, lambda: model, SAMPLE, register=False)
    again = log_model(uri, store, trial, lambda: pytest.fail("x"), SAMPLE, register=False)
    best = log_model(uri, store, trial, lambda: pytest.fail("loaded"), SAMPLE)
    assert first.model_id == again.model_id == best.model_id
    assert best.alias == "champion"
    connect(uri).delete_logged_model(first.model_id)
    made = log_model(uri, store, trial, lambda: model, SAMPLE, register=False)
    assert made.model_id != first.model_id


@keras.saving.register_keras_serializable("hpsearch_tests")
class Sum(keras.Model):
    """A subclassed model, which has neither names nor shapes for its inputs."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.dense = keras.layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        made = self.dense(inputs[0] + inputs[1])
        return [made, made + 1]


PAIR = [np.ones((5, 4), "float32"), np.ones((5, 4), "float32")]


@ON_DISK
def test_a_subclassed_model_names_its_inputs_by_their_place(
    uri: str, started: Any, tmp_path: Path
) -> None:
    import mlflow.artifacts
    import mlflow.models

    store, model = started(0.5), Sum()
    made = log_model(uri, store, store.trials()[0], lambda: model, PAIR)
    source = connect(uri).get_logged_model(made.model_id).artifact_location
    folder = mlflow.artifacts.download_artifacts(source, dst_path=tmp_path, tracking_uri=uri)
    signature = mlflow.models.Model.load(folder).signature
    assert sorted(signature.inputs.input_names()) == ["input_0", "input_1"]
    assert sorted(signature.outputs.input_names()) == ["output_0", "output_1"]


def of_two_inputs() -> Any:
    model = Sum()
    model(PAIR)
    return model


def broken() -> Any:
    raise AttributeError("no such layer at s3://me:hunter2@h")


@ON_DISK
@pytest.mark.parametrize(
    ("load", "came"),
    [
        (of_two_inputs, r"(Index|Value)Error: "),
        (broken, r"AttributeError: no such layer at s3://\*\*\*@h"),
    ],
)
def test_a_model_that_cannot_be_described_is_a_tracking_error(
    uri: str, started: Any, load: Any, came: str
) -> None:
    store = started(0.5)
    with pytest.raises(TrackingError, match=f"trial 0 could not be made or described: {came}"):
        log_model(uri, store, store.trials()[0], load, PAIR[:1])


@ON_DISK
def test_an_error_of_the_project_keeps_its_words(uri: str, started: Any) -> None:
    def load() -> Any:
        raise StudyError("The weights were not kept.")

    store = started(0.5)
    with pytest.raises(StudyError, match=r"^The weights were not kept\.$"):
        log_model(uri, store, store.trials()[0], load, SAMPLE)


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
