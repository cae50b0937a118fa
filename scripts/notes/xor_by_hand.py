"""XOR by hand: what a line can do (nothing), and two relu units with weights set by hand.

    python scripts/notes/xor_by_hand.py

The best line by the normal equations is 0 · x₁ + 0 · x₂ + ½. The network computes
h₁ = relu(x₁ + x₂), h₂ = relu(x₁ + x₂ - 1) and puts out h₁ - 2 h₂.
"""

from __future__ import annotations

import numpy as np
from by_hand import relu

INPUTS = np.array([[1, 0], [0, 1], [0, 0], [1, 1]])
TARGETS = np.array([1, 1, 0, 0])

HIDDEN_WEIGHTS = np.array([[1, 1], [1, 1]])  # (inputs, units)
HIDDEN_BIAS = np.array([0, -1])
OUTPUT_WEIGHTS = np.array([1, -2])
OUTPUT_BIAS = 0


def least_squares(inputs, targets):
    """Weights (k,) and bias of the best line, from XᵀX θ = Xᵀy with a column of ones in X.

    Args:
        inputs: shape (n, k), with k + 1 columns that are linearly independent once ones are added.
        targets: shape (n,).
    """
    x = np.column_stack([inputs, np.ones(len(inputs))])
    *weights, bias = np.linalg.solve(x.T @ x, x.T @ targets)
    return np.array(weights), float(bias)


def network(inputs):
    """The hidden layer (n, 2) and the outputs (n,) for inputs (n, 2)."""
    hidden = relu(inputs @ HIDDEN_WEIGHTS + HIDDEN_BIAS)
    return hidden, hidden @ OUTPUT_WEIGHTS + OUTPUT_BIAS


def main() -> None:
    """Print both answers beside what is wanted."""
    weights, bias = least_squares(INPUTS, TARGETS)
    hidden, outputs = network(INPUTS)
    print(f"the best line: weights {weights.round(12) + 0.0}, bias {bias:g}")
    print("x₁  x₂  wanted   line  h₁  h₂  network")
    lines = INPUTS @ weights + bias
    for (one, two), wanted, linear, (h1, h2), output in zip(
        INPUTS, TARGETS, lines, hidden, outputs, strict=True
    ):
        print(f"{one:2}  {two:2}  {wanted:6}  {linear:5.2f}  {h1:2g}  {h2:2g}  {output:7g}")


if __name__ == "__main__":
    main()
