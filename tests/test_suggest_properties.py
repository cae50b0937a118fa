"""Properties over random spaces: nested choices, repeats, conditions, tied names."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import hyperopt
import numpy as np
from hyperopt import Trials, rand
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hpsearch import (
    choice,
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
from hpsearch.declare import Choice, Integer, Word
from hpsearch.errors import SpaceError
from hpsearch.space import Parameters, space_of
from hpsearch.suggest import NAMES, Compiled, fill, grid_size, make, to_hyperopt
from hpsearch.trial import Observation

LEAVES = [
    lambda name: uniform(-1, 1, name=name),
    lambda name: uniform(0, 1, step=0.3, name=name),
    lambda name: loguniform(1e-3, 1, name=name),
    lambda name: integer(0, 3, name=name),
    lambda name: integer(4, 40, step=7, name=name),
    lambda name: integer(1, 9, log=True, name=name),
    lambda name: normal(0, 1, step=0.5, name=name),
    lambda name: lognormal(0, 1, name=name),
    lambda name: choice(["a", "b", "c"], weights=[0.2, 0.3, 0.5], name=name),
    lambda name: choice([1, "1", None, [2, 3]], name=name),
]


class Draw:
    """Builds one random space; keeps its named words for conditions and ties."""

    def __init__(self, data: st.DataObject | Any) -> None:
        self.pick = data
        self.names = (f"n{i}" for i in itertools.count())
        self.words: list[Word] = []

    def part(self, depth: int) -> Any:
        kinds = ["leaf", "leaf", "named", "tied"]
        if depth:
            kinds += ["choice", "choice", "maybe", "when", "repeat", "match", "dict", "list"]
        return getattr(self, self.pick(st.sampled_from(kinds)))(depth - 1)

    def leaf(self, depth: int) -> Any:
        return self.pick(st.sampled_from(LEAVES))(None)

    def named(self, depth: int) -> Any:
        self.words.append(self.pick(st.sampled_from(LEAVES))(next(self.names)))
        return self.words[-1]

    def tied(self, depth: int) -> Any:
        return self.pick(st.sampled_from(self.words)) if self.words else self.named(depth)

    def choice(self, depth: int) -> Any:
        name = next(self.names) if self.pick(st.booleans()) else None
        options = {key: self.part(depth) for key in "xyz"[: self.pick(st.integers(1, 2))]}
        word = choice({**options, "none": 0}, name=name)
        if name:
            self.words.append(word)
        return word

    def maybe(self, depth: int) -> Any:
        return maybe({"m": self.part(depth)}, p=self.pick(st.sampled_from([0.3, 0.5])))

    def when(self, depth: int) -> Any:
        return when(self.condition(), self.part(depth))

    def match(self, depth: int) -> Any:
        word = self.tied(depth)
        if not isinstance(word, Choice):
            return word
        value = word.points[-1]
        case = tuple(value) if isinstance(value, list) else value
        return match(word, {case: self.part(depth)}, otherwise=self.part(depth))

    def repeat(self, depth: int) -> Any:
        times = self.pick(
            st.sampled_from([lambda n: integer(0, 2, name=n), lambda n: choice([1, 3], name=n)])
        )
        self.words.append(times(next(self.names)))
        return repeat(lambda i: {"p": self.part(depth), "i": i}, times=self.words[-1])

    def dict(self, depth: int) -> Any:
        return {key: self.part(depth) for key in "pq"}

    def list(self, depth: int) -> Any:
        return [self.part(depth), {"r": self.part(depth)}]

    def condition(self) -> Any:
        word = self.tied(0)
        if isinstance(word, Choice):
            first = word == word.points[0]
        elif isinstance(word, Integer):
            first = word > word.low
        else:
            first = word < 0.5
        how = self.pick(st.sampled_from(["plain", "plain", "not", "and", "or"]))
        if how == "plain":
            return first
        if how == "not":
            return ~first
        return first & self.condition() if how == "and" else first | self.condition()


@st.composite
def spaces(draw: Any) -> tuple[dict, Parameters]:
    maker = Draw(draw)
    words = {key: maker.part(2) for key in "stuv"[: draw(st.integers(2, 4))]}
    words["always"] = uniform(0, 1)
    try:
        return words, space_of(words)[0]
    except SpaceError as error:
        assume("depends on itself" not in str(error))
        raise


def steady(examples: int) -> Any:
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


def raws_of(document: dict) -> dict:
    return {label: found[0] for label, found in document["misc"]["vals"].items() if len(found)}


@steady(60)
@given(spaces())
def test_every_sampled_point_obeys_its_declaration_and_survives_json(space):
    _, parameters = space
    compiled = Compiled(parameters)
    for number in range(8):
        (document,) = rand.suggest([number], compiled.domain, Trials(), number)
        raws = raws_of(document)
        point = compiled.decode_point(raws)
        assert set(raws) == set(point)  # hyperopt and the table agree on what is active
        assert parameters.check(point) == point
        again = json.loads(json.dumps(point))
        assert repr(parameters.check(again)) == repr(point)
        assert repr(compiled.decode_point(compiled.encode_point(again))) == repr(point)


@steady(12)
@given(spaces(), st.randoms(use_true_random=False))
def test_after_25_random_outcomes_every_algorithm_suggests_legal_points(space, chance):
    _, parameters = space
    drawn = make("random", parameters)
    history = [
        Observation(n, drawn([], [], n, 0).point, chance.choice([None, chance.random()]))
        for n in range(25)
    ]
    pending = [Observation(25, drawn([], [], 25, 0).point, None)]
    for name in NAMES:
        found = make(name, parameters)(history, pending, 26, 1)
        if found is None:
            assert name == "grid" and (grid_size(parameters) or 0) <= 26
        else:
            assert parameters.check(found.point) == found.point
            assert repr(make(name, parameters)(history, pending, 26, 1)) == repr(found)


@steady(15)
@given(spaces())
def test_plain_fmin_searches_any_space_and_decode_reads_all_three_forms(space):
    words, parameters = space
    hp_space, decode = to_hyperopt(words)
    points, trials = [], Trials()

    def objective(x: Any) -> float:
        points.append(decode(x))
        return random.Random(repr(points[-1])).random()

    best = hyperopt.fmin(
        objective,
        hp_space,
        algo=rand.suggest,
        max_evals=5,
        trials=trials,
        rstate=np.random.default_rng(0),
        show_progressbar=False,
    )
    assert all(parameters.check(point) == point for point in points)
    assert [repr(decode(misc["vals"])) for misc in trials.miscs] == list(map(repr, points))
    assert repr(decode(best)) == repr(points[int(np.argmin(trials.losses()))])


@steady(25)
@given(spaces())
def test_a_grid_holds_as_many_different_points_as_its_size_says(space):
    _, parameters = space
    size = grid_size(parameters, 2, most=300)
    assume(size is not None)
    algorithm, points = make("grid", parameters, grid_steps=2), []
    while (found := algorithm(seen(points), [], len(points), 0)) is not None:
        assert parameters.check(found.point) == found.point
        points.append(found.point)
    assert len(points) == len(set(map(repr, points))) == size


def seen(points: list[dict]) -> list[Observation]:
    return [Observation(number, point, 0.0) for number, point in enumerate(points)]


@steady(20)
@given(spaces(), st.randoms(use_true_random=False))
def test_any_part_of_a_point_can_be_completed(space, chance):
    _, parameters = space
    whole = make("random", parameters)([], [], chance.randrange(100), 0).point
    label = chance.choice(list(whole))
    point = fill("random", parameters, {label: whole[label]}, [], [], 0, 0).point
    assert parameters.check(point) == point and repr(point[label]) == repr(whole[label])


@steady(20)
@given(spaces(), st.randoms(use_true_random=False))
def test_fixed_labels_are_never_drawn(space, chance):
    _, parameters = space
    whole = make("random", parameters)([], [], 0, 0).point
    fixed = {label: whole[label] for label in whole if chance.random() < 0.4}
    under = parameters.with_fixed(fixed)
    assert not set(Compiled(under).labels) & set(fixed)
    for number in range(4):
        point = make("random", under)([], [], number, 0).point
        assert parameters.check(point) == point
        assert all(repr(point[label]) == repr(fixed[label]) for label in set(point) & set(fixed))
