"""`auto` hurries where suggestions would hold the trials up, and a resume goes on as it did."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import hpsearch
from hpsearch import uniform
from hpsearch.store import Store
from hpsearch.study.pace import LOOKED, Paced
from hpsearch.trial import Suggestion, Why

WORDS = {label: uniform(0, 1) for label in "xy"}

pytestmark = pytest.mark.usefixtures("study_folder")


class Slow:
    """Takes a while for a suggestion."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.asked = seconds, 0

    def __call__(self, *about: Any) -> Suggestion:
        self.asked += 1
        time.sleep(self.seconds)
        return Suggestion({}, Why("local", loss=0.0))


def hurried(suggestion: float, trial: float, workers: int = 1) -> str | None:
    """What is said after twenty suggestions and trials that take so many seconds."""
    paced = Paced(Slow(suggestion), Slow(0.0), workers=workers, fast_from=None)
    for number in range(20):
        paced([], [], number, 0)
        paced.ended(trial)
    return paced.hurry(20)


def test_suggestions_that_take_a_noticeable_share_of_a_trial_become_fast():
    note = hurried(0.004, 0.01)
    assert note is not None and "from trial 20 on suggestions are fast" in note
    assert hurried(0.004, 60.0) is None


def test_workers_side_by_side_wait_for_all_suggestions():
    assert hurried(0.004, 1.0) is None
    note = hurried(0.004, 1.0, workers=64)
    assert note is not None and "64 side by side" in note


def test_nothing_is_decided_before_ten_trials_and_nothing_twice():
    thorough, fast = Slow(0.001), Slow(0.0)
    paced = Paced(thorough, fast, workers=1, fast_from=None)
    for number in range(LOOKED):
        assert paced.hurry(number) is None
        paced([], [], number, 0)
        paced.ended(0.0)
    assert paced.hurry(LOOKED) is not None
    assert paced.hurry(LOOKED + 1) is None
    paced([], [], LOOKED, 0)
    paced([], [], LOOKED - 1, 0)  # asked again for a trial before: as it was then
    assert (thorough.asked, fast.asked) == (LOOKED + 1, 1)


def searched(trials: int, **options: Any) -> list[dict[str, Any]]:
    settings = {"seed": 3, "progress": False, "offline": True, "max_trials": trials}
    result = hpsearch.search(WORDS, lambda v: (v["x"] - 0.3) ** 2 + v["y"], **(settings | options))
    return [trial.point for trial in result.trials]


def test_a_resumed_search_is_as_fast_as_it_was(capsys):
    whole = searched(30, study="whole")
    searched(22, study="parts")
    assert searched(30, study="parts", resume=True) == whole
    with Store.open(Path("mlruns/studies"), "parts", write=False) as store:
        assert LOOKED <= store.settings["fast_from"] < 22
    assert whole != searched(30, study="thorough", algo="thorough")


def test_a_search_says_that_it_hurries(capsys):
    searched(25, study="said", progress=True)
    assert "on suggestions are fast. With the algorithm thorough they" in capsys.readouterr().err
