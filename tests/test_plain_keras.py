"""A trial printed as plain Keras runs, and does what the trial did."""

import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest

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
from hpsearch.errors import PointError
from hpsearch.keras import (
    Input,
    Model,
    Sequential,
    callbacks,
    layers,
    losses,
    optimizers,
    regularizers,
)
from hpsearch.plain_keras import plain_keras
from hpsearch.space import load
from hpsearch.train import KerasEngine
from hpsearch.trial import Job, Key, Status, Task

# Keras 3.15 on NumPy 2 warns so when TensorFlow variables become arrays.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X = np.random.default_rng(0).normal(size=(60, 6)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int64")
SEED, STUDY_SEED = 11, 3
CLASS = "sparse_categorical_crossentropy"
SCALE = 2.0


def points(space, count, seed=0):
    draw = random.Random(seed)
    return [
        space.parameters.complete(lambda p: p.word.quantile(draw.random())) for _ in range(count)
    ]


def trained(space, point, folder):
    """The model as the engine trains it."""
    import keras

    keras.backend.clear_session()
    path = str(folder / "trial.keras")
    task = Task((Job(Key("s", 0), point, SEED),), folder=str(folder), model=path)
    engine = KerasEngine(space, STUDY_SEED)
    outcome = engine.run(task, lambda report: False)[0]
    assert outcome.status is Status.OK, outcome.traceback
    keras.backend.clear_session()
    return keras.models.load_model(path, custom_objects={"swish": swish})


def printed(space, point):
    return plain_keras(space, point, seed=SEED, study_seed=STUDY_SEED, name="Trial 0")


def ran(text, **arrays):
    """What running the script leaves behind; `arrays` is what its `load` returns."""
    import keras

    keras.backend.clear_session()
    assert "hpsearch" not in text
    if arrays:
        start = text.index("    raise NotImplementedError")
        end = text.index("\n", start)
        values = ", ".join(f"ARRAYS[{name!r}]" for name in arrays)
        text = f"{text[:start]}    return {values}{text[end:]}"
    left = {"__name__": "script", "ARRAYS": arrays}
    exec(compile(text, "script.py", "exec"), left)
    return left


def assert_same(space, point, folder, **arrays):
    """The script and the engine make the same configuration and the same weights."""
    text = printed(space, point)
    model = ran(text, **arrays)["model"]
    other = trained(space, point, folder)
    assert json.loads(model.to_json())["config"] == json.loads(other.to_json())["config"]
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return text


def small(model, **arguments):
    """A space on the arrays of this file."""
    given_arguments = {
        "data": Data((X, Y), validation=0.25),
        "optimizer": optimizers.Adam(loguniform(1e-3, 1e-1)),
        "loss": CLASS,
        "fit": Fit(batch_size=16, epochs=1),
        "maximize": "val_accuracy",
    }
    return Space(model=model, **(given_arguments | arguments))


def out():
    return layers.Dense(given.classes, activation="softmax")


def test_the_digits_space_prints_a_script_that_trains_to_the_same_weights(tmp_path):
    space = load("digits_mlp").space
    point = {**points(space, 1)[0], "fit.batch_size": 64}
    text = assert_same(space, point, tmp_path)
    assert "# model.dense.units" in text
    assert "# given.classes" in text
    assert "from sklearn" in text
    assert 'monitor="val_accuracy"' in text


def test_the_script_runs_in_a_process_of_its_own(tmp_path):
    space = small(Sequential([layers.Dense(choice([4, 8]), activation="relu"), out()]))
    point = points(space, 1)[0]
    text = printed(space, point).replace(
        'raise NotImplementedError("load x, y here")',
        f"return np.load({str(tmp_path / 'x.npy')!r}), np.load({str(tmp_path / 'y.npy')!r})",
    )
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    text = (
        "import numpy as np\n" + text + f"model.save_weights({str(tmp_path / 'm.weights.h5')!r})\n"
    )
    (tmp_path / "script.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "script.py"],
        cwd=tmp_path,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    other = trained(space, point, tmp_path)
    before = [w.copy() for w in other.get_weights()]
    other.load_weights(tmp_path / "m.weights.h5")
    for ours, theirs in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_functional_model_with_two_inputs_keeps_its_tensors_and_shared_layers(tmp_path):
    left, right = Input((4,), name="left"), Input((2,), name="right")
    shared = layers.Dense(integer(3, 5), activation="relu")
    a = shared(layers.Dense(4)(left))
    b = shared(layers.Dense(4, activation=choice(["tanh", "relu"]))(right))
    joined = layers.Concatenate()([a, maybe(layers.Dropout(uniform(0, 0.5)))(b)])
    skip = joined + layers.Dense(given.classes)(joined)[:, :1]
    model = Model({"left": left, "right": right}, out()(skip))
    data = {"left": X[:, :4], "right": X[:, 4:]}
    space = small(model, data=Data((data, Y), validation=Holdout(0.25)))
    point = space.parameters.complete(lambda parameter: parameter.word.quantile(0.7))
    text = assert_same(space, point, tmp_path, x=data, y=Y)
    assert "dense_layer = keras.layers.Dense(5" in text
    assert "keras.layers.Dropout(0.35)(dense_3)  # model.dropout.rate" in text


def test_lists_repeats_and_switches_become_the_layers_that_are_there(tmp_path):
    depth = choice(["three", "four"], name="depth")
    activation = choice(["relu", "selu"], name="activation")

    def block(i):
        return [
            layers.Dense(
                choice([8, 16]) // 2**i,
                activation=activation,
                kernel_initializer=match(activation, {"selu": "lecun_normal", "relu": "he_normal"}),
            ),
            maybe(layers.Dropout(uniform(0.1, 0.5))),
        ]

    space = small(
        Sequential(
            [
                adapted(layers.Normalization(), on=given.train),
                repeat(block, times=integer(0, 2)),
                choice(
                    {
                        "plain": [layers.Dense(4)],
                        "normal": [layers.Dense(3), layers.LayerNormalization()],
                    }
                ),
                when(depth == "four", [layers.Dense(5), layers.Activation("relu")]),
                out(),
            ]
        )
    )
    texts = [assert_same(space, point, tmp_path, x=X, y=Y) for point in points(space, 2, seed=2)]
    assert "normalization.adapt(x_train)" in texts[0]
    assert any("model.block.0.dense.units // 1" in text for text in texts)


def test_a_schedule_class_weights_and_a_loss_keep_their_numbers(tmp_path):
    space = small(
        Sequential([layers.Dense(4, activation="relu"), out()]),
        optimizer=optimizers.Adam(
            optimizers.schedules.CosineDecay(loguniform(1e-3, 1e-1), decay_steps=given.steps)
        ),
        loss=losses.SparseCategoricalCrossentropy(ignore_class=None),
        metrics=["accuracy"],
        fit=Fit(
            batch_size=choice([8, 16]),
            epochs=1,
            class_weight={0: 1.0, 1: uniform(1, 5)},
            callbacks=[callbacks.TerminateOnNaN()],
        ),
    )
    point = {**points(space, 1)[0], "fit.batch_size": 8}
    text = assert_same(space, point, tmp_path, x=X, y=Y)
    assert "decay_steps=6,  # given.steps" in text
    assert "# fit.class_weight.1" in text
    assert "keras.callbacks.TerminateOnNaN()" in text


def freeze(model):
    model.layers[0].trainable = False


def network(units, rate):
    import keras

    stack = [keras.layers.Dense(units, activation=swish), keras.layers.Dropout(rate)]
    return keras.Sequential([*stack, keras.layers.Dense(2, activation="softmax")])


def swish(x):
    return SCALE * x * Tools.squash(x)


class Tools:
    """Stands for a class of the user's own."""

    @staticmethod
    def squash(x):
        import keras

        return keras.ops.sigmoid(x)


@delayed
def rows(count, scale=1.0):
    return (scale * X_SMALL[:count], np.arange(count) % 2)


X_SMALL = [[float(i + j) for j in range(3)] for i in range(20)]


def test_delayed_functions_bring_their_source_and_phases_come_in_order(tmp_path):
    space = small(
        delayed(network)(choice([4, 6]), rate=uniform(0, 0.5)),
        data=Data(table(choice([12, 16])), validation=table(8)),
        fit=[
            Fit(epochs=1, batch_size=8),
            Fit(epochs=1, prepare=freeze, optimizer=optimizers.SGD(loguniform(1e-3, 1e-2))),
        ],
        keep="last",
    )
    text = assert_same(space, points(space, 1)[0], tmp_path)
    assert "def swish(x):" in text and "SCALE = 2.0" in text and "class Tools:" in text
    assert text.index("freeze(model)") < text.rindex("model.compile(")
    assert "# fit.1.optimizer.learning_rate" in text


def test_a_first_phase_with_an_optimizer_and_a_loss_of_its_own_compiles_with_them(tmp_path):
    fit = Fit(
        epochs=2,
        batch_size=8,
        optimizer=optimizers.SGD(loguniform(1e-3, 1e-1)),
        loss=losses.SparseCategoricalCrossentropy(),
        prepare=freeze,
    )
    space = small(
        Sequential([layers.Dense(choice([3, 5])), out()]), optimizer="adam", fit=fit, keep="last"
    )
    text = assert_same(space, points(space, 1)[0], tmp_path, x=X, y=Y)
    assert text.count("model.compile(") == 2
    assert text.index("freeze(model)") < text.rindex("optimizer=keras.optimizers.SGD(")


def penalty(y, p):
    import keras

    return keras.ops.mean((keras.ops.one_hot(keras.ops.reshape(y, (-1,)), 2) - p) ** 2)


def compiled_network(units):
    import keras

    model = network(units, 0.0)
    model.compile(keras.optimizers.SGD(0.5), penalty, loss_weights=[0.5], metrics=["accuracy"])
    return model


@pytest.mark.parametrize(
    "phase",
    [
        Fit(prepare=freeze),
        Fit(optimizer=optimizers.Adam(0.01)),
        Fit(loss=losses.SparseCategoricalCrossentropy()),
    ],
)
def test_a_later_phase_compiles_a_compiled_model_as_its_function_did(tmp_path, phase):
    space = small(
        delayed(compiled_network)(choice([4, 6])),
        optimizer=None,
        loss=None,
        fit=[Fit(epochs=1, batch_size=8), phase],
        keep="last",
    )
    text = assert_same(space, points(space, 1)[0], tmp_path, x=X, y=Y)
    assert "compile_again(model" in text and "import inspect" in text


def test_a_seed_of_more_than_32_bits_is_written_as_keras_takes_it(tmp_path):
    space = small(
        Sequential([layers.Dense(choice([3, 5])), out()]),
        data=Data(table(12), validation=Holdout(0.25)),
    )
    text = plain_keras(space, points(space, 1)[0], seed=SEED, study_seed=2**40 + 5, name="T")
    assert "keras.utils.set_random_seed(5)" in text
    assert f"default_rng({2**40 + 5})" in text
    assert ran(text)["model"].built


def test_the_folder_of_a_trial_is_that_of_the_script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    logger = callbacks.CSVLogger(given.folder + "/log.csv")
    space = small(
        Sequential([layers.Dense(choice([3, 5])), out()]),
        fit=Fit(epochs=1, callbacks=[logger]),
        keep="last",
    )
    text = printed(space, points(space, 1)[0])
    assert 'keras.callbacks.CSVLogger("./log.csv")' in text
    assert list(tmp_path.iterdir()) == []
    ran(text, x=X, y=Y)
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


@delayed
def table(count):
    """Rows of three numbers."""
    return np.asarray(X_SMALL[:count]), np.arange(count) % 2


def test_what_has_no_source_gets_a_name_and_a_comment(tmp_path):
    left = {}
    exec("def typed(units):\n    return None\nlater = typed", left)
    model = Sequential([layers.Dense(4, kernel_initializer=delayed(left["typed"])(3)), out()])
    text = printed(small(model), points(small(model), 1)[0])
    assert "def typed(*args, **kwargs):" in text
    assert "put typed here: its source was not on record" in text


def test_arrays_in_place_are_asked_for_with_their_shapes():
    space = small(
        Sequential([layers.Dense(2), out()]), data=Data((X, Y, np.ones(60)), validation=(X, Y))
    )
    text = printed(space, points(space, 1)[0])
    assert "x_train: float32 of shape (60, 6)" in text
    with pytest.raises(
        NotImplementedError, match="load x_train, y_train, weight_train, x_validation"
    ):
        ran(text)


def test_a_list_of_numbers_and_a_table_become_arrays_as_in_the_study(tmp_path):
    space = small(
        Sequential([layers.Dense(2), out()]), data=Data((X.tolist(), Y.tolist()), validation=0.25)
    )
    text = assert_same(space, points(space, 1)[0], tmp_path, x=X.tolist(), y=Y.tolist())
    assert "x = np.asarray(x)" in text


def test_a_dataset_is_given_to_fit_as_it_is(tmp_path):
    space = small(
        Sequential(
            [adapted(layers.Normalization(), on=given.train), layers.Dense(2), layers.Dense(2)]
        ),
        data=Data(batches(0, size=choice([8, 12])), validation=batches(40, size=8)),
        loss=losses.SparseCategoricalCrossentropy(from_logits=True),
        fit=Fit(epochs=1),
    )
    text = assert_same(space, points(space, 1)[0], tmp_path)
    assert "normalization.adapt(train.map(lambda *element: element[0]))" in text
    assert "validation_data=validation" in text


@delayed
def batches(start, size):
    """Batches of 20 rows of three numbers."""
    import tensorflow as tf

    x = np.random.default_rng(start).normal(size=(20, 3)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, np.arange(20) % 2)).batch(size)


def score(model, data):
    return {
        "share": float(
            (model.predict(data.validation.x, verbose=0).argmax(1) == data.validation.y).mean()
        )
    }


def loop(model, data, report, rate):
    import keras

    optimizer = keras.optimizers.SGD(rate)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
    loss = model.train_on_batch(data.train.x, data.train.y)
    report({"loss": float(loss)})


def test_own_scores_and_own_loops_are_called_with_the_data(tmp_path, capsys):
    import functools

    space = Space(
        data=Data((X, Y), validation=0.25),
        model=Sequential([layers.Dense(choice([3, 5])), out()]),
        train=functools.partial(loop, rate=loguniform(1e-3, 1e-1)),
        evaluate=score,
        maximize="share",
    )
    text = assert_same(space, points(space, 1)[0], tmp_path, x=X, y=Y)
    assert "partial(loop, rate=" in text
    assert "'share'" in capsys.readouterr().out
    assert "these are those of the last" not in text  # no epoch reports the share


def test_a_point_of_another_space_is_refused():
    space = small(Sequential([layers.Dense(choice([3, 5])), out()]))
    with pytest.raises(PointError, match="has no label 'units_of_another'"):
        printed(space, {"units_of_another": 3})


def test_a_function_of_a_space_file_is_copied_wherever_the_file_lies(tmp_path):
    """A ready space of an installed hpsearch is a file like any other: nothing imports its module."""
    folder = tmp_path / "site-packages" / "hpsearch" / "spaces"
    folder.mkdir(parents=True)
    ready = load("xor")
    (folder / "xor.py").write_text(ready.source)
    space = load(str(folder / "xor.py")).space
    text = printed(space, space.check(space.baselines["notes"]))
    assert "def error(model, data):" in text and "hpsearch_space_" not in text


@pytest.mark.parametrize("value", [None, "batch_normalization"])
def test_an_option_of_no_layer_leaves_no_trace_in_a_list(value):
    norm = choice([None, layers.BatchNormalization()], name="norm")
    space = small(Sequential([layers.Dense(4), norm, layers.Dense(3, activation="softmax")]))
    text = printed(space, space.check({"norm": value, "learning_rate": 0.01}))
    assert ("BatchNormalization" in text) is (value is not None)
    assert not [line for line in text.splitlines() if line.strip().startswith("None")]


@delayed
def rows_by_seed():
    draw = np.random.default_rng(SEED)  # the global of this file, which is not the trial's seed
    x = draw.normal(size=(40, 3)).astype("float32")
    return Data((x, np.arange(40) % 2), validation=Holdout(0.25))


order = 3


def ordered(y, p):
    import keras

    return order * keras.losses.sparse_categorical_crossentropy(y, p)


def test_a_global_of_the_file_keeps_its_name_and_the_script_takes_another(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "SEED", 42)
    space = small(
        Sequential([layers.Dense(choice([3, 5])), out()]), data=rows_by_seed(), loss=ordered
    )
    trial_seed = 1835504127
    point = points(space, 1)[0]
    text = plain_keras(space, point, seed=trial_seed, study_seed=STUDY_SEED, name="Trial 0")
    lines = text.splitlines()
    assert f"SEED_1 = {trial_seed}" in lines and "SEED = 42" in lines
    assert "keras.utils.set_random_seed(SEED_1)" in lines
    assert "order = 3" in lines and any(line.startswith("order_1 = np.random") for line in lines)
    left = ran(text)
    assert left["SEED"] == 42 and left["order"] == 3


def test_an_argument_that_is_off_is_left_out_where_that_is_what_keras_does(tmp_path):
    penalty = maybe(regularizers.L2(loguniform(1e-5, 1e-2)))
    space = small(
        Sequential([layers.Dense(4, kernel_regularizer=penalty), out()]),
        optimizer=optimizers.Adam(0.01, clipnorm=maybe(0.5), beta_1=0.8),
    )
    off = space.check({"kernel_regularizer": False, "clipnorm": False})
    text = assert_same(space, off, tmp_path, x=X, y=Y)
    assert "None" not in text
    assert "optimizer=keras.optimizers.Adam(0.01, beta_1=0.8)," in text
    text = printed(space, {"kernel_regularizer": False, "clipnorm": True})
    assert "clipnorm=0.5" in text
