"""Why a point was suggested: kept with its trial, and told in the user's own metric."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hpsearch
from hpsearch import choice, suggest, uniform
from hpsearch.cli import main
from hpsearch.record import why_lines
from hpsearch.store import Store
from hpsearch.trial import Algorithm, Key, Outcome, Status, Suggestion, Trial, Why

MAXIMIZED = {"metric": "val_accuracy", "direction": "maximize"}
MINIMIZED = {"metric": "val_loss", "direction": "minimize"}

POINT = {"net": "deep", "x": 0.5}
WHOLE = Why("local", -0.9731, 0.01234, 0.0021, 14, 0.0312)


# In words


def test_a_prediction_is_told_in_the_sign_of_a_maximized_metric() -> None:
    assert why_lines(WHOLE, MAXIMIZED, POINT) == [
        "local search",
        "expected val_accuracy 0.973 ± 0.012, expected improvement 0.0021",
        "nearest to trial 14 (distance 0.031)",
    ]


def test_a_prediction_is_told_in_the_sign_of_a_minimized_metric() -> None:
    why = Why("parzen", 2.5, 0.25, 0.1, 0, 0.0)
    assert why_lines(why, MINIMIZED, POINT) == [
        "drawn from where good trials are",
        "expected val_loss 2.50 ± 0.25, expected improvement 0.1",
        "nearest to trial 0 (distance 0)",
    ]


@pytest.mark.parametrize(
    ("why", "lines"),
    [
        (Why("start"), ["quasi-random start"]),
        (Why("tpe", nearest=3), ["hyperopt's tpe", "nearest to trial 3"]),
        (Why("grid", distance=0.5), ["next point of the grid"]),
        (Why("random", improvement=1.5), ["random draw", "expected improvement 1.5"]),
        (Why("random", loss=1.5), ["random draw", "expected val_loss 1.5"]),
        (
            Why("local", improvement=1e-9, wanted=0.0123),
            ["local search", "expected improvement 1e-09, looking for 0.0123 or more"],
        ),
        (
            Why("local", improvement=1e-9, wanted=0.0),
            ["local search", "expected improvement 1e-09, any improvement will do"],
        ),
        (Why("random", loss=math.nan, spread=1.0, improvement=math.inf), ["random draw"]),
        (
            Why("parzen", loss=1.5, improvement=0.25, branch="net"),
            [
                "drawn from where good trials are, with net=deep only: the search of all had stalled",
                "expected val_loss 1.5, expected improvement 0.25 on the best with net=deep",
            ],
        ),
        (
            Why("prior", 1.5, 0.25, worse=True),
            ["drawn from the priors", "expected val_loss 1.50 ± 0.25 or any worse"],
        ),
        (Why("of a later version"), ["of a later version"]),
    ],
)
def test_what_is_not_known_is_left_out(why: Why, lines: list[str]) -> None:
    assert why_lines(why, MINIMIZED, POINT) == lines


@pytest.mark.parametrize(
    ("loss", "spread", "told"),
    [
        (0.51, 0.0012, "0.5100 ± 0.0012"),
        (1234.5, 120.0, "1234 ± 120"),
        (1234.5, 1.5, "1234.5 ± 1.5"),
        (3.25e-9, 2e-10, "3.25e-09 ± 2e-10"),
        (0.5, 0.0, "0.5 ± 0"),
        (0.5, math.inf, "0.5"),
        (-0.0, 0.1, "0.00 ± 0.10"),
        (-0.001, 0.1, "0.00 ± 0.10"),
        (-1e-9, None, "-1e-09"),
    ],
)
def test_a_value_has_as_many_decimals_as_its_spread(
    loss: float, spread: float | None, told: str
) -> None:
    line = why_lines(Why("local", loss, spread), MINIMIZED, POINT)[1]
    assert line == f"expected val_loss {told}"


def test_a_maximized_loss_of_zero_has_no_sign() -> None:
    assert why_lines(Why("local", 0.0), MAXIMIZED, POINT)[1] == "expected val_accuracy 0"


# In `hpsearch show`


@pytest.fixture
def show(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """What `hpsearch show` prints of a study with this metric, of trial 1 or with these words."""

    def shown(settings: dict[str, str], *words: str) -> str:
        root = study_folder / "mlruns" / "studies"
        with Store.create(root, "mine", {**settings, "space": "s"}) as store:
            for number, why in enumerate([None, WHOLE]):
                store.start(Trial(number, {"x": 0.5}, 1, 100.0, why=why))
                store.end(Outcome(Key("mine", number), Status.OK, 0.5), 101.0)
        monkeypatch.setattr(sys, "argv", ["hpsearch", "show", "mine", *(words or ["1"])])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capfd.readouterr().out

    return shown


def test_show_tells_why_a_point_was_suggested(show: Callable[..., str]) -> None:
    assert (
        "  why         local search\n"
        "              expected val_accuracy 0.973 ± 0.012, expected improvement 0.0021\n"
        "              nearest to trial 14 (distance 0.031)\n"
    ) in show(MAXIMIZED)


def test_show_of_a_minimized_metric_tells_the_loss_itself(show: Callable[..., str]) -> None:
    assert "expected val_loss -0.973 ± 0.012" in show(MINIMIZED)


def test_show_says_nothing_where_nothing_is_known(show: Callable[..., str]) -> None:
    assert "why" not in show(MAXIMIZED, "0")


def test_the_json_of_show_has_all_of_it(show: Callable[..., str]) -> None:
    assert json.loads(show(MAXIMIZED, "1", "--json"))["why"] == {
        "source": "local",
        "loss": -0.9731,
        "spread": 0.01234,
        "improvement": 0.0021,
        "nearest": 14,
        "distance": 0.0312,
        "wanted": None,
        "branch": None,
        "worse": False,
    }


# In a search

WORDS = {"x": uniform(-5, 5), "m": choice(["a", "b"])}


def trials(study: str = "mine") -> list[Trial]:
    with Store.open(Path("mlruns/studies"), study, write=False) as store:
        return store.trials()


def found(objective: Any, **options: Any) -> None:
    settings = {"max_trials": 5, "seed": 1, "study": "mine", "progress": False, "offline": True}
    hpsearch.search(WORDS, objective, **(settings | options))


@pytest.mark.usefixtures("study_folder")
def test_a_search_keeps_why_each_point_was_suggested() -> None:
    enqueued = [{"x": 0.5, "m": "a"}, {"m": "b"}]
    found(lambda values: values["x"], enqueue=enqueued)
    whys = [trial.why for trial in trials()]
    assert whys[:1] == [None]
    assert [why and why.source for why in whys[1:]] == ["filled", *["start"] * 3]


@pytest.mark.usefixtures("study_folder")
def test_a_trial_that_runs_again_keeps_why_it_was_suggested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Why] = []
    make = suggest.make

    def counting(*args: Any, **kwargs: Any) -> Algorithm:
        algorithm = make(*args, **kwargs)

        def ask(*about: Any) -> Suggestion | None:
            suggestion = algorithm(*about)
            assert suggestion is not None
            asked.append(Why("local", loss=float(len(asked))))
            return Suggestion(suggestion.point, asked[-1])

        return ask

    def cut_off(values: dict[str, Any]) -> float:
        if len(asked) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return float(values["x"])

    monkeypatch.setattr(suggest, "make", counting)
    with pytest.raises(KeyboardInterrupt):
        found(cut_off)
    asked.append(asked[-1])
    found(lambda values: values["x"], resume=True)
    kept = {(trial.number, trial.attempt): trial.why for trial in trials()}
    assert kept[2, 0] == kept[2, 1] == Why("local", loss=2.0)
    assert len(kept) == 6 and kept[3, 0] != kept[2, 0]
