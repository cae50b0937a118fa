"""What is found wrong with a space before any training, and what is tried to find it."""

from __future__ import annotations

import json
import random
import re
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from hpsearch import Data, Fit, Space, choice, delayed, given, integer, match, maybe, uniform, when
from hpsearch.cli.check import check_command
from hpsearch.errors import BuildError, DataError
from hpsearch.keras import Sequential, callbacks, layers, optimizers
from hpsearch.preflight import Here, Survey, covering, first_look, look, survey
from hpsearch.space import space_of
from hpsearch.train import KerasEngine

X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int64")
HEAD = layers.Dense(2, activation="softmax")


def declared(**fields: Any) -> Space:
    whole = {
        "data": Data((X, Y), validation=0.25),
        "model": Sequential([layers.Input((4,)), layers.Dense(2, activation="softmax")]),
        "optimizer": optimizers.SGD(uniform(0.1, 1)),
        "loss": "sparse_categorical_crossentropy",
        "minimize": "val_loss",
        **fields,
    }
    return Space(**whole)


def looked(space: Space) -> Any:
    return first_look(Here(KerasEngine(space, 3), space, space.parameters))


def surveyed(space: Space) -> Survey:
    return survey(Here(KerasEngine(space, 3), space, space.parameters))


def broken(*args: Any) -> Any:
    raise RuntimeError("no such thing")


# What a trial is trained with


@pytest.mark.parametrize(
    ("fit", "place"),
    [
        (Fit(callbacks=[delayed(broken)()]), "fit.callbacks.broken: "),
        ([Fit(), Fit(optimizer=delayed(broken)())], "fit.1.optimizer: "),
        ([Fit(), Fit(class_weight={0: 1.0, 1: delayed(broken)(1)})], "fit.1.class_weight.1: "),
    ],
)
def test_what_no_trial_can_be_trained_with_is_found_before_the_first(fit: Any, place: str) -> None:
    space = declared(fit=fit)
    with pytest.raises(BuildError, match="RuntimeError: no such thing") as caught:
        looked(space)
    assert str(caught.value).startswith(place)
    assert "no such thing" in surveyed(space).failed[0][1]


def test_a_callback_that_waits_for_what_no_epoch_reports_is_found_before_the_first() -> None:
    space = declared(fit=Fit(callbacks=[callbacks.EarlyStopping(monitor="val_los", mode="min")]))
    with pytest.raises(
        BuildError, match="EarlyStopping monitors 'val_los', which no trial reports"
    ):
        looked(space)
    looked(declared(fit=Fit(callbacks=[callbacks.EarlyStopping(patience=3)])))


@pytest.mark.parametrize("where", ["callbacks", "optimizer", "class_weight"])
def test_a_fact_that_the_data_cannot_supply_is_found_in_every_part_of_a_phase(where: str) -> None:
    class Rows(keras.utils.PyDataset):
        @property
        def num_batches(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Any:
            return X[index * 4 : index * 4 + 4], Y[index * 4 : index * 4 + 4]

    parts = {
        "callbacks": [callbacks.EarlyStopping(patience=given.rows)],
        "optimizer": optimizers.Adam(1 / given.rows),
        "class_weight": {0: 1.0, 1: given.rows},
    }
    space = declared(data=Data(Rows(), validation=(X, Y)), fit=Fit(**{where: parts[where]}))
    for check in (looked, surveyed):
        with pytest.raises(DataError, match=r"given\.rows: a dataset does not"):
            check(space)


def test_the_model_is_not_prepared_and_nothing_is_trained(folder: Path) -> None:
    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            raise AssertionError("nothing is trained")

    logger = callbacks.CSVLogger(given.folder + "/log.csv")
    space = declared(fit=[Fit(prepare=broken, callbacks=[delayed(Watch)(), logger])])
    assert looked(space).params == 10
    assert list(folder.iterdir()) == []


def test_a_loop_of_ones_own_is_given_what_it_takes_and_no_more() -> None:
    def with_fit(model: Any, data: Any, report: Any, fit: Any) -> None: ...

    def without(model: Any, data: Any, report: Any) -> None: ...

    fit = Fit(callbacks=[delayed(broken)()])
    with pytest.raises(BuildError, match="no such thing"):
        looked(declared(train=with_fit, fit=fit))
    assert looked(declared(train=without, fit=fit)).params == 10


def test_a_look_notes_the_data_as_it_was_before_the_split() -> None:
    space, point = declared(), {"optimizer.learning_rate": 0.5}
    about = look(KerasEngine(space, 3), space, point).data
    assert about["digest"] == look(KerasEngine(space, 4), space, point).data["digest"] != ""
    assert about["shapes"]["train"]["x"] == [{"shape": [30, 4], "dtype": "float32"}]
    assert about["name"] == "data"


# A score of one's own


def hits(model: Any, data: Any) -> dict[str, float]:
    return {"hits": float((model.predict(data.validation.x, verbose=0).argmax(1) == 1).sum())}


def fails(model: Any, data: Any) -> dict[str, float]:
    return {"hits": data.validation.labels}


def needs_rows(least: int) -> Any:
    def score(model: Any, data: Any) -> dict[str, float]:
        if len(data.train.x) < least:
            raise ValueError("too few rows")
        return {"hits": 1.0}

    return score


def several(rows: int) -> Data:
    return Data((np.resize(X, (rows, 4)), np.resize(Y, rows)), validation=0.5)


def test_the_names_that_evaluate_gives_are_reported_beside_the_others() -> None:
    names = ("loss", "val_loss", "hits")
    assert looked(declared(evaluate=hits)).metrics == names
    assert looked(declared(evaluate=hits, minimize=None, maximize="hits")).metrics == names


def test_evaluate_is_given_the_parts_that_a_trial_gives_it() -> None:
    seen: list[Any] = []

    def score(model: Any, data: Any) -> dict[str, float]:
        seen.append([None if p is None else len(p.x) for p in (data.train, data.validation)])
        seen.append(data.test if data.test is None else len(data.test.x))
        return {"s": 1.0}

    looked(declared(evaluate=score, data=several(200)))
    looked(declared(evaluate=score, data=Data((X, Y), test=(X[:5], Y[:5])), minimize="loss"))
    assert seen == [[32, 32], None, [32, None], 5]


@pytest.mark.parametrize("objective", [{}, {"minimize": None, "maximize": "hits"}])
def test_an_evaluate_that_raises_is_a_warning_with_its_line(objective: Any) -> None:
    found = looked(declared(evaluate=fails, **objective))
    (warning,) = found.warnings
    line = fails.__code__.co_firstlineno + 1
    assert f"test_preflight.py:{line}: AttributeError: 'Part' object has no" in warning
    assert "A trial whose evaluate raises has failed; on an untrained model, this one" in warning
    assert found.metrics == ((), ("loss", "val_loss"))[not objective]


@pytest.mark.parametrize(("rows", "told"), [(1000, False), (9000, True)])
def test_an_evaluate_that_needs_more_rows_is_given_all_where_they_are_few(
    rows: int, told: bool
) -> None:
    found = looked(declared(evaluate=needs_rows(100), data=several(rows)))
    assert ("hits" in found.metrics) is not told
    assert [("it only needs more rows, leave it" in text) for text in found.warnings] == [
        True
    ] * told


@pytest.mark.parametrize(
    ("score", "text"),
    [(0.5, r"evaluate must return \{name: number\}, got float"), ({"a": "b"}, "ValueError: could")],
)
def test_an_evaluate_that_returns_no_numbers_by_name_is_a_warning(score: Any, text: str) -> None:
    (warning,) = looked(declared(evaluate=lambda model, data: score)).warnings
    assert re.search(text, warning)


def test_what_python_warns_of_a_score_on_a_few_rows_is_not_shown() -> None:
    def score(model: Any, data: Any) -> dict[str, float]:
        warnings.warn("a class is missing", UserWarning, stacklevel=1)
        return {"s": 1.0}

    assert looked(declared(evaluate=score)).warnings == ()


def test_evaluate_is_given_one_batch_of_each_dataset() -> None:
    class Rows(keras.utils.PyDataset):
        @property
        def num_batches(self) -> int:
            return 5

        def __getitem__(self, index: int) -> Any:
            return X[index * 4 : index * 4 + 4], Y[index * 4 : index * 4 + 4]

    rows: list[int] = []

    def score(model: Any, data: Any) -> dict[str, float]:
        rows.extend(len(model.predict(p.x, verbose=0)) for p in (data.train, data.validation))
        return {"s": 1.0}

    endless = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).repeat()
    fit = Fit(steps_per_epoch=2)
    data = Data(endless, validation=Rows())
    assert "s" in looked(declared(evaluate=score, data=data, fit=fit)).metrics
    assert rows == [8, 4]


def test_evaluate_is_not_tried_before_a_loop_that_may_compile_the_model() -> None:
    def loop(model: Any, data: Any, report: Any) -> None: ...

    found = looked(declared(train=loop, evaluate=fails))
    assert (found.warnings, found.metrics) == ((), ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "f1",
            r"Name metrics\.F1Score\(name='f1'\) in metrics=\[…\], or return it from evaluate=\.",
        ),
        ("val_f1", r"Name metrics\.F1Score\(name='f1'\) in"),
        ("r2", r"Name metrics\.R2Score\(name='r2'\) in"),
        ("rmse", r"Name metrics\.RootMeanSquaredError\(name='rmse'\) in"),
        ("skill", r"Name 'skill' in metrics=\[…\], or return it from evaluate="),
    ],
)
def test_a_metric_by_a_short_name_is_told_how_to_write_it(name: str, text: str) -> None:
    goal = {"maximize": name, "minimize": None} if "rmse" not in name else {"minimize": name}
    with pytest.raises(BuildError, match=text):
        looked(declared(**goal))


@pytest.mark.parametrize(
    ("metric", "meant"),
    [
        ("val_acuracy", "val_accuracy"),
        ("acuracy", "accuracy"),
        ("val_precison", "val_precision"),
        ("val_mean_absolut_error", "val_mean_absolute_error"),
    ],
)
def test_a_metric_that_is_misspelt_is_told_the_one_of_keras(metric: str, meant: str) -> None:
    goal = {"minimize": metric} if "error" in metric else {"minimize": None, "maximize": metric}
    with pytest.raises(BuildError, match=rf"Did you mean '{meant}'\?$"):
        looked(declared(**goal))


@pytest.mark.parametrize(
    ("metric", "written"), [("auc", "AUC"), ("precision", "Precision"), ("auc", "auc")]
)
def test_a_metric_that_is_named_by_its_class_is_not_added_again(metric: str, written: str) -> None:
    model = Sequential([layers.Input((4,)), layers.Dense(1, activation="sigmoid")])
    found = looked(
        declared(
            model=model,
            loss="binary_crossentropy",
            metrics=["accuracy", written],
            minimize=None,
            maximize=f"val_{metric}",
        )
    )
    names = ["accuracy", metric, "loss"]
    assert sorted(found.metrics) == sorted([*names, *(f"val_{name}" for name in names)])


def schedule(name: Any) -> Any:
    return match(
        name,
        {
            "constant": 0.1,
            "cosine": optimizers.schedules.CosineDecay(0.1, given.steps),
        },
    )


def by_epoch(epoch: int, rate: float) -> float:
    return rate / 2


@pytest.mark.parametrize(
    ("callback", "name"),
    [
        (callbacks.ReduceLROnPlateau(patience=0), "ReduceLROnPlateau"),
        (callbacks.LearningRateScheduler(by_epoch), "LearningRateScheduler"),
    ],
)
def test_a_callback_that_sets_the_rate_of_a_schedule_is_refused_at_that_option(
    callback: Any, name: str
) -> None:
    falls = choice(["constant", "cosine"], name="falls")
    optimizer = optimizers.SGD(schedule(falls), momentum=uniform(0, 0.9))
    (cause,) = surveyed(declared(optimizer=optimizer, fit=Fit(callbacks=[callback]))).errors
    assert cause.shared == {"falls": "cosine"}
    assert cause.text == (
        f"{name} sets the learning rate, and here the optimizer's is a schedule, CosineDecay, "
        "which sets it too: Keras raises a TypeError in training, when the callback is to set it. "
        "Leave one of them out; to search for either, name the choice of the schedule, and write "
        f"when(schedule == 'constant', callbacks.{name}(…))."
    )
    there = Fit(callbacks=[when(falls == "constant", callback)])  # what it advises is taken
    assert surveyed(declared(optimizer=optimizer, fit=there)).errors == []


def test_a_phase_with_an_optimizer_of_its_own_may_set_its_rate() -> None:
    plateau = callbacks.ReduceLROnPlateau()
    fixed = optimizers.SGD(optimizers.schedules.CosineDecay(0.1, 10))
    later = Fit(optimizer=optimizers.SGD(0.1), callbacks=[plateau])
    looked(declared(optimizer=fixed, fit=[Fit(), later], max_params=100))
    with pytest.raises(BuildError, match="ReduceLROnPlateau sets the learning rate"):
        looked(declared(fit=[Fit(), Fit(optimizer=fixed, callbacks=[plateau])]))


# Data that cannot be made


def failing(calls: list[Any], error: Exception | None = None) -> Any:
    """A provider that raises, or (without an error) gives parts that do not fit together."""

    @delayed
    def load(what: Any = None) -> Any:
        calls.append(what)
        if what == "good":
            return Data((X, Y), validation=0.25)
        if error is not None:
            raise error
        return Data((X, Y[:5]))

    return load


SEVERAL = Sequential([layers.Dense(choice([2, 4, 8, 16], name="width")), HEAD])


@pytest.mark.parametrize("check", [looked, surveyed])
@pytest.mark.parametrize("error", [OSError("no network"), None])
def test_data_without_words_that_fails_ends_at_the_first_point(check: Any, error: Any) -> None:
    calls: list[Any] = []
    kind, text = (BuildError, "OSError: no network") if error else (DataError, "x but 5 of y")
    with pytest.raises(kind, match=text):
        check(declared(data=failing(calls, error)(), model=SEVERAL))
    assert calls == [None]


@pytest.mark.parametrize("check", [looked, surveyed])
@pytest.mark.parametrize("error", [OSError("no network"), None])
def test_searched_data_that_fails_alike_ends_after_three_of_it(check: Any, error: Any) -> None:
    calls: list[Any] = []
    data = failing(calls, error)(choice(list("abcdef"), name="which"))
    with pytest.raises(BuildError if error else DataError, match=r"no network|x but 5 of y"):
        check(declared(data=data, model=SEVERAL))
    assert len(set(calls)) == len(calls) == 3


def test_an_option_of_the_data_that_fails_is_tried_once() -> None:
    calls: list[Any] = []
    which = choice(["bad", "good"], name="which")
    space = declared(data=failing(calls, OSError("no network"))(which), model=SEVERAL)
    found = surveyed(space)
    assert (calls.count("bad"), calls.count("good")) == (1, 1)
    assert len(found.failed) > 1
    (cause,) = found.errors
    assert cause.shared == {"which": "bad"}
    assert looked(space).point["which"] == "good"


def test_data_follows_a_word_that_stands_elsewhere_too() -> None:
    calls: list[Any] = []
    width = choice([2, 4, 8], name="width")
    load = failing(calls, OSError("no network"))
    space = declared(
        data=match(width, {2: load("bad"), 4: load("good"), 8: load("worse")}),
        model=Sequential([layers.Dense(width), HEAD]),
    )
    assert [item.point["width"] for item in surveyed(space).looks] == [4]
    assert sorted(calls) == ["bad", "good", "worse"]


def test_words_of_the_data_that_are_fixed_are_none() -> None:
    calls: list[Any] = []
    data = failing(calls, OSError("no network"))(choice(list("abcdef"), name="which"))
    space = declared(data=data, model=SEVERAL)
    fixed = space.parameters.with_fixed({"which": "b"})
    for check in (first_look, survey):
        with pytest.raises(BuildError, match="no network"):
            check(Here(KerasEngine(space, 3), space, fixed))
    assert calls == ["b", "b"]


def test_a_model_that_does_not_take_the_data_is_no_failure_of_the_data() -> None:
    first = layers.Dense(choice([0, -1, -2, -3, 4], name="width"))
    found = surveyed(declared(model=Sequential([first, HEAD])))
    assert [item.point["width"] for item in found.looks] == [4]
    assert len(found.failed) >= 4


# Which points are tried


def covered(points: list[Any], label: str) -> set[Any]:
    return {json.dumps(point[label]) for point in points if label in point}


def test_the_points_take_every_option_and_both_ends() -> None:
    kind = choice(["a", "b", "c"], name="kind")
    words = {
        "kind": kind,
        "one": choice([1, 1.0, True]),
        "x": uniform(0, 1),
        "inside": when(kind == "c", integer(1, 9)),
        "perhaps": maybe(uniform(2, 3)),
    }
    parameters = space_of(words)[0]
    points = list(covering(parameters))
    for label, parameter in parameters.items():
        assert covered(points, label) == {json.dumps(end) for end in parameter.word.ends()}
    assert len(points) < 12


def test_values_that_are_legal_only_in_rare_company_are_tried_too() -> None:
    a, b = choice(list("pqrstuvw"), name="a"), choice(list("pqrstuvw"), name="b")
    words = {"a": a, "b": b}
    rare = {("p", "w"), ("q", "v"), ("r", "u"), ("s", "t"), *(("t", x) for x in "pqrs")}
    allowed = rare | {("u", "p"), ("v", "p"), ("w", "p")}
    parameters = space_of(words, [lambda point: (point["a"], point["b"]) in allowed])[0]
    points = list(covering(parameters))
    assert covered(points, "a") == covered(points, "b") == {json.dumps(x) for x in "pqrstuvw"}
    assert all((point["a"], point["b"]) in allowed for point in points)


def test_values_that_no_legal_point_has_are_named() -> None:
    width = choice([2, 4, 8], name="width")
    space = declared(
        model=Sequential([layers.Input((4,)), layers.Dense(width), HEAD]),
        require=[width < 8],
    )
    found = surveyed(space)
    assert found.uncovered == [("width", 8)]
    assert sorted(item.point["width"] for item in found.looks) == [2, 4]
    assert (found.dead, found.failed) == ([], [])


def test_a_label_that_is_never_active_is_dead_and_not_uncovered() -> None:
    width = choice([2, 4], name="width")
    never = when((width == 2) & (width == 4), layers.Dropout(uniform(0, 0.5)))
    space = declared(model=Sequential([layers.Dense(width), never, HEAD]))
    found = surveyed(space)
    assert (found.dead, found.uncovered) == (["model.dropout.rate"], [])


def test_what_is_left_out_of_many_is_named() -> None:
    parameters = space_of({"x": choice(list(range(300)))})[0]
    points = list(covering(parameters))
    assert len(points) == 200
    draw = random.Random(0)
    fixed = parameters.with_fixed({"x": draw.randrange(300)})
    assert list(covering(fixed)) == []


SPACE = """
from hpsearch import Data, Space, choice
from hpsearch.keras import Sequential, layers
import numpy as np

x = np.ones((20, 3), "float32")
width = choice([2, 4, {last}], name="width")
space = Space(
    data=Data((x, x[:, 0]), validation=0.25),
    model=Sequential([layers.Dense(width), layers.Dense(1)]),
    loss="mse",
    minimize="val_loss",
    require=[width < {limit}],
)
"""


@pytest.mark.parametrize(
    ("last", "limit", "code", "texts", "uncovered"),
    [
        (8, 9, 0, ["3 points take every option and both ends of every range: 11 to 41"], []),
        (
            8,
            8,
            0,
            [
                "2 points take the options and ends that were reached: 11 to 21 weights.",
                "Not tried, no legal point found in time: width = 8.",
            ],
            [{"label": "width", "value": 8}],
        ),
        (-1, 8, 1, ["3 points take every option", "of which 2 can be built: 11 to 21"], []),
    ],
)
def test_check_says_plainly_what_it_tried(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    last: int,
    limit: int,
    code: int,
    texts: list[str],
    uncovered: Any,
) -> None:
    Path("s.py").write_text(SPACE.format(last=last, limit=limit))
    ended = CliRunner().invoke(check_command, ["s.py"])
    assert ended.exit_code == code, ended.output
    for text in texts:
        assert text in ended.output
    capfd.readouterr()
    CliRunner().invoke(check_command, ["s.py", "--json"])
    found = json.loads(capfd.readouterr().out)  # `only_json` writes to the real standard output
    assert found["uncovered"] == uncovered
