"""Parts of networks: sizes, activations, dropout, blocks, extra layers.

Call a piece where its words are to stand: each call declares words of its own, and their labels
say where they stand. With `name=` one value is used in all places.
"""

from hpsearch import choice, integer, maybe, uniform, when
from hpsearch.keras import initializers, layers, regularizers


def units(low=16, high=512):
    """The size of a dense layer, a whole number in [low, high], small and large alike (log scale)."""
    return integer(low, high, log=True)


def activation(name=None):
    """An activation by its Keras name; with `name` the same one in every layer."""
    return choice(["relu", "gelu", "silu", "tanh", "sigmoid"], name=name)


def dropout(most=0.5):
    """A dropout layer with a rate in [0, most]."""
    return layers.Dropout(uniform(0, most))


def weight_decay():
    """An L2 penalty on a kernel, or none (`kernel_regularizer=weight_decay()`)."""
    return maybe(regularizers.L2(choice([1e-5, 1e-4, 1e-3, 1e-2])))


def initializer():
    """How the weights of a layer start (`kernel_initializer=initializer()`)."""
    return choice(
        {
            "glorot": initializers.GlorotUniform(),
            "he": initializers.HeNormal(),
            "lecun": initializers.LecunNormal(),
        }
    )


def dense_block(activation="relu"):
    """A dense layer, normalised or not, and dropout: for `repeat(lambda i: dense_block(), …)`."""
    return [
        layers.Dense(units(), activation=activation),
        maybe(layers.BatchNormalization()),
        dropout(),
    ]


def convolution_block(filters=32, activation="relu"):
    """Two convolutions of 3 × 3 or 5 × 5 on images (rows, columns, channels), then half the size."""
    return [
        layers.Conv2D(filters, choice([3, 5]), padding="same", activation=activation),
        layers.Conv2D(filters, choice([3, 5]), padding="same", activation=activation),
        layers.MaxPooling2D(2),
    ]


def fourth_layer():
    """The extra layer of the hyperas example: there if the choice `depth` is "four".

    100 units, then dropout of one half or nothing, then relu.
    """
    depth = choice(["three", "four"], name="depth")
    between = choice([layers.Dropout(0.5), layers.Activation("linear")], name="between")
    return when(depth == "four", [layers.Dense(100), between, layers.Activation("relu")])
