"""Losses for regression and for two or many classes, from probabilities and from logits.

Where the loss is a choice its values do not compare: a huber loss of 0.1 is not better than a
squared one of 0.2, and smoothed labels have a loss above zero at best. So search for a metric
(`maximize="val_accuracy"`, `minimize="val_mean_absolute_error"`), never for `val_loss`.
"""

from hpsearch import loguniform, uniform
from hpsearch.keras import losses
from hpsearch.spaces.pieces.subset import one_of

CLASSES = ("plain", "smooth")


def regression_loss(among=("mean_squared", "mean_absolute", "huber"), name=None):
    """A loss for real targets, the mean over all of them: squared, absolute or huber.

    Huber is squared up to an error of `delta` and grows linearly beyond: delta in [0.1, 10], on a
    log scale, for targets standardised to deviation 1 (else multiply by their deviation).
    Minimize a metric, such as `val_mean_absolute_error`, not the loss.

    Raises:
        ValueError: for another name.

    >>> regression_loss(among=("mean_squared", "huber")).options[1]
    losses.Huber(delta=loguniform(0.1, 10.0))
    """
    options = {
        "mean_squared": losses.MeanSquaredError(),
        "mean_absolute": losses.MeanAbsoluteError(),
        "huber": losses.Huber(delta=loguniform(0.1, 10.0)),
    }
    return one_of(options, among, name)


def binary_loss(from_logits=False, among=CLASSES, name=None):
    """Cross-entropy of targets 0 and 1, shape (n, 1) or (n,), with labels smoothed or not.

    `from_logits` where the last layer has no activation, else it is a sigmoid. Smoothing of s in
    [0.01, 0.2] draws the targets to s/2 and 1 − s/2. Search for a metric, not for the loss; for
    logits the metric is `metrics.BinaryAccuracy(threshold=0.0)`.

    Raises:
        ValueError: unless `among` is out of plain and smooth.

    >>> binary_loss().options[1]
    losses.BinaryCrossentropy(from_logits=False, label_smoothing=uniform(0.01, 0.2))
    """
    return _smoothed_or_not(losses.BinaryCrossentropy, from_logits, among, name)


def class_loss(from_logits=False, one_hot=False, among=None, name=None):
    """Cross-entropy of many classes: of their numbers (n,), or of rows (n, classes) if `one_hot`.

    `from_logits` where the last layer has no activation, else it is a softmax. With `one_hot` the
    labels are smoothed or not: smoothing of s in [0.01, 0.2] gives s/classes of the weight to every
    class alike; search for a metric then, not for the loss. Keras does not smooth numbers: without
    `one_hot` this is one loss, no choice.

    Raises:
        ValueError: unless `among` is out of plain and smooth, and left out without `one_hot`.

    >>> class_loss(from_logits=True)
    losses.SparseCategoricalCrossentropy(from_logits=True)
    """
    if one_hot:
        return _smoothed_or_not(losses.CategoricalCrossentropy, from_logits, among or CLASSES, name)
    if among is not None:
        raise ValueError(
            f"class_loss smooths one-hot labels only, got among={among!r} without one_hot. Write "
            "class_loss(one_hot=True, …) and give the data one-hot labels, or leave among out."
        )
    return losses.SparseCategoricalCrossentropy(from_logits=from_logits)


def _smoothed_or_not(loss, from_logits, among, name):
    options = {
        "plain": loss(from_logits=from_logits),
        "smooth": loss(from_logits=from_logits, label_smoothing=uniform(0.01, 0.2)),
    }
    return one_of(options, among, name)
