"""Every activation of the pieces, and its derivative, against closed forms written here in NumPy.

The forms are those of the course notes on multi-layer perceptrons, extended by the definitions of
GELU (Hendrycks and Gimpel, 2016), SiLU (Elfwing et al., 2017) and SELU (Klambauer et al., 2017).
"""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from printed_tables import LOGITS, PROBABILITIES

from hpsearch import given
from hpsearch.build import Builder
from hpsearch.keras import layers
from hpsearch.space import space_of
from hpsearch.spaces.pieces.activations import NAMES, activation, activation_layer

# Zero, where some have a kink, is not on the grid; it has a test of its own.
X = np.concatenate([-np.geomspace(8, 1e-3, 40), np.geomspace(1e-3, 8, 40)])[None, :]
SLOPE, ALPHA, BETA = 0.07, 1.7, 3.0
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gauss(x):
    """The distribution function of the standard normal."""
    return np.vectorize(lambda one: (1 + math.erf(one / math.sqrt(2))) / 2)(x)


def density(x):
    return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def leaky(slope):
    return lambda x: np.where(x > 0, x, slope * x), lambda x: np.where(x > 0, 1.0, slope)


def elu(alpha, scale=1.0):
    return (
        lambda x: scale * np.where(x > 0, x, alpha * (np.exp(x) - 1)),
        lambda x: scale * np.where(x > 0, 1.0, alpha * np.exp(x)),
    )


def softplus(beta):
    return lambda x: np.log(1 + np.exp(beta * x)) / beta, lambda x: sigmoid(beta * x)


SIGMOID = (sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x)))
TANH = (lambda x: 2 * sigmoid(2 * x) - 1, lambda x: 1 - np.tanh(x) ** 2)  # as the notes write it
GELU = (lambda x: x * gauss(x), lambda x: gauss(x) + x * density(x))
SILU = (
    lambda x: x * sigmoid(x),
    lambda x: sigmoid(x) + x * sigmoid(x) * (1 - sigmoid(x)),
)
LINEAR = (lambda x: x, np.ones_like)

LAYERS = {
    "sigmoid": SIGMOID,
    "relu": leaky(0.0),
    "leaky_relu": leaky(SLOPE),
    "elu": elu(ALPHA),
    "prelu": leaky(0.25),  # untrained
    "tanh": TANH,
    "softplus": softplus(1.0),
    "softplus_beta": softplus(BETA),
    "gelu": GELU,
    "silu": SILU,
    "linear": LINEAR,
    "absolute": (np.abs, np.sign),
}
BY_NAME = {
    **{name: LAYERS[name] for name in ("relu", "gelu", "silu", "tanh", "sigmoid", "softplus")},
    "elu": elu(1.0),
    "selu": elu(SELU_ALPHA, SELU_SCALE),
    "leaky_relu": leaky(0.2),
    "linear": LINEAR,
}
PARAMETERS = {
    "leaky_relu": {"act.leaky_relu.negative_slope": SLOPE},
    "elu": {"act.elu.alpha": ALPHA},
    "softplus_beta": {"act.softplus_beta.beta": BETA},
}


@pytest.fixture(autouse=True)
def double_precision():
    """All in float64, so that a closed form is met to six digits where it is small, too."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)


def made(node, **point):
    """What a declaration becomes at a point."""
    parameters, _, _, walk = space_of({"x": node})
    return Builder(walk, parameters, parameters.check(point), given).build(node, "x")


def layer(name):
    return made(
        activation_layer(among=(*LAYERS, "softmax"), name="act"),
        **{"act": name, **PARAMETERS.get(name, {})},
    )


def dense(name, width=X.shape[1]):
    """The activation inside a dense layer that passes its input, of so many numbers, on to it."""
    word = activation(among=NAMES, name="act")
    node = layers.Dense(width, activation=word, kernel_initializer="identity", use_bias=False)
    return made(node, act=name)


def value_and_derivative(part, x):
    """f(x) and f'(x), for an f that takes each number by itself."""
    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = part(inputs)
    return outputs.numpy(), tape.gradient(outputs, inputs).numpy()


def assert_closed_form(part, form):
    value, derivative = value_and_derivative(part, X)
    # Keras keeps constants (a slope, the root of 2 in GELU) in float32, which is good for 1e-7.
    np.testing.assert_allclose(value, form[0](X), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(derivative, form[1](X), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_an_activation_layer_and_its_derivative_are_their_closed_forms(name):
    assert_closed_form(layer(name), LAYERS[name])


@pytest.mark.parametrize("name", BY_NAME)
def test_an_activation_by_name_and_its_derivative_are_their_closed_forms(name):
    assert_closed_form(dense(name), BY_NAME[name])


def test_every_name_has_a_closed_form_here():
    assert {*BY_NAME, "softmax"} == set(NAMES)


@pytest.mark.parametrize(
    ("name", "value", "derivative"),
    [
        ("relu", 0, 0),
        ("leaky_relu", 0, SLOPE),
        ("elu", 0, ALPHA),
        ("absolute", 0, 0),
        ("softplus", math.log(2), 0.5),
        ("softplus_beta", math.log(2) / BETA, 0.5),
    ],
)
def test_at_zero_the_derivative_is_that_of_the_notes(name, value, derivative):
    found = value_and_derivative(layer(name), np.zeros((1, 1)))
    assert [part.item() for part in found] == [pytest.approx(value), pytest.approx(derivative)]


def test_the_derivative_of_prelu_by_its_slopes_is_the_negative_part():
    prelu = layer("prelu")
    prelu(tf.constant(X))  # makes the slopes
    with tf.GradientTape() as tape:
        outputs = prelu(tf.constant(X))
    found = tape.gradient(outputs, prelu.trainable_variables[0].value).numpy()
    np.testing.assert_allclose(found, np.minimum(X[0], 0), rtol=1e-9)


def test_softplus_with_a_large_beta_is_a_relu_without_overflow():
    far = np.array([[-300.0, 300.0]])
    value, derivative = value_and_derivative(layer("softplus_beta"), far)
    np.testing.assert_allclose(value, [[0, 300]], atol=1e-12)
    np.testing.assert_allclose(derivative, [[0, 1]], atol=1e-12)


# Softmax: what the notes on TensorFlow print for five rows of four logits.

SOFTMAX = {"layer": lambda: layer("softmax"), "name": lambda: dense("softmax", width=4)}


@pytest.mark.parametrize("which", SOFTMAX)
def test_softmax_is_the_printed_table_of_the_notes(which):
    np.testing.assert_allclose(SOFTMAX[which]()(LOGITS), PROBABILITIES, rtol=0, atol=5.1e-9)


@pytest.mark.parametrize("which", SOFTMAX)
def test_the_derivative_of_softmax_is_its_closed_form(which):
    part, inputs = SOFTMAX[which](), tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = part(inputs)
    powers = np.exp(LOGITS)
    s = powers / powers.sum(axis=1, keepdims=True)
    expected = s[:, :, None] * (np.eye(4) - s[:, None, :])  # S_i (1 - S_j) or -S_i S_j
    np.testing.assert_allclose(tape.batch_jacobian(outputs, inputs), expected, atol=1e-12)
