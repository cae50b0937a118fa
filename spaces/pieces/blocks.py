"""Blocks of layers: dense and convolutional ones, normalisation, extra layers, sets to swap.

Call a piece where its words are to stand: each call declares words of its own, and their labels
say where they stand. Those with a `name` are one parameter, wherever they are called with it. A
block is a list, which a list of layers takes up.
"""

import functools

from hpsearch import choice, given, integer, maybe, repeat, when
from hpsearch.keras import layers
from hpsearch.spaces.pieces.regularizers import dropout
from hpsearch.spaces.pieces.subset import in_places


def units(low=16, high=512, name=None):
    """The size of a layer, a whole number in [low, high], small and large alike (log scale).

    >>> layers.Dense(units(high=128))
    layers.Dense(integer(16, 128, log=True))
    """
    return integer(low, high, log=True, name=name)


def normalization(among=("none", "batch", "layer"), name="normalization"):
    """Normalisation over the batch or over the features, or none, in a list of layers.

    "none" is None in a point and leaves no layer. One choice for every place that has this name;
    with `name=None` each place has a choice of its own, and the label `model.choice` with a number.

    Raises:
        ValueError: for another name.

    >>> normalization(among=("none", "batch"))
    choice([None, 'batch'])
    """
    return in_places(_normalizations, among, name)


def _normalizations():
    return {
        "none": None,
        "batch": layers.BatchNormalization(),
        "layer": layers.LayerNormalization(),
    }


def dense_block(activation="relu", low=16, high=512, most=0.5):
    """A dense layer, normalised over the batch or not, its activation, and dropout.

    Units in [low, high], dropout of a rate in [0, most]. `activation` is a Keras name or a choice
    of them. For `repeat` in a function, so that each block has words of its own:
    `repeat(lambda i: dense_block(), times=integer(1, 4))`.

    >>> dense_block(activation="tanh")[0]
    layers.Dense(integer(16, 512, log=True))
    """
    return [
        layers.Dense(units(low, high)),
        maybe(layers.BatchNormalization()),
        layers.Activation(activation),
        dropout(most),
    ]


def convolution_block(filters=None, activation="relu"):
    """A convolution of images (n, rows, columns, channels), then half the rows and columns.

    `filters` is a number or a word, by default one of 16, 32, 64 and 128; the kernel is 3 × 3 or
    5 × 5; normalised over the batch or not; pooled by maximum. Odd sizes are halved upwards, so that
    any number of blocks fits any image.

    >>> convolution_block(filters=8)[0]
    layers.Conv2D(8, choice([3, 5]), padding='same')
    """
    filters = choice([16, 32, 64, 128]) if filters is None else filters
    return [
        layers.Conv2D(filters, choice([3, 5]), padding="same"),
        maybe(layers.BatchNormalization()),
        layers.Activation(activation),
        layers.MaxPooling2D(2, padding="same"),
    ]


def extra_layers(most=3, activation="relu", low=16, high=512):
    """From none to `most` dense blocks (see `dense_block`), each with words of its own.

    >>> extra_layers(most=2)
    repeat(extra, times=integer(0, 2))
    """

    def extra(i):
        return dense_block(activation, low, high)

    return repeat(extra, times=integer(0, most))


def fourth_layer():
    """The extra layer of the hyperas example: there if the choice `depth` is "four".

    100 units, then dropout of one half or nothing (the choice `between`), then relu. Both choices
    have these names wherever it stands: twice in one space it is there twice or not at all.

    >>> fourth_layer().condition
    (depth == 'four')
    """
    depth, between = _depth_and_between()
    return when(depth == "four", [layers.Dense(100), between, layers.Activation("relu")])


@functools.cache
def _depth_and_between():
    """The same words for every place: two words of one name are refused."""
    between = choice([layers.Dropout(0.5), layers.Activation("linear")], name="between")
    return choice(["three", "four"], name="depth"), between


def head(
    outputs=given.classes, activation="softmax", among=("flatten", "average", "max"), name="head"
):
    """From images (n, rows, columns, channels) to outputs, by one of three sets of layers.

    `flatten` keeps every place and puts a dense layer and dropout on them; `average` and `max` pool
    each channel to one number. Then a dense layer of `outputs` units. Two heads of one name are
    chosen alike; give the second a name of its own for a choice of its own.

    Raises:
        ValueError: for another name.

    >>> head(outputs=1, activation="sigmoid")
    [choice(['flatten', 'average', 'max']), layers.Dense(1, activation='sigmoid')]
    """
    return [in_places(_heads, among, name), layers.Dense(outputs, activation=activation)]


def _heads():
    return {
        "flatten": [layers.Flatten(), layers.Dense(units(), activation="relu"), dropout()],
        "average": layers.GlobalAveragePooling2D(),
        "max": layers.GlobalMaxPooling2D(),
    }
