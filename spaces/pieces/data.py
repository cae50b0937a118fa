"""Data for the ready spaces: scikit-learn's digits, MNIST and its like, and samples drawn here.

Functions that return `Data` are delayed: a call in a space is recorded, and made once in each
worker process. The others return arrays and serve scripts as well.
"""

import os
from pathlib import Path

import numpy as np

from hpsearch import Data, Holdout, delayed

DATASETS = ("mnist", "fashion_mnist", "cifar10", "cifar100", "california_housing")
"""What `load_data` knows: the Keras datasets of equal rows."""


@delayed
def digits(held_out=0.2, images=False):
    """Scikit-learn's handwritten digits, standardised and split as `standardised_digits` does.

    Of the 1,527 rows for training `held_out`, in (0, 1), go to validation, drawn under the
    study's seed with each class's share kept; the 270 others are the test.

    x is float32 of shape (n, 64), or (n, 8, 8, 1) where `images`; y int32 of shape (n,), 0 to 9.
    """
    x, y, x_test, y_test = standardised_digits()
    if images:
        x, x_test = x.reshape(-1, 8, 8, 1), x_test.reshape(-1, 8, 8, 1)
    return Data((x, y), validation=Holdout(held_out, stratify=True), test=(x_test, y_test))


def standardised_digits():
    """Scikit-learn's digits, 1,797 images of 8 × 8 pixels in 10 classes: x, y, x_test, y_test.

    Split as in the course notes: 15% (270 rows) for the test, drawn with seed 37; the pixels of
    the other 1,527 rows are standardised to mean 0 and deviation 1, and the test rows by the same
    means and deviations. x is float32 of shape (n, 64), y int32 of shape (n,).
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    images = load_digits()
    x = np.asarray(images.data, dtype="float32")
    y = np.asarray(images.target, dtype="int32")
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.15, random_state=37)
    scaler = StandardScaler()
    return scaler.fit_transform(x), y, scaler.transform(x_test), y_test


@delayed
def mnist(held_out=0.1, flatten=False, one_hot=False, only=None):
    """MNIST's handwritten digits, 60,000 images for training and 10,000 for the test, 10 classes.

    Read by `load_data`. The last training rows go to validation: a fraction in (0, 1), or so
    many rows. With `only`, digits such as (0, 1), the others are left out and the label is the
    place in `only`.

    x is float32 in [0, 1] of shape (n, 28, 28), or (n, 784) where `flatten`; y is int64 of shape
    (n,), or float32 of shape (n, classes) where `one_hot`.

    Raises:
        FileNotFoundError: if the folder has no such file, or nothing can be downloaded.
    """
    train, test = load_data("mnist")
    place = np.full(10, -1)
    place[list(range(10) if only is None else only)] = range(10 if only is None else len(only))
    shape = (-1, 784) if flatten else (-1, 28, 28)

    def prepared(images, labels):
        kept = place[labels] >= 0
        y = place[labels[kept]]
        x = images[kept].reshape(shape).astype("float32") / 255
        return x, np.eye(place.max() + 1, dtype="float32")[y] if one_hot else y

    x, y = prepared(*train)
    if isinstance(held_out, float):
        return Data((x, y), validation=held_out, test=prepared(*test))
    return Data(
        (x[:-held_out], y[:-held_out]),
        validation=(x[-held_out:], y[-held_out:]),
        test=prepared(*test),
    )


@delayed
def moons(rows=300, noise=0.15, seed=0, inputs=1):
    """Two interleaved half circles with normal noise of deviation `noise`, one class each.

    `rows` of them to train on; as many, drawn anew, for validation, and 1,000 for the test.

    x is float32 of shape (n, 2), y float32 of shape (n,) of 0 and 1; with `inputs=2` x is
    {"across": (n, 1), "up": (n, 1)}.
    """
    parts = [drawn_moons(n, noise, seed + k) for k, n in enumerate((rows, rows, 1000))]
    if inputs == 2:
        parts = [({"across": x[:, :1], "up": x[:, 1:]}, y) for x, y in parts]
    train, validation, test = parts
    return Data(train, validation=validation, test=test)


def drawn_moons(rows=300, noise=0.15, seed=0):
    """One sample of scikit-learn's moons: x float32 (rows, 2), y float32 (rows,) of 0 and 1."""
    from sklearn.datasets import make_moons

    x, y = make_moons(rows, noise=noise, random_state=seed)
    return x.astype("float32"), y.astype("float32")


@delayed
def gaussian(sigma, rows=1000, seed=0):
    """Draws of a normal distribution of mean 0 and deviation `sigma`, with an input to condition on.

    x is float32 uniform in [0, 1) and y float32, both of shape (rows, 1); there is no other part:
    what is learned is a property of this sample.
    """
    return Data(drawn_gaussian(sigma, rows, seed))


def drawn_gaussian(sigma, rows=1000, seed=0):
    """The x and y of `gaussian`, each float32 of shape (rows, 1)."""
    draw = np.random.default_rng(seed)
    x, y = draw.uniform(0, 1, (rows, 1)), draw.normal(0, sigma, (rows, 1))
    return x.astype("float32"), y.astype("float32")


@delayed
def xor(times=100):
    """The four points of exclusive or, each so many `times`, so that an epoch has steps enough.

    x is float32 of shape (4 times, 2), y float32 of shape (4 times, 1): 0 where both are equal.
    """
    x = np.array([[1, 0], [0, 1], [0, 0], [1, 1]], dtype="float32")
    y = np.array([[1], [1], [0], [0]], dtype="float32")
    return Data((np.tile(x, (times, 1)), np.tile(y, (times, 1))))


def load_data(name):
    """A Keras dataset as ``(x_train, y_train), (x_test, y_test)``, the arrays as they are stored.

    Read from `NAME.npz` in the folder that the environment variable HPSEARCH_DATA names (arrays
    x_train, y_train, x_test, y_test), else by Keras, which downloads it once.

    Args:
        name: one of `DATASETS`.

    Raises:
        ValueError: for another name.
        FileNotFoundError: if the folder has no such file, or nothing can be downloaded.
    """
    if name not in DATASETS:
        raise ValueError(f"load_data knows {', '.join(DATASETS)}; got {name!r}.")
    folder = os.environ.get("HPSEARCH_DATA")
    if folder:
        return _stored(Path(folder) / f"{name}.npz", folder)
    import keras

    try:
        return getattr(keras.datasets, name).load_data()
    except Exception as error:  # no network, or a file that is not the one Keras expects
        raise FileNotFoundError(
            f"{name} could not be downloaded: {str(error).rstrip('.')}. "
            f"Set HPSEARCH_DATA to a folder that holds {name}.npz "
            "(arrays x_train, y_train, x_test, y_test)."
        ) from error


def _stored(path, folder):
    if not path.is_file():
        raise FileNotFoundError(
            f"HPSEARCH_DATA is {folder}, and there is no file {path}. Put {path.name} there "
            "(arrays x_train, y_train, x_test, y_test), or unset HPSEARCH_DATA to have Keras "
            "download it."
        )
    with np.load(path, allow_pickle=False) as stored:
        missing = [
            f"{what}_{part}"
            for part in ("train", "test")
            for what in "xy"
            if f"{what}_{part}" not in stored
        ]
        if missing:
            raise ValueError(
                f"{path} lacks {', '.join(missing)}: it needs the arrays x_train, y_train, "
                f"x_test, y_test. It has {', '.join(sorted(stored)) or 'none'}."
            )
        return (stored["x_train"], stored["y_train"]), (stored["x_test"], stored["y_test"])
