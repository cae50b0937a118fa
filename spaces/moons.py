"""Two moons, 300 noisy points in the plane: sizes, activations, optimizer and batch size searched.

The baseline `notes` is the network of the course notes: Dense 20 tanh → 50 relu → 1 sigmoid, Adam
at rate .01, one sample at a time, 10 epochs. Validation and test points are drawn anew from the
same distribution, noise .15.

Reference: a training accuracy of 0.98 in the tenth epoch.
"""

from hpsearch import Fit, Space, choice, integer
from hpsearch.keras import Sequential, layers
from hpsearch.spaces.pieces.activations import activation
from hpsearch.spaces.pieces.data import moons
from hpsearch.spaces.pieces.optimizers import adam, rmsprop, sgd

space = Space(
    data=moons(rows=300, noise=0.15),
    model=Sequential(
        [
            layers.Dense(integer(4, 64, log=True), activation=activation()),
            layers.Dense(integer(4, 64, log=True), activation=activation()),
            layers.Dense(1, activation="sigmoid"),
        ]
    ),
    optimizer=choice({"adam": adam(), "rmsprop": rmsprop(), "sgd": sgd()}),
    loss="binary_crossentropy",
    metrics=["accuracy"],
    fit=Fit(batch_size=choice([1, 4, 16]), epochs=10),
    minimize="val_loss",
    baselines={
        "notes": {
            "model.dense.units": 20,
            "model.dense.activation": "tanh",
            "model.dense_1.units": 50,
            "model.dense_1.activation": "relu",
            "optimizer": "adam",
            "optimizer.adam.learning_rate": 0.01,
            "fit.batch_size": 1,
        }
    },
)
