"""Exclusive or, four points, with one hidden layer of two relu units.

No linear model can do it: the normal equations give .5 everywhere, and the course notes set the
weights of two relu units by hand to get 0, 1, 1, 0 (`python scripts/notes/xor_by_hand.py` prints
both). Here the two units are trained. Many starts end where one unit is dead and the error stays,
so how the weights start, the rate and the number of epochs are searched; each trial has a seed of
its own. The baseline `notes` has the notes' network, with Keras's defaults for all else.

Reference: zero error, which is a mean squared error below 1e-6 and four points right.
"""

from hpsearch import Fit, Space, choice, integer, loguniform
from hpsearch.keras import Sequential, initializers, layers, optimizers
from hpsearch.spaces.pieces.data import xor


def error(model, data):
    """The mean squared error over the four points, and how many of them are right."""
    answers, targets = model.predict(data.train.x[:4], verbose=0), data.train.y[:4]
    return {
        "squared_error": float(((answers - targets) ** 2).mean()),
        "right": int(((answers > 0.5) == (targets > 0.5)).sum()),
    }


space = Space(
    data=xor(),
    model=Sequential(
        [
            layers.Dense(
                2,
                activation="relu",
                kernel_initializer=choice(
                    {
                        "glorot": initializers.GlorotUniform(),
                        "he": initializers.HeNormal(),
                        "wide": initializers.RandomUniform(-2.0, 2.0),
                    }
                ),
            ),
            layers.Dense(1),
        ]
    ),
    optimizer=choice(
        {
            "sgd": optimizers.SGD(loguniform(1e-2, 0.5)),
            "adam": optimizers.Adam(loguniform(3e-3, 1e-1)),
        }
    ),
    loss="mean_squared_error",
    fit=Fit(batch_size=4, epochs=integer(5, 30)),
    evaluate=error,
    minimize="squared_error",
    baselines={
        "notes": {
            "kernel_initializer": "glorot",
            "optimizer": "sgd",
            "optimizer.sgd.learning_rate": 0.01,
            "fit.epochs": 30,
        }
    },
)
