"""Signals at every step of a search in this process: what ended is kept, nothing is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hpsearch
from hpsearch import uniform
from hpsearch.cli import main
from hpsearch.errors import SearchStopped, SpaceError
from hpsearch.store import Store
from hpsearch.study.loop import Driver
from hpsearch.trial import Event, Key, Outcome, Status, Task, Trial

WORDS = {"x": uniform(-5, 5)}
ROOT = Path("mlruns/studies")

pytestmark = pytest.mark.usefixtures("study_folder")


def found(objective: Any = lambda values: values["x"] ** 2, **options: Any) -> Any:
    settings = {"max_trials": 8, "seed": 1, "algo": "random", "progress": False, "study": "mine"}
    return hpsearch.search(WORDS, objective, **(settings | options))


def attempts() -> list[Trial]:
    with Store.open(ROOT, "mine", write=False) as store:
        return store.trials()


def state() -> str | None:
    with Store.open(ROOT, "mine", write=False) as store:
        return store.settings.get("state")


def around(
    monkeypatch: pytest.MonkeyPatch, owner: Any, method: str, when: str, act: Callable[[], None]
) -> list[int]:
    """Act before or after the third call of a method; returns how often it was called."""
    real, calls = getattr(owner, method), [0]

    def wrapped(*args: Any, **more: Any) -> Any:
        calls[0] += 1
        if (when, calls[0]) == ("before", 3):
            act()
        result = real(*args, **more)
        if (when, calls[0]) == ("after", 3):
            act()
        return result

    monkeypatch.setattr(owner, method, wrapped)
    return calls


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["start", "end"])
def test_a_signal_does_not_cut_a_start_or_an_end_in_two(
    monkeypatch: pytest.MonkeyPatch, step: str, when: str, number: signal.Signals
) -> None:
    with monkeypatch.context() as patch:
        around(patch, Store, step, when, lambda: os.kill(os.getpid(), number))
        with pytest.raises(KeyboardInterrupt):
            found()
    trials = attempts()
    ended = 3 if step == "end" else 2
    assert [t.status for t in trials[:ended]] == [Status.OK] * ended
    assert all(t.status is Status.CANCELLED for t in trials[ended:])
    assert state() == "interrupted"
    assert found(resume=True).counts["finished"] == 8
    assert sum(t.status is Status.OK for t in attempts()) == 8


def test_a_second_ctrl_c_while_an_end_is_stored_keeps_the_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    around(monkeypatch, Store, "end", "before", twice)
    with pytest.raises(KeyboardInterrupt):
        found()
    assert [t.status for t in attempts()] == [Status.OK] * 3


def test_a_ctrl_c_during_a_suggestion_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    around(monkeypatch, Driver, "_proposed", "after", lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        found()
    assert [t.status for t in attempts()] == [Status.OK] * 2


def test_a_ctrl_c_lets_the_running_trial_end(capsys: pytest.CaptureFixture[str]) -> None:
    ran: list[float] = []

    def pressed(values: dict[str, Any]) -> float:
        ran.append(values["x"])
        if len(ran) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return values["x"] ** 2

    with pytest.raises(KeyboardInterrupt):
        found(pressed, progress=True)
    assert [t.status for t in attempts()] == [Status.OK] * 3
    assert "Interrupted. The running trial ends first; Ctrl-C again" in capsys.readouterr().err


def test_the_signals_are_the_callers_again_afterwards() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    found()
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_signal_that_is_ignored_stays_so() -> None:
    """`nohup` ignores SIGHUP for what it starts, so that it outlives its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        found(lambda values: os.kill(os.getpid(), signal.SIGHUP) or values["x"])
    finally:
        signal.signal(signal.SIGHUP, before)
    assert [t.status for t in attempts()] == [Status.OK] * 8


@pytest.mark.parametrize("terminal", [False, True])
def test_output_that_nobody_reads_any_more_ends_no_search(terminal: bool) -> None:
    Path("script.py").write_text(
        "import time, hpsearch\n"
        "from hpsearch import uniform\n"
        "from hpsearch.cli.progress import watcher\n"
        "def slowly(values):\n    time.sleep(0.2)\n    return values['x']\n"
        "hpsearch.search({'x': uniform(0, 1)}, slowly, max_trials=8, seed=1, study='mine',"
        " progress=watcher())\n"
    )
    ours, theirs = os.openpty() if terminal else os.pipe()
    command = [sys.executable, "script.py"]
    running = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    seen = b""
    while b"trial 1" not in seen:
        seen += os.read(ours, 1000)
    os.close(ours)
    assert running.wait(120) == 0
    assert [t.status for t in attempts()] == [Status.OK] * 8


def test_a_ctrl_c_before_the_first_trial_leaves_a_study_and_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("small.py").write_text(SPACE)

    def pressed(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hpsearch.study.session.Inline", pressed)
    command = ["hpsearch", "run", "small.py", "-n", "2", "--study", "mine", "--no-check"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert "Go on with: hpsearch resume mine" in capfd.readouterr().err
    assert state() == "interrupted"


def test_a_script_is_told_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    calls = []

    def interrupted(values: Any) -> float:
        calls.append(values)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return float(values["x"])

    with pytest.raises(KeyboardInterrupt):
        found(interrupted, progress=True)
    way = "search(…, study='mine', resume=True)."
    said = "Interrupted; what had ended is kept in study 'mine'. Go on with it: "
    assert said + way in capsys.readouterr().err


SPACE = """
from pathlib import Path
import numpy as np
from hpsearch import Data, Fit, Space, choice, delayed
from hpsearch.keras import Sequential, layers

@delayed
def data():
    with Path("loads").open("a") as loads:
        loads.write("x")
    x = np.zeros((8, 2), "float32")
    return Data((x, x[:, :1]), validation=(x, x[:, :1]))

space = Space(
    data=data(),
    model=Sequential([layers.Dense(choice([2, 3, 4, 5])), layers.Dense(1)]),
    loss="mse",
    fit=Fit(epochs=1),
    minimize="val_loss",
)
"""


def test_an_interrupted_search_hands_no_model_over_and_its_resume_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To describe a model its data have to be loaded, which may take minutes."""
    Path("small.py").write_text(SPACE)
    asked: dict[str, Any] = {"study": "mine", "seed": 1, "progress": False, "check": False}
    with monkeypatch.context() as patch:
        around(patch, Store, "end", "after", lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(KeyboardInterrupt):
            hpsearch.search("small.py", max_trials=9, **asked)
    assert len(attempts()) == 3
    assert Path("loads").read_text() == "x", "the data were loaded for the trials alone"
    assert not list(Path("mlruns").glob("artifacts/**/model.keras"))
    hpsearch.search("small.py", max_trials=3, resume=True, **asked)
    assert len(list(Path("mlruns").glob("artifacts/**/model.keras"))) == 1


def test_a_clock_that_goes_back_hides_no_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    real, began = time.time, time.monotonic()
    monkeypatch.setattr(time, "time", lambda: real() - 1e6 * (time.monotonic() - began))

    def fails(values: dict[str, Any]) -> float:
        raise RuntimeError("always")

    with pytest.raises(SearchStopped, match="The last 3 trials failed"):
        found(fails, max_trials=30, max_consecutive_failures=3)


def test_what_cannot_be_sent_to_workers_is_refused_before_there_is_a_study() -> None:
    import threading

    lock = threading.Lock()

    def objective(values: dict[str, Any]) -> float:
        with lock:
            return 1.0

    with pytest.raises(SpaceError, match=r"cannot be sent: .*lock.*\n.*workers=0"):
        found(objective, workers=1)
    assert not ROOT.exists() or not list(ROOT.iterdir())


class Losing:
    """An executor whose first workers are lost before their trial trains."""

    def __init__(self, losses: int) -> None:
        self._losses = losses
        self._tasks: list[Task] = []

    def free(self) -> int:
        return 0 if self._tasks else 1

    def submit(self, task: Task) -> None:
        self._tasks.append(task)

    def poll(self, timeout: float | None, deliver: Callable[[Event], None]) -> None:
        if not self._tasks:
            return
        key = self._tasks.pop().jobs[0].key
        self._losses -= 1
        if self._losses >= 0:
            deliver(Outcome(key, Status.LOST, error="its worker is gone"))
        else:
            deliver(Outcome(key, Status.OK, value=1.0))

    def stop(self, key: Key, *, now: bool) -> None:
        """Nothing: a trial takes no time."""

    def close(self, *, now: bool) -> None:
        """Nothing to release."""


@pytest.mark.parametrize("losses", [2, 3])
def test_only_lost_workers_use_up_the_attempts_at_a_trial(
    monkeypatch: pytest.MonkeyPatch, losses: int
) -> None:
    for _ in range(3):  # drivers that were interrupted in the first trial
        with monkeypatch.context() as patch:
            patch.setattr("hpsearch.study.session.Inline", lambda engine: Interrupting())
            with pytest.raises(KeyboardInterrupt):
                found(resume=True)
    monkeypatch.setattr("hpsearch.study.session.Inline", lambda engine: Losing(losses))
    found(resume=True, max_trials=1)
    ends = [t.status for t in attempts()]
    cancelled, lost = [Status.CANCELLED] * 3, [Status.LOST] * losses
    assert ends == cancelled + lost + ([Status.OK] if losses < 3 else [])


class Interrupting(Losing):
    """An executor during whose first trial the terminal is closed."""

    def __init__(self) -> None:
        super().__init__(0)

    def poll(self, timeout: float | None, deliver: Callable[[Event], None]) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
