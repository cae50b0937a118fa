"""Optimizers, each with a learning rate in a range of its own, and schedules for that rate.

All take `low` and `high`, the ends of the learning rate; `clipnorm`, the longest gradient of each
weight: False for none, True for a search over none and [0.1, 10], else the value or word itself;
and `schedules`, names out of `SCHEDULES`, none for a rate that stays. What is not searched is as
Keras has it.
"""

from hpsearch import choice, delayed, given, loguniform, maybe, uniform
from hpsearch.keras import optimizers
from hpsearch.spaces.pieces.subset import one_of

SCHEDULES = ("constant", "cosine", "exponential")


def sgd(low=1e-3, high=1.0, *, clipnorm=False, schedules=()):
    """Stochastic gradient descent with momentum in [0, 0.95], Nesterov's or the plain one.

    The rate multiplies the gradient itself, so the best one depends on the scale of loss and inputs:
    the widest range of all.

    >>> sgd(low=1e-2)
    optimizers.SGD(loguniform(0.01, 1.0), momentum=uniform(0.0, 0.95), nesterov=choice([False, True]))
    """
    momentum, nesterov = uniform(0, 0.95), choice([False, True])
    return optimizers.SGD(
        _rate(low, high, schedules), momentum=momentum, nesterov=nesterov, **_clipped(clipnorm)
    )


def rmsprop(low=1e-4, high=1e-2, *, clipnorm=False, schedules=()):
    """RMSprop. A step is about the rate itself, whatever the gradient; above 0.01 it is unsteady.

    >>> rmsprop()
    optimizers.RMSprop(loguniform(0.0001, 0.01))
    """
    return optimizers.RMSprop(_rate(low, high, schedules), **_clipped(clipnorm))


def adam(low=1e-4, high=3e-2, *, clipnorm=False, schedules=()):
    """Adam. A step is at most about the rate itself; small networks bear 0.03, large ones 0.001.

    >>> adam(clipnorm=1.0)
    optimizers.Adam(loguniform(0.0001, 0.03), clipnorm=1.0)
    """
    return optimizers.Adam(_rate(low, high, schedules), **_clipped(clipnorm))


def adamw(low=1e-4, high=3e-2, *, clipnorm=False, schedules=()):
    """Adam with decoupled weight decay in [1e-5, 0.1] (Keras's own is 0.004); rates as for Adam.

    >>> adamw()
    optimizers.AdamW(loguniform(0.0001, 0.03), weight_decay=loguniform(1e-05, 0.1))
    """
    decay = loguniform(1e-5, 1e-1)
    return optimizers.AdamW(_rate(low, high, schedules), weight_decay=decay, **_clipped(clipnorm))


def nadam(low=1e-4, high=3e-2, *, clipnorm=False, schedules=()):
    """Adam with Nesterov's momentum; rates as for Adam.

    >>> nadam()
    optimizers.Nadam(loguniform(0.0001, 0.03))
    """
    return optimizers.Nadam(_rate(low, high, schedules), **_clipped(clipnorm))


def adagrad(low=1e-3, high=1.0, *, clipnorm=False, schedules=()):
    """Adagrad. Its steps shrink with the sum of all squared gradients, so it starts with large ones.

    >>> adagrad()
    optimizers.Adagrad(loguniform(0.001, 1.0))
    """
    return optimizers.Adagrad(_rate(low, high, schedules), **_clipped(clipnorm))


def lion(low=1e-5, high=3e-3, *, clipnorm=False, schedules=()):
    """Lion, with decoupled weight decay in [1e-4, 1].

    Every weight moves by the rate in each step, so its paper (Chen et al., 2023) takes rates 3 to
    10 times smaller than AdamW's, and decay that much stronger.

    >>> lion()
    optimizers.Lion(loguniform(1e-05, 0.003), weight_decay=loguniform(0.0001, 1.0))
    """
    decay = loguniform(1e-4, 1.0)
    return optimizers.Lion(_rate(low, high, schedules), weight_decay=decay, **_clipped(clipnorm))


def optimizer(among=("adam", "adamw", "sgd"), *, clipnorm=False, schedules=(), name=None):
    """One of the optimizers above, each with parameters of its own.

    Raises:
        ValueError: for another name.

    >>> optimizer(among=("adam", "lion"))
    choice(['adam', 'lion'])
    """
    every = (sgd, rmsprop, adam, adamw, nadam, adagrad, lion)
    made = {f.__name__: f(clipnorm=clipnorm, schedules=schedules) for f in every}
    return one_of(made, among, name)


def schedule(rate, among=SCHEDULES):
    """A learning rate that starts at `rate` and stays, or falls: which of them is searched.

    Labels `….learning_rate.rate` and `….learning_rate.schedule`: one rate for all schedules. Over
    all steps of the trial (`given.steps`) `cosine` falls to 0 and `exponential` to rate/100.

    Raises:
        ValueError: unless `among` is out of `SCHEDULES`.

    >>> schedule(0.1, among=("constant", "cosine"))
    scheduled(rate=0.1, schedule=choice(['constant', 'cosine']), steps=given.steps)
    """
    which = one_of({key: key for key in SCHEDULES}, among)
    return scheduled(rate=rate, schedule=which, steps=given.steps)


@delayed
def scheduled(rate, schedule, steps):
    """The rate itself, or a Keras schedule that starts at it and takes so many steps to fall."""
    import keras

    if schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(rate, steps)
    if schedule == "exponential":
        return keras.optimizers.schedules.ExponentialDecay(rate, steps, decay_rate=0.01)
    return rate


def _rate(low, high, schedules):
    rate = loguniform(low, high)
    return schedule(rate, schedules) if schedules else rate


def _clipped(clipnorm):
    """The argument `clipnorm`, or none where there is no clipping."""
    if clipnorm is False or clipnorm is None:
        return {}
    return {"clipnorm": maybe(loguniform(0.1, 10)) if clipnorm is True else clipnorm}
