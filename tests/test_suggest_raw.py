"""hyperopt's raw values and ours: types, bounds, and the distributions that were declared."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from hpsearch import choice, integer, lognormal, loguniform, maybe, normal, uniform
from hpsearch.errors import PointError
from hpsearch.space import space_of
from hpsearch.suggest import Compiled, make
from hpsearch.suggest.raw import from_raw, prior, to_raw

LISTS = [[3, 3], [5, 5], (1,)]
WORDS = {
    "uniform": lambda: uniform(-1, 3),
    "uniform_step": lambda: uniform(0, 1, step=0.1),
    "uniform_short": lambda: uniform(1, 10, step=4),
    "loguniform": lambda: loguniform(1e-4, 1e-1),
    "loguniform_step": lambda: loguniform(0.5, 4, step=0.5),
    "integer": lambda: integer(1, 4),
    "integer_step": lambda: integer(3, 17, step=4),
    "integer_log": lambda: integer(1, 40, log=True),
    "normal": lambda: normal(2, 3),
    "normal_step": lambda: normal(0, 2, step=0.5),
    "lognormal": lambda: lognormal(-1, 0.5),
    "lognormal_step": lambda: lognormal(1, 0.5, step=0.25),
    "mixed": lambda: choice([None, "l2", 0.5, 1, "1", True]),
    "weighted": lambda: choice(["a", "b", "c"], weights=[0.1, 0.2, 0.7]),
    "lists": lambda: choice(LISTS),
    "maybe": lambda: maybe("part", p=0.3),
}
ROUNDS = 3000


@pytest.fixture(scope="module")
def drawn() -> dict[str, list]:
    """The values of every word in 3,000 draws of `random`."""
    return draw("random")


@pytest.fixture(scope="module")
def quasi() -> dict[str, list]:
    """The values of every word in 3,000 draws of `qmc`."""
    return draw("qmc")


def draw(name: str) -> dict[str, list]:
    parameters, *_ = space_of({label: make_word() for label, make_word in WORDS.items()})
    algorithm = make(name, parameters)
    if name == "qmc":
        points = [algorithm._legal(k) for k in range(ROUNDS)]
    else:
        points = [algorithm([], [], number, 7).point for number in range(ROUNDS)]
    return {label: [point[label] for point in points] for label in WORDS}


CONTINUOUS = {
    "uniform": stats.uniform(-1, 4),
    "loguniform": stats.loguniform(1e-4, 1e-1),
    "normal": stats.norm(2, 3),
    "lognormal": stats.lognorm(0.5, scale=math.exp(-1)),
}


@pytest.mark.parametrize("label", CONTINUOUS)
def test_continuous_words_are_distributed_as_scipy_says(label, drawn, quasi):
    assert stats.kstest(drawn[label], CONTINUOUS[label].cdf).pvalue > 0.01
    assert stats.kstest(quasi[label], CONTINUOUS[label].cdf).statistic < 0.01


def between(frozen, values, half):
    return [frozen.cdf(value + half) - frozen.cdf(value - half) for value in values]


HALVES = [i / 2 for i in range(-20, 21)]
QUARTERS = [i / 4 for i in range(80)]
LOG_RUNGS = [0.5 * i for i in range(1, 9)]
WHOLE = list(range(1, 41))
DISCRETE = {
    "uniform_step": ([i / 10 for i in range(11)], [1 / 11] * 11),
    "uniform_short": ([1.0, 5.0, 9.0], [1 / 3] * 3),
    "loguniform_step": (LOG_RUNGS, between(stats.loguniform(0.25, 4.25), LOG_RUNGS, 0.25)),
    "integer": ([1, 2, 3, 4], [1 / 4] * 4),
    "integer_step": ([3, 7, 11, 15], [1 / 4] * 4),
    "integer_log": (WHOLE, between(stats.loguniform(0.5, 40.5), WHOLE, 0.5)),
    "normal_step": (HALVES, between(stats.norm(0, 2), HALVES, 0.25)),
    "lognormal_step": (QUARTERS, between(stats.lognorm(0.5, scale=math.e), QUARTERS, 0.125)),
    "mixed": ([None, "l2", 0.5, 1, "1", True], [1 / 6] * 6),
    "weighted": (["a", "b", "c"], [0.1, 0.2, 0.7]),
    "lists": ([[3, 3], [5, 5], [1]], [1 / 3] * 3),
    "maybe": ([False, True], [0.7, 0.3]),
}


@pytest.mark.parametrize("label", DISCRETE)
def test_words_with_few_values_take_each_as_often_as_scipy_says(label, drawn, quasi):
    values, shares = DISCRETE[label]
    for found, least in ((drawn[label], 0.01), (quasi[label], 0.9)):
        seen = Counter(map(repr, found))
        assert set(seen) <= set(map(repr, values))  # equal to the type: 1 is not 1.0
        observed = np.array([seen[repr(value)] for value in values], float)
        expected = np.array(shares) * len(found)
        rare = expected < 5  # together, as the chi-square test asks
        if rare.any():
            observed = np.append(observed[~rare], observed[rare].sum())
            expected = np.append(expected[~rare], expected[rare].sum())
        expected *= observed.sum() / expected.sum()
        assert stats.chisquare(observed, expected).pvalue > least


def test_integers_take_both_ends_as_often_as_the_rest(drawn):
    seen = Counter(drawn["integer"])
    assert all(type(value) is int for value in drawn["integer"])
    assert stats.chisquare([seen[k] for k in (1, 2, 3, 4)]).pvalue > 0.01


def test_hyperopts_uniformint_gives_the_ends_half_which_ours_does_not():
    from hyperopt import hp
    from hyperopt.pyll.stochastic import sample

    rng = np.random.default_rng(3)
    theirs = Counter(int(sample(hp.uniformint("n", 1, 4), rng)) for _ in range(1200))
    assert theirs[1] + theirs[4] < 0.75 * (theirs[2] + theirs[3])
    ours = Counter(from_raw(integer(1, 4), sample(prior(integer(1, 4)), rng)) for _ in range(1200))
    assert abs(ours[1] + ours[4] - ours[2] - ours[3]) < 150


def test_quantised_values_stay_within_bounds_where_hyperopts_leave_them():
    from hyperopt import hp
    from hyperopt.pyll.stochastic import sample

    rng = np.random.default_rng(1)
    assert 0.0 in {float(sample(hp.quniform("q", 1, 10, 4), rng)) for _ in range(100)}
    word = uniform(1, 10, step=4)
    assert {from_raw(word, sample(prior(word), rng)) for _ in range(200)} == {1.0, 5.0, 9.0}


@pytest.mark.parametrize("label", WORDS)
def test_a_value_survives_the_way_to_hyperopt_and_back(label):
    word = WORDS[label]()
    for share in np.linspace(0, 1, 41):
        value = word.quantile(float(share))
        back = from_raw(word, to_raw(word, value))
        assert back == value and type(back) is type(value)
        assert type(to_raw(word, value)) in (int, float)


@pytest.mark.parametrize("label", sorted(set(WORDS) - {"mixed", "weighted", "lists", "maybe"}))
@pytest.mark.parametrize("raw", [-1e30, -0.0, 1e30, math.inf, -math.inf, 0.3])
def test_whatever_number_comes_back_is_made_legal(label, raw):
    word = WORDS[label]()
    if word.log:
        raw = abs(raw)
    value = from_raw(word, raw)
    assert word.check(value) == value


def test_numpy_scalars_become_pythons():
    assert type(from_raw(integer(1, 4), np.float64(2.0))) is int
    assert type(from_raw(uniform(0, 1), np.float32(0.5))) is float
    assert type(from_raw(uniform(0, 1), np.array([0.5]))) is float
    assert from_raw(choice([True, "x"]), np.int64(0)) is True


def test_a_list_option_is_not_the_words_own_list():
    word = choice(LISTS)
    from_raw(word, 0).append("changed")
    assert from_raw(word, 0) == [3, 3]


@pytest.mark.parametrize("raw", [7, -1, 0.5])
def test_a_raw_value_that_numbers_no_option_is_refused(raw):
    with pytest.raises(PointError, match="is the number of an option, 0 to 1, got"):
        from_raw(choice(["a", "b"]), raw)


@pytest.mark.parametrize("raw", ["relu", None, True, math.nan, [0.5]])
def test_a_raw_value_that_is_no_number_is_refused(raw):
    with pytest.raises(PointError, match=r"raw value is a number, got .*\. Pass on"):
        from_raw(uniform(0, 1), raw)


def test_an_illegal_value_has_no_raw_value():
    with pytest.raises(PointError, match=r"is outside uniform\(0\.0, 1\.0\)"):
        to_raw(uniform(0, 1), 2)


def test_a_word_of_another_kind_is_refused():
    from hpsearch.declare import Word

    for use in (prior, lambda word: from_raw(word, 1.0)):
        with pytest.raises(TypeError, match="Word is no word that is searched"):
            use(Word())


def test_points_are_encoded_as_far_as_they_can_be():
    parameters, *_ = space_of({"x": uniform(0, 1), "n": integer(1, 4), "c": choice(["a", "b"])})
    compiled = Compiled(parameters)
    raws = compiled.encode_point({"x": 0.25, "n": 9, "gone": 1, "c": "b"})
    assert raws == {"x": 0.25, "c": 1}
    with pytest.raises(PointError, match="'n' has none among x, c"):
        compiled.decode_point(raws)
    with pytest.raises(PointError, match="x: hyperopt's raw value is a number, got 'a'"):
        compiled.decode("x", "a")
