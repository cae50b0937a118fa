"""What keeps a network from overfitting: dropout, penalties and limits on its weights."""

from hpsearch import loguniform, maybe, uniform
from hpsearch.keras import constraints, layers, regularizers


def dropout(most=0.5):
    """Dropout with a rate in [0, most], `most` below 1: that share of the inputs is set to 0.

    >>> dropout(most=0.3)
    layers.Dropout(uniform(0.0, 0.3))
    """
    return layers.Dropout(uniform(0, most))


def spatial_dropout(most=0.5):
    """Dropout of whole channels of images (n, rows, columns, channels), rate in [0, most].

    >>> spatial_dropout()
    layers.SpatialDropout2D(uniform(0.0, 0.5))
    """
    return layers.SpatialDropout2D(uniform(0, most))


def gaussian_dropout(most=0.5):
    """Inputs times normal noise of mean 1 and variance rate / (1 − rate), rate in [0, most].

    >>> gaussian_dropout()
    layers.GaussianDropout(uniform(0.0, 0.5))
    """
    return layers.GaussianDropout(uniform(0, most))


def weight_decay(low=1e-6, high=1e-2):
    """An L2 penalty of [low, high] times the sum of squares, or none: `kernel_regularizer=…`.

    It adds to the loss, so search for a metric. Its scale is that of the loss: 1e-6 does nothing
    to most networks, 1e-2 holds most of them down.

    >>> layers.Dense(8, kernel_regularizer=weight_decay())
    layers.Dense(8, kernel_regularizer=maybe(regularizers.L2(loguniform(1e-06, 0.01))))
    """
    return maybe(regularizers.L2(loguniform(low, high)))


def max_norm(low=1.0, high=5.0):
    """The longest vector of weights into a unit, in [low, high], or none: `kernel_constraint=…`.

    >>> layers.Dense(8, kernel_constraint=max_norm())
    layers.Dense(8, kernel_constraint=maybe(constraints.MaxNorm(uniform(1.0, 5.0))))
    """
    return maybe(constraints.MaxNorm(uniform(low, high)))
