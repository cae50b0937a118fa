"""`hpsearch.keras`: every public Keras name is recorded, or refused with where it belongs."""

from __future__ import annotations

import importlib
import subprocess
import sys
import types
from typing import Any

import keras
import numpy as np
import pytest

import hpsearch.keras as mirror
from hpsearch import Fit, choice, delayed, maybe, repeat, uniform, when
from hpsearch.declare import Call, Recorder
from hpsearch.errors import SpaceError

PATHS = [*mirror.MODULES, *mirror.NESTED]


def public(module: Any) -> list[str]:
    return [name for name in vars(module) if not name.startswith("_")]


def test_every_public_name_of_keras_is_mirrored_or_refused_and_not_both() -> None:
    listed = [*mirror.MODULES, *mirror.NAMES, *mirror.REFUSED]
    assert len(listed) == len(set(listed))
    assert [name for name in public(keras) if name not in listed] == []


@pytest.mark.parametrize("name", [*mirror.MODULES, *mirror.NAMES])
def test_a_mirrored_name_is_one_of_keras(name: str) -> None:
    assert hasattr(keras, name)
    assert name in dir(mirror)


@pytest.mark.parametrize("name", [n for n in mirror.REFUSED if hasattr(keras, n)])
def test_a_refused_name_says_where_it_belongs(name: str) -> None:
    with pytest.raises(SpaceError) as caught:
        getattr(mirror, name)
    assert str(caught.value).startswith(f"keras.{name} cannot be recorded: it ") or (
        f"keras.{name} cannot be recorded: data is loaded" in str(caught.value)
    )
    assert "Use `import keras` inside a function made with `delayed`." in str(caught.value)


@pytest.mark.parametrize("path", PATHS)
def test_every_public_name_of_a_mirrored_module_is_recorded_or_refused(path: str) -> None:
    """A class or function of a part of a model is recorded; what makes live objects is refused."""
    real = importlib.import_module(f"keras.{path}")
    copy = importlib.import_module(f"hpsearch.keras.{path}")
    assert public(real)
    for name in public(real):
        value = getattr(real, name)
        if name in mirror.REFUSED_INSIDE:
            with pytest.raises(SpaceError, match=f"keras.{path}.{name} cannot be recorded: it "):
                getattr(copy, name)
        elif isinstance(value, types.ModuleType):
            assert f"{path}.{name}" in mirror.NESTED
            assert isinstance(getattr(copy, name), types.ModuleType)
        else:
            assert isinstance(getattr(copy, name), Recorder)
            assert getattr(copy, name).resolve() is value
    assert set(dir(copy)) == set(public(real))


def test_what_is_refused_inside_exists_somewhere() -> None:
    modules = [importlib.import_module(f"keras.{path}") for path in PATHS]
    for name in mirror.REFUSED_INSIDE:
        assert any(hasattr(module, name) for module in modules), name


def test_no_function_that_computes_with_tensors_at_once_is_mirrored_by_oversight() -> None:
    """Functions (not classes) that are mirrored, by module: a new one has to be looked at."""
    found = {
        path
        for path in PATHS
        for name, value in vars(importlib.import_module(f"keras.{path}")).items()
        if isinstance(value, types.FunctionType)
        and not name.startswith("_")
        and name not in mirror.REFUSED_INSIDE
    }
    allowed = {"activations", "layers", "losses", "metrics"}
    assert {path for path in found if not path.startswith("applications")} <= allowed


def test_what_python_itself_asks_of_a_module_is_answered() -> None:
    assert not hasattr(mirror, "__wrapped__")
    assert not hasattr(mirror.layers, "__wrapped__")
    assert mirror.layers.__name__ == "hpsearch.keras.layers"


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpaceError, match=r"keras has no 'layer' to record. Did you mean 'layers'"):
        mirror.layer  # noqa: B018
    with pytest.raises(SpaceError, match=r"keras.layers has no 'Desne'. Did you mean 'Dense'"):
        mirror.layers.Desne  # noqa: B018
    with pytest.raises(SpaceError, match=r"Did you mean 'CosineDecay'"):
        mirror.optimizers.schedules.CosinDecay  # noqa: B018


def test_an_unknown_argument_is_refused_with_the_nearest() -> None:
    layers: Any = mirror.layers
    with pytest.raises(SpaceError, match=r"layers.Dense has no argument 'activaton'. Did you mean"):
        layers.Dense(8, activaton="relu")
    with pytest.raises(SpaceError, match=r"layers.Dense cannot be called like this: missing a req"):
        layers.Dense()
    with pytest.raises(SpaceError, match=r"Did you mean 'learning_rate'"):
        mirror.optimizers.Adam(learnig_rate=0.1)
    with pytest.raises(SpaceError, match=r"Sequential has no argument 'layer'. Did you mean"):
        mirror.Sequential(layer=[])
    calls = [
        layers.Dense(8, name="head", dtype="float32", input_shape=(3,), trainable=False),
        mirror.optimizers.SGD(0.1, clipnorm=1.0, weight_decay=uniform(0, 1)),
        mirror.callbacks.EarlyStopping(patience=choice([3, 5])),
        mirror.Model(inputs=layers.Input((3,)), outputs=layers.Dense(1)(layers.Input((3,)))),
    ]
    assert all(isinstance(call, Call) for call in calls)


@pytest.mark.parametrize(
    ("call", "today"),
    [
        (lambda layers: layers.Dense(output_dim=8), "units"),
        (lambda layers: layers.Dense(8, init="normal"), "kernel_initializer"),
        (lambda layers: layers.Dense(8, W_regularizer="l2"), "kernel_regularizer"),
        (lambda layers: layers.Embedding(8, 2, init="normal"), "embeddings_initializer"),
        (lambda layers: layers.Dropout(p=0.5), "rate"),
        (lambda layers: layers.Conv2D(8, 3, border_mode="same"), "padding"),
        (lambda layers: layers.LSTM(8, dropout_U=0.1), "recurrent_dropout"),
        (lambda layers: mirror.optimizers.Adam(lr=0.1), "learning_rate"),
    ],
)
def test_an_argument_of_old_keras_is_told_by_its_name_of_today(call: Any, today: str) -> None:
    with pytest.raises(SpaceError, match=rf"has no argument '\w+'\. Did you mean '{today}'\?$"):
        call(mirror.layers)


def test_the_old_name_of_epochs_is_told_with_its_place() -> None:
    old: Any = Fit
    with pytest.raises(SpaceError, match=r"'nb_epoch'\. It is epochs now, in Fit: Space\(fit=Fit"):
        old(nb_epoch=5)


def test_the_old_decay_of_an_optimizer_is_a_schedule_and_no_weight_decay() -> None:
    optimizers: Any = mirror.optimizers
    with pytest.raises(SpaceError, match=r"'decay'\. Keras has schedules now: .*InverseTimeDecay"):
        optimizers.SGD(0.1, decay=1e-6)
    # as Keras 2 documents it: the rate over 1 + decay times the batches so far
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.5, 1, 0.1)
    assert float(schedule(5)) == pytest.approx(0.5 / (1 + 0.1 * 5))


def test_a_recorded_class_cannot_be_subclassed() -> None:
    def subclass() -> None:
        class Mine(mirror.layers.Layer):
            pass

    with pytest.raises(SpaceError, match=r"a class made from Layer.*Subclass Keras's own"):
        subclass()


def live_objects() -> dict[str, Any]:
    class Own(keras.layers.Layer):
        pass

    return {
        "a layer": keras.layers.Dense(3),
        "a model": keras.Sequential([keras.layers.Dense(3)]),
        "a functional model": keras.Model(*[keras.Input((3,))] * 2),
        "an optimizer": keras.optimizers.Adam(),
        "a metric": keras.metrics.AUC(),
        "a callback": keras.callbacks.EarlyStopping(),
        "a schedule": keras.optimizers.schedules.CosineDecay(0.1, 10),
        "a seeded initialiser": keras.initializers.HeNormal(seed=1),
        "a layer of the user's own": Own(),
        "a tensor": keras.Input((3,)),
        "a variable": keras.Variable(1.0),
    }


LIVE = live_objects()


@pytest.mark.parametrize("kind", LIVE)
def test_a_live_keras_object_is_refused_on_the_line_where_it_stands(kind: str) -> None:
    live = LIVE[kind]
    dense: Any = mirror.layers.Dense
    anything: Any = delayed(lambda *args, **options: None)
    ways = [
        lambda: dense(live),
        lambda: dense(3, kernel_initializer=live),
        lambda: dense(3)(live),
        lambda: mirror.Sequential([dense(3), live]),
        lambda: mirror.Sequential([[dense(3), [live]]]),
        lambda: anything({"deep": [(1, {"er": live})]}),
        lambda: choice([dense(3), live]),
        lambda: choice({"a": [live]}),
        lambda: maybe(live),
        lambda: when(uniform(0, 1) > 0.5, live),
        lambda: repeat(lambda i: [live], 2),
    ]
    for way in ways:
        with pytest.raises(SpaceError, match="A space holds recorded calls, got a live Keras obj"):
            way()


def test_the_refusal_of_a_live_object_says_what_to_import() -> None:
    with pytest.raises(SpaceError) as caught:
        mirror.Sequential([keras.layers.Dense(3)])
    assert "Dense" in str(caught.value)
    assert "Write `from hpsearch.keras import layers`" in str(caught.value)


def test_what_has_no_state_may_stand_in_a_space() -> None:
    dense: Any = mirror.layers.Dense
    for item in (
        keras.activations.relu,
        keras.losses.hinge,
        np.ones(3),
        keras.regularizers.L2(0.1),
    ):
        assert isinstance(dense(3, activation=item), Call)


def test_a_recorded_name_stands_for_the_function_itself() -> None:
    assert mirror.activations.relu.resolve() is keras.activations.relu
    assert mirror.applications.resnet50.preprocess_input.resolve() is (
        keras.applications.resnet50.preprocess_input
    )


IMPORTS = [
    "from hpsearch.keras.layers import Dense; Dense(3)",
    "from hpsearch.keras.optimizers.schedules import CosineDecay; CosineDecay(0.1, 10)",
    "from hpsearch.keras.applications.resnet50 import preprocess_input",
    "import hpsearch.keras.layers as layers; layers.Dense(3)",
    "from hpsearch.keras import layers; layers.Dense(3)",
]


def test_every_spelling_of_an_import_works_as_the_first_one() -> None:
    code = (
        "import subprocess, sys\n"
        "import keras\n"  # once: what follows forgets hpsearch, not Keras
        f"for line in {IMPORTS!r}:\n"
        "    for name in [n for n in sys.modules if n.partition('.')[0] == 'hpsearch']:\n"
        "        del sys.modules[name]\n"
        "    exec(line, {})\n"
        "    print('ok')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["ok"] * len(IMPORTS), done.stderr


def test_keras_is_loaded_only_when_a_name_is_asked_for() -> None:
    code = (
        "import sys, hpsearch.keras, hpsearch.keras.layers\n"
        "from hpsearch.keras import layers, optimizers\n"
        "assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
