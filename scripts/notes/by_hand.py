"""Functions of the course notes in NumPy alone: units, softmax, one-hot, cross-entropies.

What a framework does for a model, written out, so that a framework can be held against it. Arrays
may have any shape where nothing else is said; classes stand on the last axis.
"""

from __future__ import annotations

import numpy as np

SMALLEST = 1e-12
"""A predicted probability of 0 is taken as this, so that a wrong and certain answer costs 27.6."""


def relu(a):
    """The larger of a and 0."""
    return np.maximum(a, 0.0)


def softplus(a):
    """log(1 + e^a) > 0, which neither overflows for large a nor is 0 before e^a is (a < -745)."""
    return np.logaddexp(0.0, a)


def sigmoid(a):
    """1 / (1 + e^-a) in [0, 1], the slope of softplus; no e^-a is formed that could overflow."""
    return np.exp(-softplus(-np.asarray(a, dtype=float)))


def softmax(logits):
    """Probabilities from logits (..., classes), of one vector or of each row of a batch.

    The largest logit is taken off first: that changes nothing in the quotient, and e^1000 is never
    formed.
    """
    logits = np.asarray(logits, dtype=float)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def one_hot(labels, classes):
    """Rows of zeros with a one at the label: whole numbers (...) to an array (..., classes).

    Raises:
        ValueError: for a label outside [0, classes). NumPy's own index would take -1 for the last.
    """
    labels = np.asarray(labels)
    outside = labels[(labels < 0) | (labels >= classes)]
    if outside.size:
        raise ValueError(
            f"one_hot needs labels from 0 to {classes - 1}, got {outside.flat[0]}. "
            "Number the classes from 0, or give more classes."
        )
    return np.eye(classes)[labels]


def cross_entropy(target, predicted):
    """-Σ target · log predicted over the classes: (..., classes) twice, to (...).

    Both are taken as probabilities as they come; predicted ones are clipped to [SMALLEST, 1].
    """
    logs = np.log(np.clip(predicted, SMALLEST, 1.0))
    return -np.sum(np.asarray(target) * logs, axis=-1)


def normalised_cross_entropy(target, predicted):
    """Cross-entropy of two vectors (classes,) of weights that need not sum to 1.

    Infinite where something that occurs was predicted never to; what does not occur costs nothing,
    whatever was predicted for it.

    Raises:
        ValueError: for a negative weight, or where all are zero.
    """
    target, predicted = _distribution("target", target), _distribution("predicted", predicted)
    occurs = target > 0
    with np.errstate(divide="ignore"):  # log 0 is the -∞ that is meant
        return -np.sum(target[occurs] * np.log(predicted[occurs]))


def negative_log_likelihood(target, predicted):
    """The mean cross-entropy over the rows of a batch (n, classes), or that of one row (classes,)."""
    return float(np.mean(cross_entropy(target, predicted)))


def _distribution(name, weights):
    weights = np.asarray(weights, dtype=float)
    if (weights < 0).any():
        raise ValueError(
            f"{name} needs weights of 0 or more, got {weights.min():g}. "
            "Give probabilities or counts; logits go through softmax first."
        )
    if not weights.sum() > 0:
        raise ValueError(
            f"{name} needs at least one weight above 0, got {weights.tolist()}. "
            "Leave an empty distribution out."
        )
    return weights / weights.sum()
