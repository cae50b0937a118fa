"""Every point of two discrete Keras spaces, trained for real: what the problems `keras` look up.

    HPSEARCH_DATA=… python scripts/bench/suggest/trained.py digits|mnist [--seed 0] [--workers 2]
        [--folder DIR]

is a grid search of `digits` or `mnist` below by hpsearch itself, so it goes on where it was cut
off. Writes data/keras_NAME.json: every point, and its val_loss by seed, null where training failed.
Another seed is added to those that are there: other weights, and for the digits another split. What
is searched is the mean over seeds.
"""

from __future__ import annotations

import argparse
import functools
import json
from pathlib import Path

import numpy as np
from problems import keras_words, key_of, write_trained

from hpsearch import Data, Fit, Space, choice, delayed, given, repeat, search
from hpsearch.keras import Sequential, layers, optimizers
from hpsearch.spaces.pieces.data import digits as all_digits
from hpsearch.spaces.pieces.data import load_data

DATA = Path(__file__).parent / "data"
TRAINED, VALIDATED = 6000, 6000  # images of MNIST: all of it would take days


@delayed
def few_of_mnist() -> Data:
    """The first training images, the last of them for validation."""
    (x, y), _ = load_data("mnist")
    x = x.astype("float32") / 255
    return Data((x[:TRAINED], y[:TRAINED]), validation=(x[-VALIDATED:], y[-VALIDATED:]))


def space(name: str, data: object, epochs: int) -> Space:
    words = keras_words(name)
    adam, sgd = (words["optimizer"].option(key) for key in ("adam", "sgd"))
    dense = functools.partial(layers.Dense, words["units"], activation=words["activation"])
    return Space(
        data=data,
        model=Sequential(
            [
                layers.Flatten(),
                repeat(lambda i: [dense(), layers.Dropout(words["dropout"])], times=words["depth"]),
                layers.Dense(given.classes, activation="softmax"),
            ]
        ),
        optimizer=choice(
            {
                "adam": optimizers.Adam(adam["rate"]),
                "sgd": optimizers.SGD(sgd["rate"], momentum=sgd["momentum"]),
            },
            name="optimizer",
        ),
        loss="sparse_categorical_crossentropy",
        fit=Fit(batch_size=words["batch"], epochs=epochs),
        minimize="val_loss",
    )


digits = space("digits", all_digits(), epochs=8)
mnist = space("mnist", few_of_mnist(), epochs=4)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("name", choices=["digits", "mnist"])
    asked.add_argument("--seed", type=int, default=0, help="the next that is not there yet")
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--folder", type=Path, default=Path("mlruns"))
    given_ = asked.parse_args()
    found = search(
        f"{__file__}:{given_.name}",
        algo="grid",
        workers=given_.workers,
        folder=given_.folder,
        study=f"trained-{given_.name}-{given_.seed}",
        resume=True,
        seed=given_.seed,
        offline=True,
        check=False,
        keep_models=0,
    )
    file = DATA / f"keras_{given_.name}.json"
    known = json.loads(file.read_text())["trials"] if file.exists() else []
    values = {key_of(point): found for point, found in known}
    trials = [
        [t.point, [*values.get(key_of(t.point), [])[: given_.seed], t.value]] for t in found.trials
    ]
    write_trained(file, ("keras", "tensorflow", "numpy"), trials)
    means = [np.mean(found) for _, found in trials if None not in found]
    failed = len(trials) - len(means)
    print(
        f"{file.name}: {len(trials)} trials, {min(means):.4f} to {max(means):.4f}, {failed} failed"
    )


if __name__ == "__main__":
    main()
