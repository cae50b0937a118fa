"""A study of thousands of trials: what a trial costs beside its training does not grow with them."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import hpsearch
from hpsearch import choice, integer, uniform
from hpsearch.cli.progress import Progress
from hpsearch.store import Store
from hpsearch.store import study as store_study
from hpsearch.study import Lines
from hpsearch.trial import Key, Outcome, Status, Trial

WORDS = {"x": uniform(-5, 5), "m": choice({"a": {"u": uniform(0, 1)}, "b": {"n": integer(1, 9)}})}
OPTIONS: dict[str, Any] = {
    "study": "mine",
    "resume": True,
    "seed": 1,
    "algo": "random",
    "offline": True,
    "max_trials": 100_000,
    "no_progress": 90_000,
    "target": -1.0,
}
PACKAGE = str(Path(hpsearch.__file__).parent)

pytestmark = pytest.mark.usefixtures("study_folder")


def made(count: int) -> None:
    """A study of so many trials; a tenth failed, one was cut off, each wrote a model."""
    with hpsearch.Study(WORDS, **OPTIONS) as study:
        settings, id = study._session.store.settings, study._session.store.id
    Path("mlruns/studies/mine").rename("mlruns/other")
    trials = []
    for number in range(count):
        status = Status.FAILED if number % 10 == 3 else Status.OK
        status = Status.CANCELLED if number == 7 else status
        value = 1 + number * 7919 % count if status is Status.OK else None
        outcome = Outcome(Key("mine", number), status, value, model="there.keras")
        point = {"x": number / count, "m": "b", "m.b.n": 1 + number % 9}
        trials.append(Trial(number, point, number, 1.0, ended=2.0, outcome=outcome))
    root = Path("mlruns/studies")
    Store.rebuild(root, "mine", settings, id=id, trials=trials, runs={}).close()


def counted(call: Callable[[], Any]) -> int:
    """How many steps of this package's bytecode a call takes, loops and generators included."""
    steps = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal steps
        if event == "call":
            if not frame.f_code.co_filename.startswith(PACKAGE):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        steps += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return steps


def work(count: int, watcher: Any) -> tuple[int, int]:
    """Steps of ours and of SQLite for one of the next trials of a study of so many."""
    made(count)
    ours, queries = [], []
    with hpsearch.Study(WORDS, progress=watcher, **OPTIONS) as study:
        asked = 0

        def tick() -> int:
            nonlocal asked
            asked += 1
            return 0

        def one() -> None:
            trial = study.ask()
            assert trial is not None
            study.tell(trial, 2.5)

        for _ in range(3):  # what was cut off, and what is made with the first
            one()
        study._session.store._database.connection().set_progress_handler(tick, 1)
        for _ in range(3):
            asked = 0
            ours.append(counted(one))
            queries.append(asked)
        study._session.store._database.connection().set_progress_handler(None, 1)
    return min(ours), min(queries)


@pytest.mark.parametrize(
    "watcher",
    [
        lambda: Lines(io.StringIO()),
        lambda: Progress(Console(file=io.StringIO(), force_terminal=True)),
    ],
    ids=["lines", "live"],
)
def test_the_work_for_a_trial_does_not_grow_with_the_trials_there_are(
    watcher: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = []
    for count in (100, 2500):
        (tmp_path / str(count)).mkdir()
        monkeypatch.chdir(tmp_path / str(count))
        found.append(work(count, watcher()))
    (few, few_queries), (many, many_queries) = found
    assert few > 1000 and few_queries > 50, "nothing was counted"
    assert many < 1.5 * few
    assert many_queries < 1.5 * few_queries


def test_a_study_that_goes_on_reads_each_of_its_trials_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made(200)
    read: list[int] = []

    def noted(row: tuple[Any, ...]) -> Trial:
        read.append(row[0])
        return trial_of(row)

    trial_of = store_study.trial_of
    monkeypatch.setattr(store_study, "trial_of", noted)
    with hpsearch.Study(WORDS, **OPTIONS) as study:
        again, new = study.ask(), study.ask()
        assert again is not None and new is not None
        assert (again.number, again.attempt, new.number) == (7, 1, 200)
        assert read == [*range(200)]
        study.tell(new, 2.5)
        assert read == [*range(200), 200]
