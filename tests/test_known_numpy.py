"""The course notes' printed numbers, against NumPy written out and against Keras's own gradients."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import optimize, special

# Scripts import each other by these names.
sys.path.insert(0, str(Path(__file__).parent.parent / "scripts" / "notes"))

import precision_by_hand
import precision_surfaces
import xor_by_hand
from by_hand import (
    cross_entropy,
    negative_log_likelihood,
    normalised_cross_entropy,
    one_hot,
    relu,
    sigmoid,
    softmax,
    softplus,
)
from precision_by_hand import UNITS, UndefinedLoss, backward, descend, forward, safe_step

IMAGES = Path(__file__).parent.parent / "docs" / "images"


def gradients(function, *inputs):
    """The value of a function of float64 tensors, and its slopes along each, by Keras's backend."""
    import tensorflow as tf

    variables = [tf.Variable(one, dtype="float64") for one in inputs]
    with tf.GradientTape() as tape:
        value = function(*variables)
    return value.numpy(), [slope.numpy() for slope in tape.gradient(value, variables)]


# Backpropagation


def test_the_gradient_of_a_product_of_a_sum_is_that_of_the_notes() -> None:
    from keras import ops

    value, slopes = gradients(lambda x, y, z: ops.multiply(ops.add(x, y), z), -2, 5, -4)
    assert value == -12
    assert slopes == [-4, -4, 3]


def test_an_added_bias_collects_the_slopes_of_all_rows() -> None:
    from keras import ops

    draw = np.random.RandomState(12)  # as `np.random.seed(12)` of the notes
    x, bias = draw.randn(43, 7), draw.randn(7)
    printed = [
        153.25935123, -3.83113279, 38.98813845, 46.41386373, 23.31963682, 29.90573326, 79.79186959,
    ]  # fmt: skip
    value, (along_x, along_bias) = gradients(
        lambda x, bias: ops.sum(ops.square(ops.add(x, bias))), x, bias
    )
    by_hand = 2 * (x + bias)
    assert value == pytest.approx(512.8099394943562, rel=1e-14)
    assert np.sum((x + bias) ** 2) == pytest.approx(512.8099394943562, rel=1e-14)
    np.testing.assert_allclose(along_bias, printed, rtol=0, atol=5e-9)
    np.testing.assert_allclose(by_hand.sum(axis=0), printed, rtol=0, atol=5e-9)
    np.testing.assert_allclose(along_x, by_hand, rtol=1e-14)


# Softmax, one-hot, units


@pytest.mark.parametrize(
    "logits",
    [[10, 2, -3], [[10, 2, -3], [-1, 5, -20]], [[[0.0, 1.0]], [[-1000.0, 1000.0]]]],
)
def test_softmax_of_vectors_and_batches_is_that_of_scipy(logits) -> None:
    ours = softmax(logits)
    np.testing.assert_allclose(ours, special.softmax(logits, axis=-1), rtol=1e-14)
    np.testing.assert_allclose(ours.sum(axis=-1), 1, rtol=1e-14)


def test_softmax_of_the_logits_of_the_notes_is_their_table() -> None:
    logits = [[0.06, -0.31, -0.95, 0.39], [-0.73, 0.26, -1.63, -0.68]]
    printed = [
        [0.29019814, 0.20044982, 0.10569567, 0.40365637],
        [0.19420963, 0.52266365, 0.07895974, 0.20416697],
    ]
    np.testing.assert_allclose(softmax(logits), printed, atol=5e-9)


def test_softmax_does_not_overflow_where_the_plain_formula_does() -> None:
    np.testing.assert_allclose(softmax([1000, 999, -1000]), [sigmoid(1), sigmoid(-1), 0])


def test_one_hot_has_a_one_at_the_label() -> None:
    assert one_hot(3, 10).tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    batch = one_hot([0, 4, 9, 1], 10)
    assert batch.shape == (4, 10)
    assert np.argwhere(batch == 1).tolist() == [[0, 0], [1, 4], [2, 9], [3, 1]]
    assert batch.sum() == 4


@pytest.mark.parametrize("label", [-1, 10])
def test_one_hot_refuses_a_label_outside_its_classes(label) -> None:
    with pytest.raises(ValueError, match=rf"labels from 0 to 9, got {label}\. Number the classes"):
        one_hot([0, label], 10)


def test_units_are_finite_far_out() -> None:
    far = np.array([-1e6, -800.0, 0.0, 800.0, 1e6])
    np.testing.assert_allclose(softplus(far), [0, 0, np.log(2), 800, 1e6])
    np.testing.assert_allclose(sigmoid(far), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(sigmoid(np.linspace(-9, 9, 7)), special.expit(np.linspace(-9, 9, 7)))
    np.testing.assert_array_equal(relu(far), [0, 0, 0, 800, 1e6])


# Cross-entropies

PRINTED = [
    ([0.9, 0, 0, 0.1], 0.10536),
    ([0.9, 0.05, 0.05, 0], 0.10536),
    ([0.8, 0.1, 0.1, 0], 0.22314),
    ([0.1, 0.8, 0.1, 0], 2.30259),
    ([0.3, 0.3, 0.3, 0.1], 1.20397),
]


@pytest.mark.parametrize(("predicted", "printed"), PRINTED)
def test_cross_entropy_is_that_of_the_notes(predicted, printed) -> None:
    assert cross_entropy([1, 0, 0, 0], predicted) == pytest.approx(printed, abs=5e-6)
    assert normalised_cross_entropy([1, 0, 0, 0], predicted) == pytest.approx(printed, abs=5e-6)


def test_cross_entropy_of_soft_targets_counts_every_class() -> None:
    assert cross_entropy([0.5, 0.5], [0.25, 0.75]) == pytest.approx(-np.log(3 / 16) / 2)


def test_a_certain_and_wrong_prediction_costs_much_but_not_infinity() -> None:
    assert cross_entropy([1, 0], [0, 1]) == pytest.approx(12 * np.log(10))


def test_normalised_cross_entropy_has_every_printed_digit_of_the_notes() -> None:
    ours = normalised_cross_entropy([1, 0, 0, 0], [0.9, 0, 0, 0.1])
    assert ours == pytest.approx(0.10536051565782628, abs=1e-16)


def test_normalised_cross_entropy_takes_counts() -> None:
    ours = normalised_cross_entropy([3, 1, 0], [2, 2, 4])
    assert ours == pytest.approx(2 * np.log(2))  # -log 1/4, three quarters and one quarter of it
    assert normalised_cross_entropy([1, 1], [1, 0]) == np.inf


@pytest.mark.parametrize(
    ("target", "predicted", "text"),
    [
        ([1, 0], [-0.1, 1.1], r"predicted needs weights of 0 or more, got -0\.1\. Give prob"),
        ([1, -2], [1, 0], r"target needs weights of 0 or more, got -2\. Give prob"),
        (
            [1, 0],
            [0, 0],
            r"predicted needs at least one weight above 0, got \[0\.0, 0\.0\]\. Leave",
        ),
    ],
)
def test_normalised_cross_entropy_refuses_negatives_and_nothing(target, predicted, text) -> None:
    with pytest.raises(ValueError, match=text):
        normalised_cross_entropy(target, predicted)


@pytest.mark.parametrize(
    ("target", "predicted", "printed"),
    [
        ([1, 0, 0], [0.99, 0.01, 0], 0.01005),
        ([1, 0, 0], [0.01, 0.01, 0.98], 4.60517),
        (
            [[0, 1, 0], [1, 0, 0], [0, 0, 1]],
            [[0, 1, 0], [0.99, 0.01, 0], [0, 0, 1]],
            0.00335,
        ),
    ],
)
def test_negative_log_likelihood_is_that_of_the_notes(target, predicted, printed) -> None:
    assert negative_log_likelihood(target, predicted) == pytest.approx(printed, abs=5e-6)


# XOR


def test_the_best_line_through_xor_is_one_half_everywhere() -> None:
    weights, bias = xor_by_hand.least_squares(xor_by_hand.INPUTS, xor_by_hand.TARGETS)
    np.testing.assert_allclose(weights, [0, 0], atol=1e-15)
    assert bias == pytest.approx(0.5)


def test_the_normal_equations_find_a_line_that_is_there() -> None:
    inputs = np.array([[0, 0], [1, 0], [0, 1], [2, 5]])
    weights, bias = xor_by_hand.least_squares(inputs, inputs @ [3, -2] + 7)
    np.testing.assert_allclose([*weights, bias], [3, -2, 7])


def test_two_relu_units_with_the_weights_of_the_notes_compute_xor() -> None:
    hidden, outputs = xor_by_hand.network(xor_by_hand.INPUTS)
    assert hidden.tolist() == [[1, 0], [1, 0], [0, 0], [2, 1]]
    assert outputs.tolist() == [1, 1, 0, 0]


def test_the_xor_script_prints_both_answers(capsys) -> None:
    xor_by_hand.main()
    first, _, *rows = capsys.readouterr().out.splitlines()
    assert first == "the best line: weights [0. 0.], bias 0.5"
    assert [row.split() for row in rows] == [
        ["1", "0", "1", "0.50", "1", "0", "1"],
        ["0", "1", "1", "0.50", "1", "0", "1"],
        ["0", "0", "0", "0.50", "0", "0", "0"],
        ["1", "1", "0", "0.50", "2", "1", "0"],
    ]


# The precision of a Gaussian

TABLE = np.array(
    [  # w, b, and β, which is a, after 0, 100, … 900 steps, as the notes print them
        [0.01, 0, 0.01],
        [0.0523793852703444, 0.0423793852703444, 0.09475877054068879],
        [0.05446046083942835, 0.04446046083942835, 0.09892092167885669],
        [0.054718267549679574, 0.04471826754967957, 0.09943653509935915],
        [0.05475158042935688, 0.044751580429356876, 0.09950316085871375],
        [0.054755907453349364, 0.04475590745334936, 0.09951181490669872],
        [0.054756469870038814, 0.04475646987003881, 0.09951293974007763],
        [0.05475654297805371, 0.04475654297805371, 0.09951308595610742],
        [0.05475655248140337, 0.04475655248140337, 0.09951310496280674],
        [0.05475655371675065, 0.04475655371675065, 0.09951310743350131],
    ]
)


def spread_of_the_notes():
    """The mean of their y², of which they print nothing: from where their β is heading.

    The last three β approach 1/s in equal ratios, so that their limit is known (Aitken).
    """
    *_, first, second, third = TABLE[:, 2]
    limit = third - (third - second) ** 2 / (third - 2 * second + first)
    return 1 / limit


def test_the_descent_is_that_of_the_notes_to_the_last_digits() -> None:
    states = list(descend(spread_of_the_notes(), UNITS["relu"], step=1e-4, steps=900))
    ours = np.array([[state.w, state.b, state.beta] for state in states[::100]])
    np.testing.assert_allclose(ours, TABLE, rtol=0, atol=1e-13)
    assert all(state.a == state.beta for state in states)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("seed", range(3))
def test_a_thousand_steps_find_the_maximum_likelihood(unit, seed) -> None:
    spread = np.mean(precision_by_hand.sample(10**0.5, seed) ** 2)
    *_, last = descend(spread, UNITS[unit], step=UNITS[unit].step, steps=1000)
    assert last.beta == pytest.approx(1 / spread, rel=0.01)
    assert last.w - last.b == pytest.approx(0.01, abs=1e-12)
    assert last.loss == pytest.approx(1 + np.log(spread), abs=1e-4)


def test_softplus_needs_other_steps_than_relu() -> None:
    *_, last = descend(10, UNITS["softplus"], step=UNITS["relu"].step, steps=1000)
    assert last.beta > 0.4  # of 0.1
    *_, last = descend(10, UNITS["softplus"], step=UNITS["relu"].step, steps=50_000)
    assert last.beta == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    ("w", "b", "spread", "x"),
    [(0.01, 0, 10, 1), (0.3, 2, 0.2, 1), (1.5, -0.7, 3, 2), (-0.5, 4, 0.01, -3)],
)
def test_the_slopes_are_central_differences_of_the_loss(unit, w, b, spread, x) -> None:
    def loss(weights):
        return forward(*weights, spread, UNITS[unit], x)[2]

    a, beta, _ = forward(w, b, spread, UNITS[unit], x)
    ours = backward(a, beta, spread, UNITS[unit], x)
    by_differences = [
        (loss([w + h, b + k]) - loss([w - h, b - k])) / 2e-6 for h, k in ((1e-6, 0), (0, 1e-6))
    ]
    np.testing.assert_allclose(ours, by_differences, rtol=1e-6, atol=1e-7)


def test_softplus_has_a_slope_where_relu_is_stuck() -> None:
    assert UNITS["relu"].slope(-3) == UNITS["relu"].slope(0) == 0
    assert UNITS["softplus"].slope(-3) == pytest.approx(1 / (1 + np.exp(3)))


@pytest.mark.parametrize("beta", [1e-8, 0.1, 2, 1e8])
def test_a_unit_inverts_what_it_puts_out(beta) -> None:
    for unit in UNITS.values():
        assert unit.output(unit.inverse(beta)) == pytest.approx(beta, rel=1e-9)


@pytest.mark.parametrize("spread", [0.2, 10, 1e4])
def test_relu_leaves_the_region_from_the_safe_step_on_and_not_below(spread) -> None:
    """Started where a step goes farthest down, a = √(2 step)."""
    for factor, leaves in ((0.99, False), (1.01, True)):
        step = factor * safe_step(spread)
        states = descend(spread, UNITS["relu"], w=(2 * step) ** 0.5, step=step, steps=1000)
        if leaves:
            with pytest.raises(UndefinedLoss, match=r"β=0\. Step 1 went to w=.*, b="):
                list(states)
        else:
            assert min(state.beta for state in states) > 0


def test_a_large_step_at_w_of_one_tenth_is_told_before_it_becomes_a_nan() -> None:
    descent = descend(10, UNITS["relu"], w=0.1, b=0.1, step=0.1, steps=1000)
    begun = next(descent)
    assert (begun.number, begun.beta) == (0, 0.2)  # slope 10 - 5 along a, and 0.2 - 2 · 0.5 < 0
    with pytest.raises(UndefinedLoss, match=r"a=-0\.8, β=0\. Step 1 went to w=-0\.4, b=-0\.4"):
        next(descent)


def test_an_array_with_one_undefined_loss_names_the_first() -> None:
    with pytest.raises(UndefinedLoss, match=r"needs a finite β > 0, got a=-2, β=0\."):
        forward(0, np.array([1.0, -2.0, -3.0]), 1, UNITS["relu"])


def ran(*arguments):
    return CliRunner().invoke(precision_by_hand.main, [*arguments])


@pytest.mark.parametrize("unit", UNITS)
def test_the_command_prints_every_hundredth_step_and_how_far_off_it_ends(unit) -> None:
    result = ran("--unit", unit, "--seed", "4", "--steps", "1000")
    assert result.exit_code == 0
    _, head, *rows, last = result.output.splitlines()
    assert head.split() == ["step", "w", "b", "β", "maximum", "likelihood"]
    assert [int(row.split()[0]) for row in rows] == list(range(0, 1001, 100))
    likelihood = 1 / np.mean(np.random.default_rng(4).normal(0, 10**0.5, 1000) ** 2)
    for row in rows[-2:]:
        assert [float(cell) for cell in row.split()[3:]] == pytest.approx(
            [likelihood] * 2, rel=1e-5
        )
    assert abs(float(last.split()[-1])) < 1e-6 and last.startswith("β = ")


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--w", "0.1", "--step", "0.05"], ["got a=-", "Take a step below 2/s² = 0.0"]),
        (["--w", "-1"], ["Step 0 went to w=-1, b=0.", "Start with w > 0"]),
        (["--unit", "softplus", "--sigma", "1e4"], ["Step 1 went to w=-", "Take a smaller step"]),
    ],
)
def test_the_command_says_what_to_change_where_the_loss_is_undefined(arguments, texts) -> None:
    result = ran(*arguments)
    assert result.exit_code == 1
    assert all(text in result.stderr for text in texts)
    assert "nan" not in result.output.lower()


# Pictures


@pytest.mark.parametrize("sigma", [10**0.5, 1e4])
def test_the_line_of_the_minimum_is_where_the_loss_is_least(sigma) -> None:
    def loss(a):
        return precision_surfaces.loss_at(a, sigma**2)

    found = optimize.minimize_scalar(loss, bounds=(-20, 20), method="bounded").x
    assert precision_surfaces.lowest(sigma**2) == pytest.approx(found, abs=1e-4)


def test_the_minimum_at_a_small_deviation_lies_outside_the_picture() -> None:
    assert precision_surfaces.lowest(1e-4**2) == pytest.approx(1e8)


def test_the_pictures_are_drawn(tmp_path) -> None:
    from matplotlib import image

    done = CliRunner().invoke(precision_surfaces.main, ["--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == {
        "precision-surfaces.png",
        "precision-loss-of-b.png",
    }
    for path in tmp_path.iterdir():
        assert path.stat().st_size < 200_000
        pixels = image.imread(path)
        assert pixels.shape == image.imread(IMAGES / path.name).shape
        assert pixels[..., :3].std() > 0.05  # not an empty page
