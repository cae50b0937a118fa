"""MNIST with three or four dense layers: the search of the hyperas README, as declarations.

Each `{{…}}` of that file is a word in its place; its `if` on a choice is `when`. The baseline
`notes` is the best point that the course notes print for it (a test accuracy of 0.9666 after five
trials of two epochs), its choices written as values instead of indices.

Reference: five trials reach a test accuracy of 0.9666, the figure of the notes.
"""

from hpsearch import Fit, Space, choice, given, uniform
from hpsearch.keras import Sequential, layers
from hpsearch.spaces.pieces.blocks import fourth_layer
from hpsearch.spaces.pieces.data import mnist

space = Space(
    data=mnist(held_out=0.1, flatten=True),
    model=Sequential(
        [
            layers.Dense(512, activation="relu"),
            layers.Dropout(uniform(0, 1)),
            layers.Dense(choice([256, 512, 1024]), activation=choice(["relu", "sigmoid"])),
            layers.Dropout(uniform(0, 1)),
            fourth_layer(),
            layers.Dense(given.classes, activation="softmax"),
        ]
    ),
    optimizer=choice(["rmsprop", "adam", "sgd"]),
    loss="sparse_categorical_crossentropy",
    fit=Fit(batch_size=choice([64, 128]), epochs=2),
    maximize="val_accuracy",
    baselines={
        "notes": {
            "model.dropout.rate": 0.03323327852409652,
            "model.dense_1.units": 1024,
            "model.dense_1.activation": "sigmoid",
            "model.dropout_1.rate": 0.0886198698550964,
            "depth": "four",
            "between": "dropout",
            "optimizer": "rmsprop",
            "fit.batch_size": 128,
        }
    },
)
