"""The ready spaces: found by name and by path, and the same from a wheel and a checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import hpsearch
from hpsearch.build import resolve_parts
from hpsearch.preflight import Here, survey
from hpsearch.space import load, ready_spaces
from hpsearch.train import KerasEngine
from hpsearch.trial import Job, Key

ROOT = Path(__file__).resolve().parent.parent
READY = {
    "digits_cnn", "digits_mlp", "digits_softmax", "gaussian_precision", "mnist_mlp",
    "mnist_softmax", "mnist_zero_one", "moons", "moons_functional", "xor",
}  # fmt: skip
MORE = {"digits_mlp:long", "gaussian_precision:wide", "gaussian_precision:narrow"}
DIGITS = [
    "model.dense.units",
    "model.dense.activation",
    "optimizer.learning_rate",
    "optimizer.momentum",
    "fit.batch_size",
]
MNIST = [
    "model.dropout.rate",
    "model.dense_1.units",
    "model.dense_1.activation",
    "model.dropout_1.rate",
    "depth",
    "between",
    "optimizer",
    "fit.batch_size",
]


def called(recorded):
    """What the delayed call in a space returns."""
    return recorded.function.resolve()(*recorded.args, **recorded.kwargs)


def test_the_ready_spaces_are_found_by_name():
    assert set(ready_spaces()) == READY


@pytest.mark.parametrize(("name", "labels"), [("digits_mlp", DIGITS), ("mnist_mlp", MNIST)])
def test_a_ready_space_is_the_same_by_name_and_by_path(name, labels):
    by_name, by_path = load(name), load(str(ROOT / "spaces" / f"{name}.py"))
    assert list(by_name.space.parameters) == labels
    assert by_name.space.fingerprint == by_path.space.fingerprint
    assert by_name.name == by_path.name == name


def test_a_space_that_is_not_called_space_has_a_name_of_its_own():
    names = [load(name).name for name in ("gaussian_precision", *sorted(MORE))]
    assert names == [
        "gaussian_precision",
        "digits_mlp-long",
        "gaussian_precision-narrow",
        "gaussian_precision-wide",
    ]


OF_OUR_OWN = {"digits_cnn", "moons_functional"}  # no figure and no setting in the notes


@pytest.mark.parametrize("name", sorted(READY | MORE))
def test_a_ready_space_has_the_setting_of_the_notes_as_a_whole_point(name):
    space = load(name).space
    baseline = "plain" if name in OF_OUR_OWN else "notes"
    assert set(space.baselines) == {baseline}
    assert space.check(space.baselines[baseline])


@pytest.mark.parametrize("name", sorted(READY))
def test_a_ready_space_says_what_it_is_and_what_to_reach(name):
    text = load(name).source
    assert "Reference:" in text and "baseline" in text.lower()


@pytest.mark.parametrize("name", sorted(READY | MORE))
def test_every_option_of_a_ready_space_builds(name, tmp_path, monkeypatch):
    write_mnist(tmp_path, rows=6000)
    monkeypatch.setenv("HPSEARCH_DATA", str(tmp_path))
    space = load(name).space
    found = survey(Here(KerasEngine(space, 1), space, space.parameters))
    assert (found.failed, found.dead, found.uncovered) == ([], [], [])
    assert {label for look in found.looks for label in look.point} == set(space.parameters)


def test_the_between_layer_of_mnist_is_searched_only_with_four_layers():
    space = load("mnist_mlp").space
    point = dict(space.baselines["notes"]) | {"depth": "three"}
    del point["between"]
    assert "between" not in space.check(point)


def test_digits_is_split_and_scaled_as_in_the_notes():
    parts = resolve_parts(called(load("digits_mlp").space.data), 0)
    assert (parts.train.rows, parts.validation.rows, parts.test.rows) == (1221, 306, 270)
    both = np.concatenate([parts.train.x, parts.validation.x])
    assert both.shape == (1527, 64) and both.dtype == np.float32
    # Standardised over the 1,527 rows that are not the test's; pixels that never vary stay 0.
    np.testing.assert_allclose(both.mean(axis=0), 0, atol=1e-5)
    deviation = both.std(axis=0)
    np.testing.assert_allclose(deviation[deviation > 0], 1, atol=1e-4)
    assert set(np.unique(parts.test.y)) == set(range(10))


def write_mnist(folder, rows=20):
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, size=(rows, 28, 28), dtype="uint8")
    labels = (np.arange(rows) % 10).astype("uint8")
    np.savez(
        folder / "mnist.npz",
        x_train=images, y_train=labels, x_test=images[:4], y_test=labels[:4],
    )  # fmt: skip
    return images, labels


@pytest.mark.parametrize(
    ("arguments", "x_shape", "y_shape", "rows"),
    [
        ({}, (28, 28), (), (18, 2)),
        ({"held_out": 5, "flatten": True}, (784,), (), (15, 5)),
        ({"one_hot": True}, (28, 28), (10,), (18, 2)),
        ({"only": (0, 1), "held_out": 0.25}, (28, 28), (), (3, 1)),
        ({"only": (7, 0), "one_hot": True, "held_out": 1}, (28, 28), (2,), (3, 1)),
    ],
)
def test_mnist_is_read_from_the_data_folder(
    tmp_path, monkeypatch, arguments, x_shape, y_shape, rows
):
    from hpsearch.spaces.pieces.data import mnist

    images, labels = write_mnist(tmp_path)
    monkeypatch.setenv("HPSEARCH_DATA", str(tmp_path))
    parts = resolve_parts(called(mnist(**arguments)), 0)
    kept = sum(label in arguments.get("only", range(10)) for label in labels[:4])
    assert (parts.train.rows, parts.validation.rows, parts.test.rows) == (*rows, kept)
    assert parts.train.x.shape[1:] == x_shape and parts.train.y.shape[1:] == y_shape
    assert parts.train.x.dtype == np.float32 and parts.train.x.max() <= 1
    np.testing.assert_allclose(parts.train.x[0].reshape(28, 28), images[0] / np.float32(255))
    first = parts.train.y[0].argmax() if y_shape else parts.train.y[0]
    assert first == list(arguments.get("only", range(10))).index(labels[0])


def test_a_data_folder_without_mnist_names_the_file_it_wants(tmp_path, monkeypatch):
    from hpsearch.spaces.pieces.data import mnist

    monkeypatch.setenv("HPSEARCH_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"HPSEARCH_DATA is .* no file .*mnist\.npz"):
        called(mnist())


def test_a_file_of_other_arrays_is_told_which_are_missing(tmp_path, monkeypatch):
    from hpsearch.spaces.pieces.data import load_data

    monkeypatch.setenv("HPSEARCH_DATA", str(tmp_path))
    np.savez(tmp_path / "cifar10.npz", x_train=np.zeros(3), y_train=np.zeros(3), x=np.zeros(3))
    with pytest.raises(ValueError, match=r"lacks x_test, y_test.*It has x, x_train, y_train"):
        load_data("cifar10")


def test_an_unknown_dataset_lists_the_known_ones():
    from hpsearch.spaces.pieces.data import load_data

    with pytest.raises(ValueError, match=r"load_data knows mnist, .*; got 'imagenet'"):
        load_data("imagenet")


def test_a_stored_file_of_objects_is_not_unpickled(tmp_path, monkeypatch):
    from hpsearch.spaces.pieces.data import load_data

    ragged = np.array([[1], [2, 3]], dtype=object)
    np.savez(tmp_path / "mnist.npz", x_train=ragged, y_train=ragged, x_test=ragged, y_test=ragged)
    monkeypatch.setenv("HPSEARCH_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load_data("mnist")


def test_moons_are_300_points_and_others_to_judge_by():
    parts = resolve_parts(called(load("moons").space.data), 0)
    assert (parts.train.rows, parts.validation.rows, parts.test.rows) == (300, 300, 1000)
    assert not np.isin(parts.train.x, parts.validation.x).any()
    two = resolve_parts(called(load("moons_functional").space.data), 0)
    np.testing.assert_array_equal(
        np.hstack([two.train.x["across"], two.train.x["up"]]), parts.train.x
    )


@pytest.mark.parametrize(
    ("variable", "sigma"), [("space", 5**-0.5), ("wide", 1e3), ("narrow", 1e-4)]
)
def test_the_draws_of_a_gaussian_have_its_deviation(variable, sigma):
    parts = resolve_parts(called(load(f"gaussian_precision:{variable}").space.data), 0)
    assert parts.train.x.shape == parts.train.y.shape == (1000, 1)
    # The deviation of 1,000 draws is within 7% of σ in all but two of 1,000 samples.
    assert abs(parts.train.y.std() / sigma - 1) < 0.07


def test_a_precision_learned_without_clipping_at_a_large_deviation_fails_and_teaches(tmp_path):
    """The step that leaves the region of the logarithm is a failed trial, and not the last one."""
    result = hpsearch.search(
        "gaussian_precision:wide", max_trials=3, seed=1, folder=tmp_path, progress=False,
        baselines=False,
        enqueue=[{"clipnorm": False, "learning_rate": 0.5, "epochs": 30, "activation": "softplus"},
                 {"clipnorm": True, "value": 1.0, "learning_rate": 0.5, "epochs": 30,
                  "activation": "softplus"}],
    )  # fmt: skip
    diverged, clipped = result.trials[:2]
    assert diverged.status == "failed" and "became" in diverged.error
    assert clipped.status == "ok" and clipped.outcome.metrics["beta"] > 0


def built(name):
    """The untrained model of a ready space at its baseline, and its data."""
    space = load(name).space
    point = space.check(space.baselines["notes"])
    model, made = KerasEngine(space, 1).compiled(Job(Key("s", 0), point, seed=1))
    return model, made.parts


def test_the_weights_that_the_notes_set_by_hand_have_no_error_on_exclusive_or():
    from hpsearch.spaces.xor import error

    model, data = built("xor")
    model.set_weights([np.ones((2, 2)), np.array([0, -1]), np.array([[1], [-2]]), np.zeros(1)])
    assert error(model, data) == {"squared_error": 0.0, "right": 4}
    model.set_weights([np.zeros((2, 2)), np.zeros(2), np.zeros((2, 1)), np.array([0.5])])
    assert error(model, data) == {"squared_error": 0.25, "right": 2}  # the best line: .5 everywhere


@pytest.mark.parametrize("beta", [0.5, 5.0, 7.3])
def test_the_precision_of_a_model_is_judged_by_the_maximum_likelihood(beta):
    from hpsearch.spaces.gaussian_precision import precision

    model, data = built("gaussian_precision")
    model.set_weights(
        [np.zeros((1, 1)), np.log(np.expm1([beta]))]
    )  # softplus gives beta everywhere
    spread = float((data.train.y.astype("float64") ** 2).mean())
    found = precision(model, data)
    assert found["beta"] == pytest.approx(beta, rel=1e-5)
    assert found["likeliest_beta"] == pytest.approx(1 / spread, rel=1e-5)
    assert found["relative_error"] == pytest.approx(abs(beta * spread - 1), rel=1e-4)
    assert found["likelihood_loss"] == pytest.approx(-np.log(beta) + beta * spread, rel=1e-5)


def test_the_gradient_of_the_precision_loss_is_the_squared_error_less_its_inverse():
    import tensorflow as tf

    from hpsearch.spaces.gaussian_precision import negative_log_likelihood

    beta, y = tf.constant([0.1, 1.0, 5.0], "float64"), tf.constant([3.0, -0.5, 0.2], "float64")
    with tf.GradientTape() as tape:
        tape.watch(beta)
        loss = negative_log_likelihood(y, beta)
    np.testing.assert_allclose(loss, -np.log(beta) + beta.numpy() * y.numpy() ** 2, rtol=1e-12)
    np.testing.assert_allclose(
        tape.gradient(loss, beta), y.numpy() ** 2 - 1 / beta.numpy(), rtol=1e-12
    )


def test_the_moons_are_searched_by_a_loop_of_ones_own(tmp_path, monkeypatch):
    from hpsearch.spaces import moons_functional

    monkeypatch.setattr(moons_functional, "EPOCHS", 3)
    best = moons_functional.search_by_hand(max_trials=2, seed=1, folder=tmp_path)
    assert best.number in (0, 1) and 0 < best.value < 0.7


def test_mnist_without_a_network_says_where_a_file_may_stand(monkeypatch):
    import keras

    from hpsearch.spaces.pieces.data import mnist

    def offline(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.delenv("HPSEARCH_DATA", raising=False)
    monkeypatch.setattr(keras.datasets.mnist, "load_data", offline)
    with pytest.raises(
        FileNotFoundError, match=r"could not be downloaded: no network.*HPSEARCH_DATA"
    ):
        called(mnist())


IMPORTS = (
    "import hpsearch.spaces.digits_mlp as m; from hpsearch.space import ready_spaces; "
    "print(m.__file__); print(*sorted(ready_spaces()))"
)


def imported(site):
    """Where `hpsearch.spaces.digits_mlp` comes from if only `site` holds or names hpsearch."""
    alone = f"sys.path[:] = [path for path in sys.path if path != {str(ROOT)!r}]"
    program = f"import site, sys; {alone}; site.addsitedir({str(site)!r}); {IMPORTS}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=site.parent,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def unpacked(wheel, site):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        return archive.namelist()


@pytest.mark.slow
def test_a_wheel_holds_the_spaces_and_no_package_of_that_name(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    names = unpacked(next(tmp_path.glob("*.whl")), tmp_path / "site")
    assert "hpsearch/spaces/digits_mlp.py" in names
    assert "hpsearch/spaces/pieces/data.py" in names
    assert not [name for name in names if name.startswith("spaces/") or "__pycache__" in name]
    where, spaces = imported(tmp_path / "site")
    assert where == str(tmp_path / "site" / "hpsearch" / "spaces" / "digits_mlp.py")
    assert spaces.split() == sorted(READY)


@pytest.mark.slow
def test_an_editable_install_uses_the_checkout(tmp_path, monkeypatch):
    from hatchling import build

    monkeypatch.chdir(ROOT)
    name = build.build_editable(str(tmp_path))
    unpacked(tmp_path / name, tmp_path / "site")
    where, spaces = imported(tmp_path / "site")
    assert where == str(ROOT / "spaces" / "digits_mlp.py")
    assert spaces.split() == sorted(READY)


def test_a_checkout_on_the_path_uses_its_own_spaces():
    import hpsearch.spaces.digits_mlp as module

    assert Path(hpsearch.__file__).parent == ROOT / "hpsearch"
    assert Path(module.__file__) == ROOT / "spaces" / "digits_mlp.py"
