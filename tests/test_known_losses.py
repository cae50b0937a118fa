"""Every loss of the pieces, and its gradient, against closed forms and the numbers of the notes.

The closed forms are those of the course notes on multi-layer perceptrons. Where the notes sum over
the batch, Keras takes the mean, so theirs are divided by the number of rows here.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from printed_tables import LOGITS, PROBABILITIES

from hpsearch import choice, given
from hpsearch.build import Builder
from hpsearch.space import space_of
from hpsearch.spaces.pieces.losses import binary_loss, class_loss, regression_loss

DRAW = np.random.default_rng(5)
N, K = 6, 4
REAL, GUESSED = DRAW.normal(size=(N, 1)), DRAW.normal(scale=2, size=(N, 1))
TRUTH = DRAW.integers(0, 2, size=(N, 1)).astype(float)
CLASSES = DRAW.integers(0, K, size=N)
ONE_HOT = np.eye(K)[CLASSES]
SMOOTHING = 0.15


@pytest.fixture(autouse=True)
def double_precision():
    """All in float64: Keras's losses compute in floatx."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(before)


def made(node, **point):
    """What a declaration becomes at a point."""
    parameters, _, _, walk = space_of({"loss": node, "other": choice([0])})
    point = {"other": 0, **point}
    point = {label.replace("__", "."): value for label, value in point.items()}
    return Builder(walk, parameters, parameters.check(point), given).build(node, "loss")


def value_and_gradient(loss, truth, guess):
    guesses = tf.constant(guess)
    with tf.GradientTape() as tape:
        tape.watch(guesses)
        value = loss(truth, guesses)
    return float(value), tape.gradient(value, guesses).numpy()


def assert_closed_form(loss, truth, guess, value, gradient):
    found = value_and_gradient(loss, truth, guess)
    assert found[0] == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(found[1], gradient, rtol=1e-8, atol=1e-12)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    powers = np.exp(x)
    return powers / powers.sum(axis=-1, keepdims=True)


def cross_entropy(truth, guess):
    """The mean over rows of minus the sum over classes."""
    return -np.sum(truth * np.log(guess)) / len(truth)


def binary_cross_entropy(truth, guess):
    both = truth * np.log(guess) + (1 - truth) * np.log(1 - guess)
    return -np.sum(both) / len(truth)


# Regression


def test_the_squared_error_and_its_gradient_are_their_closed_forms():
    loss = made(regression_loss(), loss="mean_squared")
    error = GUESSED - REAL
    assert_closed_form(loss, REAL, GUESSED, np.sum(error**2) / N, 2 / N * error)


def test_the_squared_error_of_many_targets_is_the_mean_over_all():
    loss = made(regression_loss(), loss="mean_squared")
    truth, guess = DRAW.normal(size=(N, 3)), DRAW.normal(size=(N, 3))
    value, gradient = np.sum((guess - truth) ** 2) / (3 * N), 2 / (3 * N) * (guess - truth)
    assert_closed_form(loss, truth, guess, value, gradient)


def test_the_absolute_error_and_its_gradient_are_their_closed_forms():
    loss = made(regression_loss(), loss="mean_absolute")
    error = GUESSED - REAL
    assert_closed_form(loss, REAL, GUESSED, np.sum(np.abs(error)) / N, np.sign(error) / N)


@pytest.mark.parametrize("delta", [0.1, 1.0, 2.5, 10.0])
def test_huber_and_its_gradient_are_their_closed_forms(delta):
    loss = made(regression_loss(), loss="huber", loss__huber__delta=delta)
    error = GUESSED - REAL
    size = np.abs(error)
    each = np.where(size <= delta, error**2 / 2, delta * size - delta**2 / 2)
    assert_closed_form(loss, REAL, GUESSED, np.sum(each) / N, np.clip(error, -delta, delta) / N)


# Two classes


def smoothed_or_not(piece, smoothing):
    if smoothing:
        return made(piece, loss="smooth", loss__smooth__label_smoothing=smoothing)
    return made(piece, loss="plain")


@pytest.mark.parametrize("smoothing", [0, SMOOTHING])
def test_binary_cross_entropy_of_probabilities_is_its_closed_form(smoothing):
    loss = smoothed_or_not(binary_loss(), smoothing)
    truth, p = TRUTH * (1 - smoothing) + smoothing / 2, sigmoid(GUESSED)
    gradient = (p - truth) / (p * (1 - p)) / N
    # Keras adds 1e-7 to what it takes the logarithm of, or clips it there.
    found = value_and_gradient(loss, TRUTH, p)
    assert found[0] == pytest.approx(binary_cross_entropy(truth, p), rel=2e-6)
    np.testing.assert_allclose(found[1], gradient, rtol=2e-5)


@pytest.mark.parametrize("smoothing", [0, SMOOTHING])
def test_binary_cross_entropy_of_logits_is_its_closed_form(smoothing):
    loss = smoothed_or_not(binary_loss(from_logits=True), smoothing)
    truth, p = TRUTH * (1 - smoothing) + smoothing / 2, sigmoid(GUESSED)
    assert_closed_form(loss, TRUTH, GUESSED, binary_cross_entropy(truth, p), (p - truth) / N)


@pytest.mark.parametrize(("threshold", "guess"), [(0.5, [[1.0], [1.0]]), (0.0, [[3.0], [2.0]])])
def test_the_binary_accuracy_of_one_right_of_two_is_a_half(threshold, guess):
    metric = keras.metrics.BinaryAccuracy(threshold=threshold)
    assert float(metric(np.array([[1.0], [0.0]]), np.array(guess))) == 0.5


# Many classes

SCORES = DRAW.normal(size=(N, K))


@pytest.mark.parametrize("smoothing", [0, SMOOTHING])
def test_cross_entropy_of_logits_is_its_closed_form(smoothing):
    loss = smoothed_or_not(class_loss(from_logits=True, one_hot=True), smoothing)
    truth, p = ONE_HOT * (1 - smoothing) + smoothing / K, softmax(SCORES)
    assert_closed_form(loss, ONE_HOT, SCORES, cross_entropy(truth, p), (p - truth) / N)


@pytest.mark.parametrize("smoothing", [0, SMOOTHING])
def test_cross_entropy_of_probabilities_is_its_closed_form(smoothing):
    loss = smoothed_or_not(class_loss(one_hot=True), smoothing)
    truth, p = ONE_HOT * (1 - smoothing) + smoothing / K, softmax(SCORES)
    # Keras divides each row by its sum first, which adds 1 to the -y / p of the notes.
    assert_closed_form(loss, ONE_HOT, p, cross_entropy(truth, p), (1 - truth / p) / N)


def test_cross_entropy_of_class_numbers_is_its_closed_form():
    p = softmax(SCORES)
    value = cross_entropy(ONE_HOT, p)
    logits, probabilities = made(class_loss(from_logits=True)), made(class_loss())
    assert_closed_form(logits, CLASSES, SCORES, value, (p - ONE_HOT) / N)
    assert_closed_form(probabilities, CLASSES, p, value, (1 - ONE_HOT / p) / N)


# The numbers of the notes

FIRST = np.array([[1.0, 0, 0, 0]])


@pytest.mark.parametrize("one_hot", [True, False], ids=["one-hot", "class numbers"])
@pytest.mark.parametrize(
    ("guess", "printed"),
    [
        ((0.9, 0, 0, 0.1), 0.10536),
        ((0.9, 0.05, 0.05, 0), 0.10536),
        ((0.8, 0.1, 0.1, 0), 0.22314),
        ((0.1, 0.8, 0.1, 0), 2.30259),
        ((0.3, 0.3, 0.3, 0.1), 1.20397),
    ],
)
def test_cross_entropy_of_the_first_class_is_as_printed(guess, printed, one_hot):
    loss = smoothed_or_not(class_loss(one_hot=True), 0) if one_hot else made(class_loss())
    truth = FIRST if one_hot else np.array([0])
    assert float(loss(truth, np.array([guess]))) == pytest.approx(printed, abs=5.1e-6)


EXPECTED = np.array([3, 1, 2, 0, 3])
PRINTED = (0.90719134, 2.22922115, 2.35456137, 1.53618786, 1.58881713)


@pytest.mark.parametrize("one_hot", [True, False], ids=["one-hot", "class numbers"])
@pytest.mark.parametrize("from_logits", [True, False], ids=["logits", "probabilities"])
def test_the_five_cross_entropies_of_the_notes_are_as_printed(one_hot, from_logits):
    piece = class_loss(from_logits=from_logits, one_hot=one_hot)
    loss = smoothed_or_not(piece, 0) if one_hot else made(piece)
    guess = LOGITS if from_logits else PROBABILITIES
    truth = np.eye(4)[EXPECTED] if one_hot else EXPECTED
    each = [float(loss(truth[i : i + 1], guess[i : i + 1])) for i in range(5)]
    # The probabilities are printed to eight digits, so their logarithms are off by up to 6e-8.
    assert each == pytest.approx(PRINTED, rel=0, abs=6e-9 if from_logits else 6e-8)
    assert float(loss(truth, guess)) == pytest.approx(np.mean(PRINTED), rel=0, abs=6e-8)
