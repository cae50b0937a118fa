"""The look before a search in a process of its own: what hangs or crashes there ends nothing else."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import psutil
import pytest

import hpsearch
from hpsearch.errors import BuildError, DataError
from hpsearch.preflight import first_look
from hpsearch.store import Store
from hpsearch.study import looks_at, options_from, planned, problem_of
from hpsearch.study.interrupts import held_back

pytestmark = pytest.mark.usefixtures("study_folder")

SPACE = """
import ctypes, os, signal, sys, time
import numpy as np
from hpsearch import Data, Fit, Space, choice, delayed

def note(name, text="x"):
    with open(name, "a") as file:
        file.write(text)
    with open(name) as file:
        return len(file.read())

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")

@delayed
def data():
    DATA
    return Data((X, (X.sum(axis=1) > 0).astype("int32")), validation=0.25)

@delayed
def model(units):
    import keras
    print("units are", units)
    MODEL
    last = keras.layers.Dense(2, activation="softmax")
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units), last])

space = Space(
    data=data(),
    model=model(choice([2, 4, 8], name="units")),
    loss="sparse_categorical_crossentropy",
    fit=Fit(epochs=1),
    maximize="val_accuracy",
)
"""


def written(data: str = "pass", model: str = "pass") -> str:
    Path("s.py").write_text(SPACE.replace("DATA", data).replace("MODEL", model))
    return "s.py"


def search(space: str, **options: Any) -> Any:
    given = {"seed": 1, "algo": "qmc", "max_trials": 2, "progress": False, "workers": 1} | options
    return hpsearch.search(space, **given)


def refused(space: str, **options: Any) -> str:
    """The message of a search that did not begin."""
    with pytest.raises(BuildError) as caught:
        search(space, **options)
    assert not list(Path("mlruns/studies").glob("*")), "no study was begun"
    assert str(caught.value).endswith("--no-check begins without a look.")
    return str(caught.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("os._exit(7)", "failed: its process ended with exit code 7. It wrote:\nunits are 4\n"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "ended by signal 9 (SIGKILL, as when memory"),
        ("ctypes.string_at(0)", "signal 11 (SIGSEGV). It wrote:\nFatal Python error: Segmentation"),
        ("sys.exit(3)", "s.py:23: SystemExit: 3 (a model may not end the process)"),
        ("raise OSError('no file')", "s.py:23: OSError: no file"),
    ],
)
def test_a_model_that_ends_its_process_is_told_and_no_study_begins(
    model: str, message: str
) -> None:
    before = set(psutil.Process().children(recursive=True))
    assert message in refused(written(model=model))
    new = set(psutil.Process().children(recursive=True)) - before
    assert len(new) <= 2, "the fork server and multiprocessing's tracker"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("os._exit(7)", "Making the data failed: its process ended with exit code 7."),
        ("sys.exit(3)", "s.py:16: SystemExit: 3 (a provider may not end the process)"),
    ],
)
def test_a_provider_that_ends_its_process_is_told_after_one_point(data: str, message: str) -> None:
    assert message in refused(written(data=f"note('tried'); {data}"))
    again = "xx" if "_exit" in data else "x"
    assert Path("tried").read_text() == again, "a worker that was lost is tried again"


def test_the_place_of_a_crash_is_told() -> None:
    assert 's.py", line 23 in model' in refused(written(model="ctypes.string_at(0)"))


@pytest.mark.parametrize("limited", [True, False])
def test_a_point_that_hangs_is_given_up_and_another_tried(
    limited: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(f"hpsearch.study.looking.{'SHORTEST' if limited else 'LONGEST'}", 2.0)
    monkeypatch.setattr("hpsearch.study.looking.PATIENCE", 0.5)
    limits = {"trial_timeout": 8} if limited else {}
    space = written(model="time.sleep(999 if units == 4 else 0)")
    found = search(space, fix={"units": 2}, progress=True, **limits)
    assert found.counts["finished"] == 2, "a fixed value is that of the look, too"
    capsys.readouterr()
    found = search(space, enqueue=[{"units": 2}, {"units": 8}], progress=True, **limits)
    assert found.counts["finished"] == 2
    said = capsys.readouterr().err
    assert said.count("A point is tried first: ") == 1
    assert "it is given up after " in said and "--no-check leaves that out" in said
    assert said.count("Another point is tried, as one failed: Building a model and") >= 1
    assert '  at {"units": 4}' in said


def test_all_points_that_hang_are_told_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpsearch.study.looking.LONGEST", 0.5)
    said = refused(written(model="time.sleep(999)"))
    assert said.startswith("Building a model and showing it one batch did not end within 0.5 s.")


def test_points_that_fail_differently_are_all_told() -> None:
    said = refused(written(model="os._exit(units)"))
    assert said.startswith("Building a model and showing it one batch failed: ")
    assert "None of" not in said, "the code of its exit is no other cause"
    said = refused(written(model="os._exit(3) if units == 4 else int('many')"))
    assert re.match(r"None of \d points works:\n", said)
    for units, why in ((4, "its process ended with exit code 3"), (8, "invalid literal")):
        assert re.search(rf"\n  .*{why}.*\n    at {{\"units\": {units}}}\n", said), said
    assert "\nThe first of them:\n" in said


def test_data_that_takes_long_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpsearch.study.looking.LONGEST", 2.0)
    assert search(written(data="time.sleep(3)")).counts["finished"] == 2


@pytest.mark.parametrize("limited", [True, False])
def test_data_that_never_comes_is_told(limited: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"trial_timeout": 1} if limited else {}
    place = "options.PREPARING" if limited else "looking.LOADING"
    monkeypatch.setattr(f"hpsearch.study.{place}", 0.5)
    said = refused(written(data="time.sleep(999)"), **limits)
    assert said.startswith("Making the data failed: its data was not ready after ")


def test_a_look_in_another_process_sees_what_one_here_sees() -> None:
    problem = problem_of(written())
    seen = []
    for workers in (0, 1):
        options = options_from({"workers": workers, "fix": {"units": 8}})
        plan = planned(options)
        with looks_at(problem, options, plan, problem.engine(3), 3, pytest.fail) as looks:
            seen.append(dataclasses.asdict(first_look(looks)))
    assert seen[0] == seen[1]
    assert seen[0]["point"] == {"units": 8}
    assert seen[0]["params"] == 4 * 8 + 8 + 8 * 2 + 2


def test_errors_keep_their_kind() -> None:
    with pytest.raises(DataError, match="no-check"):
        search(written(data="return Data((X, X[:9, 0]), validation=0.25)"))


def test_sigterm_during_the_look_ends_it_with_a_word_and_leaves_no_process() -> None:
    space = written(model="note('looking'); time.sleep(999)")
    command = [sys.executable, "-m", "hpsearch", "run", space, "--workers", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        while not Path("looking").exists():
            assert running.poll() is None
            time.sleep(0.1)
        started = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "Interrupted before the search began." in said
    assert psutil.wait_procs(started, timeout=10)[1] == []


def test_check_shows_what_models_print_and_survives_those_that_crash() -> None:
    space = written(model="os._exit(5) if units == 8 else None")
    command = [sys.executable, "-m", "hpsearch", "check", space, "--workers", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "units are 2" in ended.stderr
    assert "---" not in ended.stderr
    assert not re.search(r"^[EW]\d{4} ", ended.stderr, re.MULTILINE), "TensorFlow found no GPU"
    assert "Cannot be built: Building a model and showing it one batch failed: " in ended.stderr
    assert 'at {"units": 8}' in ended.stderr
    assert "1 of the points tried cannot be built" in ended.stderr
    assert "of which 2 can be built: 16 to 30 weights" in ended.stdout


def test_causes_are_told_apart_from_what_was_printed() -> None:
    """A model that prints its units crashes where `kind` is b, whatever its units are."""
    text = SPACE.replace("DATA", "pass").replace("def model(units):", "def model(units, kind):")
    text = text.replace("MODEL", "os._exit(5) if kind == 'b' else None")
    text = text.replace('name="units"))', 'name="units"), choice(["a", "b"], name="kind"))')
    Path("s.py").write_text(text)
    command = [sys.executable, "-m", "hpsearch", "check", "s.py", "--workers", "8", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    (cause,) = json.loads(ended.stdout)["causes"]
    assert cause["shared"] == {"kind": "b"}
    assert " It wrote:\nunits are " in cause["text"]


def test_the_look_has_the_limits_of_a_trial() -> None:
    said = refused(written(model="hold = bytearray(10**9)"), trial_memory="500MB")
    assert said.startswith("Building a model and showing it one batch failed: out of memory: ")
    held = "hold = bytearray(10**9); time.sleep(20)"  # until it is seen: its memory is looked at now and then
    said = refused(written(data=held), trial_memory="500MB")
    assert said.startswith("Making the data failed: out of memory: killed at ")


def test_what_lies_in_the_folder_is_left_alone() -> None:
    Path("mlruns/check").mkdir()
    Path("mlruns/check/notes.txt").write_text("mine")
    before = set(Path("mlruns").iterdir())
    refused(written(model="os._exit(7)"))
    assert Path("mlruns/check/notes.txt").read_text() == "mine"
    left = {path.name for path in set(Path("mlruns").iterdir()) - before}
    assert left <= {"startup.log", "studies", "artifacts"}


def test_the_stack_of_the_other_process_is_a_cause() -> None:
    with pytest.raises(BuildError) as caught:
        search(written(model="raise OSError('no file')"))
    stack = "".join(traceback.format_exception(caught.value))
    assert re.search(r's\.py", line 23, in model\n.*\n?.*OSError: no file', stack)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_data_is_made_once_in_each_process_that_needs_it(workers: int) -> None:
    search(written(data="note('made', f'{os.getpid()} ')"), workers=workers)
    made = Path("made").read_text().split()
    assert sorted(made) == sorted(set(made))
    assert len(made) == (3 if workers else 1), "the look, the worker, and who logs the model"


def test_a_trial_may_close_what_it_prints_to() -> None:
    closing = "file = open(os.devnull, 'w'); sys.stdout = file; file.close()"
    found = search(written(model=closing), check=False, max_trials=3)
    assert [trial.attempt for trial in found.trials] == [0, 0, 0]


# The test of the best model

TESTED = "return Data((X, (X[:, 0] > 0) * 1), validation=0.25, test=(X, (X[:, 0] > 0) * 1))"


@pytest.mark.parametrize("workers", [0, 1])
def test_the_best_is_tested_where_trials_run(workers: int) -> None:
    found = search(written(data=TESTED), workers=workers)
    assert set(found.best.test) == {"loss", "accuracy"}


def test_a_test_that_ends_its_process_costs_the_score_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    last = "note('built') == 3 and os._exit(9)"
    found = search(written(data=TESTED, model=last), check=False, keep_models=0, progress=True)
    assert found.counts["finished"] == 2
    assert found.best.test == {}, "no model was kept"
    Path("built").unlink()
    found = search(written(data=TESTED, model=last), check=False, progress=True)
    assert found.counts["finished"] == 2
    assert found.best.test == {}
    said = "The best model could not be tested: its process ended with exit code 9"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_best_is_tested_is_an_interruption(
    workers: str, number: signal.Signals
) -> None:
    space = written(data=TESTED, model="note('built') == 3 and time.sleep(3)")
    given = ["--no-check", "-n", "2", "--study", "s", "--workers", workers]
    command = [sys.executable, "-m", "hpsearch", "run", space, *given]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        while not Path("built").exists() or len(Path("built").read_text()) < 3:
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "Interrupted after 2 trials; all are kept. Go on with: hpsearch resume s" in said
    with Store.open(Path("mlruns/studies"), "s", write=False) as store:
        assert store.settings["state"] == "interrupted"


def test_signals_are_held_back_until_the_block_is_done() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held_back():
        os.kill(os.getpid(), signal.SIGTERM)
        done.append(True)
    assert done


def test_a_second_signal_is_not_held_back() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held_back():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGHUP)
        done.append(True)
    assert not done
