"""`hyperopt_algo`, our search under `hyperopt.fmin`: any space, any losses, any history."""

from __future__ import annotations

import copy
import functools
import io
import itertools
import json
import logging
import math
import random
from collections import Counter
from contextlib import redirect_stdout, suppress
from typing import Any

import cloudpickle
import hyperopt.tests.unit.test_domains as their_domains
import hyperopt.tests.unit.test_tpe as their_tpe
import numpy as np
import pytest
from documents import DOCS, blocks, code_of
from hyperopt import Trials, fmin, hp, rand, space_eval, tpe
from hyperopt.base import (
    JOB_STATE_CANCEL,
    JOB_STATE_DONE,
    JOB_STATE_ERROR,
    JOB_STATE_RUNNING,
    STATUS_FAIL,
    Domain,
)
from hyperopt.exceptions import AllTrialsFailed
from hyperopt.fmin import generate_trials_to_calculate
from hyperopt.pyll import as_apply, clone, dfs, scope
from hyperopt.pyll.stochastic import sample
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

import hpsearch
from hpsearch.errors import SpaceError
from hpsearch.suggest.expression import Expression, fingerprint

PAGE = DOCS / "from-hyperopt.md"


def minimise(objective, space, max_evals, *, seed=0, algo=None, **given) -> Trials:
    """The trials of fmin under our search."""
    trials = given.pop("trials", None)
    trials = Trials() if trials is None else trials
    logging.getLogger("hyperopt.fmin").setLevel(logging.CRITICAL)  # it logs what it catches
    with suppress(AllTrialsFailed):  # fmin has no best trial to return then
        fmin(
            objective,
            space,
            algo=algo or hpsearch.hyperopt_algo(),
            max_evals=max_evals,
            trials=trials,
            rstate=np.random.default_rng(seed),
            show_progressbar=False,
            return_argmin=False,
            **given,
        )
    return trials


def vals(trials) -> list[dict[str, Any]]:
    """The raw values of all trials, active labels only."""
    found = [document["misc"]["vals"] for document in trials._dynamic_trials]
    return [{label: v[0] for label, v in each.items() if v} for each in found]


def mixed() -> dict[str, Any]:
    """A space with shared and nested labels, one of them reachable by several paths."""
    lr = hp.loguniform("lr", math.log(1e-4), 0)
    return {
        "lr": lr,
        "units": hp.choice("units", [16, 32, 64, 128]),
        "net": hp.choice(
            "net",
            [
                {"deep": hp.uniformint("depth", 1, 5), "drop": (drop := hp.uniform("drop", 0, 1))},
                {"wide": hp.quniform("width", 1, 10, 4), "drop": drop, "lr": lr},
                hp.pchoice("none", [(0.3, "nothing"), (0.7, hp.randint("seed", 5))]),
            ],
        ),
    }


def judge(values: dict[str, Any]) -> float:
    """A loss that depends on the values alone."""
    noise = random.Random(json.dumps(values, default=str, sort_keys=True)).random()
    return abs(math.log(values["lr"] / 1e-2)) + values["units"] / 64 + 0.1 * noise


# --- hyperopt's own problems ------------------------------------------------------------------


@pytest.mark.parametrize("name", their_tpe.TestOpt.thresholds)
def test_reaches_what_hyperopt_asks_of_its_own_tpe(name):
    """The domains, thresholds and numbers of trials are those of hyperopt's own tests."""
    threshold = their_tpe.TestOpt.thresholds[name]
    space = getattr(their_domains, name)().expr
    noisy_and_finite = name == "n_arms"  # two arms: all that helps is to pull the good one often
    trials = minimise(
        lambda result: result,
        space,
        their_tpe.TestOpt.LEN.get(name, 50),
        algo=hpsearch.hyperopt_algo(repeats=noisy_and_finite),
        loss_threshold=threshold,
    )
    assert min(trials.losses()) < threshold


# --- distributions ----------------------------------------------------------------------------

DISTRIBUTIONS = {
    "uniform": lambda: hp.uniform("x", -2, 5),
    "loguniform": lambda: hp.loguniform("x", math.log(1e-5), math.log(10)),
    "quniform": lambda: hp.quniform("x", 1, 10, 4),
    "quniform, a step that is no binary fraction": lambda: hp.quniform("x", 0, 1, 0.1),
    "quniform, many rungs": lambda: hp.quniform("x", 0, 1, 1e-5),
    "qloguniform": lambda: hp.qloguniform("x", 0, 3, 2),
    "qloguniform, many rungs": lambda: hp.qloguniform("x", 0, math.log(1e6), 1),
    "normal": lambda: hp.normal("x", 4, 7),
    "lognormal": lambda: hp.lognormal("x", -2, 2),
    "qnormal": lambda: hp.qnormal("x", 0, 10, 2),
    "qlognormal": lambda: hp.qlognormal("x", 0, 1, 0.5),
    "qlognormal, many rungs": lambda: hp.qlognormal("x", 0, 2, 1),
    "uniformint": lambda: hp.uniformint("x", 1, 8),
    "randint": lambda: hp.randint("x", 10),
    "randint with low": lambda: hp.randint("x", -5, 25),
    "randint with named bounds": lambda: hp.randint("x", low=3, high=8),
    "randint, a wide one": lambda: hp.randint("x", 1000),
    "randint, the last of many": lambda: hp.randint("x", 10**9, 10**9 + 5000),
    "randint, a seed": lambda: hp.randint("x", 2**31 - 1),
    "choice": lambda: hp.choice("x", ["a", "b", "c"]),
    "choice of numbers": lambda: hp.choice("x", [64, 16, 32]),
    "pchoice": lambda: hp.pchoice("x", [(0.1, "a"), (0.0, "never"), (0.9, "b")]),
    "an option alone": lambda: hp.choice("x", ["only"]),
    "bounds that are equal": lambda: hp.uniform("x", 0, 0),
    "a deviation of zero": lambda: hp.qlognormal("x", 1, 0, 2),
}


@pytest.fixture(params=DISTRIBUTIONS)
def distribution(request):
    return DISTRIBUTIONS[request.param]()


def raw_draws(space, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Raw values of all active labels as hyperopt itself draws them."""
    domain, trials = Domain(lambda values: 0.0, space), Trials()
    trials.insert_trial_docs(rand.suggest(trials.new_trial_ids(count), domain, trials, seed))
    return vals(trials)


def prior_draws(space, count: int) -> np.ndarray:
    """Raw values of the only parameter as hyperopt itself draws them."""
    (node,) = [each for each in dfs(space) if each.name == "hyperopt_param"]
    prior = clone(node.pos_args[1])
    prior.set_kwarg("size", (count,))
    return sample(prior, np.random.default_rng(0))


def test_draws_from_the_prior_of_every_distribution(distribution):
    """Two-sample Kolmogorov-Smirnov; with so many draws 0.03 is exceeded in less than 1e-7."""
    expression = Expression(as_apply(distribution))
    shares = np.random.default_rng(1).random((20_000, 1))
    ours = [expression.raws(row)["x"] for row in expression.columns.at(shares)]
    assert ks_2samp(ours, prior_draws(distribution, 20_000)).statistic < 0.03


def test_every_raw_value_survives_the_way_to_codes_and_back(distribution):
    expression = Expression(as_apply(distribution))
    draws = raw_draws(distribution, 300)
    for draw, row in zip(draws, expression.rows(draws), strict=True):
        back = expression.raws(row)["x"]
        assert back == pytest.approx(float(draw["x"]), rel=1e-7, abs=1e-9)
        if expression.columns.finite:
            assert back == draw["x"]
        assert expression.rows([{"x": back}]) == pytest.approx(row[None], abs=1e-12)


def test_suggests_plain_numbers_that_hyperopt_may_draw(distribution):
    """Within the bounds, on the ladder, ints where hyperopt has indices."""
    drawn = prior_draws(distribution, 500_000)
    draws, whole, beyond = set(drawn.tolist()), drawn.dtype.kind == "i", 1e-3 * np.ptp(drawn)
    expression = Expression(as_apply(distribution))
    trials = minimise(lambda value: len(str(value)), distribution, 12)
    for raws in vals(trials):
        assert type(raws["x"]) is (int if whole else float)
        assert drawn.min() - beyond <= raws["x"] <= drawn.max() + beyond
        assert raws["x"] in draws or len(draws) > 100
        assert space_eval(distribution, raws) is not None
    if expression.columns.finite and len(draws) < 12:
        assert len(trials) == len(draws) == len({repr(raws) for raws in vals(trials)})


@pytest.mark.parametrize("strange", [-1e300, -7, 0.123, 7.7, 1e9, 1e300, math.inf, -math.inf])
def test_a_value_that_the_prior_cannot_draw_counts_as_the_nearest(distribution, strange):
    expression = Expression(as_apply(distribution))
    row = expression.rows([{"x": strange}])[0]
    again = expression.rows([expression.raws(row)])
    assert again == pytest.approx(row[None], abs=1e-8)


@pytest.mark.parametrize("strange", [None, "relu", math.nan, [1], {}])
def test_what_is_no_number_counts_as_missing(distribution, strange):
    expression = Expression(as_apply(distribution))
    assert np.isnan(expression.rows([{"x": strange}, {}, {"y": 1}])).all()


def test_options_that_are_numbers_are_an_order():
    def column(options):
        (found,) = Expression(hp.choice("x", options)).columns
        return found

    assert column([64, 16, 32]).ordered
    assert not column([64, 16]).ordered
    assert not column([64, 16, "many"]).ordered
    assert not column([True, False, 2]).ordered
    assert not column([f"name {number}" for number in range(200)]).ordered
    assert column(list(range(5000))).ordered
    expression = Expression(hp.choice("x", [64, 16, 32]))
    rows = expression.rows([{"x": option} for option in (1, 2, 0)])  # 16, 32, 64
    assert rows[:, 0] == pytest.approx([1 / 6, 1 / 2, 5 / 6])


def test_a_distribution_that_hyperopt_lacks_is_refused():
    def triangular(low, high, rng=None, size=()):
        return rng.triangular(low, (low + high) / 2, high, size=size)

    scope.define(triangular)
    try:
        with pytest.raises(SpaceError, match=r"'x' is drawn by triangular.*Use one of randint"):
            Expression(scope.hyperopt_param("x", scope.triangular(0, 1)))
    finally:
        scope.undefine(triangular)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("quniform", {"low": 5, "high": 0, "q": 1}),
        ("normal", {"mu": 0, "sigma": -1}),
        ("uniform", {"low": 0, "high": math.inf}),
        ("qlognormal", {"mu": 0, "sigma": 1, "q": 0}),
    ],
)
def test_bounds_that_nothing_lies_between_are_refused(name, given):
    with pytest.raises(
        SpaceError, match=rf"'x' cannot be drawn from {name} with .*Give low < high"
    ):
        Expression(getattr(hp, name)("x", **given))


@pytest.mark.parametrize("count", [1, 30, 100])
def test_searches_many_parameters(count):
    space = [hp.uniform(f"x{i}", -1, 1) for i in range(count)]
    trials = minimise(lambda values: sum(x * x for x in values), space, 15)
    assert len(trials) == 15 and min(trials.losses()) < trials.losses()[1]


# --- conditions -------------------------------------------------------------------------------


def places(space) -> dict[str, int]:
    return {column.label: len(column.places) for column in Expression(as_apply(space)).columns}


def test_a_label_in_all_options_is_always_there():
    x = hp.uniform("x", 0, 1)
    for number in range(25):  # 2^25 paths lead to it
        x = hp.choice(f"c{number}", [x, x * 2])
    assert all(column.always for column in Expression(x).columns)


def test_a_label_in_some_options_is_there_in_those():
    x, y = hp.uniform("x", 0, 1), hp.uniform("y", 0, 1)
    space = hp.choice("c", [x, x + y, hp.choice("d", [0, y])])
    expression = Expression(space)
    assert places(space) == {"c": 1, "x": 2, "y": 2, "d": 1}
    given = {"c": 2, "d": 0, "x": 0.5, "y": 0.5}
    assert expression.raws(expression.rows([given])[0]) == {"c": 2, "d": 0}
    given["d"] = 1
    assert expression.raws(expression.rows([given])[0]) == {"c": 2, "d": 1, "y": 0.5}


def test_a_label_in_most_of_very_many_options_is_taken_as_always_there():
    x = hp.uniform("x", 0, 1)
    space = hp.choice("c", [x if number % 5 else number for number in range(200)])
    assert {column.label: column.always for column in Expression(space).columns}["x"]


def switched(index) -> Any:
    return scope.switch(index, *(hp.uniform(f"u{i}", 0, 1) for i in range(3)))


def asked_by_two() -> Any:
    return switched(hp.randint("a", 2) + hp.randint("b", 2))


def asked_by_a_choice() -> Any:
    return switched(scope.int(hp.choice("a", [0, hp.randint("b", 1, 3)])))


def asked_inside_an_option() -> Any:
    a = hp.randint("a", 3)
    return hp.choice("c", ["none", {"u": switched(2 - a), "a": a}])


def asked_twice() -> Any:
    """The same parameter chooses in two places; one label is in both."""
    a, x = hp.randint("a", 3), hp.uniform("x", 0, 1)
    return [scope.switch(a, 0, x, 2), scope.switch(a, 0, hp.uniform("y", 0, 1), {"x": x})]


def bounded_by_another() -> Any:
    low, more = hp.quniform("low", 1, 4, 1), hp.randint("more", 1, 4)
    return hp.choice("c", [0, low + hp.uniform("x", 0, low + more)])


@pytest.mark.parametrize(
    "space",
    [asked_by_two, asked_by_a_choice, asked_inside_an_option, asked_twice, bounded_by_another],
)
def test_knows_what_is_active_whatever_the_switches_ask(space):
    """hyperopt's own draws have exactly the labels that are active."""
    expression = Expression(as_apply(space()))
    draws = raw_draws(space(), 60)
    everything = dict.fromkeys(expression.columns.labels, 0.5)
    for draw in draws:
        row = expression.rows([everything | draw])[0]
        assert expression.raws(row) == pytest.approx(draw)
    trials = minimise(lambda value: len(str(value)), space(), 25)
    assert {frozenset(raws) for raws in vals(trials)} <= {frozenset(draw) for draw in draws}


def test_bounds_that_depend_on_a_parameter_are_kept():
    for raws in vals(minimise(lambda value: -value, bounded_by_another(), 40)):
        if raws["c"]:
            assert 0 <= raws["x"] <= raws["low"] + raws["more"]


def test_a_switch_that_is_drawn_anew_each_time_has_all_its_options():
    """No algorithm can know which of them its trial will take."""
    index = scope.randint(2, rng=np.random.default_rng(0))
    space = scope.switch(index, hp.uniform("x", 0, 1), hp.uniform("y", 0, 1))
    trials = minimise(lambda value: value, space, 15)
    assert all(raws.keys() == {"x", "y"} for raws in vals(trials))


# --- random spaces ----------------------------------------------------------------------------

LEAVES = [
    lambda label: hp.uniform(label, -1, 1),
    lambda label: hp.normal(label, 0, 3),
    lambda label: hp.lognormal(label, 0, 1),
    lambda label: hp.quniform(label, 0, 7, 2),
    lambda label: hp.qlognormal(label, 1, 2, 1),
    lambda label: hp.uniformint(label, 1, 3),
    lambda label: hp.randint(label, 2, 5),
    lambda label: hp.choice(label, [1, 10, 100]),
    lambda label: hp.pchoice(label, [(0.25, "a"), (0.75, "b")]),
]
FINITE = LEAVES[5:]


class Draw:
    """Builds one random space; its parts may come up again."""

    def __init__(self, data, leaves) -> None:
        self._draw, self._leaves = data.draw, leaves
        self._labels = (f"p{number}" for number in itertools.count())
        self._parts: list[Any] = []

    def part(self, depth: int) -> Any:
        kinds = ["leaf", "leaf", "old"] + ["choice", "pchoice", "dict", "switch"] * (depth > 0)
        made = getattr(self, self._draw(st.sampled_from(kinds)))(depth - 1)
        self._parts.append(made)
        return made

    def leaf(self, depth: int) -> Any:
        return self._draw(st.sampled_from(self._leaves))(next(self._labels))

    def old(self, depth: int) -> Any:
        return self._draw(st.sampled_from(self._parts)) if self._parts else self.leaf(depth)

    def parts(self, depth: int) -> list[Any]:
        return [self.part(depth) for _ in range(self._draw(st.integers(1, 3)))]

    def choice(self, depth: int) -> Any:
        return hp.choice(next(self._labels), ["plain", *self.parts(depth)])

    def pchoice(self, depth: int) -> Any:
        options = self.parts(depth)
        return hp.pchoice(next(self._labels), [(1 / len(options), option) for option in options])

    def dict(self, depth: int) -> Any:
        return {f"key{number}": part for number, part in enumerate(self.parts(depth))}

    def switch(self, depth: int) -> Any:
        index = hp.randint(next(self._labels), 2) + hp.randint(next(self._labels), 2)
        return scope.switch(index, self.part(depth), self.part(depth), "plain")


LOSSES = [0.0, 1.0, -3.5, 1e30, -1e30, 1e-300, math.nan, math.inf, -math.inf, None, "error"]


def told(loss: Any) -> dict[str, Any]:
    if loss == "error":
        raise RuntimeError("this trial fails")
    return {"status": STATUS_FAIL} if loss is None else {"status": "ok", "loss": loss}


some = settings(
    max_examples=25,
    phases=[Phase.generate],
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@some
@given(data=st.data())
def test_every_suggestion_can_be_evaluated_whatever_the_losses_are(data):
    """Warnings are errors here, and so are hyperopt's own where a label is missing."""
    space = Draw(data, LEAVES).part(3)
    losses = iter(data.draw(st.lists(st.sampled_from(LOSSES), min_size=14, max_size=14)))
    seen = []

    def objective(values: Any) -> dict[str, Any]:
        seen.append(values)
        return told(next(losses))

    with np.errstate(all="raise"):
        trials = minimise(
            objective, space, 14, seed=data.draw(st.integers(0, 99)), catch_eval_exceptions=True
        )
    expression = Expression(as_apply(space))
    assert len(seen) == len(trials._dynamic_trials)
    for raws, values in zip(vals(trials), seen, strict=True):
        assert repr(space_eval(space, raws)) == repr(values)
        assert expression.raws(expression.rows([raws])[0]) == pytest.approx(raws)
    rows = expression.rows(vals(trials))
    assert len(set(expression.columns.keys(rows))) == len(rows)


@some
@given(data=st.data())
def test_what_hyperopt_draws_is_coded_with_the_same_labels(data):
    """No label is missing; what the expression never reads in a draw has no value there."""
    space = Draw(data, LEAVES).part(3)
    expression = Expression(as_apply(space))
    everything = dict.fromkeys(expression.columns.labels, 1.0)
    assert set(everything) == set(Domain(lambda values: 0.0, space).params)
    for draw in raw_draws(space, 10):
        row = expression.rows([everything | draw])[0]
        assert expression.raws(row) == pytest.approx(draw)


@some
@given(data=st.data())
def test_a_finite_space_is_tried_whole_and_nothing_twice(data):
    """fmin ends by itself, also where trials are asked for several at once."""
    space = Draw(data, FINITE).part(2)
    points = list(itertools.islice(Expression(as_apply(space)).columns.every(), 40))
    losses = itertools.cycle(data.draw(st.lists(st.sampled_from(LOSSES), min_size=1, max_size=5)))
    queue = data.draw(st.integers(1, 4))
    trials = minimise(
        lambda values: told(next(losses)),
        space,
        39,
        max_queue_len=queue,
        catch_eval_exceptions=True,
    )
    found = [tuple(sorted(raws.items())) for raws in vals(trials)]
    assert len(set(found)) == len(found)
    if len(points) < 39:
        assert len(found) == len(points)
        assert {tuple(sorted(draw.items())) for draw in raw_draws(space, 50)} <= set(found)
    else:
        assert len(found) >= 39


def test_a_finite_space_that_is_used_up_is_told(caplog):
    space = {"k": hp.choice("k", ["a", "b", "c"])}
    minimise(lambda values: 1.0, space, 3)
    assert not caplog.records
    minimise(lambda values: 1.0, space, 9)
    (record,) = caplog.records
    assert record.getMessage().startswith("Every point of the space was tried")


def test_values_within_bounds_that_others_decide_are_tried_once():
    n = hp.quniform("n", 1, 3, 1)
    trials = minimise(lambda values: values["k"], {"n": n, "k": hp.quniform("k", 0, n, 1)}, 40)
    found = [(raws["n"], raws["k"]) for raws in vals(trials)]
    assert sorted(found) == [(n, k) for n in (1, 2, 3) for k in range(n + 1)]


@pytest.mark.parametrize("loss", LOSSES)
def test_takes_the_same_loss_from_every_trial(loss):
    trials = minimise(lambda values: told(loss), mixed(), 14, catch_eval_exceptions=True)
    assert len({repr(raws) for raws in vals(trials)}) == 14 or loss == "error"


def test_the_function_itself_is_no_algorithm():
    with pytest.raises(TypeError, match=r"Call it, .*: algo=hpsearch.hyperopt_algo\(\)"):
        minimise(judge, mixed(), 3, algo=hpsearch.hyperopt_algo)


def test_the_pace_is_chosen_by_name():
    trials = minimise(judge, mixed(), 20)
    thorough, fast = (
        ask(trials, algo=hpsearch.hyperopt_algo(pace)) for pace in ("thorough", "fast")
    )
    assert ask(trials, algo=hpsearch.hyperopt_algo()) == thorough != fast
    assert ask(trials, algo=hpsearch.hyperopt_algo("fast")) == fast
    with pytest.raises(SpaceError, match="no pace 'auto', as fmin does not say how long trials"):
        hpsearch.hyperopt_algo("auto")
    with pytest.raises(SpaceError, match=r"no pace 'fsat'\. Did you mean 'fast'"):
        hpsearch.hyperopt_algo("fsat")
    for wrong in (None, 3, ["fast"]):
        with pytest.raises(SpaceError, match="hyperopt_algo has no pace"):
            hpsearch.hyperopt_algo(wrong)


# --- documents --------------------------------------------------------------------------------


def test_documents_are_what_hyperopt_wants():
    trials = minimise(judge, mixed(), 12)
    labels = {"lr", "units", "net", "depth", "drop", "width", "none", "seed"}
    for document in trials._dynamic_trials:
        misc, tid = document["misc"], document["tid"]
        assert misc["idxs"].keys() == misc["vals"].keys() == labels
        for label in labels:
            assert misc["idxs"][label] == [tid] * len(misc["vals"][label])
        assert misc["cmd"] == ("domain_attachment", "FMinIter_Domain")
        assert document["state"] == JOB_STATE_DONE and document["tid"] == misc["tid"]
        assert json.loads(json.dumps(misc)) == {**misc, "cmd": list(misc["cmd"])}
        Trials().assert_valid_trial(document)
    assert {type(raws["units"]) for raws in vals(trials)} == {int}
    assert {type(raws.get("depth", 1.0)) for raws in vals(trials)} == {float}


def test_documents_say_why():
    trials = minimise(judge, mixed(), 12)
    whys = [document["misc"]["hpsearch"] for document in trials.trials]
    assert [why["source"] for why in whys[:6]] == ["start"] * 6
    assert len({why["seed"] for why in whys}) == 1
    for why in whys[6:]:
        assert why["source"] in ("prior", "parzen", "mutation", "local")
        assert why["spread"] > 0 and why["improvement"] >= 0 and 0 < why["distance"] <= 1
        assert why["nearest"] in trials.tids


def test_plots_and_algorithms_of_hyperopt_take_our_documents(monkeypatch):
    import matplotlib

    matplotlib.use("Agg")
    from hyperopt import plotting

    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    trials = minimise(judge, mixed(), 22)
    plotting.main_plot_history(trials)
    plotting.main_plot_histogram(trials)
    plotting.main_plot_vars(trials, do_show=False)
    with np.errstate(all="ignore"):
        minimise(judge, mixed(), 25, trials=trials, algo=tpe.suggest)
    assert len(minimise(judge, mixed(), 28, trials=trials)) == 28


def test_no_document_ends_the_search(capsys):
    """Also without a limit, and the best is returned as usual."""
    best = fmin(
        lambda value: value,
        hp.choice("x", [5, 3, 4]),
        algo=hpsearch.hyperopt_algo(),
        rstate=np.random.default_rng(0),
        show_progressbar=False,
    )
    assert best == {"x": 1}
    trials = minimise(lambda value: value, hp.choice("x", [5, 3, 4]), 100)
    assert len(trials) == 3
    assert len(minimise(lambda value: value, hp.choice("x", [5, 3, 4]), 100, trials=trials)) == 3


def test_repeats_are_wanted_where_losses_are_noisy():
    noise = random.Random(0)
    trials = minimise(
        lambda value: value + noise.gauss(0, 0.5),
        hp.choice("x", [3, 2, 0, 1]),
        40,
        algo=hpsearch.hyperopt_algo(repeats=True),
    )
    counts = Counter(raws["x"] for raws in vals(trials))
    assert len(trials) == 40 and counts.most_common(1)[0][0] == 2


def test_a_space_without_parameters_has_one_point():
    assert len(minimise(lambda value: value["loss"], {"loss": 3.0}, 10)) == 1


# --- history ----------------------------------------------------------------------------------


def ask(trials, *, seed=0, count=1, algo=None, space=None) -> list[dict[str, Any]]:
    """What would be suggested next, as JSON values; the trials stay as they are."""
    there = copy.deepcopy(trials)
    domain = Domain(judge, mixed() if space is None else space)
    made = (algo or hpsearch.hyperopt_algo())(there.new_trial_ids(count), domain, there, seed)
    return [document["misc"]["vals"] for document in made]


def test_the_same_seed_gives_the_same_trials():
    assert vals(minimise(judge, mixed(), 20)) == vals(minimise(judge, mixed(), 20))
    assert vals(minimise(judge, mixed(), 3)) != vals(minimise(judge, mixed(), 3, seed=1))


def test_one_algo_serves_several_searches():
    algo = hpsearch.hyperopt_algo()
    expected = vals(minimise(judge, mixed(), 14))
    assert vals(minimise(judge, mixed(), 14, algo=algo)) == expected
    minimise(lambda value: value, hp.uniform("x", 0, 1), 8, algo=algo)
    assert vals(minimise(judge, mixed(), 14, algo=algo)) == expected


def test_a_search_goes_on_and_repeats_nothing():
    """Each call of fmin has a fresh generator with the same seed, and a domain of its own."""
    trials, algo = Trials(), hpsearch.hyperopt_algo()
    for count in range(1, 13):
        minimise(judge, mixed(), count, trials=trials, algo=algo)
        assert len(trials) == count
    assert len({repr(raws) for raws in vals(trials)}) == 12
    for known in (None, algo):
        assert ask(trials, seed=5, algo=known) == ask(trials, seed=5)
    assert ask(trials, seed=5) != ask(trials, seed=6)


def test_the_start_covers_the_space_however_often_fmin_is_called():
    """A Sobol sequence has one point in each half, quarter, ...: six draws seldom have."""
    space = [hp.uniform("x", 0, 1), hp.uniform("y", 0, 1)]
    trials = Trials()
    for count in range(1, 6):
        minimise(sum, space, count, trials=trials, seed=count)
    for label in "xy":
        assert {int(4 * raws[label]) for raws in vals(trials)[1:]} == {0, 1, 2, 3}


def test_settings_of_tpe_are_refused():
    told = functools.partial(hpsearch.hyperopt_algo(), gamma=0.25)
    for asks in (
        lambda: hpsearch.hyperopt_algo(gamma=0.25),
        lambda: minimise(judge, mixed(), 1, algo=told),
    ):
        known = r"has no 'gamma'\. Known: pace, repeats\. What tpe\.suggest is told, .* by itself"
        with pytest.raises(TypeError, match=known):
            asks()
    with pytest.raises(TypeError, match=r"has no 'repeat'\. Did you mean 'repeats'"):
        hpsearch.hyperopt_algo(repeat=True)


def test_a_resumed_search_suggests_what_an_uninterrupted_one_would():
    """With the same history and seed; documents may have gone through a pickle."""
    algo, trials = hpsearch.hyperopt_algo(), Trials()
    minimise(judge, mixed(), 18, trials=trials, algo=algo)
    assert ask(trials, seed=7, algo=algo) == ask(copy.deepcopy(trials), seed=7)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_file_of_trials_is_resumed(tmp_path):
    """hyperopt 0.3.0 leaves the file open."""
    file = tmp_path / "trials.pkl"
    given = {
        "algo": hpsearch.hyperopt_algo(),
        "show_progressbar": False,
        "trials_save_file": str(file),
    }
    for count in (8, 12):
        fmin(judge, mixed(), max_evals=count, rstate=np.random.default_rng(0), **given)
    trials = cloudpickle.loads(file.read_bytes())
    assert len({repr(raws) for raws in vals(trials)}) == 12


def test_an_edited_loss_is_noticed():
    algo, trials = hpsearch.hyperopt_algo(), minimise(judge, mixed(), 16)
    before = ask(trials, algo=algo)
    trials.trials[3]["result"]["loss"] = -100.0
    assert ask(trials, algo=algo) == ask(trials) != before


@pytest.mark.parametrize("change", ["removed", "failed", "edited vals", "another order"])
def test_a_changed_history_is_noticed(change):
    algo, trials = hpsearch.hyperopt_algo(), minimise(judge, mixed(), 16)
    ask(trials, algo=algo)
    documents = trials._dynamic_trials
    if change == "removed":
        del documents[5]
    elif change == "failed":
        documents[5]["result"] = {"status": STATUS_FAIL}
    elif change == "edited vals":
        documents[5]["misc"]["vals"] = {**documents[5]["misc"]["vals"], "lr": [0.5]}
    else:
        documents.reverse()
    assert ask(trials, algo=algo) == ask(trials)


def test_tids_need_not_be_positions():
    """tpe and a search that ended leave gaps; other stores have texts for ids."""
    space = [hp.uniform("x", 0, 1), hp.choice("c", ["a", "b"])]
    trials = minimise(lambda values: values[0], space, 12)
    for number, document in enumerate(trials._dynamic_trials):
        document["tid"] = document["misc"]["tid"] = f"id{7 * number}"
    assert ask(trials, space=space)[0]["c"] in ([0], [1])


def test_failed_trials_teach():
    """Half of the space raises, or fails, or gives NaN; plain hyperopt goes on proposing it."""
    kinds = itertools.cycle(["error", None, math.nan, math.inf])

    def objective(at):
        return told(next(kinds) if at[0] < 0 else (at[0] - 0.5) ** 2 + (at[1] - 0.5) ** 2)

    space = [hp.uniform("x", -1, 1), hp.uniform("y", 0, 1)]
    trials = minimise(objective, space, 60, catch_eval_exceptions=True)
    late = vals(trials)[20:60]
    assert sum(raws["x"] < 0 for raws in late) / len(late) <= 0.25


def test_running_trials_are_known():
    trials = minimise(judge, mixed(), 12)
    (next_one,) = ask(trials, seed=3)
    with_it = copy.deepcopy(trials)
    document = copy.deepcopy(with_it._dynamic_trials[-1])
    document.update(tid=12, state=JOB_STATE_RUNNING, result={"status": "new"})
    document["misc"].update(tid=12, vals=next_one)
    with_it.insert_trial_docs([document])
    with_it.refresh()
    assert ask(with_it, seed=3) != [next_one]


def test_a_cancelled_trial_was_neither_tried_nor_is_it_running():
    space = hp.choice("x", [1, 2, 3])
    trials = minimise(lambda value: value, space, 3)
    assert ask(trials, space=space) == []
    cancelled = trials._dynamic_trials[1]
    cancelled["state"] = JOB_STATE_CANCEL
    assert ask(trials, space=space) == [cancelled["misc"]["vals"]]


def test_several_at_once_are_several():
    trials = minimise(judge, mixed(), 10)
    made = ask(trials, count=8)
    assert len({repr(raws) for raws in made}) == 8
    assert made[:1] == ask(trials)
    queued = minimise(judge, mixed(), 21, max_queue_len=4)
    assert len({repr(raws) for raws in vals(queued)}) == 21


def test_points_to_evaluate_come_first_and_are_learnt_from():
    """Also those outside of the space, and those with labels that are not active."""
    points = [
        {"lr": 1e-2, "units": 0, "net": 0, "depth": 3, "drop": 0.5, "width": 4.0, "none": 0},
        {"lr": 7.0, "units": 1, "net": 1, "width": 5.5, "drop": -1},
    ]
    trials = generate_trials_to_calculate(points)
    minimise(judge, mixed(), 14, trials=trials)
    assert [vals(trials)[number]["lr"] for number in (0, 1)] == [1e-2, 7.0]
    found = fmin(
        judge,
        mixed(),
        algo=hpsearch.hyperopt_algo(),
        max_evals=10,
        points_to_evaluate=points,
        rstate=np.random.default_rng(0),
        show_progressbar=False,
    )
    assert judge(space_eval(mixed(), found)) <= judge(space_eval(mixed(), points[0]))


def test_an_experiment_key_keeps_searches_apart():
    trials = minimise(judge, mixed(), 9)
    for document in trials._dynamic_trials:
        document["exp_key"] = "other"
    ours = trials.view(exp_key="ours")
    (first,) = ask(ours)
    assert first == ask(Trials(exp_key="ours"))[0]


def test_a_store_that_has_only_trials_is_read():
    """MongoTrials keeps no documents but those."""

    class Stored:
        def __init__(self, trials):
            self.trials, self.new_trial_docs = trials.trials, trials.new_trial_docs

    trials = minimise(judge, mixed(), 9)
    (made,) = hpsearch.hyperopt_algo()([9], Domain(judge, mixed()), Stored(trials), 4)
    assert [made["misc"]["vals"]] == ask(trials, seed=4)


def test_an_error_document_without_a_loss_and_a_loss_that_is_no_number_are_failures():
    trials = minimise(judge, mixed(), 12)
    odd, failed = copy.deepcopy(trials), copy.deepcopy(trials)
    odd._dynamic_trials[2]["result"]["loss"] = "much"
    odd._dynamic_trials[3]["state"] = JOB_STATE_ERROR
    del odd._dynamic_trials[4]["result"]["loss"]
    for number in (2, 3, 4):
        failed._dynamic_trials[number]["result"] = {"status": STATUS_FAIL}
    assert ask(odd) == ask(failed) != ask(trials)


# --- the cache --------------------------------------------------------------------------------


def test_a_space_is_known_again_however_often_it_is_written():
    def space(high=1.0, other="b"):
        x = hp.uniform("x", 0, high)
        return as_apply({"x": x, "c": hp.choice("c", ["a", other, x])})

    assert fingerprint(space()) == fingerprint(space())
    assert fingerprint(space()) != fingerprint(space(high=2.0))
    assert fingerprint(space()) != fingerprint(space(high=1))
    assert fingerprint(space()) != fingerprint(space(other="d"))
    shared, apart = object(), [object(), object()]
    assert fingerprint(space(other=shared)) == fingerprint(space(other=shared))
    assert fingerprint(space(other=apart[0])) != fingerprint(space(other=apart[1]))


def test_a_space_is_read_once(monkeypatch):
    from hpsearch.suggest import dropin

    read = []
    monkeypatch.setattr(dropin, "Expression", lambda e: read.append(e) or Expression(e))
    trials, algo = Trials(), hpsearch.hyperopt_algo()
    for count in range(1, 10):
        minimise(judge, mixed(), count, trials=trials, algo=algo)
    assert len(read) == 1


# --- the page ---------------------------------------------------------------------------------


def test_the_page_prints_what_it_says():
    namespace = {"__name__": "page"}
    for block in blocks(PAGE):
        stream = io.StringIO()
        with redirect_stdout(stream):
            exec(code_of(PAGE, block), namespace)
        assert stream.getvalue() == (block.output or ""), f"line {block.line}"


def test_the_table_of_the_page_is_the_measured_one():
    measured = DOCS.parent / "scripts/bench/results/fmin.md"
    lines = measured.read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(their_tpe.TestOpt.thresholds)
    assert "\n".join(table) in PAGE.read_text(encoding="utf-8")


def test_words_of_ours_in_a_plain_fmin_are_told_what_makes_a_space_of_them():
    with pytest.raises(
        SpaceError, match=r"A space for `hyperopt\.fmin` is made with `to_hyperopt`"
    ):
        fmin(
            lambda point: 0.0,
            {"x": hpsearch.uniform(-1, 1)},
            algo=hpsearch.hyperopt_algo(),
            max_evals=1,
        )


def test_a_branch_is_left_whatever_the_numbers_of_trials_are():
    """Of several experiments in one database, or where documents were deleted, tids are no places."""
    space = hp.choice("net", [{"x": hp.uniform("x", 0, 1)}, {"y": hp.uniform("y", 0, 1)}])
    looked = []
    for shift in (0, 1, 1000):
        algo, domain, trials = hpsearch.hyperopt_algo(), Domain(lambda point: 0.0, space), Trials()
        whys = []
        for number in range(150):
            (document,) = algo([number + shift], domain, trials, 3)
            (x,) = document["misc"]["vals"]["x"] or [None]
            loss = 1.0 if x is None else (x - 0.3) ** 2
            document.update(state=JOB_STATE_DONE, result={"status": "ok", "loss": loss})
            trials.insert_trial_docs([document])
            trials.refresh()
            whys.append(document["misc"]["hpsearch"]["branch"] is not None)
        looked.append(whys)
    assert looked[0] == looked[1] == looked[2]
    assert 3 <= sum(looked[0]) <= 8
