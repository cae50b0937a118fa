"""Handwritten digits by a small convolutional network, its blocks searched.

One to three blocks of convolution, normalisation and activation, each with filters of its own;
the image is halved after the first, then averaged or flattened. The baseline `plain` is the
network someone would write first.

Reference: our own figures, see docs/ready-spaces.md.
"""

from hpsearch import Fit, Space, choice, given, integer, maybe, repeat
from hpsearch.keras import Sequential, layers
from hpsearch.spaces.pieces.activations import activation
from hpsearch.spaces.pieces.data import digits
from hpsearch.spaces.pieces.optimizers import adam, sgd
from hpsearch.spaces.pieces.regularizers import dropout

shared = activation(among=("relu", "gelu", "tanh"), name="activation")


def block(i):
    """Convolution number `i`: filters of its own, normalised or not."""
    return [
        layers.Conv2D(choice([8, 16, 32]), 3, padding="same"),
        maybe(layers.BatchNormalization()),
        layers.Activation(shared),
    ]


space = Space(
    data=digits(images=True),
    model=Sequential(
        [
            repeat(block, times=integer(1, 3)),
            layers.MaxPooling2D(2),
            choice(
                {"average": layers.GlobalAveragePooling2D(), "flatten": layers.Flatten()},
                name="end",
            ),
            dropout(),
            layers.Dense(given.classes, activation="softmax"),
        ]
    ),
    optimizer=choice({"adam": adam(), "sgd": sgd()}),
    loss="sparse_categorical_crossentropy",
    fit=Fit(batch_size=choice([16, 32, 64]), epochs=15),
    maximize="val_accuracy",
    baselines={
        "plain": {
            "block.times": 2,
            "block.0.conv2d.filters": 16,
            "block.0.batch_normalization": False,
            "block.1.conv2d.filters": 32,
            "block.1.batch_normalization": False,
            "activation": "relu",
            "end": "flatten",
            "dropout.rate": 0.25,
            "optimizer": "adam",
            "adam.learning_rate": 0.001,
            "batch_size": 32,
        }
    },
)
