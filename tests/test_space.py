"""Labels, description, fingerprint, points, constraints, and where a space is found."""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import keras
import numpy as np
import pytest
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st

from hpsearch import (
    Data,
    Fit,
    Holdout,
    Space,
    adapted,
    choice,
    delayed,
    given,
    integer,
    loguniform,
    match,
    maybe,
    repeat,
    uniform,
    when,
)
from hpsearch.errors import IllegalPoint, PointError, SpaceError
from hpsearch.keras import Input, Model, Sequential, callbacks, layers, losses, optimizers
from hpsearch.space import Guard, Parameter, Parameters, load, ready_spaces, space_of

X = np.zeros((8, 3), "float32")
Y = np.zeros(8, "int64")
LEGAL = re.compile(r"[A-Za-z0-9_.-]{1,250}\Z")


@delayed
def net(*args: Any, **options: Any) -> Any:
    raise AssertionError("a declaration calls nothing")


@delayed
def part(size: Any = 1, **options: Any) -> Any:
    raise AssertionError("a declaration calls nothing")


def declared(model: Any = None, **fields: Any) -> Space:
    """A space with as little in it as there can be."""
    metric = {} if "maximize" in fields else {"minimize": "val_loss"}
    fields = {"data": Data((X, Y), validation=0.25), **metric, **fields}
    return Space(model=net() if model is None else model, **fields)


def labels(model: Any = None, **fields: Any) -> list[str]:
    found = list(declared(model, **fields).parameters)
    assert len(found) == len(set(found))
    assert all(LEGAL.match(label) for label in found)
    return found


def refused(make: Callable[[], Any], *texts: str, error: type[Exception] = SpaceError) -> str:
    with pytest.raises(error) as caught:
        make()
    message = str(caught.value)
    for text in texts:
        assert text in message
    assert len(message.splitlines()) <= 6
    return message


# Labels


def design_example() -> Space:
    activation = choice(["relu", "gelu", "tanh"], name="activation")

    def block(i: int) -> Any:
        width = choice([64, 128, 256, 512])
        return [layers.Dense(width, activation=activation), layers.Dropout(uniform(0, 0.5))]

    return Space(
        data=Data((X, Y), validation=0.25),
        model=choice(
            {
                "mlp": Sequential(
                    [
                        layers.Flatten(),
                        repeat(block, times=integer(1, 2)),
                        layers.Dense(given.classes, activation="softmax"),
                    ]
                ),
                "wide_and_deep": net(width=choice([128, 512]), rate=uniform(0, 0.5)),
            }
        ),
        optimizer=choice(
            {
                "adam": optimizers.Adam(loguniform(1e-4, 1e-2)),
                "sgd": optimizers.SGD(loguniform(1e-3, 1), momentum=uniform(0, 0.95)),
            }
        ),
        loss="sparse_categorical_crossentropy",
        fit=Fit(
            batch_size=choice([32, 64, 128]),
            epochs=20,
            callbacks=[callbacks.EarlyStopping(patience=choice([3, 5]))],
            class_weight={0: 1.0, 1: loguniform(1, 20)},
        ),
        maximize="val_accuracy",
    )


def test_the_labels_of_the_designs_example() -> None:
    assert list(design_example().parameters) == [
        "model",
        "model.mlp.block.times",
        "model.mlp.block.0.dense.units",
        "activation",
        "model.mlp.block.0.dropout.rate",
        "model.mlp.block.1.dense.units",
        "model.mlp.block.1.dropout.rate",
        "model.wide_and_deep.width",
        "model.wide_and_deep.rate",
        "optimizer",
        "optimizer.adam.learning_rate",
        "optimizer.sgd.learning_rate",
        "optimizer.sgd.momentum",
        "fit.batch_size",
        "fit.callbacks.early_stopping.patience",
        "fit.class_weight.1",
    ]


def test_layers_are_numbered_as_keras_numbers_them() -> None:
    dense = [layers.Dense(integer(1, 9)) for _ in range(3)]
    assert labels(Sequential([dense[0], layers.ReLU(), dense[1:]])) == [
        "model.dense.units",
        "model.dense_1.units",
        "model.dense_2.units",
    ]


def test_a_layers_own_name_is_its_name_in_labels() -> None:
    model = Sequential([layers.Dense(integer(1, 9), name="head"), layers.Dense(3, name="a b")])
    assert labels(model) == ["model.head.units"]


def test_a_positional_argument_has_the_name_of_its_parameter() -> None:
    assert labels(net(uniform(0, 1)), optimizer=optimizers.SGD(uniform(0, 1))) == [
        "model.0",
        "optimizer.learning_rate",
    ]


def test_a_name_overrides_the_derived_label() -> None:
    assert labels(net(a=uniform(0, 1, name="rate"), b=integer(1, 2))) == ["rate", "model.b"]


def test_a_switch_has_its_own_label_and_its_part_stands_below() -> None:
    model = Sequential(
        [
            maybe(layers.Dropout(uniform(0, 0.5))),
            choice([layers.Dense(integer(1, 9)), [layers.Dense(3), layers.Dropout(0.5)], None]),
            choice({"a b": layers.Dense(integer(1, 9)), "a_b": layers.Dense(integer(1, 9))}),
        ]
    )
    assert labels(model) == [
        "model.dropout",
        "model.dropout.rate",
        "model.choice",
        "model.choice.dense.units",
        "model.choice_1",
        "model.choice_1.a_b.units",
        "model.choice_1.a_b_1.units",
    ]


def test_a_word_that_may_be_off_stands_below_its_switch() -> None:
    assert labels(net(decay=maybe(uniform(0, 1)))) == ["model.decay", "model.decay.value"]
    assert labels(net(decay=maybe(uniform(0, 1) / 2))) == ["model.decay", "model.decay.value"]
    on = choice([True, False], name="on")
    assert labels(net(decay=maybe(when(on, uniform(0, 1))))) == [
        "model.decay",
        "on",
        "model.decay.value",
    ]


def test_options_that_are_words_have_labels_of_their_own() -> None:
    assert labels(net(units=choice([32, integer(64, 128)]))) == [
        "model.units",
        "model.units.integer",
    ]


def test_a_derived_value_has_no_label_and_its_words_stand_where_it_stands() -> None:
    assert labels(net(units=2 ** integer(3, 8))) == ["model.units"]
    assert labels(net(units=integer(1, 4) * 16 + integer(0, 3))) == ["model.units", "model.units_1"]
    one, two = integer(1, 4), integer(1, 4)
    assert labels(net(units=one * two + one * 3)) == ["model.units", "model.units_1"]


def test_derived_values_halve_a_named_width_block_by_block() -> None:
    units = choice([64, 128], name="units")
    model = Sequential([repeat(lambda i: layers.Dense(units // 2**i), times=integer(1, 3))])
    assert labels(model) == ["model.block.times", "units"]


def test_everything_that_is_searched_has_a_label() -> None:
    def loop(model: Any, data: Any, report: Any, rate: float) -> None: ...

    def score(model: Any, data: Any, threshold: float) -> Any: ...

    found = labels(
        net(),
        data=delayed(dict)(held_out=choice([10, 20])),
        loss=choice(["mse", losses.Huber(uniform(0.5, 2))]),
        optimizer=optimizers.Adam(
            optimizers.schedules.CosineDecay(loguniform(1e-4, 1e-1), decay_steps=given.steps)
        ),
        loss_weights={"a": uniform(0, 1)},
        steps_per_execution=choice([1, 4]),
        train=functools.partial(loop, rate=uniform(0, 1)),
        evaluate=functools.partial(score, threshold=uniform(0, 1)),
        fit=[
            Fit(epochs=integer(1, 3), batch_size=choice([8, 16])),
            Fit(
                epochs=2,
                prepare=functools.partial(score, threshold=uniform(0, 1)),
                optimizer=optimizers.SGD(loguniform(1e-5, 1e-3)),
            ),
        ],
    )
    assert found == [
        "data.held_out",
        "optimizer.learning_rate.initial_learning_rate",
        "loss",
        "loss.huber.delta",
        "loss_weights.a",
        "steps_per_execution",
        "fit.0.batch_size",
        "fit.0.epochs",
        "fit.1.prepare.threshold",
        "fit.1.optimizer.learning_rate",
        "train.rate",
        "evaluate.threshold",
    ]


def test_data_may_be_searched_in_place() -> None:
    data = Data((X, Y), validation=Holdout(uniform(0.1, 0.5), shuffle=choice([True, False])))
    assert labels(data=data) == ["data.validation.fraction", "data.validation.shuffle"]


def test_a_label_too_long_for_mlflow_is_refused() -> None:
    inner = net(uniform(0, 1))
    for _ in range(20):
        inner = net(a_rather_long_name_of_an_argument=inner)
    refused(lambda: declared(inner), "MLflow takes 250. Give the word a name=.")


def test_a_word_in_two_places_is_refused_with_what_to_write() -> None:
    units = integer(1, 9)
    refused(
        lambda: declared(Sequential([layers.Dense(units), layers.Dense(units)])),
        "stands in two places, model.dense.units and model.dense_1.units",
        "tie them with a name: choice([...], name='units')",
        "write the word twice",
    )


def test_a_layer_with_a_word_that_stands_in_two_places_is_refused_and_one_without_is_not() -> None:
    searched, fixed = layers.Dense(integer(1, 9)), layers.ReLU()
    refused(lambda: declared(Sequential([searched, searched])), "stands in two places")
    assert labels(Sequential([fixed, layers.Dense(3), fixed])) == []
    refused(lambda: declared(Sequential([repeat(searched, 2)])), "stands in two places")
    assert labels(Sequential([repeat(fixed, 2)])) == []


def test_a_tied_choice_of_layers_is_one_thing_with_one_label() -> None:
    norm = choice([layers.BatchNormalization(momentum=uniform(0.9, 1)), None], name="norm")
    model = Sequential([layers.Dense(3), norm, layers.Dense(3), norm])
    assert labels(model) == ["norm", "norm.batch_normalization.momentum"]


def test_the_blocks_of_a_repeat_share_one_set_of_nodes() -> None:
    def block(i: int) -> Any:
        return layers.Dense(integer(1, 9))

    space = declared(Sequential([repeat(block, times=integer(0, 4))]))
    assert list(space.parameters) == ["model.block.times"] + [
        f"model.block.{i}.dense.units" for i in range(4)
    ]
    for times in range(5):
        point = space.parameters.complete(lambda p, n=times: n if p.label.endswith("times") else 5)
        assert list(point) == list(space.parameters)[: times + 1]


def test_one_node_drives_several_switches() -> None:
    depth = choice(["three", "four"], name="depth")
    space = declared(
        Sequential(
            [
                layers.Dense(3),
                when(depth == "four", layers.Dense(integer(1, 9))),
                match(depth, {"three": layers.ReLU(), "four": layers.Dropout(uniform(0, 1))}),
            ]
        ),
        optimizer=match(
            depth,
            {"three": optimizers.SGD(uniform(0, 1)), "four": optimizers.Adam(uniform(0, 1))},
        ),
    )
    assert list(space.parameters) == [
        "depth",
        "model.dense_1.units",
        "model.match.four.rate",
        "optimizer.three.learning_rate",
        "optimizer.four.learning_rate",
    ]
    three = space.parameters.complete(lambda p: p.word.quantile(0))
    assert list(three) == ["depth", "optimizer.three.learning_rate"]


def test_nested_conditionals_are_active_only_where_everything_around_them_is() -> None:
    inner = choice({"a": net(x=uniform(0, 1)), "b": net(y=maybe(uniform(0, 1)))})
    space = declared(choice({"deep": net(part=inner), "flat": net()}))
    table = space.parameters
    for first, second, third, expected in [
        ("flat", "a", True, {"model"}),
        ("deep", "a", True, {"model", "model.deep.part", "model.deep.part.a.x"}),
        ("deep", "b", False, {"model", "model.deep.part", "model.deep.part.b.y"}),
    ]:
        wanted = {"model": first, "model.deep.part": second, "model.deep.part.b.y": third}
        point = table.complete(lambda p, w=wanted: w.get(p.label, 0.5))
        assert set(point) == expected
        assert space.check(point) == point


def test_a_condition_on_a_derived_value_decides() -> None:
    units = integer(1, 9, name="units")
    space = declared(net(units, when((units * 2 > 10) & (units < 9), part(uniform(0, 1)))))
    assert set(space.check({"units": 6, "model.1.size": 0.5})) == {"units", "model.1.size"}
    assert set(space.check({"units": 5})) == {"units"}
    assert set(space.check({"units": 9})) == {"units"}


def test_a_condition_that_depends_on_itself_is_refused() -> None:
    a: Any = maybe(part())
    b: Any = maybe(part())
    rows = [
        Parameter("a", a, ((Guard(b, True, ("b",)),),)),
        Parameter("b", b, ((Guard(a, True, ("a",)),),)),
    ]
    refused(lambda: Parameters(rows), "The condition on 'a' depends on itself. Remove the circle.")


def test_a_word_that_is_read_is_there_wherever_it_is_read() -> None:
    units = integer(1, 9, name="units")
    space = declared(choice({"a": net(units), "b": net()}), loss=when(units > 5, part()))
    assert space.parameters["units"].always


def test_a_fact_of_the_trial_cannot_decide_which_parameters_there_are() -> None:
    refused(
        lambda: declared(net(when(given.rows > 10, part(uniform(0, 1))))),
        "given.rows is known only in the trial",
    )
    assert labels(net(when(given.rows > 10, part(1)))) == []


# The functional API


def test_a_functional_model_is_labelled_from_its_inputs_to_its_outputs() -> None:
    left, right = Input(shape=(3,)), Input(shape=(2,))
    shared = layers.Dense(integer(1, 9))
    x = layers.Concatenate()([shared(left), layers.Dense(integer(1, 9))(right)])
    x = x + maybe(layers.Dense(integer(1, 9)))(x)
    x = choice([layers.Dense(integer(1, 9)), layers.Dropout(uniform(0, 1))])(x)
    assert labels(Model([left, right], layers.Dense(1)(x))) == [
        "model.dense.units",
        "model.dense_1.units",
        "model.dense_2",
        "model.dense_2.units",
        "model.choice",
        "model.choice.dense.units",
        "model.choice.dropout.rate",
    ]


def test_a_deep_functional_model_does_not_nest() -> None:
    x = entry = Input(shape=(3,))
    for _ in range(2000):
        x = layers.Dense(3)(x)
    space = declared(Model(entry, layers.Dense(integer(1, 9))(x)))
    assert list(space.parameters) == ["model.dense_2000.units"]


def counted(depth: int) -> int:
    """How many nodes describing a chain of diamonds visits."""
    x = entry = Input(shape=(3,))
    for _ in range(depth):
        x = layers.Add()([x, layers.Dense(3)(x)]) + x * 2
    visits = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal visits
        visits += event == "call"

    sys.setprofile(count)
    try:
        declared(Model(entry, x))
    finally:
        sys.setprofile(None)
    return visits


def test_a_chain_of_diamonds_takes_time_in_proportion_to_its_length() -> None:
    assert counted(80) < 2.5 * counted(40)


def test_choosing_among_results_over_and_over_is_refused_with_what_to_write() -> None:
    def build() -> Space:
        x = entry = Input(shape=(3,))
        for _ in range(20):
            x = choice([layers.Dense(3)(x), layers.Dense(4)(x)])
        return declared(Model(entry, layers.Dense(integer(1, 9))(x)))

    refused(build, "Too many combinations of switches", "choice([a, b])(x)")


def test_calls_nested_too_deeply_are_refused() -> None:
    inner = net()
    for _ in range(3000):
        inner = net(inner)
    refused(lambda: declared(inner), "nested too deeply to walk")


# Description and fingerprint


def test_the_same_declaration_has_the_same_fingerprint() -> None:
    first, second = design_example(), design_example()
    assert first.fingerprint == second.fingerprint
    assert first.description == second.description
    assert re.fullmatch(r"[0-9a-f]{16}", first.fingerprint)
    json.dumps(first.description, allow_nan=False)


def small(**change: Any) -> Space:
    given_ = {
        "units": choice([8, 16]),
        "rate": 0.5,
        "function": np.mean,
        "metric": "val_loss",
        "shape": (3, 3),
        **change,
    }
    model = net(units=given_["units"], rate=given_["rate"], f=given_["function"], s=given_["shape"])
    return declared(model, minimize=given_["metric"])


@pytest.mark.parametrize(
    "change",
    [
        {"units": choice([8, 32])},
        {"units": choice([8, 16], weights=[0.25, 0.75])},
        {"units": choice([8, 16], name="units")},
        {"units": integer(8, 16)},
        {"units": 8},
        {"units": maybe(8)},
        {"units": -choice([8, 16])},
        {"units": given.classes},
        {"rate": 0.25},
        {"rate": float("inf")},
        {"rate": np.zeros(3)},
        {"rate": functools.partial(np.mean, axis=0)},
        {"function": np.median},
        {"metric": "val_mse"},
        {"shape": [3, 4]},
    ],
)
def test_a_change_of_what_is_searched_changes_the_fingerprint(change: dict[str, Any]) -> None:
    assert small(**change).fingerprint != small().fingerprint


def test_a_change_of_a_functions_text_does_not_change_the_fingerprint() -> None:
    def first() -> Any:
        def score(model: Any, data: Any) -> Any:
            return {"a": 1}

        return score

    def second() -> Any:
        def score(model: Any, data: Any) -> Any:
            return {"b": 2.0}

        return score

    assert small(function=first()).fingerprint == small(function=second()).fingerprint
    twice = {declared(net(), evaluate=make()).fingerprint for make in (first, second)}
    assert len(twice) == 1


def test_numpy_constants_are_described_as_plain_ones() -> None:
    assert small(rate=np.float64(0.5)).fingerprint == small().fingerprint


def test_the_fingerprint_does_not_depend_on_the_process(folder: Path) -> None:
    file = folder / "space.py"
    file.write_text(
        "from hpsearch import *\n"
        "from hpsearch.keras import layers, Sequential, optimizers\n"
        "word = choice({'a': layers.Dense(integer(1, 9)), 'b': layers.ReLU()})\n"
        "space = Space(data=Data(([1.0], [0])), model=Sequential([word]), minimize='loss',\n"
        "              optimizer=optimizers.SGD(loguniform(1e-3, 1)), metrics={'x', 'y'})\n"
    )
    code = "from hpsearch.space import load; print(load('space.py').space.fingerprint)"
    root = str(Path(__file__).parent.parent)
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


def test_a_space_that_was_pickled_is_the_same_space() -> None:
    space = design_example()
    copy = cloudpickle.loads(cloudpickle.dumps(space))
    assert copy.fingerprint == space.fingerprint
    point = space.parameters.complete(lambda p: p.word.quantile(0.9))
    assert copy.check(point) == point


# Points


def test_a_point_is_flat_json_with_real_values_and_comes_back_unchanged() -> None:
    space = design_example()
    for share in (0.0, 0.3, 0.5, 0.99):
        point = space.parameters.complete(lambda p, s=share: p.word.quantile(s))
        again = json.loads(json.dumps(point))
        assert again == point
        assert space.check(again) == point
        assert [type(v) for v in space.check(again).values()] == [type(v) for v in point.values()]


PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3))


def words(depth: int) -> Any:
    """Strategies for words, nested to `depth`."""
    leaves = st.one_of(
        st.builds(lambda a, w: uniform(a, a + w), st.floats(-9, 9), st.floats(0.1, 9)),
        st.builds(lambda a, w, s: integer(a, a + w + s, s), *[st.integers(1, 9)] * 3),
        st.lists(PLAIN, min_size=1, max_size=4, unique_by=lambda v: json.dumps(v)).map(choice),
        st.sampled_from([0, "x"]),
    )
    if not depth:
        return leaves
    inner = words(depth - 1)
    return st.one_of(
        leaves,
        st.builds(lambda v: maybe(part(v)), inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda vs: choice([part(v) for v in vs])),
        st.builds(lambda v: repeat(lambda i: part(i), integer(0, 2)), inner),
        st.dictionaries(st.text("ab_ .[]", min_size=1, max_size=3), inner, max_size=3),
    )


@settings(max_examples=60, deadline=None)
@given_that(st.lists(words(2), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_every_space_has_legal_labels_and_points_that_come_back(found: Any, draw: Any) -> None:
    def build() -> Any:
        return {f"p{i}": word for i, word in enumerate(found)} | {"u": uniform(0, 1)}

    parameters, content, fingerprint, _ = space_of(build())
    assert space_of(build())[2] == fingerprint
    json.dumps(content, allow_nan=False)
    assert all(LEGAL.match(label) for label in parameters)
    for _ in range(3):
        point = parameters.complete(lambda p: p.word.quantile(draw.random()))
        assert parameters.check(json.loads(json.dumps(point))) == point


def plain_space(**fields: Any) -> Space:
    model = choice(
        {"mlp": net(units=integer(1, 9), rate=uniform(0, 1)), "cnn": net(rate=uniform(0, 1))}
    )
    return declared(model, **fields)


def test_a_tail_that_belongs_to_one_label_names_it() -> None:
    space = plain_space()
    assert space.check({"model": "mlp", "units": 3, "mlp.rate": 0.5}) == {
        "model": "mlp",
        "model.mlp.units": 3,
        "model.mlp.rate": 0.5,
    }


@pytest.mark.parametrize(
    ("point", "text"),
    [
        ({"model": "mlp", "unitz": 3}, "The space has no label 'unitz'. Did you mean"),
        ({"rate": 0.5}, "'rate' could be any of model.mlp.rate, model.cnn.rate. Write one"),
        ({"model": "mlp", "units": 3}, "The point lacks model.mlp.rate. Every active label"),
        ({"model": "cnn", "cnn.rate": 0.1, "units": 3}, "'model.mlp.units' is not active in this"),
        ({"model": "cnn", "cnn.rate": 0.1, "units": 3}, "the point has model='cnn'"),
        ({"model": "cnn", "cnn.rate": 3}, "model.cnn.rate: 3 is outside uniform(0.0, 1.0)"),
        ({"model": "rnn"}, "model: 'rnn' is no option"),
        ({"model": "mlp", "units": 3, "model.mlp.units": 4}, "gives 'model.mlp.units' twice"),
        ([1], "A point is {label: value}, got [1]."),
    ],
)
def test_a_point_that_does_not_fit_is_refused(point: Any, text: str) -> None:
    refused(lambda: plain_space().check(point), text, error=PointError)


def test_an_option_number_is_never_a_value() -> None:
    refused(lambda: plain_space().check({"model": 0}), "0 is no option", error=PointError)


# Constraints


def test_a_condition_that_does_not_hold_makes_a_point_illegal() -> None:
    a, b = integer(1, 9, name="a"), integer(1, 9, name="b")
    space = declared(net(a, b), require=[a + b < 10, lambda point: point["a"] > 1])
    assert space.check({"a": 2, "b": 3}) == {"a": 2, "b": 3}
    refused(
        lambda: space.check({"a": 5, "b": 5}),
        "violates the constraint ((a + b) < 10)",
        error=IllegalPoint,
    )
    refused(lambda: space.check({"a": 1, "b": 1}), "constraint require[1]", error=IllegalPoint)


def test_a_named_predicate_is_named_in_the_message() -> None:
    def small_enough(point: Any) -> bool:
        return point["a"] < 5

    space = declared(net(integer(1, 9, name="a")), require=[small_enough])
    refused(lambda: space.check({"a": 9}), "small_enough (require[0])", error=IllegalPoint)


def test_a_constraint_on_an_inactive_label_does_not_apply() -> None:
    units = integer(1, 9, name="units")
    model = choice({"a": net(units), "b": net()})
    space = declared(
        model,
        require=[units > 5, lambda p: p["units"] > 6, lambda p: p.get("units", 0) != 8],
    )
    assert space.check({"model": "b"}) == {"model": "b"}
    for units_ in (3, 6, 8):
        refused(lambda u=units_: space.check({"model": "a", "units": u}), error=IllegalPoint)
    assert space.check({"model": "a", "units": 7})


@pytest.mark.parametrize(
    ("require", "text"),
    [
        ([lambda p: p["unts"] > 3], "the space has no label 'unts'. Did you mean 'units'?"),
        ([lambda p: p.get("unts") is None], "the space has no label 'unts'"),
        ([lambda p: 1 / 0], "require[0] cannot be computed: ZeroDivisionError: division by zero"),
        ([lambda p: p["units"] > "a"], "cannot be computed: TypeError"),
        ([integer(1, 9) > 3], "stands nowhere in the space. Use the same word there."),
        ([True], "require takes conditions on words, or functions of a point, got True"),
        ([integer(1, 9)], "require takes conditions on words, or functions"),
        ([part()], "require takes conditions on words, or functions"),
        (integer(1, 9) > 3, "require takes a list of conditions or functions"),
        (lambda p: True, "require takes a list of conditions or functions"),
    ],
)
def test_a_constraint_that_cannot_be_computed_is_refused_when_declared(
    require: Any, text: str
) -> None:
    refused(lambda: declared(net(integer(1, 9, name="units")), require=require), text)


def test_a_constraint_with_a_fault_in_one_branch_is_refused_when_declared() -> None:
    refused(
        lambda: plain_space(require=[lambda p: p["model"] == "mlp" or p["raet"] > 0]),
        "the space has no label 'raet'",
    )


def test_fixed_labels_leave_the_others_free() -> None:
    fixed = plain_space().parameters.with_fixed({"model": "cnn"})
    assert isinstance(fixed, Parameters)
    assert [p.label for p in fixed.free] == ["model.cnn.rate"]
    assert fixed.free[0].always
    assert fixed.complete(lambda p: 0.5) == {"model": "cnn", "model.cnn.rate": 0.5}
    refused(lambda: plain_space().parameters.with_fixed({"modle": 3}), "no label", error=PointError)


# Baselines


@pytest.mark.parametrize(
    ("baseline", "text"),
    [
        ({"unitz": 3}, "The baseline 'notes' is not a point: The space has no label 'unitz'"),
        ({"model": "rnn"}, "'rnn' is no option"),
        ({"model": "cnn", "units": 3}, "'model.mlp.units' is not active in this point"),
        ({"model": "mlp", "units": 3, "mlp.rate": 0.75}, "violates the constraint"),
        (3, "A point is {label: value}, got 3."),
    ],
)
def test_a_baseline_is_checked_when_it_is_declared(baseline: Any, text: str) -> None:
    require = [lambda p: p["model.mlp.rate"] < 0.7]
    refused(lambda: plain_space(require=require, baselines={"notes": baseline}), text)


def test_a_baseline_may_leave_labels_to_be_suggested() -> None:
    space = plain_space(baselines={"a": {}, "b": {"model": "mlp"}, "c": {"units": 3}})
    assert list(space.baselines) == ["a", "b", "c"]
    refused(lambda: plain_space(baselines=[{}]), "baselines takes {name: point}, got [{}]")
    refused(lambda: plain_space(baselines={1: {}}), "its name must be a string, got 1")


# The nouns


@pytest.mark.parametrize(
    "fields",
    [
        {"maximize": "neg_mean_squared_error", "evaluate": print},
        {"maximize": "val_neg_loss"},
        {"maximize": "negative_error"},
        {"minimize": "neg_accuracy"},
        {"maximize": "error", "evaluate": print},
        {"minimize": "accuracy", "evaluate": print},
    ],
)
def test_a_negated_metric_and_a_score_of_ones_own_may_be_better_either_way(fields: Any) -> None:
    fields = {"minimize": None, **fields}
    metric = fields.get("maximize") or fields["minimize"]
    assert Space(data=Data((X, Y)), model=net(), **fields).metric == metric


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"minimize": None}, "needs exactly one of maximize= and minimize=, got maximize=None"),
        ({"maximize": "val_accuracy", "minimize": "val_loss"}, "exactly one of maximize="),
        ({"minimize": ""}, "Name the metric: maximize='val_accuracy' or minimize='val_loss'."),
        ({"minimize": 3}, "exactly one of maximize="),
        ({"maximize": "val_loss"}, "a smaller loss is better. Write minimize='val_loss'."),
        ({"maximize": "val_mean_squared_error"}, "looks for the worst model"),
        ({"maximize": "sparse_categorical_crossentropy"}, "looks for the worst model"),
        ({"minimize": "val_accuracy"}, "a larger accuracy is better. Write maximize='val_acc"),
        ({"minimize": "auc"}, "looks for the worst model"),
        ({"maximize": "val_loss", "evaluate": print}, "Write minimize='val_loss'."),
        ({"keep": "first"}, "keep is 'best' or 'last' epoch, got 'first'."),
        ({"keep": choice(["best", "last"])}, "keep is 'best' or 'last' epoch"),
        (
            {"data": (X, Y)},
            "Space(data=…) needs Data((x, y), …) or a recorded call, got a tuple of 2",
        ),
        ({"data": None}, "Space(data=…) needs Data((x, y), …) or a recorded call, got None"),
        ({"data": part}, "got part itself, not a call of it. Write Data"),
        ({"fit": {"epochs": 3}}, "Space(fit=…) needs Fit(...) or a list of them, got dict"),
        ({"fit": [Fit(), 3]}, "Space(fit=…) needs Fit(...) or a list of them, got int (3)"),
        ({"max_params": 0}, "max_params needs a whole number from 1, got 0."),
        ({"max_params": 1e6}, "max_params needs a whole number from 1, got 1000000.0."),
        ({"max_params": True}, "max_params needs a whole number"),
        ({"train": 3}, "Space(train=…) needs a function, got int (3)"),
        ({"evaluate": "mcc"}, "Space(evaluate=…) needs a function, got str (mcc)"),
        ({"train": part()}, "Space(train=…) needs a function itself, got part()"),
        ({"evaluate": part(uniform(0, 1))}, "functools.partial(f, rate=uniform(0, 1))"),
        ({"name": "a/b"}, "A space's name starts with a letter or a digit"),
        ({"name": ".."}, "A space's name"),
        ({"name": "x" * 101}, "A space's name"),
        ({"name": 3}, "A space's name"),
    ],
)
def test_a_space_that_is_written_wrongly_is_refused(fields: Any, text: str) -> None:
    fields = {
        "minimize": "val_loss",
        **({"minimize": None} if "maximize" in fields else {}),
        **fields,
    }
    data = fields.pop("data", Data((X, Y), validation=0.25))
    refused(lambda: Space(data=data, model=net(), **fields), text)


@pytest.mark.parametrize("model", [None, "mlp", net, layers.Dense, [layers.Dense(3)], lambda: 3])
def test_a_model_has_to_be_recorded(model: Any) -> None:
    refused(
        lambda: Space(data=Data((X, Y)), model=model, minimize="loss"),
        "Space(model=…) needs a recorded model, got",
        "@delayed",
    )


def test_a_live_model_is_refused() -> None:
    live = keras.Sequential([keras.layers.Dense(3)])
    refused(lambda: declared(live), "Space(model=…) needs a recorded model, got Sequential")
    for fields in (
        {"optimizer": keras.optimizers.Adam()},
        {"metrics": [keras.metrics.AUC()]},
        {"fit": Fit(callbacks=[keras.callbacks.EarlyStopping()])},
        {"metrics": {keras.metrics.AUC()}},
        {"evaluate": functools.partial(print, live)},
    ):
        refused(lambda f=fields: declared(**f), "got a live Keras object")


@pytest.mark.parametrize("validation", [0, 1, 1.0, -0.1, 1.5, True, float("nan"), np.float32(2)])
def test_a_validation_fraction_lies_between_its_ends(validation: Any) -> None:
    refused(lambda: Data((X, Y), validation=validation), "needs a fraction in (0, 1), got", "0.1")


def test_data_of_the_wrong_kind_is_refused() -> None:
    refused(lambda: Data(None), "Data(train=…) needs (x, y) or a dataset, got None")
    refused(lambda: Data("mnist"), "Data(train=…) needs (x, y) or a dataset, got 'mnist'")
    refused(lambda: Data((X, Y), test=0.1), "Data(test=…) needs (x, y) or a dataset, got 0.1")
    refused(lambda: Data(iter([(X, Y)])), "Data(train=…) got an iterator, which the first trial")
    refused(lambda: Data((X, Y), validation=(b for b in [1])), "Data(validation=…) got an iter")


@pytest.mark.parametrize("fraction", [0, 1, 1.5, "0.1", None, True])
def test_a_holdout_takes_a_fraction(fraction: Any) -> None:
    refused(lambda: Holdout(fraction), "Holdout needs a fraction in (0, 1), got", "0.1")


def test_a_stratified_holdout_has_to_shuffle() -> None:
    refused(
        lambda: Holdout(0.1, shuffle=False, stratify=True),
        "Holdout(stratify=True) needs shuffle=True: it draws from each class.",
    )


@pytest.mark.parametrize("name", ["batch_size", "epochs", "steps_per_epoch", "validation_steps"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "3", True])
def test_fit_takes_whole_numbers(name: str, value: Any) -> None:
    refused(
        lambda: Fit(**{name: value}), f"Fit({name}=…) needs a whole number from 1, got {value!r}"
    )


def test_fit_takes_numpy_numbers_and_words() -> None:
    assert type(Fit(batch_size=np.int64(32)).batch_size) is int
    assert Fit(epochs=integer(1, 3), batch_size=given.rows)
    refused(lambda: Fit(epochs=None), "Fit(epochs=…) needs a whole number from 1, got None")


def test_fit_and_space_take_what_keras_takes() -> None:
    data = {"self", "x", "y", "validation_split", "validation_data", "sample_weight"}
    keras_fit = set(inspect.signature(keras.Model.fit).parameters) - data
    assert set(inspect.signature(Fit).parameters) == keras_fit | {"prepare", "optimizer", "loss"}
    keras_compile = set(inspect.signature(keras.Model.compile).parameters) - {"self"}
    own = {"data", "model", "fit", "train", "evaluate", "maximize", "minimize", "keep", "require"}
    own |= {"max_params", "baselines", "name"}
    assert set(inspect.signature(Space).parameters) == keras_compile | own


def test_fit_has_kerass_defaults_but_for_verbose() -> None:
    real = inspect.signature(keras.Model.fit).parameters
    for name, parameter in inspect.signature(Fit).parameters.items():
        if name in real and name not in ("verbose", "callbacks"):
            assert parameter.default == real[name].default


@pytest.mark.parametrize("thing", [3, None, "x", {1: uniform(0, 1)}, [uniform(0, 1)]])
def test_a_plain_space_is_a_dict_of_words(thing: Any) -> None:
    refused(lambda: space_of(thing), "A space is a Space or a dict of words, got")


def test_a_plain_space_has_something_to_search() -> None:
    refused(lambda: space_of({"x": 3}), "The space has no words to search. Write for example")
    assert list(space_of({"x": uniform(0, 1), "y": {"z": integer(1, 2)}})[0]) == ["x", "y.z"]


def test_adapted_layers_are_labelled_as_the_layers_they_are() -> None:
    model = Sequential([adapted(layers.Discretization(integer(2, 9)), on=given.train)])
    assert labels(model) == ["model.discretization.bin_boundaries"]


def test_large_lists_of_numbers_are_data_and_are_not_walked() -> None:
    numbers = [[float(i)] for i in range(5000)]
    space = declared(net(), data=Data((numbers, list(range(5000)))))
    assert space.description["data"]["train"] == [{"list": 5000}, {"list": 5000}]


# Loading

SPACE = (
    "from hpsearch import Data, Space, delayed, uniform\n"
    "@delayed\n"
    "def net(x):\n"
    "    import beside\n"
    "    return beside.value\n"
    "space = Space(data=Data(([1.0], [0])), model=net(uniform(0, 1)), minimize='loss')\n"
)


def test_a_space_is_loaded_from_its_file(folder: Path) -> None:
    (folder / "my_space.py").write_text(SPACE, encoding="utf-8-sig")
    loaded = load("my_space.py")
    assert (loaded.name, loaded.path) == ("my_space", folder / "my_space.py")
    assert loaded.source == SPACE
    assert list(loaded.space.parameters) == ["model.x"]
    (folder / "named.py").write_text(SPACE.replace("minimize", "name='digits', minimize"))
    assert load("named.py").name == "digits"
    (folder / "two.py").write_text(SPACE + "other = space\n")
    assert load("two.py:other").space is not loaded.space
    assert load(str(folder / "two.py:other")).name == "two-other"


def test_what_stands_beside_a_space_can_be_imported_in_the_trial(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    inner = folder / "inner"
    inner.mkdir()
    (inner / "beside.py").write_text("value = 7")
    (inner / "my_space.py").write_text(SPACE)
    function: Any = load("inner/my_space.py").space.model.function
    assert function.resolve()(1) == 7


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("empty.py", "  \n", "empty.py is empty. `hpsearch new empty.py` writes one"),
        ("bad.py", "space = (", "bad.py:1: not Python: '(' was never closed"),
        ("null.py", "x\0", "null.py"),
        ("none.py", "x = 1", "none.py has no variable `space`. Add `space = Space(...)`."),
        ("other.py", SPACE.replace("space =", "mine ="), "Write other.py:mine, or rename it."),
        ("wrong.py", "space = 3", "wrong.py: `space` must be a Space, got int. Write `space ="),
        ("raises.py", "\n\n1/0", "raises.py:3: ZeroDivisionError: division by zero"),
        ("exits.py", "import sys\nsys.exit(3)", "exits.py:2: SystemExit: 3"),
        ("word.py", "from hpsearch import *\nuniform(1, 0)", "word.py:2: uniform needs low < high"),
        ("big.py", "#" * 1_000_001, "big.py is larger than 1,000,000 bytes: not a space file."),
        ("syntax.py", "a = 1\nif a\n", "syntax.py:2: not Python: expected ':'"),
    ],
)
def test_a_file_that_is_no_space_is_refused(
    folder: Path, name: str, text: str, message: str
) -> None:
    (folder / name).write_text(text)
    refused(lambda: load(name), message)


def test_a_path_that_is_no_file_is_refused(folder: Path) -> None:
    (folder / "my_space.py").write_text(SPACE)
    (folder / "spaces").mkdir()
    (folder / "latin.py").write_bytes(b"# \xe9\n")
    os.mkfifo(folder / "pipe.py")
    refused(lambda: load("my_spce.py"), "There is no file my_spce.py. Did you mean 'my_space.py'?")
    refused(lambda: load("nowhere/a.py"), "There is no file nowhere/a.py.", "`hpsearch new")
    refused(lambda: load("spaces"), "spaces is a folder. Name the file in it: spaces/my_space.py.")
    refused(lambda: load("pipe.py"), "pipe.py is not a regular file. Name a Python file.")
    refused(lambda: load("latin.py"), "latin.py is not a text file in UTF-8: invalid continuation")
    refused(lambda: load("digits_mpl"), "There is no ready space 'digits_mpl'.", "name a .py file")


def test_ready_spaces_are_found_by_name() -> None:
    for name, path in ready_spaces().items():
        assert path.stem == name
        assert not name.startswith("_")


# Where a space may be written


SESSION = textwrap.dedent(
    """
    from hpsearch import Data, Space, choice, delayed, integer, repeat, uniform
    @delayed
    def net(*parts): return parts
    def block(i): return [net(uniform(0, 1))]
    space = Space(data=Data(([1.0], [0])), model=net(choice([1, 2]), repeat(block, integer(1, 2))),
                  minimize='loss', require=[lambda p: p['model.0'] < 3])
    print(*space.parameters, space.fingerprint)
    """
)


def test_a_space_works_from_a_script_standard_input_a_command_a_cell_and_a_prompt(
    folder: Path,
) -> None:
    script = folder / "script.py"
    script.write_text(SESSION)
    prompt = re.sub(r"(\ndef .*)", r"\1\n", SESSION).replace(",\n              ", ", ")
    cell = f"code = compile({SESSION!r}, '<ipython-input-1>', 'exec')\nexec(code, {{}})"
    ways = [
        ([str(script)], None),
        (["-"], SESSION),
        (["-c", SESSION], None),
        (["-c", cell], None),
        (["-i", "-q"], prompt),
    ]
    root = str(Path(__file__).parent.parent)
    printed = set()
    for arguments, given_ in ways:
        done = subprocess.run(
            [sys.executable, *arguments],
            input=given_,
            env={**os.environ, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Error" not in done.stderr, done.stderr
        printed.add(done.stdout)
    assert len(printed) == 1
    assert printed.pop().startswith("model.0 model.1.times model.1.0.net.0 ")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Space(epochs=5), "Space has no argument 'epochs'. It belongs in Fit: "),
        (
            lambda: Fit(validation_split=0.2),
            "Fit has no argument 'validation_split'. It belongs in Data",
        ),
        (lambda: Fit(epoch=3), "Fit has no argument 'epoch'. Did you mean 'epochs'"),
        (
            lambda: Data((1, 2), valid=0.1),
            "Data has no argument 'valid'. Did you mean 'validation'",
        ),
        (lambda: Space(objective="val_loss"), "Name a metric: maximize='val_accuracy'"),
    ],
)
def test_an_argument_in_the_wrong_place_is_told_where_it_belongs(make: Any, text: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(text)):
        make()
