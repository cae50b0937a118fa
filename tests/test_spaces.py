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
from hpsearch.space import load, ready_spaces

ROOT = Path(__file__).resolve().parent.parent
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
    assert set(ready_spaces()) == {"digits_mlp", "mnist_mlp"}


@pytest.mark.parametrize(("name", "labels"), [("digits_mlp", DIGITS), ("mnist_mlp", MNIST)])
def test_a_ready_space_is_the_same_by_name_and_by_path(name, labels):
    by_name, by_path = load(name), load(str(ROOT / "spaces" / f"{name}.py"))
    assert list(by_name.space.parameters) == labels
    assert by_name.space.fingerprint == by_path.space.fingerprint
    assert by_name.name == by_path.name == name


@pytest.mark.parametrize("name", ["digits_mlp", "mnist_mlp"])
def test_the_baseline_of_the_notes_is_a_legal_point(name):
    space = load(name).space
    point = space.check(space.baselines["notes"])
    assert set(point) == set(space.parameters)


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
    ],
)
def test_mnist_is_read_from_the_data_folder(
    tmp_path, monkeypatch, arguments, x_shape, y_shape, rows
):
    from hpsearch.spaces.pieces.data import mnist

    images, labels = write_mnist(tmp_path)
    monkeypatch.setenv("HPSEARCH_DATA", str(tmp_path))
    parts = resolve_parts(called(mnist(**arguments)), 0)
    assert (parts.train.rows, parts.validation.rows, parts.test.rows) == (*rows, 4)
    assert parts.train.x.shape[1:] == x_shape and parts.train.y.shape[1:] == y_shape
    assert parts.train.x.dtype == np.float32 and parts.train.x.max() <= 1
    np.testing.assert_allclose(parts.train.x[0].reshape(28, 28), images[0] / np.float32(255))
    first = parts.train.y[0].argmax() if y_shape else parts.train.y[0]
    assert first == labels[0]


def test_a_data_folder_without_mnist_names_the_file_it_wants(tmp_path, monkeypatch):
    from hpsearch.spaces.pieces.data import mnist

    monkeypatch.setenv("HPSEARCH_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"HPSEARCH_DATA is .* no file .*mnist\.npz"):
        called(mnist())


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


def test_every_piece_makes_part_of_a_space():
    from hpsearch import Data, Fit, Space, given, repeat
    from hpsearch.keras import Sequential, layers
    from hpsearch.spaces.pieces import networks, training

    space = Space(
        data=Data((np.zeros((8, 8, 8, 1)), np.eye(8)), validation=0.25),
        model=Sequential(
            [
                repeat(lambda i: networks.convolution_block(), times=2),
                layers.Flatten(),
                repeat(lambda i: networks.dense_block(networks.activation("activation")), times=1),
                layers.Dense(
                    networks.units(),
                    kernel_initializer=networks.initializer(),
                    kernel_regularizer=networks.weight_decay(),
                ),
                networks.fourth_layer(),
                networks.dropout(),
                layers.Dense(given.classes, activation="softmax"),
            ]
        ),
        optimizer=training.optimizer(),
        loss=training.class_loss(),
        fit=Fit(callbacks=[training.early_stopping()]),
        minimize="val_loss",
    )
    labels = set(space.parameters)
    assert {"activation", "optimizer", "optimizer.adamw.weight_decay", "loss", "depth"} <= labels


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
    assert spaces == "digits_mlp mnist_mlp"


@pytest.mark.slow
def test_an_editable_install_uses_the_checkout(tmp_path, monkeypatch):
    from hatchling import build

    monkeypatch.chdir(ROOT)
    name = build.build_editable(str(tmp_path))
    unpacked(tmp_path / name, tmp_path / "site")
    where, spaces = imported(tmp_path / "site")
    assert where == str(ROOT / "spaces" / "digits_mlp.py")
    assert spaces == "digits_mlp mnist_mlp"


def test_a_checkout_on_the_path_uses_its_own_spaces():
    import hpsearch.spaces.digits_mlp as module

    assert Path(hpsearch.__file__).parent == ROOT / "hpsearch"
    assert Path(module.__file__) == ROOT / "spaces" / "digits_mlp.py"
