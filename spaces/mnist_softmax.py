"""MNIST with dense relu layers and plain SGD: width, depth, rate, momentum and its schedule.

The baseline `notes` is the network of the course notes on multi-layer perceptrons: 784–500–256–10,
relu, softmax and cross-entropy, SGD without momentum in batches of 64, five epochs. The notes sum
the loss over a batch at rate .001; Keras takes the mean, so the same step is rate .064.

Reference: that network reaches a test accuracy of 0.965 after five epochs; the search has the
same five epochs and must do better.
"""

from hpsearch import Fit, Space, given, integer, loguniform, repeat, uniform
from hpsearch.keras import Sequential, layers, optimizers
from hpsearch.spaces.pieces.data import mnist
from hpsearch.spaces.pieces.optimizers import schedule


def hidden(i):
    """Layer number `i`, with a width of its own."""
    return layers.Dense(integer(64, 1024, log=True), activation="relu")


space = Space(
    data=mnist(held_out=5000, flatten=True),
    model=Sequential(
        [
            repeat(hidden, times=integer(1, 3)),
            layers.Dense(given.classes, activation="softmax"),
        ]
    ),
    optimizer=optimizers.SGD(
        schedule(loguniform(1e-2, 1), among=("constant", "cosine")), momentum=uniform(0, 0.95)
    ),
    loss="sparse_categorical_crossentropy",
    fit=Fit(batch_size=64, epochs=5),
    maximize="val_accuracy",
    baselines={
        "notes": {
            "hidden.times": 2,
            "hidden.0.dense.units": 500,
            "hidden.1.dense.units": 256,
            "rate": 0.064,
            "schedule": "constant",
            "optimizer.momentum": 0.0,
        }
    },
)
