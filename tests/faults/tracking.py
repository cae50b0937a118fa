"""What can happen to MLflow while a search runs, each done to a real search and a real MLflow.

A fault is a function of an empty folder that raises AssertionError where a promise is broken:
every trial is in the study store, the search never waits for MLflow, and once MLflow is back it
equals the store: one run for each attempt, in order, none RUNNING.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hpsearch
from hpsearch import choice, loguniform, uniform
from hpsearch.errors import TrackingError
from hpsearch.record import read_study, read_trials, ui_command
from hpsearch.record.tracking import connect
from hpsearch.store import PARENT, Store, studies
from hpsearch.study import Silent, sync
from hpsearch.trial import Status
from hpsearch.wire import to_json

__all__ = ["FAST", "FAULTS"]

ROOT = Path(__file__).parent.parent.parent
WORDS = {"x": uniform(-1, 1), "rate": loguniform(1e-4, 1), "kind": choice(["a", "b"])}
SLACK = 1.25  # how much longer a trial may take while MLflow is in trouble: two cores are shared
STATUS = {Status.OK: "FINISHED", Status.FAILED: "FAILED", Status.CANCELLED: "KILLED"}


# A search that something is done to


class Watched(Silent):
    """Does something after the trials with these numbers; notes what is said, and the times."""

    def __init__(self, then: Mapping[int, Callable[[], Any]]) -> None:
        self.then = then
        self.said: list[str] = []
        self.began: dict[int, float] = {}
        self.ends: dict[int, float] = {}

    def started(self, trial: Any) -> None:
        self.began[trial.number] = time.monotonic()

    def ended(self, trial: Any) -> None:
        self.ends[trial.number] = time.monotonic()
        self.then.get(trial.number, lambda: None)()

    def note(self, text: str) -> None:
        self.said.append(text)

    def pace(self, first: int, last: int) -> float:
        """The median seconds from the start of a trial to the start of the next."""
        return statistics.median(
            self.began[n + 1] - self.ends[n] + self.ends[n] - self.began[n]
            for n in range(first, last)
        )


def bowl(values: Mapping[str, Any], seconds: float = 0.0) -> float:
    time.sleep(seconds)
    if values["rate"] > 0.5:
        raise ValueError("too fast")
    return float(values["x"] ** 2 + values["rate"])


def search(
    folder: Path,
    uri: str,
    trials: int,
    seconds: float = 0.1,
    then: Mapping[int, Callable[[], Any]] | None = None,
    **options: Any,
) -> Watched:
    """Search in `folder` with trials of `seconds`; study and experiment are called ``faulty``."""
    watched = Watched(then or {})
    given = {"algo": "random", "seed": 1, "study": "faulty", "experiment": "faulty"} | options
    hpsearch.search(
        WORDS,
        functools.partial(bowl, seconds=seconds),
        max_trials=trials,
        progress=watched,
        folder=folder,
        tracking_uri=uri,
        **given,
    )
    return watched


SCRIPT = """
import sys
sys.path[:0] = [sys.argv[1] + "/tests", sys.argv[1]]
from pathlib import Path
from faults.tracking import search
options = eval(sys.argv[4])
print(search(Path(sys.argv[2]), sys.argv[3], **options).said)
"""


def elsewhere(folder: Path, uri: str, before: str = "", **options: Any) -> subprocess.Popen[str]:
    """The same search in a process of its own, after the lines `before`."""
    words = [sys.executable, "-c", before + SCRIPT, str(ROOT), str(folder), uri, repr(options)]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


# MLflow


@functools.cache
def empty_database() -> Path:
    """MLflow takes seconds to make its tables: they are made once and copied."""
    folder = Path(tempfile.mkdtemp(prefix="hpsearch-faults-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    connect(f"sqlite:///{folder}/mlflow.db").search_experiments()
    return folder / "mlflow.db"


def database(folder: Path) -> str:
    """The URI of an empty MLflow database in `folder`."""
    shutil.copy(empty_database(), folder / "mlflow.db")
    return f"sqlite:///{folder}/mlflow.db"


class Server:
    """A tracking server on the loopback interface that can be killed, hung and brought back."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.file = database(folder)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port: int = listener.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to start: `ready` waits for it."""
        command, variables = ui_command(self.file, port=self.port)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=os.environ | variables,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def ready(self) -> Server:
        for _ in range(900):
            with contextlib.suppress(urllib.error.URLError, OSError):
                with urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                    return self
            time.sleep(0.2)
        raise RuntimeError(f"mlflow server did not start:\n{(self.folder / 'log').read_text()}")

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGCONT)
                self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def server(folder: Path) -> Iterator[Server]:
    made = Server(folder / "server")
    made.start()
    try:
        yield made.ready()
    finally:
        made.kill()


# What must hold


def check_equal(folder: Path, uri: str, *, trials: int, name: str = "faulty") -> None:
    """MLflow has what the study store has, once."""
    with Store.open(folder / "studies", name, write=False) as store:
        stored, ids, settings, study_id = store.trials(), store.run_ids(), store.settings, store.id
        assert store.owing() == 0, f"{store.owing()} parcels are still owed"
    assert sorted({trial.number for trial in stored}) == list(range(trials)), "trials were lost"
    client = connect(uri)
    where = client.get_experiment_by_name(settings["experiment"]).experiment_id
    mine = f"tags.`hpsearch.study_id` = '{study_id}'"
    runs = {run.info.run_id: run for run in client.search_runs([where], mine, max_results=5000)}
    assert sorted(runs) == sorted(ids.values()), f"{len(runs)} runs for {len(ids)} of the store"
    parent = runs.pop(ids[PARENT])
    ended = "FINISHED" if settings["state"] == "finished" else "KILLED"
    assert parent.info.status == ended, f"the study's run is {parent.info.status}"
    for trial in stored:
        run = runs[ids[trial.number, trial.attempt]]
        assert run.info.status == STATUS[trial.status], f"{trial} is {run.info.status} in MLflow"
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert {k: _read(k, v) for k, v in run.data.params.items()} == trial.point
        assert run.info.start_time == round(trial.started * 1000)
        assert run.info.end_time == round((trial.ended or 0) * 1000)
        for key, value in (trial.outcome.metrics if trial.outcome else {}).items():
            history = client.get_metric_history(run.info.run_id, key)
            assert [point.value for point in history] == [value], f"{key} of {trial}: {history}"
    told, found = read_trials(uri, read_study(uri, parent.info.run_id))
    assert [to_json(trial) for trial in told] == [to_json(trial) for trial in stored]
    assert found == ids
    _check_best_so_far(client, parent.info.run_id, stored)


def _read(label: str, text: str) -> Any:
    return text if label == "kind" else json.loads(text)


def _check_best_so_far(client: Any, run_id: str, stored: list[Any]) -> None:
    """The curve of the study's run has one point for each trial, in the order of their ends."""
    best, expected = float("inf"), []
    for trial in sorted(stored, key=lambda each: each.ended):
        best = min(best, float("inf") if trial.value is None else trial.value)
        if best < float("inf"):
            expected.append((trial.number, best))
    history = client.get_metric_history(run_id, "best_so_far")
    points = [(point.step, point.value) for point in history]
    assert sorted(points) == sorted(expected), f"{len(points)} points for {len(expected)} trials"


def check_order(file: str, folder: Path, name: str = "faulty") -> None:
    """The runs of the trials were made in the order of the trials."""
    with Store.open(folder / "studies", name, write=False) as store:
        ids = {run_id: pair for pair, run_id in store.run_ids().items() if pair != PARENT}
    with contextlib.closing(sqlite3.connect(file.removeprefix("sqlite:///"))) as connection:
        made = [run for (run,) in connection.execute("SELECT run_uuid FROM runs ORDER BY rowid")]
    order = [ids[run] for run in made if run in ids]
    assert order == sorted(ids.values()), f"runs were made in the order {order}"


def check_pace(watched: Watched, before: tuple[int, int], during: tuple[int, int]) -> None:
    """Trials take no longer while MLflow is in trouble."""
    usual, then = watched.pace(*before), watched.pace(*during)
    assert then <= SLACK * usual, f"{then:.3f} s a trial, {usual:.3f} s before"


def deliver(folder: Path, uri: str, name: str = "faulty") -> None:
    """What `hpsearch sync` does; nothing is owed afterwards."""
    found = sync(folder, name, uri, lambda: None)
    assert found.owing == 0, found
    again = sync(folder, name, uri, lambda: None)
    assert (again.trials, again.owing) == (0, 0), again


def check_says_how(watched: Watched) -> None:
    assert any("hpsearch sync faulty" in text for text in watched.said), watched.said


# The faults


def down_at_the_start(folder: Path) -> None:
    """Refused before trial 1 with the way on; --offline runs, and sync delivers later."""
    made = Server(folder / "server")
    ran = time.monotonic()
    try:
        search(folder, made.uri, 3)
    except TrackingError as error:
        assert "does not answer" in str(error) and "--offline" in str(error), error
    else:
        raise AssertionError("a server that is down was not noticed")
    assert time.monotonic() - ran < 30
    assert studies(folder / "studies") == []
    check_says_how(search(folder, made.uri, 12, 0.0, offline=True))
    made.start()
    try:
        made.ready()
        deliver(folder, made.uri)
        check_equal(folder, made.uri, trials=12)
        check_order(made.file, folder)
    finally:
        made.kill()


def down_in_the_middle(folder: Path) -> None:
    """Killed at trial 10 and back from trial 60 on: everything arrives while the search runs on."""
    with server(folder) as one:
        watched = search(folder, one.uri, 140, 0.15, {9: one.kill, 60: one.start})
        one.ready()
        check_pace(watched, (0, 9), (11, 59))
        deliver(folder, one.uri)
        check_equal(folder, one.uri, trials=140)
        check_order(one.file, folder)


def down_to_the_end(folder: Path) -> None:
    """Killed at trial 5 for good: the search ends and names the command, which delivers later."""
    with server(folder) as one:
        watched = search(folder, one.uri, 20, 0.1, {5: one.kill})
        check_says_how(watched)
        one.start()
        one.ready()
        deliver(folder, one.uri)
        check_equal(folder, one.uri, trials=20)
        check_order(one.file, folder)


def hung(folder: Path) -> None:
    """Stopped for the time of 60 trials: their rate is unchanged, and nothing is there twice."""
    with server(folder) as one:
        stop = functools.partial(one.signal, signal.SIGSTOP)
        go_on = functools.partial(one.signal, signal.SIGCONT)
        watched = search(folder, one.uri, 120, 0.25, {19: stop, 80: go_on})
        check_pace(watched, (0, 19), (20, 79))
        deliver(folder, one.uri)
        check_equal(folder, one.uri, trials=120)
        check_order(one.file, folder)


LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
"""


def locked(folder: Path, seconds: float = 30.0) -> None:
    """Another process holds MLflow's database for 30 s."""
    uri = database(folder)
    others: list[subprocess.Popen[str]] = []

    def lock() -> None:
        words = [sys.executable, "-c", LOCK, uri.removeprefix("sqlite:///"), str(seconds)]
        others.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
        assert others[0].stdout and others[0].stdout.readline() == "locked\n"

    trials = round(seconds / 0.25)
    watched = search(folder, uri, trials, 0.2, {19: lock})
    others[0].communicate()
    check_pace(watched, (0, 19), (20, trials - 1))
    deliver(folder, uri)
    check_equal(folder, uri, trials=trials)
    check_order(uri, folder)


LIMIT = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, resource.RLIM_INFINITY))
"""


def full(folder: Path) -> None:
    """No file may grow beyond what MLflow's database needs for some of the trials."""
    uri = database(folder)
    file = Path(uri.removeprefix("sqlite:///"))
    with contextlib.closing(sqlite3.connect(file)) as connection:  # larger than the study's
        connection.execute("CREATE TABLE padding AS SELECT zeroblob(8000000) AS x")
        connection.commit()
    before = LIMIT.format(size=file.stat().st_size + 60_000)
    done = elsewhere(folder, uri, before, trials=80, seconds=0.02)
    said, error = done.communicate(timeout=300)
    assert done.returncode == 0, error[-3000:]
    assert "hpsearch sync faulty" in said, said
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (runs,) = connection.execute("SELECT count(*) FROM runs").fetchone()
    assert 0 < runs < 80, f"{runs} runs: the limit was not met in the middle"
    deliver(folder, uri)
    check_equal(folder, uri, trials=80)
    check_order(uri, folder)


def artifacts_unwritable(folder: Path) -> None:
    """A file stands where the artifacts should go (root may write where modes forbid it)."""
    uri = database(folder)
    inplace = folder / "artifacts"
    inplace.write_text("in the way")
    watched = search(folder, uri, 30, 0.1, {20: inplace.unlink})
    check_pace(watched, (0, 20), (20, 29))
    deliver(folder, uri)
    check_equal(folder, uri, trials=30)
    check_order(uri, folder)


def artifacts_unwritable_to_the_end(folder: Path) -> None:
    """The same, until after the search."""
    uri = database(folder)
    inplace = folder / "artifacts"
    inplace.write_text("in the way")
    check_says_how(search(folder, uri, 5, 0.0))
    inplace.unlink()
    deliver(folder, uri)
    check_equal(folder, uri, trials=5)


def runs_deleted(folder: Path) -> None:
    """The study's run and runs of its trials are deleted in the middle: they are made again."""
    uri = database(folder)

    def delete() -> None:
        with Store.open(folder / "studies", "faulty", write=False) as store:
            ids = store.run_ids()
        assert len(ids) > 4, "the search was faster than its record"
        for pair in [PARENT, *sorted(set(ids) - {PARENT})[1:4]]:
            connect(uri).delete_run(ids[pair])

    search(folder, uri, 40, 0.3, {29: delete})
    check_equal(folder, uri, trials=40)


def run_deleted_of_an_ended_trial(folder: Path) -> None:
    """Nothing is written to that run any more, and it is missed all the same."""
    uri = database(folder)
    search(folder, uri, 6, 0.0)
    with Store.open(folder / "studies", "faulty", write=False) as store:
        connect(uri).delete_run(store.run_ids()[2, 0])
    search(folder, uri, 8, 0.0, resume=True)
    check_equal(folder, uri, trials=8)


def experiment_deleted(folder: Path) -> None:
    """Deleted in the middle, and restored: the trials of the time between are told then."""
    uri = database(folder)
    client = connect(uri)

    def delete() -> None:
        client.delete_experiment(client.get_experiment_by_name("faulty").experiment_id)

    def restore() -> None:
        client.restore_experiment(client.get_experiment_by_name("faulty").experiment_id)

    watched = search(folder, uri, 40, 0.2, {19: delete, 32: restore})
    check_pace(watched, (0, 19), (20, 32))
    deliver(folder, uri)
    check_equal(folder, uri, trials=40)


def experiment_deleted_before_the_start(folder: Path) -> None:
    """Refused before trial 1, with the command that restores it."""
    uri = database(folder)
    client = connect(uri)
    client.delete_experiment(client.create_experiment("faulty"))
    try:
        search(folder, uri, 3)
    except TrackingError as error:
        assert "mlflow experiments restore" in str(error) and "--offline" in str(error), error
    else:
        raise AssertionError("a deleted experiment was not noticed")
    assert studies(folder / "studies") == []


def one_name_eight_times(folder: Path) -> None:
    """Eight searches begin at once with one new experiment in a database that is not there yet."""
    uri = f"sqlite:///{folder}/mlflow.db"
    names = [f"faulty-{i}" for i in range(8)]
    started = [elsewhere(folder, uri, study=name, trials=4, seconds=0.0) for name in names]
    for each in started:
        _, error = each.communicate(timeout=300)
        assert each.returncode == 0, error[-3000:]
    client = connect(uri)
    assert sorted(e.name for e in client.search_experiments()) == ["Default", "faulty"]
    for name in names:
        deliver(folder, uri, name)
        check_equal(folder, uri, trials=4, name=name)


def killed_while_tables_are_made(folder: Path) -> None:
    """The driver is killed while MLflow's database is new: the next one makes it whole."""
    uri = f"sqlite:///{folder}/mlflow.db"
    for delay in (0.0, 0.4, 1.2):
        driver = elsewhere(folder, uri, trials=100, seconds=0.1, resume=True)
        before = set(folder.glob("mlflow.db.*"))
        while set(folder.glob("mlflow.db*")) == before:
            time.sleep(0.02)
            assert driver.poll() is None, driver.communicate()[1][-3000:]
        time.sleep(delay)
        os.killpg(driver.pid, signal.SIGKILL)
        driver.communicate()
    count = len(_trials_in(folder, 0)) + 3
    search(folder, uri, count, 0.0, resume=True)
    check_equal(folder, uri, trials=count)


def killed_while_down(folder: Path) -> None:
    """The driver is killed while MLflow is down: sync ends the study; a resume goes on with it."""
    uri = database(folder)
    inplace = folder / "artifacts"
    inplace.write_text("in the way")
    driver = elsewhere(folder, uri, trials=1000, seconds=0.1)
    while not _trials_in(folder, 12):
        time.sleep(0.1)
        assert driver.poll() is None, driver.communicate()[1][-3000:]
    os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate()
    inplace.unlink()
    count = len(_trials_in(folder, 1))
    deliver(folder, uri)
    check_equal(folder, uri, trials=count)
    search(folder, uri, count + 3, 0.0, resume=True)
    check_equal(folder, uri, trials=count + 3)


def _trials_in(folder: Path, least: int) -> list[Any]:
    """The trials of the study, [] while they are fewer."""
    if "faulty" not in studies(folder / "studies"):
        return []
    with Store.open(folder / "studies", "faulty", write=False) as store:
        trials = store.trials()
    return trials if len(trials) >= least else []


FAULTS: dict[str, Callable[[Path], None]] = {
    "mlflow: down at the start": down_at_the_start,
    "mlflow: down in the middle": down_in_the_middle,
    "mlflow: down to the end": down_to_the_end,
    "mlflow: hung": hung,
    "mlflow: sqlite locked for 30 s": locked,
    "mlflow: disk full": full,
    "mlflow: artifacts cannot be written": artifacts_unwritable,
    "mlflow: artifacts cannot be written to the end": artifacts_unwritable_to_the_end,
    "mlflow: runs deleted in the middle": runs_deleted,
    "mlflow: run of an ended trial deleted": run_deleted_of_an_ended_trial,
    "mlflow: experiment deleted in the middle": experiment_deleted,
    "mlflow: experiment deleted before the start": experiment_deleted_before_the_start,
    "mlflow: one experiment made by 8 processes": one_name_eight_times,
    "mlflow: driver killed while it is down": killed_while_down,
    "mlflow: driver killed while tables are made": killed_while_tables_are_made,
}

FAST = (
    "mlflow: run of an ended trial deleted",
    "mlflow: experiment deleted before the start",
    "mlflow: disk full",
)
"""Those that need no server and take some seconds each."""
