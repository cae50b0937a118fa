"""Data, outputs and losses that do not agree: found before any training, and told in three parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from click.testing import CliRunner

import hpsearch
from hpsearch import Data, Fit, Holdout, Space, adapted, choice, delayed, given, uniform
from hpsearch.build import resolve_parts
from hpsearch.cli.check import check_command
from hpsearch.errors import BuildError, DataError, SpaceError
from hpsearch.keras import Input, Model, Sequential, layers, losses, metrics, optimizers
from hpsearch.preflight import Here, Look, Survey, first_look, survey
from hpsearch.preflight.values import Scans, not_finite, outside, unequal_sums
from hpsearch.train import KerasEngine
from hpsearch.trial import Job, Key, Status, Task

ROWS = 48
X = np.random.default_rng(0).normal(size=(ROWS, 4)).astype("float32")
Y = np.arange(ROWS) % 3
ONE_HOT = np.eye(3, dtype="float32")[Y]
BINARY = (Y > 0).astype("int64")
REAL = X.sum(axis=1)
SPARSE, CLASSES = "sparse_categorical_crossentropy", "categorical_crossentropy"
TWO = "binary_crossentropy"


def dense(units: Any, activation: Any = None) -> Any:
    return Sequential([layers.Input((4,)), layers.Dense(units, activation=activation)])


def declared(y: Any = Y, model: Any = None, loss: Any = SPARSE, **fields: Any) -> Space:
    whole = {
        "data": Data((X, y), validation=0.25),
        "model": dense(3, "softmax") if model is None else model,
        "optimizer": optimizers.SGD(uniform(0.01, 0.1)),
        "loss": loss,
        "minimize": "val_loss",
        **fields,
    }
    return Space(**whole)


def looked(space: Space) -> Look:
    return first_look(Here(KerasEngine(space, 3), space, space.parameters))


def surveyed(space: Space) -> Survey:
    return survey(Here(KerasEngine(space, 3), space, space.parameters))


def refused(make: Callable[[], Any], *texts: str, error: type[Exception] = BuildError) -> str:
    """What is raised has every text and at most six lines."""
    with pytest.raises(error) as caught:
        make()
    message = str(caught.value)
    for text in texts:
        assert text in message, message
    assert len(message.splitlines()) <= 6
    return message


def changed(array: Any, row: int, value: float) -> Any:
    copy = np.array(array, dtype="float32")
    copy[row] = value
    return copy


# What a provider returns


def test_four_arrays_in_a_row_are_told_what_to_return() -> None:
    for given_ in ((X, Y, X[:9], Y[:9]), Data((X, Y, X[:9], Y[:9]))):
        refused(
            lambda data=given_: resolve_parts(data, 0),
            "got a tuple of 4, of shapes (48, 4), (48,), (9, 4), (9,).",
            "`return Data((x_train, y_train), test=(x_test, y_test), validation=0.1)`",
            error=DataError,
        )
    refused(
        lambda: resolve_parts((X, Y) * 3, 0),
        "a tuple of 6",
        "validation=(x_val, y_val), test=(x_test, y_test))`",
        error=DataError,
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ((X, Y, X, Y), "got a tuple of 4. Write Data((x, y), validation=0.2)"),
        ([X, Y], "got a list of 2. Write"),
        (X, "got ndarray of shape (48, 4). Write"),
        (refused, "got the function refused. Write"),
        (Look, "got the class Look. Write"),
    ],
)
def test_what_is_no_data_is_named_and_not_printed(data: Any, text: str) -> None:
    message = refused(lambda: declared(data=data), "Space(data=…) needs", text, error=SpaceError)
    assert "[" not in message and " at 0x" not in message


def test_two_pairs_as_keras_loads_them_are_told_what_to_return() -> None:
    refused(
        lambda: resolve_parts(((X, Y), (X[:9], Y[:9])), 0),
        "must be (x, y), got two pairs, of shapes (48, 4), (48,) and (9, 4), (9,).",
        "`Data((x, y), test=(x_test, y_test), validation=0.1)`",
        error=DataError,
    )
    two = resolve_parts(([X, X], [Y, Y]), 0)  # two inputs and two outputs are no mistake
    assert two.train.rows == ROWS


@pytest.mark.parametrize(
    ("part", "texts"),
    [
        ([X, Y], ["got list of 2, of shapes (48, 4), (48,). Write it as a tuple"]),
        (X, ["got ndarray of shape (48, 4). Write Data((x, y), validation=0.2)."]),
        ({"x": X}, ["got dict. Write Data((x, y), validation=0.2)."]),
        (({"a": X, "b": X[:3]}, Y), ["x['a'] has 48, x['b'] has 3 rows. They must be as many."]),
        ((X, {"a": Y, "b": Y[:3]}), ["y['a'] has 48, y['b'] has 3 rows."]),
        ((X, Y[:5]), ["has 48 rows of x but 5 of y. They must be as many."]),
        ((X, Y, np.ones(3)), ["48 rows of x but 3 of sample_weight"]),
        ((list(X), Y), ["x is a list of 48 arrays, which is 48 inputs: write np.stack(x)."]),
        (([[1, 2], [3]] * 24, Y), ["lists of 1, 2 items. Pad them: keras.utils.pad_sequences"]),
        (([X[0], X[1, :2]], Y), ["x[0] has 4, x[1] has 2 rows", "pad_sequences(x)"]),
        ((X[:0], Y[:0]), ["The train part of the data has no rows. Look at what selects them"]),
    ],
)
def test_a_part_that_is_none_says_what_came_and_what_to_write(part: Any, texts: list[str]) -> None:
    space = declared(data=delayed(lambda: Data(part))())
    refused(lambda: looked(space), *texts, error=DataError)


def test_a_dataset_without_batches_is_refused() -> None:
    empty = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).skip(9)
    for data in (Data(empty), Data((X, Y), validation=empty)):
        refused(
            lambda d=data: resolve_parts(d, 0),
            f"The {'train' if data.validation is None else 'validation'} part of the data is a "
            "dataset without batches. Look at what selects its elements",
            error=DataError,
        )


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_dataset_that_turns_out_empty_is_refused(part: str) -> None:
    none = tf.data.Dataset.from_tensor_slices((X, Y)).filter(lambda x, y: y > 9).batch(8)
    whole = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    parts = {"train": whole, "validation": whole, part: none}
    text = f"The {part} part of the data is a dataset that gives no batch. Look at what selects"
    for model in (None, Sequential([layers.Dense(3, activation="softmax")])):
        space = declared(model=model, data=Data(**parts))
        refused(lambda s=space: looked(s), text, error=DataError)


def test_a_dataset_that_fails_is_told_as_it_fails() -> None:
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).map(
        lambda x, y: (tf.ensure_shape(tf.py_function(lambda a: 1 // 0, [x], "float32"), (4,)), y)
    )
    space = declared(data=Data(dataset.batch(8)), minimize="loss")
    refused(lambda: looked(space), "The first batch failed: ", "ZeroDivisionError")


@pytest.mark.parametrize(
    ("y", "fraction", "texts"),
    [
        (np.r_[9, Y[1:]], 0.2, ["two rows of each class", "got one row of class 9. Leave such"]),
        (REAL, 0.2, ["got real numbers from", "For regression write Holdout(0.2)."]),
        (
            Y,
            0.04,
            ["a row of each of the 3 classes in both parts, got 46 rows for training and 2 for"],
        ),
        (Y, 0.04, ["Give a fraction of at least 0.05, or write stratify=False."]),
        (Y, 0.97, ["got 1 rows for training and 47 for", "Give a fraction of at most 0.93, or"]),
    ],
)
def test_a_stratified_split_without_a_row_of_each_class_is_refused(
    y: Any, fraction: float, texts: list[str]
) -> None:
    data = Data((X, y), validation=Holdout(fraction, stratify=True))
    refused(lambda: resolve_parts(data, 0), *texts, error=DataError)


@pytest.mark.parametrize(("rows", "classes"), [(50, 5), (100, 7), (48, 3), (20, 10), (1003, 10)])
@pytest.mark.parametrize("short", ["train", "validation"])
def test_the_fraction_that_is_advised_is_one_that_splits(
    rows: int, classes: int, short: str
) -> None:
    y = np.arange(rows) % classes
    fraction = 1 - 1.5 / rows if short == "train" else 0.5 / rows

    def split(part: float) -> Any:
        return resolve_parts(Data((y, y), validation=Holdout(part, stratify=True)), 0)

    message = refused(lambda: split(fraction), "Give a fraction of at", error=DataError)
    advised = float(message.split("Give a fraction of at ")[1].split()[1].rstrip(","))
    parts = split(advised)
    for part in (parts.train, parts.validation):
        assert set(part.y) == set(range(classes))
    beyond = advised + (0.01 if short == "train" else -0.01)
    if 0.001 < beyond < 0.999:
        refused(lambda: split(beyond), "Give a fraction of at", error=DataError)


# NaN and infinity


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        (
            Data((changed(X, 7, np.nan), Y), validation=0.25),
            [
                "where x of the train part does: one row holds",
                "x[7, 0] = nan. Leave the rows out, keep = np.isfinite(x).all(axis=1)",
            ],
        ),
        (
            Data((X, REAL), validation=(X, changed(REAL, 5, np.inf))),
            [
                "y of the validation part does",
                "is y[5] = inf. Leave the rows out, keep = np.isfinite(y), or",
            ],
        ),
        (
            Data((X, REAL, changed(np.ones(ROWS), slice(2, 4), np.nan)), validation=0.25),
            ["sample_weight of the train part", "2 rows hold", "sample_weight[2] = nan."],
        ),
        (
            Data(({"a": X, "b": changed(X, 3, np.nan)}, REAL), validation=0.25),
            ["where x['b'] of the train part does", "x['b'][3, 0] = nan. Leave the rows out"],
        ),
        (
            Data((X, REAL), validation=0.25, test=(changed(X, 47, -np.inf), REAL)),
            ["x of the test part", "x[47, 0] = -inf.", "np.nan_to_num(x)"],
        ),
    ],
)
def test_nan_that_reaches_the_loss_is_refused_with_its_place(data: Data, texts: list[str]) -> None:
    model = dense(1)
    if isinstance(data.train[0], dict):
        a, b = Input((4,), name="a"), Input((4,), name="b")
        model = Model({"a": a, "b": b}, layers.Dense(1)(layers.Concatenate()([a, b])))
    refused(lambda: looked(declared(model=model, loss="mse", data=data)), *texts, error=DataError)


def test_nan_in_the_rows_kept_for_validation_counts_in_the_rows_as_given() -> None:
    data = Data((changed(X, 47, np.nan), Y), validation=Holdout(0.25))
    refused(lambda: looked(declared(data=data)), "x[47, 0] = nan", error=DataError)


def test_nan_in_a_dataset_is_found_in_its_first_batch() -> None:
    dataset = tf.data.Dataset.from_tensor_slices((changed(X, 2, np.nan), Y)).batch(8)
    space = declared(data=Data(dataset, validation=dataset))
    refused(lambda: looked(space), "x of the train part", "x[2, 0] = nan", error=DataError)


class Imputed(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return keras.ops.where(keras.ops.isnan(x), 0.0, x)


def known_only(y: Any, p: Any) -> Any:
    there = keras.ops.cast(~keras.ops.isnan(y), "float32")
    return keras.ops.mean(there * keras.ops.square(keras.ops.where(there > 0, y, 0.0) - p))


def test_nan_that_a_layer_or_a_loss_handles_is_let_through() -> None:
    imputed = Sequential([delayed(Imputed)(), layers.Dense(3, activation="softmax")])
    x = changed(X, slice(3, 9), np.nan)
    assert looked(declared(data=Data((x, Y), validation=0.25), model=imputed)).warnings == ()
    space = declared(changed(REAL[:, None], 3, np.nan), dense(1), known_only)
    assert looked(space).warnings == ()


def test_nan_before_a_loop_of_ones_own_is_a_warning() -> None:
    def loop(model: Any, data: Any, report: Any) -> None: ...

    data = Data((changed(X, 7, np.nan), Y), validation=0.25)
    (warning,) = looked(declared(data=data, train=loop)).warnings
    assert "There is NaN or infinity in x of the train part: one row holds such" in warning
    assert "the first is x[7, 0] = nan" in warning


def test_a_loss_that_is_nan_on_finite_data_is_a_warning() -> None:
    (warning,) = looked(declared(REAL, dense(1), "poisson")).warnings
    assert "The loss of the untrained model on the first batch is nan, though the data" in warning


def test_values_are_read_once_for_one_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    from hpsearch.preflight import judge

    read: list[tuple[str, ...]] = []
    offences = judge.offences

    def counted(part: Any, name: str, digest: str, scans: Scans) -> Any:
        before = len(scans._found)
        found = offences(part, name, digest, scans)
        read.extend([(digest, name)] * (len(scans._found) - before))
        return found

    monkeypatch.setattr(judge, "offences", counted)
    found = surveyed(declared(model=dense(3, choice(["softmax", "sigmoid"]))))
    assert len(found.looks) == 2
    assert len(read) == 2  # x and y of the train part


@pytest.mark.parametrize("step", [1, 5, 1000])
def test_a_scan_finds_the_same_in_pieces_of_every_size(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hpsearch.preflight import values

    monkeypatch.setattr(values, "CHUNK", step)
    array = np.zeros((20, 2, 3), dtype="float32")
    array[7, 1, 2], array[11, 0, 0], array[11, 0, 1] = np.nan, np.inf, np.nan
    found = not_finite(array)
    assert found is not None
    assert (found.count, found.rows, found.place) == (2, (7, 11), "[7, 1, 2]")
    assert not_finite(np.zeros((3, 2))) is None
    assert not_finite(np.zeros((3, 2), dtype="int64")) is None
    wrong = outside(array, 0, 1, whole=False)
    assert wrong is not None and wrong.count == 2
    assert outside(np.array([0, 2, -1]), 0, 2, whole=True, but=-1) is None
    sums = unequal_sums(np.array([[0.5, 0.5], [1, 1], [0, 0]]))
    assert sums is not None and (sums.count, sums.value) == (2, 2.0)


# Targets outside the range of the loss


@pytest.mark.parametrize(
    ("y", "texts"),
    [
        (
            Y + 1,
            [
                "class numbers from 0 to 2 for the 3 outputs",
                "y[2] = 3. The classes begin at 1: write y - 1.",
            ],
        ),
        (Y + 2 * (Y > 0), ["y[1] = 3. Write layers.Dense(5) (or given.classes), or number"]),
        (2 * Y + 1, ["y[1] = 3. The classes begin at 1: write y - 1, and layers.Dense(5)."]),
        (Y - 1, ["16 rows of y of the train part are outside, the first is y[0] = -1."]),
        (Y + 0.5, ["48 rows of y", "y[0] = 0.5. For amounts write loss='mse'"]),
        (
            changed(Y, 9, np.nan),
            ["one row of y of the train part is outside", "y[9] = nan. Leave the"],
        ),
        (Y - 1, ["Number the classes from 0: np.unique(y, return_inverse=True)[1]."]),
    ],
)
def test_class_numbers_that_the_outputs_lack_are_refused(y: Any, texts: list[str]) -> None:
    refused(lambda: looked(declared(y)), f"loss='{SPARSE}' takes class", *texts)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_labels_are_looked_at_in_every_part(part: str) -> None:
    parts = {"validation": (X, Y), "test": (X, Y), part: (X, np.where(Y == 2, 7, Y))}
    space = declared(data=Data((X, Y), **parts))
    message = refused(
        lambda: looked(space),
        f"16 rows of y of the {part} part are outside, the first is y[2] = 7. No training row has",
        "leave these rows out, or number the classes of all parts by one function.",
    )
    assert "layers.Dense" not in message


@pytest.mark.parametrize("part", ["validation", "test"])
def test_classes_that_begin_at_1_are_told_so_whichever_part_shows_it(part: str) -> None:
    few = np.where(Y == 2, 1, Y + 1)  # 1 and 2
    parts = {"validation": (X, few), "test": (X, few), part: (X, Y + 1)}
    space = declared(data=Data((X, few), **parts))
    refused(lambda: looked(space), f"of the {part} part", "begin at 1: write y - 1.")


@pytest.mark.parametrize(
    ("y", "units", "activation", "loss"),
    [
        (np.full(ROWS, -1), 3, "softmax", SPARSE),
        (np.full(ROWS, np.nan), 3, "softmax", SPARSE),
        (np.full(ROWS, -1), 1, "sigmoid", TWO),
    ],
)
def test_labels_that_are_not_known_in_the_test_part_are_told_what_to_do_with_it(
    y: Any, units: int, activation: str, loss: str
) -> None:
    data = Data((X, BINARY), validation=(X, BINARY), test=(X, y))
    refused(
        lambda: looked(declared(data=data, model=dense(units, activation), loss=loss)),
        f"48 rows of y of the test part are outside, the first is y[0] = {y[0]:.6g}. "
        "Where labels are not known, leave the test part out, or give the real ones.",
    )


def test_the_ignored_class_may_stand_outside() -> None:
    y = np.where(Y == 2, -1, Y)
    ignoring = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    assert looked(declared(y, loss=ignoring)).warnings == ()
    text = "class numbers from 0 to 2 (or -1, which is ignored)"
    refused(lambda: looked(declared(y - 1, loss=ignoring)), text, "= -2")


@pytest.mark.parametrize(("y", "first"), [(2 * BINARY - 1, "-1"), (BINARY + 1, "2")])
def test_binary_targets_that_are_not_from_0_to_1_are_refused(y: Any, first: str) -> None:
    refused(
        lambda: looked(declared(y, dense(1, "sigmoid"), TWO)),
        "loss='binary_crossentropy' takes targets from 0 to 1; ",
        f" = {first}. Write y = (y == y.max()) for two classes of other numbers",
    )


def test_reals_that_are_not_from_0_to_1_are_refused_in_the_training_part() -> None:
    refused(
        lambda: looked(declared(BEYOND, autoencoder(), TWO)),
        "one row of y of the train part is outside",
        " = 1.03. Cut off what a scaling leaves outside, np.clip(y, 0, 1); for amounts write",
    )


@pytest.mark.parametrize("part", ["validation", "test"])
def test_whole_numbers_that_are_not_0_or_1_are_refused_in_every_part(part: str) -> None:
    parts = {"validation": (X, BINARY), part: (X, (BINARY + 1).astype("float32"))}
    refused(
        lambda: looked(
            declared(data=Data((X, BINARY), **parts), model=dense(1, "sigmoid"), loss=TWO)
        ),
        f"of y of the {part} part are outside, the first is y[1] = 2. Write y = (y == y.max())",
    )


def test_nan_in_binary_targets_is_told_as_nan() -> None:
    space = declared(changed(BINARY, 5, np.nan), dense(1, "sigmoid"), TWO)
    refused(lambda: looked(space), "y[5] = nan. Leave the rows out", error=DataError)


def test_binary_targets_of_rows_that_count_nothing_may_be_anything() -> None:
    y = np.where(Y == 2, -1, BINARY)
    data = Data((X, y, (y >= 0).astype("float32")), validation=(X, BINARY))
    assert looked(declared(data=data, model=dense(1, "sigmoid"), loss=TWO)).warnings == ()


def test_rows_of_classes_that_do_not_sum_to_1_are_a_warning() -> None:
    rows = np.array(ONE_HOT)
    rows[5:7, 0] += 1
    found = looked(declared(rows, loss=CLASSES)).warnings
    (warning,) = found
    assert "2 rows of y of the train part do not, the first is y[5] with the sum 2" in warning
    assert "loss='binary_crossentropy' with activation='sigmoid'" in warning


# Classes that training never sees

SORTED = np.arange(ROWS) * 5 // ROWS


def warned(y: Any, data: Data, loss: Any = SPARSE, units: int = 5) -> tuple[str, ...]:
    return looked(declared(y, dense(units, "softmax"), loss, data=data)).warnings


@pytest.mark.parametrize(
    ("y", "loss"),
    [(SORTED, SPARSE), (SORTED[:, None], SPARSE), (np.eye(5)[SORTED], CLASSES)],
)
def test_sorted_classes_of_which_the_validation_part_takes_the_last_are_a_warning(
    y: Any, loss: str
) -> None:
    (warning,) = warned(y, Data((X, y), validation=0.4), loss)
    assert warning == (
        "validation holds classes 3 and 4 that no training row has: are the rows sorted by class? "
        "Write validation=Holdout(0.4, stratify=True)."
    )
    assert warned(y, Data((X, y), validation=Holdout(0.4, stratify=True)), loss) == ()


@pytest.mark.parametrize(
    ("validation", "text"),
    [
        (0.1, None),
        (Holdout(0.1, shuffle=False), None),
        (Holdout(0.4, shuffle=False), "holds classes 3 and 4 that no training row has: are the"),
        (Holdout(0.95), "it has few rows. Write validation=Holdout(0.95, stratify=True)."),
        ((X[:3], np.array([0, 1, 4])), None),
        ((X[:3], SORTED[:3]), None),
    ],
)
def test_what_is_said_of_an_unseen_class_follows_how_the_validation_part_was_taken(
    validation: Any, text: str | None
) -> None:
    found = warned(SORTED, Data((X, SORTED), validation=validation))
    assert (text is None and found == ()) or (text is not None and text in found[0])


def test_a_class_of_a_validation_part_of_its_own_that_training_lacks_is_a_warning() -> None:
    (warning,) = warned(Y, Data((X, Y), validation=(X, SORTED)))
    assert "holds classes 3 and 4 that no training row has: number the classes of both" in warning
    (one,) = warned(Y, Data((X, Y), validation=(X, Y + (Y == 2))))
    assert "validation holds class 3 that no training row has" in one
    (many,) = warned(Y, Data((X, Y), validation=(X, np.arange(ROWS) % 20)), units=20)
    assert "classes 3, 4, 5, 6, 7, 8 and 11 more that no training row has" in many


def test_classes_that_training_lacks_are_not_looked_for_where_none_are_meant() -> None:
    ignoring = losses.SparseCategoricalCrossentropy(ignore_class=4)
    held = np.where(SORTED == 3, 4, SORTED)
    assert warned(held, Data((X, held), validation=0.4), ignoring) == ()
    weights = (SORTED < 3).astype("float32")
    assert warned(SORTED, Data((X, SORTED, weights), validation=0.4)) == ()
    amounts = declared(SORTED, dense(1), "mse", data=Data((X, SORTED), validation=0.4))
    assert looked(amounts).warnings == ()
    dataset = tf.data.Dataset.from_tensor_slices((X, SORTED)).batch(8)
    assert warned(Y, Data(dataset.take(3), validation=dataset.skip(3))) == ()


@pytest.mark.parametrize(
    ("rows", "advice"),
    [
        (1, "Leave these rows out, or write the number of units yourself: layers.Dense(8)."),
        (2, "Write validation=Holdout(0.2, stratify=True), leave these rows out, or write the"),
    ],
)
def test_a_class_that_only_held_out_rows_have_is_no_matter_of_given_classes(
    rows: int, advice: str
) -> None:
    y = np.where(np.arange(ROWS) < ROWS - rows, np.arange(ROWS) % 4, 7)
    space = declared(y, dense(given.classes, "softmax"))
    message = refused(
        lambda: looked(space),
        f"y[{ROWS - rows}] = 7. Only rows held out for validation hold class 7, and given.classes "
        "counts the rows for training alone. ",
        advice,
    )
    assert "(or given.classes)" not in message
    if rows > 1:  # what it advises is taken
        stratified = Data((X, y), validation=Holdout(0.2, stratify=True))
        looked(declared(y, dense(given.classes, "softmax"), data=stratified))
    assert looked(declared(y, dense(8, "softmax"))).params == 4 * 8 + 8


def test_sorted_classes_of_each_step_are_told_to_shuffle() -> None:
    y = np.tile(SORTED[:, None] // 2, (1, 4))
    data = Data((X[:, :, None], y), validation=0.2)
    (warning,) = looked(declared(y, sequences(), data=data)).warnings
    assert "sorted by class? Write validation=Holdout(0.2, shuffle=True)." in warning
    data = Data((X[:, :, None], y), validation=Holdout(0.95))
    (warning,) = looked(declared(y, sequences(), data=data)).warnings
    assert "it has few rows. Leave them out, or keep fewer rows for validation." in warning


# A loss that does not fit the output


@pytest.mark.parametrize(
    ("y", "model", "loss", "texts"),
    [
        (
            ONE_HOT,
            dense(3, "softmax"),
            SPARSE,
            ["got rows of 3 numbers: y is (n, 3), the output (n, 3). Write loss='categorical_cr"],
        ),
        (
            Y,
            dense(3, "softmax"),
            losses.CategoricalCrossentropy(),
            ["loss=CategoricalCrossentropy() takes", "y is (n,), the output (n, 3)", "sparse_"],
        ),
        (Y[:, None], dense(3, "softmax"), CLASSES, ["one-hot, got one number: y is (n, 1)"]),
        (
            BINARY[:, None],
            dense(1, "sigmoid"),
            CLASSES,
            ["with one the loss is always 0 or an error", "loss='binary_crossentropy'"],
        ),
        (BINARY, dense(1, "sigmoid"), SPARSE, ["layers.Dense(given.classes, activation='softmax"]),
        (
            Y,
            dense(3, "sigmoid"),
            TWO,
            ["a target of 0 or 1 for each of the 3 outputs, got one for each row", "sparse_"],
        ),
        (Y, dense(3), SPARSE, ["cuts off what lies outside [0, 1]", "Dense with no activation"]),
        (Y, dense(3), SPARSE, ["activation='softmax' in the last layer, or from_logits=True"]),
        (ONE_HOT, dense(3), CLASSES, ["the output (n, 3) comes out of the last layer, Dense with"]),
        (BINARY, dense(1), TWO, ["Write activation='sigmoid' in the last layer"]),
        (
            REAL,
            dense(3),
            "mse",
            ["loss='mse' compares each", "y is (n,), the output (n, 3). Write layers.Dense(1)"],
        ),
    ],
)
def test_a_loss_that_does_not_fit_is_refused_with_the_shapes(
    y: Any, model: Any, loss: Any, texts: list[str]
) -> None:
    refused(lambda: looked(declared(y, model, loss)), *texts)


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1:UserWarning")
@pytest.mark.parametrize("loss", [TWO, "mse"])
def test_softmax_over_one_unit_is_refused(loss: str) -> None:
    refused(
        lambda: looked(declared(BINARY, dense(1, "softmax"), loss)),
        "Softmax over one unit is always 1, and learns nothing: the output (n, 1)",
        "Write activation='sigmoid'",
    )


@pytest.mark.filterwarnings("ignore:.*received `from_logits=True`:UserWarning")
@pytest.mark.parametrize(
    ("y", "model", "loss"),
    [
        (Y, dense(3, "softmax"), losses.SparseCategoricalCrossentropy(from_logits=True)),
        (BINARY, dense(1, "sigmoid"), losses.BinaryCrossentropy(from_logits=True)),
        (
            ONE_HOT,
            Sequential([layers.Input((4,)), layers.Dense(3), layers.Softmax()]),
            losses.CategoricalCrossentropy(from_logits=True),
        ),
    ],
)
def test_logits_after_an_activation_are_a_warning(y: Any, model: Any, loss: Any) -> None:
    (warning,) = looked(declared(y, model, loss)).warnings
    assert "(from_logits=True) takes logits, and the output comes out of the last layer" in warning
    assert "Leave the activation out, or write from_logits=False." in warning


def test_what_is_said_of_the_last_layer_is_well_set() -> None:
    logits = losses.BinaryCrossentropy(from_logits=True)
    with pytest.warns(UserWarning, match="from_logits=True"):
        (warning,) = looked(declared(BINARY, dense(1, "sigmoid"), logits)).warnings
    assert "the last layer, Dense with activation 'sigmoid'. Leave the activation out" in warning
    refused(
        lambda: looked(declared(BINARY, dense(1), TWO)),
        "comes out of the last layer, Dense with no activation, and has numbers outside. Write",
    )


@pytest.mark.parametrize(("y", "loss"), [(Y, SPARSE), (ONE_HOT, CLASSES)])
def test_sigmoids_where_one_of_several_classes_is_meant_are_a_warning(y: Any, loss: str) -> None:
    (warning,) = looked(declared(y, dense(3, "sigmoid"), loss)).warnings
    assert warning == (
        f"loss='{loss}' takes the probabilities of 3 classes, which sum to 1; the output (n, 3) "
        "comes out of the last layer, Dense with activation 'sigmoid', each number by itself. "
        "Write activation='softmax' in the last layer; for several classes at once rows of 0 and 1 "
        "as targets, with loss='binary_crossentropy'."
    )


@pytest.mark.parametrize("metric", ["val_accuracy", "accuracy"])
def test_an_accuracy_of_real_numbers_is_a_warning(metric: str) -> None:
    space = declared(REAL, dense(1), "mse", minimize=None, maximize=metric)
    (warning,) = looked(space).warnings
    val = "val_" if metric.startswith("val_") else ""
    assert f"{metric} counts outputs that, rounded to 0 or 1, equal the target" in warning
    assert f"y[0] = {REAL[0]:.6g}: it says" in warning
    assert f"Write minimize='{val}loss' or minimize='{val}mean_absolute_error'." in warning
    looked(declared(REAL, dense(1), "mse", minimize=f"{val}mean_absolute_error"))


@pytest.mark.parametrize(
    ("y", "fields"),
    [
        (BINARY, {"maximize": "val_accuracy"}),  # least squares of two classes
        (REAL, {"minimize": "val_loss"}),
        (REAL, {"maximize": "val_accuracy", "metrics": [metrics.BinaryAccuracy(name="accuracy")]}),
        (REAL, {"maximize": "accuracy", "evaluate": lambda model, data: {"accuracy": 1.0}}),
    ],
)
def test_an_accuracy_that_says_something_passes_without_a_word(y: Any, fields: Any) -> None:
    assert looked(declared(y, dense(1), "mse", **{"minimize": None, **fields})).warnings == ()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_outputs_that_are_no_probabilities_are_a_warning(activation: str) -> None:
    model = Sequential([layers.Input((4,)), layers.Dense(30, activation), layers.Dense(1, "tanh")])
    (warning,) = looked(declared(BINARY, model, TWO)).warnings
    assert "comes out of the last layer, Dense with activation 'tanh'" in warning


@pytest.mark.parametrize("rows", [5, 16, 32])
def test_one_target_for_several_outputs_is_refused_because_fit_raises(rows: int) -> None:
    def fit(y: Any) -> Any:
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
        model.compile("sgd", "mse")
        return model.fit(X, y, batch_size=rows, verbose=0).history["loss"]

    with pytest.raises(
        (ValueError, tf.errors.InvalidArgumentError),
        match=r"Dimensions must be equal|Incompatible shapes",
    ):
        fit(REAL)
    assert np.isfinite(fit(REAL[:, None]))
    refused(
        lambda: looked(declared(REAL, dense(3), "mse")),
        "got one target for 3 outputs, where training fails",
        "for one target that all of them learn give a column, y[:, None].",
    )


@pytest.mark.parametrize(("y", "units"), [(REAL[:, None], 3), (ONE_HOT, 1)])
def test_targets_that_keras_repeats_silently_are_a_warning(y: Any, units: int) -> None:
    (warning,) = looked(declared(y, dense(units), "mse")).warnings
    assert f"the output (n, {units}). Keras repeats it silently. Give both the same" in warning


def test_the_loss_of_one_output_of_several_is_named() -> None:
    x = Input((4,))
    model = Model(x, {"kind": layers.Dense(3, "softmax")(x), "size": layers.Dense(1)(x)})
    both = {"kind": SPARSE, "size": "mse"}
    data = Data((X, {"kind": Y + 1, "size": REAL}), validation=0.25)
    refused(
        lambda: looked(declared(data=data, model=model, loss=both)),
        f"loss['kind']='{SPARSE}' takes",
        "16 rows of y['kind'] of the train part",
    )


def test_the_loss_of_a_phase_is_looked_at() -> None:
    fit = [Fit(), Fit(loss=CLASSES)]
    refused(lambda: looked(declared(fit=fit)), f"fit.1.loss='{CLASSES}' takes a row of 3")


def test_a_model_of_two_outputs_with_one_array_of_targets_says_what_to_give() -> None:
    x = Input((4,))
    first, second = layers.Dense(3, "softmax", name="kind")(x), layers.Dense(1, name="size")(x)
    refused(
        lambda: looked(declared(model=Model(x, [first, second]))),
        "The first batch failed: KeyError",
        "Here x of the train part is (n, 4) float32, y (n,) int64. The model's output is (n, 3) and (n, 1).",
        "The model has 2 outputs, and y is 1 array: give targets and a loss for each",
        "loss={'kind': …, 'size': …}",
    )


def test_a_list_of_losses_for_one_output_is_a_warning() -> None:
    (warning,) = looked(declared(REAL, dense(1), ["mse", "mae"])).warnings
    assert "One output takes one loss, got 2 of them in loss: Keras takes the first" in warning
    assert "Write loss='mse'; for a sum of several write a function" in warning


# A model that does not fit the data


def test_a_model_for_other_inputs_keeps_what_keras_says() -> None:
    model = Sequential([layers.Input((9,)), layers.Dense(3, activation="softmax")])
    refused(
        lambda: looked(declared(model=model)),
        "expected axis -1 of input shape to have value 9, but received input with shape",
        "Here x of the train part is (n, 4) float32, y (n,) int64. The model's output is (n, 3).",
        "The model does not take x: write layers.Input(given.shape) in its first place",
    )


def test_a_model_that_cannot_be_called_says_so_without_an_input() -> None:
    model = Sequential([layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(3, "softmax")])
    refused(
        lambda: looked(declared(model=model)),
        "The first batch failed: ValueError: Input 0 with name",
        "incompatible with the layer: expected min_ndim=4, found ndim=2",
        "Here x of the train part is (n, 4) float32",
        "The first layer takes images, and x is flat rows (n, 4)",
    )


GRAY = np.random.default_rng(0).normal(size=(ROWS, 6, 6)).astype("float32")
FLAT = GRAY.reshape(ROWS, 36)
HEAD = [layers.Flatten(), layers.Dense(3, activation="softmax")]


def fed(x: Any, *first: Any, y: Any = Y, loss: str = SPARSE) -> Space:
    return declared(y, Sequential([*first, *HEAD]), loss, data=Data((x, y), validation=0.25))


@pytest.mark.parametrize("first", [[], [layers.Input(given.shape)]])
@pytest.mark.parametrize(
    ("x", "layer", "texts"),
    [
        (GRAY, layers.Conv2D(2, 3), ["x (n, 6, 6): give x[..., None], which is (n, 6, 6, 1);"]),
        (FLAT, layers.Conv1D(2, 3), ["x (n, 36): give x[..., None], which is (n, 36, 1);"]),
        (FLAT, layers.LSTM(2), ["an axis more, for channels or features", "x[..., None]"]),
        (FLAT, layers.Conv2D(2, 3), ["takes images", "(n, 36): give x.reshape(-1, 6, 6, 1);"]),
        (FLAT[:, :12], layers.Conv2D(2, 2), ["give x.reshape(-1, 2, 2, 3);"]),
        (FLAT[:, :10], layers.Conv2D(2, 2), ["give x.reshape(-1, height, width, channels);"]),
    ],
)
def test_inputs_that_lack_an_axis_are_told_which(
    x: Any, layer: Any, texts: list[str], first: list[Any]
) -> None:
    message = refused(lambda: looked(fed(x, *first, layer)), *texts, "layers.Input(given.shape).")
    assert "Flatten() " not in message.splitlines()[-1]


@pytest.mark.parametrize(
    ("x", "first"),
    [
        (FLAT, [layers.Input(given.shape), layers.Dense(9), layers.Conv2D(2, 3)]),
        (FLAT, [layers.Dense(9), layers.Conv2D(2, 3)]),
        (GRAY, [layers.Conv3D(2, 3)]),
        (GRAY[..., None], [layers.LSTM(2)]),
    ],
)
def test_a_layer_that_does_not_take_what_one_before_it_gives_is_told_as_keras_says(
    x: Any, first: list[Any]
) -> None:
    message = refused(lambda: looked(fed(x, *first)), "incompatible with the layer: expected")
    assert "give x[..., None]" not in message and "x.reshape" not in message


@pytest.mark.parametrize(
    ("y", "units", "activation", "loss"),
    [
        (Y, 3, "softmax", SPARSE),
        (ONE_HOT, 3, "softmax", CLASSES),
        (BINARY, 1, "sigmoid", TWO),
    ],
)
def test_dense_straight_on_images_is_told_to_flatten_them(
    y: Any, units: int, activation: str, loss: str
) -> None:
    model = Sequential([layers.Dense(units, activation=activation)])
    space = declared(y, model, loss, data=Data((GRAY, y), validation=0.25))
    refused(
        lambda: looked(space),
        f"The model gives (n, 6, {units}) where one target stands for a row. Write layers.Flatten()",
    )


def test_one_target_for_a_whole_row_of_outputs_is_a_warning_under_a_loss_that_repeats_it() -> None:
    data = Data((GRAY, REAL), validation=0.25)
    model = Sequential([layers.Dense(1)])
    (warning,) = looked(declared(REAL, model, "mse", data=data)).warnings
    assert "one stands for all of a row: y is (n,), the output (n, 6, 1)" in warning
    assert "Write layers.Flatten() in front of the first layers.Dense" in warning
    one = Sequential([layers.Reshape((1, 36)), layers.Dense(1)])
    assert looked(declared(REAL, one, "mse", data=data)).warnings == ()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"data": Data((X,), validation=0.25)}, "There is no y, which the loss needs: write Data"),
        (
            {"data": Data((X, {"a": Y}), validation=0.25)},
            "The model has one output, and y is a dict: give y as one array.",
        ),
        (
            {"data": Data(tf.data.Dataset.from_tensor_slices((X, Y)), validation=(X, Y))},
            "The elements of the dataset are single rows: write dataset.batch(32).",
        ),
        ({"loss": SPARSE + "y"}, f"Did you mean '{SPARSE}'"),
        ({"y": np.tile(ONE_HOT, (1, 2)), "loss": CLASSES}, "y (n, 6) float32. The model's output"),
        (
            {"y": np.tile(ONE_HOT, (1, 2)), "loss": CLASSES},
            "Give targets of the shape that the loss compares with this output",
        ),
    ],
)
def test_what_keras_says_of_a_first_batch_is_followed_by_what_to_write(
    fields: dict[str, Any], text: str
) -> None:
    refused(lambda: looked(declared(**fields)), "The first batch failed: ", text)


def test_targets_that_a_loss_of_ones_own_does_not_take_are_told_with_their_shapes() -> None:
    def own(y: Any, p: Any) -> Any:
        return keras.ops.matmul(y, p)

    message = refused(
        lambda: looked(declared(ONE_HOT, loss=own)),
        f"The first batch failed: test_bad_data.py:{own.__code__.co_firstlineno + 1}: ",
        "y (n, 3) float32. The model's output is (n, 3).",
        "Look at this line of yours.",
    )
    assert "Graph execution error" not in message


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (X.astype(object), Y, "x holds texts or objects: for numbers write x.astype('float32')"),
        (X.astype(str), Y, "to a model that begins with layers.TextVectorization or StringLookup"),
        (X, np.array(list("abc"))[Y], "y = np.unique(y, return_inverse=True)[1]"),
        (pd.DataFrame(X).assign(e="a"), Y, "x holds texts or objects"),
    ],
)
def test_texts_where_numbers_are_needed_say_how_to_turn_them(x: Any, y: Any, text: str) -> None:
    model = Sequential([layers.Dense(3, activation="softmax")])
    refused(lambda: looked(declared(data=Data((x, y)), model=model, minimize="loss")), text)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_part_of_other_rows_than_the_training_part_is_refused(part: str) -> None:
    parts = {"validation": (X, Y), "test": (X, Y), part: (X[:, :3], Y)}
    refused(
        lambda: looked(declared(data=Data((X, Y), **parts))),
        f"The {part} part of the data does not fit the model: ",
        f"Here x of the {part} part is (n, 3) float32, y (n,) int64; x of the train part is (n, 4)",
        "Prepare both parts by the same function",
    )


def test_a_part_that_may_not_be_scaled_like_the_other_is_a_warning() -> None:
    whole = (X * 100).astype("uint8")
    (warning,) = looked(declared(data=Data((X, Y), validation=(whole, Y)))).warnings
    assert "x of the validation part is (n, 4) uint8" in warning
    assert "x of the train part is (n, 4) float32" in warning
    assert "If one part is scaled, scale both." in warning


def test_a_batch_for_which_there_is_no_memory_says_so_first() -> None:
    def own(y: Any, p: Any) -> Any:
        raise MemoryError("no room")

    message = refused(lambda: looked(declared(loss=own)), "The first batch failed: out of memory:")
    assert "MemoryError: no room" in message


# Which option it is


def test_the_option_that_all_failing_points_share_is_named() -> None:
    loss = choice({"plain": losses.CategoricalCrossentropy(), "sparse": SPARSE}, name="loss")
    model = dense(3, choice(["softmax", "sigmoid"], name="last"))
    rate = optimizers.SGD(choice([0.1, 0.2, 0.3, 0.4], name="rate"))
    found = surveyed(declared(loss=loss, model=model, optimizer=rate))
    (cause,) = found.errors
    assert cause.shared == {"loss": "plain"}
    assert all(point["loss"] == "plain" for point in cause.points)
    assert len(cause.points) == len(found.failed) >= 1
    assert found.looks


def test_the_option_that_all_odd_points_share_is_named() -> None:
    model = dense(1, choice(["sigmoid", "tanh", "hard_sigmoid"], name="last"))
    (cause,) = surveyed(declared(BINARY, model, TWO)).warnings
    assert cause.shared["last"] == "tanh"


def test_one_option_of_the_data_that_is_bad_does_not_hide_the_others() -> None:
    data = choice({"short": Data((X, Y[:5])), "whole": Data((X, Y))}, name="rows")
    space = declared(data=data, minimize="loss")
    assert looked(space).point["rows"] == "whole"
    (cause,) = surveyed(space).errors
    assert cause.shared["rows"] == "short"
    assert "48 rows of x but 5 of y" in cause.text


SPACE = """
from hpsearch import Data, Space, choice, uniform
from hpsearch.keras import Sequential, layers, losses, optimizers
import numpy as np

x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
space = Space(
    data=Data((x, {targets}), validation=0.25),
    model=Sequential([layers.Input((3,)), layers.Dense(1, activation=choice({last}, name="last"))]),
    optimizer=optimizers.SGD(choice([0.1, 0.2, 0.3], name="rate")),
    loss="binary_crossentropy",
    minimize="val_loss",
)
"""


def checked(name: str, **parts: Any) -> Any:
    Path(name).write_text(SPACE.format(**parts))
    return CliRunner().invoke(check_command, [name])


def test_check_prints_an_error_once_with_the_option_it_comes_from(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = checked("s.py", targets="y", last=["sigmoid", None])
    assert ended.exit_code == 1
    (told,) = [part for part in ended.output.split("\n\n") if part.startswith("Cannot be built")]
    assert "loss='binary_crossentropy' takes probabilities" in told
    assert "with last = None" in told
    assert "at {" in told
    capfd.readouterr()
    CliRunner().invoke(check_command, ["s.py", "--json"])
    (cause,) = json.loads(capfd.readouterr().out)["causes"]
    assert cause["shared"] == {"last": None}
    assert cause["example"]["last"] is None


def test_check_prints_warnings_and_ends_well(folder: Path) -> None:
    ended = checked("odd.py", targets="y", last=["sigmoid", "tanh"])
    assert ended.exit_code == 0, ended.output
    assert "Warning: loss='binary_crossentropy' takes probabilities" in ended.output
    assert "last = 'tanh'" in ended.output


def test_check_and_search_refuse_bad_labels_before_any_training(study_folder: Path) -> None:
    ended = checked("bad.py", targets="2 * y - 1", last=["sigmoid", "hard_sigmoid"])
    assert isinstance(ended.exception, BuildError)
    assert "takes targets from 0 to 1" in str(ended.exception)
    with pytest.raises(BuildError, match="takes targets from 0 to 1"):
        hpsearch.search("bad.py", max_trials=2, progress=False)
    assert not list(study_folder.glob("mlruns/studies/*"))


# What is odd and legal


class Batches(keras.utils.PyDataset):
    @property
    def num_batches(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return X[index * 8 : index * 8 + 8], Y[index * 8 : index * 8 + 8]


class Own(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.last = keras.layers.Dense(3)

    def call(self, x: Any) -> Any:
        return keras.ops.softmax(self.last(x))


class OwnLoss(keras.losses.SparseCategoricalCrossentropy):
    """A subclass may mean anything: here one class for every row, whatever the targets."""

    def call(self, y: Any, p: Any) -> Any:
        return super().call(y * 0, p)


class OwnStep(keras.Model):
    """Takes logits and class numbers from 1, whatever its loss is called."""

    def compute_loss(self, x: Any, y: Any, y_pred: Any, *rest: Any, **more: Any) -> Any:
        return super().compute_loss(x, y - 1, keras.ops.softmax(y_pred), *rest, **more)


@delayed
def own_step() -> Any:
    x = keras.Input((4,))
    return OwnStep(x, keras.layers.Dense(3)(x))


@delayed
def softmax_by_hand() -> Any:
    x = keras.Input((4,))
    return keras.Model(x, keras.ops.softmax(keras.layers.Dense(3)(x)))


def two_outputs(as_dict: bool) -> Any:
    x = Input((4,))
    kind, size = layers.Dense(3, "softmax", name="kind")(x), layers.Dense(1, name="size")(x)
    return Model(x, {"kind": kind, "size": size} if as_dict else [kind, size])


def autoencoder() -> Any:
    inner = Sequential([layers.Dense(2), layers.Dense(4, activation="sigmoid")])
    return Sequential([layers.Input((4,)), inner])


def sequences() -> Any:
    return Sequential([layers.Input((4, 1)), layers.LSTM(3, return_sequences=True), *tail()])


def tail() -> list[Any]:
    return [layers.TimeDistributed(layers.Dense(3, activation="softmax"))]


TEXTS = np.array(["red fish", "blue fish", "no fish"] * 16, dtype=object)
IMAGES = np.random.default_rng(0).integers(0, 255, (ROWS, 6, 6, 1)).astype("uint8")
UNIT = np.abs(X) / np.abs(X).max()
BEYOND = np.where(UNIT < 1, UNIT, 1.03).astype("float32")
DATASET = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)

LEGAL: dict[str, dict[str, Any]] = {
    "several outputs with a dict of losses": {
        "data": Data((X, {"kind": Y, "size": REAL}), validation=0.25),
        "model": two_outputs(True),
        "loss": {"kind": SPARSE, "size": "mse"},
    },
    "several outputs in a list with losses by name": {
        "data": Data((X, [Y, REAL]), validation=0.25),
        "model": two_outputs(False),
        "loss": {"kind": SPARSE, "size": losses.Huber()},
    },
    "an output without a loss": {
        "data": Data((X, {"kind": Y, "size": REAL}), validation=0.25),
        "model": two_outputs(True),
        "loss": {"size": "mse"},
    },
    "inputs in a dict": {
        "data": Data(({"a": X, "b": X}, Y), validation=0.25),
        "model": (lambda a, b: Model({"a": a, "b": b}, layers.Dense(3, "softmax")(a + b)))(
            Input((4,), name="a"), Input((4,), name="b")
        ),
    },
    "a tf.data.Dataset": {"data": Data(DATASET, validation=DATASET)},
    "a PyDataset and arrays for validation": {"data": Data(Batches(), validation=(X, Y))},
    "weights of classes": {"fit": Fit(class_weight={0: 1.0, 1: 2.0, 2: 0.0})},
    "weights of rows, some of them 0": {
        "data": Data((X, Y, (Y > 0).astype("float32")), validation=0.25)
    },
    "smoothed one-hot targets": {
        "y": ONE_HOT * 0.9 + 0.1 / 3,
        "loss": losses.CategoricalCrossentropy(label_smoothing=0.1),
    },
    "logits": {
        "model": dense(3),
        "loss": losses.SparseCategoricalCrossentropy(from_logits=True),
    },
    "logits of a linear Activation": {
        "y": BINARY,
        "model": Sequential([layers.Dense(1), layers.Activation("linear")]),
        "loss": losses.BinaryCrossentropy(from_logits=True),
    },
    "a softmax in an Activation layer": {
        "model": Sequential([layers.Dense(3), layers.Activation("softmax"), layers.Dropout(0.1)])
    },
    "a softmax by keras.ops": {"model": softmax_by_hand()},
    "a subclassed model": {"model": delayed(Own)()},
    "a model inside a model": {"y": UNIT, "model": autoencoder(), "loss": TWO},
    "regression with negative targets": {"y": REAL, "model": dense(1), "loss": "mae"},
    "counts with an exponential": {
        "y": np.arange(ROWS),
        "model": dense(1, "exponential"),
        "loss": "poisson",
    },
    "class numbers as a column of floats": {"y": Y[:, None].astype("float32")},
    "amounts that categorical cross-entropy divides by their sum": {
        "y": ONE_HOT,
        "model": dense(3, "softplus"),
        "loss": CLASSES,
    },
    "several labels at once": {
        "y": (X[:, :3] > 0).astype("int64"),
        "model": dense(3, "sigmoid"),
        "loss": TWO,
    },
    "two softmax units and binary cross-entropy": {
        "y": np.eye(2)[BINARY],
        "model": dense(2, "softmax"),
        "loss": TWO,
    },
    "targets of -1 and 1 for the hinge": {"y": 2 * BINARY - 1, "model": dense(1), "loss": "hinge"},
    "a loss of one's own": {
        "y": Y - 7,
        "model": dense(2),
        "loss": lambda y, p: keras.ops.mean(p, axis=-1),
    },
    "a subclass of a loss": {"y": Y + 5, "loss": delayed(OwnLoss)()},
    "a step of one's own": {"y": Y + 1, "model": own_step()},
    "a loss that Keras chooses by the shapes": {"loss": "crossentropy"},
    "a frozen linear layer that mixes probabilities": {
        "model": Sequential(
            [
                layers.Dense(3, activation="softmax"),
                layers.Dense(3, use_bias=False, kernel_initializer="identity", trainable=False),
            ]
        )
    },
    "texts for a TextVectorization": {
        "data": Data((TEXTS, Y), validation=0.25),
        "model": Sequential(
            [
                adapted(layers.TextVectorization(output_sequence_length=3), on=given.train),
                layers.Embedding(9, 2),
                layers.Flatten(),
                layers.Dense(3, activation="softmax"),
            ]
        ),
    },
    "texts in a tensor": {
        "data": Data((tf.constant(TEXTS), Y), validation=0.25, test=(tf.constant(TEXTS), Y)),
        "model": Sequential(
            [
                layers.StringLookup(vocabulary=sorted(set(TEXTS))),
                layers.Embedding(4, 2),
                layers.Dense(3, activation="softmax"),
            ]
        ),
    },
    "images of whole numbers": {
        "data": Data((IMAGES, Y), validation=0.25),
        "model": Sequential(
            [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(3, activation="softmax")]
        ),
    },
    "a class for each step of a sequence": {
        "data": Data((X[:, :, None], np.tile(Y[:, None], (1, 4))), validation=0.25),
        "model": sequences(),
    },
    "longer sequences for the test": {
        "data": Data((X[:, :, None], Y), test=(np.tile(X, (1, 2))[:, :, None], Y)),
        "model": Sequential(
            [layers.Input((None, 1)), layers.LSTM(2), *[layers.Dense(3, "softmax")]]
        ),
        "minimize": "loss",
    },
    "a table of whole and real numbers": {
        "data": Data((pd.DataFrame(X).assign(n=1), pd.Series(Y)), validation=0.25),
        "model": Sequential([layers.Dense(3, activation="softmax")]),
    },
    "a metric and a loss on several outputs": {
        "data": Data((X, [Y, Y]), validation=0.25),
        "model": (
            lambda x: Model(x, [layers.Dense(3, "softmax")(x), layers.Dense(4, "softmax")(x)])
        )(Input((4,))),
        "metrics": [[metrics.SparseCategoricalAccuracy()], None],
    },
    "a stratified split": {"data": Data((X, Y), validation=Holdout(0.25, stratify=True))},
}


@pytest.mark.parametrize("name", LEGAL)
def test_what_is_odd_and_legal_passes_without_a_word(name: str) -> None:
    assert looked(declared(**LEGAL[name])).warnings == ()


SCALED = {
    "model": autoencoder(),
    "loss": TWO,
    "fit": Fit(epochs=1),
}

ODD: dict[str, tuple[dict[str, Any], str]] = {
    "scaled inputs, one of which is above 1 in the validation part": (
        {**SCALED, "data": Data((UNIT, UNIT), validation=(BEYOND, BEYOND))},
        "one row of y of the validation part is outside",
    ),
    "scaled inputs, one of which is below 0 in the test part": (
        {**SCALED, "data": Data((UNIT, UNIT), validation=(UNIT, UNIT), test=(UNIT, -BEYOND / 9))},
        "rows of y of the test part are outside",
    ),
    "probabilities of each class by a sigmoid": (
        {"model": dense(3, "sigmoid")},
        "which sum to 1; the output (n, 3) comes out of the last layer, Dense with activation",
    ),
    "several heads that learn one target": (
        {"data": Data((X, REAL[:, None]), validation=0.25), "model": dense(5), "loss": "mse"},
        "Keras repeats it silently",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_and_trained_by_keras_passes_with_a_warning(name: str) -> None:
    fields, text = ODD[name]
    space = declared(**fields)
    found = looked(space)
    (warning,) = found.warnings
    assert text in warning
    job = Job(Key("test", 0), found.point, seed=0)
    (outcome,) = KerasEngine(space, 3).run(Task((job,)), lambda report: False)
    assert outcome.status is Status.OK, outcome.error
