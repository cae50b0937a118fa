"""The compiled expression: hyperopt itself knows which labels are active, as the table says."""

from __future__ import annotations

import json

import hyperopt
import numpy as np
import pytest
from hyperopt import STATUS_OK, Trials, anneal, rand, tpe
from hyperopt.pyll import dfs, scope

from hpsearch import (
    Data,
    Space,
    choice,
    delayed,
    integer,
    lognormal,
    loguniform,
    match,
    maybe,
    normal,
    repeat,
    uniform,
    when,
)
from hpsearch.errors import IllegalPoint, PointError, SpaceError
from hpsearch.space import Guard, Parameter, Parameters, space_of
from hpsearch.suggest import Compiled, to_hyperopt


def nested() -> dict:
    return {
        "lr": loguniform(1e-4, 1e-1),
        "model": choice(
            {
                "mlp": {
                    "units": integer(8, 64, step=8),
                    "deep": choice({"y": uniform(0, 1), "n": 0}),
                },
                "cnn": {"filters": choice([4, 8]), "drop": maybe(uniform(0, 0.5))},
                "linear": 1,
            },
            weights=[0.5, 0.3, 0.2],
        ),
    }


def repeated() -> dict:
    def block(i: int) -> dict:
        return {"units": integer(1, 8), "extra": maybe({"rate": uniform(0, 1)})}

    return {
        "model": choice({"deep": repeat(block, times=integer(0, 3)), "none": 0}),
        "x": uniform(0, 1),
    }


def repeated_by_choice() -> dict:
    return {"net": repeat(lambda i: {"u": uniform(0, 1)}, times=choice([0, 2, 4]))}


def tied() -> dict:
    act = choice({"relu": {"slope": uniform(0, 0.3)}, "tanh": 1}, name="act")
    rate = uniform(0, 1, name="rate")
    return {
        "a": choice({"one": {"act": act, "rate": rate}, "two": {"act": act}, "three": 3}),
        "b": maybe({"act": act}, p=0.3),
        "c": choice({"rate": rate, "other": integer(0, 5)}),
    }


def crossed() -> dict:
    depth = integer(1, 4, name="depth")
    family = choice(
        {"a": {"u": uniform(0, 1)}, "b": {"z": choice([[1, 2], [3, 4]])}, "c": 3}, name="family"
    )
    return {
        "family": family,
        "depth": depth,
        "blocks": repeat(lambda i: {"d": when(depth != 2, uniform(0, 1))}, times=depth),
        "both": when((depth > 2) & (family == "a"), lognormal(0, 1)),
        "either": when((depth == 1) | (family == "c"), normal(0, 1)),
        "inner": choice(
            {"p": when(family == "a", {"q": when(depth > 1, choice(["n", "m"]))}), "q": 1}
        ),
    }


def matched() -> dict:
    backbone = choice(["small", "large", "none"], name="backbone")
    return {
        "backbone": backbone,
        "size": match(backbone, {"small": integer(16, 32), "large": integer(64, 128)}, otherwise=0),
        "rest": choice(
            {"x": {"m": match(backbone, {"none": uniform(0, 1)}, otherwise=None)}, "y": 1}
        ),
    }


def circular() -> dict:
    """`depth` is read below `second`, which elsewhere stands below `depth`."""
    first = choice({"m": 1, "n": 2}, name="first")
    second = choice({"x": {"in_x": uniform(0, 1)}, "y": 2}, name="second")
    depth = integer(1, 4, name="depth")
    read = when(second == 2, when(depth > 2, uniform(0, 1)))
    return {
        "first": first,
        "depth": depth,
        "here": when(first == 1, {"second": second, "read": read}),
        "there": when(depth > 3, {"second": second}),
        "twice": when(depth > 1, {"again": when(depth < 3, uniform(0, 1))}),
        "never": when(
            first == 1,
            {"none": when(first == 2, {"u": 1}), "some": when(first != 2, integer(1, 3))},
        ),
    }


SPACES = {
    f.__name__: f for f in (nested, repeated, repeated_by_choice, tied, crossed, matched, circular)
}
SUGGEST = {"rand": rand.suggest, "tpe": tpe.suggest, "anneal": anneal.suggest}


def active(document: dict) -> dict:
    return {label: found[0] for label, found in document["misc"]["vals"].items() if len(found)}


@pytest.mark.parametrize("suggest", SUGGEST)
@pytest.mark.parametrize("name", SPACES)
def test_hyperopt_draws_exactly_the_labels_that_the_table_calls_active(name, suggest):
    parameters, *_ = space_of(SPACES[name]())
    compiled = Compiled(parameters)
    assert set(compiled.labels) == set(parameters)
    trials, seen = Trials(), set()
    for number in range(60):
        with np.errstate(all="ignore"):
            documents = SUGGEST[suggest]([number], compiled.domain, trials, number)
        raws = active(documents[0])
        point = compiled.decode_point(raws)
        assert set(point) == set(raws)
        assert parameters.check(json.loads(json.dumps(point))) == point
        assert compiled.decode_point(compiled.encode_point(point)) == point
        seen |= set(point)
        documents[0]["state"] = hyperopt.JOB_STATE_DONE
        documents[0]["result"] = {"status": STATUS_OK, "loss": float(number % 7)}
        trials.insert_trial_docs(documents)
        trials.refresh()
    if suggest == "rand":
        assert seen == set(parameters)


@pytest.mark.parametrize("name", SPACES)
def test_every_label_is_one_hyperopt_parameter(name):
    parameters, *_ = space_of(SPACES[name]())
    nodes = dfs(Compiled(parameters).domain.expr)
    labels = [node.arg["label"].obj for node in nodes if node.name == "hyperopt_param"]
    assert sorted(labels) == sorted(parameters)


def test_choices_are_hyperopts_own_switches():
    parameters, *_ = space_of(nested())
    compiled = Compiled(parameters)
    switches = [node for node in dfs(compiled.domain.expr) if node.name == "switch"]
    assert {node.pos_args[0].name for node in switches} == {"hyperopt_param"}
    assert not any(node.name == "hpsearch_index" for node in dfs(compiled.domain.expr))


def test_fixed_and_unreachable_labels_are_not_compiled():
    parameters, *_ = space_of(nested())
    compiled = Compiled(parameters.with_fixed({"model": "cnn", "lr": 0.01}))
    assert compiled.labels == ("model.cnn.filters", "model.cnn.drop", "model.cnn.drop.value")
    assert compiled.encode_point({"lr": 0.1, "model.mlp.units": 8, "model.cnn.filters": 8}) == {
        "model.cnn.filters": 1
    }
    parameters, *_ = space_of(crossed())
    assert "family.a.u" not in Compiled(parameters.with_fixed({"family": "c"})).labels


def test_the_condition_function_is_registered_once():
    Compiled(space_of(crossed())[0])
    before = scope._impls["hpsearch_index"]
    Compiled(space_of(crossed())[0])
    assert scope._impls["hpsearch_index"] is before


def test_a_condition_over_a_fixed_and_a_free_label_is_compiled():
    depth, width = integer(1, 4, name="depth"), integer(1, 9, name="width")
    words = {"depth": depth, "width": width, "x": when(depth > width, uniform(0, 1))}
    parameters = space_of(words)[0].with_fixed({"depth": 3})
    compiled = Compiled(parameters)
    for number in range(20):
        (document,) = rand.suggest([number], compiled.domain, Trials(), number)
        raws = active(document)
        assert ("x" in raws) is bool(raws["width"] < 3)
        assert set(compiled.decode_point(raws)) == {*raws, "depth"}


def test_a_condition_on_an_inactive_label_does_not_hold():
    """`mlp` and `more` read labels that their own guards do not make active."""
    kind, depth, x, y = choice(["mlp", "cnn"]), integer(1, 4), uniform(0, 1), uniform(0, 1)
    parameters = Parameters(
        [
            Parameter("kind", kind, ((),)),
            Parameter("depth", depth, ((Guard(kind, "mlp", ("kind",)),),)),
            Parameter("x", x, ((Guard(depth > 2, True, ("depth",)),),)),
            Parameter(
                "y", y, ((Guard(x < 0.5, True, ("x",)), Guard(depth > 3, True, ("depth",))),)
            ),
        ]
    )
    compiled, seen = Compiled(parameters), set()
    for number in range(60):
        (document,) = rand.suggest([number], compiled.domain, Trials(), number)
        raws = active(document)
        assert set(raws) == set(compiled.decode_point(raws))
        seen |= set(raws)
    assert seen == {"kind", "depth", "x", "y"}


FMIN = {"tpe": tpe.suggest, "rand": rand.suggest}


@pytest.mark.parametrize("algo", FMIN)
@pytest.mark.parametrize("name", SPACES)
def test_plain_fmin_takes_the_space_and_decode_reads_all_it_gives(name, algo):
    space = SPACES[name]()
    parameters, *_ = space_of(space)
    hp_space, decode = to_hyperopt(space)
    points = []

    def objective(x):
        points.append(decode(x))
        return sum(value for value in points[-1].values() if isinstance(value, float)) % 1

    trials = Trials()
    with np.errstate(all="ignore"):
        best = hyperopt.fmin(
            objective,
            hp_space,
            algo=FMIN[algo],
            max_evals=25,
            trials=trials,
            rstate=np.random.default_rng(1),
            show_progressbar=False,
        )
    assert all(parameters.check(point) == point for point in points)
    assert [decode(misc["vals"]) for misc in trials.miscs] == points
    assert decode(best) == points[int(np.argmin(trials.losses()))]


def test_a_search_of_plain_fmin_gives_values_and_never_indices():
    hp_space, decode = to_hyperopt(
        {"c": choice(["a", "b"]), "n": integer(1, 4), "mix": choice([[1], "1", None])}
    )
    point = decode({"c": np.int64(1), "n": np.float64(2.0), "mix": [0]})
    assert point == {"c": "b", "n": 2, "mix": [1]} and type(point["n"]) is int
    assert sorted(hp_space) == ["c", "mix", "n"]


def keras_space() -> Space:
    """A `Space` with a constraint; nothing of it is built here."""
    first, second = integer(1, 8), integer(1, 8)
    return Space(
        data=Data((np.zeros((4, 2)), np.zeros(4)), validation=0.25),
        model=delayed(dict)(first=first, second=second),
        optimizer=choice(["adam", "sgd"]),
        minimize="val_loss",
        require=[first < second],
    )


def test_decode_refuses_a_point_that_violates_a_constraint():
    hp_space, decode = to_hyperopt(keras_space())
    legal = {"model.first": 2.0, "model.second": 5.0, "optimizer": 1}
    assert sorted(hp_space) == sorted(legal)
    assert decode(legal) == {"model.first": 2, "model.second": 5, "optimizer": "sgd"}
    with pytest.raises(IllegalPoint, match="violates the constraint"):
        decode({**legal, "model.second": 1.0})


BAD = {
    "a list": ([1, 2], r"decode takes what hyperopt gives, a dict .* got \[1, 2\]. Pass on"),
    "an unknown label": ({"lr": 0.1, "modle": 1}, "no label 'modle'. Did you mean 'model'"),
    "a missing label": ({"lr": 0.1}, "'model' has none among lr. Pass on"),
    "nothing": ({}, "'lr' has none among nothing"),
    "an inactive label": (
        {"lr": 0.1, "model": 2, "model.cnn.filters": 0},
        r"'model.cnn.filters' is not active in this point: .*\. Leave it out",
    ),
    "two trials": ({"lr": [0.1, 0.2]}, r"one raw value for 'lr' or none, got \[0.1, 0.2\]. Pass"),
    "values": ({"lr": 0.1, "model": "linear"}, "model: .* is a number, got 'linear'. Pass on"),
    "no value": ({"lr": None, "model": 2}, "lr: .* is a number, got None. Pass on"),
    "no option": ({"lr": 0.1, "model": 3}, "model: .* number of an option, 0 to 2, got 3. Pass"),
}


@pytest.mark.parametrize("case", BAD)
def test_decode_says_what_it_cannot_read(case):
    _, decode = to_hyperopt(nested())
    written, message = BAD[case]
    with pytest.raises(PointError, match=message):
        decode(written)


def test_to_hyperopt_refuses_what_is_no_space():
    with pytest.raises(SpaceError, match="A space is a Space or a dict of words"):
        to_hyperopt([uniform(0, 1)])  # type: ignore[arg-type]


def test_a_fixed_label_is_not_decoded():
    from hpsearch.suggest.plain import _decode

    compiled = Compiled(space_of(nested())[0].with_fixed({"model": "linear"}))
    with pytest.raises(PointError, match=r"'model' is not searched in this space\. Leave it out"):
        _decode(compiled, {"lr": 0.1, "model": 2})
    assert _decode(compiled, {"lr": 0.1}) == {"lr": 0.1, "model": 1}


def test_a_table_with_all_labels_fixed_compiles_to_nothing():
    parameters: Parameters = space_of({"x": uniform(0, 1)})[0].with_fixed({"x": 0.5})
    compiled = Compiled(parameters)
    assert compiled.labels == () and compiled.decode_point({}) == {"x": 0.5}
