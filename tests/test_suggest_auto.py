"""`auto`: what it promises beyond the protocol that every algorithm keeps."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from hpsearch import choice, integer, lognormal, loguniform, maybe, normal, uniform, when
from hpsearch.errors import SearchStopped
from hpsearch.space import Parameters, space_of
from hpsearch.suggest import branches, make, searcher
from hpsearch.suggest.auto import Auto
from hpsearch.suggest.branches import Branches, believed, promising, stalled
from hpsearch.suggest.coded import Coded
from hpsearch.suggest.failing import Failing
from hpsearch.suggest.features import Features
from hpsearch.suggest.gaussian import Posterior, Scales, fitted
from hpsearch.suggest.improvement import log_improvement
from hpsearch.suggest.paces import CURIOSITY, FAST, MANY, NARROW, THOROUGH, WIDE, margin
from hpsearch.suggest.ranked import Ranking
from hpsearch.suggest.sample import leaders
from hpsearch.suggest.surrogate import Expected, Surrogate, Surrogates
from hpsearch.suggest.told import Part, Told
from hpsearch.suggest.warps import WARPS, least_believed, warped
from hpsearch.trial import Observation, Point

PACES = ("auto", "fast")


def table(words: dict[str, Any], require: Any = ()) -> Parameters:
    return space_of(words, require)[0]


def tree() -> Parameters:
    """Eleven parameters, at most eight of them active together."""
    return table(
        {
            "lr": loguniform(1e-4, 1, name="lr"),
            "batch": choice([16, 32, 64, 128], name="batch"),
            "act": choice(["relu", "tanh", "gelu"], name="act"),
            "net": choice(
                {
                    "wide": {"units": integer(8, 512, log=True, name="units")},
                    "deep": {
                        "layers": integer(2, 6, name="layers"),
                        "drop": maybe({"rate": uniform(0, 0.9, name="rate")}, name="drop"),
                    },
                    "plain": {"step": uniform(0, 1, step=0.125, name="step")},
                },
                name="net",
            ),
        }
    )


def run(
    parameters: Parameters,
    loss: Callable[[Point], float | None],
    trials: int,
    seed: int = 0,
    name: str = "auto",
) -> list[Observation]:
    algorithm, history = make(name, parameters), []
    for number in range(trials):
        found = algorithm(history, [], number, seed)
        if found is None:
            break
        history.append(Observation(number, found.point, loss(found.point)))
    return history


def least(history: list[Observation]) -> float:
    return min(trial.loss for trial in history if trial.loss is not None)


def branin(point: Point) -> float:
    """Three equal minima of 0.397887 (Branin, 1972)."""
    x, y = point["x"], point["y"]
    valley = y - 5.1 * x * x / (4 * math.pi**2) + 5 * x / math.pi - 6
    return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def bowl(point: Point) -> float:
    return sum((value - 0.3 - 0.1 * j) ** 2 for j, value in enumerate(point.values()))


# --- it finds what is good -------------------------------------------------------------------


@pytest.mark.parametrize(("name", "trials"), [("auto", 40), ("fast", 80)])
def test_finds_the_minimum_of_branin(name, trials):
    parameters = table({"x": uniform(-5, 10), "y": uniform(0, 15)})
    found = [least(run(parameters, branin, trials, seed, name)) for seed in range(5)]
    assert np.median(found) < 0.397887 + 0.01


def test_finds_the_good_branch_that_looks_bad_at_first():
    """The centre lies in a branch whose best is 1; the other branch is worse but for one corner."""
    parameters = table(
        {
            "side": choice(
                {"a": {"x": uniform(0, 1, name="x")}, "b": {"y": uniform(0, 1, name="y")}},
                name="side",
            )
        }
    )

    def loss(point: Point) -> float:
        return 1 + point["x"] ** 2 if point["side"] == "a" else 4 * abs(point["y"] - 0.9)

    assert all(least(run(parameters, loss, 40, seed)) < 0.1 for seed in range(4))


def draws(parameters: Parameters, count: int) -> list[Point]:
    drawn = make("random", parameters)
    return [drawn([], [], number, 0).point for number in range(count)]


def nets() -> Parameters:
    """Three branches, of one parameter, three, and one."""
    return table(
        {
            "net": choice(
                {
                    "plain": {"x": uniform(0, 1, name="x")},
                    "deep": {label: uniform(0, 1, name=label) for label in "abc"},
                    "odd": {"z": uniform(0, 1, name="z")},
                },
                name="net",
            )
        }
    )


def hidden(point: Point) -> float:
    """The best is 0 in the branch of which nearly all points are worse than the 0.2 of the easy one."""
    match point["net"]:
        case "plain":
            return 0.2 + 0.5 * abs(point["x"] - 0.3)
        case "odd":
            return 0.6 + point["z"]
    aims = zip("abc", (0.8, 0.15, 0.9), strict=True)
    return 3 * sum(abs(point[label] - aim) for label, aim in aims)


@pytest.mark.parametrize(("name", "trials"), [("auto", 150), ("fast", 180)])
def test_a_search_that_has_stalled_looks_at_other_branches(name, trials):
    """Without looking at branches alone, 0.2 is the best of all five `auto`, and of most `fast`."""
    found = [least(run(nets(), hidden, trials, seed, name)) for seed in range(5)]
    assert np.median(found) < 0.1


def early() -> Parameters:
    """A branch of one parameter, in which few points are good, beside one that is good soon."""
    branches = {
        "a": {"x": uniform(-5, 5, name="x")},
        "b": {"n": integer(1, 9, name="n"), "y": loguniform(0.1, 10, name="y")},
    }
    return table({"c": choice(branches, name="c"), "r": choice([0, 1, 2], name="r")})


def of_early(point: Point) -> float:
    """The best is 0.1 in branch a, and 0.4 in b."""
    if point["c"] == "a":
        own = 0.1 + (point["x"] - 1) ** 2
    else:
        own = 0.4 + 0.05 * abs(point["n"] - 5) + 0.2 * abs(math.log(point["y"]))
    return own + 0.1 * point["r"]


def models():
    words = {
        "net": {"c": loguniform(1e-3, 1e3, name="c"), "gamma": loguniform(1e-4, 10, name="gamma")},
        "forest": {"depth": integer(2, 20, name="depth"), "leaf": uniform(0.001, 0.2, name="leaf")},
        "neighbours": {"k": integer(1, 30, name="k")},
    }
    return table({"model": choice(words, name="model"), "scaled": choice([True, False])})


def of_models(point: Point) -> float:
    """The forest is soon as good as it gets, at .123; the network can be .05, but seldom is."""
    unscaled = 0.0 if point["scaled"] else 0.15
    match point["model"]:
        case "forest":
            return 0.12 + 0.002 * (point["depth"] - 12) ** 2 + 3 * point["leaf"]
        case "neighbours":
            return 0.14 + 0.01 * abs(point["k"] - 5) + unscaled
    c, gamma = math.log10(point["c"]), math.log10(point["gamma"])
    if c > 2.5:
        return math.nan
    return unscaled + 0.05 + 0.05 * (c - 1) ** 2 + 0.08 * (gamma + 2) ** 2


@pytest.mark.parametrize("name", PACES)
def test_a_branch_of_few_parameters_is_found_soon(name):
    """With looks from 100 trials on, three to five searches of ten are locked in at 0.4 until then."""
    found = [least(run(early(), of_early, 75, seed, name)) for seed in range(10)]
    assert sum(loss < 0.2 for loss in found) >= 9, found


def test_a_branch_that_is_refined_does_not_lock_the_search_in():
    """Where all trials count in the quantiles of losses, 5 of 10 find the network."""
    found = [least(run(models(), of_models, 80, seed, "fast")) for seed in range(10)]
    assert sum(loss < 0.115 for loss in found) >= 8, found


@pytest.mark.parametrize("name", PACES)
def test_what_is_expected_is_near_what_comes_or_said_to_be_a_bound(name):
    """Bad losses are alike to the model: of these the least is told."""
    parameters, off, bounds = table(ranges("xyz")), [], []
    for seed in range(3):
        algorithm, history = make(name, parameters), []
        for number in range(45):
            found = algorithm(history, [], number, seed)
            loss = sum((6 * value - 4) ** 2 for value in found.point.values())
            history.append(Observation(number, found.point, loss))
            if found.why.loss is not None:
                of = bounds if found.why.worse else off
                of.append((loss - found.why.loss) / found.why.spread)
    assert 3 <= len(bounds) <= len(off) / 2
    assert np.mean(np.abs(off) < 2) >= 0.85 and np.mean(np.abs(off) > 5) <= 0.08
    assert np.mean(np.array(bounds) > -2) >= 0.95 and np.max(bounds) > 5


@pytest.mark.parametrize("name", PACES)
def test_a_suggestion_says_which_choice_it_looked_at(name):
    """Every fourth does, later every second, and never at the branch of the best that is believed."""
    algorithm, history, looked = make(name, nets()), [], 0
    for number in range(140):
        found = algorithm(history, [], number, 0)
        if found.why.branch is not None:
            looked += 1
            news = {"plain": 1, "odd": 1, "deep": 3}[found.point["net"]]
            fair = believed(np.array([trial.loss for trial in history]))
            best = history[int(fair.argmin())].point["net"]
            assert found.why.branch == "net" and number >= 25 * news
            assert number % 4 == 3 if number < 100 else number % 2
            assert found.point["net"] != best
        history.append(Observation(number, found.point, hidden(found.point)))
    assert looked >= 6


def has_stalled(losses: Any) -> bool:
    losses = np.asarray(losses)
    found = branches.has_stalled(losses, believed(losses))
    assert found == stalled(losses, believed(losses))[-1]
    return found


def test_a_search_has_stalled_where_nothing_worthwhile_was_found_of_late():
    assert not has_stalled(np.linspace(2, 0, 130))
    flat = np.concatenate([np.linspace(2, 1, 104), np.full(16, 0.5)])
    assert has_stalled(flat)
    assert not has_stalled(flat[:-1])  # the best is the fifteenth from the end
    assert has_stalled(np.append(flat, 0.499))
    assert not has_stalled(np.append(flat, 0.3))
    failed = np.full(90, math.nan)
    assert has_stalled(np.concatenate([flat, failed]))
    assert not has_stalled(np.concatenate([flat[:15], failed]))
    assert not has_stalled(np.full(120, math.nan))
    assert not has_stalled(np.ones(15)) and has_stalled(np.ones(16))
    early = flat[40:]  # before a hundred trials less is worthwhile
    assert has_stalled(np.append(early, 0.499))
    assert not has_stalled(np.append(early, 0.49)) and has_stalled(np.append(flat, 0.49))


def test_it_is_known_when_a_search_had_stalled():
    """After each number of its trials as if it had ended there; failures are trials."""
    random = np.random.default_rng(0)
    losses = np.repeat(np.linspace(2, 1, 8), 20) + random.random(160)
    losses[random.random(160) < 0.2] = math.nan
    after = stalled(losses, believed(losses))
    assert after.shape == (161,) and not after[:16].any() and 0 < after.sum() < 145
    # The first 30 losses say what is typical, all of them which are believed.
    assert [has_stalled(losses[:n]) for n in range(50, 161)] == after[50:].tolist()


@pytest.mark.parametrize("false", [-10.0, -1e30])
def test_one_loss_that_is_far_too_good_does_not_stall_the_search(false):
    losses = np.linspace(2, 0, 130)
    losses[3] = false
    assert not has_stalled(losses)
    losses[115:] = losses[114]
    assert has_stalled(losses)


def test_first_losses_that_diverged_do_not_make_all_later_gains_look_small():
    losses = np.linspace(2, 0, 130)
    losses[:30:2] = 1e6
    assert not has_stalled(losses)


def ranges(labels: str) -> dict[str, Any]:
    return {label: uniform(0, 1, name=label) for label in labels}


def looked_at(parameters: Parameters, best: Point, count: int) -> set[tuple[str, Any]]:
    """The branches that a search of so many equal trials looks at."""
    coded = Coded(parameters)
    told = Told(coded.columns)
    for number in range(count):
        told.add(number, coded.row(best), 1.0)
    stall = Branches(coded.columns).stall(told)
    return {
        (coded.columns.labels[branch.column], int(branch.code))
        for branch, _ in (() if stall is None else stall.neglected)
    }


def test_the_fewer_parameters_a_branch_has_the_sooner_it_is_looked_at():
    """Those that the best trial has count as known, those of choices within the branch as new."""
    shared = ranges("pqrst")
    options = {
        "one": ranges("x"),
        "two": {"x": shared["p"], "y": shared["q"]},
        "within": {"k": choice({"a": ranges("u"), "b": None, "c": ranges("vw")}, name="k")},
        "many": shared,
        "none": None,
    }
    parameters = table({"kind": choice(options, name="kind"), "z": uniform(0, 1, name="z")})
    kind = {key: ("kind", number) for number, key in enumerate(options)}
    many = {"kind": "many", "z": 0.5} | dict.fromkeys("pqrst", 0.5)
    assert looked_at(parameters, many, 24) == set()
    assert looked_at(parameters, many, 25) == {kind["one"], ("k", 0)}
    assert looked_at(parameters, many, 50) == {kind["one"], ("k", 0), ("k", 2)}
    assert len(looked_at(parameters, many, 99)) == 3
    within = {"kind": "within", "k": "b", "z": 0.5}
    assert looked_at(parameters, within, 25) == {kind["one"], ("k", 0)}
    assert looked_at(parameters, within, 50) == {kind["one"], kind["two"], ("k", 0), ("k", 2)}
    assert len(looked_at(parameters, within, 99)) == 4
    assert len(looked_at(parameters, within, 100)) == 6
    assert looked_at(table({"x": uniform(0, 1)}), {"x": 0.5}, 200) == set()


def test_a_choice_within_a_branch_is_looked_at_with_what_else_is_in_it():
    """Unless the best trial is in the branch too."""
    opt = choice({"adam": ranges("a"), "sgd": ranges("m")}, name="opt")
    words = {
        "kind": choice({"small": ranges("x"), "big": {"opt": opt, **ranges("pqr")}}, name="kind")
    }
    parameters = table(words)
    small = {"kind": "small", "x": 0.5}
    big = {"kind": "big", "opt": "adam", "a": 0.5} | dict.fromkeys("pqr", 0.5)
    assert looked_at(parameters, small, 99) == set()
    assert looked_at(parameters, big, 25) == {("kind", 0), ("opt", 1)}


def test_what_a_branch_has_does_not_depend_on_chance_nor_on_what_else_there_is():
    """Options of little weight, and conditions that read several choices."""
    for others in range(4):
        k = choice({"c": None, "d": ranges("xy")}, weights=[0.999, 0.001], name="k")
        on = choice([False, True], name="on")
        words = {
            "kind": choice({"a": {"k": k}, "b": ranges("w")}, name="kind"),
            "on": on,
            "z": when(on == True, uniform(0, 1, name="z")),  # noqa: E712
            **ranges("pqrst"[:others]),
        }
        parameters = table(words)
        best = {"kind": "b", "w": 0.5, "on": False} | dict.fromkeys("pqrst"[:others], 0.5)
        assert looked_at(parameters, best, 25) == {("on", 1)}
        assert ("kind", 0) not in looked_at(parameters, best, 74)
        assert ("kind", 0) in looked_at(parameters, best, 75)  # k, x, y


def catching_up(
    turns: Sequence[int], losses: list[float], *, since: int = 100, stalls: int = 0
) -> bool:
    """Whether a branch with these trials is promising beside a best loss of 0.

    Between them the search has others; it stalls after so many.
    """
    told = Told(Coded(nets()).columns)
    row, inside = np.full(len(told.columns), np.nan), []
    found = dict(zip(turns, losses, strict=False))
    for turn in range(max(found) + 1):
        if turn in found:
            inside.append(len(told))
        told.add(3 * turn, row, found.get(turn, 0.0), turn)
    after = np.arange(len(told) + 1) >= stalls
    return promising(told, np.array(inside), 0.0, since=since, after=after)


def test_a_branch_that_does_not_catch_up_is_left():
    """Odd turns from 100 on are looks; the latest six have to close a fifth of the gap."""
    odd = range(101, 121, 2)
    assert catching_up(odd, [1.0] * 5)  # five looks so far
    assert not catching_up(odd, [1.0] * 7)
    assert catching_up(odd, [1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.79])
    assert not catching_up(odd, [1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.81])
    assert not catching_up(odd, [1.0, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2])
    assert catching_up(range(100, 120, 2), [1.0] * 10)  # not looked at yet
    assert catching_up(range(3, 31, 4), [1.0] * 7)
    assert not catching_up(range(3, 31, 4), [1.0] * 7, since=0)
    assert catching_up([0, *range(3, 23, 4), 25], [1.0] * 7, since=0)  # every fourth before 100
    assert not catching_up(odd, [math.nan] * 6)
    assert catching_up(odd, [math.nan] * 5 + [9.0])


def test_a_branch_is_not_left_for_what_was_tried_before_the_search_had_stalled():
    fourth = range(27, 67, 4)
    assert not catching_up(fourth, [1.0] * 10, since=25)
    assert catching_up(fourth, [1.0] * 10, since=25, stalls=60)
    assert not catching_up(fourth, [1.0] * 10, since=25, stalls=40)


@pytest.mark.parametrize("false", [-10.0, -1e30])
def test_one_loss_that_is_far_too_good_does_not_end_the_looks(false):
    """As far behind as that every branch would be left after six trials: four of eight are at 0.2."""

    def loss(point: Point) -> float:
        return hidden(point) if len(told) != 40 else false

    best = []
    for seed in range(8):
        told: list[Observation] = []
        algorithm = make("auto", nets())
        for number in range(125):
            found = algorithm(told, [], number, seed)
            told.append(Observation(number, found.point, loss(found.point)))
        best.append(min(hidden(trial.point) for trial in told))
    assert sum(each < 0.1 for each in best) >= 6, best


@pytest.mark.parametrize(
    ("count", "begin"), [(3, 30), (4, 30), (3, 110), (4, 110), (5, 110), (7, 110)]
)
def test_each_branch_and_all_take_turns_of_both_views_and_of_curiosity(count, begin, monkeypatch):
    options = {f"o{i}": {f"x{i}": uniform(0, 1, name=f"x{i}")} for i in range(count)}
    parameters = table({"kind": choice(options, name="kind")})
    seen: dict[float | None, set[tuple[int, bool]]] = {}  # None: the search of all
    of = Ranking.of

    def counted(self, scope, asked):
        kinds = seen.setdefault(scope.branch and scope.branch.code, set())
        kinds.add((asked.turn % 2, margin(500, asked.number) == CURIOSITY))
        return of(self, scope, asked)

    monkeypatch.setattr(Ranking, "of", counted)
    monkeypatch.setattr(searcher, "promising", lambda *given, **more: True)
    algorithm = make("auto", parameters)
    history = [Observation(n, p, 1.0) for n, p in enumerate(draws(parameters, begin))]
    for number in range(begin, begin + 16 * (count - 1) if begin > 100 else 100):
        found = algorithm(history, [], number, 0)
        history.append(Observation(number, found.point, 1.0))
    assert None in seen and len(seen) == count
    for kinds in seen.values():
        assert {view for view, _ in kinds} == {0, 1}
        assert {curious for _, curious in kinds} == {True, False}


def test_a_branch_of_which_all_trials_fail_is_left():
    """What they say of their point is nothing; so few are spent on it."""

    def loss(point: Point) -> float | None:
        return None if point["net"] == "deep" else hidden(point)

    history = run(nets(), loss, 150, seed=1)
    assert sum(trial.loss is None for trial in history[100:]) <= 8


@pytest.mark.parametrize("name", PACES)
def test_what_is_kept_of_branches_changes_nothing(name, monkeypatch):
    """A stalled search whose trials end late, change and go away: as one that begins with them."""
    parameters, random = nets(), np.random.default_rng(0)
    points = draws(parameters, 180)
    losses = [min(hidden(point), 3.0) if number < 9 else 3.0 for number, point in enumerate(points)]
    monkeypatch.setattr(searcher, "promising", lambda *given, **more: True)
    whole = [Observation(2 * n, p, x) for n, (p, x) in enumerate(zip(points, losses, strict=True))]
    kept, looked = make(name, parameters), 0
    for turn in range(30):
        history = whole[: 110 + 2 * turn]
        if turn % 3 == 0:
            history = [trial for trial in history if trial.number != 100 + 2 * turn]
        if turn % 5 == 0:
            which = int(random.integers(40, 60))
            history[which] = Observation(history[which].number, history[which].point, 2.9)
        pending = [Observation(400 + i, points[-1 - i], None) for i in range(turn % 4)]
        number = 501 + turn
        found = kept(history, pending, number, 1)
        assert found == make(name, parameters)(history, pending, number, 1)
        looked += found.why.branch is not None
    assert looked >= 10


def test_a_branch_without_a_covariance_leaves_the_search_of_all(monkeypatch):
    asked = Surrogates.of

    def singular(self, told, turn):
        if isinstance(told, Part):
            raise np.linalg.LinAlgError
        return asked(self, told, turn)

    monkeypatch.setattr(Surrogates, "of", singular)
    history = [Observation(n, p, hidden(p)) for n, p in enumerate(draws(nets(), 110))]
    history = [Observation(t.number, t.point, t.loss if t.number < 5 else 4.0) for t in history]
    for number in range(111, 121):
        assert make("auto", nets())(history, [], number, 0).why.loss is not None


def test_draws_from_a_branch_are_in_it_however_deep():
    coded = Coded(table(branching()))
    random = np.random.default_rng(0)
    seen = {}
    for branch in Branches(coded.columns):
        rows = branch.drawn(coded.columns, random.random((200, len(coded.columns))))
        label = coded.columns.labels[branch.column]
        options = {coded.point(row)[label] for row in rows}
        assert len(options) == 1
        seen.setdefault(label, set()).update(options)
        assert len(rows) == 200
    assert seen == {"outer": {"x", "y", "z"}, "middle": {"m", "n"}, "inner": {"p", "q", "r"}}


def test_branches_that_are_used_up_or_not_allowed_are_passed_over(monkeypatch):
    """One of one point, one of three, two that are not allowed; one that is easy, one with the best."""
    options = {
        "one": {},
        "three": {"p": choice([1, 2, 3], name="p")},
        "not": {"q": uniform(0, 1, name="q")},
        "nor": {"r": uniform(0, 1, name="r")},
        **{
            key: {f"{key}{i}": uniform(0, 1, name=f"{key}{i}") for i in "abc"} for key in ("s", "t")
        },
    }
    kind = choice(options, name="kind")
    parameters = table({"kind": kind}, require=[kind != "not", kind != "nor"])

    def loss(point: Point) -> float:
        if point["kind"] == "s":
            return 0.2 + sum(abs(point[f"s{i}"] - 0.3) for i in "abc")
        if point["kind"] == "t":
            return 3 * sum(abs(point[f"t{i}"] - 0.8) for i in "abc")
        return 4.0

    asked_when, of = Counter(), Ranking.of

    def counted(self, scope, asked):
        if scope.branch is not None:
            asked_when[scope.branch.code, len(scope.trials)] += 1
        return of(self, scope, asked)

    monkeypatch.setattr(Ranking, "of", counted)
    history = run(parameters, loss, 200)
    assert asked_when and not asked_when[1.0, 3]  # all three of "three" were tried
    points = [tuple(sorted(trial.point.items())) for trial in history]
    assert len(set(points)) == 200
    counts = Counter(trial.point["kind"] for trial in history)
    assert counts["not"] == counts["nor"] == 0 and counts["one"] == 1 and counts["three"] == 3
    assert least(history) < 0.2


@pytest.mark.parametrize(
    ("name", "best", "most"),
    [("auto", 0.5, 0.1), ("auto", 0.3, 0.1), ("fast", 0.5, 0.11), ("fast", 0.3, 0.12)],
)
def test_few_of_its_late_suggestions_fail_where_half_of_the_space_does(name, best, most):
    parameters = table({"x": uniform(-1, 1), "y": uniform(0, 1)})

    def loss(point: Point) -> float | None:
        return None if point["x"] < 0 else (point["x"] - best) ** 2 + (point["y"] - 0.5) ** 2

    shares = [
        np.mean([trial.loss is None for trial in run(parameters, loss, 100, seed, name)[40:]])
        for seed in range(3)
    ]
    assert np.mean(shares) <= most


@pytest.mark.parametrize(("name", "most"), [("auto", 1e-4), ("fast", 1e-3)])
def test_failures_by_chance_say_nothing_of_a_point(name, most):
    parameters = table({"x": uniform(-1, 1), "y": uniform(-1, 1)})

    def sometimes(random: np.random.Generator) -> Callable[[Point], float | None]:
        return lambda point: None if random.random() < 0.2 else bowl(point)

    for seed in range(4):
        history = run(parameters, sometimes(np.random.default_rng(seed)), 40, seed, name)
        assert sum(trial.loss is None for trial in history) > 3
        assert least(history) < most


@pytest.mark.parametrize("name", PACES)
def test_one_failure_beside_the_best_point_is_no_wall_around_it(name):
    parameters = table({"x": uniform(-1, 1), "y": uniform(-1, 1)})
    for seed in range(4):
        failed: list[Point] = []

        def loss(point: Point, failed: list[Point] = failed) -> float | None:
            if bowl(point) < 1e-3 and not failed:
                failed.append(point)
                return None
            return bowl(point)

        assert least(run(parameters, loss, 40, seed, name)) < 2e-4
        assert failed


def test_repeats_of_a_point_are_noise():
    """The least loss was luck: it lies among worse ones of the very same point."""
    parameters = table({"x": uniform(0, 1)})
    random = np.random.default_rng(0)
    points = [0.2, 0.2, 0.2, 0.2, 0.2, 0.7, 0.7, 0.7, 0.7, 0.7, 0.05, 0.35, 0.5, 0.6, 0.9, 0.95]
    lucky = [2.0, 2.1, 1.9, 2.2, -0.5, *(1 + 0.05 * random.normal(size=5)), 2, 2, 1.6, 1.2, 1.6, 2]
    history = [
        Observation(number, {"x": x}, float(loss))
        for number, (x, loss) in enumerate(zip(points, lucky, strict=True))
    ]
    algorithm = make("auto", parameters)
    found = [algorithm(history, [], number, 3).point["x"] for number in range(16, 40)]
    assert np.mean([abs(x - 0.7) < 0.12 for x in found]) > 0.5


# --- what is never suggested, and the end ----------------------------------------------------


@pytest.mark.parametrize("name", PACES)
def test_a_finite_space_is_suggested_whole_and_once(name):
    parameters = table(
        {
            "a": choice(
                {"x": {"k": integer(1, 3, name="k")}, "y": maybe("on", name="m")}, name="a"
            ),
            "b": choice([0.1, 0.2, 0.4], name="b"),
        }
    )
    history = run(parameters, lambda point: point["b"], 100, name=name)
    points = [repr(trial.point) for trial in history]
    assert len(points) == len(set(points)) == (3 + 2) * 3


@pytest.mark.parametrize("name", PACES)
def test_a_finite_space_ends_where_constraints_leave_a_few_points(name):
    words = {label: integer(0, 9, name=label) for label in "ab"}
    parameters = table(words, [words["a"] + words["b"] > 16])
    history = run(parameters, lambda point: point["a"], 200, name=name)
    found = {(trial.point["a"], trial.point["b"]) for trial in history}
    assert found == {pair for pair in itertools.product(range(10), repeat=2) if sum(pair) > 16}
    assert len(history) == len(found)


@pytest.mark.parametrize("name", PACES)
def test_a_large_finite_space_of_which_little_is_legal_is_used_up(name):
    grid = {label: integer(0, 59, name=label) for label in "ab"}
    parameters = table(grid, require=[lambda p: p["a"] + p["b"] > 110])
    history = run(parameters, lambda point: float(point["a"]), 60, 0, name)
    assert len({(t.point["a"], t.point["b"]) for t in history}) == len(history) == 36


def test_a_finite_space_too_large_to_walk_is_not_called_used_up(monkeypatch):
    monkeypatch.setattr(searcher, "MOST_WALKED", 2_000)
    grid = {label: integer(0, 9, name=label) for label in "abcd"}
    late = table(grid, require=[lambda p: p["a"] == p["b"] == p["c"] == p["d"] == 9])
    with pytest.raises(SearchStopped, match="rejected 1000"):
        make("auto", late)([], [], 0, 0)
    early = table(grid, require=[lambda p: p["a"] == p["b"] == 0 and p["c"] == 0 and p["d"] < 3])
    algorithm, history = make("auto", early), []
    for number in range(3):
        history.append(Observation(number, algorithm(history, [], number, 0).point, 1.0))
    assert {trial.point["d"] for trial in history} == {0, 1, 2}
    with pytest.raises(SearchStopped, match="rejected 1000"):  # of the rest nothing is known
        algorithm(history, [], 3, 0)


def test_the_last_values_of_a_long_ladder_are_found():
    parameters, left = table({"n": integer(1, 6_000, name="n")}), {5, 77, 3_000, 5_999}
    tried = [value for value in range(1, 6_001) if value not in left]
    history = [Observation(i, {"n": value}, value % 13.0) for i, value in enumerate(tried)]
    algorithm = make("fast", parameters)
    while (found := algorithm(history, [], len(history), 0)) is not None:
        history.append(Observation(len(history), found.point, 1.0))
    assert {trial.point["n"] for trial in history[len(tried) :]} == left
    assert len(history) == 6_000


def test_an_option_of_hardly_any_weight_is_told_from_its_neighbours():
    parameters = table({"n": choice([1, 2, 3], weights=[0.5, 1e-17, 0.5], name="n")})
    history = run(parameters, lambda point: float(point["n"]), 5)
    assert sorted(trial.point["n"] for trial in history) == [1, 2, 3]


@pytest.mark.parametrize("high", [30_000, 10**12])
@pytest.mark.parametrize("log", [False, True])
def test_values_of_a_long_ladder_are_tried_once(high, log):
    """They have no list, but equal values are equal."""
    parameters = table({"n": integer(1, high, log=log, name="n")})
    history = run(parameters, lambda point: abs(point["n"] - 77) / high, 50)
    assert len({trial.point["n"] for trial in history}) == 50
    assert min(trial.loss for trial in history) < 1e-3


def test_candidates_that_were_tried_make_room_for_others_not_for_the_prior():
    parameters = table({label: integer(0, 10, name=label) for label in "abcd"})
    sources = []
    for seed in range(2):
        history = run(parameters, lambda p: sum((p[label] - 3) ** 2 for label in "abcd"), 80, seed)
        algorithm = make("auto", parameters)
        sources += [algorithm(history, [], n, seed).why.source for n in range(80, 110)]
    assert sources.count("prior") < 0.5 * len(sources)


def test_within_constraints_it_searches_and_does_not_draw():
    """The least sum of squares lies beyond the constraint, as what seems best always does."""
    labels = "abcdef"
    parameters = table(
        {label: uniform(0, 1, name=label) for label in labels},
        require=[lambda p: sum(p.values()) <= 1.5],
    )

    def loss(point: Point) -> float:
        return sum((point[label] - 0.6) ** 2 for label in labels)  # least within: 0.735

    found, drawn = [], []
    for seed in range(3):
        algorithm, history, sources = make("auto", parameters), [], []
        for number in range(35):
            suggestion = algorithm(history, [], number, seed)
            sources.append(suggestion.why.source)
            history.append(Observation(number, suggestion.point, loss(suggestion.point)))
        found.append(least(history))
        drawn.append(sources[6:].count("prior"))
    assert np.median(found) < 0.735 + 0.03
    assert np.median(drawn) < 5


def test_where_no_candidate_is_legal_it_draws():
    parameters = table(
        {"x": uniform(0, 1, name="x"), "y": uniform(0, 1, name="y")},
        require=[lambda p: 0.5 < p["x"] < 0.52],
    )
    history = [Observation(n, {"x": 0.9 + n / 1000, "y": n / 20}, 1.0 - n / 20) for n in range(20)]
    found = make("fast", parameters)(history, [], 20, 0)
    assert 0.5 < found.point["x"] < 0.52


def test_trials_with_another_fixed_value_are_those_of_another_search():
    words = {"a": choice([1, 2], name="a"), "b": choice(["x", "y", "z"], name="b")}
    history = run(table(words).with_fixed({"a": 1}), lambda point: 1.0, 10)
    assert len(history) == 3
    algorithm = make("auto", table(words).with_fixed({"a": 2}))
    for number in range(3, 6):
        found = algorithm(history, [], number, 0)
        assert found.point["a"] == 2
        history.append(Observation(number, found.point, 1.0))
    assert algorithm(history, [], 6, 0) is None


def test_a_caller_who_raises_floating_point_errors_gets_none_from_it():
    with np.errstate(all="raise"):
        history = run(tree(), lambda point: point["lr"] * 1e-290, 30)
    assert len(history) == 30


def _nowhere(features: Features, rows: np.ndarray) -> np.ndarray:
    return np.full((len(rows), len(features.column_of)), np.nan)


@pytest.mark.parametrize(
    ("number", "known", "breadth"),
    [(75, 75, WIDE), (77, 74, WIDE), (77, 75, NARROW), (78, 1000, WIDE), (1001, 1000, NARROW)],
)
def test_curious_suggestions_are_chosen_among_few_once_there_are_many_trials(
    number, known, breadth
):
    assert THOROUGH.breadth_of(number, known, MANY) == breadth
    assert FAST.breadth_of(number, known, MANY) == NARROW


def test_where_columns_are_many_candidates_are_fewer():
    few, many = (THOROUGH.breadth_of(75, 75, count) for count in (MANY, MANY + 1))
    assert many.prior < few.prior and many.mutated < few.mutated
    assert THOROUGH.breadth_of(77, 75, MANY + 1) == NARROW
    assert FAST.breadth_of(75, 75, MANY + 1) == NARROW


def test_trouble_that_nobody_thought_of_ends_in_a_draw(monkeypatch):
    history = run(tree(), lambda point: point["lr"], 20)
    monkeypatch.setattr(Features, "near", _nowhere)
    assert make("auto", tree())(history, [], 20, 0).why.source == "prior"


def test_a_point_that_runs_is_not_suggested_again():
    parameters = table({"a": integer(0, 3), "b": choice(["p", "q"])})
    algorithm, pending = make("auto", parameters), []
    while (found := algorithm([], pending, len(pending), 0)) is not None:
        pending.append(Observation(len(pending), found.point, None))
    assert len({repr(trial.point) for trial in pending}) == len(pending) == 8


def test_repeats_are_suggested_where_they_are_asked_for():
    algorithm, history = Auto(table({"a": integer(0, 3)}), repeats=True), []
    for number in range(30):
        point = algorithm(history, [], number, 0).point
        history.append(Observation(number, point, float(point["a"])))
    assert sum(trial.point["a"] == 0 for trial in history) > 15


def test_a_space_of_which_nothing_is_legal_names_the_constraint():
    words = {"a": uniform(0, 1, name="a"), "b": uniform(0, 1, name="b")}
    algorithm = make("auto", table(words, [words["a"] + words["b"] > 2]))
    with pytest.raises(SearchStopped, match=r"\(a \+ b\) > 2\) rejected 1000"):
        algorithm([], [], 0, 0)


# --- trials that run -------------------------------------------------------------------------


@pytest.mark.parametrize("name", PACES)
def test_sixteen_trials_at_once_lie_apart(name):
    parameters = table({"x": uniform(-5, 10), "y": uniform(0, 15)})
    history = run(parameters, branin, 30, name=name)
    algorithm, pending = make(name, parameters), []
    for number in range(30, 46):
        found = algorithm(history, pending, number, 0)
        pending.append(Observation(number, found.point, None))
    places = np.array([[trial.point["x"] / 15, trial.point["y"] / 15] for trial in pending])
    apart = np.sqrt(((places[:, None] - places) ** 2).sum(-1)) + 9 * np.eye(16)
    assert apart.min() > 0.005
    assert np.median(apart.min(axis=1)) > 0.01


# --- whatever it is told ---------------------------------------------------------------------

LOSSES = st.one_of(
    st.floats(-1e3, 1e3),
    st.sampled_from([0.0, 1.0, 1e30, -1e30, 1e308, -1e308, 1e-308, math.inf, -math.inf, math.nan]),
    st.none(),
)


@pytest.mark.parametrize("name", PACES)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_no_losses_and_no_points_make_it_fail(name, data):
    """Duplicates, columns that never change, losses of any size, and failures in any order."""
    parameters = tree()
    drawn = make("random", parameters)
    seed = data.draw(st.integers(0, 2**64))
    kinds = data.draw(st.integers(1, 30))
    points = [drawn([], [], number, seed).point for number in range(kinds)]
    losses = data.draw(st.lists(LOSSES, max_size=70))
    history = [Observation(i, points[i % kinds], loss) for i, loss in enumerate(losses)]
    pending = [Observation(99 + i, points[0], None) for i in range(data.draw(st.integers(0, 3)))]
    algorithm = make(name, parameters)
    for number in (110, 111, 113):
        found = algorithm(history, pending, number, seed)
        assert parameters.check(found.point) == found.point
        assert found.point not in [trial.point for trial in [*history, *pending]]


@pytest.mark.parametrize("false", [1e30, -10.0, -1e30])
@pytest.mark.parametrize(("name", "best"), [("auto", 3e-3), ("fast", 1.5e-2)])
def test_one_false_loss_does_not_hide_the_others(name, best, false):
    """Draws reach 0.045. One far too good is a metric that broke; it stays the best for ever."""
    parameters = table({label: uniform(0, 1, name=label) for label in "abcd"})
    found = []
    for seed in range(3):
        algorithm, history = make(name, parameters), []
        for number in range(50):
            point = algorithm(history, [], number, seed).point
            history.append(Observation(number, point, false if number == 2 else bowl(point)))
        found.append(min(bowl(trial.point) for trial in history))
    assert np.median(found) < best


@pytest.mark.parametrize("name", PACES)
def test_a_history_of_20_000_trials_goes_on(name):
    """Duplicates, failures and all; what is kept while it grows changes nothing."""
    parameters, random = tree(), np.random.default_rng(0)
    drawn = make("random", parameters)
    points = [drawn([], [], number, 0).point for number in range(500)]
    history = []
    for number in range(20_003):
        point = points[random.integers(500)]
        loss = None if random.random() < 0.1 else abs(math.log10(point["lr"]) + 2)
        history.append(Observation(number, point, loss))
    algorithm = make(name, parameters)
    for count in range(20_000, 20_003):
        found = algorithm(history[:count], [], count, 0)
        assert parameters.check(found.point) == found.point not in points
    assert found == make(name, parameters)(history[:count], [], count, 0)


@pytest.mark.parametrize(
    "losses", [[3.0] * 40, [0.0] * 39 + [1e30], [1e30] * 39 + [0.0], [None] * 40]
)
@pytest.mark.parametrize("name", PACES)
def test_losses_that_say_nothing_leave_it_exploring(name, losses):
    parameters = tree()
    drawn = make("random", parameters)
    history = [Observation(i, drawn([], [], i, 0).point, loss) for i, loss in enumerate(losses)]
    algorithm = make(name, parameters)
    for number in range(40, 100):
        point = algorithm(history, [], number, 5).point
        history.append(Observation(number, point, losses[number % 40]))
    found = [trial.point for trial in history[40:]]
    assert {point["net"] for point in found} == {"wide", "deep", "plain"}
    assert len({point["lr"] for point in found}) > 30


@pytest.mark.parametrize(
    ("name", "drawn", "numbers"),
    [("fast", 0, (20, 31, 32, 33, 70, 89)), ("thorough", 190, (196, 199, 200, 201, 205, 208, 213))],
)
def test_it_is_the_same_whether_its_process_was_extended_or_begun_anew(name, drawn, numbers):
    parameters, kept = tree(), make(name, tree())

    def loss(point: Point) -> float | None:
        return None if point["act"] == "gelu" else abs(math.log10(point["lr"]) + 2)

    history = [Observation(n, p, loss(p)) for n, p in enumerate(draws(parameters, drawn))]
    while len(history) <= max(numbers):
        point = kept(history, [], len(history), 0).point
        history.append(Observation(len(history), point, loss(point)))
    for number in numbers:
        afresh = make(name, parameters)(history[:number], [], number, 0)
        assert afresh.point == history[number].point


def test_the_process_of_a_long_history_is_extended(monkeypatch):
    """Begun for each suggestion, it was a quarter of what one costs."""
    begun, counts = Surrogates._begun, []

    def counted(self, told, start, which):
        counts.append(start)
        return begun(self, told, start, which)

    monkeypatch.setattr(Surrogates, "_begun", counted)
    parameters = table({"x": uniform(0, 1), "y": uniform(0, 1)})
    algorithm = make("thorough", parameters)
    history = [Observation(n, p, p["x"] + p["y"]) for n, p in enumerate(draws(parameters, 232))]
    for number in range(192, 232):
        algorithm(history[:number], [], number, 0)
    assert [count for count in counts if count < 200] == [*range(192, 200)]
    assert sorted({count for count in counts if count >= 200}) == [200, 208, 216, 224]


@pytest.mark.parametrize("name", PACES)
def test_what_is_kept_changes_nothing(name):
    """Failures, and more and more trials that run: every digit is the same."""
    parameters, random = tree(), np.random.default_rng(3)
    drawn, kept, history = make("random", parameters), make(name, parameters), []
    for number in range(90):
        point = drawn([], [], number, 0).point
        loss = None if random.random() < 0.4 else float(random.normal() + 0.1 * number)
        history.append(Observation(number, point, loss))
        if number < 20 or number % 3:
            continue
        pending = [
            Observation(number + 1 + i, drawn([], [], 500 + i, 0).point, None)
            for i in range(number % 5)
        ]
        found = kept(history, pending, number + 9, 1)
        assert found == make(name, parameters)(history, pending, number + 9, 1)


@pytest.mark.parametrize("name", PACES)
def test_extremes_that_come_between_two_begins_of_a_process_do_no_harm(name):
    """Each view is asked for the values of losses that it was not made of."""
    extremes = itertools.cycle([1e308, -1e308, None, math.inf, -math.inf, math.nan, 0.0, 1e-308])
    parameters, kept = tree(), make(name, tree())
    history = [Observation(n, p, math.log(p["lr"])) for n, p in enumerate(draws(parameters, 199))]
    for number in range(199, 225):
        found = kept(history, [], number, 0)
        parameters.check(found.point)
        told = (found.why.loss, found.why.spread, found.why.improvement)
        assert all(math.isfinite(each) for each in told if each is not None)
        history.append(Observation(number, found.point, next(extremes)))


@pytest.mark.parametrize("name", PACES)
def test_what_is_kept_of_a_long_history_changes_nothing(name, monkeypatch):
    """Trials that end late, change, fail, and run, before and after two hundred; also of a branch."""
    monkeypatch.setattr(searcher, "promising", lambda *given, **more: True)
    parameters, random = nets(), np.random.default_rng(5)
    drawn, kept = make("random", parameters), make(name, parameters)
    points = [drawn([], [], number, 0).point for number in range(236)]
    losses = [None if random.random() < 0.1 else min(hidden(p), 2.0) for p in points]
    for number in (*range(0, 190, 3), *range(1, 190, 3)):  # most are of one branch
        points[number] = {"net": "odd", "z": float(random.random())}
    whole = [Observation(n, p, x) for n, (p, x) in enumerate(zip(points, losses, strict=True))]
    odd, looked = 0, 0
    for count in range(196, 232, 2):
        history = whole[:count]
        if count % 3 == 0:
            del history[count - 5]
        if count % 5 == 0:
            history[150] = Observation(150, history[150].point, random.choice([None, 1.9]))
        pending = whole[count : count + count % 4]
        found = kept(history, pending, count + 1, 1)
        assert found == make(name, parameters)(history, pending, count + 1, 1)
        looked += found.why.branch is not None
        odd = sum(trial.point["net"] == "odd" for trial in history)
    assert looked >= 5 and odd > 100


def test_a_first_failure_counts_where_the_process_is_only_extended():
    columns = Coded(table({"x": uniform(0, 1), "y": uniform(0, 1)})).columns
    told, random = Told(columns), np.random.default_rng(0)
    surrogates = Surrogates(columns, warps=WARPS[:1], growth=1.5, kept=32)
    for number, row in enumerate(random.random((36, 2)) * [0.5, 1.0]):
        told.add(number, row, float(row.sum()))
    before = surrogates.of(told, 0)
    for number in range(36, 41):
        told.add(number, np.array([0.9 + 0.02 * (number - 36), 0.5]), math.nan)
    after = surrogates.of(told, 0)
    assert not before.failed.any() and after.failed.sum() == 5
    corner = after.predict(np.array([[0.95, 0.5]]))
    hope = after.scores(corner, after.best) - log_improvement(
        corner.means, corner.spreads, after.best
    )
    assert hope[0] < math.log(0.3)


def test_a_trial_that_ends_late_does_not_cost_fast_all_that_it_kept(monkeypatch):
    """With several workers that is the rule: a process that is extended goes back a few trials."""
    extended, extensions = Surrogate.extended, []

    def counted(self, told):
        extensions.append(self.count)
        return extended(self, told)

    monkeypatch.setattr(Surrogate, "extended", counted)
    whole = [Observation(n, p, -math.log(p["lr"])) for n, p in enumerate(draws(tree(), 70))]
    algorithm = make("fast", tree())
    algorithm(whole[:60], [], 60, 0)
    extensions.clear()
    for number in range(61, 70):
        late = [trial for trial in whole[:number] if trial.number != number - 4]
        found = algorithm(late, [], number, 0)
        before = len(extensions)
        assert found == make("fast", tree())(late, [], number, 0)
        del extensions[before:]
    assert len(extensions) <= 5 * 9


def test_a_history_of_other_fixed_values_that_changed_is_learnt_anew():
    history = run(tree(), lambda point: -math.log(point["lr"]), 40)
    other = [Observation(t.number, t.point, -t.loss if t.number > 20 else t.loss) for t in history]
    fixed = tree().with_fixed({"act": "tanh"})
    algorithm = make("auto", fixed)
    for known in (history, other, other[:25], history[:21], history):
        assert algorithm(known, [], 40, 0) == make("auto", fixed)(known, [], 40, 0)


def test_a_history_that_changed_is_learnt_anew():
    parameters = tree()
    history = run(parameters, lambda point: -math.log(point["lr"]), 40)
    other = [Observation(t.number, t.point, -t.loss if t.number > 20 else t.loss) for t in history]
    for name in PACES:
        algorithm = make(name, parameters)
        algorithm(history, [], 40, 0)
        assert algorithm(other, [], 40, 0) == make(name, parameters)(other, [], 40, 0)
        assert algorithm(other[:25], [], 40, 0) == make(name, parameters)(other[:25], [], 40, 0)


# --- its parts -------------------------------------------------------------------------------


def drawn_rows(coded: Coded, count: int, seed: int = 0) -> np.ndarray:
    return coded.columns.at(np.random.default_rng(seed).random((count, len(coded.columns))))


def test_every_row_of_a_finite_space_is_walked_once():
    parameters = table(
        {
            "a": choice(
                {
                    "x": {"k": integer(1, 3, name="k"), "z": choice([1, "q", None], name="z")},
                    "y": maybe({"u": integer(0, 4, step=2, name="u")}, name="m"),
                },
                name="a",
            ),
            "b": choice([True, False], name="b"),
        }
    )
    coded = Coded(parameters)
    rows = np.array([*coded.columns.every()])
    assert len(rows) == len(set(coded.columns.keys(rows))) == 2 * (3 * 3 + 1 + 3)
    assert all(parameters.check(coded.point(row)) for row in rows)


def test_draws_of_codes_follow_the_priors():
    parameters = table(
        {
            "c": choice(["a", "b", "c"], weights=[0.1, 0.3, 0.6], name="c"),
            "lr": loguniform(1e-3, 10, name="lr"),
            "n": integer(1, 4, name="n"),
        }
    )
    coded = Coded(parameters)
    points = [coded.point(row) for row in drawn_rows(coded, 4000)]
    shares = [np.mean([point["c"] == option for point in points]) for option in "abc"]
    assert shares == pytest.approx([0.1, 0.3, 0.6], abs=0.04)
    assert np.mean([point["lr"] < 0.1 for point in points]) == pytest.approx(0.5, abs=0.04)
    assert [np.mean([p["n"] == k for p in points]) for k in (1, 2, 3, 4)] == pytest.approx(
        [0.25] * 4, abs=0.04
    )


def test_a_row_of_a_point_of_a_row_is_the_row():
    coded = Coded(tree())
    for row in drawn_rows(coded, 300):
        assert np.allclose(coded.row(coded.point(row)), row, rtol=0, atol=1e-9, equal_nan=True)


def branching() -> dict[str, Any]:
    """Branches three deep, below a rung, below a condition, and one shared by two options."""
    shared = uniform(0, 1, name="shared")
    depth = integer(0, 2, name="depth")
    rate = loguniform(1e-4, 1, name="rate")
    inner = choice({"p": {"s": shared}, "q": {}, "r": {"u": uniform(0, 1, name="u")}}, name="inner")
    middle = choice({"m": {"inner": inner}, "n": {"v": integer(1, 9, name="v")}}, name="middle")
    return {
        "rate": rate,
        "outer": choice({"x": {"middle": middle}, "y": {"s": shared}, "z": {}}, name="outer"),
        "depth": depth,
        "decay": when(rate > 0.01, uniform(0, 1, name="decay")),
        "layers": [when(depth > k, integer(8, 64, name=f"units{k}")) for k in range(2)],
    }


def test_a_column_has_a_code_where_its_parameter_is_active():
    """What the rows of the search say is what the table of the parameters says."""
    parameters = table(branching())
    coded, seen = Coded(parameters), set()
    for row in drawn_rows(coded, 300):
        found = coded.point(row)
        assert [*found] == [*parameters.complete(lambda p: found[p.label])]  # noqa: B023
        seen.add(frozenset(found))
    assert len(seen) > 20


@pytest.mark.parametrize("at", [-30.0, -3.0, -1.0, -0.5, 0.0, 2.0])
def test_expected_improvement_is_the_integral_that_it_stands_for(at):
    """Of (best - loss) where that is positive, over a normal loss; in logarithms."""
    spread = 0.7
    (found,) = log_improvement(np.array([-at * spread]), np.array([spread]), 0.0)
    if at > -10:
        expected, _ = integrate.quad(
            lambda loss: -loss * stats.norm.pdf(loss, -at * spread, spread), -20, 0
        )
        assert found == pytest.approx(math.log(expected), rel=1e-6)
    else:  # the first terms of its series: far below, quadrature sees only zeros
        series = -(at**2) / 2 - math.log(math.sqrt(2 * math.pi)) - 2 * math.log(-at)
        assert found == pytest.approx(series + math.log(spread) + math.log1p(-3 / at**2), abs=1e-4)


@pytest.mark.parametrize(
    ("losses", "least"),
    [
        ([1.0, 2.0, 3.0, 4.0, 5.0, -1e9], 1.0 - 2 * 1.5),  # the median is 2.5
        ([7.0] * 6 + [-1.0], 7.0),
        ([0.0, 1.0], 1.0 - 2 * 0.5),
        ([*range(100, 150), 1.0, -5.0, -6.0], 100 - 2 * 23),  # three of 53, the median is 123
    ],
)
def test_a_loss_far_below_all_others_is_believed_in_part(losses, least):
    assert least_believed(np.array(losses)) == least


@pytest.mark.parametrize("warp", WARPS)
@pytest.mark.parametrize("spread", [0.1, 2.0])
def test_a_later_loss_has_the_value_that_it_would_have_had(warp, spread):
    """But for the logarithm, which puts no later loss below the best."""
    losses = np.exp(spread * np.random.default_rng(0).normal(size=200))
    found = warped(warp, losses)
    for share in (0.02, 0.2, 0.45, 0.6, 0.7, 0.8, 0.95):
        later = np.quantile(losses, share)
        (value,) = found.later(np.array([later]))
        expected = warped(warp, np.append(losses, later)).values[-1]
        assert value == pytest.approx(expected, abs=0.15)
    with np.errstate(over="ignore"):
        worst, false = found.later(np.array([1e308, -1e308]))
    assert worst == pytest.approx(found.values.max())
    assert found.values.min() >= false >= -100


@pytest.mark.parametrize("warp", WARPS[:2])
def test_a_discovery_between_two_begins_is_not_cut_off(warp):
    """Far below all others, it would not be told from what is a little better than they are."""
    losses = np.random.default_rng(0).uniform(0.12, 0.13, size=64)
    found = warped(warp, losses)
    for later in (0.1, 0.08, 0.06):
        assert found.loss(float(found.later(np.array([later]))[0])) == pytest.approx(later)


@pytest.mark.parametrize("warp", WARPS)
@pytest.mark.parametrize(("loss", "count"), [(0.7, 96), (0.11, 96), (0.3, 29), (0.123, 17)])
def test_a_loss_equal_to_all_others_is_no_better(warp, loss, count):
    """The mean of equal numbers may be a digit above them."""
    found = warped(warp, np.full(count, loss))
    assert found.later(np.array([loss, loss - 1e-6, loss + 1])).tolist() == [0.0, -1.0, 0.0]


@pytest.mark.parametrize("warp", WARPS)
def test_equal_losses_have_equal_values(warp):
    losses = np.random.default_rng(0).integers(0, 6, size=50) / 6
    found = warped(warp, losses)
    assert len({*zip(losses.tolist(), found.values.tolist(), strict=True)}) == 6
    assert found.later(losses) == pytest.approx(found.values)


def test_the_best_of_each_cell_of_the_space_leads():
    columns = Coded(
        table({"x": uniform(0, 1), "y": maybe(uniform(0, 1, name="y"), name="there")})
    ).columns
    x, y, there = (columns.labels.index(each) for each in ("x", "y", "there"))
    rows = np.full((6, 3), math.nan)
    rows[:, x] = [0.01, 0.03, 0.03, 0.03, 0.07, 0.049]
    rows[:, there] = [1, 1, 1, 0, 1, 1]
    rows[[0, 1, 2, 4, 5], y] = [0.2, 0.24, 1.0, 0.2, 0.2]
    losses, cells = np.array([2.0, 1.0, 3.0, 3.0, 0.0, 1.0]), columns.cells(rows)
    assert leaders(cells, losses).tolist() == [1, 2, 3, 4]  # of two as good the earlier
    assert leaders(cells, -losses).tolist() == [0, 2, 3, 4]


@pytest.mark.parametrize("warp", WARPS)
def test_losses_in_a_crowd_change_no_quantiles(warp):
    """The crowd is nearly as good as its leader; all others stay where they were."""
    losses = np.random.default_rng(0).uniform(0.2, 1.0, size=40)
    best = losses.argmin()
    crowd = losses[best] + np.linspace(1e-6, 1e-3, 100)
    alone = warped(warp, losses)
    crowded = warped(warp, np.append(losses, crowd), np.arange(40))
    assert crowded.values[:40].tolist() == alone.values.tolist()
    assert (np.diff(crowded.values[40:]) > 0).all()
    assert crowded.values[40] > alone.values[best]
    assert crowded.slope(0.0) == alone.slope(0.0)
    assert warped(warp, np.append(losses, crowd)).values[:40].tolist() != alone.values.tolist()


@pytest.mark.parametrize("warp", WARPS)
def test_a_discovery_is_believed_when_others_in_its_cell_come_near(warp):
    losses = np.append(np.random.default_rng(0).uniform(0.9, 1.1, 60), np.geomspace(0.3, 1e-3, 30))
    found = warped(warp, losses, np.append(np.arange(60), 89))
    assert (np.diff(found.values[60:]) < 0).all()
    assert found.loss(float(found.values[89])) == pytest.approx(1e-3)


@pytest.mark.parametrize("warp", WARPS)
def test_all_losses_count_where_few_lead_or_these_are_equal(warp):
    losses = np.append(np.full(10, 0.1), np.random.default_rng(0).uniform(0.2, 0.9, 40))
    for leading in (np.arange(5), np.arange(10), np.arange(0)):
        assert warped(warp, losses, leading).values.tolist() == warped(warp, losses).values.tolist()


@pytest.mark.parametrize("warp", WARPS)
@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=40), st.randoms())
@settings(deadline=None)
def test_better_losses_never_have_greater_values_in_a_crowd(warp, losses, random):
    ranked = np.argsort(losses, kind="stable")
    leading = {int(ranked[0])} | {i for i in range(len(losses)) if random.random() < 0.5}
    with np.errstate(all="ignore"):
        values = warped(warp, np.array(losses), np.array(sorted(leading))).values
    assert np.isfinite(values).all() and len(values) == len(losses)
    assert (np.diff(values[ranked]) >= -1e-9).all()


def test_trials_count_once_in_a_search_of_several_branches_only(monkeypatch):
    made = []

    def spy(*given_, **named):
        made.append(named["crowds_once"])
        return Surrogates(*given_, **named)

    monkeypatch.setattr(searcher, "Surrogates", spy)
    run(table({"x": uniform(0, 1), "kind": choice(["a", "b"])}), lambda p: p["x"], 10, name="fast")
    assert made == [False]
    made.clear()
    run(nets(), hidden, 140, name="fast")
    assert made[0] and len(made) > 1 and not any(made[1:])  # a branch that is looked at counts all


@pytest.mark.parametrize(("name", "begin"), [("fast", 64), ("thorough", 208)])
def test_crowds_are_the_same_to_an_algorithm_that_is_asked_for_the_first_time(name, begin):
    history = run(models(), of_models, begin + 3, name=name)
    for number in range(begin - 2, begin + 3):
        asked = make(name, models())(history[:number], [], number, 0)
        assert asked.point == history[number].point


def test_points_of_the_start_are_tried_once_where_an_earlier_study_had_few_trials():
    parameters = table({"x": uniform(0, 1), "y": uniform(0, 1)})
    earlier = [Observation(0, {"x": 0.2, "y": 0.7}, 1.0)]
    algorithm, history = make("auto", parameters, repeats=True, earlier=earlier), []
    for number in range(6):
        point = algorithm(history, [], number, 0).point
        history.append(Observation(number, point, 1.0))
    assert history[0].point == pytest.approx(earlier[0].point)
    assert len({tuple(trial.point.values()) for trial in history}) == 6


@pytest.mark.parametrize("warp", WARPS)
@given(st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=60))
@settings(deadline=None)
def test_a_warp_keeps_the_order_and_leads_back_to_good_losses(warp, losses):
    given_ = np.array(losses)
    found = warped(warp, given_)
    order = np.argsort(given_, kind="stable")
    assert (np.diff(found.values[order]) >= -1e-9).all()
    if found.slope(0.0):
        assert found.values.mean() == pytest.approx(0, abs=1e-9)
        assert found.values.std() == pytest.approx(1)
        good = (given_ <= np.median(given_)) & (given_ >= least_believed(given_))
        back = [found.loss(value) for value in found.values[good] if value > -5]
        assert found.later(given_)[good] == pytest.approx(found.values[good], abs=1e-6)
        kept = given_[good][found.values[good] > -5]
        assert back == pytest.approx(kept.tolist(), rel=1e-6, abs=1e-6 * np.ptp(given_))


def test_the_fit_finds_which_column_matters():
    coded = Coded(table({label: uniform(0, 1, name=label) for label in "abc"}))
    rows = drawn_rows(coded, 60)
    losses = np.sin(9 * rows[:, 1])
    scales = fitted(Features(coded.columns), rows, (losses - losses.mean()) / losses.std())
    assert scales.lengths[1] < 0.5 * min(scales.lengths[0], scales.lengths[2])
    assert scales.noise < 0.01


def test_the_gradient_of_the_fit_is_that_of_its_value(monkeypatch):
    from hpsearch.suggest import gaussian

    coded = Coded(tree())
    rows = drawn_rows(coded, 30)
    losses = np.random.default_rng(1).normal(size=30)
    checked = []

    def compared(value, start, **options):
        at = start + 0.3 * np.random.default_rng(2).normal(size=len(start))
        steps = 1e-5 * np.eye(len(at))
        rough = [(value(at + step)[0] - value(at - step)[0]) / 2e-5 for step in steps]
        checked.append(np.abs(np.array(rough) - value(at)[1]).max())
        return minimize(value, start, **options)

    minimize = gaussian.minimize
    monkeypatch.setattr(gaussian, "minimize", compared)
    fitted(Features(coded.columns), rows, losses)
    assert checked[0] < 1e-6


def test_a_process_extended_is_the_process_of_all_rows():
    coded = Coded(tree())
    rows, values = drawn_rows(coded, 40), np.random.default_rng(1).normal(size=40)
    features = Features(coded.columns)
    scales = Scales(np.full(len(coded.columns), 0.6), 0.5, 0.8, 0.01)
    whole = Posterior(features, scales, rows, values)
    parts = Posterior(features, scales, rows[:20], values[:20])
    parts = parts.extended(parts.joined(rows[20:35]), values[20:35])
    parts = parts.extended(parts.joined(rows[35:]), values[35:])
    new = drawn_rows(coded, 25, seed=3)
    for one, other in zip(whole.predict(new), parts.predict(new), strict=True):
        assert np.allclose(one, other, atol=1e-10)
    assert np.allclose(whole.means, whole.predict(rows)[0], atol=1e-10)
    assert np.allclose(whole.means, parts.means, atol=1e-10)
    believing = whole.extended(whole.joined(new), None)
    assert np.allclose(believing.predict(rows)[0], whole.means, atol=1e-10)
    assert np.allclose(believing.means[40:], whole.predict(new)[0], atol=1e-10)


def smoothed(failed: np.ndarray, rows: np.ndarray, new: np.ndarray, count: int) -> np.ndarray:
    """The chances to fail at new rows, learnt from the first rows and extended with the others."""
    features = Features(Coded(table({"x": uniform(0, 1), "y": uniform(0, 1)})).columns)
    process = Posterior(
        features, Scales(np.full(2, 0.5), 0.5, 0.8, 1e-3), rows, np.zeros(len(rows))
    )
    covariance = process.covariance()
    found = Failing.of(covariance[:count, :count], failed[:count])
    for end in range(count, len(rows)):
        last = slice(end, end + 1)
        found = found.extended(covariance[last, :end], covariance[last, last], failed[last])
    return found.at(process.predict(new)[2])


def test_failures_of_a_region_and_failures_by_chance_are_told_apart():
    random = np.random.default_rng(0)
    rows = random.random((60, 2))
    inside, outside = np.array([[0.15, 0.3], [0.2, 0.7]]), np.array([[0.7, 0.3], [0.9, 0.8]])
    region, chance = rows[:, 0] < 0.4, random.random(60) < 0.3
    assert smoothed(region, rows, inside, 60).min() > 0.9
    assert smoothed(region, rows, outside, 60).max() < 0.1
    assert np.ptp(smoothed(chance, rows, rows, 60)) < 0.3
    assert abs(smoothed(chance, rows, rows, 60).mean() - chance.mean()) < 0.05


@pytest.mark.parametrize("count", [400, 1000])
def test_of_many_trials_that_fail_by_chance_no_region_is_blamed(count):
    """Those that did best have not failed: what is learnt of failures must not rest on them."""
    columns = Coded(table({label: uniform(0, 1, name=label) for label in "abcd"})).columns
    chances = []
    for seed in range(5):
        told, random = Told(columns), np.random.default_rng(seed)
        rows = random.random((count, 4))
        rows[::2] = np.clip(0.3 + 0.05 * random.normal(size=rows[::2].shape), 0, 1)
        for number, row in enumerate(rows):
            failed = random.random() < 0.3
            told.add(number, row, math.nan if failed else float(((row - 0.3) ** 2).sum()))
        model = Surrogates(columns, warps=WARPS[:1], growth=1.5, kept=1).of(told, 0)
        near = np.clip(0.3 + 0.05 * random.normal(size=(50, 4)), 0, 1)
        chances.append(
            [model.predict(each).failing.mean() for each in (near, random.random((50, 4)))]
        )
    assert (abs(np.mean(chances, axis=0) - 0.3) < 0.08).all()


def test_what_fails_everywhere_alike_makes_wary_of_nothing():
    columns = Coded(table({"x": uniform(0, 1), "y": uniform(0, 1)})).columns
    told = Told(columns)
    for number, row in enumerate(np.random.default_rng(0).random((20, 2))):
        told.add(number, row, math.nan if number % 3 == 0 else float(row.sum()))
    model = Surrogates(columns, warps=WARPS[:1], growth=1.5, kept=1).of(told, 0)
    means, spreads = np.array([0.0, -1.0]), np.array([0.5, 0.1])
    alike = Expected(means, spreads, np.full(2, 0.8))
    for safe in (False, True):
        found = model.scores(alike, 0.0, least=0.8, safe=safe)
        assert np.allclose(found, log_improvement(means, spreads, 0.0))
    apart = Expected(means, spreads, np.array([0.8, 0.95]))
    lower = model.scores(alike, 0.0, least=0.8) - model.scores(apart, 0.0, least=0.8)
    assert lower[0] == 0.0 and lower[1] > 3.0


def test_failures_extended_are_those_of_all_rows():
    random = np.random.default_rng(1)
    rows, failed = random.random((40, 2)), random.random(40) < 0.4
    new = random.random((9, 2))
    whole, parts = smoothed(failed, rows, new, 40), smoothed(failed, rows, new, 25)
    assert np.allclose(whole, parts, atol=1e-8)


def test_what_is_left_out_is_predicted_by_the_others():
    coded = Coded(tree())
    rows, values = drawn_rows(coded, 20), np.random.default_rng(1).normal(size=20)
    features = Features(coded.columns)
    scales = Scales(np.full(len(coded.columns), 0.6), 0.5, 0.8, 0.01)
    found = Posterior(features, scales, rows, values).left_out
    for i in range(20):
        others = np.arange(20) != i
        alone = Posterior(features, scales, rows[others], values[others])
        assert np.allclose(found[i], alone.predict(rows[i : i + 1])[0][0], atol=1e-8)


@pytest.mark.parametrize(("power", "first"), [(1.0, {0, 1}), (8.0, {2})])
def test_the_warp_that_predicts_best_comes_first(power, first):
    """A bowl to a high power: seen by eye, all of the better half are equal."""
    coded = Coded(table({label: uniform(0, 1, name=label) for label in "abc"}))
    told, random = Told(coded.columns), np.random.default_rng(0)
    for number, row in enumerate(random.random((60, 3))):
        told.add(number, row, float(((row - 0.4) ** 2).sum() ** power))
    surrogates = Surrogates(coded.columns, warps=WARPS, growth=1.1, kept=1)
    one, other = (surrogates.of(told, turn).warped.values for turn in (0, 1))
    (number,) = (
        i for i, warp in enumerate(WARPS) if (warped(warp, told.losses).values == one).all()
    )
    assert number in first and not np.array_equal(one, other)


def test_equal_rows_leave_a_process_solvable():
    coded = Coded(tree())
    rows = np.repeat(drawn_rows(coded, 3), 30, axis=0)
    scales = Scales(np.full(len(coded.columns), 9.0), 1.0, 1.0, 1e-12)
    process = Posterior(Features(coded.columns), scales, rows, np.ones(90))
    means, spreads, _ = process.extended(process.joined(rows[:5]), np.ones(5)).predict(rows[:3])
    assert np.isfinite(means).all() and np.isfinite(spreads).all()


def test_the_nearest_trial_is_the_nearest_by_brute_force():
    coded = Coded(tree())
    rows = drawn_rows(coded, 50)
    told = Told(coded.columns)
    for number, row in enumerate(rows):
        told.add(100 + number, row, 0.0)

    def apart(one: np.ndarray, other: np.ndarray) -> tuple[float, int]:
        total, either = 0.0, 0
        for column, a, b in zip(coded.columns, one, other, strict=True):
            if np.isnan(a) and np.isnan(b):
                continue
            either += 1
            alike = not (np.isnan(a) or np.isnan(b)) and (column.ordered or a == b)
            total += abs(a - b) if alike else 1.0
        return total, either

    for row in drawn_rows(coded, 20, seed=1):
        number, distance = told.nearest(row)
        best = min(range(50), key=lambda i: apart(row, rows[i])[0])
        total, either = apart(row, rows[best])
        assert number == 100 + best
        assert distance == pytest.approx(total / either, abs=1e-5)


@pytest.mark.parametrize("word", [normal(0, 1), normal(0, 1, step=0.25), lognormal(0, 1)])
def test_the_tails_of_a_normal_prior_are_not_suggested_but_understood(word):
    """Where smaller is always better it goes to the end: 3.7 standard deviations, not 6."""
    history = run(table({"x": word}), lambda point: point["x"], 40)
    low = math.log(least(history)) if word.log else least(history)
    assert -3.8 < low < -3.0
    beyond = math.exp(-20) if word.log else -20.0
    algorithm = make("auto", table({"x": word}))
    history = [Observation(n, {"x": beyond}, 0.0) for n in range(3)]
    assert algorithm(history, [], 3, 0) is not None


def test_rows_beside_others_are_those_by_brute_force():
    columns = Coded(tree()).columns
    rows, others = drawn_rows(Coded(tree()), 60), drawn_rows(Coded(tree()), 4, seed=5)
    rows[:4] = others
    found = np.array([columns.beside(row, others, 0.2) for row in rows])

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        pairs = [(x, y) for x, y in zip(a, b, strict=True) if not (np.isnan(x) and np.isnan(y))]
        return float(
            np.mean([1.0 if np.isnan(x) or np.isnan(y) else min(abs(x - y), 1.0) for x, y in pairs])
        )

    assert found.tolist() == [any(apart(row, other) <= 0.2 for other in others) for row in rows]
    assert found[:4].all() and 4 < found.sum() < 60
