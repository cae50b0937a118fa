"""Parts of training: optimizers, losses, callbacks."""

from hpsearch import choice, given, loguniform, uniform
from hpsearch.keras import callbacks, losses, optimizers


def sgd(low=1e-3, high=1.0):
    """Stochastic gradient descent with a rate in [low, high] and a momentum in [0, 0.95]."""
    return optimizers.SGD(loguniform(low, high), momentum=uniform(0, 0.95))


def adam(low=1e-4, high=1e-1):
    """Adam with a rate in [low, high]."""
    return optimizers.Adam(loguniform(low, high))


def adamw(low=1e-4, high=1e-1):
    """Adam with weight decay, its rate falling to zero along a cosine over all steps."""
    rate = optimizers.schedules.CosineDecay(loguniform(low, high), decay_steps=given.steps)
    return optimizers.AdamW(rate, weight_decay=loguniform(1e-6, 1e-1))


def optimizer():
    """One of the three above; each has words of its own."""
    return choice({"adam": adam(), "adamw": adamw(), "sgd": sgd()})


def class_loss():
    """Cross-entropy of one-hot targets (n, classes), with or without smoothed labels."""
    return choice(
        {
            "plain": losses.CategoricalCrossentropy(),
            "smooth": losses.CategoricalCrossentropy(label_smoothing=uniform(0.01, 0.2)),
        }
    )


def early_stopping(patience=3):
    """Stop when the validation loss has not fallen for so many epochs."""
    return callbacks.EarlyStopping(patience=patience)
