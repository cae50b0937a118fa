"""Handwritten digits with one hidden layer: 8 × 8 pixels in, 10 classes out.

A search of seconds per trial, to try hpsearch with. The baseline `notes` is the network of the
exercise "Backpropagation" in the course notes: 10 sigmoid units, SGD at rate 0.1 without
momentum, one sample at a time, 15 epochs. Standardised pixels, 15% of the rows for the test.

`digits_mlp:long` is the same for 50 epochs, to see whether a model over- or underfits.

Reference: a search of 20 trials finds a validation accuracy of 0.975 or more.
"""

from dataclasses import replace

from hpsearch import Fit, Space, choice, given, integer, loguniform, uniform
from hpsearch.keras import Sequential, layers, optimizers
from hpsearch.spaces.pieces.data import digits

space = Space(
    data=digits(),
    model=Sequential(
        [
            layers.Dense(
                integer(10, 256, log=True),
                activation=choice(["sigmoid", "tanh", "relu"]),
            ),
            layers.Dense(given.classes, activation="softmax"),
        ]
    ),
    optimizer=optimizers.SGD(loguniform(1e-2, 1), momentum=uniform(0, 0.95)),
    loss="sparse_categorical_crossentropy",
    fit=Fit(
        # One sample at a time takes twenty times as long as a batch of 32: it is there for the
        # notes, and rarely drawn.
        batch_size=choice([1, 16, 32, 64, 128], weights=[0.02, 0.245, 0.245, 0.245, 0.245]),
        epochs=15,
    ),
    maximize="val_accuracy",
    baselines={
        "notes": {
            "model.dense.units": 10,
            "model.dense.activation": "sigmoid",
            "optimizer.learning_rate": 0.1,
            "optimizer.momentum": 0.0,
            "fit.batch_size": 1,
        }
    },
)

long = replace(space, fit=replace(space.fit, epochs=50), keep="last")
"""The same for 50 epochs, judged after the last: does it overfit?"""
