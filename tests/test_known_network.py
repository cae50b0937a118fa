"""The network of `digits_mlp` in Keras and in NumPy: the same losses, gradients and training.

The Keras model is built as a trial builds it, from the ready space and its baseline `notes`: 64
pixels, 10 sigmoid units, 10 classes, SGD at rate 0.1. The NumPy network starts from its weights.

Keras computes in float32, with a unit roundoff of 6e-8, and NumPy in float64. Losses and gradients
of one pass agree to a few times that; over the 1,221 updates of an epoch the roundings add up.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Scripts import each other by these names.
sys.path.insert(0, str(Path(__file__).parent.parent / "scripts" / "notes"))

from by_hand import negative_log_likelihood, one_hot, sigmoid, softmax

from hpsearch.space import load
from hpsearch.train import KerasEngine
from hpsearch.trial import Job, Key

RATE = 0.1
ONE_PASS = {"rtol": 1e-5, "atol": 1e-6}
AN_EPOCH = {"rtol": 0, "atol": 5e-5}
"""Tolerances. In that epoch weights move by up to 1.9, and by 0.96 apart with the rows reversed."""


@dataclass
class Network:
    """One hidden layer of sigmoid units, softmax on top, cross-entropy."""

    hidden_kernel: np.ndarray  # (64, 10)
    hidden_bias: np.ndarray  # (10,)
    output_kernel: np.ndarray  # (10, 10)
    output_bias: np.ndarray  # (10,)

    @property
    def weights(self) -> list[np.ndarray]:
        return [self.hidden_kernel, self.hidden_bias, self.output_kernel, self.output_bias]

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The hidden activations (n, 10) and the probabilities (n, 10) of rows (n, 64)."""
        hidden = sigmoid(x @ self.hidden_kernel + self.hidden_bias)
        return hidden, softmax(hidden @ self.output_kernel + self.output_bias)

    def loss(self, x: np.ndarray, y: np.ndarray) -> float:
        """The mean negative log-likelihood of labels (n,)."""
        return negative_log_likelihood(one_hot(y, 10), self.forward(x)[1])

    def backward(self, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        """The slopes of the loss along each of the weights."""
        hidden, probabilities = self.forward(x)
        along_logits = (probabilities - one_hot(y, 10)) / len(x)
        along_hidden = along_logits @ self.output_kernel.T
        along_sums = along_hidden * hidden * (1 - hidden)
        return [
            x.T @ along_sums,
            along_sums.sum(axis=0),
            hidden.T @ along_logits,
            along_logits.sum(axis=0),
        ]

    def train(self, x: np.ndarray, y: np.ndarray) -> None:
        """One update for each row, in their order."""
        for i in range(len(x)):
            slopes = self.backward(x[i : i + 1], y[i : i + 1])
            for weights, slope in zip(self.weights, slopes, strict=True):
                weights -= RATE * slope


@dataclass
class Both:
    """The Keras model and the NumPy network with the same weights, and the training rows."""

    model: Any
    network: Network
    x: np.ndarray
    y: np.ndarray


def network_of(model: Any) -> Network:
    return Network(*[weights.astype("float64") for weights in model.get_weights()])


@pytest.fixture
def both() -> Both:
    space = load("digits_mlp").space
    point = space.check(space.baselines["notes"])
    model, made = KerasEngine(space, study_seed=3).compiled(Job(Key("study", 0), point, seed=7))
    return Both(model, network_of(model), made.parts.train.x, made.parts.train.y)


def scattered(both: Both) -> Both:
    """The same with biases that are not 0, and units far from one half."""
    draw = np.random.default_rng(1)
    both.model.set_weights([draw.normal(0, 0.3, one.shape) for one in both.model.get_weights()])
    return Both(both.model, network_of(both.model), both.x, both.y)


def gradients(model: Any, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """The slopes of the compiled loss along the weights, by the backend's differentiation."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = model.compute_loss(x=x, y=y, y_pred=model(x, training=True))
    return [slope.numpy() for slope in tape.gradient(loss, model.trainable_variables)]


def largest_difference(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))


def test_the_baseline_of_the_notes_is_the_network_of_the_notes(both: Both) -> None:
    assert [weights.shape for weights in both.model.get_weights()] == [
        (64, 10), (10,), (10, 10), (10,),
    ]  # fmt: skip
    assert both.x.shape == (1221, 64)
    assert float(both.model.optimizer.learning_rate) == pytest.approx(RATE)


def test_the_same_weights_give_the_same_probabilities_and_loss(both: Both) -> None:
    both = scattered(both)
    theirs = both.model.predict(both.x, batch_size=512, verbose=0)
    np.testing.assert_allclose(both.network.forward(both.x)[1], theirs, **ONE_PASS)
    evaluated = both.model.evaluate(both.x, both.y, batch_size=512, verbose=0, return_dict=True)
    assert both.network.loss(both.x, both.y) == pytest.approx(evaluated["loss"], rel=1e-5)


@pytest.mark.parametrize("rows", [slice(42, 43), slice(0, 64)], ids=["one row", "a batch"])
def test_the_same_weights_give_the_same_gradients(both: Both, rows: slice) -> None:
    both = scattered(both)
    x, y = both.x[rows], both.y[rows]
    ours = both.network.backward(x, y)
    for mine, theirs in zip(ours, gradients(both.model, x, y), strict=True):
        assert np.abs(theirs).max() > 0.01
        np.testing.assert_allclose(mine, theirs, **ONE_PASS)


def test_the_gradients_by_hand_are_central_differences_of_the_loss_by_hand(both: Both) -> None:
    both = scattered(both)
    x, y = both.x[:64], both.y[:64]
    draw = np.random.default_rng(2)
    for weights, slopes in zip(both.network.weights, both.network.backward(x, y), strict=True):
        place = tuple(draw.integers(0, size) for size in weights.shape)
        kept, around = weights[place], []
        for moved in (kept + 1e-5, kept - 1e-5):
            weights[place] = moved
            around.append(both.network.loss(x, y))
        weights[place] = kept
        assert slopes[place] == pytest.approx((around[0] - around[1]) / 2e-5, rel=1e-5, abs=1e-9)


def test_an_epoch_of_single_rows_in_the_same_order_gives_the_same_weights(both: Both) -> None:
    before = both.model.get_weights()
    other_order = network_of(both.model)
    both.network.train(both.x, both.y)
    other_order.train(both.x[::-1], both.y[::-1])
    both.model.fit(both.x, both.y, batch_size=1, epochs=1, shuffle=False, verbose=0)
    theirs = both.model.get_weights()
    assert largest_difference(before, theirs) > 1  # there was something to learn
    assert largest_difference(other_order.weights, theirs) > 0.1  # and the order counts
    for mine, learned in zip(both.network.weights, theirs, strict=True):
        np.testing.assert_allclose(mine, learned, **AN_EPOCH)


def test_the_mean_negative_log_likelihood_of_training_is_the_loss_keras_reports(both: Both) -> None:
    both.model.fit(both.x, both.y, batch_size=1, epochs=1, shuffle=False, verbose=0)
    probabilities = both.model.predict(both.x, batch_size=512, verbose=0)
    ours = negative_log_likelihood(one_hot(both.y, 10), probabilities)
    reported = both.model.evaluate(both.x, both.y, batch_size=512, verbose=0, return_dict=True)
    assert ours == pytest.approx(reported["loss"], rel=1e-5)
    assert ours < 0.5  # of log 10 = 2.3 before
