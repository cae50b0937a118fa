"""The projection into MLflow, into a database and into a real server over HTTP."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import runpy
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow_server import free_port, server_uri

from hpsearch.errors import TrackingError
from hpsearch.record import (
    Recorder,
    Settings,
    assignments,
    check,
    content,
    tracking_uri,
    ui_command,
    ui_line,
    without_passwords,
)
from hpsearch.record import algorithms as record_algorithms
from hpsearch.record import test_of as record_test_of
from hpsearch.record.tracking import PATIENT, artifact_root, connect
from hpsearch.store import PARENT, Store
from hpsearch.trial import Key, Outcome, Report, Status, Trial, Why
from hpsearch.wire import from_json, to_json

# MLflow 3.17.2 uses an option that SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

POINT = {"model.units": 64, "model.activation": "relu", "optimizer.rate": 0.001, "skip": None}
HISTORY = tuple({"loss": 1 / (i + 1), "val_accuracy": 0.9 + i / 100} for i in range(3))


@pytest.fixture
def sqlite_uri(tmp_path: Path, empty_database: Path) -> str:
    (tmp_path / "mlruns").mkdir()
    shutil.copy(empty_database, tmp_path / "mlruns" / "mlflow.db")
    return tracking_uri(None, tmp_path / "mlruns")


@pytest.fixture(params=["sqlite", "http"])
def uri(request: pytest.FixtureRequest) -> str:
    if request.param == "http":
        return server_uri()
    found: str = request.getfixturevalue("sqlite_uri")
    return found


def settings(**more: Any) -> Settings:
    space = f"digits {uuid.uuid4().hex[:6]}"
    base: Settings = {
        "space": space,
        "metric": "val_accuracy",
        "direction": "maximize",
        "algo": "tpe",
        "seed": 1,
        "budget": {"max_trials": 20, "timeout": None},
        "command": "hpsearch run digits --tracking-uri http://me:hunter2@host/",
        "fingerprint": "f00d",
        "labels": [
            {"label": "model.units", "number": True, "log": False},
            {"label": "model.activation", "number": False, "log": False},
            {"label": "optimizer.rate", "number": True, "log": True},
            {"label": "skip", "number": False, "log": False},
        ],
        "source": __file__,
        "source_text": "space = Space(...)\n",
        "description": {"words": 4},
        "data": {"name": "digits", "digest": "abc123", "shapes": {"train": [1437, 64]}},
        "versions": {"python": "3.11"},
    }
    return base | more  # type: ignore[return-value]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "mlruns" / "studies", "digits-1", settings()) as made:
        yield made


@pytest.fixture
def record(store: Store) -> Iterator[Callable[..., Recorder]]:
    """Starts recorders, and stops them before the store is closed."""
    started: list[Recorder] = []

    def start(uri: str, **more: Any) -> Recorder:
        started.append(Recorder(store, uri, **more))
        return started[-1]

    yield start
    for each in started:
        each.close()


def run_trial(store: Store, number: int, status: Status = Status.OK, **more: Any) -> Trial:
    """Start and end a trial of two seconds in the store."""
    keys = ("attempt", "source", "name", "point", "why")
    given = {key: more.pop(key) for key in keys if key in more}
    trial = Trial(number, given.pop("point", POINT), 40 + number, 1e9 + 10 * number, **given)
    store.start(trial)
    if status is Status.OK:
        more = {"value": 0.9 + number / 1000, "history": HISTORY, "epoch": 2, "params": 650} | more
    key = Key(store.name, number, trial.attempt)
    ended = store.end(Outcome(key, status, seconds=2.0, **more), trial.started + 2)
    assert ended
    return ended


def experiment(uri: str, store: Store) -> Any:
    return connect(uri).get_experiment_by_name(store.settings["space"])


def runs(uri: str, store: Store) -> dict[str, Any]:
    """All runs of the study by name."""
    found = connect(uri).search_runs([experiment(uri, store).experiment_id], max_results=500)
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def artifact(uri: str, run: Any, name: str, folder: Path) -> str:
    return Path(connect(uri).download_artifacts(run.info.run_id, name, str(folder))).read_text()


# What is written


def test_a_trial_becomes_a_run_with_exactly_its_active_labels(
    uri: str, store: Store, record: Callable[..., Recorder], tmp_path: Path
) -> None:
    ended = run_trial(store, 7)
    assert record(uri).flush(60)
    run = runs(uri, store)["digits-1 #007"]
    assert run.data.params == {
        "model.units": "64",
        "model.activation": "relu",
        "optimizer.rate": "0.001",
        "skip": "null",
    }
    assert run.data.metrics == {
        "loss": 1 / 3,
        "val_accuracy": 0.92,
        "objective": 0.907,
        "seconds": 2.0,
        "n_params": 650,
        "epochs": 3,
        "kept_epoch": 2,
        "log10.optimizer.rate": -3.0,
    }
    curve = connect(uri).get_metric_history(run.info.run_id, "val_accuracy")
    assert [(point.step, point.value) for point in curve] == [(0, 0.9), (1, 0.91), (2, 0.92)]
    assert (run.info.start_time, run.info.end_time) == (1_000_000_070_000, 1_000_000_072_000)
    assert run.info.status == "FINISHED"
    tags = run.data.tags
    assert {key: tags[f"hpsearch.{key}"] for key in ("number", "attempt", "seed", "source")} == {
        "number": "7",
        "attempt": "0",
        "seed": "47",
        "source": "suggested",
    }
    assert (tags["hpsearch.state"], tags["hpsearch.study_id"]) == ("ok", store.id)
    parent = connect(uri).get_run(tags["mlflow.parentRunId"])
    assert parent.info.run_name == "digits-1"
    written = from_json(artifact(uri, run, "trial.json", tmp_path))
    assert ended.outcome
    assert from_json(to_json(ended)) == written
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("digits", "abc123")


def test_why_a_point_was_suggested_is_a_tag_of_its_run(
    uri: str, store: Store, record: Callable[..., Recorder], tmp_path: Path
) -> None:
    recorder = record(uri, hold=0.0, curves=0.0)
    why = Why("local", -0.973, 0.012, 0.002, 14, 0.03)
    told = (
        "local search; expected val_accuracy 0.973 ± 0.012, expected improvement 0.002; "
        "nearest to trial 14 (distance 0.03)"
    )
    run_trial(store, 0, source="baseline", name="notes")
    run_trial(store, 1, why=why)
    store.start(Trial(2, POINT, 1, time.time(), why=why))
    assert recorder.flush(60)
    found = runs(uri, store)
    assert "hpsearch.why" not in found["digits-1 #000 notes"].data.tags
    assert found["digits-1 #001"].data.tags["hpsearch.why"] == told
    assert found["digits-1 #002"].data.tags["hpsearch.why"] == told
    written = from_json(artifact(uri, found["digits-1 #001"], "trial.json", tmp_path))
    assert written["why"]["loss"] == -0.973 and written["why"]["nearest"] == 14


def test_the_study_is_the_parent_with_its_note_parameters_and_files(
    uri: str, store: Store, record: Callable[..., Recorder], tmp_path: Path
) -> None:
    recorder = record(uri)
    store.queue("study")
    run_trial(store, 0, source="baseline", name="notes", value=0.5)
    run_trial(store, 1, Status.FAILED, error="ValueError: no")
    run_trial(store, 2, value=0.4)
    run_trial(store, 3, value=0.75)
    store.update(test={"accuracy": 0.7}, tested=3)
    store.queue("finish")
    assert recorder.flush(60)
    found = runs(uri, store)
    assert set(found) == {
        "digits-1",
        "digits-1 #000 notes",
        "digits-1 #001",
        "digits-1 #002",
        "digits-1 #003",
    }
    run = found["digits-1"]
    assert run.info.status == "FINISHED"
    assert run.info.end_time == 1_000_000_032_000
    assert run.data.tags["hpsearch.state"] == "finished"
    assert run.data.params == {
        "algo": "tpe",
        "seed": "1",
        "fingerprint": "f00d",
        "max_trials": "20",
    }
    best = connect(uri).get_metric_history(run.info.run_id, "best_so_far")
    assert [(p.step, p.value) for p in best] == [(0, 0.5), (1, 0.5), (2, 0.5), (3, 0.75)]
    assert run.data.metrics["test.accuracy"] == 0.7
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith(
        "Best val_accuracy: **0.75** in trial 3.\nBaseline 'notes': 0.5 in trial"
    )
    assert "Test accuracy: 0.7." in note
    assert run.data.tags["hpsearch.tested"] == "3"
    assert "| model.units | 64 |" in note
    assert "Trials: 1 failed, 3 ok" in note
    assert "http://***@host/" in note
    table = list(csv.DictReader(io.StringIO(artifact(uri, run, "trials.csv", tmp_path))))
    assert [row["status"] for row in table] == ["ok", "failed", "ok", "ok"]
    assert table[0]["model.activation"] == "relu"
    assert json.loads(artifact(uri, run, "space.json", tmp_path)) == {"words": 4}
    assert "hunter2" not in artifact(uri, run, "study.json", tmp_path)
    assert artifact(uri, run, "test_record.py", tmp_path) == "space = Space(...)\n"
    tags = experiment(uri, store).tags
    assert tags["mlflow.experiment.primaryMetric.name"] == "objective"
    assert tags["mlflow.experiment.primaryMetric.greaterIsBetter"] == "True"


def test_algorithms_that_took_over_are_told_with_their_first_trials() -> None:
    assert record_algorithms({"algo": "tpe"}) == "tpe"
    assert record_algorithms({"algo": "tpe", "algos": [[0, "tpe"]]}) == "tpe"
    told = {"algo": "fast", "algos": [[0, "qmc"], [8, "auto"], [20, "fast"]]}
    assert record_algorithms(told) == "qmc, auto from trial 8 on, fast from trial 20 on"
    assert record_algorithms({}) == ""


def test_assignments_are_written_on_one_line_as_the_command_line_reads_them() -> None:
    values = {
        "a.b": 0.5,
        "n": 3,
        "on": True,
        "none": None,
        "act": "relu",
        "text": "1",
        "two": "x\ny",
    }
    written = assignments(values)
    assert written == 'a.b=0.5, n=3, on=true, none=null, act=relu, text="1", two="x\\ny"'
    read = {
        label: item.partition("=")[2]
        for label, item in zip(values, written.split(", "), strict=True)
    }
    for label, text in read.items():
        try:
            assert json.loads(text) == values[label]
        except ValueError:
            assert text == values[label]
    noted = content.note({"fix": values, "algo": "tpe"}, {}, None, [])
    assert f"- Fixed: {written}\n" in noted + "\n" and "- Algorithm: tpe\n" in noted


def test_the_test_metrics_of_another_trial_are_not_the_best_ones(
    sqlite_uri: str, store: Store, record: Callable[..., Recorder]
) -> None:
    run_trial(store, 0, value=0.5)
    run_trial(store, 1, value=0.9)
    store.update(test={"loss": 0.81}, tested=0)  # interrupted before trial 1 was tested
    store.queue("study")
    recorder = record(sqlite_uri)
    assert recorder.flush(60)
    run = runs(sqlite_uri, store)["digits-1"]
    assert "test.loss" not in run.data.metrics
    assert "Test loss" not in run.data.tags["mlflow.note.content"]
    store.update(test={"loss": 0.21}, tested=1)
    store.queue("study")
    assert recorder.flush(60)
    run = runs(sqlite_uri, store)["digits-1"]
    assert run.data.metrics["test.loss"] == 0.21
    assert "Test loss: 0.21." in run.data.tags["mlflow.note.content"]
    assert run.data.tags["hpsearch.tested"] == "1"


def test_test_metrics_belong_to_the_trial_that_was_tested() -> None:
    tested = {"test": {"loss": 0.5}, "tested": 0}
    assert record_test_of(tested, 0) == {"loss": 0.5}
    assert record_test_of(tested, 1) == {}
    assert record_test_of({}, 0) == {}
    assert record_test_of({"test": {"loss": 0.5}}, 0) == {}


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (Status.OK, "FINISHED"),
        (Status.PRUNED, "FINISHED"),
        (Status.FAILED, "FAILED"),
        (Status.DIED, "FAILED"),
        (Status.TIMEOUT, "FAILED"),
        (Status.LOST, "FAILED"),
        (Status.CANCELLED, "KILLED"),
        (Status.RUNNING, "RUNNING"),
    ],
)
def test_the_status_of_a_run_is_that_of_its_trial(status: Status, word: str) -> None:
    assert content.run_status(status) == word


def test_a_failed_trial_has_its_error_and_a_rejected_one_no_run(
    uri: str, store: Store, record: Callable[..., Recorder], tmp_path: Path
) -> None:
    error = "ValueError: cannot read s3://key:secret@bucket/x\nsecond line"
    run_trial(store, 0, Status.FAILED, error=error, traceback=f"Traceback\n{error}")
    run_trial(store, 1, Status.REJECTED)
    run_trial(store, 2, Status.CANCELLED)
    run_trial(store, 2, Status.PRUNED, attempt=1, metrics={"loss": math.nan, "mcc": 0.5})
    assert record(uri).flush(60)
    found = runs(uri, store)
    assert {name: run.info.status for name, run in found.items()} == {
        "digits-1": "RUNNING",
        "digits-1 #000": "FAILED",
        "digits-1 #002": "KILLED",
        "digits-1 #002 (attempt 2)": "FINISHED",
    }
    failed = found["digits-1 #000"]
    assert failed.data.tags["hpsearch.error"] == "ValueError: cannot read s3://***@bucket/x"
    assert artifact(uri, failed, "error.txt", tmp_path).startswith("Traceback\nValueError")
    assert "secret" not in artifact(uri, failed, "trial.json", tmp_path)
    pruned = found["digits-1 #002 (attempt 2)"]
    assert pruned.data.tags["hpsearch.state"] == "pruned"
    assert pruned.data.tags["hpsearch.not_finite.loss"] == "nan"
    assert pruned.data.metrics == {"mcc": 0.5, "seconds": 2.0, "log10.optimizer.rate": -3.0}


def test_a_long_trial_is_seen_while_it_runs_and_its_curve_has_each_epoch_once(
    uri: str, store: Store, record: Callable[..., Recorder]
) -> None:
    recorder = record(uri, hold=0.0, curves=0.0)
    store.start(Trial(0, POINT, 1, time.time()))
    store.start(Trial(1, POINT, 1, time.time()))
    assert recorder.flush(60)
    assert runs(uri, store)["digits-1 #000"].data.params["model.units"] == "64"
    key = Key("digits-1", 0)
    recorder.progress(Report(key, 0, 0.5, 3, 10, {"loss": 9.0}))
    for epoch in range(2):
        recorder.progress(Report(key, epoch, 1.0, 3, 10, {"loss": 1.0 - epoch, "odd": math.inf}))
    run_id = runs(uri, store)["digits-1 #000"].info.run_id
    for _ in range(100):
        if len(connect(uri).get_metric_history(run_id, "loss")) == 2:
            break
        time.sleep(0.1)
    history = ({"loss": 1.0}, {"loss": 0.0}, {"loss": -1.0})
    store.end(Outcome(key, Status.OK, value=1.0, history=history), time.time())
    store.end(Outcome(Key("digits-1", 1), Status.REJECTED), time.time())
    assert recorder.flush(60)
    points = connect(uri).get_metric_history(run_id, "loss")
    assert [(point.step, point.value) for point in points] == [(0, 1.0), (1, 0.0), (2, -1.0)]
    found = runs(uri, store)
    assert set(found) == {"digits-1", "digits-1 #000"}
    assert found["digits-1 #000"].data.tags["hpsearch.state"] == "ok"


def test_many_labels_metrics_and_odd_names_are_written(
    uri: str, store: Store, record: Callable[..., Recorder]
) -> None:
    point = {f"p{i}": i for i in range(150)} | {"a[0]": 1, "a(0)": 2, "größe": "ü", "": "e"}
    point |= {"long": "x" * 9000, "list": [1, None], "n": "null", "x" * 300: 1}
    history = tuple({f"m{i}": float(i) for i in range(20)} for _ in range(120))
    run_trial(store, 0, point=point, history=history)
    assert record(uri).flush(60)
    run = runs(uri, store)["digits-1 #000"]
    assert len(run.data.params) == len(point)
    assert (run.data.params["a_0_"], run.data.params["a_0__2"]) == ("1", "2")
    assert run.data.params["größe"] == "ü"
    assert len(run.data.params["long"]) == 6000
    assert run.data.params["list"] == "[1,null]"
    assert len(connect(uri).get_metric_history(run.info.run_id, "m7")) == 120


@given(st.text(max_size=300))
def test_every_key_becomes_one_that_mlflow_accepts(key: str) -> None:
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name

    _validate_param_name(content.legal(key))
    _validate_metric_name(content.legal(key))
    assert content.legal(content.legal(key)) == content.legal(key)


@given(
    st.dictionaries(
        st.text(st.sampled_from("abc.[("), min_size=1, max_size=6),
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False)),
    )
)
def test_values_read_back_exactly_and_no_label_is_lost(point: dict[str, Any]) -> None:
    params = content.child_params(point)
    assert [from_json(text) for text in params.values()] == list(point.values())


SECRET = "s3://me:hunter2@host/x"


def told(**more: Any) -> Settings:
    """The settings of a study whose space has a secret in its file, its words and its data."""
    description = {"calls": [{"load": [SECRET]}], "words": {SECRET: {"choice": [SECRET]}}}
    data = {"name": SECRET, "digest": "a", "shapes": {SECRET: [1]}}
    return settings(description=description, data=data, **more)


def test_no_secret_reaches_mlflow(
    sqlite_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-5317")
    text = f"data = Data(load({SECRET!r}))\n"
    source = str(tmp_path / "space.py")  # which has gone since it was read
    everything = told(source=source, source_text=text, words={"where": {"choice": [SECRET]}})
    with Store.create(tmp_path / "mlruns" / "studies", "a", everything) as store:
        more = {"facts": {"from": SECRET}, "error": f"at {SECRET}", "traceback": f"x\n{SECRET}"}
        run_trial(store, 0, Status.FAILED, point={"where": SECRET, "all": [SECRET]}, **more)
        run_trial(store, 1, point={"where": SECRET}, source="baseline", name=SECRET)
        store.queue("finish")
        recorder = Recorder(store, sqlite_uri)
        assert recorder.flush(60), recorder.trouble
        recorder.close()
    written = [each for each in (tmp_path / "mlruns").rglob("*") if each.is_file()]
    names = {each.name for each in written}
    assert {"mlflow.db", "space.json", "study.json", "trials.csv", "space.py"} <= names
    assert {"trial.json", "error.txt"} <= names
    for file in written:
        if "studies" not in file.parts:
            assert b"hunter2" not in file.read_bytes(), file
        assert b"canary-5317" not in file.read_bytes(), file
    copy = next(each for each in written if each.name == "space.py")
    assert copy.read_text() == "data = Data(load('s3://***@host/x'))\n"


def test_no_secret_of_an_error_or_a_command_reaches_the_study_folder(
    sqlite_uri: str, tmp_path: Path
) -> None:
    command = without_passwords(settings()["command"])  # as `hpsearch.study` stores it
    with Store.create(tmp_path / "mlruns" / "studies", "a", settings(command=command)) as store:
        run_trial(store, 0, Status.FAILED, error=f"at {SECRET}", traceback=f"x\n{SECRET}")
        store.queue("finish")
        recorder = Recorder(store, sqlite_uri)
        assert recorder.flush(60), recorder.trouble
        recorder.close()
        written = [each for each in store.folder.rglob("*") if each.is_file()]
        assert {"study.db", "study.db-wal", "lock"} <= {each.name for each in written}
        for file in written:
            assert b"hunter2" not in file.read_bytes(), file


def test_nothing_is_printed_on_standard_output(
    uri: str, store: Store, record: Callable[..., Recorder], capfd: pytest.CaptureFixture[str]
) -> None:
    run_trial(store, 0)
    store.queue("finish")
    assert record(uri).flush(60)
    assert capfd.readouterr().out == ""


# Delivered once


def put_back(store: Store) -> None:
    """Owe everything again, as after a crash between MLflow's answer and the commit."""
    with store._database.transaction() as connection:
        connection.execute("DELETE FROM runs")
        connection.execute(
            "INSERT INTO outbox (kind, number, attempt) SELECT 'end', number, attempt FROM trials"
        )


def test_what_is_delivered_twice_is_written_once(
    uri: str, store: Store, record: Callable[..., Recorder]
) -> None:
    for number in range(3):
        run_trial(store, number)
    first = record(uri)
    assert first.flush(60)
    first.close()
    before = runs(uri, store)
    put_back(store)
    again = record(uri)
    assert again.flush(60)
    after = runs(uri, store)
    assert {run.info.run_id for run in after.values()} == {r.info.run_id for r in before.values()}
    for name, run in after.items():
        assert run.data.metrics == before[name].data.metrics
        for key in ("loss", "objective", "best_so_far"):
            history = connect(uri).get_metric_history(run.info.run_id, key)
            assert len(history) == len({point.step for point in history})
    assert set(store.run_ids()) == {PARENT, (0, 0), (1, 0), (2, 0)}


def test_a_resumed_study_goes_on_in_the_same_parent(
    uri: str, store: Store, record: Callable[..., Recorder]
) -> None:
    run_trial(store, 0)
    store.queue("finish")
    first = record(uri)
    assert first.flush(60)
    first.close()
    store.update(budget={"max_trials": 50})
    store.queue("study")
    again = record(uri)
    assert again.flush(60)
    assert again.link == first.link
    parent = runs(uri, store)["digits-1"]
    assert parent.info.status == "RUNNING"
    assert parent.data.params["max_trials"] == "20"
    assert "max_trials 50" in parent.data.tags["mlflow.note.content"]


def test_runs_made_twice_are_deleted_and_those_that_nobody_runs_are_closed(
    sqlite_uri: str, store: Store, record: Callable[..., Recorder]
) -> None:
    run_trial(store, 0)
    first = record(sqlite_uri)
    assert first.flush(60)
    first.close()
    where = experiment(sqlite_uri, store).experiment_id
    tags = {"hpsearch.study_id": store.id, "hpsearch.attempt": "0"}
    client = connect(sqlite_uri)
    made = [client.create_run(where, tags=tags | {"hpsearch.number": n}) for n in ("0", "9")]
    store.queue("study")
    assert record(sqlite_uri).flush(60)
    duplicate, lost = (client.get_run(run.info.run_id) for run in made)
    assert duplicate.info.lifecycle_stage == "deleted"
    assert (lost.info.status, lost.data.tags["hpsearch.state"]) == ("KILLED", "lost")
    assert client.get_run(store.run_ids()[0, 0]).info.status == "FINISHED"


def test_of_runs_made_twice_the_ended_one_is_deleted_unless_it_shows_another_trial(
    sqlite_uri: str, store: Store, record: Callable[..., Recorder]
) -> None:
    run_trial(store, 0)
    recorder = record(sqlite_uri)
    assert recorder.flush(60)
    known = store.run_ids()[0, 0]
    client = connect(sqlite_uri)
    tags = {"hpsearch.study_id": store.id, "hpsearch.number": "0", "hpsearch.attempt": "0"}
    where, began = (
        experiment(sqlite_uri, store).experiment_id,
        client.get_run(known).info.start_time,
    )
    made = [client.create_run(where, began + late, tags) for late in (0, 5000)]
    for run in made:
        client.set_terminated(run.info.run_id)
    store.queue("check")
    assert recorder.flush(60)
    states = [client.get_run(run.info.run_id).info.lifecycle_stage for run in made]
    assert states == ["deleted", "active"]
    assert client.get_run(known).info.lifecycle_stage == "active"


def test_a_run_made_just_before_a_kill_is_found_however_long_ago_its_trial_began(
    sqlite_uri: str, store: Store, record: Callable[..., Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpsearch.record.runs.PAGE", 2)
    store.start(Trial(0, POINT, 40, 1e9))
    for number in range(1, 7):
        run_trial(store, number)
    store.end(Outcome(Key(store.name, 0), Status.OK, value=0.5), 1e9 + 100)
    first = record(sqlite_uri)
    assert first.flush(60)
    first.close()
    before = {name: run.info.run_id for name, run in runs(sqlite_uri, store).items()}
    with store._database.transaction() as connection:  # as if killed before this was committed
        connection.execute("DELETE FROM runs WHERE number = 0")
        connection.execute("INSERT INTO outbox (kind, number, attempt) VALUES ('end', 0, 0)")
    assert record(sqlite_uri).flush(60)
    assert {name: run.info.run_id for name, run in runs(sqlite_uri, store).items()} == before
    assert store.run_ids()[0, 0] == before["digits-1 #000"]


def test_a_study_that_goes_on_looks_no_further_back_than_it_has_to(
    sqlite_uri: str, store: Store, record: Callable[..., Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpsearch.record.runs.PAGE", 2)
    for number in range(6):
        run_trial(store, number)
    first = record(sqlite_uri)
    assert first.flush(60)
    first.close()
    run_trial(store, 6)
    asked: list[int] = []
    search = MlflowClient.search_runs
    monkeypatch.setattr(
        MlflowClient, "search_runs", lambda *a, **k: asked.append(1) or search(*a, **k)
    )
    assert record(sqlite_uri).flush(60)
    assert len(asked) == 1


# When MLflow fails


def test_a_server_that_is_down_hurts_nothing_and_gets_everything_later(
    uri: str, store: Store, record: Callable[..., Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    down = record(f"http://me:hunter2@127.0.0.1:{free_port()}")
    run_trial(store, 0)
    assert not down.flush(2.0)
    assert down.trouble == "MLflow: the server does not answer"
    run_trial(store, 1)
    down.close()
    assert len(store.owed()) == 4
    good = record(uri)
    assert good.flush(60)
    assert good.trouble is None
    assert set(runs(uri, store)) == {"digits-1", "digits-1 #000", "digits-1 #001"}


def test_deleted_runs_are_made_again(
    uri: str, store: Store, record: Callable[..., Recorder]
) -> None:
    recorder = record(uri, hold=0.0)
    store.start(Trial(5, POINT, 1, time.time()))
    run_trial(store, 0)
    assert recorder.flush(60)
    client = connect(uri)
    before = store.run_ids()
    client.delete_run(before[PARENT])
    client.delete_run(before[5, 0])
    store.end(Outcome(Key("digits-1", 5), Status.OK, value=1.0), time.time())
    run_trial(store, 6)
    assert recorder.flush(60)
    after = store.run_ids()
    assert before[PARENT] != after[PARENT]
    assert before[5, 0] != after[5, 0]
    for name, run in runs(uri, store).items():
        assert run.data.tags.get("mlflow.parentRunId") == (
            None if name == "digits-1" else after[PARENT]
        )


def test_a_deleted_experiment_is_named_and_gets_everything_when_it_is_restored(
    sqlite_uri: str, store: Store, record: Callable[..., Recorder]
) -> None:
    recorder = record(sqlite_uri)
    run_trial(store, 0)
    assert recorder.flush(60)
    where = experiment(sqlite_uri, store).experiment_id
    connect(sqlite_uri).delete_experiment(where)
    run_trial(store, 1)
    assert not recorder.flush(3.0)
    assert "was deleted" in (recorder.trouble or "")
    assert f"mlflow experiments restore --experiment-id {where}" in (recorder.trouble or "")
    connect(sqlite_uri).restore_experiment(where)
    assert recorder.flush(60)
    assert recorder.trouble is None
    assert {(0, 0), (1, 0)} <= set(store.run_ids())


def test_a_trial_that_mlflow_refuses_does_not_hold_up_the_others(
    sqlite_uri: str, store: Store, record: Callable[..., Recorder]
) -> None:
    recorder = record(sqlite_uri, hold=0.0)
    store.start(Trial(0, POINT, 1, time.time()))
    assert recorder.flush(60)
    file = sqlite_uri.removeprefix("sqlite:///")
    with sqlite3.connect(file) as connection:  # a parameter cannot be changed in MLflow
        connection.execute("UPDATE params SET value = '65' WHERE key = 'model.units'")
    connection.close()
    store.end(Outcome(Key("digits-1", 0), Status.OK, value=1.0), time.time())
    run_trial(store, 1)
    assert not recorder.flush(2.0)
    assert "Changing param values is not allowed" in (recorder.trouble or "")
    assert runs(sqlite_uri, store)["digits-1 #001"].info.status == "FINISHED"
    assert [(each.kind, each.number) for each in store.owed()] == [("end", 0)]


# Where it goes


def test_importing_the_record_loads_neither_mlflow_nor_keras() -> None:
    code = "import sys, hpsearch.store, hpsearch.record; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"mlflow", "keras", "tensorflow", "pandas", "numpy", "scipy", "hyperopt"}
    assert not heavy & set(said.stdout.split())


def test_the_store_is_the_given_one_then_the_variable_then_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    assert tracking_uri("http://here") == "http://here"
    assert tracking_uri() == "http://there"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path)
    assert tracking_uri() == f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    assert tracking_uri("sqlite:///my.db") == f"sqlite:///{tmp_path}/my.db"
    assert tracking_uri("sqlite://") == "sqlite://"


def test_artifacts_are_found_from_any_folder_however_it_is_called(
    tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "größe 100%"
    root.mkdir()
    shutil.copy(empty_database, root / "mlflow.db")
    uri = tracking_uri(None, root)
    with Store.create(root / "studies", "a", settings(space="größe/:x")) as store:
        run_trial(store, 0)
        recorder = Recorder(store, uri)
        assert recorder.flush(60)
        recorder.close()
        run = runs(uri, store)["a #000"]
        monkeypatch.chdir("/")
        assert "optimizer.rate" in artifact(uri, run, "trial.json", tmp_path)
        assert list((root / "artifacts").rglob("trial.json"))


def test_a_server_that_does_not_answer_is_named_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    for variable in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(variable, "1")
    with pytest.raises(
        TrackingError, match=rf"http://\*\*\*@127.0.0.1:{port}.*not answer"
    ) as caught:
        check(f"http://me:hunter2@127.0.0.1:{port}", "x")
    assert "--tracking-uri" in str(caught.value)
    assert "MLFLOW_TRACKING_URI" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    with socket.socket() as silent:  # takes the connection and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(TrackingError, match="not answer"):
            check(f"http://127.0.0.1:{silent.getsockname()[1]}", "x")


def test_the_old_file_format_is_named_with_the_ways_out(tmp_path: Path) -> None:
    root = tmp_path / "mlruns"
    check(tracking_uri(None, root), "x")
    (root / "0").mkdir()
    (root / "0" / "meta.yaml").write_text("name: Default")
    for uri in (tracking_uri(None, root), root.as_uri(), str(root)):
        with pytest.raises(TrackingError, match=r"old file format.*is in it") as caught:
            check(uri, "x")
        assert f"mlflow migrate-filestore --source {root} --target sqlite:///" in str(caught.value)
        assert "--tracking-uri" in str(caught.value)
    with pytest.raises(TrackingError, match="is a plain folder"):
        check((tmp_path / "new").as_uri(), "x")
    check(f"sqlite:///{tmp_path}/other.db", "x")


def test_the_named_ways_out_exist_in_mlflow() -> None:
    # In a process of its own: MLflow's command line warns while it is imported.
    code = (
        "from mlflow.cli import cli;"
        "print(cli.commands['migrate-filestore'].params, cli.commands['experiments'].commands)"
    )
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    ).stdout
    for word in ("Option source", "Option target", "restore"):
        assert word in said


def test_a_deleted_experiment_is_refused_before_anything_starts(uri: str, tmp_path: Path) -> None:
    client = connect(uri)
    name = f"gone {uuid.uuid4().hex}"
    check(uri, name)
    where = client.create_experiment(name, artifact_root(uri, tmp_path, name))
    check(uri, name)
    client.delete_experiment(where)
    with pytest.raises(
        TrackingError, match=rf"{name}' is deleted .*--experiment-id {where}.*--exp"
    ):
        check(uri, name)


def test_a_database_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(TrackingError, match=r"refused this: DatabaseError: .*not a database"):
        check(f"sqlite:///{tmp_path}/mlflow.db", "x")


@pytest.mark.parametrize("name", ["", "x" * 501])
def test_an_experiment_name_that_mlflow_refuses_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=f"1 to 500 characters, got {len(name)}"):
        check(f"sqlite:///{tmp_path}/mlflow.db", name)


def bounds() -> tuple[int, int]:
    from mlflow import environment_variables as settings

    timeout, retries = (
        settings.MLFLOW_HTTP_REQUEST_TIMEOUT,
        settings.MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    )
    return timeout.get(), retries.get()


def test_the_bounds_on_http_calls_hold_inside_only_and_leave_the_users_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "9")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    environment, before = dict(os.environ), bounds()
    with PATIENT:
        assert bounds() == (5, 9)
        with pytest.raises(KeyError), PATIENT:
            assert bounds() == (5, 9)
            raise KeyError
        assert bounds() == (5, 9)
        assert dict(os.environ) == environment
    assert bounds() == before and before[0] > 5


def test_the_bounds_hold_until_the_last_thread_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with PATIENT:
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with PATIENT:
        thread.start()
        assert inside.wait(60)
    assert bounds()[0] == 5
    leave.set()
    thread.join()
    assert bounds()[0] > 5


WATCHED = """
import sys, threading
changed = []

def hook(event, arguments):
    if event in ("os.putenv", "os.unsetenv"):
        main = threading.current_thread() is threading.main_thread()
        changed.append(("main" if main else "other", arguments[0].decode()))

sys.addaudithook(hook)
import hpsearch
from hpsearch import uniform

def objective(values):
    if not during:
        during.append(len(changed))
    return values["x"]

during = []
hpsearch.search({"x": uniform(0, 1)}, objective, max_trials=4, folder=sys.argv[1], progress=False)
print(sorted({name for thread, name in changed if thread == "other"}))
print(sorted({name for thread, name in changed[during[0]:]}))
"""


def test_nothing_changes_the_environment_while_trials_run(tmp_path: Path) -> None:
    """TensorFlow reads it in threads of its own: changing it then has ended processes (glibc)."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "MLFLOW"))}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == ["[]", "[]"]


def test_the_pages_are_served_to_this_machine_only() -> None:
    command, variables = ui_command("sqlite:////x/mlflow.db", port=5001)
    assert "127.0.0.1:5001" in command[command.index("--allowed-hosts") + 1]
    assert variables == {
        "MLFLOW_BACKEND_STORE_URI": "sqlite:////x/mlflow.db",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command, variables = ui_command("postgresql://me:hunter2@host/db")
    assert not any("hunter2" in word for word in command)
    assert variables["MLFLOW_BACKEND_STORE_URI"] == "postgresql://me:hunter2@host/db"
    with pytest.raises(TrackingError, match=r"this machine only; got '0\.0\.0\.0'"):
        ui_command("sqlite:////x/mlflow.db", host="0.0.0.0")
    with pytest.raises(TrackingError, match="serves its own pages"):
        ui_command("http://server", port=5001)
    assert ui_line("sqlite:////a b/m.db") == "mlflow ui --backend-store-uri 'sqlite:////a b/m.db'"
    assert ui_line("http://me:pw@server") == "http://***@server"


def test_the_benchmark_leaves_nothing_in_the_working_directory(
    tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Path(__file__).parent.parent / "scripts" / "bench" / "overhead.py"
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    assert runpy.run_path(str(script))["bare"](tmp_path, 2) > 0
    assert list(here.iterdir()) == []
    found = connect(f"sqlite:///{tmp_path}/mlflow.db").get_experiment_by_name("bare")
    assert found.artifact_location.startswith(tmp_path.as_uri())
    assert not found.artifact_location.startswith(here.as_uri())
