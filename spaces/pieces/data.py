"""Data for the ready spaces, loaded in the trial: scikit-learn's digits and MNIST.

Each function is delayed: a call in a space is recorded, and made once in each worker process.
"""

import os
from pathlib import Path

import numpy as np

from hpsearch import Data, Holdout, delayed


@delayed
def digits(held_out=0.2):
    """Scikit-learn's handwritten digits, 1,797 images of 8 × 8 pixels in 10 classes.

    Split as in the course notes: 15% (270 rows) for the test, drawn with seed 37; the pixels of
    the other 1,527 rows are standardised to mean 0 and deviation 1, and the test rows by the same
    means and deviations. Of those 1,527 rows `held_out`, in (0, 1), go to validation, drawn under
    the study's seed with each class's share kept.

    x is float32 of shape (n, 64), y int32 of shape (n,) from 0 to 9.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    images = load_digits()
    x = np.asarray(images.data, dtype="float32")
    y = np.asarray(images.target, dtype="int32")
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.15, random_state=37)
    scaler = StandardScaler()
    x = scaler.fit_transform(x)
    x_test = scaler.transform(x_test)
    return Data((x, y), validation=Holdout(held_out, stratify=True), test=(x_test, y_test))


@delayed
def mnist(held_out=0.1, flatten=False, one_hot=False):
    """MNIST's handwritten digits, 60,000 images for training and 10,000 for the test, 10 classes.

    Read from `mnist.npz` in the folder that the environment variable HPSEARCH_DATA names (arrays
    x_train, y_train, x_test, y_test), else downloaded once by Keras. The last training rows go to
    validation: a fraction in (0, 1), or so many rows.

    x is float32 in [0, 1] of shape (n, 28, 28), or (n, 784) where `flatten`; y is int64 of shape
    (n,) from 0 to 9, or float32 of shape (n, 10) where `one_hot`.

    Raises:
        FileNotFoundError: if the folder has no such file, or nothing can be downloaded.
    """
    x, y, x_test, y_test = read_mnist()
    shape = (-1, 784) if flatten else (-1, 28, 28)
    x = x.reshape(shape).astype("float32") / 255
    x_test = x_test.reshape(shape).astype("float32") / 255
    if one_hot:
        y, y_test = (np.eye(10, dtype="float32")[labels] for labels in (y, y_test))
    else:
        y, y_test = y.astype("int64"), y_test.astype("int64")
    if isinstance(held_out, float):
        return Data((x, y), validation=held_out, test=(x_test, y_test))
    return Data(
        (x[:-held_out], y[:-held_out]),
        validation=(x[-held_out:], y[-held_out:]),
        test=(x_test, y_test),
    )


def read_mnist():
    """Return x_train, y_train, x_test, y_test as they are stored: uint8, (n, 28, 28) and (n,)."""
    folder = os.environ.get("HPSEARCH_DATA")
    if folder:
        path = Path(folder) / "mnist.npz"
        if not path.is_file():
            raise FileNotFoundError(
                f"HPSEARCH_DATA is {folder}, and there is no file {path}. "
                "Put mnist.npz there, or unset HPSEARCH_DATA to have Keras download it."
            )
        with np.load(path, allow_pickle=False) as stored:
            names = ("x_train", "y_train", "x_test", "y_test")
            return tuple(stored[name] for name in names)
    import keras

    try:
        (x, y), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:  # no network, or a file that is not the one Keras expects
        raise FileNotFoundError(
            f"MNIST could not be downloaded: {error} "
            "Set HPSEARCH_DATA to a folder that holds mnist.npz."
        ) from error
    return x, y, x_test, y_test
