"""The words: what each accepts, what it refuses and with which words, and what it becomes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given as given_that
from hypothesis import strategies as st

from hpsearch import (
    Data,
    adapted,
    choice,
    delayed,
    given,
    integer,
    lognormal,
    loguniform,
    match,
    maybe,
    normal,
    repeat,
    uniform,
    when,
)
from hpsearch.declare import Call, Choice, Derived, Integer, Normal, Repeat, Uniform, part_name
from hpsearch.errors import PointError, SpaceError
from hpsearch.space import space_of


@delayed
def layer(size: Any = 1, **options: Any) -> tuple[Any, ...]:
    """A part without Keras, for tests that need no model."""
    return ("layer", size, options)


def refused(make: Callable[[], Any], *texts: str) -> str:
    """The message with which `make` is refused; it has every text, and at most six lines."""
    with pytest.raises(SpaceError) as caught:
        make()
    message = str(caught.value)
    for text in texts:
        assert text in message
    assert len(message.splitlines()) <= 6
    return message


def test_large_integers_are_their_own_value() -> None:
    word = Integer(0, 2**60, 1, False, None)
    for number in (0, 1, 2**53 + 1, 2**60 - 1, 2**60):
        assert word.check(number) == word.snap(number) == number
    assert word.check(float(2**55)) == 2**55
    assert (word.quantile(0.0), word.quantile(1.0)) == (0, 2**60)
    far = Integer(10**30, 10**30 + 8, 4, False, None)
    assert list(far.values(9)) == [10**30, 10**30 + 4, 10**30 + 8]
    assert [far.snap(10**30 + k) - 10**30 for k in (-9, 1, 2, 3, 6, 99)] == [0, 0, 0, 4, 8, 8]
    with pytest.raises(PointError, match="is not on the ladder of"):
        Integer(0, 2**60, 2, False, None).check(2**60 - 1)


# Real numbers


@pytest.mark.parametrize("word", [uniform, loguniform])
@pytest.mark.parametrize("low", [math.nan, math.inf, "1", None, True, [1]])
def test_a_bound_that_is_no_finite_number_is_refused(word: Any, low: Any) -> None:
    refused(lambda: word(low, 2), f"{word.__name__} needs a finite number for low", repr(low))


@pytest.mark.parametrize(
    ("declare", "text"),
    [
        (lambda: uniform("x", 0, 1), "uniform has no label in the first place, got 'x'. Write name='x'"),
        (lambda: choice("act", ["relu"]), "choice has no label in the first place, got 'act'"),
        (lambda: uniform(1e-4, 1, log=True), "'log'. For a logarithmic scale write loguniform."),
        (lambda: integer(1, 9, sampling="log"), "'sampling'. For a logarithmic scale write log=True."),
        (lambda: integer(1, 9, prior="log-uniform"), "For a logarithmic scale write log=True."),
        (lambda: uniform(0, 1, log=False), "no option 'log'. It is linear: leave that out."),
        (lambda: integer(1, 9, sampling="linear"), "It is linear: leave that out."),
        (lambda: loguniform(1e-4, 1, log=True), "It is logarithmic: leave that out."),
        (lambda: integer("units", min_value=32, max_value=512), "integer has no label in the first place, got 'units'"),
        (lambda: choice("act", options=["relu"]), "choice has no label in the first place, got 'act'"),
        (lambda: uniform("-1", 1), "uniform needs a finite number for low, got low='-1'"),
        (lambda: uniform(".5", high=1), "uniform needs a finite number for low, got low='.5'"),
        (lambda: uniform(0, 1, ordered=True), "uniform has no option 'ordered'. Known: "),
        (lambda: normal(mu=0, sigma=1), "normal has no option 'mu'. Here it is mean."),
        (lambda: uniform(0, 1, q=0.1), "uniform has no option 'q'. Here it is step."),
        (lambda: integer(min_value=1, max_value=4), "no option 'min_value'. Here it is low."),
        (lambda: choice([1, 2], p=[0.5, 0.5]), "choice has no option 'p'. Here it is weights."),
        (lambda: choice([1, 2], ordered=True), "Options that are numbers are ordered by themselves"),
        (lambda: uniform(0, 1, default=0.5), "Points to begin with are the baselines of a Space"),
        (lambda: uniform(0, 1, nmae="x"), "uniform has no option 'nmae'. Did you mean 'name'?"),
        (lambda: maybe(3, weight=2), "maybe has no option 'weight'. Known: name, p, part."),
        (lambda: uniform(1), "uniform: missing a required argument: 'high'. It is uniform(low, high, step=None, "),
        (lambda: choice(1, 2, 3), "choice: too many positional arguments. It is choice(options, "),
    ],
)  # fmt: skip
def test_a_word_called_as_another_library_calls_it_tells_what_to_write(
    declare: Callable[[], Any], text: str
) -> None:
    with pytest.raises(SpaceError, match=re.escape(text)):
        declare()


def test_a_string_may_be_there_or_not() -> None:
    assert maybe("same", p=0.5).part == "same"  # type: ignore[attr-defined]


def test_a_uniform_with_its_bounds_swapped_is_refused() -> None:
    refused(lambda: uniform(0, -1), "uniform needs low < high, got low=0, high=-1", "constant")
    refused(lambda: uniform(1, 1), "uniform needs low < high")


@pytest.mark.parametrize("bounds", [(-9, -4), (0, 1), (1e-1, 1e-4), (-1, 1)])
def test_a_loguniform_with_bounds_that_have_no_logarithm_is_refused(
    bounds: tuple[float, float],
) -> None:
    refused(lambda: loguniform(*bounds), "loguniform needs 0 < low < high", "not their logarithms")


def test_logarithms_given_as_bounds_are_turned_into_the_bounds_that_were_meant() -> None:
    refused(lambda: loguniform(-9, -4), "loguniform(1e-9, 1e-4)", "loguniform(0.000123, 0.0183)")


@pytest.mark.parametrize("step", [0, -1, 2, math.nan, "1"])
def test_a_step_that_does_not_fit_between_the_bounds_is_refused(step: Any) -> None:
    refused(lambda: uniform(0, 1, step), "uniform needs", "step")
    refused(lambda: loguniform(0.5, 1, step), "loguniform needs", "step")


@pytest.mark.parametrize("std", [0, -1])
def test_a_normal_needs_a_positive_spread(std: float) -> None:
    refused(lambda: normal(0, std), f"normal needs std > 0, got std={std}")
    refused(lambda: lognormal(0, std), "lognormal needs std > 0")


def test_a_normal_needs_a_positive_step() -> None:
    refused(lambda: normal(0, 1, 0), "normal needs step > 0, got step=0. Leave it out for none.")
    refused(lambda: normal(0, "1"), "normal needs a finite number for std, got std='1'")
    refused(lambda: normal(math.nan, 1), "normal needs a finite number for mean")


def test_numpy_numbers_serve_as_bounds_and_become_plain_ones() -> None:
    word: Any = uniform(np.float32(0.5), np.int64(2))
    assert (type(word.low), type(word.high)) == (float, float)
    whole: Any = integer(np.int64(1), np.int32(4), step=np.int8(1))
    assert (type(whole.low), type(whole.step)) == (int, int)
    assert type(whole.check(np.int64(3))) is int
    assert whole.check(np.array(2)) == 2


def test_a_ladder_starts_at_low_and_never_leaves_its_range() -> None:
    word: Any = uniform(0, 1, 0.3)
    assert list(word.values(0)) == [0.0, 0.3, 0.6, 0.9]
    odd: Any = integer(1, 10, 4)  # hyperopt's quniform(1, 10, 4) gives 0 and 12
    assert list(odd.values(0)) == [1, 5, 9]
    assert odd.snap(-100) == 1
    assert odd.snap(100) == 9
    assert [type(v) for v in odd.values(0)] == [int] * 3


@given_that(st.floats(0, 1), st.integers(-5, 5), st.integers(1, 40), st.integers(1, 7))
def test_every_quantile_of_an_integer_is_on_its_ladder(
    share: float, low: int, width: int, step: int
) -> None:
    word: Any = integer(low, low + max(width, step), step)
    value = word.quantile(share)
    assert (value - low) % step == 0
    assert low <= value <= low + max(width, step)
    assert word.check(value) == value


def test_the_ends_of_an_integer_have_the_same_share_as_the_rest() -> None:
    word: Any = integer(1, 4)
    drawn = [word.quantile((i + 0.5) / 4000) for i in range(4000)]
    assert [drawn.count(v) for v in (1, 2, 3, 4)] == [1000] * 4


def test_quantiles_are_those_of_the_distributions_definitions() -> None:
    even: Any = uniform(-1, 3)
    assert even.quantile(0.25) == pytest.approx(0)
    logs: Any = loguniform(1e-4, 1e-2)
    assert logs.quantile(0.5) == pytest.approx(1e-3)
    bell: Any = normal(10, 2)
    assert bell.quantile(0.8413447460685429) == pytest.approx(12)
    lognorm: Any = lognormal(math.log(3), 1)
    assert lognorm.quantile(0.5) == pytest.approx(3)


@pytest.mark.parametrize(
    ("word", "value", "text"),
    [
        (uniform(0, 1), 2, "2 is outside uniform(0.0, 1.0): it takes a number from 0.0 to 1.0."),
        (uniform(0, 1), "0.5", "'0.5' is outside"),
        (uniform(0, 1), math.nan, "nan is outside"),
        (uniform(0, 1), True, "True is outside"),
        (uniform(0, 1, 0.5), 0.3, "0.3 is not on the ladder of uniform(0.0, 1.0, step=0.5)"),
        (integer(1, 4), 2.5, "2.5 is not on the ladder of integer(1, 4)"),
        (integer(1, 9, 2), 2, "it takes a number from 1 to 9 in steps of 2."),
        (normal(0, 1), math.inf, "it takes a finite number"),
        (lognormal(0, 1), -1, "it takes a positive number"),
        (normal(0, 1, 0.5), 0.3, "0.3 is not a multiple of 0.5"),
        (choice(["relu", "tanh"]), "rellu", "no option of choice(['relu', 'tanh']). Did you mean"),
        (maybe(layer()), "yes", "'yes' is no option of maybe"),
    ],
)
def test_an_illegal_value_is_refused_with_what_is_legal(word: Any, value: Any, text: str) -> None:
    with pytest.raises(PointError, match=re.escape(text)):
        word.check(value)


def test_a_legal_value_comes_back_as_its_word_writes_it() -> None:
    words: Any = [uniform(0, 1), integer(1, 4), uniform(0, 1, 0.1), normal(0, 1, 0.5)]
    values = [
        word.check(value)
        for word, value in zip(words, [1, 2.0, 0.30000000000000004, 1], strict=True)
    ]
    assert values == [1.0, 2, 0.3, 1.0]
    assert [type(v) for v in values] == [float, int, float, float]


# Integers


@pytest.mark.parametrize("low", [1.5, "1", None, True, math.nan])
def test_an_integer_needs_whole_bounds(low: Any) -> None:
    refused(lambda: integer(low, 4), "integer needs a whole number for low", "write `uniform`")


def test_an_integer_needs_a_range() -> None:
    refused(lambda: integer(4, 1), "integer needs low < high, got low=4, high=1", "Both ends")
    refused(lambda: integer(0, 8, log=True), "integer(log=True) needs 1 <= low, got low=0", "Zero")
    refused(lambda: integer(1, 4, 0), "integer needs 0 < step <= high - low, got step=0")
    refused(lambda: integer(1, 4, 1.5), "integer needs a whole number for step, got step=1.5")


def test_a_logarithmic_integer_keeps_its_ends() -> None:
    word: Any = integer(1, 1024, log=True)
    assert (word.quantile(0), word.quantile(1)) == (1, 1024)
    assert word.quantile(0.5) == round(
        math.sqrt(0.5 * 1024.5)
    )  # each value owns half a unit around


# Choices


@pytest.mark.parametrize("options", [[], {}, ()])
def test_a_choice_without_options_is_refused(options: Any) -> None:
    refused(lambda: choice(options), "choice needs at least one option, got none.")


@pytest.mark.parametrize("options", ["relu", b"x", 3, None, uniform(0, 1)])
def test_a_choice_needs_a_list_or_a_dict(options: Any) -> None:
    refused(lambda: choice(options), "choice needs a list of options or {name: option}")


@pytest.mark.parametrize("options", [[64, 64], ["a", "b", "a"], [[3, 3], (3, 3)], [None, None]])
def test_options_that_are_the_same_are_refused(options: Any) -> None:
    refused(lambda: choice(options), "choice needs options that differ", "twice", "`weights`")


@pytest.mark.parametrize(
    "options", [[1, "1"], [None, "l2", 0.5], [1, 1.0], [True, 1], [(3, 3), (5, 5)], [0, False]]
)
def test_options_are_equal_only_with_equal_json_and_type(options: Any) -> None:
    word: Any = choice(options)
    for number, point in enumerate(word.points):
        assert word.index(point) == number
        assert word.option(point) == options[number]
        assert type(word.option(point)) is type(options[number])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_option_that_is_no_finite_number_is_refused(bad: float) -> None:
    refused(lambda: choice([0.1, bad]), "choice cannot offer", "give a finite number")


@pytest.mark.parametrize("key", [1, "", None])
def test_option_names_are_strings(key: Any) -> None:
    refused(lambda: choice({key: 1}), "choice needs names that are strings", repr(key))


def test_options_that_are_not_plain_go_by_their_call_numbered_as_keras_does() -> None:
    word: Any = choice([layer(1), layer(2), None, "gelu", [layer(), layer()], layer(3)])
    assert word.points == ("layer", "layer_1", None, "gelu", "layer_layer", "layer_2")


def test_a_named_option_goes_by_its_name_unless_it_is_plain() -> None:
    word: Any = choice({"small": layer(1), "large": layer(2), "none": None})
    assert word.points == ("small", "large", None)
    assert word.check("none") is None


def test_numpy_arrays_and_ranges_serve_as_options() -> None:
    word: Any = choice(np.array([16, 32]))
    assert word.points == (16, 32)
    assert [type(p) for p in word.points] == [int, int]
    assert choice(range(3)).points == (0, 1, 2)


def test_weights_are_probabilities_that_sum_to_one() -> None:
    word: Any = choice(["a", "b"], weights=[0.75, 0.25])
    assert [word.quantile(s) for s in (0.0, 0.7, 0.8, 1.0)] == ["a", "a", "b", "b"]
    assert choice({"a": 1, "b": 2}, weights={"b": 0.9, "a": 0.1}).weights == (0.1, 0.9)
    refused(
        lambda: choice(["a", "b"], weights=[3, 1]),
        "weights that sum to 1, got [3, 1] (sum 4). Did you mean [0.75, 0.25]?",
    )
    refused(lambda: choice(["a", "b"], weights=[1]), "2 options but 1 weights. Give one each.")
    refused(lambda: choice(["a", "b"], weights=[1, 0]), "choice needs weights above 0, got [1, 0]")
    refused(lambda: choice(["a"], weights={"b": 1}), "choice needs a weight for each of a, got")
    refused(lambda: choice(["a"], weights=0.5), "one weight for each option, got weights=0.5")


# Maybe, when, match


@pytest.mark.parametrize("p", [0, 1, -0.5, "x", math.nan])
def test_maybe_needs_a_probability_between_its_ends(p: Any) -> None:
    refused(lambda: maybe(layer(), p), f"maybe needs 0 < p < 1, got p={p!r}")


def test_maybe_needs_a_part() -> None:
    refused(lambda: maybe(None), "maybe needs a part, got None")


def test_when_needs_a_condition_on_a_word() -> None:
    refused(lambda: when(True, layer()), "when needs a condition on a word, got True")
    refused(lambda: when(layer(), layer()), "when needs a condition on a word")
    refused(lambda: when(choice(["a", "b"]), layer()), "Compare it: when(word == 'a', part).")
    assert when(choice([True, False], name="on"), layer()) is not None
    assert when(maybe(layer(), name="m"), layer()) is not None


def test_match_needs_a_word_and_its_values() -> None:
    word = choice(["a", "b"], name="w")
    refused(lambda: match("a", {"a": 1}), "match needs a word to look at, got 'a'")
    refused(lambda: match(word, {}), "match needs {value: part}, got {}.")
    refused(lambda: match(word, ["a"]), "match needs {value: part}")
    refused(lambda: match(word, {"a": 1}), "match has no part for 'b' of", "otherwise=…")
    refused(lambda: match(word, {"c": 1, "a": 2, "b": 3}), "always be false", "'c' is no option")
    refused(lambda: match(integer(1, 2, name="n"), {1: 1, 3: 2}), "3 is outside integer(1, 2)")
    refused(lambda: match(uniform(0, 1, name="u"), {0.5: 1}), "no part for any other value")
    refused(lambda: match(maybe(layer(), name="m"), {True: 1}), "match has no part for False")
    assert match(word, {"a": 1}, otherwise=None) is not None
    assert match(maybe(layer(), name="m"), {True: 1, False: 2}) is not None


# Repeat


def test_a_block_is_called_once_for_each_block_that_there_may_be() -> None:
    calls: list[int] = []

    def block(i: int) -> Any:
        calls.append(i)
        return layer(i)

    repeat(block, integer(0, 3))
    assert calls == [0, 1, 2]
    repeat(block, choice([1, 4]))
    assert calls == [0, 1, 2, 0, 1, 2, 3]


def test_a_block_may_take_no_number() -> None:
    made: Any = repeat(lambda: layer(), 3)
    assert len(made.blocks) == 3
    part = layer()
    same: Any = repeat(part, 2)
    assert all(block is part for block in same.blocks)


def test_no_blocks_are_legal() -> None:
    assert repeat(lambda i: layer(), 0).blocks == ()


@pytest.mark.parametrize(
    "times", [-1, 1.5, "2", True, None, uniform(0, 3), choice([1, "2"]), choice([True, 2])]
)
def test_times_is_a_number_of_blocks(times: Any) -> None:
    refused(lambda: repeat(lambda i: layer(), times), "repeat needs times to be a whole number")


def test_a_block_returns_layers() -> None:
    refused(lambda: repeat(lambda i: None, 2), "got None from block(0). Add the `return`.")
    refused(lambda: repeat(3, 2), "repeat needs a function that returns layers, got 3")
    refused(lambda: repeat(lambda i: layer(), 5000), "repeat makes at most 1000 blocks")


def test_adapted_needs_a_recorded_layer() -> None:
    refused(lambda: adapted(3, on=given.train), "adapted needs a recorded layer, got 3")


# Names


@pytest.mark.parametrize("name", ["", "a b", "a[0]", ".a", "a.", "a..b", "ä", 3, "x" * 251, "a\n"])
def test_a_name_that_mlflow_would_refuse_is_refused(name: Any) -> None:
    for word in (uniform, normal):
        refused(lambda w=word: w(0, 1, name=name), "A name may hold letters, digits")
    refused(lambda: integer(0, 1, name=name), "MLflow refuses the rest")
    refused(lambda: choice([1, 2], name=name), repr(name))
    refused(lambda: maybe(layer(), name=name), repr(name))


def test_parts_are_named_as_keras_names_layers() -> None:
    class BatchNormalization:
        pass

    assert part_name(delayed(BatchNormalization)()) == "batch_normalization"
    assert part_name(delayed(BatchNormalization)) == "batch_normalization"
    assert part_name(layer(name="head")) == "head"
    assert part_name(layer(name="my head!")) == "myhead"
    assert part_name(maybe(layer())) == "layer"
    assert part_name(when(integer(1, 2) > 1, layer())) == "layer"
    assert part_name(repeat(lambda i: layer(), 1)) == "block"
    assert part_name([layer(), layer()]) == "layer_layer"
    assert part_name(choice([1, 2])) == "choice"
    assert part_name([]) == "nothing"


# Values that are not known yet


OPERATIONS: list[tuple[Callable[[Any], Any], Any]] = [
    (lambda u: u + 1, 9),
    (lambda u: 1 + u, 9),
    (lambda u: u - 1, 7),
    (lambda u: 20 - u, 12),
    (lambda u: u * 2, 16),
    (lambda u: 2 * u, 16),
    (lambda u: u / 2, 4.0),
    (lambda u: 64 / u, 8.0),
    (lambda u: u // 3, 2),
    (lambda u: 100 // u, 12),
    (lambda u: u % 3, 2),
    (lambda u: 100 % u, 4),
    (lambda u: u**2, 64),
    (lambda u: 2**u, 256),
    (lambda u: -u, -8),
    (lambda u: (u + 1) * (u - 1) // 2**2, 15),
    (lambda u: u == 8, True),
    (lambda u: u != 8, False),
    (lambda u: u < 8, False),
    (lambda u: u <= 8, True),
    (lambda u: u > 4, True),
    (lambda u: u >= 16, False),
    (lambda u: (u > 4) & (u < 16), True),
    (lambda u: (u > 8) | (u < 4), False),
    (lambda u: True & (u > 4), True),
    (lambda u: False | (u > 4), True),
    (lambda u: u * u, 64),
]


@pytest.mark.parametrize(("compute", "expected"), OPERATIONS)
def test_operators_give_what_they_give_for_the_value(
    compute: Callable[[Any], Any], expected: Any
) -> None:
    units = choice([4, 8, 16], name="units")
    result = compute(units)
    assert result.value(lambda word: 8) == expected
    assert type(result.value(lambda word: 8)) is type(expected)
    assert compute(8) == expected  # what Python says


def test_a_condition_can_be_turned_round() -> None:
    assert (~(integer(1, 9) > 8)).value(lambda word: 8) is True


def test_numpy_arrays_leave_operators_to_the_word() -> None:
    rate = uniform(0, 1)
    for result in (np.array([1.0, 2.0]) * rate, rate * np.array([1.0, 2.0]), np.float64(2) * rate):
        assert isinstance(result, Derived)
    assert list((np.array([1.0, 2.0]) * rate).value(lambda word: 0.5)) == [0.5, 1.0]
    assert (np.float64(2) * rate).value(lambda word: 0.5) == 1.0
    assert (np.int64(8) == integer(1, 9)).value(lambda word: 8) is True


def test_strings_join_words() -> None:
    word = choice(["small", "large"])
    assert ("net_" + word).value(lambda w: "small") == "net_small"


USES: list[tuple[str, Callable[[Any], Any]]] = [
    (
        "`if`, `and`, `or`, `not`, `in` or `1 < a < 9` (conditions are joined by `&`, `|`, `~`)",
        bool,
    ),
    (
        "`if`, `and`, `or`, `not`, `in` or `1 < a < 9` (conditions are joined by `&`, `|`, `~`)",
        lambda w: w and 1,
    ),
    (
        "`if`, `and`, `or`, `not`, `in` or `1 < a < 9` (conditions are joined by `&`, `|`, `~`)",
        lambda w: not w,
    ),
    (
        "`if`, `and`, `or`, `not`, `in` or `1 < a < 9` (conditions are joined by `&`, `|`, `~`)",
        lambda w: w in [64],
    ),
    (
        "`if`, `and`, `or`, `not`, `in` or `1 < a < 9` (conditions are joined by `&`, `|`, `~`)",
        lambda w: 32 < w < 128,
    ),
    (
        "`if`, `and`, `or`, `not`, `in` or `1 < a < 9` (conditions are joined by `&`, `|`, `~`)",
        lambda w: max(w, 64),
    ),
    (
        "`if`, `and`, `or`, `not`, `in` or `1 < a < 9` (conditions are joined by `&`, `|`, `~`)",
        lambda w: 1 if w == 64 else 2,
    ),
    ("`in`", lambda w: 64 in w),
    ("`range()` or an index", range),
    ("`range()` or an index", lambda w: [1, 2][w]),
    ("`len()`", len),
    ("a loop", list),
    ("a loop", lambda w: [x + 1 for x in w]),
    ("a loop", lambda w: (lambda a, b: a)(*w)),
    ("an f-string", lambda w: f"{w}"),
    ("an f-string", lambda w: f"{w:>8}"),
    ("`int()`", int),
    ("`float()`", float),
    ("`float()`", math.sqrt),
    ("`round()`", round),
    ("`round()`", lambda w: round(w, 2)),
]


@pytest.mark.parametrize(("what", "use"), USES)
def test_what_needs_the_value_now_is_refused(what: str, use: Callable[[Any], Any]) -> None:
    for word in (choice([64, 128]), integer(64, 128)):
        refused(
            lambda w=word: use(w),
            "has no value yet: this line runs once, when the space is declared",
            what,
            "when(depth == 'four', layers.Dense(100))",
            "`repeat`",
        )


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (choice([1, 2]), "A choice has no value yet"),
        (integer(1, 2), "An integer has no value yet"),
        (uniform(0, 1), "A uniform has no value yet"),
        (uniform(0, 1) + 1, "A derived value has no value yet"),
        (integer(1, 2) > 1, "A condition has no value yet"),
        (given.classes, "given.classes has no value yet"),
        (layer(1), "A recorded call of layer has no value yet"),
        (layer, "The recorded layer has no value yet"),
        (maybe(layer()), "A maybe has no value yet"),
    ],
)
def test_the_refusal_says_what_has_no_value(part: Any, name: str) -> None:
    refused(lambda: bool(part), name)


def test_an_attribute_of_what_is_not_made_yet_is_refused() -> None:
    with pytest.raises(AttributeError, match="A choice has no attribute 'upper': it is recorded"):
        choice(["a", "b"]).upper()
    with pytest.raises(AttributeError, match="A recorded call of layer has no attribute 'weights'"):
        layer().weights  # noqa: B018


def test_given_knows_its_facts() -> None:
    refused(lambda: given.clases, "given has no fact 'clases'. Did you mean 'classes'?")
    assert repr(given.shape[0] * 2) == "(given.shape[0] * 2)"
    assert "steps_per_epoch" in dir(given)
    assert not hasattr(given, "_ipython_display_")


def test_a_comparison_that_would_always_be_false_is_refused() -> None:
    depth = choice(["three", "four"], name="depth")
    refused(lambda: depth == "fuor", "This comparison would always be false", "'fuor' is no option")
    refused(lambda: depth != "for", "Did you mean 'four'?")
    refused(lambda: integer(1, 4) == 5, "always be false", "5 is outside integer(1, 4)")
    refused(lambda: integer(1, 4) != "four", "always be false")
    refused(lambda: uniform(0, 1) == 2, "always be false")
    refused(lambda: maybe(layer()) == 3, "always be false")
    refused(lambda: choice([64, 128]) == None, "None is no option")  # noqa: E711


def test_a_comparison_may_name_an_option_by_its_key() -> None:
    net = choice({"small": layer(1), "large": layer(2)}, name="net")
    assert (net == "small").value(lambda w: "small") is True
    kernel = choice([(3, 3), (5, 5)], name="kernel")
    assert (kernel == (3, 3)).value(lambda w: [3, 3]) is True
    assert (kernel != [3, 3]).value(lambda w: [5, 5]) is True


def test_an_order_that_cannot_be_told_is_refused() -> None:
    refused(lambda: choice(["a", "b"]) > 3, "cannot be told", "ask for one option with ==")
    refused(lambda: integer(1, 4) < "four", "cannot be told")
    refused(lambda: choice([None, 3]) >= 2, "cannot be told")
    assert (choice([1, 2.5]) > 2) is not None
    assert (integer(1, 4) < uniform(0, 1)) is not None
    assert (given.rows > 1000) is not None


def test_true_is_not_one_in_a_comparison() -> None:
    word = choice([True, 1, 0], name="w")
    assert (word == True).value(lambda w: 1) is False  # noqa: E712
    assert (word == 1).value(lambda w: 1) is True
    assert (integer(1, 4) == 1.0).value(lambda w: 1) is True


# Recorded calls


def test_delayed_needs_something_to_call() -> None:
    refused(lambda: delayed(3), "delayed needs a function or a class, got 3.")
    refused(lambda: delayed(layer()), "delayed needs a function or a class")
    assert delayed(layer) is layer


def test_a_wrong_argument_is_refused_on_its_line() -> None:
    @delayed
    def dense(units: int, *, activation: str = "relu") -> None: ...

    refused(lambda: dense(3, activatoin="relu"), "dense has no argument 'activatoin'")
    refused(lambda: dense(3, activatoin=1), "Did you mean 'activation'?")
    refused(lambda: dense(), "dense cannot be called like this: missing a required argument")
    refused(lambda: dense(1, 2), "dense cannot be called like this: too many positional")
    assert dense(choice([1, 2])) is not None


def test_a_decorated_function_receives_its_name_in_messages() -> None:
    assert repr(layer(choice([1, 2]), rate=0.5)) == "layer(choice([1, 2]), rate=0.5)"
    assert layer(1).noun() == "A recorded call of layer"


def test_a_recorded_class_cannot_be_subclassed() -> None:
    recorded: Any = delayed(dict)

    def subclass() -> None:
        class Mine(recorded):
            pass

    refused(subclass, "A recorded class cannot be subclassed, got a class made from dict")


def test_words_are_what_they_are() -> None:
    kinds: list[tuple[Any, Any]] = [
        (uniform(0, 1), Uniform),
        (loguniform(1, 2), Uniform),
        (normal(0, 1), Normal),
        (lognormal(0, 1), Normal),
        (integer(0, 1), Integer),
        (choice([1]), Choice),
        (layer(1), Call),
        (repeat(layer(), 1), Repeat),
    ]
    for word, kind in kinds:
        assert type(word) is kind


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (uniform(0, 1, 0.5), "uniform(0.0, 1.0, step=0.5)"),
        (loguniform(1, 2), "loguniform(1.0, 2.0)"),
        (lognormal(0, 1), "lognormal(0.0, 1.0)"),
        (integer(1, 9, 2), "integer(1, 9, step=2)"),
        (integer(1, 9, log=True), "integer(1, 9, log=True)"),
        (choice(list(range(9))), "choice([0, 1, 2, 3, 4, 5, …])"),
        (maybe(layer(1)), "maybe(layer(1))"),
        (when(integer(1, 2, name="n") > 1, layer(1)), "when((n > 1), layer(1))"),
        (match(integer(1, 2), {1: 3, 2: 4}), "match(integer(1, 2), {1, 2})"),
        (repeat(layer, 2), "repeat(layer, times=2)"),
        (adapted(layer(1), on=given.train), "adapted(layer(1), on=given.train)"),
        (-uniform(0, 1), "-(uniform(0.0, 1.0))"),
        (layer(1)(layer(2)), "layer(1)(…)"),
    ],
)
def test_a_part_is_written_as_it_was_declared(word: Any, text: str) -> None:
    assert repr(word) == text


def test_a_word_that_is_met_twice_needs_a_name() -> None:
    units = integer(1, 9)
    message = refused(
        lambda: space_of({"a": units, "b": units}), "stands in two places, a and b", "name='units'"
    )
    assert "write the word twice" in message
    tied = integer(1, 9, name="units")
    parameters, *_ = space_of({"a": tied, "b": tied * 2})
    assert list(parameters) == ["units"]


def test_a_word_used_twice_in_one_expression_is_one_word() -> None:
    units = integer(1, 9)
    assert list(space_of({"area": units * units})[0]) == ["area"]
    assert list(space_of({"area": integer(1, 9) * integer(1, 9)})[0]) == ["area", "area_1"]


def test_a_word_that_is_only_compared_needs_a_name() -> None:
    depth = choice(["three", "four"])
    refused(
        lambda: space_of({"x": when(depth == "four", uniform(0, 1))}),
        "is only compared, so nothing tells what to call it",
        "name='depth'",
    )


def test_two_words_of_one_name_are_refused() -> None:
    refused(
        lambda: space_of({"a": uniform(0, 1, name="u"), "b": uniform(0, 2, name="u")}),
        "Two words have the label 'u': uniform(0.0, 1.0) and uniform(0.0, 2.0)",
    )


def test_data_in_place_is_not_searched_for_words() -> None:
    numbers = list(range(100_000))
    assert Data((numbers, numbers)).train[0] is numbers
