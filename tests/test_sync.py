"""`--offline` and `hpsearch sync`: MLflow gets everything later, once, and says what it got."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow_server import free_port

import hpsearch
from hpsearch import uniform
from hpsearch.cli import main
from hpsearch.errors import StudyError, TrackingError
from hpsearch.record import Recorder
from hpsearch.record.tracking import connect
from hpsearch.store import PARENT, Store
from hpsearch.study import owing, sync
from hpsearch.trial import Key, Outcome, Status, Trial

# MLflow 3.17.2 uses an option that SQLAlchemy 2.1 deprecates.
pytestmark = [
    pytest.mark.usefixtures("study_folder"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]

FOLDER = Path("mlruns")
NOTHING = "Nothing is owed to MLflow. To write again what it has lost: hpsearch sync STUDY\n"
TINY = """
import numpy as np
from hpsearch import Data, Space, choice, uniform
from hpsearch.keras import Sequential, layers

x = np.arange(32, dtype="float32").reshape(16, 2) / 32
space = Space(
    data=Data((x, x.sum(axis=1)), validation=0.25, test=(x[:4], x[:4].sum(axis=1))),
    model=Sequential([
        layers.Input((2,)), layers.Dense(choice([2, 4])), layers.Dropout(uniform(0, 0.5)), layers.Dense(1),
    ]),
    optimizer="sgd", loss="mse", minimize="val_loss",
)
"""


def found(trials: int = 3, **options: Any) -> hpsearch.study.Result:
    settings = {"seed": 1, "algo": "random", "progress": False, "study": "here"} | options
    return hpsearch.search({"x": uniform(0, 1)}, lambda v: v["x"], max_trials=trials, **settings)


def deliver(name: str = "here", uri: str | None = None) -> Any:
    return sync(FOLDER, name, uri, lambda: None)


def runs(uri: str, experiment: str = "search") -> dict[str, Any]:
    client = connect(uri)
    where = client.get_experiment_by_name(experiment).experiment_id
    return {run.info.run_name: run for run in client.search_runs([where])}


def here() -> str:
    return f"sqlite:///{Path.cwd()}/mlruns/mlflow.db"


@pytest.fixture
def command(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hpsearch", *words])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as error:
            code = int(error.code or 0)
        return code, *capfd.readouterr()

    return run


OFFLINE = """
import sys
import hpsearch
hpsearch.search(
    {"x": hpsearch.uniform(0, 1)}, lambda v: v["x"], max_trials=3, study="here", progress=False,
    offline=True, tracking_uri=sys.argv[1],
)
print("mlflow" in sys.modules)
"""


def test_an_offline_search_does_not_even_import_mlflow(study_folder: Path) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, uri], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr[-2000:]
    with Store.open(FOLDER / "studies", "here", write=False) as store:
        kinds = [parcel.kind for parcel in store.owed()]
        assert store.run_ids() == {}
    assert kinds == ["study", *["start", "end"] * 3, "check", "finish"]


def test_what_an_offline_search_owes_is_delivered_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = found(offline=True, progress=True)
    assert "as --offline asks. Deliver it later: hpsearch sync here" in capsys.readouterr().err
    assert result.best is not None and result.best.run_id is None
    assert owing(FOLDER) == ["here"]
    first, again = deliver(), deliver()
    assert (first.trials, first.models, first.owing, first.trouble) == (3, (), 0, None)
    assert (again.trials, again.owing) == (0, 0)
    assert owing(FOLDER) == []
    there = runs(here())
    assert set(there) == {"here", "here #000", "here #001", "here #002"}
    assert {run.info.status for run in there.values()} == {"FINISHED"}


def test_a_study_that_is_offline_stays_so_until_it_is_told_otherwise() -> None:
    found(offline=True)
    found(5, resume=True)
    assert owing(FOLDER) == ["here"]
    assert found(7, resume=True, offline=False).best.run_id is not None
    assert owing(FOLDER) == []


def test_a_study_resumed_offline_keeps_the_link_to_its_page() -> None:
    link = found().link
    assert link is not None
    found(5, resume=True, offline=True)
    with Store.open(FOLDER / "studies", "here", write=False) as store:
        assert store.settings["link"] == link
    assert deliver().trials == 2
    assert runs(here())["here"].info.status == "FINISHED"


def test_a_server_that_is_down_is_refused_with_the_way_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackingError, match=r"not answer[\s\S]*without it: --offline") as caught:
        found(tracking_uri=f"http://127.0.0.1:{free_port()}")
    assert len(str(caught.value).splitlines()) <= 6
    assert not list(FOLDER.glob("studies/*"))


def test_everything_can_be_delivered_to_another_place(tmp_path: Path, empty_database: Path) -> None:
    found()
    (tmp_path / "other").mkdir()
    shutil.copy(empty_database, tmp_path / "other" / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/other/mlflow.db"
    assert deliver(uri=uri).owing == 0
    before, after = runs(here()), runs(uri)
    assert set(after) == set(before)
    for name, run in after.items():
        assert run.data.params == before[name].data.params
        assert run.data.metrics == before[name].data.metrics
        assert run.info.status == "FINISHED"
    with Store.open(FOLDER / "studies", "here", write=False) as store:
        assert store.settings["tracking_uri"] == uri


def test_a_study_whose_driver_was_killed_is_ended_and_can_go_on() -> None:
    found()
    with Store.open(FOLDER / "studies", "here", write=True) as store:
        store.update(state="running")
        store.start(Trial(3, {"x": 0.5}, 4, time.time()))
        recorder = Recorder(store, here(), hold=0.0)
        assert recorder.flush(60)
        recorder.close()
    assert owing(FOLDER) == ["here"]
    assert runs(here())["here #003"].info.status == "RUNNING"
    assert deliver().trials == 1
    there = runs(here())
    assert (there["here #003"].info.status, there["here"].info.status) == ("KILLED", "KILLED")
    assert found(5, resume=True).counts["finished"] == 5
    assert runs(here())["here #003 (attempt 2)"].data.params == {"x": "0.5"}


@contextlib.contextmanager
def run_by_another(name: str) -> Iterator[None]:
    """Another process has the study open for writing."""
    program = f"""
        import sys
        from pathlib import Path
        from hpsearch.store import Store
        with Store.open(Path({str(FOLDER / "studies")!r}), {name!r}, write=True):
            print("open", flush=True)
            sys.stdin.read()
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdin=pipe, stdout=pipe
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"open\n"
        yield
        assert process.stdin is not None
        process.stdin.close()


def test_a_study_that_runs_is_refused_and_left_alone_among_others(
    command: Callable[..., tuple[int, str, str]],
) -> None:
    found(offline=True)
    found(offline=True, study="busy")
    with run_by_another("busy"):
        code, out, err = command("sync", "busy")
        assert (code, out) == (2, "")
        assert "another one is running 'busy'" in err
        code, out, err = command("sync")
        assert code == 0
        assert out == f"here: delivered 3 trials to {here()}.\n"
        assert "busy: One process at a time runs a study" in err
        code, out, _ = command("sync", "--json")
        assert (code, json.loads(out)) == (
            0,
            {"studies": [{"study": "busy", "skipped": "running"}]},
        )
    code, out, _ = command("sync", "--json")
    told = {"study": "busy", "trials": 3, "models": [], "owing": 0, "trouble": None, "uri": here()}
    assert (code, json.loads(out)) == (0, {"studies": [told]})
    assert command("sync") == (0, NOTHING, "")


def test_what_cannot_be_delivered_is_exit_code_2(
    command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    found(offline=True, tracking_uri=f"http://127.0.0.1:{free_port()}")
    code, out, err = command("sync", "here")
    assert (code, out) == (2, "")
    assert "does not answer" in err
    code, out, err = command("sync")
    assert (code, out) == (2, "")
    assert "here: The record goes to MLflow" in err
    code, out, err = command("sync", "nosuch")
    assert code == 2
    assert "There is no study 'nosuch'" in err


def test_what_stays_owed_is_told_with_its_reason(
    command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpsearch.study.syncing.IDLE", 1.0)
    found(offline=True)
    (FOLDER / "artifacts").write_text("in the way")
    code, out, _ = command("sync")
    assert code == 2
    assert "here: delivered 0 trials" in out
    assert "Still owed: " in out and "NotADirectoryError" in out


def test_a_flush_ends_where_nothing_is_delivered_any_more() -> None:
    with Store.create(FOLDER / "studies", "idle", {"space": "x"}) as store:
        store.queue("study")
        offline = Recorder(store, here(), offline=True)
        assert not offline.flush(60)
        offline.close()
        (FOLDER / "artifacts").write_text("in the way")
        recorder = Recorder(store, here())
        began = time.monotonic()
        assert not recorder.flush(600, idle=1.5)
        assert time.monotonic() - began < 300
        assert "NotADirectoryError" in (recorder.trouble or "")
        recorder.close()


def test_the_first_word_of_mlflow_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is imported and makes its tables, which on a busy machine takes longer than any delivery."""

    def slowly(uri: str) -> Any:
        time.sleep(6)
        return connect(uri)

    monkeypatch.setattr("hpsearch.record.recorder.connect", slowly)
    with Store.create(FOLDER / "studies", "idle", {"space": "x"}) as store:
        store.queue("study")
        recorder = Recorder(store, here())
        assert recorder.flush(600, idle=4), recorder.trouble
        recorder.close()


def test_a_run_that_someone_deleted_is_made_again_at_the_end() -> None:
    found()
    client = connect(here())
    for name in ("here", "here #001"):
        client.delete_run(runs(here())[name].info.run_id)
    assert deliver().owing == 0
    there = runs(here())
    assert set(there) == {"here", "here #000", "here #001", "here #002"}
    best = client.get_metric_history(there["here"].info.run_id, "best_so_far")
    assert [point.step for point in best] == [0, 1, 2]
    assert {run.info.status for run in there.values()} == {"FINISHED"}
    parents = {run.data.tags.get("mlflow.parentRunId") for run in there.values()}
    assert parents == {None, there["here"].info.run_id}


def test_sync_counts_what_it_writes_again(command: Callable[..., tuple[int, str, str]]) -> None:
    found()
    connect(here()).delete_run(runs(here())["here #001"].info.run_id)
    assert command("sync") == (0, NOTHING, "")
    assert command("sync", "here")[1] == f"here: delivered 1 trial to {here()}.\n"


# Models


@pytest.fixture
def trained(command: Callable[..., tuple[int, str, str]]) -> None:
    """An offline search of a Keras space, in tiny.py."""
    Path("tiny.py").write_text(TINY)
    words = ("run", "tiny.py", "-n", "2", "--seed", "1", "--offline", "--study", "here")
    code, _, err = command(*words)
    assert code == 0, err
    assert "hpsearch sync here" in err


@pytest.mark.usefixtures("trained")
def test_the_best_model_is_delivered_with_its_test_metrics(
    command: Callable[..., tuple[int, str, str]],
) -> None:
    code, out, err = command("sync")
    assert code == 0, err
    with Store.open(FOLDER / "studies", "here", write=False) as store:
        (best,) = store.best("minimize")
        run_id, tested = store.run_ids()[best.number, 0], store.settings["test"]
    assert out == f"here: delivered 2 trials and the model of trial {best.number} to {here()}.\n"
    client = connect(here())
    version = client.get_model_version_by_alias("tiny", "champion")
    assert version.run_id == run_id
    assert client.get_run(run_id).data.metrics["test.loss"] == tested["loss"]
    assert command("sync") == (0, NOTHING, "")


@pytest.mark.usefixtures("trained")
def test_a_lost_database_is_written_again_with_its_model(
    command: Callable[..., tuple[int, str, str]],
) -> None:
    assert command("sync")[0] == 0
    first = runs(here(), "tiny")
    Path("mlruns/mlflow.db").rename("mlruns/gone.db")
    sync_again = [sys.executable, "-m", "hpsearch", "sync"]  # this process has the file open
    done = subprocess.run(sync_again, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    Path("mlruns/mlflow.db").rename("mlruns/new.db")
    again = runs(f"sqlite:///{Path.cwd()}/mlruns/new.db", "tiny")
    assert again.keys() == first.keys()
    assert {run.info.status for run in again.values()} == {"FINISHED"}
    with Store.open(FOLDER / "studies", "here", write=False) as store:
        (best,) = store.best("minimize")
        assert store.run_ids()[best.number, 0] == again[f"here #00{best.number}"].info.run_id
    model = f"the model of trial {best.number}"
    assert done.stdout == f"here: delivered 2 trials and {model} to {here()}.\n"
    client = connect(f"sqlite:///{Path.cwd()}/mlruns/new.db")
    version = client.get_model_version_by_alias("tiny", "champion")
    assert version.run_id == again[f"here #00{best.number}"].info.run_id


@pytest.mark.usefixtures("trained")
def test_a_model_whose_file_changed_is_not_made_from_another(
    command: Callable[..., tuple[int, str, str]],
) -> None:
    Path("tiny.py").write_text(TINY.replace("[2, 4]", "[2, 8]") + "\nraise SystemExit('was run')")
    code, out, _ = command("sync")
    assert code == 2
    assert "delivered 2 trials to" in out
    assert "tiny.py is not the file that was searched any more. Put it back" in out
    Path("tiny.py").write_text(TINY)
    code, out, err = command("sync")
    assert code == 0, err
    assert "here: delivered 0 trials and the model of trial" in out
    with Store.open(FOLDER / "studies", "here", write=True) as store:
        store.update(logged=[], fingerprint="another")
    code, out, _ = command("sync")
    assert code == 2
    assert "a module that" in out and "the space with it" in out
    with Store.open(FOLDER / "studies", "here", write=True) as store:
        store.update(source=None)
    code, out, _ = command("sync", "here")
    assert code == 2
    assert "made in a script or notebook. Run that again with study='here', resume=True" in out


# The store


def test_what_a_driver_left_running_ends_when_it_was_last_alive() -> None:
    with Store.create(FOLDER / "studies", "left", {}) as store:
        store.start(Trial(0, {}, 1, 100.0))
        store.start(Trial(1, {}, 1, 110.0))
        store.end(Outcome(Key("left", 0), Status.OK, 1.0), 130.0)
        assert [trial.number for trial in store.abandon()] == [1]
        (_, left) = store.trials()
        assert (left.status, left.ended) == (Status.CANCELLED, 130.0)
        assert left.error == "the driver ended before this trial did"
        assert store.abandon() == []


def test_what_is_owed_already_is_not_owed_twice() -> None:
    with Store.create(FOLDER / "studies", "twice", {}) as store:
        store.start(Trial(0, {}, 1, 100.0))
        store.end(Outcome(Key("twice", 0), Status.OK, 1.0), 101.0)
        store.queue_again([(0, 0)])
        assert store.owing() == 2
        store.delivered([parcel.id for parcel in store.owed()])
        store.queue_again([(0, 0), (0, 0)])
        assert [(each.kind, each.number) for each in store.owed()] == [("end", 0)]


def test_a_study_rebuilt_is_the_study_that_it_was_or_none() -> None:
    with Store.create(FOLDER / "studies", "first", {"seed": 1}) as first:
        for number in range(2):
            first.start(Trial(number, {"x": 0.1}, 1, 100.0, name="ü"))
        first.end(Outcome(Key("first", 0), Status.OK, float("inf")), 101.0)
        first.set_run_id(*PARENT, "abc")
        content = {"id": first.id, "trials": first.trials(), "runs": first.run_ids()}
        rebuilt = Store.rebuild(FOLDER / "studies", "again", {"seed": 1}, **content)
        with rebuilt as again:
            assert again.trials() == first.trials()
            assert (again.id, again.settings, again.run_ids()) == (
                first.id,
                {"seed": 1},
                {PARENT: "abc"},
            )
            assert again.owing() == 0
    with pytest.raises(StudyError, match="exists"):
        Store.rebuild(FOLDER / "studies", "again", {}, **content)
    twice = content | {"trials": [*content["trials"], content["trials"][0]]}
    with pytest.raises(StudyError, match="UNIQUE"):
        Store.rebuild(FOLDER / "studies", "broken", {}, **twice)
    assert not (FOLDER / "studies" / "broken" / "study.db").exists()
