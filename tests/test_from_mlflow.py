"""A study rebuilt from MLflow alone: the same points, and the same ones next."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow_server import server_uri

import hpsearch
from hpsearch import integer, loguniform, uniform
from hpsearch.cli import main
from hpsearch.errors import StudyError, TrackingError
from hpsearch.record import read_space, read_study, read_trials
from hpsearch.record.tracking import connect
from hpsearch.store import PARENT, Store
from hpsearch.trial import Key, Outcome, Status, Trial, Why
from hpsearch.wire import to_json

# MLflow 3.17.2 uses an option that SQLAlchemy 2.1 deprecates.
pytestmark = [
    pytest.mark.usefixtures("study_folder"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]

WORDS = {"x": uniform(-5, 5), "rate": loguniform(1e-4, 1), "n": integer(1, 9)}


def bowl(values: dict[str, Any]) -> float:
    if values["n"] == 9:
        raise ValueError("nine is too many")
    return float(values["x"] ** 2 + values["rate"] + values["n"] / 7)


def found(**options: Any) -> hpsearch.study.Result:
    # anneal draws near the best so far: every value of the history moves its suggestions.
    settings = {"max_trials": 14, "seed": 3, "algo": "anneal", "progress": False, "study": "here"}
    return hpsearch.search(WORDS, bowl, **(settings | options))


def told(trials: Any) -> list[Any]:
    """What a trial is, but for when and how long it ran."""
    return [
        (t.number, t.attempt, t.point, t.value, t.status, t.seed, t.source, t.error) for t in trials
    ]


def stored(folder: Path, name: str = "here") -> tuple[str, list[Trial], dict[Any, str]]:
    with Store.open(folder / "studies", name, write=False) as store:
        return store.id, store.trials(), store.run_ids()


def parent_of(folder: Path) -> str:
    return stored(folder)[2][PARENT]


def active(uri: str, experiment: str) -> list[Any]:
    client = connect(uri)
    where = client.get_experiment_by_name(experiment).experiment_id
    return list(client.search_runs([where], max_results=500))


def elsewhere(folder: Path, empty_database: Path) -> Path:
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    return folder


@pytest.fixture(params=["sqlite", "http"])
def uri(request: pytest.FixtureRequest, study_folder: Path) -> str:
    return server_uri() if request.param == "http" else f"sqlite:///{study_folder}/mlruns/mlflow.db"


def test_a_rebuilt_study_goes_on_as_if_it_had_never_left_its_machine(
    uri: str, study_folder: Path, empty_database: Path
) -> None:
    experiment = f"moved-{abs(hash(uri))}"
    found(max_trials=8, tracking_uri=uri, experiment=experiment)
    before = stored(Path("mlruns"))
    shutil.rmtree("mlruns/studies")
    found(from_mlflow=before[2][PARENT], folder="there", tracking_uri=uri, seed=3)
    after = stored(Path("there"))
    assert told(after[1][:8]) == told(before[1])
    assert [(t.started, t.ended) for t in after[1][:8]] == [(t.started, t.ended) for t in before[1]]
    whole = elsewhere(study_folder / "whole", empty_database)
    uninterrupted = found(folder=whole, tracking_uri=f"sqlite:///{whole}/mlflow.db")
    assert told(after[1]) == told(uninterrupted.trials)
    assert any(trial.status is Status.FAILED for trial in after[1])
    assert after[0] == before[0]
    assert {pair: after[2][pair] for pair in before[2]} == before[2]
    runs = active(uri, experiment)
    assert sorted(run.info.run_id for run in runs) == sorted(after[2].values())
    assert {run.info.status for run in runs} == {"FINISHED", "FAILED"}
    best = connect(uri).get_metric_history(after[2][PARENT], "best_so_far")
    assert [point.step for point in best] == list(range(14))


def test_a_copied_store_is_read_where_it_lies(study_folder: Path) -> None:
    found(max_trials=4)
    before = stored(Path("mlruns"))
    shutil.copytree("mlruns/artifacts", "copy/artifacts")
    shutil.copy("mlruns/mlflow.db", "copy/mlflow.db")
    shutil.rmtree("mlruns")
    uri = f"sqlite:///{study_folder}/copy/mlflow.db"
    trials, runs = read_trials(uri, read_study(uri, before[2][PARENT]))
    assert [to_json(trial) for trial in trials] == [to_json(trial) for trial in before[1]]
    assert runs == before[2]


def test_attempts_rejections_and_odd_values_come_back(uri: str, study_folder: Path) -> None:
    from hpsearch.record import Recorder

    settings = {"space": f"odd-{abs(hash(uri))}", "metric": "loss", "direction": "minimize"}
    with Store.create(Path("mlruns/studies"), "odd", settings) as store:
        ends = [
            (0, 0, Status.CANCELLED, {"error": "interrupted"}),
            (0, 1, Status.OK, {"value": 0.1 + 0.2, "history": ({"loss": float("nan")},)}),
            (1, 0, Status.REJECTED, {"error": "too large"}),
            (2, 0, Status.LOST, {}),
            (2, 1, Status.FAILED, {"error": "ValueError: ü"}),
        ]
        for number, attempt, status, more in ends:
            point = {"a": 1e-300, "b": [1, "x"], "c": None, "d": "1", "e": True, "f": 2**60}
            why = Why("local", 0.1 + 0.2, float("inf"), None, 0, 1 / 3) if attempt else None
            store.start(Trial(number, point, 7, 1e9, attempt, "baseline", "ü", why=why))
            store.end(Outcome(Key("odd", number, attempt), status, **more), 1e9 + 1)
        store.start(Trial(3, {}, 7, 1e9))
        recorder = Recorder(store, uri, hold=0.0)
        assert recorder.flush(60)
        recorder.close()
        trials, runs = read_trials(uri, read_study(uri, store.run_ids()[PARENT]))
        assert [to_json(trial) for trial in trials] == [to_json(t) for t in store.trials()]
        assert [trial.why for trial in trials] == [t.why for t in store.trials()]
        assert set(runs) == {PARENT, (0, 0), (0, 1), (2, 0), (2, 1), (3, 0)}


def test_a_trial_that_mlflow_does_not_have_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    found(max_trials=6)
    _, _, runs = stored(Path("mlruns"))
    connect(uri := f"sqlite:///{Path.cwd()}/mlruns/mlflow.db").delete_run(runs[2, 0])
    found(from_mlflow=runs[PARENT], folder="there", tracking_uri=uri, progress=True, max_trials=7)
    assert "Warning: MLflow does not have trial 2" in capsys.readouterr().err
    assert [trial.number for trial in stored(Path("there"))[1]] == [0, 1, 3, 4, 5, 6, 7]


def test_a_study_that_mlflow_shows_as_running_is_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found(max_trials=4)
    uri = f"sqlite:///{Path.cwd()}/mlruns/mlflow.db"
    connect(uri).update_run(parent_of(Path("mlruns")), status="RUNNING")
    options = {"folder": "there", "tracking_uri": uri, "max_trials": 4, "progress": True}
    found(from_mlflow=parent_of(Path("mlruns")), **options)
    assert "Make sure that it does not run elsewhere" in capsys.readouterr().err


def test_another_space_is_refused_with_its_labels_and_nothing_is_made() -> None:
    found(max_trials=3)
    run, uri = parent_of(Path("mlruns")), f"sqlite:///{Path.cwd()}/mlruns/mlflow.db"
    with pytest.raises(StudyError, match=r"new: y; gone: rate, n; changed: x"):
        hpsearch.search(
            {"x": uniform(0, 1), "y": uniform(0, 1)},
            lambda v: 1.0,
            from_mlflow=run, folder="there", tracking_uri=uri, progress=False,
        )  # fmt: skip
    assert not list(Path("there").glob("studies/*"))


def test_a_study_that_is_here_is_not_rebuilt_beside_itself() -> None:
    found(max_trials=3)
    for name in ("here", "other"):  # two of one study would write to the same runs
        with pytest.raises(StudyError, match=r"here already, as 'here'.* hpsearch resume here$"):
            found(from_mlflow=parent_of(Path("mlruns")), study=name)


def test_another_study_of_that_name_is_not_overwritten(study_folder: Path) -> None:
    found(max_trials=3)
    uri, run_id = f"sqlite:///{study_folder}/mlruns/mlflow.db", parent_of(Path("mlruns"))
    there: dict[str, Any] = {"folder": "there", "tracking_uri": uri}
    found(max_trials=1, seed=4, **there)
    with pytest.raises(
        StudyError, match=r"Another study here is called 'here'.*--study here-again"
    ):
        found(from_mlflow=run_id, **there)
    found(from_mlflow=run_id, max_trials=3, **(there | {"study": "here-again"}))
    assert told(stored(Path("there"), "here-again")[1]) == told(stored(Path("mlruns"))[1])


def test_what_is_no_run_of_a_study_is_refused() -> None:
    found(max_trials=2)
    uri = f"sqlite:///{Path.cwd()}/mlruns/mlflow.db"
    _, _, runs = stored(Path("mlruns"))
    client = connect(uri)
    foreign = client.create_run("0").info.run_id
    with pytest.raises(TrackingError, match=r"there is no run 'nosuch' in sqlite"):
        read_study(uri, "nosuch")
    with pytest.raises(TrackingError, match="not one that hpsearch made"):
        read_study(uri, foreign)
    with pytest.raises(
        TrackingError, match=rf"one of its trials\. Give its parent: {runs[PARENT]}"
    ):
        read_study(uri, runs[0, 0])
    client.delete_run(runs[PARENT])
    with pytest.raises(
        TrackingError, match=f"was deleted .*mlflow runs restore --run-id {runs[PARENT]}"
    ):
        read_study(uri, runs[PARENT])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda file: file.unlink(), "of it has no trial.json"),
        (
            lambda file: file.write_text('{"number": 1'),
            "trial.json of run .* is damaged: Expecting",
        ),
        (lambda file: file.write_text("[]"), "is damaged: not an object"),
        (lambda file: file.write_text('{"outcome": null}'), "is damaged: .*missing"),
    ],
)
def test_a_study_is_read_back_whole_or_not_at_all(change: Callable[[Path], Any], text: str) -> None:
    found(max_trials=3)
    uri = f"sqlite:///{Path.cwd()}/mlruns/mlflow.db"
    change(next(Path("mlruns/artifacts").rglob("trial.json")))
    with pytest.raises(TrackingError, match=text):
        found(from_mlflow=parent_of(Path("mlruns")), folder="there", tracking_uri=uri)
    assert not list(Path("there").glob("studies/*"))


TINY = """
import numpy as np
from hpsearch import Data, Space, choice, uniform
from hpsearch.keras import Sequential, layers
from pathlib import Path

Path("was_run").touch()
x = np.arange(32, dtype="float32").reshape(16, 2)
space = Space(
    data=Data((x, x.sum(axis=1)), validation=0.25),
    model=Sequential([layers.Dense(choice([2, 4])), layers.Dropout(uniform(0, 0.5)), layers.Dense(1)]),
    optimizer="sgd", loss="mse", minimize="val_loss",
)
"""


def command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["hpsearch", *words])
    capfd.readouterr()
    code = 0
    try:
        main()
    except SystemExit as error:
        code = int(error.code or 0)
    return code, *capfd.readouterr()


def test_the_command_line_saves_the_file_first_and_then_goes_on(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("tiny.py").write_text(textwrap.dedent(TINY))
    run = ("run", "tiny.py", "-n", "2", "--seed", "1", "--algo", "random", "--json")
    code, out, err = command(monkeypatch, capfd, *run)
    assert code == 0, err
    run_id = parent_of_named(Path("mlruns"), json.loads(out)["study"])
    uri = f"sqlite:///{study_folder}/mlruns/mlflow.db"
    there = study_folder / "there"
    there.mkdir()
    monkeypatch.chdir(there)
    again = ("resume", "--from-mlflow", run_id, "--tracking-uri", uri)

    code, out, err = command(monkeypatch, capfd, *again)
    assert (code, out) == (0, "")
    assert f"\n  hpsearch {' '.join(again)} --space tiny.py\n" in err
    assert [file.name for file in there.iterdir()] == ["tiny.py"]
    assert (there / "tiny.py").read_text() == (study_folder / "tiny.py").read_text()

    (there / "tiny.py").write_text(TINY.replace("[2, 4]", "[2, 8]"))
    code, _, err = command(monkeypatch, capfd, *again)
    assert code == 0
    assert f"is saved as tiny-{run_id[:8]}.py; nothing was run" in err
    code, _, err = command(monkeypatch, capfd, *again, "--space", "tiny.py")
    assert code == 2
    assert "changed: model.dense.units" in err
    assert not list(there.glob("mlruns/studies/*"))

    mine = ("--space", f"tiny-{run_id[:8]}.py", "-n", "3", "--json", "--study", "mine")
    code, out, err = command(monkeypatch, capfd, *again, *mine)
    assert code == 0, err
    assert json.loads(out)["trials"]["total"] == 3
    with Store.open(there / "mlruns" / "studies", "mine", write=False) as store:
        assert store.settings["seed"] == 1
        assert store.settings["source"] == str(there / f"tiny-{run_id[:8]}.py")
        assert store.run_ids()[PARENT] == run_id
    code, _, err = command(monkeypatch, capfd, "resume", "mine", "-n", "3", "--tracking-uri", uri)
    assert code == 0, err


def test_the_best_model_comes_along(uri: str, study_folder: Path) -> None:
    Path("tiny.py").write_text(textwrap.dedent(TINY))
    asked: dict[str, Any] = {"max_trials": 2, "seed": 1, "study": "here", "progress": False}
    before = hpsearch.search("tiny.py", tracking_uri=uri, experiment=f"m{abs(hash(uri))}", **asked)
    assert before.best is not None
    run = parent_of(Path("mlruns"))
    if uri.startswith("sqlite"):  # carried to another machine, with all of its artifacts
        shutil.copytree("mlruns/artifacts", "copy/artifacts")
        shutil.copy("mlruns/mlflow.db", "copy/mlflow.db")
        uri = f"sqlite:///{study_folder}/copy/mlflow.db"
    model = before.best.model()
    shutil.rmtree("mlruns")
    after = hpsearch.search("tiny.py", from_mlflow=run, folder="there", tracking_uri=uri, **asked)
    assert after.best is not None
    assert after.best.test == before.best.test
    for mine, theirs in zip(after.best.model().weights, model.weights, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_a_model_that_mlflow_has_lost_is_a_warning(
    study_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("tiny.py").write_text(textwrap.dedent(TINY))
    uri = f"sqlite:///{study_folder}/mlruns/mlflow.db"
    asked: dict[str, Any] = {"max_trials": 2, "seed": 1, "study": "here", "tracking_uri": uri}
    hpsearch.search("tiny.py", **asked)
    shutil.rmtree(next(Path("mlruns/artifacts").glob("*/models")))
    run = parent_of(Path("mlruns"))
    capsys.readouterr()
    after = hpsearch.search("tiny.py", from_mlflow=run, folder="there", **asked)
    assert re.search(r"Warning: the model of trial \d is not here", capsys.readouterr().err)
    assert after.best is not None
    with pytest.raises(StudyError, match="No model was kept"):
        after.best.model()


def parent_of_named(folder: Path, name: str) -> str:
    return stored(folder, name)[2][PARENT]


def test_the_options_of_a_rebuilt_study_need_its_run(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for option in ("--space", "--study"):
        code, _, err = command(monkeypatch, capfd, "resume", option, "x")
        assert code == 2
        assert f"{option} is for a study that is rebuilt from MLflow" in err


def test_a_study_of_a_script_has_no_file_to_save(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found(max_trials=1)
    run = parent_of(Path("mlruns"))
    uri = f"sqlite:///{Path.cwd()}/mlruns/mlflow.db"
    assert read_space(uri, read_study(uri, run)) is None
    more = ("--folder", "there", "--tracking-uri", uri)
    code, _, err = command(monkeypatch, capfd, "resume", "--from-mlflow", run, *more)
    assert code == 2
    assert f"Run the script here with from_mlflow='{run}'" in err.replace("\n  ", " ")


def test_no_other_file_is_overwritten(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from hpsearch.cli.rebuild import _saved

    monkeypatch.chdir(tmp_path)
    for name in ("a.py", "a-12345678.py"):
        Path(name).write_text("# another\n")
    with pytest.raises(StudyError, match=r"a\.py and a-12345678\.py are others"):
        _saved("a.py", "x = 1\n", "1234567890")
    assert _saved("b.py", "x = 1\n", "1234567890") == Path("b.py")
    assert _saved("b.py", "x = 1\n", "1234567890") == Path("b.py")
    with pytest.raises(StudyError, match=r"working directory, and .* cannot be written"):
        _saved("no/such/c.py", "x = 1\n", "1234567890")
