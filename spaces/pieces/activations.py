"""Activations: by name for `activation=…`, or as layers, each with a parameter of its own.

Everything here is made of Keras's own layers, so a saved model loads without hpsearch and without
`safe_mode=False`.
"""

from hpsearch import delayed, loguniform
from hpsearch.keras import initializers, layers
from hpsearch.spaces.pieces.subset import in_places, one_of

NAMES = (
    "relu",
    "gelu",
    "silu",
    "tanh",
    "elu",
    "selu",
    "leaky_relu",
    "softplus",
    "sigmoid",
    "softmax",
    "linear",
)
"""What `activation` chooses among: the names of Keras."""

HIDDEN = ("relu", "gelu", "silu", "tanh")


def activation(among=HIDDEN, name=None):
    """An activation by its Keras name, one of `NAMES`, for `layers.Dense(…, activation=…)`.

    With `name` the same one in every layer. The default holds what is used in hidden layers today;
    `leaky_relu` and `elu` have Keras's fixed slope here (.2, 1): search it with `activation_layer`.

    Raises:
        ValueError: for a name that is not in `NAMES`.

    >>> layers.Dense(32, activation=activation(among=("relu", "tanh")))
    layers.Dense(32, activation=choice(['relu', 'tanh']))
    """
    return one_of({key: key for key in NAMES}, among, name)


def activation_layer(
    among=("relu", "leaky_relu", "elu", "gelu", "silu", "tanh"), name="activation_layer"
):
    """An activation as a layer of its own, to stand in a list of layers.

    Any subset of sigmoid, softmax (over the last axis), relu, leaky_relu, elu, prelu, tanh,
    softplus, softplus_beta, gelu, silu, linear and absolute. Some have a parameter that is searched
    only with them: leaky_relu a slope below zero in [0.01, 0.3], elu an α in [0.3, 3] and
    softplus_beta a β in [0.3, 10], all on a log scale. prelu learns a slope for each feature,
    from 0.25 as in its paper (He et al., 2015). One choice for every place that has this name; with
    `name=None` each place has a choice of its own, and the label `model.choice` with a number.

    Raises:
        ValueError: for another name.

    >>> activation_layer(among=("relu", "elu")).options[1]
    layers.ELU(alpha=loguniform(0.3, 3.0))
    """
    return in_places(_layers, among, name)


def _layers():
    return {
        "sigmoid": layers.Activation("sigmoid"),
        "softmax": layers.Softmax(),
        "relu": layers.ReLU(),
        "leaky_relu": layers.LeakyReLU(negative_slope=loguniform(0.01, 0.3)),
        "elu": layers.ELU(alpha=loguniform(0.3, 3.0)),
        "prelu": layers.PReLU(alpha_initializer=initializers.Constant(0.25)),
        "tanh": layers.Activation("tanh"),
        "softplus": layers.Activation("softplus"),
        "softplus_beta": softplus(beta=loguniform(0.3, 10.0)),
        "gelu": layers.Activation("gelu"),
        "silu": layers.Activation("silu"),
        "linear": layers.Activation("linear"),
        "absolute": absolute(),
    }


@delayed
def softplus(beta):
    """log(1 + exp(β x)) / β as a layer: a smooth relu, the closer to it the larger β > 0."""
    import keras

    return keras.layers.Pipeline(
        [
            keras.layers.Rescaling(beta),
            keras.layers.Activation("softplus"),
            keras.layers.Rescaling(1 / beta),
        ]
    )


@delayed
def absolute():
    """|x| as a layer, the absolute value rectifier; its derivative at 0 is 0."""
    import keras

    # Keras has no such activation and refuses the slope -1 for LeakyReLU; a function (`ops.abs`)
    # would not load, Keras's own operation behind it does.
    x = keras.KerasTensor((1,))
    operation = keras.Function(x, keras.ops.absolute(x)).operations[-1]
    return keras.layers.Activation(operation)
