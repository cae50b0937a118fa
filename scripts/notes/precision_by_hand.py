"""The precision β of a conditional Gaussian, learned from scratch: forward, backward, descent.

    python scripts/notes/precision_by_hand.py                      relu, as in the notes
    python scripts/notes/precision_by_hand.py --unit softplus      their exercise (a)
    python scripts/notes/precision_by_hand.py --w 0.1 --step 0.05  relu leaves the region β > 0

One input x = 1, one unit: a = w x + b, β = relu(a) or softplus(a). The loss is
-log β + β s with s = mean((y - μ)²), whose minimum is the maximum likelihood β = 1/s.

How large a step may be is decided by the curvature along a, since w and b each carry the gradient
of a, and a moves by twice the step:

- relu, where β is a: curvature s² at the minimum. The notes' σ = √10 gives s² = 100, so the distance to
  the minimum shrinks by 1 - 2 · 1e-4 · 100 = 0.98 per step, and from a step of 0.01 on it grows.
- softplus, whose slope is 1 - e^-β, about β where β is small: curvature (1 - e^-β)² / β², which is
  0.906 there and never above 1. The same step would need a hundred times as many; 1e-2 shrinks the
  distance by 1 - 2 · 1e-2 · 0.906 = 0.98 as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click
import numpy as np
from by_hand import relu, sigmoid, softplus

ROWS = 1000
"""How many y are drawn, as in the notes."""

EVERY = 100
"""Of so many steps one is printed."""


@dataclass(frozen=True)
class Unit:
    """What makes a positive β of a.

    Attributes:
        output, slope: β(a) and dβ/da, of numbers or arrays.
        inverse: the a that gives a β > 0.
        step: a size of step that reaches the minimum at σ = √10 in 1,000 steps.
    """

    output: Callable
    slope: Callable
    inverse: Callable
    step: float


UNITS = {
    "relu": Unit(relu, lambda a: np.where(np.asarray(a) > 0, 1.0, 0.0), lambda beta: beta, 1e-4),
    "softplus": Unit(
        softplus,
        sigmoid,
        lambda beta: beta + np.log(-np.expm1(-beta)),  # log(e^β - 1), where e^β may overflow
        1e-2,
    ),
}


class UndefinedLoss(ArithmeticError):
    """A β of which there is no logarithm."""


@dataclass(frozen=True)
class State:
    """Where the descent is after so many steps."""

    number: int
    w: float
    b: float
    a: float
    beta: float
    loss: float


def forward(w, b, spread, unit, x=1.0):
    """Return a, β and the loss at w and b, numbers or arrays of one shape.

    Args:
        spread: s, the mean of (y - μ)².

    Raises:
        UndefinedLoss: where a β is not above 0, or not finite.
    """
    a = w * x + b
    beta = unit.output(a)
    bad = ~((beta > 0) & np.isfinite(beta))
    if np.any(bad):
        first_a, first = (np.ravel(each)[np.ravel(bad)][0] for each in (a, beta))
        raise UndefinedLoss(
            f"The loss -log β needs a finite β > 0, got a={first_a:.6g}, β={first:.6g}."
        )
    return a, beta, -np.log(beta) + beta * spread


def backward(a, beta, spread, unit, x=1.0):
    """Return the slopes of the loss along w and b, by the chain rule from β back to them."""
    along_beta = spread - 1 / beta
    along_a = along_beta * unit.slope(a)
    return along_a * x, along_a


def descend(spread, unit, *, w=0.01, b=0.0, step, steps, x=1.0) -> Iterator[State]:
    """Gradient descent: the start, then the state after each step.

    Raises:
        UndefinedLoss: at the first state whose loss is undefined: no NaN is carried on.
    """
    for number in range(steps + 1):
        try:
            a, beta, loss = forward(w, b, spread, unit, x)
        except UndefinedLoss as error:
            raise UndefinedLoss(f"{error} Step {number} went to w={w:.6g}, b={b:.6g}.") from error
        yield State(number, float(w), float(b), float(a), float(beta), float(loss))
        along_w, along_b = backward(a, beta, spread, unit, x)
        w, b = w - step * along_w, b - step * along_b


def safe_step(spread: float) -> float:
    """The step 2 / s² below which relu cannot leave β > 0, from any a > 0, where x = 1.

    A step takes a to a + 2 step (1/a - s). The least that this can be, over all a > 0, is
    2 √(2 step) - 2 step s, at a = √(2 step): above 0 just for steps below 2 / s².
    """
    return 2 / spread**2


def sample(sigma: float, seed: int) -> np.ndarray:
    """Labels y of shape (1000,) from the normal distribution of mean μ = 0 and deviation σ."""
    return np.random.default_rng(seed).normal(0.0, sigma, ROWS)


@click.command()
@click.option(
    "--sigma", type=click.FloatRange(1e-50, 1e50), default=10**0.5, help="σ of y; default √10."
)
@click.option(
    "--steps", type=click.IntRange(1), default=1000, show_default=True, help="How many steps."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sample of y.")
@click.option("--unit", type=click.Choice(list(UNITS)), default="relu", show_default=True)
@click.option("--w", type=float, default=0.01, show_default=True, help="w at the start.")
@click.option(
    "--step", type=click.FloatRange(0, min_open=True), help="Default 1e-4, or 1e-2 for softplus."
)
def main(sigma: float, steps: int, seed: int, unit: str, w: float, step: float | None) -> None:
    """Learn the precision β of 1,000 normally distributed values, and print every 100th step."""
    spread = float(np.mean(sample(sigma, seed) ** 2))
    step = UNITS[unit].step if step is None else step
    print(f"{unit}, σ = {sigma:.6g}, {ROWS:,} values of y (seed {seed}), step {step:g}")
    print(line("step", "w", "b", "β", "maximum likelihood"))
    state = None
    try:
        for state in descend(spread, UNITS[unit], w=w, step=step, steps=steps):
            if state.number % EVERY == 0:
                print(line(state.number, state.w, state.b, state.beta, 1 / spread))
    except UndefinedLoss as error:
        if state is not None and state.number % EVERY:  # the last that was defined
            print(line(state.number, state.w, state.b, state.beta, 1 / spread))
        raise click.ClickException(f"{error} {advice(unit, step, spread)}") from error
    off = state.beta * spread - 1
    print(f"β = {state.beta:.8g}, 1/mean((y-μ)²) = {1 / spread:.8g}, relative difference {off:.2g}")


def line(*cells) -> str:
    """One row of the table: numbers of six digits, in columns."""
    texts = [cell if isinstance(cell, str) else f"{cell:.6g}" for cell in cells]
    first, *rest = texts
    return f"{first:>6}" + "".join(f"{text:>14}" for text in rest[:-1]) + f"{rest[-1]:>20}"


def advice(unit: str, step: float, spread: float) -> str:
    """What to change after a step into the region where the loss is undefined."""
    if unit == "softplus":
        return "Take a smaller step."
    if step < safe_step(spread):
        return "Start with w > 0: relu has no slope below 0 to come back by."
    return f"Take a step below 2/s² = {safe_step(spread):.3g}: relu then stays above 0."


if __name__ == "__main__":
    main()
