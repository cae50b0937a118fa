"""The security checklist: what each promise is tested by. In plain words: docs/security.md.

| promise | tested by |
|---|---|
| 1 a model file can run no code when it is loaded, and is the one that the trial wrote | below; `test_predict` |
| 2 Keras's safe mode is checked, and not all we rely on | `test_predict::test_a_space_file_cannot_turn_the_safe_mode_off`; the weights files below |
| 3 nothing is unpickled that was on a disk or came over a network | the scan below |
| 4 no code from MLflow or a store is run | the traps below; `test_from_mlflow::test_the_command_line_saves_the_file_first_and_then_goes_on`, `test_search_workers::test_a_file_that_is_edited_meanwhile_is_searched_as_it_was` |
| 5 versions of Keras and MLflow without known holes | below |
| 6, 7 `hpsearch ui` is for this machine | below; `test_record::test_the_pages_are_served_to_this_machine_only`, `test_cli::test_ui_serves_the_study_on_this_machine_only` |
| 8 no folder of a user's choice is served | below, with 6 |
| 9 nothing else listens | below; Ray's rows come with Ray |
| 10 a name never leaves its folder | `test_store::test_an_accepted_name_never_leaves_its_folder`, `test_faults_inputs` |
| 11 what is read is JSON, strictly, and not too much | the scan below; `test_faults_inputs::test_json_is_read_strictly` |
| 12 no secret is written | below; `test_record::test_no_secret_reaches_mlflow` |
| 13 no webhooks: hpsearch itself opens no connection | the scan below |
| 14 files are for their owner | below; `test_store::test_files_are_for_their_owner_only` |
"""

from __future__ import annotations

import ast
import http.client
import json
import os
import re
import stat
import subprocess
import sys
import time
import tomllib
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
from faults.invariants import MARK, marked
from faults.models import SPACE

import hpsearch
from hpsearch.cli import main
from hpsearch.errors import StudyError
from hpsearch.predict import load_safely
from hpsearch.record.tracking import connect
from hpsearch.store import PARENT, Store
from hpsearch.trial import digest_of

ROOT = Path(__file__).parent.parent
CANARY, PASSWORD = "canary-5317", "hunter2"

# 3, 11, 13: what our own code may not do.

CALLS = {
    *("eval", "exec", "compile", "execfile", "__import__", "os.system", "os.popen"),
    *("tempfile.mktemp", "keras.config.enable_unsafe_deserialization"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "cloudpickle.load", "cloudpickle.loads"),
}
MODULES = {
    *("marshal", "shelve", "dill", "joblib", "yaml", "torch", "mlflow.pyfunc"),
    *("socket", "ssl", "http", "http.client", "http.server", "socketserver", "urllib.request"),
    *("requests", "ftplib", "smtplib", "xmlrpc", "webbrowser"),
}
KEYWORDS = {("allow_pickle", True), ("safe_mode", False), ("shell", True)}
ALLOWED = {
    ("hpsearch/execute/worker.py", "pickle.loads"),  # the pipe of its own parent
    ("hpsearch/space/load.py", "compile"),  # the file that the user names
    ("hpsearch/space/load.py", "exec"),
    ("hpsearch/record/writing.py", "urllib.request"),  # url2pathname, which opens nothing
    ("hpsearch/plain_keras/sources.py", "compile"),  # for the names in it, never run
}


def suspicious(source: str) -> Iterator[str]:
    """The calls, imports and keywords in a module that could run what it reads."""
    tree = ast.parse(source)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(a.asname or a.name): a.name for a in node.names}
            yield from (a.name for a in node.names if a.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            full = {(a.asname or a.name): f"{node.module}.{a.name}" for a in node.names}
            names |= full
            yield from (m for m in {node.module, *full.values()} if m in MODULES)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            head, dot, tail = ast.unparse(node.func).partition(".")
            called = names.get(head, head) + dot + tail
            yield from [called] if called in CALLS else []
            for word in node.keywords:
                value = word.value.value if isinstance(word.value, ast.Constant) else None
                yield from [f"{word.arg}={value}"] if (word.arg, value) in KEYWORDS else []


def test_our_code_runs_nothing_that_it_reads_and_opens_no_connection() -> None:
    files = [*(ROOT / "hpsearch").rglob("*.py"), *(ROOT / "spaces").rglob("*.py")]
    found = {
        (file.relative_to(ROOT).as_posix(), what)
        for file in files
        for what in suspicious(file.read_text(encoding="utf-8"))
    }
    assert found == ALLOWED
    assert len(files) > 100


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import pickle\npickle.load(f)", "pickle.load"),
        ("from pickle import loads as l\nl(b)", "pickle.loads"),
        ("import cloudpickle as cp\ncp.loads(b)", "cloudpickle.loads"),
        ("eval('1')", "eval"),
        ("import os\nos.system('x')", "os.system"),
        ("import numpy as np\nnp.load(f, allow_pickle=True)", "allow_pickle=True"),
        ("keras.saving.load_model(f, safe_mode=False)", "safe_mode=False"),
        ("subprocess.run('x', shell=True)", "shell=True"),
        ("import yaml", "yaml"),
        ("from urllib.request import urlopen", "urllib.request"),
        ("from urllib import request", "urllib.request"),
        ("def f():\n    from mlflow import pyfunc", "mlflow.pyfunc"),
    ],
)
def test_the_scan_finds(source: str, what: str) -> None:
    assert what in list(suspicious(source))


# 1, 2: model files of someone else's making.


@dataclass
class Parts:
    """A saved model's parts, and where one is put together from them."""

    folder: Path
    parts: Mapping[str, bytes] = field(default_factory=dict)

    def file(self, **changes: bytes) -> Path:
        """A .keras file with some parts changed, named with ``_`` for the dot."""
        file = self.folder / "model.keras"
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in self.parts.items():
                archive.writestr(name, changes.get(name.replace(".", "_"), content))
        return file

    def with_layer(self, module: str, name: str, config: Any) -> Path:
        """A .keras file whose only layer is said to be this."""
        whole = json.loads(self.parts["config.json"])
        layer = {"module": module, "class_name": name, "config": config, "registered_name": None}
        whole["config"]["layers"] = [whole["config"]["layers"][0], layer]
        return self.file(config_json=json.dumps(whole).encode())


@pytest.fixture
def good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    """The parts of a model that loads."""
    import keras

    monkeypatch.chdir(tmp_path)
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save("good.keras")
    with zipfile.ZipFile("good.keras") as archive:
        found = Parts(tmp_path, {name: archive.read(name) for name in archive.namelist()})
    assert load_safely(found.file()).count_params() == 10
    return found


LAYERS: dict[str, tuple[str, str, Any]] = {
    "a class that is a function of os": ("os", "system", "touch run"),
    "eval": ("builtins", "eval", {"source": "open('run', 'w')"}),
    "a process": ("subprocess", "Popen", {"args": ["touch", "run"]}),
    "a download": (
        "keras.utils", "get_file", {"fname": "run", "origin": "file:///etc/hostname", "cache_dir": "."},
    ),
    "a SavedModel": ("keras.layers", "TFSMLayer", {"filepath": "saved"}),
    "an activation that is a function of os": (
        "keras.layers", "Dense",
        {"units": 2, "activation": {"module": "os", "class_name": "function", "config": "system"}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", LAYERS)
def test_a_model_file_is_refused_whose_layer_is(what: str, good: Parts) -> None:
    with pytest.raises(StudyError, match="safe mode, and that failed"):
        load_safely(good.with_layer(*LAYERS[what]))
    assert not Path("run").exists()


def test_a_lambda_is_refused_and_would_have_run_without_safe_mode(good: Parts) -> None:
    import keras

    spy = keras.layers.Lambda(lambda x: open("run", "w").close() or x)  # noqa: PTH123
    keras.Sequential([keras.Input((4,)), spy]).save("spy.keras")
    Path("run").unlink(missing_ok=True)
    with pytest.raises(StudyError, match="Lambda"):
        load_safely(Path("spy.keras"))
    assert not Path("run").exists()
    keras.saving.load_model("spy.keras", safe_mode=False)
    assert Path("run").exists(), "the control: this file does carry code"


def _outside(group: Any) -> None:
    Path("secret").write_bytes(b"hunter2!" * 4)
    secret = str(Path("secret").absolute())
    group.create_dataset("0", shape=(4, 2), dtype="f4", external=[(secret, 0, 32)])


def _linked(group: Any) -> None:
    import h5py

    with h5py.File("other.h5", "w") as other:
        other["v"] = np.ones((4, 2), "f4")
    group["0"] = h5py.ExternalLink(str(Path("other.h5").absolute()), "/v")


def _huge(group: Any) -> None:
    group.create_dataset("0", shape=(200_000, 200_000), dtype="f4", chunks=(1000, 1000))


@pytest.mark.parametrize(
    ("change", "text"),
    [(_outside, "external Dataset"), (_linked, "ExternalLink"), (_huge, "149.01 GB")],
)
def test_weights_that_reach_outside_their_file_are_refused(
    change: Callable[[Any], None], text: str, good: Parts
) -> None:
    import h5py
    import keras

    Path("w.h5").write_bytes(good.parts["model.weights.h5"])
    with h5py.File("w.h5", "a") as file:
        group = file["layers/dense/vars"]
        del group["0"]
        change(group)
    file = good.file(model_weights_h5=Path("w.h5").read_bytes())
    with pytest.raises(StudyError, match=re.escape(text)):
        load_safely(file)
    rebuilt = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=re.escape(text)):  # as a champion of ours is loaded
        rebuilt.load_weights(file)


def test_a_damaged_model_file_is_refused_whatever_is_damaged(good: Parts) -> None:
    whole, config = good.file().read_bytes(), json.loads(good.parts["config.json"])
    weights, refused = load_safely(good.file()).get_weights(), 0
    for at in range(0, len(whole), len(whole) // 40):
        (good.folder / "model.keras").write_bytes(whole[:at] + b"?" + whole[at + 1 :])
        try:  # a byte of a date in the archive changes nothing
            for found, before in zip(
                load_safely(good.folder / "model.keras").get_weights(), weights, strict=True
            ):
                np.testing.assert_array_equal(found, before)
        except StudyError:
            refused += 1
    assert refused > 30
    for wrong in (None, [], 3, "x"):
        for key in ("module", "class_name", "config"):
            layer = config["config"]["layers"][1]
            changed = {**layer, key: wrong}
            with pytest.raises(StudyError):
                load_safely(
                    good.with_layer(changed["module"], changed["class_name"], changed["config"])
                )


def test_a_path_in_a_model_file_leads_nowhere(good: Parts) -> None:
    before = set(good.folder.parent.iterdir())
    good.parts = {**good.parts, "../run": b"x", "assets/../../run": b"x"}
    with pytest.warns(UserWarning, match="Skipping invalid path"):
        load_safely(good.file())
    assert set(good.folder.parent.iterdir()) == before


# 4, 9, 12, 14: what a search through workers leaves, opens and runs.

SEARCHED = """
import numpy as np
from hpsearch import Data, Fit, Space, choice, delayed, loguniform
from hpsearch.keras import Sequential, layers, optimizers

@delayed
def data(url):
    print("the worker's own print")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    return Data((x, (x.sum(axis=1) > 0).astype("int32")), validation=0.25)

def prepare(model):
    if model.layers[0].units == 4:
        raise RuntimeError("no answer from postgresql://me:hunter2@db.example/x")

space = Space(
    data=data("s3://me:hunter2@bucket.example/x"),
    model=Sequential([layers.Dense(choice([2, 4], name="units")), layers.Dense(2, activation="softmax")]),
    optimizer=optimizers.SGD(loguniform(1e-3, 1e-1)),
    loss="sparse_categorical_crossentropy",
    fit=Fit(epochs=3, prepare=prepare),
    maximize="val_accuracy",
)
"""
TRAP = "import pathlib\npathlib.Path({!r}).touch()\n"


@dataclass
class Watched:
    """A search through workers that was watched while it ran.

    Attributes:
        listening: the addresses that its processes listened on.
        programs: the command lines of its processes.
    """

    folder: Path
    listening: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)

    def run(self, *arguments: str) -> None:
        """Run a command to its end and watch all its processes."""
        mark = uuid.uuid4().hex
        outer = {**os.environ, MARK: mark, "AWS_SECRET_ACCESS_KEY": CANARY}
        for name in ("HPSEARCH_WORKERS", "MLFLOW_TRACKING_URI"):
            outer.pop(name, None)
        command = [sys.executable, "-m", "hpsearch", *arguments]
        output = self.folder / "output"
        with output.open("wb") as out:
            running = subprocess.Popen(command, cwd=self.folder, env=outer, stdout=out, stderr=out)
            while running.poll() is None:
                self._look(marked(mark))
                time.sleep(0.2)
        assert running.returncode == 0, output.read_text()
        late = time.monotonic() + 10
        while marked(mark) and time.monotonic() < late:
            time.sleep(0.05)
        assert marked(mark) == []

    def _look(self, numbers: list[int]) -> None:
        for number in numbers:
            try:
                process = psutil.Process(number)
                self.programs.add(f"{number} {' '.join(process.cmdline())}")
                found = getattr(process, "net_connections", process.connections)(kind="inet")
            except psutil.Error:
                continue
            states = (psutil.CONN_LISTEN, psutil.CONN_NONE)
            self.listening |= {str(each.laddr) for each in found if each.status in states}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """A search of three trials, one of which fails, resumed without MLflow beside traps."""
    watched = Watched(tmp_path_factory.mktemp("searched"))
    folder = watched.folder
    (folder / "s.py").write_text(SEARCHED)
    tries = [w for units in (2, 4) for w in ("--enqueue", f'{{"units": {units}}}')]
    watched.run("run", "s.py", "-n", "2", "--workers", "2", "--seed", "1", "--study", "s", *tries)
    for path in folder.glob("mlruns/artifacts/**/s.py"):
        path.write_text(TRAP.format(str(folder / "run")))
    for name in ("s.py", "space.py", "sitecustomize.py", "conftest.py", "numpy.py"):
        (folder / "mlruns" / "studies" / "s" / name).write_text(TRAP.format(str(folder / "run")))
    uri = f"http://me:{PASSWORD}@127.0.0.1:9"
    more = ("--workers", "1", "--offline", "--tracking-uri", uri, "--enqueue", '{"units": 2}')
    watched.run("resume", "s", "-n", "3", *more)
    return watched


def test_no_code_is_run_that_lies_in_a_study_or_in_mlflow(searched: Watched) -> None:
    traps = [*searched.folder.glob("mlruns/artifacts/**/s.py")]
    assert traps, "MLflow has a copy of the space file"
    with Store.open(searched.folder / "mlruns" / "studies", "s", write=False) as store:
        states = sorted(trial.status.value for trial in store.trials())
    assert len(states) == 3 and set(states) == {"failed", "ok"}
    assert not (searched.folder / "run").exists()


def test_no_process_of_a_search_listens(searched: Watched) -> None:
    kinds = " ".join(searched.programs)
    assert "hpsearch run" in kinds and "forkserver" in kinds and "guardian.py" in kinds
    assert sum("forkserver" in each for each in searched.programs) >= 2, "a worker was seen"
    assert searched.listening == set()


def test_no_secret_is_written_by_a_search_through_workers(searched: Watched) -> None:
    written = [each for each in (searched.folder / "mlruns").rglob("*") if each.is_file()]
    names = {each.name for each in written}
    assert {"study.db", "mlflow.db", "startup.log", "trial.json", "error.txt"} <= names, names
    logs = [each for each in written if each.parent.name == "logs"]
    assert any("the worker's own print" in each.read_text() for each in logs)
    for file in written:
        for secret in (CANARY, PASSWORD):
            assert secret.encode() not in file.read_bytes(), f"{secret} is in {file}"


def test_what_a_search_writes_is_for_its_owner(searched: Watched) -> None:
    root = searched.folder / "mlruns"
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    study = root / "studies" / "s"
    ours = [each for each in study.rglob("*") if each.suffix != ".py"]
    assert {"study.db", "lock", "logs"} <= {each.name for each in ours}
    assert [each for each in ours if each.suffix == ".keras"], "a model was kept"
    for path in [root / "startup.log", study, *ours]:
        allowed = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) & ~allowed == 0, path


def test_a_champion_that_someone_has_replaced_runs_nothing(
    searched: Watched, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import keras

    monkeypatch.chdir(searched.folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    np.save("x.npy", np.zeros((2, 4), "float32"))
    (champion,) = searched.folder.glob("mlruns/artifacts/**/model.keras")
    assert _predicted(monkeypatch, capfd)[0] == 0
    spy = keras.layers.Lambda(lambda x: open("run", "w").close() or x)  # noqa: PTH123
    keras.Sequential([keras.Input((4,)), spy]).save(champion)
    Path("run").unlink()
    for where in ("studies", "elsewhere"):  # with the trial's own record, and with MLflow's alone
        code, err = _predicted(monkeypatch, capfd)
        assert code == 2 and "is not the one that its trial wrote" in err, err
        if where == "studies":
            (searched.folder / "mlruns" / "studies").rename("elsewhere")
    _say_that_it_is_this(champion, searched.folder)  # whoever can write the file can do that too
    code, err = _predicted(monkeypatch, capfd)
    assert code == 2 and "in Keras's safe mode, and that failed" in err, err
    champion.write_bytes(b"PK\x03\x04 cut off")
    _say_that_it_is_this(champion, searched.folder)
    code, err = _predicted(monkeypatch, capfd)
    assert code == 2 and "that failed" in err, err
    assert not Path("run").exists()


def _say_that_it_is_this(file: Path, folder: Path) -> None:
    client = connect(f"sqlite:///{folder}/mlruns/mlflow.db")
    version = client.get_model_version_by_alias("s", "champion").version
    client.set_model_version_tag("s", version, "hpsearch.digest", digest_of(file))


def test_weights_that_somebody_has_replaced_are_not_loaded(
    study_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a study keeps is known by its hash, in the study and from MLflow."""
    Path("s.py").write_text(SPACE)
    asked: dict[str, Any] = {"max_trials": 2, "seed": 1, "study": "mine", "progress": False}
    found = hpsearch.search("s.py", **asked)
    assert found.best is not None
    found.best.model()
    (kept,) = study_folder.glob("mlruns/studies/mine/models/*.keras")
    (logged,) = study_folder.glob("mlruns/artifacts/**/model.keras")
    assert kept.read_bytes() == logged.read_bytes()
    for file in (kept, logged):
        file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(StudyError, match="wrote other weights than"):
        found.best.model()
    with Store.open(study_folder / "mlruns" / "studies", "mine", write=False) as store:
        run = store.run_ids()[PARENT]
    uri = f"sqlite:///{study_folder}/mlruns/mlflow.db"
    asked |= {"folder": "there", "from_mlflow": run, "tracking_uri": uri, "progress": True}
    hpsearch.search("s.py", **asked)
    told = capsys.readouterr().err
    assert re.search(r"the model of trial \d is not here: somebody has replaced", told), told


def _predicted(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["hpsearch", "predict", "s.py", "x.npy"])
    capfd.readouterr()
    try:
        main()
        code = 0
    except SystemExit as error:
        code = int(error.code or 0)
    return code, capfd.readouterr().err


# 5: versions.


@pytest.mark.parametrize(("package", "floor"), [("keras", (3, 13, 2)), ("mlflow", (3, 10, 1))])
def test_no_version_with_a_known_hole_is_accepted(package: str, floor: tuple[int, ...]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (wanted,) = (each for each in project["dependencies"] if re.match(rf"{package}\b", each))
    least = re.search(r">=([\d.]+)", wanted)
    assert least is not None
    assert tuple(map(int, least[1].split("."))) >= floor


# 6, 7, 8: the pages.


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/health", {}, 200),
        ("GET", "/", {"Host": "evil.example"}, 403),
        ("GET", "/", {"Host": "192.168.1.5:5000"}, 403),
        ("GET", "/", {"Host": "10.0.0.5"}, 403),
        ("POST", "/api/2.0/mlflow/experiments/create", {"Origin": "http://evil.example"}, 403),
        ("GET", "/get-artifact?path=../../../etc/passwd&run_uuid=x", {}, 400),
    ],
)
def test_the_pages_answer_this_machine_only(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    from mlflow_server import server_uri

    address = urlsplit(server_uri())
    assert address.hostname == "127.0.0.1"
    connection = http.client.HTTPConnection(address.netloc, timeout=30)
    body = json.dumps({"name": "x"}) if method == "POST" else None
    given = {"Content-Type": "application/json", **headers} if body else headers
    connection.request(method, path, body, given)
    assert connection.getresponse().status == status
    connection.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "evil.example"])
def test_the_pages_are_not_served_to_a_network(
    host: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["hpsearch", "ui", f"--host={host}"])
    with pytest.raises(SystemExit) as ending:
        main()
    assert ending.value.code == 2
    assert "listens on this machine only" in capfd.readouterr().err
