"""Starting from an earlier study: what is taken over, what is not believed, what is refused."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import hpsearch
from hpsearch import choice, loguniform, maybe, uniform
from hpsearch.errors import StudyError
from hpsearch.space import space_of
from hpsearch.store import Store
from hpsearch.suggest import make
from hpsearch.suggest.coded import Coded
from hpsearch.suggest.earlier import Earlier
from hpsearch.suggest.told import Told
from hpsearch.trial import Observation


def words(options="ab", *, more=False):
    new = {"z": uniform(0, 1, name="z")} if more else {}
    return {
        "x": uniform(0, 1, name="x"),
        "kind": choice({key: {key: uniform(0, 1, name=f"{key}.own")} for key in options}),
        "rate": loguniform(1e-4, 1, name="rate"),
    } | new


def loss(values, at=0.3, sign=1.0):
    kind = next(iter(values["kind"]))
    own = (values["kind"][kind] - 0.7) ** 2 + (0.3 if kind == "a" else 0.0)
    rate = 0.05 * (np.log10(values["rate"]) + 2) ** 2
    return sign * ((values["x"] - at) ** 2 + own + rate + values.get("z", 0.0))


def told(parameters, value, count, seed=0):
    """A random search."""
    algorithm, history = make("random", parameters), []
    for number in range(count):
        point = algorithm(history, [], number, seed).point
        history.append(Observation(number, point, value(point)))
    return history


def run(parameters, value, count, seed, earlier=()):
    algorithm, history = make("auto", parameters, earlier=earlier), []
    for number in range(count):
        point = algorithm(history, [], number, seed).point
        history.append(Observation(number, point, value(point)))
    return history


def bowl(at, scale=1.0, base=0.0):
    return lambda point: base + scale * sum((point[label] - at) ** 2 for label in "abcdef")


BOX = space_of({label: uniform(0, 1, name=label) for label in "abcdef"})[0]


def warm_over_cold(earlier, value, count):
    """The median over seeds of the best loss with the earlier study over that without."""
    ratios = []
    for seed in range(5):
        warm = min(t.loss for t in run(BOX, value, count, seed, earlier))
        cold = min(t.loss for t in run(BOX, value, count, seed))
        ratios.append(warm / cold)
    return np.median(ratios)


@pytest.mark.parametrize(("scale", "base"), [(1.0, 0.0), (1000.0, -5.0)])
def test_losses_of_another_size_help_as_much(scale, base):
    earlier = told(BOX, bowl(0.8, scale, base), 60)
    assert warm_over_cold(earlier, bowl(0.75), 12) < 0.4


def test_a_misleading_study_is_found_out():
    earlier = told(BOX, lambda point: -bowl(0.25)(point), 60)
    assert warm_over_cold(earlier, bowl(0.25), 40) < 2.0


def test_what_did_best_comes_first_and_takes_turns_with_the_start():
    earlier = told(BOX, bowl(0.8), 30)
    best = sorted(earlier, key=lambda trial: trial.loss)
    algorithm, history, sources = make("auto", BOX, earlier=earlier), [], []
    for number in range(6):
        found = algorithm(history, [], number, 1)
        sources.append(found.why.source)
        history.append(Observation(number, found.point, bowl(0.8)(found.point)))
    assert sources == ["earlier", "start"] * 3
    for number, trial in zip((0, 2, 4), best, strict=False):
        assert history[number].point == pytest.approx(trial.point)


def test_labels_that_stand_below_a_new_choice_are_known():
    """A study of networks goes on as one that may also try another kind."""

    def knobs():
        return {"units": uniform(0, 1, name="units"), "drop": uniform(0, 1, name="drop")}

    def value(point):
        return (point["units"] - 0.8) ** 2 + (point["drop"] - 0.2) ** 2 if "units" in point else 2.0

    earlier = told(space_of(knobs())[0], value, 30)
    kinds = {"mlp": {"inner": choice([knobs()], name="inner")}, "cnn": {"k": uniform(0, 1)}}
    wider = space_of({"net": choice(kinds, name="net")})[0]
    best = min(earlier, key=lambda trial: trial.loss)
    first = make("auto", wider, earlier=earlier)([], [], 0, 1)
    assert first.why.source == "earlier" and first.point["net"] == "mlp"
    assert first.point["units"] == pytest.approx(best.point["units"])


def test_only_trials_of_what_is_fixed_now_are_known():
    table = space_of({"act": choice(["relu", "tanh"], name="act"), "x": uniform(0, 1, name="x")})[0]

    def value(point):
        return abs(point["x"] - 0.8) + (1.0 if point["act"] == "relu" else 0.0)

    earlier = told(table, value, 30)
    relu = [trial for trial in earlier if trial.point["act"] == "relu"]
    first = make("auto", table.with_fixed({"act": "relu"}), earlier=earlier)([], [], 0, 1)
    best = min(relu, key=lambda trial: trial.loss)
    assert first.point == pytest.approx(best.point) and first.why.source == "earlier"


def test_one_trial_or_equal_ones_or_failures_only_are_enough_to_start():
    point = dict.fromkeys("abcdef", 0.5)
    for earlier in (
        [Observation(0, point, 1.0)],
        [Observation(i, point, 1.0) for i in range(20)],
        [Observation(i, point, None) for i in range(5)],
        [Observation(0, {"other": 1.0}, 1.0)],
    ):
        assert len(run(BOX, bowl(0.5), 10, 0, earlier)) == 10


def test_labels_in_common_are_used_the_rest_is_drawn(tmp_path):
    given = {"folder": tmp_path, "offline": True, "progress": False, "seed": 1}
    hpsearch.search(words(), loss, max_trials=25, study="first", **given)
    notes = []

    class Notes(hpsearch.study.watch.Silent):
        def note(self, text):
            notes.append(text)

    found = hpsearch.search(
        words("abc", more=True), loss, max_trials=6, study="second", warm_start="first",
        **{**given, "progress": Notes()},
    )  # fmt: skip
    best = hpsearch.search(words(), loss, study="first", resume=True, max_trials=25, **given).best
    assert found.trials[0].point.items() >= best.point.items()
    assert "25 finished trials of first: 5 labels in common; new: c.own, z" in notes[0]


def test_it_is_told_how_many_trials_fixed_values_leave_out(tmp_path, capsys):
    given = {"folder": tmp_path, "offline": True, "seed": 1, "progress": False}
    first = hpsearch.search(words(), loss, max_trials=12, study="first", **given)
    with_a = sum(trial.point["kind"] == "a" for trial in first.trials)
    assert 0 < with_a < 12
    given |= {"max_trials": 1, "warm_start": "first", "progress": True}
    hpsearch.search(words(), loss, fix={"kind": "a"}, **given)
    begun = f"from {with_a} finished trial{'s' * (with_a != 1)} of first"
    said = capsys.readouterr().err
    assert f"{begun}, not the {12 - with_a} with another kind: " in said
    assert "new:" not in said and "not here:" not in said  # what cannot be active is neither
    hpsearch.search(words(), loss, fix={"x": first.best.point["x"], "kind": "b"}, **given)
    assert "not the 11 with another x or kind" in capsys.readouterr().err


def test_it_is_told_what_another_direction_means(tmp_path, capsys):
    given = {"folder": tmp_path, "offline": True, "seed": 1, "max_trials": 2}
    first = hpsearch.search(words(), loss, study="first", **given)
    second = hpsearch.search(words(), loss, warm_start="first", maximize=True, **given)
    assert second.trials[0].point == first.best.point
    assert (
        "it is to minimize value, this one to maximize value: what was best there is tried first."
        in capsys.readouterr().err
    )


def test_a_parameter_that_moved_without_a_name_is_pointed_out(tmp_path, capsys):
    given = {"folder": tmp_path, "offline": True, "seed": 1, "max_trials": 3}
    rate = uniform(0, 1)
    hpsearch.search({"rate": rate, "x": uniform(0, 1)}, lambda v: v["x"], study="first", **given)
    moved = {"net": {"rate": rate}, "x": uniform(0, 1)}
    hpsearch.search(moved, lambda v: v["x"], study="second", warm_start="first", **given)
    assert (
        "1 label in common; new: net.rate; not here: rate; a word that moves keeps its label if it "
        "has a name=." in capsys.readouterr().err
    )


def test_a_study_that_goes_on_proposes_the_same_without_the_earlier_one(tmp_path):
    given = {"folder": tmp_path, "offline": True, "progress": False, "seed": 1, "algo": "thorough"}
    hpsearch.search(words(), loss, max_trials=20, study="first", **given)
    whole = hpsearch.search(
        words(), loss, max_trials=14, study="whole", warm_start="first", **given
    )
    hpsearch.search(words(), loss, max_trials=8, study="parts", warm_start="first", **given)
    shutil.rmtree(tmp_path / "studies" / "first")
    parts = hpsearch.search(words(), loss, max_trials=14, study="parts", resume=True, **given)
    assert [t.point for t in parts.trials] == [t.point for t in whole.trials]


def test_labels_that_the_earlier_study_did_not_know_change_nothing_of_what_it_says():
    columns = Coded(space_of({label: uniform(0, 1, name=label) for label in "abc"})[0]).columns
    told = Told(columns)
    for number, row in enumerate(np.random.default_rng(0).random((30, 3))):
        told.add(number, np.array([row[0], np.nan, np.nan]), float((row[0] - 0.3) ** 2))
    earlier = Earlier(columns, told)
    rows = np.array([[0.3, b, c] for b in (0.0, 0.5, 1.0) for c in (0.0, 0.5, 1.0)])
    assert np.ptp(earlier(rows)) == 0.0
    assert earlier(np.array([[0.9, 0.5, 0.5]])) > earlier(rows[:1]) + 1.0


def test_a_study_to_maximize_is_read_as_such(tmp_path):
    given = {"folder": tmp_path, "offline": True, "progress": False, "seed": 1}
    first = hpsearch.search(
        words(), lambda v: loss(v, sign=-1.0), maximize=True, max_trials=20, study="first", **given
    )
    second = hpsearch.search(words(), loss, max_trials=1, warm_start="first", **given)
    assert second.trials[0].point == first.best.point


def test_many_trials_are_kept_as_the_best_and_the_latest(tmp_path):
    given = {"folder": tmp_path, "offline": True, "progress": False, "seed": 1, "algo": "random"}
    first = hpsearch.search(words(), loss, max_trials=230, study="first", **given)
    hpsearch.search(
        words(), loss, max_trials=1, study="second", warm_start="first", **{**given, "algo": "fast"}
    )
    with Store.open(tmp_path / "studies", "second", write=False) as store:
        kept = {number for number, _, _ in store.settings["warm_start"]["trials"]}
    assert len(kept) == 200
    assert first.best.number in kept and 229 in kept


@pytest.mark.parametrize(
    ("options", "told_"),
    [
        ({"warm_start": "frist"}, "no study 'frist'.*first"),
        ({"warm_start": "empty"}, "no finished trial"),
        ({"warm_start": "first", "fix": {"x": 0.123}}, "no finished trial with the fixed values"),
        ({"warm_start": "first", "algo": "tpe"}, "tpe cannot start from an earlier study"),
        ({"algo": "grid", "repeats": True}, "grid takes no heed of repeats"),
        ({"warm_start": "../first"}, "A study's name"),
        ({"warm_start": "first", "study": "first", "resume": True}, "this one started from none"),
    ],
)
def test_what_cannot_be_started_from_is_refused(tmp_path, options, told_):
    given = {"folder": tmp_path, "offline": True, "progress": False, "max_trials": 3}
    hpsearch.search(words(), loss, study="first", **given)
    with hpsearch.Study(words(), study="empty", **given):
        pass
    with pytest.raises(StudyError, match=told_):
        hpsearch.search(words(), loss, **given, **options)
    with pytest.raises(StudyError, match="searched nothing that this one does"):
        other = {"other": maybe(uniform(0, 1))}
        hpsearch.search(other, lambda values: 0.0, warm_start="first", **given)
