"""Handwritten digits by a small convolutional network, its blocks searched.

One to three blocks of the piece `convolution_block`, each with filters, kernel and normalisation
of its own, one activation for all; then the piece `head`: flattened with a dense layer, or
averaged. The baseline `plain` is the network someone would write first.

Reference: none is printed; docs/ready-spaces.md has our own figures.
"""

from hpsearch import Fit, Space, choice, integer, repeat
from hpsearch.keras import Sequential
from hpsearch.spaces.pieces.activations import activation
from hpsearch.spaces.pieces.blocks import convolution_block, head
from hpsearch.spaces.pieces.data import digits
from hpsearch.spaces.pieces.optimizers import adam, sgd

shared = activation(among=("relu", "gelu", "tanh"), name="activation")


def block(i):
    """Block number `i`, which halves the 8 × 8 pixels."""
    return convolution_block(filters=choice([8, 16, 32]), activation=shared)


space = Space(
    data=digits(images=True),
    model=Sequential(
        [repeat(block, times=integer(1, 3)), head(among=("flatten", "average"), name="head")]
    ),
    optimizer=choice({"adam": adam(), "sgd": sgd()}),
    loss="sparse_categorical_crossentropy",
    fit=Fit(batch_size=choice([16, 32, 64]), epochs=15),
    maximize="val_accuracy",
    baselines={
        "plain": {
            "block.times": 2,
            "block.0.conv2d.filters": 16,
            "block.0.conv2d.kernel_size": 3,
            "block.0.batch_normalization": False,
            "block.1.conv2d.filters": 32,
            "block.1.conv2d.kernel_size": 3,
            "block.1.batch_normalization": False,
            "activation": "relu",
            "head": "flatten",
            "dense.units": 64,
            "dropout.rate": 0.25,
            "optimizer": "adam",
            "adam.learning_rate": 0.001,
            "batch_size": 32,
        }
    },
)
