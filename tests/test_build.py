"""From a point to Keras objects and data: every part of the language becomes what it says."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

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
from hpsearch.build import (
    Builder,
    Construction,
    Memory,
    batches_of,
    digest,
    holds_dataset,
    resolve_parts,
    where_raised,
)
from hpsearch.errors import BuildError, DataError, SpaceError
from hpsearch.keras import (
    Input,
    Model,
    Sequential,
    activations,
    callbacks,
    initializers,
    layers,
    losses,
    optimizers,
    regularizers,
)
from hpsearch.space import space_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3)).astype("float32")
Y = np.arange(20) % 4


@delayed
def value(*args: Any, **options: Any) -> Any:
    """The arguments themselves: what the builder made of them."""
    return args[0] if len(args) == 1 and not options else (args, options)


def made(node: Any, /, **point: Any) -> Any:
    """What a declaration becomes at a point; the labels stand below ``x``."""
    parameters, _, _, walk = space_of({"x": node, "unused": uniform(0, 1)})
    point = {label.replace("__", "."): item for label, item in point.items()}
    whole = parameters.check({"unused": 0.5, **point})
    return Builder(walk, parameters, whole, lambda fact: f"<{fact}>").build(node, "x")


def constructed(model: Any = None, point: Any = None, seed: int = 7, **fields: Any) -> Construction:
    fields = {"data": Data((X, Y), validation=0.25), "minimize": "loss", **fields}
    space = Space(model=value(1) if model is None else model, **fields)
    return Construction(
        space,
        space.check(point or {}),
        seed=seed,
        study_seed=3,
        folder="some/folder",
        memory=Memory(),
        seeded=np.random.seed,
    )


def names(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def refused(make: Callable[[], Any], *texts: str, error: type[Exception] = DataError) -> str:
    with pytest.raises(error) as caught:
        make()
    message = str(caught.value)
    for text in texts:
        assert text in message
    assert len(message.splitlines()) <= 6
    return message


# Values


def test_words_become_their_values_and_choices_their_options() -> None:
    node = value(choice([(3, 3), None, "same"]), rate=uniform(0, 1))
    assert made(node, x__0=[3, 3], x__rate=0.5) == (((3, 3),), {"rate": 0.5})
    assert made(node, x__0=None, x__rate=0.5) == ((None,), {"rate": 0.5})


def test_one_and_one_point_zero_are_two_options() -> None:
    node = value(choice([1, 1.0, True]))
    for option in (1, 1.0, True):
        assert type(made(node, x__0=option)) is type(option)


def test_derived_values_and_conditions_are_computed() -> None:
    units = integer(1, 9, name="units")
    node = value([units // 2**i for i in range(3)], units > 3, np.array([1, 2]) * units)
    (widths, large, array), _ = made(node, units=8)
    assert (widths, large, list(array)) == ([8, 4, 2], True, [8, 16])


def test_what_is_off_vanishes_from_a_list_and_is_none_as_an_argument() -> None:
    node = value([maybe(value("a"), name="m"), value("b")], c=maybe(value("c"), name="n"))
    assert made(node, m=False, n=False) == ((["b"],), {"c": None})
    assert made(node, m=True, n=True) == ((["a", "b"],), {"c": "c"})


def test_when_and_match_follow_a_word_elsewhere() -> None:
    depth = choice(["three", "four"], name="depth")
    node = value(
        [when(depth == "four", value(100)), when(~(depth == "four"), [value(1), value(2)])],
        match(depth, {"three": "linear"}, otherwise="relu"),
        match(depth, {"four": 1}, otherwise=None),
    )
    assert made(node, depth="four") == (([100], "relu", 1), {})
    assert made(node, depth="three") == (([1, 2], "linear", None), {})


def test_match_finds_integers_tuples_and_parts_that_are_there() -> None:
    number, kernel = integer(1, 3, name="number"), choice([(3, 3), (5, 5)], name="kernel")
    there = maybe(value("it"), name="there")
    node = value(
        number,
        match(number, {1: "one", 2: "two", 3: "three"}),
        match(kernel, {(3, 3): "small", (5, 5): "large"}),
        match(there, {True: "with", False: "without"}),
    )
    assert made(node, number=2, kernel=[5, 5], there=False)[0] == (2, "two", "large", "without")


def test_repeated_blocks_are_spliced_and_none_are_legal() -> None:
    node = value([repeat(lambda i: [value(i), value(i * 10)], integer(0, 2, name="n")), 5])
    assert made(node, n=0) == [5]
    assert made(node, n=2) == [0, 0, 1, 10, 5]
    assert made(value([repeat(lambda: value(7), 3)])) == [7, 7, 7]
    assert made(value([repeat(value, choice([0, 2], name="n"))]), n=2) == [0, 1]


def test_sets_of_layers_are_swapped() -> None:
    node = value([choice({"a": [value(1), [value(2)]], "b": value(3), "none": []}), value(4)])
    assert made(node, **{"x.0.choice": "a"}) == [1, 2, 4]
    assert made(node, **{"x.0.choice": "b"}) == [3, 4]


def test_a_choice_of_nothing_adds_nothing_to_a_list_of_layers() -> None:
    model = Sequential([layers.Input((3,)), choice([layers.ReLU(), None], name="c")])
    assert names(made(model, c=None)) == []
    assert names(made(model, c="re_lu")) == ["ReLU"]


def test_lists_of_plain_values_are_not_spliced() -> None:
    assert made(value([choice([[1, 2], [3]], name="c"), 3]), c=[1, 2]) == [[1, 2], 3]


def test_containers_keep_their_kind() -> None:
    node = value((uniform(0, 1, name="u"), 2), {0: 1.0, 1: integer(1, 9, name="n")})
    assert made(node, u=0.5, n=3) == (((0.5, 2), {0: 1.0, 1: 3}), {})
    rounded = made(functools.partial(round, ndigits=integer(1, 3, name="n")), n=2)
    assert rounded(1.234) == 1.23


def test_a_recorded_function_used_uncalled_is_itself() -> None:
    assert made(value(activations.relu)) is keras.activations.relu
    assert made(value(activation=value))[1]["activation"](3) == 3


def test_facts_are_looked_up() -> None:
    assert made(value(given.classes, given.seed)) == (("<classes>", "<seed>"), {})


# Models


def test_keras_arguments_of_every_kind_can_be_searched() -> None:
    model = Sequential(
        [
            layers.Input((3,)),
            layers.Dense(
                choice([4, 8], name="units"),
                activation=choice(["relu", activations.gelu], name="act"),
                kernel_initializer=choice([initializers.HeNormal(seed=1), "zeros"], name="init"),
                kernel_regularizer=maybe(regularizers.L2(loguniform(1e-4, 1)), name="l2"),
            ),
        ]
    )
    dense = made(model, **{"units": 8, "act": "gelu", "init": "zeros", "l2.l2": 0.5, "l2": True})
    config = dense.layers[0].get_config()
    assert (config["units"], config["activation"]) == (8, "gelu")
    assert dense.layers[0].kernel_regularizer.l2 == pytest.approx(0.5)
    off = made(model, units=4, act="relu", init="he_normal", l2=False).layers[0]
    assert off.kernel_regularizer is None
    assert type(off.kernel_initializer) is keras.initializers.HeNormal


def test_the_hyperas_network_has_three_or_four_layers() -> None:
    depth = choice(["three", "four"], name="depth")
    model = Sequential(
        [
            layers.Input((784,)),
            layers.Dense(512, "relu"),
            layers.Dropout(0.2),
            layers.Dense(256),
            when(depth == "four", choice([[layers.Dense(100), layers.Dropout(0.5)], None])),
            layers.Dense(10),
        ]
    )
    four = {"depth": "four", "x.choice": "dense_dropout"}
    assert len(made(model, **four).layers) == 6
    assert len(made(model, depth="three").layers) == 4


def test_a_recorded_layer_that_stands_twice_in_a_list_is_two_layers() -> None:
    dense = layers.Dense(3)
    model = made(Sequential([layers.Input((3,)), dense, [dense], repeat(dense, 2)]))
    assert len({id(layer) for layer in model.layers}) == 4
    assert model.count_params() == 4 * 12


def steps_of(layer: Any) -> Any:
    """A model of sequences (5, 3) with the layer twice in its list."""
    return Sequential([layers.Input((5, 3)), layer, [layer]])


@pytest.mark.parametrize(
    ("declare", "params"),
    [
        (lambda: layers.TimeDistributed(layers.Dense(4)), 16 + 20),
        (lambda: layers.TimeDistributed(layers.TimeDistributed(layers.Dense(4))), None),
        (lambda: layers.Bidirectional(layers.LSTM(2, return_sequences=True)), 2 * 48 + 2 * 56),
        (lambda: Sequential([layers.Dense(4), layers.Dense(5)]), 16 + 25 + 24 + 25),
    ],
)
@pytest.mark.parametrize("chosen", [False, True])
def test_what_stands_inside_a_layer_that_stands_twice_is_made_twice_too(
    declare: Callable[[], Any], params: int | None, chosen: bool
) -> None:
    layer, point = declare(), {}
    if chosen:
        layer, point = choice({"it": layer, "none": None}, name="c"), {"c": "it"}
    if params is None:
        whole = Sequential([layers.Input((2, 5, 3)), layer, layer])
        assert made(whole, **point).count_params() == 16 + 20
        return
    model = made(steps_of(layer), **point)
    assert model.count_params() == params
    assert model.output_shape[:2] == (None, 5)


def test_an_initializer_inside_a_layer_that_stands_twice_is_made_twice() -> None:
    dense = layers.Dense(3, kernel_initializer=initializers.GlorotUniform())
    first, second = made(Sequential([layers.Input((3,)), dense, dense])).layers
    assert not np.array_equal(first.kernel, second.kernel)


def test_a_functional_model_that_stands_twice_in_a_list_has_weights_of_its_own() -> None:
    entry = Input(shape=(5, 3))
    shared = layers.Dense(3)
    inner = Model(entry, shared(shared(entry)))
    model = made(steps_of(inner))
    assert [len(one.weights) for one in model.layers] == [2, 2]  # shared inside
    assert model.count_params() == 2 * 12


class Box:
    def __init__(self, *inside: Any) -> None:
        self.inside = inside


def test_what_was_there_before_a_layer_that_stands_twice_stays_shared() -> None:
    box = delayed(Box)
    shared = box("shared")
    outer = box(shared, box("own"), box(shared))
    first, one, two = made(value([shared, outer, outer]))
    assert one is not two
    assert one.inside[0] is two.inside[0] is first
    assert one.inside[1] is not two.inside[1]
    assert one.inside[2] is not two.inside[2]
    assert one.inside[2].inside[0] is two.inside[2].inside[0] is first


def test_a_word_inside_a_layer_that_stands_twice_has_one_value() -> None:
    layer = layers.TimeDistributed(layers.Dense(integer(1, 9, name="units")))
    model = made(steps_of(layer), units=4)
    assert [one.layer.units for one in model.layers] == [4, 4]


def test_one_declaration_builds_new_objects_every_time() -> None:
    node = Sequential([layers.Input((3,)), layers.Dense(3)])
    assert made(node).layers[0] is not made(node).layers[0]


def test_a_layer_called_twice_shares_its_weights() -> None:
    left, right = Input(shape=(3,)), Input(shape=(3,))
    shared = layers.Dense(choice([4, 5], name="units"))
    x = layers.Concatenate()([shared(left), shared(right)])
    model = made(Model([left, right], layers.Dense(1)(x)), units=4)
    assert model.count_params() == (3 * 4 + 4) + (8 + 1)
    a, b = np.ones((2, 3)), np.zeros((2, 3))
    assert model.predict([a, b], verbose=0).shape == (2, 1)


def test_a_skip_connection_by_a_layer_and_by_an_operator() -> None:
    entry = Input(shape=(3,))
    x = layers.Dense(3, use_bias=False, name="a")(entry)
    y = layers.Add()([x, entry]) + 2 * entry
    model = made(Model(inputs=entry, outputs=y))
    kernel = model.get_layer("a").get_weights()[0]
    assert model.predict(X, verbose=0) == pytest.approx(X @ kernel + 3 * X, abs=1e-5)


def test_a_layer_that_may_be_off_is_the_identity() -> None:
    entry = Input(shape=(3,))
    switches: list[Any] = [
        maybe(layers.Dense(5), name="on"),
        when(choice([True, False], name="on"), layers.Dense(5)),
        choice([layers.Dense(5), None], name="on"),
    ]
    for switch, off in zip(switches, (False, False, None), strict=True):
        model = made(Model(entry, layers.ReLU()(switch(entry))), on=off)
        assert names(model) == ["InputLayer", "ReLU"]
    whole = made(Model(entry, switches[0](entry)), on=True)
    assert whole.output_shape == (None, 5)


def test_a_choice_of_layers_a_list_and_a_repeat_can_be_applied() -> None:
    entry = Input(shape=(3,))
    x = choice({"one": layers.Dense(4), "two": [layers.Dense(5), layers.ReLU()]}, name="c")(entry)
    x = repeat(lambda i: layers.Dense(2), integer(0, 2, name="n"))(x)
    model = Model(entry, x)
    assert names(made(model, c="one", n=0)) == ["InputLayer", "Dense"]
    assert names(made(model, c="two", n=2)) == ["InputLayer", "Dense", "ReLU", "Dense", "Dense"]


def test_a_choice_among_results_builds_only_the_one_that_is_chosen() -> None:
    entry = Input(shape=(3,))
    x = choice({"a": layers.Dense(4)(entry), "b": layers.ReLU()(entry)}, name="c")
    assert names(made(Model(entry, layers.Dense(1)(x)), c="b")) == ["InputLayer", "ReLU", "Dense"]


def test_a_tensor_used_twice_is_computed_once() -> None:
    entry = Input(shape=(3,))
    x = entry
    for _ in range(12):
        x = x + layers.Dense(3)(x)
    model = made(Model(entry, x))
    assert len(model.operations) == 1 + 2 * 12


def test_a_deep_functional_model_is_built_without_nesting() -> None:
    x = entry = Input(shape=(1,))
    for _ in range(400):
        x = layers.ReLU()(x)
    assert len(made(Model(entry, x)).layers) == 401


def test_inputs_may_be_a_dict_and_call_arguments_are_passed_on() -> None:
    entries = {"a": Input(shape=(3,), name="a"), "b": Input(shape=(3,), name="b")}
    x = layers.Concatenate()([entries["a"], entries["b"]])
    x = layers.Dropout(0.5)(x, training=choice([True, False], name="training"))
    model = made(Model(entries, layers.Dense(1)(x)), training=False)
    assert set(model.input) == {"a", "b"}


def test_a_live_tensor_is_refused_by_a_recorded_layer() -> None:
    live = keras.Input((3,))
    refused(lambda: layers.Dense(3)(live), "got a live Keras object", error=SpaceError)


def test_a_failed_build_keeps_its_exception_and_says_where() -> None:
    model = Sequential([layers.Input((3,)), layers.Dense(choice([0, 4], name="units"))])
    with pytest.raises(BuildError, match=r"^x\.dense: layers\.Dense\(choice.* failed: ") as caught:
        made(model, units=0)
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_failed_delayed_function_names_the_users_own_line() -> None:
    def broken(size: int) -> Any:
        return {}["missing"]

    with pytest.raises(BuildError) as caught:
        made(delayed(broken)(3))
    line = broken.__code__.co_firstlineno + 1
    assert str(caught.value) == f"x: broken(3) failed: test_build.py:{line}: KeyError: 'missing'"


def test_a_failed_derived_value_says_where() -> None:
    with pytest.raises(BuildError, match=r"x\.0: \(8 // d\) failed: Zero"):
        made(value(8 // choice([0, 1], name="d")), d=0)


def test_the_line_of_an_error_is_the_innermost_of_the_users_own() -> None:
    import json

    try:
        json.loads("{")
    except ValueError as error:
        text = where_raised(error)
    assert text.startswith("test_build.py:")
    try:
        exec(compile("1/0", "<cell>", "exec"))
    except ZeroDivisionError as error:
        assert where_raised(error) == "ZeroDivisionError: division by zero"
    assert where_raised(ValueError("")) == "ValueError: no message"


def test_a_long_call_is_written_short_in_a_message() -> None:
    with pytest.raises(BuildError) as caught:
        made(delayed(int)("x" * 500))
    assert len(str(caught.value).split(" failed: ")[0]) < 130


# Compile arguments and phases


def test_everything_of_compile_can_be_searched() -> None:
    optimizer = choice(
        {
            "adam": optimizers.Adam(
                optimizers.schedules.CosineDecay(loguniform(1e-4, 1), decay_steps=given.steps)
            ),
            "sgd": optimizers.SGD(loguniform(1e-3, 1), momentum=uniform(0, 0.95)),
        }
    )
    fields = {
        "optimizer": optimizer,
        "loss": choice(["mse", losses.Huber(uniform(0.5, 2))]),
        "metrics": ["mae"],
        "loss_weights": [uniform(0, 1)],
        "fit": Fit(epochs=3, batch_size=choice([5, 10])),
    }
    point = {
        "optimizer": "adam",
        "optimizer.adam.learning_rate.initial_learning_rate": 0.1,
        "loss": "huber",
        "loss.huber.delta": 1.0,
        "loss_weights.0": 0.25,
        "fit.batch_size": 5,
    }
    trial = constructed(None, point, **fields)
    arguments = trial.compile_arguments()
    assert set(arguments) == {"optimizer", "loss", "metrics", "loss_weights"}
    schedule = arguments["optimizer"]._learning_rate
    assert schedule.decay_steps == 3 * 3  # 15 rows in batches of 5, three epochs
    assert isinstance(arguments["loss"], keras.losses.Huber)
    assert arguments["loss_weights"] == [0.25]
    assert trial.compile_arguments()["optimizer"] is not arguments["optimizer"]


def test_a_phase_knows_its_own_facts_and_the_model_those_of_all() -> None:
    facts = (given.epochs, given.steps, given.steps_per_epoch, given.batch_size)
    told = delayed(dict)(facts=facts)
    trial = constructed(
        value(facts),
        fit=[
            Fit(epochs=2, batch_size=5, callbacks=[told]),
            Fit(epochs=integer(1, 9), batch_size=4, initial_epoch=1, callbacks=[told]),
        ],
        point={"fit.1.epochs": 4},
    )
    assert trial.model() == (5, 2 * 3 + 3 * 4, 3, 5)
    assert trial.phase(0).callbacks == [{"facts": (2, 6, 3, 5)}]
    assert trial.phase(1).callbacks == [{"facts": (3, 12, 4, 4)}]
    assert trial.epochs() == 5


def test_every_fact_that_given_knows_is_told(folder: Path) -> None:
    facts = ["shape", "classes", "rows", "seed", "folder"]
    trial = constructed(value(*(getattr(given, fact) for fact in facts), given.train))
    found = trial.model()[0]
    assert found[:5] == ((3,), 4, 15, 7, "some/folder")
    assert Path("some/folder").is_dir()
    assert found[5].shape == (15, 3)


def test_a_phase_has_its_searched_callbacks_and_class_weights() -> None:
    fit = Fit(
        callbacks=[callbacks.EarlyStopping(patience=choice([3, 5]))],
        class_weight={0: 1.0, 1: uniform(1, 20)},
        validation_freq=choice([1, 2]),
    )
    point = {"patience": 5, "fit.class_weight.1": 2.5, "validation_freq": 2}
    phase = constructed(fit=fit, point=point).phase(0)
    assert (phase.callbacks[0].patience, phase.class_weight) == (5, {0: 1.0, 1: 2.5})
    assert phase.validation_freq == 2


def test_a_searched_number_that_is_not_whole_is_refused_in_the_trial() -> None:
    trial = constructed(fit=Fit(epochs=uniform(1, 9)), point={"fit.epochs": 2.5})
    refused(lambda: trial.phase(0), "Fit(epochs=…) needs a whole number", error=SpaceError)


def test_partial_functions_are_bound_with_their_searched_arguments() -> None:
    def loop(model: Any, data: Any, report: Any, *, rate: float) -> float:
        return rate

    trial = constructed(train=functools.partial(loop, rate=uniform(0, 1)), point={"rate": 0.5})
    assert trial.function("train")(None, None, None) == 0.5


def test_an_adapted_layer_has_seen_the_training_rows_only() -> None:
    model = Sequential(
        [layers.Input((3,)), adapted(layers.Normalization(name="norm"), on=given.train)]
    )
    norm = constructed(model).model().get_layer("norm")
    assert np.ravel(norm.mean) == pytest.approx(X[:15].mean(axis=0), abs=1e-5)


# Data


def parts_of(train: Any, validation: Any = None, test: Any = None, seed: int = 0) -> Any:
    return resolve_parts(Data(train, validation=validation, test=test), seed)


def test_a_fraction_splits_exactly_as_keras_does() -> None:
    from keras.src.trainers.data_adapters.array_slicing import train_validation_split

    for rows in (11, 20, 99, 100, 1437):
        for fraction in (0.1, 0.15, 0.25, 0.3, 0.333, 0.9):
            x, y = np.arange(rows)[:, None], np.arange(rows)
            (kept, _), (held, _) = train_validation_split((x, y), validation_split=fraction)
            ours = parts_of((x, y), fraction)
            assert np.array_equal(ours.train.x, kept)
            assert np.array_equal(ours.validation.x, held)


def test_a_holdout_draws_rows_under_the_studys_seed() -> None:
    first, again = (parts_of((X, Y), Holdout(0.25), seed=1) for _ in range(2))
    other = parts_of((X, Y), Holdout(0.25), seed=2)
    assert np.array_equal(first.validation.x, again.validation.x)
    assert not np.array_equal(first.validation.x, other.validation.x)
    rows = np.concatenate([first.train.x, first.validation.x])
    assert np.array_equal(np.sort(rows[:, 0]), np.sort(X[:, 0]))
    last = parts_of((X, Y), Holdout(0.25, shuffle=False))
    assert np.array_equal(last.validation.x, X[15:])


@pytest.mark.parametrize("one_hot", [False, True])
def test_a_stratified_holdout_keeps_the_share_of_each_class(one_hot: bool) -> None:
    y = np.repeat([0, 1, 2], [60, 30, 10])
    targets = np.eye(3)[y] if one_hot else y
    x = np.arange(100)[:, None]
    parts = parts_of((x, targets), Holdout(0.2, stratify=True), seed=3)
    held = y[parts.validation.x[:, 0]]
    assert list(np.bincount(held)) == [12, 6, 2]
    assert len(parts.train.x) == 80


def test_every_form_of_arrays_is_taken() -> None:
    table = pd.DataFrame(X, index=np.arange(100, 120))
    weight = np.ones(20)
    forms = [
        (X, Y),
        (X.tolist(), Y.tolist()),
        (table, pd.Series(Y, index=table.index)),
        (X, Y, weight),
        ({"a": X, "b": table}, Y),
        ([X, X], {"out": Y}, weight),
        (X,),
    ]
    for form in forms:
        parts = parts_of(form, 0.25, form)
        assert (parts.train.rows, parts.validation.rows, parts.test.rows) == (15, 5, 20)
        assert len(parts.validation.as_tuple()) in (2, 3)
    pandas = parts_of(forms[2], 0.25)
    assert np.array_equal(pandas.validation.x, X[15:])
    assert parts_of(forms[3], 0.25).validation.weight.shape == (5,)


class Batches(keras.utils.PyDataset):
    @property
    def num_batches(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return X[index * 5 : index * 5 + 5], Y[index * 5 : index * 5 + 5]


def test_datasets_are_taken_as_they_are() -> None:
    tensors = tf.data.Dataset.from_tensor_slices((X, Y)).batch(5)
    for dataset in (tensors, Batches()):
        parts = parts_of(dataset, dataset, dataset)
        assert parts.train.x is dataset
        assert parts.validation.as_tuple() is dataset
        assert parts.train.rows is None
        assert batches_of(parts.train, None) == 4
        refused(lambda d=dataset: parts_of(d, 0.1), "needs arrays, got a dataset", "validation=d")


def test_a_dataset_tells_what_it_can_of_given() -> None:
    tensors = tf.data.Dataset.from_tensor_slices((X, Y)).batch(5)
    trial = constructed(value(given.shape, given.steps_per_epoch, given.train), data=Data(tensors))
    (shape, steps, train), _ = trial.model()
    assert (tuple(shape), steps) == ((3,), 4)
    assert next(iter(train)).shape == (5, 3)


@pytest.mark.parametrize(
    ("fact", "data", "text"),
    [
        ("classes", (X, X[:, 0]), "given.classes needs class numbers or one-hot rows as targets"),
        ("classes", (X, Y - 1), "given.classes needs classes counted from 0, got numbers from -1"),
        ("classes", (X, {"a": Y}), "given.classes needs one array of targets"),
        ("classes", (X, np.array(["a"] * 20)), "classes counted from 0, got <U1"),
        ("classes", Batches(), "given.classes needs one array of targets"),
        ("rows", Batches(), "given.rows: a dataset does not tell its rows"),
        ("shape", Batches(), "given.shape: this dataset does not tell the shape"),
        ("train", Batches(), "given.train needs arrays or a tf.data.Dataset"),
        ("steps", tf.data.Dataset.from_tensors((X, Y)).repeat(), "given.steps: the dataset does"),
    ],
)
def test_a_fact_that_the_data_cannot_supply_is_refused(fact: str, data: Any, text: str) -> None:
    trial = constructed(value(getattr(given, fact)), data=Data(data))
    refused(trial.model, text)


def test_classes_are_counted_for_numbers_one_hot_rows_and_booleans() -> None:
    for targets, classes in ((Y, 4), (Y[:, None], 4), (np.eye(5)[Y], 5), (Y % 2 == 0, 2)):
        assert constructed(value(given.classes), data=Data((X, targets))).model() == classes
    assert constructed(value(given.classes), data=Data((X, Y.astype("float32")))).model() == 4


def test_the_shape_of_several_inputs_is_a_dict_or_a_list_of_shapes() -> None:
    for x, shape in (({"a": X, "b": Y}, {"a": (3,), "b": ()}), ([X, X], [(3,), (3,)])):
        assert constructed(value(given.shape), data=Data((x, Y))).model() == shape


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ((X, Y[:5]), "The train part of the data has 20 rows of x but 5 of y. They must be as"),
        ((X, Y, np.ones(3)), "20 rows of x but 3 of sample_weight"),
        (({"a": X, "b": X[:3]}, Y), "The arrays of one part have different lengths: [3, 20]"),
        ((X[:0], Y[:0]), "The train part of the data has no rows."),
        (X, "must be (x, y), (x, y, sample_weight) or a dataset, got ndarray"),
        ((X, Y, Y, Y), "or a dataset, got a tuple of 4"),
        ([X, Y], "or a dataset, got list"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(data: Any, text: str) -> None:
    refused(lambda: parts_of(data), text)


def test_a_split_that_leaves_nothing_is_refused() -> None:
    refused(lambda: parts_of((X[:1], Y[:1]), 0.5), "validation=0.5 of 1 rows leaves 0 for train")
    refused(
        lambda: parts_of((X, {"a": Y}), Holdout(0.2, stratify=True)),
        "Holdout(stratify=True) needs one array of targets.",
    )


def test_a_provider_has_to_return_data() -> None:
    trial = constructed(data=value(3))
    refused(lambda: trial.parts, "The data provider must return Data(...), got int.", "return Data")
    assert constructed(data=value((X, Y))).parts.train.rows == 20
    iterator = constructed(data=delayed(lambda: Data((X, Y), validation=iter([1])))())
    refused(lambda: iterator.parts, "got an iterator", error=SpaceError)


def test_a_fact_cannot_stand_inside_the_data() -> None:
    trial = constructed(data=value((given.rows, Y)))
    refused(lambda: trial.parts, "given.rows cannot stand inside the data: every trial shares it")
    assert constructed(data=value((np.arange(4), [given.seed] * 4))).parts.train.y[0] == 3


def loading(calls: list[Any]) -> Any:
    @delayed
    def load(rows: int = 20, noise: float = 0.0) -> Data:
        calls.append(rows)
        return Data(
            (X[:rows] + np.random.normal(size=(rows, 3)), Y[:rows]), validation=Holdout(0.5)
        )

    return load


def test_a_provider_is_called_once_for_each_set_of_arguments() -> None:
    calls: list[Any] = []
    space = Space(data=loading(calls)(choice([10, 20])), model=value(1), minimize="loss")
    memory = Memory()

    def parts(rows: int, seed: int = 0, memory: Memory = memory) -> Any:
        point = {"data.rows": rows}
        return Construction(
            space,
            point,
            seed=seed,
            study_seed=3,
            folder=".",
            memory=memory,
            seeded=np.random.seed,
        ).parts

    first = parts(10, seed=1)
    assert parts(10, seed=2) is first
    assert parts(20).train.rows == 10
    assert parts(10, seed=4) is first
    assert calls == [10, 20]
    other_process = parts(10, seed=9, memory=Memory())
    assert calls == [10, 20, 10]
    for name in ("train", "validation"):  # the same rows and the same noise for every worker
        assert np.array_equal(getattr(first, name).x, getattr(other_process, name).x)


def test_only_the_last_few_results_are_remembered() -> None:
    calls: list[Any] = []
    memory, called = Memory(most=2), calls.append
    for number in (1, 2, 3, 3, 2, 1):
        memory.call(lambda: None, called, [number], {})
    assert calls == [1, 2, 3, 1]
    for fraction in (0.1, 0.2, 0.3):
        memory.parts(Data((X, Y), validation=fraction), 0)
    assert len(memory._results) == 2


def test_data_in_place_is_split_once() -> None:
    trial = constructed()
    memory = trial._memory
    again = Construction(
        trial.space, {}, seed=1, study_seed=3, folder=".", memory=memory, seeded=np.random.seed
    )
    assert again.parts is trial.parts
    assert np.shares_memory(trial.parts.train.x, X)


def test_a_dataset_is_made_anew_for_each_trial_and_the_arrays_it_is_made_of_are_not() -> None:
    calls: list[str] = []

    @delayed
    def rows(classes: Any) -> Any:
        calls.append("rows")
        return X, Y

    @delayed
    def batched(arrays: Any, size: int) -> Any:
        calls.append("batched")
        return tf.data.Dataset.from_tensor_slices(arrays).shuffle(20).batch(size)

    space = Space(
        data=Data(batched(rows(range(4)), choice([5, 10])), validation=(X, Y)),
        model=value(1),
        minimize="loss",
    )
    memory = Memory()

    def order(seed: int) -> list[Any]:
        trial = Construction(
            space,
            space.check({"size": 5}),
            seed=seed,
            study_seed=3,
            folder=None,
            memory=memory,
            seeded=tf.keras.utils.set_random_seed,
        )
        return [batch[1].numpy().tolist() for _ in range(2) for batch in trial.parts.train.x]

    assert order(seed=1) == order(seed=2)
    assert calls == ["rows", "batched", "batched"]
    assert len(memory._results) == 1


def test_what_is_made_of_a_dataset_does_not_fill_the_memory() -> None:
    memory = Memory()
    for _ in range(3):
        dataset = tf.data.Dataset.from_tensor_slices(X)
        memory.call(lambda: None, lambda one: X, [[dataset]], {})
        memory.parts(Data((X, Y), test={"x": dataset}.get("x")), 0)
    assert len(memory._results) == 0


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        ([tf.data.Dataset.range(3)], True),
        ({"a": (Batches(),)}, True),
        (Data((X, Y), validation=Batches()), True),
        (resolve_parts(Data((X, Y), test=Batches()), 0), True),
        (iter([1]), True),
        (Data((X, Y), validation=0.5), False),
        (resolve_parts(Data((X, Y), validation=0.5), 0), False),
        ((X, {"a": [X]}, pd.DataFrame(X)), False),
        (["text", b"", range(3), {1}, None, 1.5, dict, Path(), np.float32(1)], False),
        ([iter([1])] * 101, False),
    ],
)
def test_only_what_is_read_anew_each_time_is_a_dataset(thing: Any, expected: bool) -> None:
    assert holds_dataset(thing) is expected


def noted(data: Any, seed: int = 0) -> Any:
    return digest(data, resolve_parts(data, seed))


def test_the_digest_tells_one_data_set_from_another() -> None:
    first = noted(Data((X, Y), 0.25, (X, Y)))
    assert first == noted(Data((X.copy(), Y.copy()), 0.25, (X, Y)))
    assert len(first["digest"]) == 16
    assert first["parts"]["train"]["rows"] == 15
    assert first["parts"]["train"]["x"] == [{"shape": [15, 3], "dtype": "float32"}]
    others = [
        Data((X + 1, Y), 0.25, (X, Y)),
        Data((X, 1 - Y), 0.25, (X, Y)),
        Data((X, Y, np.ones(20)), 0.25, (X, Y)),
        Data((X, Y), 0.5, (X, Y)),
        Data((X, Y), Holdout(0.25), (X, Y)),
        Data((X, Y), (X, Y), (X, Y)),
        Data((X, Y), 0.25, (X[:5], Y[:5])),
        Data((X, Y), 0.25),
        Data((X.reshape(20, 3, 1), Y), 0.25, (X, Y)),
    ]
    assert len({first["digest"], *(noted(other)["digest"] for other in others)}) == 10


def test_the_digest_is_the_same_under_every_seed_of_the_split() -> None:
    for how in (Holdout(0.25), Holdout(0.25, stratify=True)):
        assert noted(Data((X, Y), how), seed=1) == noted(Data((X, Y), how), seed=2)
    drawn = {noted(Data((X, Y), Holdout(0.25, stratify=s)))["digest"] for s in (True, False)}
    assert len(drawn) == 2
    last = noted(Data((X, Y), Holdout(0.25, shuffle=False)))
    assert last == noted(Data((X, Y), 0.25))
    assert noted((X, Y)) == noted(Data((X, Y)))


def test_texts_in_an_array_have_a_digest_of_what_they_say() -> None:
    texts = [np.array([["a" + str(i)] for i in range(20)], dtype=object) for _ in range(2)]
    assert noted(Data((texts[0], Y))) == noted(Data((texts[1], Y)))
    assert noted(Data((texts[0], Y))) != noted(Data((texts[0] + "!", Y)))


def test_a_dataset_has_no_digest() -> None:
    assert noted(Data(Batches())) == {"digest": "", "parts": {"train": {"rows": None}}}
    mixed = noted(Data((X, Y), validation=tf.data.Dataset.from_tensors((X, Y))))
    assert mixed["digest"] == ""
    assert mixed["parts"]["train"]["x"] == [{"shape": [20, 3], "dtype": "float32"}]


def test_a_fraction_in_single_precision_splits_as_it_is_written() -> None:
    for how in (np.float32(0.2), Holdout(np.float32(0.2), shuffle=False)):
        x = np.arange(100)
        assert parts_of((x, x), how).train.rows == 80
    assert Data((X, Y), validation=np.float64(0.25)).validation == 0.25
    assert type(Holdout(np.float32(0.2)).fraction) is float


def test_a_construction_without_a_folder_has_one_that_is_new_and_its_own() -> None:
    def place() -> Path:
        trial = constructed(value(given.folder))
        trial._folder = None
        assert trial.model() == trial.model()
        return Path(trial.model())

    first, second = place(), place()
    assert first != second and first.is_dir()
    assert first.stat().st_mode & 0o777 == 0o700
    assert list(first.iterdir()) == []


def test_a_fact_before_the_data_is_refused(folder: Path) -> None:
    refused(lambda: constructed().fact("rows"), "given.rows is known only after the data")
