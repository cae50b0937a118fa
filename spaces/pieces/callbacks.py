"""Callbacks that end training, or slow it down, when it no longer gets better."""

from hpsearch import choice
from hpsearch.keras import callbacks


def early_stopping(patience=3, monitor="val_loss"):
    """Stop when `monitor` has not become better for so many epochs; `patience` may be a word.

    The epochs of the trial are then the most it may take, so give plenty of them. A trial's value
    is that of its best epoch, whether it stops or not: this saves time, and changes no weights.

    >>> early_stopping(patience=5)
    callbacks.EarlyStopping(monitor='val_loss', patience=5)
    """
    return callbacks.EarlyStopping(monitor=monitor, patience=patience)


def reduce_on_plateau(patience=2, monitor="val_loss"):
    """Multiply the learning rate by .1, .2 or .5 when `monitor` has not become better for so long.

    `patience` in epochs, less than that of `early_stopping`. Not together with a schedule, which
    sets the rate itself: when the plateau comes, Keras raises a TypeError, so `check` refuses it.
    With `schedules=("constant",)` the rate is a number, and this works.

    >>> reduce_on_plateau()
    callbacks.ReduceLROnPlateau(monitor='val_loss', factor=choice([0.1, 0.2, 0.5]), patience=2)
    """
    return callbacks.ReduceLROnPlateau(
        monitor=monitor, factor=choice([0.1, 0.2, 0.5]), patience=patience
    )
