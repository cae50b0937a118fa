"""The live progress of a search: what it shows, and that it is drawn while the study changes."""

from __future__ import annotations

import io
import itertools
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from rich.console import Console

from hpsearch.cli.progress import Progress, watcher
from hpsearch.study import Lines, best_of, counts_of
from hpsearch.trial import Key, Outcome, Report, Status, Trial


class Study:
    """What a watcher may ask a search, changed from trial to trial as the driver changes it."""

    metric = "val_accuracy"

    def __init__(self, total: int | None = 20) -> None:
        self.total = total
        self.trials: dict[int, Trial] = {}
        self._running: dict[int, Trial] = {}

    @property
    def best(self) -> Trial | None:
        return best_of(self.trials.values(), maximize=True)

    @property
    def running(self) -> list[Trial]:
        return list(self._running.values())

    def counts(self) -> dict[str, int]:
        return counts_of(self.trials.values())

    def start(self, number: int, **more: str) -> Trial:
        point = {"model.dense.units": number, "rate": 0.12345678}
        trial = Trial(number, point, 1, 0.0, **more)
        self.trials[number] = self._running[number] = trial
        return trial

    def end(self, number: int, value: float | None, error: str | None = None) -> Trial:
        status = Status.FAILED if value is None else Status.OK
        outcome = Outcome(Key("here", number), status, value, error=error, seconds=60.0)
        self.trials[number] = replace(self._running.pop(number), ended=1.0, outcome=outcome)
        return self.trials[number]


def report(number: int, epoch: int = 2, fraction: float = 0.5) -> Report:
    metrics = {"loss": 0.25, "accuracy": 0.5, "val_accuracy": 0.75}
    return Report(Key("here", number), epoch, fraction, 10, 100, metrics)


@pytest.fixture
def screen() -> Iterator[tuple[Progress, io.StringIO]]:
    """A progress, and what it draws."""
    drawn = io.StringIO()
    console = Console(
        file=drawn, force_terminal=True, width=120, highlight=False, color_system=None
    )
    progress = Progress(console, rate=50)
    yield progress, drawn
    progress.finished()


def until(drawn: io.StringIO, text: str, seconds: float = 30) -> str:
    """The picture that stands on the screen once it has this text."""
    late = time.monotonic() + seconds
    while text not in (last := drawn.getvalue().rpartition("\x1b[2K")[2]):
        assert time.monotonic() < late, f"{text!r} is not in {last!r}"
        time.sleep(0.01)
    return last


def test_the_picture_shows_the_best_against_the_baseline_what_runs_and_what_is_left(
    screen: tuple[Progress, io.StringIO],
) -> None:
    study, (progress, drawn) = Study(), screen
    progress.begun(study)
    until(drawn, "no trial has succeeded yet")
    progress.started(study.start(0, source="baseline", name="notes"))
    progress.ended(study.end(0, 0.5))
    progress.started(study.start(1))
    progress.ended(study.end(1, 0.9))
    progress.started(study.start(2))
    progress.ended(study.end(2, None, "ValueError: [no]"))
    progress.started(study.start(3))
    progress.started(study.start(4))
    progress.reported(study.trials[4], report(4))
    lines = until(drawn, "trial 4: epoch 2.5/10  loss 0.25, val_accuracy 0.75")
    assert "3/20 trials" in lines
    assert "2 running, 1 failed, 0 pruned" in lines
    assert "about 8 min 22 s left" in lines  # (20 - 3 - 0.25) trials of a minute, two at a time
    assert "best val_accuracy 0.9 in trial 1 (baseline notes 0.5)" in lines
    assert "units=1, rate=0.12346" in lines
    assert "trial 3: starting" in lines
    progress.ended(study.end(4, 0.8))
    assert "trial 4" not in until(drawn, "4/20 trials")


def test_a_loop_that_runs_longer_than_planned_is_shown_without_a_plan(
    screen: tuple[Progress, io.StringIO],
) -> None:
    study, (progress, drawn) = Study(), screen
    progress.begun(study)
    progress.started(study.start(0))
    progress.ended(study.end(0, 0.5))
    progress.started(study.start(1))
    progress.reported(study.trials[1], report(1, epoch=99))
    lines = until(drawn, "trial 1: epoch 99.5  loss 0.25")
    assert "about 18 min 00 s left" in lines, "it counts as one trial, not as ten"


def test_an_end_is_a_line_that_stays(screen: tuple[Progress, io.StringIO]) -> None:
    study, (progress, drawn) = Study(total=None), screen
    progress.begun(study)
    progress.started(study.start(0, name="notes"))
    progress.ended(study.end(0, 0.5))
    progress.started(study.start(1))
    progress.ended(study.end(1, None, "ValueError: [no]"))
    progress.finished()
    progress.finished()
    text = drawn.getvalue()
    assert "trial 0 (notes)  val_accuracy 0.5  best so far  1 min 00 s" in text
    assert "trial 1  failed ValueError: [no]  1 min 00 s" in text
    assert " left" not in text


def test_it_is_drawn_in_one_thread_while_another_changes_the_study() -> None:
    study, progress = Study(), Progress(Console(quiet=True), rate=0.01)
    before, done = sys.getswitchinterval(), threading.Event()

    def draw() -> int:
        count = 0
        while not done.is_set():
            progress._picture()  # as Rich's thread does, but without its pauses
            count += 1
        return count

    def change(number: int) -> None:
        progress.started(study.start(number))
        progress.reported(study.trials[number], report(number))
        if number >= 4:
            progress.ended(study.end(number - 4, 0.5))
        study.trials.pop(number - 200, None)

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor() as threads:
            progress.begun(study)
            drawing, ends = threads.submit(draw), time.monotonic() + 2
            try:
                for number in itertools.count():
                    change(number)
                    if time.monotonic() > ends:
                        break
            finally:
                done.set()
    finally:
        sys.setswitchinterval(before)
        progress.finished()
    assert drawing.result() > 100 and number > 100


def test_a_terminal_gets_a_picture_and_a_log_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(watcher(), Lines)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(watcher(), Progress)
