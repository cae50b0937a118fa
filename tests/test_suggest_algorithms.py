"""Every algorithm keeps the protocol; the traps of plain hyperopt are not ours."""

from __future__ import annotations

import itertools
import json
import logging
import math
import random
import re

import hyperopt
import numpy as np
import pytest
from documents import DOCS
from hyperopt import hp

from hpsearch import choice, integer, loguniform, match, maybe, normal, repeat, uniform, when
from hpsearch.errors import PointError, SearchStopped, SpaceError
from hpsearch.space import Parameters, space_of
from hpsearch.suggest import NAMES, Compiled, algorithms, fill, grid_size, make
from hpsearch.suggest.drawn import draw_seed
from hpsearch.trial import Observation, Suggestion, Why

LEARN = ("tpe", "anneal")


def table(words: dict, require=()) -> Parameters:
    return space_of(words, require)[0]


def mixed() -> Parameters:
    """A space with every kind of word, a switch, a repeat, a tie and a match."""
    act = choice(["relu", "selu"], name="act")
    return table(
        {
            "lr": loguniform(1e-4, 1e-1),
            "batch": choice([None, "auto", 32, [8, 8]], weights=[0.1, 0.2, 0.3, 0.4]),
            "noise": normal(0, 1, step=0.5),
            "act": act,
            "net": choice(
                {
                    "deep": repeat(
                        lambda i: {"units": integer(8, 64, step=8), "act": act},
                        times=integer(1, 3),
                    ),
                    "wide": {"units": integer(1, 9, log=True), "drop": maybe(uniform(0, 0.5))},
                }
            ),
            "rate": match(act, {"selu": uniform(0, 1, step=0.25)}, otherwise=None),
        }
    )


def judge(point: dict, number: int) -> float | None:
    """A loss that depends on the point alone; every fifth trial fails."""
    if number % 5 == 4:
        return None
    return random.Random(json.dumps(point)).random() + abs(math.log(point["lr"] / 1e-2))


def search(algorithm, trials: int, seed: int = 0, history=()) -> list[Observation]:
    history = list(history)
    for number in range(len(history), trials):
        found = algorithm(history, [], number, seed)
        if found is None:
            break
        history.append(Observation(number, found.point, judge(found.point, number)))
    return history


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return request.param


class TestEveryAlgorithm:
    """What the protocol asks of each."""

    def test_suggests_points_that_obey_their_declaration(self, name):
        parameters = mixed()
        for trial in search(make(name, parameters), 45):
            assert parameters.check(trial.point) == trial.point
            assert json.loads(json.dumps(trial.point)) == trial.point

    def test_suggests_the_same_twice_and_from_a_fresh_instance(self, name):
        parameters = mixed()
        algorithm = make(name, parameters)
        history = search(algorithm, 30, seed=3)
        first = algorithm(history, [], 30, 3)
        for other in (algorithm, make(name, mixed())):
            assert repr(other(history, [], 30, 3)) == repr(first)

    def test_suggests_the_same_in_whatever_order_it_is_asked(self, name):
        algorithm = make(name, mixed())
        history = search(algorithm, 26, seed=3)
        points = [repr(trial.point) for trial in history]
        for number in (25, 0, 24, 7, 25, 22):
            algorithm(history[::-1], [], 40, 8)  # another study in between
            found = algorithm(history[:number][::-1], [], number, 3)
            assert repr(found.point) == points[number]

    def test_continues_a_resumed_search_as_if_it_had_not_stopped(self, name):
        whole = search(make(name, mixed()), 30, seed=5)
        part = [
            Observation(t.number, json.loads(json.dumps(t.point)), t.loss, t.source)
            for t in whole[:22]
        ]
        assert search(make(name, mixed()), 30, seed=5, history=part) == whole

    def test_does_not_propose_the_same_for_every_trial(self, name):
        points = [repr(trial.point) for trial in search(make(name, mixed()), 10)]
        assert len(set(points)) == 10

    def test_changing_what_was_suggested_changes_nothing_later(self, name):
        algorithm = make(name, mixed())
        first = algorithm([], [], 0, 1)
        before = repr(first)
        for value in first.point.values():
            if isinstance(value, list):
                value.append("changed")
        first.point.clear()
        assert repr(algorithm([], [], 0, 1)) == before

    def test_keeps_fixed_values(self, name):
        parameters = mixed().with_fixed({"net": "wide", "lr": 0.01})
        for trial in search(make(name, parameters), 25):
            assert trial.point["net"] == "wide" and trial.point["lr"] == 0.01

    def test_suggests_where_everything_is_fixed(self, name):
        parameters = table({"x": uniform(0, 1)}).with_fixed({"x": 0.5})
        assert make(name, parameters)([], [], 0, 0).point == {"x": 0.5}

    def test_never_suggests_what_a_constraint_forbids(self, name):
        x, y = uniform(0, 1), uniform(0, 1)
        parameters = table({"x": x, "y": y}, require=[x < y, lambda point: point["x"] > 0.05])
        history = []
        for number in range(30):
            point = make(name, parameters, grid_steps=12)(history, [], number, 1).point
            assert 0.05 < point["x"] < point["y"]
            history.append(Observation(number, point, point["x"]))

    def test_stops_and_names_the_constraint_that_nothing_satisfies(self, name):
        x, y = uniform(0, 1), uniform(0, 1)

        def impossible(point):
            return point["x"] > 2

        parameters = table({"x": x, "y": y}, require=[y > 0.001, impossible])
        algorithm = make(name, parameters, grid_steps=40)
        messages = []
        for _ in range(2):  # the same again, from its cache or not
            with pytest.raises(
                SearchStopped, match=r"impossible \(require\[1\]\) rejected"
            ) as stop:
                algorithm([], [], 0, 1)
            messages.append(str(stop.value))
        assert messages[0] == messages[1]
        assert "Loosen it" in messages[0] and "among 1000 suggestions" in messages[0]

    def test_survives_a_history_of_an_older_space(self, name):
        algorithm = make(name, mixed())
        strange = [
            Observation(0, {}, 1.0),
            Observation(1, {"lr": 5.0, "net": "gone", "unknown": 1}, 2.0),
            Observation(3, {"net": "deep", "lr": "a"}, None),
            Observation(3, {"lr": 0.01, "batch": [9], "act": None}, 0.5, "enqueued"),
        ]
        odd = [Observation(t.number + 30, t.point, t.loss) for t in strange]
        history = strange + [
            Observation(t.number + 4, t.point, t.loss) for t in search(algorithm, 22)
        ]
        assert mixed().check(algorithm(history + odd, odd, 50, 2).point)

    def test_is_not_misled_by_losses_that_are_no_numbers(self, name):
        algorithm = make(name, mixed())
        history = search(algorithm, 25)
        strange = [
            Observation(t.number, t.point, loss)
            for t, loss in zip(history, itertools.cycle([math.nan, math.inf, -math.inf]))
        ]
        failed = [Observation(t.number, t.point, None) for t in history]
        assert algorithm(strange, [], 25, 0) == algorithm(failed, [], 25, 0)

    def test_takes_any_seed(self, name):
        algorithm = make(name, mixed())
        for seed in (0, 2**63, 10**30, -1):
            assert mixed().check(algorithm([], [], 0, seed).point)

    def test_says_nothing_on_the_log(self, name, caplog):
        with caplog.at_level(logging.DEBUG):
            search(make(name, mixed()), 23)
        assert not caplog.records


def test_an_unknown_algorithm_is_refused_with_the_nearest():
    with pytest.raises(SpaceError, match=r"no search algorithm 'rando'\. Did you mean 'random'"):
        make("rando", mixed())


@pytest.mark.parametrize("name", LEARN)
def test_the_cache_tells_true_from_one(name):
    """A history that differs only in the type of a value is another history."""
    parameters = table({"c": choice([1, True, "1"]), "x": uniform(0, 1)})
    algorithm = make(name, parameters)

    def history(value):
        return [
            Observation(n, {"c": value if n % 2 else "1", "x": n / 30}, n % 2) for n in range(30)
        ]

    asked = [repr([algorithm(history(v), [], n, 0) for n in range(30, 36)]) for v in (1, True)]
    fresh = [
        repr([make(name, parameters)(history(v), [], n, 0) for n in range(30, 36)])
        for v in (1, True)
    ]
    assert asked == fresh


@pytest.mark.parametrize("name", LEARN)
def test_a_trial_that_ends_between_two_suggestions_is_noticed(name):
    algorithm = make(name, mixed())
    history = search(algorithm, 24)
    ended, running = history[:20], history[20:]
    algorithm(ended, running, 24, 0)
    assert algorithm(history, [], 24, 0) == make(name, mixed())(history, [], 24, 0)


def test_seeds_differ_for_every_trial_attempt_and_study():
    seeds = {draw_seed(*key) for key in itertools.product(range(20), repeat=3)}
    assert len(seeds) == 8000


# --- why a point was suggested ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sources"),
    [
        ("tpe", ["random"] * 20 + ["tpe"] * 2),
        ("anneal", ["random"] + ["anneal"] * 21),
        ("random", ["random"] * 22),
        ("qmc", ["sequence"] * 22),
        ("grid", ["grid"] * 22),
    ],
)
def test_a_suggestion_says_where_it_came_from(name, sources):
    algorithm, history = make(name, mixed()), search(make(name, mixed()), 22)
    found = [algorithm(history[:number], [], number, 0).why for number in range(22)]
    assert found == [Why(source) for source in sources]


def test_auto_says_what_it_expects_of_a_point_and_which_trial_is_nearest():
    algorithm, history = make("auto", mixed()), search(make("auto", mixed()), 22)
    whys = [algorithm(history[:number], [], number, 0).why for number in range(22)]
    assert [why.source for why in whys[:6]] == ["start"] * 6
    assert whys[0] == Why("start")
    losses = [trial.loss for trial in history]
    for number, why in enumerate(whys[6:], 6):
        assert why.source in ("prior", "parzen", "mutation", "local")
        assert why.loss < max(loss for loss in losses[:number] if loss is not None)
        assert why.spread > 0 and why.improvement >= 0
        assert 0 <= why.nearest < number and 0 < why.distance <= 1
    distances = {why.distance for why in whys[1:]}
    assert len(distances) > 15


def test_a_suggestion_of_the_prior_after_rejected_ones_says_random():
    """All trials were good at 0; only what is far from there is legal, so tpe never finds it."""
    x = uniform(0, 1)
    algorithm = make("tpe", table({"x": x}, require=[x > 0.9]))
    history = [Observation(n, {"x": n / 1e6}, n / 1e6) for n in range(400)]
    sources = {algorithm(history, [], 400, seed).why.source for seed in range(20)}
    assert "random" in sources


def test_a_point_completed_says_filled_and_keeps_what_is_known_of_it(monkeypatch):
    given = {"act": "selu", "net": "wide"}
    assert fill("auto", mixed(), given, [], [], 0, 0).why == Why("filled")

    def knowing(parameters, steps):
        drawn = make("random", parameters)
        known = Why("local", 0.5, 0.1, 0.01, 3, 0.2)
        return lambda *asked: Suggestion(drawn(*asked).point, known)

    monkeypatch.setitem(algorithms.OTHERS, "knowing", knowing)
    found = fill("knowing", mixed(), given, [], [], 0, 0)
    assert found.why == Why("filled", 0.5, 0.1, 0.01, 3, 0.2)


# --- failures and running trials -------------------------------------------------------------


def share_of_failing(points: list[float]) -> float:
    late = points[40:100]
    return sum(x < 0 for x in late) / len(late)


def ours(seed: int) -> float:
    algorithm = make("tpe", table({"x": uniform(-1, 1), "y": uniform(0, 1)}))
    history: list[Observation] = []
    for number in range(100):
        point = algorithm(history, [], number, seed).point
        x, y = point["x"], point["y"]
        loss = None if x < 0 else (x - 0.5) ** 2 + (y - 0.5) ** 2
        history.append(Observation(number, point, loss))
    return share_of_failing([trial.point["x"] for trial in history])


def theirs(seed: int) -> float:
    tried = []

    def objective(at):
        tried.append(at["x"])
        if at["x"] < 0:
            raise RuntimeError("this half fails")
        return (at["x"] - 0.5) ** 2 + (at["y"] - 0.5) ** 2

    with np.errstate(all="ignore"):
        hyperopt.fmin(
            objective,
            {"x": hp.uniform("x", -1, 1), "y": hp.uniform("y", 0, 1)},
            algo=hyperopt.tpe.suggest,
            max_evals=100,
            rstate=np.random.default_rng(seed),
            catch_eval_exceptions=True,
            show_progressbar=False,
        )
    return share_of_failing(tried)


def test_failed_trials_teach_which_they_do_not_in_plain_hyperopt():
    """Half of the space fails. A search that does not learn it proposes the failing half."""
    assert np.mean([ours(seed) for seed in range(4)]) <= 0.25
    assert np.mean([theirs(seed) for seed in range(2)]) >= 0.75


@pytest.mark.parametrize("name", LEARN)
def test_a_search_in_which_everything_failed_goes_on(name):
    parameters = mixed()
    algorithm = make(name, parameters)
    history = [Observation(t.number, t.point, None) for t in search(algorithm, 30)]
    assert parameters.check(algorithm(history, [], 30, 0).point)


def test_tpe_keeps_away_from_where_trials_are_running():
    algorithm = make("tpe", table({"x": uniform(0, 1)}))
    history = [Observation(n, {"x": n / 30}, abs(n / 30 - 0.5)) for n in range(30)]
    pending = [Observation(30 + n, {"x": 0.5}, None) for n in range(20)]

    def distance(running):
        drawn = [algorithm(history, running, 50 + n, 0).point["x"] for n in range(30)]
        return np.mean([abs(x - 0.5) for x in drawn])

    assert distance(pending) > 1.5 * distance([])


def test_tpe_counts_running_trials_as_trials():
    algorithm, parameters = make("tpe", table({"x": uniform(0, 1)})), table({"x": uniform(0, 1)})
    history = [Observation(n, {"x": n / 15}, 1.0) for n in range(15)]
    pending = [Observation(15 + n, {"x": n / 5}, None) for n in range(5)]
    drawn = make("random", parameters)
    assert algorithm(history, [], 20, 0) == drawn(history, [], 20, 0)  # 20 random ones first
    learnt = algorithm(history, pending, 20, 0)
    assert learnt.point != drawn(history, pending, 20, 0).point and learnt.why == Why("tpe")


def test_tpe_finds_what_is_good():
    algorithm = make("tpe", table({"x": uniform(-10, 10), "c": choice(["bad", "good", "worse"])}))
    history: list[Observation] = []
    for number in range(60):
        point = algorithm(history, [], number, 0).point
        loss = abs(point["x"] - 2) + {"bad": 3, "good": 0, "worse": 5}[point["c"]]
        history.append(Observation(number, point, loss))
    best = min(history, key=lambda trial: trial.loss)
    assert best.point["c"] == "good" and best.loss < 0.5
    assert sum(trial.point["c"] == "good" for trial in history[30:]) > 15


# --- sequences -----------------------------------------------------------------------------


def test_the_grid_holds_every_combination_once_with_the_first_label_slowest():
    parameters = table(
        {
            "a": choice(["x", "y"]),
            "net": choice(
                {"deep": {"n": integer(1, 3)}, "flat": {"m": maybe("part"), "u": uniform(0, 1)}}
            ),
        }
    )
    points = [trial.point for trial in walk(make("grid", parameters, grid_steps=2))]
    deep = [{"net": "deep", "net.deep.n": n} for n in (1, 2, 3)]
    flat = [
        {"net": "flat", "net.flat.m": m, "net.flat.u": u}
        for m in (False, True)
        for u in (0.25, 0.75)
    ]
    assert points == [{"a": a, **rest} for a in ("x", "y") for rest in (*deep, *flat)]
    assert grid_size(parameters, 2) == 14


def walk(algorithm) -> list[Observation]:
    history: list[Observation] = []
    while (found := algorithm(history, [], len(history), 0)) is not None:
        history.append(Observation(len(history), found.point, 0.0))
    assert algorithm(history, [], len(history) + 5, 0) is None
    return history


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_size_of_a_grid_is_how_many_points_it_has(steps):
    depth = integer(1, 2, name="depth")
    words = {
        "depth": depth,
        "blocks": repeat(lambda i: {"u": maybe(uniform(0, 1))}, times=depth),
        "more": when(depth > 1, choice(["a", "b"])),
        "noise": normal(0, 1, step=4),
    }
    parameters = table(words)
    points = [repr(trial.point) for trial in walk(make("grid", parameters, grid_steps=steps))]
    assert len(set(points)) == len(points) == grid_size(parameters, steps)
    fixed = parameters.with_fixed({"depth": 1})
    assert len(walk(make("grid", fixed, grid_steps=steps))) == grid_size(fixed, steps)


def test_the_size_of_a_large_grid_is_computed_and_not_counted():
    many = {f"c{i}": choice({"a": {"x": uniform(0, 1)}, "b": 0}) for i in range(7)}
    assert grid_size(table(many)) == 6**7
    assert grid_size(table({**many, "n": integer(1, 10**9)})) is None
    assert grid_size(table({"n": integer(1, 10**9)})) is None
    assert grid_size(table({"n": integer(1, 10**9)}), most=10**9) == 10**9
    assert (
        grid_size(table({"net": repeat(lambda i: {"x": uniform(0, 1)}, times=integer(1, 9))}))
        is None
    )
    assert make("grid", table({"n": integer(1, 10**9)}))([], [], 0, 0).point == {"n": 1}


def test_a_grid_tries_what_nothing_else_has_tried():
    """Whatever suggested it, running or ended; with other fixed values it begins anew."""
    parameters = table({"n": integer(1, 3), "m": choice(["a", "b"])})
    every = [trial.point for trial in walk(make("grid", parameters))]
    assert len(every) == 6
    grid = make("grid", parameters)
    history = [
        Observation(0, dict(reversed(every[1].items())), 1.0),
        Observation(1, every[4], None, "enqueued"),
    ]
    pending = [Observation(2, every[0], None)]
    assert grid(history, pending, 3, 0).point == every[2]
    history += [Observation(k, every[j], 1.0) for k, j in ((2, 0), (3, 2), (4, 3))]
    assert grid(history, [], 5, 0).point == every[5]
    assert grid(history, [Observation(5, every[5], None)], 6, 0) is None
    assert grid(history[1:], [], 5, 0).point == every[1]  # what was tried is no more
    fixed = parameters.with_fixed({"n": 2})
    assert make("grid", fixed)([history[1]], [], 5, 0).point == {"n": 2, "m": "a"}
    assert make("grid", fixed)(history, [], 5, 0) is None


def test_a_grid_leaves_out_what_constraints_forbid():
    a, b = integer(1, 3), integer(1, 3)
    parameters = table({"a": a, "b": b}, require=[a < b])
    points = [tuple(trial.point.values()) for trial in walk(make("grid", parameters))]
    assert points == [(1, 2), (1, 3), (2, 3)] and grid_size(parameters) == 9


@pytest.mark.parametrize("steps", [0, 2.5, True])
def test_a_grid_of_no_steps_is_refused(steps):
    message = f"A grid needs a whole number of steps from 1, got {steps}. Write"
    with pytest.raises(SpaceError, match=message):
        make("grid", mixed(), grid_steps=steps)
    with pytest.raises(SpaceError, match=message):
        grid_size(mixed(), steps)


@pytest.mark.parametrize("name", ["qmc", "grid"])
def test_a_sequence_counts_only_what_it_suggested_before(name):
    algorithm = make(name, mixed())
    points = [trial.point for trial in search(algorithm, 6)]
    history = [
        Observation(0, points[0], 1.0, "baseline"),
        Observation(1, points[0], 1.0),
        Observation(2, points[3], 1.0, "enqueued"),
        Observation(9, points[4], 1.0),  # a later one
    ]
    pending = [Observation(3, points[1], None)]
    assert algorithm(history, pending, 4, 0).point == points[2]
    assert algorithm(history, [], 4, 0).point == points[1]


def test_qmc_fills_the_space_more_evenly_than_random():
    from scipy.stats import qmc

    parameters = table({"x": uniform(0, 1), "y": uniform(0, 1)})

    def discrepancy(name):
        history = []
        for number in range(128):
            point = make(name, parameters)([], [], number, 0).point if name == "random" else {}
            history.append(Observation(number, point, 0.0))
        if name == "qmc":
            algorithm = make(name, parameters)
            points = [algorithm(history[:n], [], n, 0).point for n in range(128)]
            history = [Observation(n, point, 0.0) for n, point in enumerate(points)]
        return qmc.discrepancy([list(trial.point.values()) for trial in history])

    assert discrepancy("qmc") < discrepancy("random") / 5


def test_qmc_is_scrambled_by_the_study():
    algorithm = make("qmc", table({"x": uniform(0, 1)}))
    assert algorithm([], [], 0, 1) != algorithm([], [], 0, 2)
    assert algorithm([], [], 0, 1) == algorithm(
        [], [], 7, 1
    )  # the first point, whatever its number


def test_qmc_refuses_more_labels_than_sobol_has_dimensions(monkeypatch):
    from scipy.stats import qmc

    monkeypatch.setattr(qmc.Sobol, "MAXDIM", 3)
    with pytest.raises(SpaceError, match=r"at most 3 parameters, got \d+\. Use another"):
        make("qmc", mixed())


# --- points given in part ------------------------------------------------------------------


def test_a_partial_point_is_completed_by_every_algorithm(name):
    parameters = mixed()
    history = search(make(name, parameters), 22)
    found = fill(name, parameters, {"act": "selu", "net.wide.units": 4}, history, [], 22, 0)
    point = found.point
    assert parameters.check(point) == point
    assert point["act"] == "selu" and point["net.wide.units"] == 4 and point["net"] == "wide"
    again = fill(name, mixed(), {"act": "selu", "net.wide.units": 4}, history, [], 22, 0)
    assert found == again


def test_a_full_point_stays_as_it_is():
    parameters = mixed()
    for trial in search(make("random", parameters), 5):
        assert fill("tpe", parameters, trial.point, [], [], 0, 0) == Suggestion(trial.point)


def test_a_partial_point_wins_over_a_fixed_value():
    parameters = mixed().with_fixed({"act": "relu"})
    assert fill("tpe", parameters, {"act": "selu"}, [], [], 0, 0).point["act"] == "selu"
    assert fill("tpe", parameters, {"lr": 0.01}, [], [], 0, 0).point["act"] == "relu"


def test_labels_that_cannot_be_active_together_are_refused():
    with pytest.raises(PointError, match=r"'net.wide.units' is never active .* net='deep'\. Leave"):
        fill("tpe", mixed(), {"net": "deep", "net.wide.units": 4}, [], [], 0, 0)


def test_a_partial_point_is_checked():
    with pytest.raises(PointError, match="no label 'lrr'"):
        fill("tpe", mixed(), {"lrr": 0.1}, [], [], 0, 0)
    with pytest.raises(PointError, match=r"lr: 7 is outside"):
        fill("tpe", mixed(), {"lr": 7}, [], [], 0, 0)


def test_a_partial_point_that_no_constraint_lets_pass_stops():
    x, y = uniform(0, 1), uniform(0, 1)
    parameters = table({"x": x, "y": y}, require=[x < y])
    with pytest.raises(SearchStopped, match="rejected 1000 of them"):
        fill("random", parameters, {"x": 1.0}, [], [], 0, 0)


# --- more traps ----------------------------------------------------------------------------


def test_options_of_mixed_types_and_lists_stay_what_they_are():
    options = [1, "1", 1.5, None, True, [64, 64], (3, 3)]
    parameters = table({"c": choice(options), "x": uniform(0, 1)})
    for name in NAMES:
        found = search_plain(name, parameters, 60)
        kept = {repr(point["c"]) for point in found}
        assert kept <= {"1", "'1'", "1.5", "None", "True", "[64, 64]", "[3, 3]"} and len(kept) > 3


def search_plain(name: str, parameters: Parameters, trials: int) -> list[dict]:
    algorithm, history = make(name, parameters), []
    for number in range(trials):
        found = algorithm(history, [], number, 0)
        if found is None:
            break
        history.append(Observation(number, found.point, random.Random(number).random()))
    return [trial.point for trial in history]


def test_editing_the_options_does_not_change_what_old_trials_mean():
    """Values are remembered, not indices: a new first option shifts nothing."""
    old, new = (
        Compiled(table({"c": choice(options)})) for options in (["a", "b"], ["new", "a", "b"])
    )
    point = old.decode_point({"c": 1})
    assert point == {"c": "b"}
    assert new.decode_point(new.encode_point(point)) == {"c": "b"}


def test_two_words_of_one_label_are_refused_before_hyperopt_sees_them():
    with pytest.raises(SpaceError, match="Two words have the label 'x'"):
        table({"a": uniform(0, 1, name="x"), "b": uniform(0, 1, name="x")})


def test_a_choice_of_one_option_can_be_searched():
    parameters = table({"only": choice(["a"]), "x": uniform(0, 1)})
    for name in NAMES:
        assert all(point["only"] == "a" for point in search_plain(name, parameters, 25))


def test_the_page_of_the_algorithms_has_all_of_them():
    page = (DOCS / "algorithms.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == sorted(NAMES)
