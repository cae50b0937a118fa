"""The driver and the scripting interface, on dicts of words: no Keras is imported here."""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import math
import pickle
import re
import shutil
import signal
import statistics
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hyperopt import hp

import hpsearch
from hpsearch import choice, integer, loguniform, uniform
from hpsearch.errors import (
    PointError,
    SearchStopped,
    SpaceError,
    StudyBusy,
    StudyError,
    nearest,
)
from hpsearch.record import algorithms
from hpsearch.store import Store, studies
from hpsearch.study import options_from, read_points, seconds_of
from hpsearch.study.written import bytes_of
from hpsearch.trial import Key, Outcome, Status, Trial

WORDS = {"x": uniform(-5, 5), "m": choice({"a": {"u": uniform(0, 1)}, "b": {"n": integer(1, 9)}})}


def bowl(values: dict[str, Any]) -> float:
    """A function with its minimum of 0 at x=0, m=a, u=0."""
    inner = values["m"]
    return float(values["x"] ** 2 + inner.get("u", 1 + inner.get("n", 0)))


pytestmark = pytest.mark.usefixtures("study_folder")


def found(words: Any = WORDS, objective: Any = bowl, **options: Any) -> hpsearch.study.Result:
    settings = {"max_trials": 6, "seed": 1, "algo": "random", "progress": False}
    return hpsearch.search(words, objective, **(settings | options))


def points(result: Any) -> list[dict[str, Any]]:
    return [trial.point for trial in result.trials]


def test_a_search_returns_the_best_point_and_every_trial() -> None:
    result = found(max_trials=25, algo="tpe")
    assert result.counts == {"finished": 25, "failed": 0, "pruned": 0, "total": 25}
    assert result.best is not None
    assert result.best.value == min(trial.value for trial in result.trials)
    assert result.best.point == result.trials[result.best.number].point
    assert result.best.run_id is not None
    assert result.direction == "minimize"
    assert result.study == "bowl-1"


def test_the_objective_receives_the_options_themselves_not_their_keys() -> None:
    seen: list[Any] = []
    found({"layers": choice([(1, 2), None, "x"]), "k": 3}, lambda v: seen.append(v) or 1.0)
    assert {type(values["layers"]) for values in seen} <= {tuple, type(None), str}
    assert all(values["k"] == 3 for values in seen)


def test_maximize_turns_the_sign_for_the_search_but_not_for_the_user() -> None:
    result = found({"x": uniform(0, 1)}, lambda v: v["x"], maximize=True, max_trials=12)
    assert result.direction == "maximize"
    assert result.best.value == max(trial.value for trial in result.trials)


def test_a_seed_makes_a_sequential_search_repeatable() -> None:
    assert points(found(algo="tpe", max_trials=24)) == points(found(algo="tpe", max_trials=24))
    assert points(found()) != points(found(seed=2))


def test_trials_have_seeds_of_their_own_that_depend_on_the_study_seed() -> None:
    seeds = [trial.seed for trial in found().trials]
    assert len(set(seeds)) == len(seeds)
    assert seeds == [trial.seed for trial in found().trials]
    assert seeds != [trial.seed for trial in found(seed=2).trials]


def test_python_and_numpy_are_seeded_for_each_trial() -> None:
    import random

    import numpy as np

    drawn: list[tuple[float, float]] = []

    def draw(values: Any) -> float:
        drawn.append((random.random(), float(np.random.random())))
        return 0.0

    found(objective=draw)
    found(objective=draw)
    assert drawn[:6] == drawn[6:]
    assert len(set(drawn)) == 6


@pytest.mark.parametrize("algo", ["auto", "fast", "tpe", "random", "anneal", "qmc", "grid"])
def test_every_algorithm_runs_by_its_name(algo: str) -> None:
    result = found(algo=algo, max_trials=5)
    assert result.counts["finished"] == 5


def test_the_default_algorithm_starts_in_the_centre_and_learns() -> None:
    result = found(algo="auto", max_trials=22)
    default = points(result)
    assert default[0]["x"] == 0.0
    losses = [trial.value for trial in result.trials]
    assert statistics.median(losses[11:]) < statistics.median(losses[:11])
    assert points(found(max_trials=22, algo="auto")) == default


def test_a_used_up_grid_ends_the_search() -> None:
    result = found(
        {"a": choice([1, 2]), "b": choice([3, 4])}, lambda v: v["a"], algo="grid", max_trials=99
    )
    assert result.counts["total"] == 4
    assert result.ended_by == "the space is used up"


def test_a_space_that_is_used_up_ends_the_search_unless_repeats_are_asked_for() -> None:
    words: Any = {"a": choice([1, 2]), "b": choice([3, 4])}
    once = found(words, lambda v: v["a"], algo="auto", max_trials=9)
    assert (once.counts["total"], once.ended_by) == (4, "the space is used up")
    again = found(words, lambda v: v["a"], algo="auto", max_trials=9, repeats=True)
    assert again.counts["total"] == 9
    assert {trial.point["a"] for trial in again.trials[6:]} == {1}


def test_an_exception_is_an_outcome_with_the_users_own_line() -> None:
    def fails(values: Any) -> float:
        if values["x"] < 0:
            raise RuntimeError("negative")
        return float(values["x"])

    result = found({"x": uniform(-1, 1)}, fails, max_trials=20)
    failed = [trial for trial in result.trials if trial.status is Status.FAILED]
    assert failed and all(trial.point["x"] < 0 for trial in failed)
    assert failed[0].error is not None
    assert failed[0].error.startswith("test_study.py:")
    assert failed[0].error.endswith("RuntimeError: negative")
    assert "Traceback" in str(failed[0].outcome and failed[0].outcome.traceback)
    assert result.counts["failed"] == len(failed)
    assert result.best.value >= 0


@pytest.mark.parametrize(
    ("returned", "error"),
    [
        (math.nan, "the objective returned nan"),
        (math.inf, "the objective returned inf"),
        (-math.inf, "the objective returned -inf"),
        (None, "the objective returned None; it must return a number"),
        (
            {"loss": 1},
            "the objective returned {'loss': 1}; it must return a number, here its 'loss'",
        ),
        ("0.5", "the objective returned '0.5'; it must return a number"),
        (True, "the objective returned True; it must return a number"),
        (1j, "the objective returned 1j; it must return a number"),
        ("x" * 10**7, f"the objective returned '{'x' * 12}...{'x' * 13}'; it must return a number"),
        (10**400, "the objective returned inf"),
    ],
    ids=["nan", "inf", "-inf", "None", "dict", "text", "bool", "complex", "long", "large"],
)
def test_what_is_not_a_finite_number_is_a_failure_and_never_the_best(
    returned: Any, error: str
) -> None:
    result = found(objective=lambda v: returned if v["x"] > -3 else 7.0, max_trials=8, seed=3)
    failed = [trial for trial in result.trials if trial.status is Status.FAILED]
    assert failed and {trial.error for trial in failed} == {error}
    assert result.best is None or result.best.value == 7.0


def test_a_numpy_number_is_a_number() -> None:
    import numpy as np

    assert found(objective=lambda v: np.float32(2), max_trials=1).best.value == 2.0


def test_too_many_failures_in_a_row_end_the_search_and_keep_the_record() -> None:
    def fails(values: Any) -> float:
        raise ValueError("always")

    with pytest.raises(
        SearchStopped, match=r"The last 4 trials failed, the latest with: test_study"
    ):
        found(objective=fails, max_consecutive_failures=4, max_trials=50)
    with Store.open(Path("mlruns/studies"), "fails-1", write=False) as store:
        assert len(store.trials()) == 4


def test_a_target_ends_the_search() -> None:
    result = found(max_trials=200, target=3.0)
    assert result.best.value <= 3.0
    assert result.counts["total"] < 200
    assert result.ended_by == "the target 3 is reached"


def test_no_progress_ends_the_search_that_many_trials_after_the_best() -> None:
    result = found(max_trials=200, no_progress=7)
    assert result.counts["total"] - 1 - result.best.number == 7
    assert result.ended_by == "7 trials without a better one"


def test_the_time_ends_the_search() -> None:
    result = found(objective=lambda v: time.sleep(0.05) or 1.0, max_trials=None, timeout=0.4)
    assert result.ended_by == "the time is used up"
    assert 0 < result.counts["total"] < 20


def test_fifty_trials_are_run_where_no_budget_is_given() -> None:
    assert found(max_trials=None).counts["total"] == 50


def test_a_fixed_label_binds_wherever_it_is_active() -> None:
    result = found(fix={"m": "b", "m.b.n": 4}, max_trials=10)
    assert all(point["m"] == "b" and point["m.b.n"] == 4 for point in points(result))
    result = found(fix={"u": 0.25}, max_trials=20)
    assert {point.get("m.a.u", 0.25) for point in points(result)} == {0.25}
    assert {point["m"] for point in points(result)} == {"a", "b"}


def test_enqueued_points_run_first_and_their_gaps_are_suggested() -> None:
    result = found(enqueue=[{"x": 0.5, "m": "a", "m.a.u": 0.1}, {"m": "b"}], max_trials=4)
    assert result.trials[0].point == {"x": 0.5, "m": "a", "m.a.u": 0.1}
    assert result.trials[1].point["m"] == "b"
    assert [trial.source for trial in result.trials] == ["enqueued"] * 2 + ["suggested"] * 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"fix": {"y": 1}}, r"The space has no label 'y'. Known: m, m.a.u, m.b.n, n, u, x."),
        ({"fix": {"x": 9}}, r"x: 9 is outside uniform\(-5.0, 5.0\)"),
        ({"enqueue": [{"z": 1}]}, r"The space has no label 'z'"),
        ({"enqueue": [{"m": "c"}]}, r"m: 'c' is no option of choice"),
        (
            {"enqueue": [{"m": "b"}], "fix": {"m": "a"}},
            r"'m' is fixed at 'a', and the point has 'b'",
        ),
        ({"enqueue": [{"m": "b", "m.a.u": 0.5}]}, r"'m.a.u' is not active in this point"),
        (
            {"enqueue": [{"m": {"u": 0.5}}]},
            r"A point names options, as `.point` does; `.values`",
        ),
    ],
)
def test_wrong_points_are_refused_before_anything_starts(options: Any, text: str) -> None:
    with pytest.raises(PointError, match=text):
        found(**options)
    assert studies(Path("mlruns/studies")) == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_trials": 0}, "max_trials needs a whole number from 1, got 0"),
        ({"max_trials": True}, "max_trials needs a whole number from 1, got True"),
        ({"no_progress": 1.5}, "no_progress needs a whole number from 1, got 1.5"),
        ({"seed": -1}, "seed needs a whole number from 0, got -1"),
        ({"timeout": 0}, "timeout needs seconds above 0, got 0"),
        ({"timeout": "soon"}, "A duration is seconds or 90s, 30m, 2h, 1d, got 'soon'"),
        ({"target": math.nan}, "target needs a finite number, got nan"),
        ({"algo": "tpa"}, "There is no algorithm 'tpa'. Did you mean 'tpe'"),
        ({"max_evals": 5}, r"search\(\) has no option 'max_evals'; here it is max_trials"),
        ({"direction": "maximize"}, r"no option 'direction'; here it is maximize=True"),
        ({"trials": None}, r"no option 'trials'; here it is study= with resume=True"),
        ({"random_state": 1}, r"no option 'random_state'; here it is seed"),
        ({"constraints": []}, r"here it is require=\[condition on words\]"),
        ({"pruner": None}, r"here it is a callback of the Space, such as EarlyStopping"),
        ({"overwrite": True}, r"no option 'overwrite'; here it is study= with a new name"),
        ({"fix": "m=a"}, r"fix is a dict \{label: value\}, got 'm=a'"),
        ({"fix": None}, r"fix is a dict \{label: value\}, got None"),
        ({"enqueue": {"m": "a"}}, r"enqueue is a list of points .*; got \{'m': 'a'\}"),
        ({"enqueue": 3}, r"enqueue is a list of points .*; got 3"),
        ({"enqueue": ["m"]}, r"enqueue is a list of points .*; got \['m'\]"),
        ({"offline": "no"}, r"offline is True or False, got 'no'"),
        ({"folder": 3}, r"folder is the path of a folder for studies, got 3"),
        ({"study": 3}, r"study is the name of a study, .*; got 3"),
        ({"resume": True}, r"of a name, and none is given\. Say which \(--study, study=\)"),
        ({"warm_start": ["a"]}, r"the name of a study, such as result.study; got \['a'\]"),
        ({"progress": "bar"}, r"progress is True, False, or a watcher .* got 'bar'"),
        ({"algo": min}, "algo is a name, one of auto, .*; here they are 'tpe' and 'thorough'"),
        ({"algo": "TPE"}, "There is no algorithm 'TPE'. Did you mean 'tpe'"),
        ({"max_trails": 5}, r"search\(\) has no option 'max_trails'. Did you mean 'max_trials'"),
        ({"study": "a/b"}, "a/b"),
        ({"study": ".."}, r"\.\."),
        ({"study": "a\nb"}, "name"),
        ({"study": "x" * 300}, "name"),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(options: Any, text: str) -> None:
    with pytest.raises(StudyError, match=text):
        found(**options)
    assert studies(Path("mlruns/studies")) == []


@pytest.mark.parametrize(
    ("space", "objective", "error", "text"),
    [
        ({"x": 1}, bowl, SpaceError, "The space has no words to search"),
        ([uniform(0, 1)], bowl, SpaceError, "A space is a Space or a dict of words"),
        ({1: uniform(0, 1)}, bowl, SpaceError, "A space is a Space or a dict of words"),
        (WORDS, None, StudyError, "A dict of words needs an objective"),
        (
            WORDS,
            3,
            StudyError,
            "A dict of words needs an objective, a function of its values; got 3",
        ),
        (
            {"x": hp.uniform("x", 0, 1)},
            bowl,
            SpaceError,
            "x: a word of hyperopt.*hyperopt_algo",
        ),
        ("no_such", None, SpaceError, "There is no ready space 'no_such'"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    space: Any, objective: Any, error: Any, text: str
) -> None:
    with pytest.raises(error, match=text):
        hpsearch.search(space, objective, progress=False)


def test_a_constraint_holds_for_every_point_of_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    low, high = uniform(0, 1), uniform(0, 1)
    space, require = {"low": low, "high": high}, [low <= high]
    from hpsearch.study import Session, Silent, problem_of

    problem = problem_of(space, lambda v: v["high"] - v["low"])
    problem.parameters.require = tuple(require)
    with Session(problem, options_from({"max_trials": 25, "seed": 1}), Silent()) as session:
        result = session.run()
    assert all(point["low"] <= point["high"] for point in points(result))


def test_an_existing_name_is_refused_with_the_two_ways_on() -> None:
    found(study="mine")
    with pytest.raises(
        StudyError, match=r"resume=True in Python, `hpsearch resume mine` or --resume;"
    ):
        found(study="mine")


def test_a_resumed_study_continues_as_if_it_had_not_been_interrupted() -> None:
    whole = found(algo="tpe", max_trials=30)
    found(algo="tpe", max_trials=23, study="parts")
    parts = found(algo="tpe", max_trials=30, study="parts", resume=True)
    assert points(parts) == points(whole)
    assert [t.seed for t in parts.trials] == [t.seed for t in whole.trials]


def test_max_trials_is_the_total_so_a_complete_study_ends_at_once() -> None:
    first = found(study="mine")
    again = found(study="mine", resume=True, objective=lambda v: pytest.fail("ran again"))
    assert again.best.value == first.best.value
    assert again.counts == first.counts


def test_resume_starts_the_study_where_there_is_none() -> None:
    assert found(study="fresh", resume=True).counts["total"] == 6


def test_enqueued_points_are_not_run_again_on_resume() -> None:
    first = {"x": 0.5, "m": "a", "m.a.u": 0.1}
    found(study="mine", enqueue=[first], max_trials=3)
    second = {"x": 0.7, "m": "a", "m.a.u": 0.2}
    again = found(study="mine", enqueue=[first, second], max_trials=5, resume=True)
    enqueued = [trial.point for trial in again.trials if trial.source == "enqueued"]
    assert enqueued == [first, second]


def test_a_resumed_study_whose_space_changed_is_refused_with_the_labels() -> None:
    found(study="mine")
    changed = {"x": uniform(-5, 6), "m": choice(["a", "b"]), "new": uniform(0, 1)}
    with pytest.raises(StudyError) as caught:
        found(changed, study="mine", resume=True)
    assert "new: new" in str(caught.value)
    assert "gone: m.a.u, m.b.n" in str(caught.value)
    assert "changed: x" in str(caught.value)


def test_a_resumed_study_keeps_what_it_was_told_unless_told_otherwise() -> None:
    with hpsearch.Study(WORDS, study="mine", seed=1, algo="anneal", fix={"m": "b"}) as study:
        study.tell(study.ask(), 1.0)
    with hpsearch.Study(WORDS, study="mine", resume=True) as study:
        assert (study._session.options.algo, study._session.options.fix) == ("anneal", {"m": "b"})
        assert study.ask().point["m"] == "b"
    with hpsearch.Study(WORDS, study="mine", resume=True, algo="random") as study:
        assert study._session.store.settings["algo"] == "random"


def test_a_resumed_study_says_what_it_is_told_that_it_was_not_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = {"study": "mine", "seed": 1, "progress": True}
    first = hpsearch.search(WORDS, bowl, algo="qmc", max_trials=6, **given)
    others = sum(trial.point["m"] == "a" for trial in first.trials)
    assert 1 < others < 6
    given |= {"resume": True}
    capsys.readouterr()
    hpsearch.search(WORDS, bowl, max_trials=7, **given)
    said = capsys.readouterr().err
    assert "from here on" not in said
    again = hpsearch.search(WORDS, bowl, algo="fast", fix={"m": "b"}, max_trials=9, **given)
    said = capsys.readouterr().err
    assert "The algorithm is fast from here on; before, it was qmc." in said
    others += again.trials[6].point["m"] == "a"
    assert (
        f"Fixed from here on: m=b; before: nothing. {others} trials of 7 had other values; the "
        "search does not learn from them." in said
    )
    hpsearch.search(WORDS, bowl, algo="tpe", fix={}, max_trials=10, **given)
    said = capsys.readouterr().err
    assert "Fixed from here on: nothing; before: m=b.\n" in said
    with Store.open(Path("mlruns/studies"), "mine", write=False) as store:
        assert store.settings["fix_from"] == 9
        assert algorithms(store.settings) == "qmc, fast from trial 7 on, tpe from trial 9 on"


def test_a_study_that_goes_on_with_a_grid_tries_the_rest_of_it() -> None:
    words = {"m": choice(["a", "b", "c"]), "n": integer(1, 3)}
    given = {"study": "mine", "objective": lambda v: float(v["n"])}
    first = found(words, algo="qmc", max_trials=4, **given)
    tried = {str(point) for point in points(first)}
    fixed = found(words, algo="grid", fix={"m": "c"}, max_trials=40, resume=True, **given)
    assert fixed.ended_by == "the space is used up"
    tried |= {str({"m": "c", "n": n}) for n in (1, 2, 3)}
    assert {str(point) for point in points(fixed)} == tried
    rest = found(words, algo="grid", fix={}, max_trials=40, resume=True, **given)
    assert len({str(point) for point in points(rest)}) == 9
    assert rest.counts["total"] == len(tried) + (9 - len(tried)) + (
        4 - len({*map(str, points(first))})
    )


def test_an_algorithm_that_had_no_trial_is_not_recorded_as_one_that_had(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = {"study": "mine", "progress": True}
    found(algo="qmc", max_trials=3, **given)
    found(algo="tpe", max_trials=3, resume=True, **given)  # complete already
    found(algo="qmc", max_trials=4, resume=True, fix={"m": "b", "b.n": 3}, **given)
    with Store.open(Path("mlruns/studies"), "mine", write=False) as store:
        assert store.settings["algos"] == [[0, "qmc"]]
        assert store.settings["fix"] == {"m": "b", "m.b.n": 3}
    said = capsys.readouterr().err
    assert "Fixed from here on: m=b, m.b.n=3; before: nothing." in said
    assert "does not learn" not in said.partition("Fixed from here on")[2]


def test_points_that_ran_before_need_not_agree_with_what_is_fixed_now() -> None:
    found(study="mine", enqueue=[{"m": "a"}], max_trials=2)
    again = found(study="mine", fix={"m": "b"}, max_trials=3, resume=True)
    assert [point["m"] for point in points(again)][::2] == ["a", "b"]
    with pytest.raises(PointError, match="'m' is fixed at 'b'"):
        found(study="mine", enqueue=[{"m": "a", "x": 1.0}], max_trials=5, resume=True)


def test_fixed_values_are_told_apart_by_type(capsys: pytest.CaptureFixture[str]) -> None:
    words = {"o": choice([1, True, "true"]), "x": uniform(0, 1)}
    given = {"study": "mine", "progress": True, "objective": lambda v: v["x"]}
    found(words, fix={"o": 1}, max_trials=2, **given)
    capsys.readouterr()
    found(words, fix={"o": True}, max_trials=3, resume=True, **given)
    assert "Fixed from here on: o=true; before: o=1. 2 trials of 2 had" in capsys.readouterr().err
    found(words, fix={"o": "true"}, max_trials=4, resume=True, **given)
    assert 'Fixed from here on: o="true"; before: o=true.' in capsys.readouterr().err


def test_the_end_of_a_search_tells_that_it_waits_for_mlflow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hpsearch.study.session.MANY_OWED", 0)
    found(max_trials=4, progress=True)
    assert re.search(
        r"The search has ended; MLflow still gets \d+ records", capsys.readouterr().err
    )
    found(max_trials=4, progress=True, offline=True)
    assert "still gets" not in capsys.readouterr().err


def test_a_total_that_is_exceeded_already_does_not_take_the_place_of_the_one_before() -> None:
    found(study="mine", max_trials=6)
    assert found(study="mine", resume=True, max_trials=4).counts["total"] == 6
    with Store.open(Path("mlruns/studies"), "mine", write=False) as store:
        assert store.settings["budget"]["max_trials"] == 6
    found(study="mine", resume=True, max_trials=8)
    with Store.open(Path("mlruns/studies"), "mine", write=False) as store:
        assert store.settings["budget"]["max_trials"] == 8


def test_a_fixed_value_that_nothing_can_have_is_pointed_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fix = {"m": "b", "m.a.u": 0.5, "m.b.n": 3}
    result = found(fix=fix, progress=True, max_trials=2)
    assert all(point["m.b.n"] == 3 and "m.a.u" not in point for point in points(result))
    said = capsys.readouterr().err
    assert "Warning: m.a.u is fixed, and active at no point: it needs" in said
    assert said.count("Warning:") == 1


def test_a_resumed_study_that_would_turn_its_direction_is_refused() -> None:
    found(study="mine", maximize=True)
    with pytest.raises(
        StudyError, match="was begun to maximize value, and this would minimize value"
    ):
        found(study="mine", resume=True, maximize=False)


def test_a_resumed_study_maximizes_if_it_did_before() -> None:
    first = found(study="mine", maximize=True)
    again = found(study="mine", resume=True, max_trials=9)
    assert again.direction == "maximize" and again.best.value >= first.best.value > 0
    with hpsearch.Study(WORDS, study="mine", resume=True, max_trials=9) as study:
        assert study.best.value == again.best.value
    assert found(study="new", resume=True).direction == "minimize"


def test_points_enqueued_on_resume_are_added_to_those_of_before() -> None:
    one, two = ({"x": x, "m": "a", "m.a.u": 0.5} for x in (0.1, 0.2))
    found(study="mine", enqueue=[one], max_trials=1)
    again = found(study="mine", enqueue=[two], max_trials=2, resume=True)
    assert points(again) == [one, two]


def test_a_budget_smaller_than_what_runs_first_is_told_and_a_resume_runs_the_rest(capsys) -> None:
    first = [{"x": x, "m": "a", "m.a.u": 0.5} for x in (0.1, 0.2, 0.3)]
    found(study="mine", enqueue=first, max_trials=1, progress=True)
    told = (
        "(max_trials=1) leaves out 2 points of those to run first; a resume with more trials runs"
    )
    assert told in capsys.readouterr().err
    result = found(study="mine", resume=True, max_trials=4, progress=True)
    assert points(result)[:3] == first and "leaves out" not in capsys.readouterr().err


def test_what_is_to_run_again_counts_as_run_where_a_budget_is_told_to_be_small(capsys) -> None:
    with pytest.raises(ZeroDivisionError), hpsearch.Study(WORDS, study="mine", seed=1) as study:
        study.tell(study.ask(), 1.0)
        study.ask()
        raise ZeroDivisionError
    found(study="mine", resume=True, max_trials=2, enqueue=[{"x": 0.5}], progress=True)
    assert "leaves out 1 point of those to run first" in capsys.readouterr().err


def test_a_grid_says_how_many_points_it_has(capsys) -> None:
    found(algo="grid", grid_steps=2, max_trials=3, progress=True)
    assert "The grid has 22 points." in capsys.readouterr().err


X, Y = integer(1, 9, name="a"), integer(1, 9, name="b")


def product(values: dict[str, Any]) -> float:
    return float(values["a"] * values["b"])


@pytest.mark.parametrize("algo", ["auto", "tpe", "qmc", "grid"])
def test_what_a_dict_of_words_requires_holds_in_every_point(algo: str) -> None:
    require = [X + Y > 7, lambda point: point["a"] != 1]
    result = found({"a": X, "b": Y}, product, require=require, algo=algo, max_trials=30)
    assert result.counts["finished"] == 30
    assert all(p["a"] + p["b"] > 7 and p["a"] != 1 for p in points(result))
    with hpsearch.Study({"a": X, "b": Y}, require=require, max_trials=9, algo=algo) as study:
        while (trial := study.ask()) is not None:
            study.tell(trial, product(trial.values))
            assert trial.point["a"] + trial.point["b"] > 7


def test_of_a_point_given_in_part_only_what_it_has_is_required() -> None:
    require = [X > 1, lambda point: point.get("b", 0) > 0]
    result = found({"a": X, "b": Y}, product, require=require, enqueue=[{"a": 2}], max_trials=2)
    assert result.trials[0].point["a"] == 2 and result.trials[0].source == "enqueued"


def test_a_study_that_goes_on_tells_what_is_required_and_who_violates_it(capsys) -> None:
    words = {"a": X, "b": Y}
    found(words, product, require=[X + Y > 7], study="mine", progress=True)
    found(
        words, product, require=[X + Y > 7], study="mine", resume=True, max_trials=7, progress=True
    )
    assert "Required" not in capsys.readouterr().err
    result = found(words, product, study="mine", resume=True, max_trials=8, progress=True)
    illegal = sum(point["a"] <= 4 for point in points(result))
    assert 2 <= illegal <= 8
    assert "from here on: nothing; before: ((a + b) > 7).\n" in capsys.readouterr().err
    found(words, product, require=[X > 4], study="mine", resume=True, max_trials=9, progress=True)
    said = (
        f"from here on: (a > 4); before: nothing.\n{illegal} trials of 8 violate what is required"
    )
    assert said in capsys.readouterr().err
    found(words, product, require=[X > 4], study="mine", resume=True, max_trials=9, progress=True)
    again = capsys.readouterr().err
    assert "from here on" not in again and f"{illegal} trials of 9 violate" in again


def test_of_earlier_points_a_function_may_not_be_made(capsys) -> None:
    require = [lambda point: 1 / (point["a"] - 3) > -9]
    found({"a": X}, lambda v: v["a"], study="mine", algo="grid", max_trials=9)
    found({"a": X}, lambda v: v["a"], study="mine", resume=True, fix={"a": 1}, require=require)
    assert "violate" not in capsys.readouterr().err


def test_an_enqueued_point_that_a_resume_forbids_is_left_out_and_told(capsys) -> None:
    enqueue = [{"a": 2, "b": 1}, {"a": 3, "b": 1}, {"a": 4}, {"a": 5}]
    words = {"a": X, "b": Y}
    found(words, product, study="mine", enqueue=enqueue, max_trials=1)
    options = {"study": "mine", "resume": True, "progress": True}
    result = found(words, product, require=[X > 3], max_trials=2, **options)
    assert "The enqueued point {'a': 3, 'b': 1} is left out: " in capsys.readouterr().err
    result = found(words, product, max_trials=4, **options)
    assert [point["a"] for point in points(result)] == [2, 4, 3, 5]


def test_what_is_required_is_checked_before_there_is_a_study() -> None:
    words = {"a": X, "b": Y}
    with pytest.raises(SpaceError, match="require takes a list of conditions or functions"):
        found(words, product, require=X > 3)
    with pytest.raises(SpaceError, match="require takes conditions on words, or functions"):
        found(words, product, require=[3])
    with pytest.raises(PointError, match="violates the constraint"):
        found(words, product, require=[X > 3], enqueue=[{"a": 1}])
    with pytest.raises(PointError, match="violates the constraint"):
        found(words, product, require=[X + Y > 7], fix={"b": 1}, enqueue=[{"a": 2}])
    kind = choice({"a": {"u": uniform(0, 1, name="u")}, "b": {}}, name="m")
    less = {"m": kind, "a": X, "y": uniform(0, 1)}
    for point in ({"a": 5}, {"m": "a", "a": 5}):
        with pytest.raises(PointError, match="violates the constraint"):
            require = [X * 0.1 + kind.options[0]["u"] < 1]
            found(less, product, require=require, fix={"m": "a", "u": 0.9}, enqueue=[point])
    with pytest.raises(PointError, match="violates the constraint"):
        found(less, product, require=[kind != "a"], enqueue=[{"u": 0.5}])
    with pytest.raises(PointError, match=r"violates the constraint require\[0\]"):
        whole = {"fix": {"b": 1}, "enqueue": [{"a": 2}]}
        found(words, product, require=[lambda point: point["a"] > 3], **whole)
    for begin in (found, hpsearch.Study):
        with pytest.raises(SpaceError, match=r"A Space says itself what it requires: Space\(requ"):
            begin("digits_mlp", **({} if begin is not found else {"objective": None}), require=[])
    with pytest.raises(SpaceError, match="stands nowhere in the space"):
        found(words, product, require=[uniform(0, 1, name="c") > 0.5])
    with pytest.raises(SpaceError, match=r"constraint require\[0\] cannot be computed: .*'width'"):
        found(words, product, require=[lambda point: point["width"] > 3])
    assert studies(Path("mlruns/studies")) == []


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [
        (None, "Trial(3: running, {'x': 2.0})"),
        ({"status": Status.OK, "value": 0.0625}, "Trial(3: value 0.0625, {'x': 2.0})"),
        (
            {"status": Status.PRUNED, "value": 0.5},
            "Trial(3: pruned, value 0.5, {'x': 2.0})",
        ),
        (
            {"status": Status.FAILED, "error": "too warm\nby far"},
            "Trial(3: failed, too warm, {'x': 2.0})",
        ),
    ],
)
def test_a_trial_is_shown_in_one_line(outcome: Any, shown: str) -> None:
    ended = None if outcome is None else Outcome(Key("mine", 3), **outcome)
    assert repr(Trial(3, {"x": 2.0}, 1, 0.0, outcome=ended)) == shown


@pytest.mark.parametrize(
    "objective", [lambda x: (x - 1) ** 2, lambda t: t.suggest_float("x", 0, 1)]
)
def test_an_objective_that_takes_what_it_is_given_for_another_thing_is_told(objective: Any) -> None:
    error = str(found(objective=objective, max_trials=1).trials[0].error)
    assert error.endswith("(an objective is given one dict, as in values['x'])")


def test_a_trial_that_calls_exit_is_a_failure() -> None:
    result = found(objective=lambda v: sys.exit(3), max_trials=2)
    assert result.counts["failed"] == 2
    assert str(result.trials[0].error).endswith("SystemExit: 3")


def test_failures_of_an_earlier_run_do_not_end_the_next() -> None:
    def fails(values: Any) -> float:
        raise ValueError("always")

    with pytest.raises(SearchStopped, match="The last 2 trials failed"):
        found(objective=fails, max_consecutive_failures=2, study="mine")
    again = found(study="mine", max_trials=5, max_consecutive_failures=2, resume=True)
    assert again.counts == {"finished": 3, "failed": 2, "pruned": 0, "total": 5}


def test_two_searches_without_a_name_take_two_names() -> None:
    with hpsearch.Study(WORDS) as first, hpsearch.Study(WORDS) as second:
        assert (first.name, second.name) == ("search-1", "search-2")


def test_progress_of_ask_and_tell_is_a_line_for_each_trial(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with hpsearch.Study(WORDS, max_trials=2, progress=True) as study:
        while (trial := study.ask()) is not None:
            study.tell(trial, 1.0)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("[")]
    assert [line[:14] for line in lines] == ["[1/2] trial 0:", "[2/2] trial 1:"]


def test_the_goal_of_words_is_a_truth_value() -> None:
    with pytest.raises(SpaceError, match="maximize is True or False, got 'val_accuracy'"):
        found(maximize="val_accuracy")


def test_a_study_that_goes_on_keeps_its_budget_unless_it_is_given_again() -> None:
    found(max_trials=4, study="first")
    settings = {"seed": 1, "algo": "random", "progress": False, "study": "first", "resume": True}
    assert hpsearch.search(WORDS, bowl, **settings).counts["total"] == 4
    assert hpsearch.search(WORDS, bowl, max_trials=7, **settings).counts["total"] == 7
    still = {"study": "still", "algo": "random", "seed": 1, "progress": False}
    once = hpsearch.search(WORDS, lambda values: 1.0, no_progress=3, **still)
    again = hpsearch.search(WORDS, lambda values: 1.0, max_trials=40, resume=True, **still)
    assert again.counts["total"] == once.counts["total"]


def test_numbers_of_numpy_are_numbers() -> None:
    result = found(max_trials=np.int64(2), seed=np.uint8(3), timeout=np.float32(60))
    with Store.open(Path("mlruns/studies"), result.study, write=False) as store:
        assert store.settings["seed"] == 3
    assert result.counts["total"] == 2


def test_known_names_are_found_in_any_case_and_known_numbers_told_by_size() -> None:
    assert nearest("7", ["16", "32", "8"]) == "Known: 8, 16, 32."
    assert nearest("TPE", ["tpe", "grid"]) == "Did you mean 'tpe'?"
    assert nearest("lR", ["lr", "LR", "x"]) == "Did you mean 'LR' or 'lr'?"


def test_points_may_be_of_numpy_and_come_from_a_generator() -> None:
    space = {"n": integer(1, 9), "x": uniform(0, 1)}
    given = ({"n": np.int64(n)} for n in (3, 5))
    result = found(space, lambda v: v["x"], enqueue=given, fix={"x": np.float32(0.5)}, max_trials=3)
    assert points(result)[:2] == [{"n": 3, "x": 0.5}, {"n": 5, "x": 0.5}]
    assert [trial.source for trial in result.trials] == ["enqueued", "enqueued", "suggested"]


def test_a_search_says_where_it_is_kept_and_why_it_stopped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    space = {"n": integer(1, 3)}
    hpsearch.search(space, lambda point: float(point["n"]), max_trials=9, study="small")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Study 'small', 9 trials at most."
    assert lines[-1].startswith("3 trials; value 1 in trial ")
    assert lines[-1].endswith(" is the best. Stopped: the space is used up.")
    hpsearch.search(
        space, lambda point: float(point["n"]), max_trials=9, study="small", resume=True
    )
    assert "Study 'small' goes on after 3 trials, 9 trials at most." in capsys.readouterr().err


def test_the_best_has_the_values_that_the_objective_was_given() -> None:
    options = {"small": {"units": integer(1, 4)}, "none": None}
    words = {"net": choice(options), "rate": uniform(0, 1)}
    seen: list[Any] = []

    def objective(values: Any) -> float:
        seen.append(values)
        return float(values["rate"])

    best = hpsearch.search(words, objective, max_trials=6, progress=False).best
    assert best is not None
    assert best.values in seen and best.values["rate"] == best.value
    again = pickle.loads(pickle.dumps(best))
    assert again.point == best.point
    with pytest.raises(StudyError, match="known to the program that searched"):
        _ = again.values


def test_what_is_told_is_a_trial_that_was_asked_for() -> None:
    with (
        hpsearch.Study(WORDS) as study,
        pytest.raises(StudyError, match="tell takes a trial that ask gave, and its value; got 0"),
    ):
        study.tell(0, 1.0)  # type: ignore[arg-type]


def test_no_secret_is_kept_of_how_the_search_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/home/me/search.py", "--token=hunter2"])
    found(study="mine")
    with Store.open(Path("mlruns/studies"), "mine", write=False) as store:
        assert store.settings["command"] == "search.py"
    for file in Path("mlruns").rglob("*"):
        assert not file.is_file() or b"hunter2" not in file.read_bytes()


def test_a_non_finite_test_metric_is_null_in_json() -> None:
    import dataclasses

    result = found()
    best = dataclasses.replace(result.best, test={"loss": math.nan, "accuracy": 0.5})
    told = dataclasses.replace(result, best=best).as_json()
    assert told["best"]["test"] == {"loss": None, "accuracy": 0.5}


def test_another_seed_for_a_resumed_study_is_refused() -> None:
    found(study="mine", seed=1)
    with pytest.raises(StudyError, match="Study 'mine' has the seed 1, got 2"):
        found(study="mine", seed=2, resume=True)


def test_a_second_driver_on_one_study_is_refused_at_once() -> None:
    with hpsearch.Study(WORDS, study="mine", max_trials=3) as study:
        study.ask()
        began = time.monotonic()
        with pytest.raises(StudyError, match="mine"):
            found(study="mine", resume=True)
        assert time.monotonic() - began < 5


def test_ask_and_tell_make_a_search_of_ones_own() -> None:
    with hpsearch.Study(WORDS, max_trials=12, seed=1, algo="tpe") as study:
        while (trial := study.ask()) is not None:
            if trial.number == 3:
                study.tell(trial, error="broken")
            else:
                study.tell(trial, bowl(trial.values))
        assert study.best.value == min(t.value for t in study.trials if t.value is not None)
        assert study.result.counts == {"finished": 11, "failed": 1, "pruned": 0, "total": 12}


def test_ask_and_tell_suggest_what_search_suggests() -> None:
    with hpsearch.Study(WORDS, max_trials=22, seed=1, algo="tpe") as study:
        while (trial := study.ask()) is not None:
            study.tell(trial, bowl(trial.values))
        told = [t.point for t in study.trials]
    assert told == points(found(algo="tpe", max_trials=22))


def test_a_loop_that_an_exception_left_is_an_interrupted_study() -> None:
    with pytest.raises(ZeroDivisionError), hpsearch.Study(WORDS, study="left") as study:
        study.tell(study.ask(), 1.0)
        raise ZeroDivisionError
    with hpsearch.Study(WORDS, study="ended") as study:
        study.tell(study.ask(), 1.0)
    with pytest.raises(SearchStopped), hpsearch.Study(WORDS, study="stopped") as study:
        while (trial := study.ask()) is not None:
            study.tell(trial, error="broken")
    states = {"left": "interrupted", "ended": "finished", "stopped": "finished"}
    for name, state in states.items():
        with Store.open(Path("mlruns/studies"), name, write=False) as store:
            assert store.settings["state"] == state


def state_of(name: str) -> tuple[Any, list[Status]]:
    """Opened for writing, as a study that is released can be."""
    with Store.open(Path("mlruns/studies"), name, write=True) as store:
        return store.settings.get("state"), [trial.status for trial in store.trials()]


def left_study(name: str, told: int, asked: int = 0) -> None:
    study = hpsearch.Study(WORDS, max_trials=2, study=name, offline=True)
    for _ in range(told):
        study.tell(study.ask(), 1.0)
    for _ in range(asked):
        assert study.ask() is not None


def test_a_study_that_nothing_closed_is_ended_when_nothing_refers_to_it() -> None:
    left_study("half", 1)
    left_study("asked", 1, 1)
    left_study("whole", 2)
    assert state_of("half") == ("interrupted", [Status.OK])
    assert state_of("asked") == ("interrupted", [Status.OK, Status.CANCELLED])
    assert state_of("whole") == ("finished", [Status.OK, Status.OK])


def test_a_study_that_cannot_go_on_is_released_when_nothing_refers_to_it() -> None:
    def failing() -> None:
        study = hpsearch.Study(WORDS, study="fails", offline=True, max_consecutive_failures=2)
        with pytest.raises(SearchStopped):
            while (trial := study.ask()) is not None:
                study.tell(trial, error="broken")
        assert study.ask() is None

    failing()
    assert state_of("fails") == ("finished", [Status.FAILED] * 2)


def test_a_study_is_closed_once() -> None:
    study = hpsearch.Study(WORDS, max_trials=2, study="mine", offline=True)
    study.tell(study.ask(), 1.0)
    study.close()
    study.close()
    del study
    assert state_of("mine") == ("finished", [Status.OK])


@pytest.mark.parametrize("value", ["1.0", True, [1.0], {"loss": 1.0}])
def test_what_is_no_number_is_not_told(value: Any) -> None:
    with hpsearch.Study(WORDS, max_trials=1, study="mine", offline=True) as study:
        trial = study.ask()
        with pytest.raises(StudyError, match="tell takes a number, or error="):
            study.tell(trial, value)
        assert study.tell(trial, np.float32(0.5)).value == 0.5


def test_a_finite_space_of_which_nothing_is_allowed_is_told() -> None:
    result = found({"a": X}, lambda v: v["a"], require=[X > 4], fix={"a": 2}, algo="auto")
    assert result.ended_by == "no point has what is fixed and required" and not result.trials


def test_what_a_study_held_is_there_when_it_is_closed() -> None:
    with hpsearch.Study(WORDS, max_trials=3, study="mine", offline=True) as study:
        for value in (2.0, 1.0):
            study.tell(study.ask(), value)
    assert (study.best.value, study.best.number, study.name) == (1.0, 1, "mine")
    assert study.best.values["x"] == study.best.point["x"]
    assert [trial.value for trial in study.trials] == [2.0, 1.0]
    assert study.result.counts["total"] == 2 and study.result.best.value == 1.0
    with pytest.raises(StudyError, match="is closed"):
        study.ask()


def test_a_study_that_this_program_has_open_is_told_to_be_closed() -> None:
    study = hpsearch.Study(WORDS, max_trials=3, study="mine", offline=True)
    for again in (found, functools.partial(hpsearch.Study, WORDS)):
        with pytest.raises(StudyBusy, match=r"has the study 'mine' open already.*study\.close\(\)"):
            again(study="mine", resume=True)
    study.close()
    hpsearch.Study(WORDS, study="mine", resume=True, offline=True).close()


def program(text: str) -> None:
    """Run it in the folder of the test."""
    subprocess.run([sys.executable, "-c", textwrap.dedent(text)], check=True, timeout=100)


def test_a_study_that_nothing_closed_ends_with_its_program_and_waits_for_no_mlflow() -> None:
    shutil.rmtree("mlruns")  # so that MLflow would have to be imported as the program ends
    program("""
        import hpsearch
        from hpsearch.study.session import Session
        Session.finish = None  # it waits
        study = hpsearch.Study({"x": hpsearch.uniform(0, 1)}, max_trials=3, study="left")
        study.tell(study.ask(), 0.5)
        study.ask()
    """)
    assert state_of("left") == ("interrupted", [Status.OK, Status.CANCELLED])
    words = {"x": uniform(0, 1)}
    again = hpsearch.search(
        words, lambda v: v["x"], study="left", resume=True, max_trials=6, progress=False
    )
    assert again.counts["finished"] == 6
    with Store.open(Path("mlruns/studies"), "left", write=False) as store:
        assert store.owing() == 0


@pytest.mark.parametrize("close", ["contextlib.nullcontext(study)", "study"])
def test_a_fork_does_not_end_the_study_of_its_parent(close: str) -> None:
    program(f"""
        import contextlib, os, hpsearch
        study = hpsearch.Study({{"x": hpsearch.uniform(0, 1)}}, max_trials=1, study="mine", offline=True)
        with {close}:
            trial = study.ask()
            child = os.fork()
            if child == 0:
                raise SystemExit
            os.waitpid(child, 0)
            assert study.tell(trial, 0.5).value == 0.5
    """)
    assert state_of("mine") == ("finished", [Status.OK])


class Broken(hpsearch.study.watch.Silent):
    """A watcher that raises where it is told to; a pipe that leads nowhere is no fault of a search."""

    def __init__(self, *names: str) -> None:
        for name in names:
            setattr(self, name, self.fail)

    def fail(self, *_: object) -> None:
        raise ZeroDivisionError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["ended", "finished"])
def test_a_watcher_that_fails_keeps_no_study_from_being_released(name: str) -> None:
    def left() -> None:
        study = hpsearch.Study(
            WORDS, max_trials=2, study="mine", offline=True, progress=Broken(name)
        )
        study.ask()

    left()
    gc.collect()
    assert state_of("mine") == ("interrupted", [Status.CANCELLED])


def test_a_watcher_that_fails_at_the_beginning_leaves_no_study_behind() -> None:
    with pytest.raises(ZeroDivisionError):
        hpsearch.Study(WORDS, study="mine", offline=True, progress=Broken("begun"))
    state_of("mine")


def test_a_study_may_be_collected_where_mlflow_is_told(study_folder: Path) -> None:
    """In the middle of a statement of the recorder's thread, as garbage is collected anywhere."""
    study = [hpsearch.Study(WORDS, max_trials=2, study="mine")]
    recorder = study[0]._session.recorder
    project = recorder._pass

    def collecting() -> None:
        study.clear()
        project()

    recorder._pass = collecting
    study[0].tell(study[0].ask(), 1.0)
    recorder._wake.set()
    for _ in range(3000):  # a thread of its own ends it
        time.sleep(0.02)
        with contextlib.suppress(StudyBusy):
            state_of("mine")
            break
    assert state_of("mine") == ("interrupted", [Status.OK])


def test_several_trials_can_be_asked_for_before_one_is_told() -> None:
    with hpsearch.Study(WORDS, max_trials=4, seed=1) as study:
        asked = [study.ask() for _ in range(4)]
        assert study.ask() is None
        for trial in reversed(asked):
            study.tell(trial, bowl(trial.values))
        assert study.result.counts["finished"] == 4


def test_tell_refuses_what_is_not_running_and_what_says_nothing() -> None:
    with hpsearch.Study(WORDS, max_trials=3, seed=1) as study:
        trial = study.ask()
        with pytest.raises(StudyError, match=r"exactly one"):
            study.tell(trial)
        with pytest.raises(StudyError, match=r"exactly one"):
            study.tell(trial, 1.0, error="both")
        study.tell(trial, 1.0)
        with pytest.raises(StudyError, match="Trial 0 is not running"):
            study.tell(trial, 1.0)
        with pytest.raises(StudyError, match="A dict of words has no model"):
            study.model(study.ask())


def test_an_asked_trial_that_is_never_told_runs_again_on_resume() -> None:
    with hpsearch.Study(WORDS, max_trials=3, seed=1, algo="random", study="mine") as study:
        first = study.ask()
    again = found(max_trials=3, study="mine", resume=True)
    assert again.trials[0].attempt == 1
    assert again.trials[0].point == first.point
    assert again.trials[0].seed == first.seed
    assert again.counts["finished"] == 3


def test_the_json_object_has_the_documented_shape() -> None:
    result = json.loads(json.dumps(found().as_json(), allow_nan=False))
    assert list(result) == ["study", "direction", "best", "trials", "seconds"]
    assert list(result["best"]) == ["number", "value", "point", "run_id", "test"]
    assert list(result["trials"]) == ["finished", "failed", "pruned", "total"]
    assert result["best"]["test"] == {}


def test_the_best_of_nothing_is_null() -> None:
    result = found(objective=lambda v: math.nan, max_trials=2)
    assert result.best is None
    assert result.as_json()["best"] is None


def test_a_dict_study_has_no_model() -> None:
    with pytest.raises(StudyError, match="No model was kept of trial"):
        found().best.model()


def test_a_search_in_another_thread_works() -> None:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(found()))
    thread.start()
    thread.join(60)
    assert results[0].counts["finished"] == 6


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86400)]
)
def test_durations_are_seconds_or_have_a_unit(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-3", "1 week", "nan", "0", "1e9"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(StudyError, match="A duration is seconds or 90s, 30m, 2h, 1d, got"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500MB", 5e8),
        ("500m", 5e8),
        ("1.5G", 1.5e9),
        ("2GiB", 2**31),
        ("1 TB", 1e12),
        ("1ti", 2**40),
    ],
)
def test_amounts_of_memory_have_a_unit(text: str, size: float) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "5", "GB", "-3GB", "2 cups", "9999TB", "1e3GB", "nan GB"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(StudyError, match="An amount of memory is 500MB, 2GB or 2GiB, got"):
        bytes_of(text)


def test_too_little_memory_is_refused_in_its_unit() -> None:
    with pytest.raises(StudyError, match=r"at least 100MB, .* got 50MB\. Write 1GB"):
        options_from({"workers": 1, "trial_memory": "50MB"})
    with pytest.raises(StudyError, match=r"trial_memory is '2GB', or bytes, got 1\.5"):
        options_from({"workers": 1, "trial_memory": 1.5})


def test_points_are_read_from_json_and_from_files(tmp_path: Path) -> None:
    assert read_points('{"x": 1}') == [{"x": 1}]
    assert read_points('[{"x": 1}, {"x": 2}]') == [{"x": 1}, {"x": 2}]
    file = tmp_path / "points.json"
    file.write_text('{"x": 1}\n{"x": 2}\n')
    assert read_points(str(file)) == [{"x": 1}, {"x": 2}]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nowhere.json", "--enqueue needs a JSON object or a file of them, got 'nowhere.json'"),
        ("{broken", "is not JSON"),
        ("[1]", "A point is an object like"),
    ],
)
def test_what_is_no_point_is_refused(text: str, error: str) -> None:
    with pytest.raises(PointError, match=error):
        read_points(text)


SCRIPT = """
import hpsearch
from hpsearch import uniform
result = hpsearch.search({"x": uniform(-1, 1)}, lambda v: v["x"] ** 2, max_trials=3, seed=1, progress=False)
print("found", result.counts["finished"])
"""


def python(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], input=stdin, capture_output=True, text=True, timeout=120
    )


def test_an_unguarded_script_and_standard_input_work(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    for ended in (python(str(script)), python("-", stdin=SCRIPT), python("-c", SCRIPT)):
        assert ended.stdout == "found 3\n", ended.stderr


def test_every_public_function_works_twice_after_all_modules_are_imported(tmp_path: Path) -> None:
    ended = python(
        "-c",
        textwrap.dedent("""
        import importlib, pkgutil
        import hpsearch
        for module in pkgutil.walk_packages(hpsearch.__path__, "hpsearch."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
        for _ in range(2):
            words = {
                "a": hpsearch.uniform(0, 1), "b": hpsearch.loguniform(1e-3, 1),
                "c": hpsearch.normal(0, 1), "d": hpsearch.lognormal(0, 1),
                "e": hpsearch.integer(1, 3), "f": hpsearch.choice([1, 2]),
                "g": hpsearch.maybe(3), "h": hpsearch.repeat(lambda i: [i], times=2),
            }
            words["i"] = hpsearch.match(words["f"], {1: "x", 2: "y"})
            words["j"] = hpsearch.when(words["f"] == 1, 5)
            words["k"] = hpsearch.delayed(abs)(-3)
            assert repr(hpsearch.given.shape) == "given.shape"
            assert hpsearch.search(words, lambda v: v["a"], max_trials=2, progress=False).best
            with hpsearch.Study(words, max_trials=1) as study:
                study.tell(study.ask(), 1.0)
            space, decode = hpsearch.to_hyperopt(words)
            hpsearch.Holdout(0.1); hpsearch.Fit(epochs=2); hpsearch.Data(([1], [2]))
            from hpsearch.keras import layers
            hpsearch.adapted(layers.Normalization(), on=hpsearch.given.train)
        print("fine", sorted(n for n in hpsearch.__all__ if not callable(getattr(hpsearch, n))))
        """),
    )
    assert ended.stdout.startswith("fine"), ended.stderr


def signalled(script: Path, number: signal.Signals) -> int:
    """Run a script, send it a signal after its fourth trial, and return its exit code."""
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "trial 3" in line:
                break
        running.send_signal(number)
        running.stderr.read()
        return running.wait(30)


def test_ctrl_c_keeps_every_finished_trial_and_resumes(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text(
        textwrap.dedent("""
        import time, sys, hpsearch
        from hpsearch import uniform
        def slow(values):
            time.sleep(0.2)
            return values["x"]
        try:
            hpsearch.search({"x": uniform(0, 1)}, slow, max_trials=500, seed=1, study="mine")
        except KeyboardInterrupt:
            sys.exit(130)
        """)
    )
    assert signalled(script, signal.SIGINT) == 130
    with Store.open(Path("mlruns/studies"), "mine", write=False) as store:
        trials = store.trials()
    assert len(trials) >= 4
    assert all(trial.status in (Status.OK, Status.CANCELLED) for trial in trials)


def test_a_killed_driver_loses_no_finished_trial_and_its_running_one_runs_again(
    tmp_path: Path,
) -> None:
    script = tmp_path / "slow.py"
    script.write_text(
        textwrap.dedent("""
        import time, hpsearch
        from hpsearch import uniform
        def slow(values):
            time.sleep(0.2)
            return values["x"]
        hpsearch.search({"x": uniform(0, 1)}, slow, max_trials=9, seed=1, study="mine",
                        algo="random", resume=True)
        """)
    )
    assert signalled(script, signal.SIGKILL) == -signal.SIGKILL
    ended = python(str(script))
    assert ended.returncode == 0, ended.stderr
    with Store.open(Path("mlruns/studies"), "mine", write=False) as store:
        latest = {trial.number: trial for trial in store.trials()}
    assert [trial.status for trial in latest.values()] == [Status.OK] * 9
    expected = found({"x": uniform(0, 1)}, lambda v: v["x"], max_trials=9)
    assert [trial.point for trial in latest.values()] == points(expected)


def test_a_logarithmic_word_is_searched_in_its_own_units() -> None:
    result = found({"rate": loguniform(1e-4, 1e-1)}, lambda v: v["rate"], max_trials=20)
    assert all(1e-4 <= point["rate"] <= 1e-1 for point in points(result))
