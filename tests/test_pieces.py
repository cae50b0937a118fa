"""The pieces: every option builds, trains, is saved and loaded; what each says of itself holds."""

import doctest
import inspect
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
from documents import DOCS, blocks, code_of

from hpsearch import Data, Fit, Space, choice, integer, loguniform, repeat
from hpsearch.declare import Recorder
from hpsearch.errors import HpsearchError, SpaceError
from hpsearch.keras import Sequential, layers
from hpsearch.plain_keras import plain_keras
from hpsearch.preflight import Here, survey
from hpsearch.space import space_of
from hpsearch.spaces.pieces import (
    activations,
    callbacks,
    losses,
    optimizers,
    regularizers,
    subset,
)
from hpsearch.spaces.pieces import (
    blocks as block_pieces,
)
from hpsearch.spaces.pieces import (
    initializers as initializer_pieces,
)
from hpsearch.train import KerasEngine
from hpsearch.trial import Job, Key, Status, Task

MODULES = (
    subset, activations, losses, optimizers, regularizers, initializer_pieces, block_pieces, callbacks
)  # fmt: skip
LAYERS = (
    "sigmoid", "softmax", "relu", "leaky_relu", "elu", "prelu", "tanh", "softplus",
    "softplus_beta", "gelu", "silu", "linear", "absolute",
)  # fmt: skip
OPTIMIZERS = ("sgd", "rmsprop", "adam", "adamw", "nadam", "adagrad", "lion")
SMALL = {"low": 2, "high": 4}
DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(8, 5)).astype("float32")
IMAGES = DRAW.normal(size=(8, 6, 5, 2)).astype("float32")
REAL = DRAW.normal(size=(8, 1)).astype("float32")
CLASSES = np.arange(8) % 3


def space(*parts, x=X, y=REAL, optimizer="sgd", loss="mse", calls=(), out=None):
    """A space of few rows around a piece; one batch to train on, one to validate callbacks."""
    return Space(
        data=Data((x, y), validation=0.5 if calls else None),
        model=Sequential([*parts, layers.Dense(1) if out is None else out]),
        optimizer=optimizer,
        loss=loss,
        fit=Fit(batch_size=len(x), callbacks=list(calls)),
        minimize="loss",
        run_eagerly=True,  # one batch does not repay the tracing
    )


def three(activation=None):
    return layers.Dense(3, activation=activation)


def every_optimizer(name):
    piece = getattr(optimizers, name)
    return space(optimizer=piece(clipnorm=True, schedules=optimizers.SCHEDULES))


PIECES = {
    "activation": lambda: space(
        layers.Dense(4, activation=activations.activation(among=activations.NAMES))
    ),
    "activation_layer": lambda: space(
        layers.Dense(4), activations.activation_layer(among=LAYERS, name="act")
    ),
    "regression_loss": lambda: space(loss=losses.regression_loss()),
    "binary_loss": lambda: space(
        y=CLASSES % 2, loss=losses.binary_loss(), out=layers.Dense(1, activation="sigmoid")
    ),
    "binary_loss of logits": lambda: space(y=CLASSES % 2, loss=losses.binary_loss(True)),
    "class_loss": lambda: space(y=CLASSES, loss=losses.class_loss(), out=three("softmax")),
    "class_loss of logits": lambda: space(y=CLASSES, loss=losses.class_loss(True), out=three()),
    "class_loss of one-hot": lambda: space(
        y=np.eye(3)[CLASSES], loss=losses.class_loss(one_hot=True), out=three("softmax")
    ),
    "class_loss of one-hot logits": lambda: space(
        y=np.eye(3)[CLASSES], loss=losses.class_loss(True, one_hot=True), out=three()
    ),
    **{name: lambda name=name: every_optimizer(name) for name in OPTIMIZERS},
    "optimizer": lambda: space(optimizer=optimizers.optimizer(among=OPTIMIZERS)),
    "dropout": lambda: space(layers.Dense(4), regularizers.dropout()),
    "spatial_dropout": lambda: space(
        regularizers.spatial_dropout(), layers.Flatten(), x=IMAGES
    ),
    "gaussian_dropout": lambda: space(layers.Dense(4), regularizers.gaussian_dropout()),
    "weight_decay": lambda: space(
        layers.Dense(4, kernel_regularizer=regularizers.weight_decay())
    ),
    "max_norm": lambda: space(layers.Dense(4, kernel_constraint=regularizers.max_norm())),
    "normalization": lambda: space(layers.Dense(4), block_pieces.normalization()),
    "initializer": lambda: space(
        layers.Dense(
            4,
            kernel_initializer=initializer_pieces.initializer(("glorot", "he", "lecun", "orthogonal")),
        )
    ),
    "units": lambda: space(layers.Dense(block_pieces.units(high=32))),
    "dense_block": lambda: space(block_pieces.dense_block(**SMALL)),
    "convolution_block": lambda: space(
        block_pieces.convolution_block(filters=2), layers.Flatten(), x=IMAGES
    ),
    "extra_layers": lambda: space(block_pieces.extra_layers(most=2, **SMALL)),
    "fourth_layer": lambda: space(block_pieces.fourth_layer()),
    "head": lambda: space(
        x=IMAGES, y=CLASSES, loss=losses.class_loss(), out=block_pieces.head()
    ),
    "early_stopping": lambda: space(calls=[callbacks.early_stopping(patience=integer(1, 3))]),
    "reduce_on_plateau": lambda: space(calls=[callbacks.reduce_on_plateau()]),
}  # fmt: skip


def covering(space):
    """Points that together take every option and both ends of every range."""
    table = space.parameters
    ends = {label: itertools.cycle(p.word.ends()) for label, p in table.items()}
    left = {(label, json.dumps(end)): end for label, p in table.items() for end in p.word.ends()}
    while left:
        (label, _), end = next(iter(left.items()))
        switches = {  # of those that are an option: others come round
            guard.labels[0]: guard.expected
            for guard in table[label].places[0]
            if len(guard.labels) == 1 and guard.condition is table[guard.labels[0]].word
        }
        asked = {**switches, label: end}
        point = table.complete(
            lambda p: asked[p.label] if p.label in asked else next(ends[p.label])  # noqa: B023
        )
        for key in [(label, json.dumps(value)) for label, value in point.items()]:
            left.pop(key, None)
        yield point


def trained(space, point, folder):
    """The engine, the job and the file of a trial that has trained on one batch."""
    engine, job = KerasEngine(space, 1), Job(Key("study", 0), point, seed=2)
    path = str(folder / "trial.keras")
    (outcome,) = engine.run(Task((job,), folder=str(folder), model=path), lambda report: False)
    assert outcome.status is Status.OK, outcome.traceback
    return engine, job, path


def labels(*parts):
    return list(space_of({"model": Sequential(list(parts))})[0])


@pytest.mark.parametrize("name", PIECES)
def test_every_option_of_a_piece_trains_and_is_saved_and_loaded(name, folder):
    import keras

    keras.backend.clear_session()
    whole = PIECES[name]()
    for point in covering(whole):
        engine, job, path = trained(whole, point, folder)
        loaded = keras.models.load_model(path)
        declared, _ = engine.compiled(job)  # as it was before training: the seed is the same
        pairs = zip(declared.trainable_weights, loaded.trainable_weights, strict=True)
        assert any((before != after).numpy().any() for before, after in pairs), point
        declared.set_weights(loaded.get_weights())
        x = engine.sample(job)
        np.testing.assert_array_equal(loaded(x).numpy(), declared(x).numpy())


def test_every_piece_is_tried_here():
    names = {name for module in MODULES[1:] for name, _ in public(module)}
    inside = {"softplus", "absolute", "schedule", "scheduled"}  # of activation_layer, of each rate
    assert names - inside == {name.partition(" ")[0] for name in PIECES}


LOADING = """
import json, sys
import keras, numpy as np
x = np.load("x.npy")
for name in json.loads(sys.argv[1]):
    answer = keras.models.load_model(f"{name}.keras")(x).numpy()
    np.testing.assert_array_equal(answer, np.load(f"{name}.npy"), err_msg=name)
assert not [name for name in sys.modules if name.startswith("hpsearch")]
print("loaded")
"""


def test_every_activation_layer_loads_in_a_process_without_hpsearch(folder):
    np.save(folder / "x.npy", X)
    whole = PIECES["activation_layer"]()
    saved = set()
    for point in covering(whole):
        model, name = built(whole, point), point["act"]
        model.save(folder / f"{name}.keras")
        np.save(folder / f"{name}.npy", model(X).numpy())
        saved.add(name)
    assert saved == set(LAYERS)
    done = subprocess.run(
        [sys.executable, "-c", LOADING, json.dumps(sorted(saved))],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "loaded", done.stderr[-2000:]


# Labels


ALONE = {
    "activation_layer": lambda: activations.activation_layer(among=LAYERS, name=None),
    "dropout": regularizers.dropout,
    "normalization": lambda: block_pieces.normalization(name=None),
    "dense_block": block_pieces.dense_block,
    "convolution_block": block_pieces.convolution_block,
    "extra_layers": block_pieces.extra_layers,
    "units": lambda: layers.Dense(block_pieces.units()),
    "weight_decay": lambda: layers.Dense(1, kernel_regularizer=regularizers.weight_decay()),
    "initializer": lambda: layers.Dense(1, kernel_initializer=initializer_pieces.initializer()),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_piece_that_stands_twice_has_parameters_of_its_own_in_each_place(name):
    once = labels(ALONE[name]())
    twice = labels(ALONE[name](), ALONE[name]())
    assert once and len(set(twice)) == 2 * len(once)
    assert set(once) <= set(twice)


@pytest.mark.parametrize(
    ("piece", "expected"),
    [
        (block_pieces.normalization, ["normalization"]),
        (
            lambda: activations.activation_layer(among=["relu", "elu"]),
            ["activation_layer", "activation_layer.elu.alpha"],
        ),
        (block_pieces.head, ["head", "head.flatten.dense.units", "head.flatten.dropout.rate"]),
        (block_pieces.fourth_layer, ["depth", "between"]),
    ],
)
def test_a_piece_with_a_name_is_one_parameter_in_however_many_places(piece, expected):
    assert labels(piece()) == expected
    assert labels(piece(), layers.Dense(2), piece()) == expected


def test_one_name_for_two_subsets_is_refused():
    with pytest.raises(SpaceError, match="Two words have the label 'normalization'"):
        labels(block_pieces.normalization(), block_pieces.normalization(among=("none", "layer")))


def test_blocks_are_labelled_by_layer_and_number():
    assert labels(
        repeat(lambda i: block_pieces.convolution_block(), times=2), block_pieces.head()
    ) == [
        "model.block.0.conv2d.filters",
        "model.block.0.conv2d.kernel_size",
        "model.block.0.batch_normalization",
        "model.block.1.conv2d.filters",
        "model.block.1.conv2d.kernel_size",
        "model.block.1.batch_normalization",
        "head",
        "head.flatten.dense.units",
        "head.flatten.dropout.rate",
    ]
    assert labels(block_pieces.extra_layers(most=1)) == [
        "model.extra.times",
        "model.extra.0.dense.units",
        "model.extra.0.batch_normalization",
        "model.extra.0.dropout.rate",
    ]
    assert labels(block_pieces.fourth_layer()) == ["depth", "between"]


CONDITIONAL = {
    "activation_layer": (
        "act",
        {
            "leaky_relu": {"act.leaky_relu.negative_slope"},
            "elu": {"act.elu.alpha"},
            "softplus_beta": {"act.softplus_beta.beta"},
        },
    ),
    "regression_loss": ("loss", {"huber": {"loss.huber.delta"}}),
    "binary_loss": ("loss", {"smooth": {"loss.smooth.label_smoothing"}}),
    "class_loss of one-hot": ("loss", {"smooth": {"loss.smooth.label_smoothing"}}),
    "optimizer": (
        "optimizer",
        {
            "sgd": {"optimizer.sgd.momentum", "optimizer.sgd.nesterov"},
            "adamw": {"optimizer.adamw.weight_decay"},
            "lion": {"optimizer.lion.weight_decay"},
        },
    ),
    "head": ("head", {"flatten": {"head.flatten.dense.units", "head.flatten.dropout.rate"}}),
    "fourth_layer": ("depth", {"four": {"between"}}),
    "sgd": ("optimizer.clipnorm", {True: {"optimizer.clipnorm.value"}}),
    "weight_decay": (
        "model.dense.kernel_regularizer",
        {True: {"model.dense.kernel_regularizer.l2"}},
    ),
}


@pytest.mark.parametrize("name", CONDITIONAL)
def test_a_conditional_parameter_is_there_only_with_its_option(name):
    switch, belongs = CONDITIONAL[name]
    conditional = set().union(*belongs.values())
    whole = PIECES[name]()
    assert conditional <= set(whole.parameters)
    for point in covering(whole):
        assert conditional & set(point) == belongs.get(point[switch], set())


def test_each_optimizer_has_a_learning_rate_of_its_own():
    whole = PIECES["optimizer"]()
    for point in covering(whole):
        rates = [label for label in point if label.endswith(".learning_rate")]
        assert rates == [f"optimizer.{point['optimizer']}.learning_rate"]


def built(whole, point):
    return KerasEngine(whole, 1).compiled(Job(Key("study", 0), whole.check(point), seed=2))[0]


def everywhere(*among):
    shared = activations.activation_layer(among=among, name="act")
    return space(layers.Dense(4), shared, layers.Dense(3), shared)


def test_a_named_activation_layer_in_several_places_is_one_value():
    whole = everywhere("relu", "leaky_relu", "softplus_beta")
    assert list(whole.parameters) == [
        "act",
        "act.leaky_relu.negative_slope",
        "act.softplus_beta.beta",
    ]
    model = built(whole, {"act": "leaky_relu", "negative_slope": 0.2})
    slopes = [one.negative_slope for one in model.layers if hasattr(one, "negative_slope")]
    assert slopes == [0.2, 0.2]


def test_a_named_prelu_has_slopes_of_its_own_in_every_place():
    model = built(everywhere("relu", "prelu"), {"act": "prelu"})
    assert [one.alpha.shape for one in model.layers if hasattr(one, "alpha")] == [(4,), (3,)]


def test_no_normalization_leaves_no_layer():
    whole = space(layers.Dense(4), block_pieces.normalization(name="normal"))
    kinds = {
        str(option): [type(layer).__name__ for layer in built(whole, {"normal": option}).layers]
        for option in (None, "batch", "layer")
    }
    assert kinds == {
        "None": ["Dense", "Dense"],
        "batch": ["Dense", "BatchNormalization", "Dense"],
        "layer": ["Dense", "LayerNormalization", "Dense"],
    }
    assert whole.check({"normal": "none"}) == {"normal": None}


# What the docstrings say


def test_a_schedule_starts_at_the_rate_and_falls_over_all_steps_of_the_trial():
    whole = Space(
        data=Data((X, REAL), validation=0.5),
        model=Sequential([layers.Dense(1)]),
        optimizer=optimizers.sgd(schedules=optimizers.SCHEDULES),
        loss="mse",
        fit=Fit(batch_size=2, epochs=5),  # 4 rows to train on, so 10 steps
        minimize="val_loss",
    )
    point = {"learning_rate.rate": 0.5, "momentum": 0, "nesterov": False}
    ends = {"constant": 0.5, "cosine": 0.0, "exponential": 0.005}
    for which, last in ends.items():
        optimizer = built(whole, {**point, "schedule": which}).optimizer
        assert float(optimizer.learning_rate) == pytest.approx(0.5)
        optimizer.iterations.assign(10)
        assert float(optimizer.learning_rate) == pytest.approx(last, abs=1e-7)


@pytest.mark.parametrize(
    ("clipnorm", "extra", "clipped"),
    [(False, {}, None), (2.0, {}, 2.0), (True, {"clipnorm": False}, None)],
)
def test_gradients_are_clipped_as_asked(clipnorm, extra, clipped):
    whole = space(optimizer=optimizers.adam(clipnorm=clipnorm))
    assert built(whole, {"learning_rate": 0.01, **extra}).optimizer.clipnorm == clipped


def test_searched_clipping_takes_its_norm_from_the_point():
    whole = space(optimizer=optimizers.adam(clipnorm=True))
    point = {"learning_rate": 0.01, "clipnorm": True, "clipnorm.value": 0.5}
    assert built(whole, point).optimizer.clipnorm == 0.5


def test_any_number_of_convolution_blocks_fits_a_small_image():
    parts = [block_pieces.convolution_block(filters=2) for _ in range(5)]
    whole = space(*parts, layers.Flatten(), x=IMAGES)
    point = next(iter(covering(whole)))
    assert built(whole, point).layers[-2].output.shape[1:] == (2,)


def on_a_plateau(schedule):
    """A training of which no epoch is better than the first, and the callback waits for none."""
    return Space(
        data=Data((X, REAL), validation=0.5),
        model=Sequential([layers.Dense(1)]),
        optimizer=optimizers.sgd(low=1e-12, high=1e-11, schedules=(schedule,)),  # it does not move
        loss="mse",
        fit=Fit(epochs=4, callbacks=[callbacks.reduce_on_plateau(patience=1)]),
        minimize="val_loss",
    )


@pytest.mark.parametrize("schedule", optimizers.SCHEDULES)
def test_a_plateau_goes_with_the_constant_rate_alone_and_check_says_so(schedule, folder):
    whole = on_a_plateau(schedule)
    job = Job(Key("study", 0), next(iter(covering(whole))), seed=2)
    (outcome,) = KerasEngine(whole, 1).run(Task((job,), folder=str(folder)), lambda report: False)
    found = survey(Here(KerasEngine(whole, 1), whole, whole.parameters))
    if schedule == "constant":
        assert outcome.status is Status.OK and found.errors == []
    else:
        assert outcome.status is Status.FAILED and "LearningRateSchedule" in outcome.traceback
        assert "ReduceLROnPlateau sets the learning rate" in found.errors[0].text


def test_the_activations_made_here_print_as_plain_keras():
    whole = space(
        activations.softplus(beta=loguniform(0.3, 10)), choice({"abs": activations.absolute()})
    )
    point = {"beta": 2.0, "model.choice": "abs"}
    text = plain_keras(whole, whole.check(point), seed=1, study_seed=1, name="Trial 0")
    assert "def softplus(beta):" in text and "def absolute():" in text
    assert "hpsearch" not in text
    compile(text, "script.py", "exec")


# Errors


@pytest.mark.parametrize("among", [(), ("relu", "rleu"), ("relu", "relu"), "rleu"])
def test_a_subset_of_unknown_no_or_repeated_names_is_refused(among):
    text = r"among takes different names out of relu, gelu, .*; got .*Write for example among=\('relu', 'gelu'\)"
    with pytest.raises(ValueError, match=text):
        activations.activation(among=among)


@pytest.mark.parametrize(
    "piece",
    [
        activations.activation_layer,
        losses.regression_loss,
        losses.binary_loss,
        lambda among: losses.class_loss(one_hot=True, among=among),
        optimizers.optimizer,
        lambda among: optimizers.schedule(0.1, among=among),
        lambda among: optimizers.adam(schedules=among),
        block_pieces.normalization,
        initializer_pieces.initializer,
        lambda among: block_pieces.head(among=among),
    ],
)
def test_every_piece_with_options_names_those_it_has(piece):
    with pytest.raises(ValueError, match=r"among takes different names out of .*; got \('no',\)"):
        piece(among=("no",))


def test_smoothing_of_labels_that_are_numbers_is_refused():
    text = r"smooths one-hot labels only, got among=\('smooth',\) without one_hot. Write class_loss"
    with pytest.raises(ValueError, match=text):
        losses.class_loss(among=("smooth",))


# Documents


def public(module):
    """The pieces of a module: its plain functions, and those that are delayed."""
    for name, item in vars(module).items():
        function = item.resolve() if isinstance(item, Recorder) else item
        own = inspect.isfunction(function) and function.__module__ == module.__name__
        if own and not name.startswith("_"):
            yield name, item


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_docstring_has_an_example_that_runs(module):
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    for name, item in public(module):
        if isinstance(item, Recorder):  # printed as it stands into scripts; the page has examples
            continue
        example = finder.find(item, name, module=module, globs=vars(module).copy())[0]
        assert example.examples, f"{name} has no example"
        report = []
        assert runner.run(example, out=report.append).failed == 0, "".join(report)


PAGE = DOCS / "pieces.md"


def test_the_page_of_the_pieces_prints_what_stands_below_its_blocks(capsys):
    namespace = {"__name__": "page"}
    for block in blocks(PAGE):
        try:
            exec(code_of(PAGE, block), namespace)
        except (HpsearchError, ValueError) as error:
            print(f"{type(error).__name__}: {error}")
        assert capsys.readouterr().out == (block.output or ""), f"pieces.md, line {block.line}"


def test_every_piece_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    missing = [name for m in MODULES[1:] for name, _ in public(m) if f"{name}(" not in text]
    assert missing == []


def test_importing_the_pieces_imports_no_keras():
    names = ", ".join(module.__name__ for module in MODULES)
    program = (
        f"import sys; import {names}; "
        "print([m for m in ('keras', 'tensorflow', 'hyperopt', 'mlflow') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr
