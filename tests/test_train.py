"""One trial with Keras, for real: reports, the kept epoch, phases, failures, limits, the saved model."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from hpsearch import Data, Fit, Holdout, Space, choice, delayed, given, loguniform, uniform
from hpsearch.execute import Inline
from hpsearch.keras import Sequential, callbacks, layers, losses, metrics, optimizers
from hpsearch.train import KerasEngine, Progress, set_seeds, with_metric
from hpsearch.trial import Job, Key, Limits, Outcome, Report, Status, Task

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int64")
DATA = Data((X, Y), validation=0.25, test=(X[:32], Y[:32]))
CLASSIFY = "sparse_categorical_crossentropy"


def classifier(*more: Any) -> Any:
    return Sequential([layers.Input((4,)), *more, layers.Dense(2, activation="softmax")])


def declared(**fields: Any) -> Space:
    metric = {} if "minimize" in fields or "maximize" in fields else {"minimize": "val_loss"}
    whole = {
        "data": DATA,
        "model": classifier(),
        "optimizer": optimizers.SGD(0.5),
        "loss": CLASSIFY,
        "fit": Fit(epochs=2, batch_size=12),
        **metric,
        **fields,
    }
    return Space(**whole)


def task(point: Mapping[str, Any], number: int = 0, seed: int = 7, **more: Any) -> Task:
    return Task((Job(Key("study", number), dict(point), seed),), **more)


def run(
    space: Space,
    point: Mapping[str, Any] | None = None,
    report: Callable[[Report], bool] = lambda event: False,
    engine: KerasEngine | None = None,
    **more: Any,
) -> Outcome:
    engine = engine or KerasEngine(space, study_seed=3)
    (outcome,) = engine.run(task(space.check(point or {}), **more), report)
    return outcome


def failed(outcome: Outcome, *texts: str) -> None:
    """The outcome is a failure in one line that has every text, with the rest in its traceback."""
    assert outcome.status is Status.FAILED
    assert outcome.value is None
    assert outcome.error is not None
    assert "\n" not in outcome.error
    for text in texts:
        assert text in outcome.error


class Set(keras.callbacks.Callback):
    """Sets all weights at the end of each epoch to a number of the list."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = values

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = 0.0
        self.model.set_weights([w * 0 + self.values[epoch] for w in self.model.get_weights()])


def one_weight(**fields: Any) -> Space:
    """A model of one weight w whose validation loss is (w - 1)², with w as `Set` sets it."""
    ones = np.ones((12, 1), "float32")
    whole = {
        "data": Data((ones, ones), validation=(ones[:4], ones[:4])),
        "model": Sequential([layers.Input((1,)), layers.Dense(1, use_bias=False)]),
        "optimizer": "sgd",
        "loss": "mse",
        **fields,
    }
    return declared(**whole)


# Reports and results


def test_a_trial_reports_three_times_per_epoch_and_ends_with_its_metrics() -> None:
    seen: list[Report] = []
    outcome = run(declared(maximize="val_accuracy"), report=lambda event: bool(seen.append(event)))
    assert [(r.epoch, round(r.fraction, 2)) for r in seen] == [
        (epoch, share) for epoch in (0, 1) for share in (0.33, 0.67, 1.0)
    ]
    assert [r.examples for r in seen] == [24, 48, 72, 96, 120, 144]
    assert {r.epochs for r in seen} == {2}
    assert set(seen[0].metrics) == {"accuracy", "loss"}
    assert set(seen[2].metrics) == {"accuracy", "loss", "val_accuracy", "val_loss"}
    assert outcome.status is Status.OK
    assert outcome.history == (seen[2].metrics, seen[5].metrics)
    assert outcome.epoch is not None
    assert outcome.metrics == outcome.history[outcome.epoch]
    assert outcome.value == outcome.metrics["val_accuracy"]
    assert outcome.params == 10
    assert outcome.seconds > 0
    assert outcome.error is None


def test_the_best_epoch_is_kept_with_its_weights(folder: Path) -> None:
    space = one_weight(fit=Fit(epochs=3, callbacks=[delayed(Set)(3.0, 1.5, 2.0)]))
    outcome = run(space, model=str(folder / "kept.keras"))
    assert [h["val_loss"] for h in outcome.history] == pytest.approx([4, 0.25, 1])
    assert (outcome.epoch, outcome.value) == (1, pytest.approx(0.25))
    assert keras.saving.load_model(str(outcome.model)).get_weights()[0] == pytest.approx(1.5)


def test_the_last_epoch_is_kept_where_that_is_asked_for(folder: Path) -> None:
    space = one_weight(keep="last", fit=Fit(epochs=3, callbacks=[delayed(Set)(3.0, 1.5, 2.0)]))
    outcome = run(space, model=str(folder / "kept.keras"))
    assert (outcome.epoch, outcome.value) == (2, pytest.approx(1))
    assert keras.saving.load_model(str(outcome.model)).get_weights()[0] == pytest.approx(2)


def test_a_callback_that_restores_other_weights_does_not_change_what_is_kept(folder: Path) -> None:
    stop = callbacks.EarlyStopping("val_loss", restore_best_weights=True, patience=9)
    space = one_weight(
        keep="last", fit=Fit(epochs=3, callbacks=[delayed(Set)(3.0, 1.5, 2.0), stop])
    )
    outcome = run(space, model=str(folder / "kept.keras"))
    assert outcome.value == pytest.approx(1)
    assert keras.saving.load_model(str(outcome.model)).get_weights()[0] == pytest.approx(2)


def test_the_saved_model_scores_what_the_trial_said_and_needs_nothing_of_the_users(
    folder: Path,
) -> None:
    def own_loss(y: Any, p: Any) -> Any:
        return keras.ops.mean((keras.ops.one_hot(keras.ops.reshape(y, (-1,)), 2) - p) ** 2)

    space = declared(loss=own_loss, fit=Fit(epochs=3, batch_size=12), metrics=["accuracy"])
    outcome = run(space, model=str(folder / "a" / "kept.keras"))
    loaded = keras.saving.load_model(str(outcome.model))
    assert not loaded.compiled
    loaded.compile(loss=own_loss)
    score = loaded.evaluate(X[72:], Y[72:], verbose=0)
    assert score == pytest.approx(outcome.value, abs=1e-5)
    assert [path.name for path in (folder / "a").iterdir()] == ["kept.keras"]


def test_a_model_is_saved_only_if_it_is_better_than_the_bar(folder: Path) -> None:
    space = declared(maximize="val_accuracy")
    path = str(folder / "kept.keras")
    assert run(space, model=path, bar=-1.0).model is None
    assert list(folder.iterdir()) == []
    assert run(space, model=path, bar=0.0).model == path


def test_a_test_task_scores_the_saved_model_on_the_test_part(folder: Path) -> None:
    def score(model: Any, data: Any) -> dict[str, float]:
        assert data.validation.rows == (24 if data.train.rows == 72 and not testing else 32)
        return {"rows": float(data.validation.rows)}

    testing = False
    space = declared(evaluate=score, metrics=["accuracy"], maximize="val_accuracy")
    engine = KerasEngine(space, 3)
    trained = run(space, engine=engine, model=str(folder / "kept.keras"))
    testing = True
    outcome = run(space, engine=engine, purpose="test", model=trained.model)
    assert outcome.status is Status.OK
    assert set(outcome.metrics) == {"loss", "accuracy", "rows"}
    assert outcome.metrics["rows"] == 32
    loaded = keras.saving.load_model(str(trained.model))
    right = np.mean(loaded.predict(X[:32], verbose=0).argmax(axis=1) == Y[:32])
    assert outcome.metrics["accuracy"] == pytest.approx(right)


def test_without_test_data_there_is_nothing_to_score() -> None:
    space = declared(data=Data((X, Y), validation=0.25))
    assert run(space, purpose="test", model="none.keras").metrics == {}


def test_the_same_job_twice_gives_the_same_history() -> None:
    space = declared(model=classifier(layers.Dropout(uniform(0, 0.5))))
    engine = KerasEngine(space, 3)
    point = {"rate": 0.25}
    first = run(space, point, engine=engine)
    assert run(space, point, engine=engine, number=1).history == first.history
    assert run(space, point).history == first.history  # in another process as well
    assert run(space, point, seed=8).history != first.history


def test_every_seed_is_set_for_the_model_and_the_data_alone_has_the_studys() -> None:
    drawn: list[Any] = []

    @delayed
    def load() -> Data:
        drawn.append(np.random.rand())
        return Data((X, Y), validation=0.25)

    @delayed
    def build() -> Any:
        drawn.append(np.random.rand())
        return keras.Sequential([keras.layers.Dense(2, "softmax")])

    space = declared(data=load(), model=build())
    for seed in (1, 2):
        KerasEngine(space, study_seed=3).run(task({}, seed=seed), lambda event: False)
    assert drawn[0] == drawn[2]
    assert drawn[1] != drawn[3]
    set_seeds(1)
    assert np.random.rand() == drawn[1]


def test_a_trial_on_a_shuffled_dataset_does_not_depend_on_those_before_it() -> None:
    import tensorflow as tf

    @delayed
    def load() -> Data:
        train = tf.data.Dataset.from_tensor_slices((X[:72], Y[:72])).shuffle(72).batch(8)
        return Data(train, validation=(X[72:], Y[72:]))

    space = declared(data=load(), fit=Fit(epochs=2))
    engine = KerasEngine(space, 3)
    engine.compiled(Job(Key("check", 0), {}, 0))
    run(space, engine=engine, seed=1)
    uninterrupted = run(space, engine=engine, number=1, seed=2)
    assert uninterrupted.status is Status.OK, uninterrupted.error
    assert run(space, number=1, seed=2).history == uninterrupted.history


def test_a_seed_may_have_more_than_32_bits() -> None:
    space = declared(data=delayed(lambda: Data((X, Y), validation=Holdout(0.25)))())
    outcome = run(space, engine=KerasEngine(space, study_seed=2**40 + 5))
    assert outcome.status is Status.OK, outcome.error
    set_seeds(2**32 + 7)
    drawn = np.random.rand()
    set_seeds(7)
    assert np.random.rand() == drawn


# What a space may give


def test_a_callback_writes_into_the_folder_of_its_trial(folder: Path) -> None:
    space = declared(fit=Fit(epochs=2, callbacks=[callbacks.CSVLogger(given.folder + "/log.csv")]))
    outcome = run(space, folder=str(folder / "trials" / "0"))
    assert outcome.status is Status.OK, outcome.error
    log = folder / "trials" / "0" / "log.csv"
    assert len(log.read_text().splitlines()) == 3
    assert log.parent.stat().st_mode & 0o777 == 0o700
    assert run(declared(), folder=str(folder / "trials" / "1")).status is Status.OK
    assert not (folder / "trials" / "1").exists()  # nobody asked for it


def test_what_is_built_outside_a_trial_writes_nowhere_near(folder: Path) -> None:
    written: list[Path] = []

    @delayed
    def build(place: str) -> Any:
        written.append(Path(place) / "note.txt")
        written[-1].write_text("built")
        return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, "softmax")])

    space = declared(model=build(given.folder))
    engine = KerasEngine(space, 3)
    job = Job(Key("study", 0), {}, 7)
    model, _ = engine.compiled(job)
    model.save(folder / "kept.keras")
    engine.restored(job, str(folder / "kept.keras"), compiled=True)
    assert [path.name for path in folder.iterdir()] == ["kept.keras"]
    assert [path.read_text() for path in written] == ["built"] * 2
    assert written[0].parent != written[1].parent


def test_a_model_may_come_compiled() -> None:
    @delayed
    def build(rate: float) -> Any:
        model = keras.Sequential([keras.layers.Dense(2, "softmax")])
        model.compile(keras.optimizers.SGD(rate), CLASSIFY, metrics=["accuracy"])
        return model

    space = Space(
        data=DATA,
        model=build(loguniform(0.01, 1)),
        fit=[Fit(epochs=1), Fit(epochs=1, optimizer=optimizers.Adam(0.1))],
        maximize="val_accuracy",
    )
    outcome = run(space, {"model.rate": 0.1})
    assert outcome.status is Status.OK, outcome.error
    assert len(outcome.history) == 2


def own_error(y: Any, p: Any) -> Any:
    return keras.ops.mean(keras.ops.abs(y - p))


def test_a_later_phase_compiles_a_compiled_model_as_its_function_did() -> None:
    seen: list[Any] = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            rate = round(float(self.model.optimizer.learning_rate), 3)
            seen.append((type(self.model.optimizer).__name__, rate, sorted(logs)))
            seen.append(self.model.get_compile_config()["loss_weights"])

    @delayed
    def build() -> Any:
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(4)])
        optimizer = keras.optimizers.SGD(0.125)
        model.compile(optimizer, own_error, loss_weights=[0.5], metrics=["mae", own_error])
        return model

    def keep(model: Any) -> None:
        pass

    watch = delayed(Watch)()
    space = Space(
        data=Data((X, X)),
        model=build(),
        fit=[
            Fit(callbacks=[watch]),
            Fit(prepare=keep, callbacks=[watch]),
            Fit(optimizer=optimizers.Adam(0.25), callbacks=[watch]),
            Fit(loss="mse", callbacks=[watch]),
        ],
        minimize="mae",
        keep="last",
    )
    outcome = run(space)
    assert outcome.status is Status.OK, outcome.traceback
    names = ["loss", "mae", "own_error"]
    assert seen[0::2] == [
        ("SGD", 0.125, names),
        ("SGD", 0.125, names),
        ("Adam", 0.25, names),
        ("Adam", 0.25, names),
    ]
    assert seen[1::2] == [[0.5]] * 4
    last = outcome.history[-1]
    assert last["loss"] != pytest.approx(0.5 * last["own_error"])  # it is that of the phase


def test_a_compile_of_ones_own_gets_only_what_it_takes() -> None:
    class Model(keras.Sequential):
        def compile(self, optimizer: Any, loss: Any) -> None:
            super().compile(optimizer, loss, jit_compile=False)

    @delayed
    def build() -> Any:
        model = Model([keras.layers.Input((4,)), keras.layers.Dense(2, "softmax")])
        model.compile("sgd", CLASSIFY)
        return model

    phases = [Fit(), Fit(optimizer=optimizers.Adam(0.1))]
    outcome = run(Space(data=DATA, model=build(), fit=phases, minimize="val_loss"))
    assert outcome.status is Status.OK, outcome.traceback
    assert len(outcome.history) == 2


def test_phases_prepare_the_model_and_compile_it_anew() -> None:
    states: list[Any] = []

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            optimizer = self.model.optimizer
            states.append(
                (
                    type(optimizer).__name__,
                    round(float(optimizer.learning_rate), 4),
                    int(optimizer.iterations),
                    len(self.model.trainable_variables),
                )
            )

    def freeze(model: Any, trainable: bool) -> None:
        model.get_layer("body").trainable = trainable

    watch = delayed(Watch)
    space = declared(
        model=classifier(layers.Dense(3, name="body")),
        optimizer=optimizers.SGD(0.5),
        fit=[
            Fit(epochs=1, prepare=functools.partial(freeze, trainable=False), callbacks=[watch()]),
            Fit(
                epochs=2,
                prepare=functools.partial(freeze, trainable=True),
                optimizer=optimizers.Adam(loguniform(1e-4, 1e-2)),
                callbacks=[watch()],
            ),
            Fit(epochs=1, callbacks=[watch()]),
        ],
    )
    seen: list[Report] = []
    outcome = run(space, {"learning_rate": 0.001}, lambda event: bool(seen.append(event)))
    assert states == [("SGD", 0.5, 0, 2), ("Adam", 0.001, 0, 4), ("Adam", 0.001, 6, 4)]
    assert len(outcome.history) == 4
    assert (seen[-1].epoch, seen[-1].epochs) == (3, 4)


def test_a_phase_may_change_the_loss() -> None:
    space = declared(
        metrics=["accuracy"],
        fit=[Fit(epochs=1), Fit(epochs=1, loss=losses.SparseCategoricalCrossentropy())],
    )
    assert len(run(space).history) == 2


def test_a_loop_of_ones_own_replaces_fit_and_keeps_the_rest(folder: Path) -> None:
    def loop(model: Any, data: Any, report: Any, fit: Any, *, rate: float) -> None:
        kernel, bias = model.get_weights()
        for epoch in range(fit.epochs):
            if report({"loss": 1.0}, fraction=0.5):
                return
            model.set_weights([kernel * 0 + epoch, bias])
            if report({"loss": 1.0, "val_loss": (epoch - 1) ** 2 * rate}):
                return

    space = declared(
        train=functools.partial(loop, rate=uniform(0, 1)),
        optimizer=None,
        loss=None,
        fit=Fit(epochs=3),
    )
    seen: list[Report] = []
    outcome = run(
        space,
        {"rate": 0.5},
        lambda event: bool(seen.append(event)),
        model=str(folder / "kept.keras"),
    )
    assert [h["val_loss"] for h in outcome.history] == [0.5, 0.0, 0.5]
    assert (outcome.epoch, outcome.value) == (1, 0.0)
    assert [r.fraction for r in seen] == [0.5, 1.0] * 3
    assert np.all(keras.saving.load_model(str(outcome.model)).get_weights()[0] == 1)
    stopped = run(space, {"rate": 0.5}, lambda event: event.epoch == 1)
    assert stopped.status is Status.CANCELLED


def test_a_loop_that_reports_nothing_is_a_failure_that_says_so() -> None:
    outcome = run(declared(train=lambda model, data, report: None))
    failed(outcome, "No trial reports the metric 'val_loss'")


def test_any_score_can_be_the_objective() -> None:
    def score(model: Any, data: Any, *, threshold: float) -> dict[str, Any]:
        chance = model.predict(data.validation.x, verbose=0)[:, 1]
        return {"hits": np.float32(np.mean((chance > threshold) == data.validation.y))}

    space = declared(
        evaluate=functools.partial(score, threshold=uniform(0, 1)), maximize="hits", metrics=None
    )
    outcome = run(space, {"threshold": 0.5})
    assert outcome.status is Status.OK
    assert 0 <= float(outcome.value or 0) <= 1
    assert type(outcome.value) is float
    assert set(outcome.metrics) == {"loss", "val_loss", "hits"}
    failed(run(declared(evaluate=lambda m, d: 0.5, maximize="hits")), "evaluate must return {name")


def test_what_fit_takes_reaches_keras() -> None:
    space = declared(
        data=Data((X, Y), validation=Holdout(0.25, stratify=True)),
        fit=Fit(
            epochs=2,
            batch_size=choice([8, 16]),
            steps_per_epoch=3,
            class_weight={0: 1.0, 1: loguniform(1, 20)},
            validation_freq=2,
            shuffle=False,
            callbacks=[callbacks.TerminateOnNaN()],
        ),
        weighted_metrics=[metrics.SparseCategoricalAccuracy(name="acc")],
    )
    outcome = run(space, {"batch_size": 8, "class_weight.1": 3.0})
    assert outcome.status is Status.OK, outcome.error
    assert [sorted(h) for h in outcome.history] == [
        ["acc", "loss"],
        ["acc", "loss", "val_acc", "val_loss"],
    ]
    assert outcome.epoch == 1


def test_sample_weights_are_used() -> None:
    no_weight = declared(data=Data((X, Y, np.zeros(96)), validation=(X, Y)), fit=Fit(epochs=1))
    assert run(no_weight).history[0]["loss"] == 0


def test_datasets_are_trained_on() -> None:
    import tensorflow as tf

    @delayed
    def load(size: int) -> Data:
        train = tf.data.Dataset.from_tensor_slices((X[:72], Y[:72])).shuffle(72).batch(size)
        return Data(train, validation=tf.data.Dataset.from_tensor_slices((X[72:], Y[72:])).batch(8))

    seen: list[Report] = []
    space = declared(data=load(choice([8, 24])), model=Sequential([layers.Dense(2, "softmax")]))
    outcome = run(space, {"size": 24}, lambda event: bool(seen.append(event)))
    assert outcome.status is Status.OK, outcome.error
    assert [r.fraction for r in seen[:3]] == pytest.approx([1 / 3, 2 / 3, 1])


def test_the_metric_that_is_searched_for_is_added_to_those_of_the_space() -> None:
    for given_, name, expected in [
        (None, "val_accuracy", ["accuracy"]),
        (["mae"], "val_accuracy", ["mae", "accuracy"]),
        (["accuracy"], "val_accuracy", ["accuracy"]),
        (["acc"], "val_accuracy", ["acc"]),
        (["mae"], "val_loss", ["mae"]),
        (None, "val_loss", None),
        (["mae"], "val_own", ["mae"]),
        ({"a": ["mae"]}, "val_auc", {"a": ["mae"]}),
        ([["mae"], ["mse"]], "val_auc", [["mae"], ["mse"]]),
        (None, "val_f1_score", ["f1_score"]),
    ]:
        direction = "minimize" if name == "val_loss" else "maximize"
        assert with_metric(given_, declared(**{direction: name})) == expected
    own = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    assert with_metric([own], declared(maximize="val_accuracy")) == [own]
    assert with_metric(None, declared(maximize="auc", evaluate=print)) is None


# Names of what has none


def test_metrics_without_a_name_have_one_name_in_all_trials_and_phases() -> None:
    space = declared(
        data=Data((X, Y.astype("float32")), validation=0.25),
        model=Sequential([layers.Dense(1, activation="sigmoid")]),
        loss="binary_crossentropy",
        metrics=[metrics.AUC()],
        maximize="val_auc",
        fit=[Fit(epochs=1), Fit(epochs=1, optimizer=optimizers.SGD(0.1))],
    )
    engine = KerasEngine(space, 3)
    for _ in range(2):
        for epoch in run(space, engine=engine).history:
            assert set(epoch) == {"loss", "auc", "val_loss", "val_auc"}


def test_outputs_without_a_name_have_one_name_in_all_trials() -> None:
    def two_outputs() -> Any:
        inputs = keras.Input((4,))
        ends = [keras.layers.Dense(2, activation="softmax")(inputs) for _ in range(2)]
        return keras.Model(inputs, ends)

    space = declared(
        data=Data((X, (Y, Y)), validation=0.25),
        model=delayed(two_outputs)(),
        loss=[CLASSIFY, CLASSIFY],
        metrics=[["accuracy"], ["accuracy"]],
    )
    engine = KerasEngine(space, 3)
    names = [set(run(space, engine=engine).metrics) for _ in range(2)]
    assert names[0] == names[1]
    assert sum(name.startswith("val_dense_") for name in names[0]) >= 2


def test_layers_made_with_the_data_may_stand_beside_new_ones() -> None:
    made: list[Any] = []

    def provided() -> Any:
        made.append(keras.layers.Normalization())
        made[0].adapt(X)
        return Data((X, Y), validation=0.25)

    def with_both() -> Any:
        inputs = keras.Input((4,))
        inner = keras.layers.Normalization(mean=0.0, variance=1.0)(made[0](inputs))
        return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(inner))

    space = declared(data=delayed(provided)(), model=delayed(with_both)())
    engine = KerasEngine(space, 3)
    for _ in range(2):
        outcome = run(space, engine=engine)
        assert outcome.status is Status.OK, outcome.error
    assert len(made) == 1


# Failures are outcomes


def test_a_metric_that_no_epoch_has_is_a_failure_with_the_nearest_names() -> None:
    failed(
        run(declared(minimize="val_lost")),
        "No trial reports the metric 'val_lost'. Did you mean 'val_loss'",
    )
    failed(run(declared(data=Data((X, Y)))), "No trial reports the metric 'val_loss'")


def test_a_loss_that_is_no_number_ends_the_trial_as_a_failure() -> None:
    def own_loss(y: Any, p: Any) -> Any:
        return keras.ops.sum(p) * math.nan

    seen: list[Report] = []
    outcome = run(declared(loss=own_loss), report=lambda event: bool(seen.append(event)))
    failed(outcome, "the training loss became nan in epoch 1")
    assert len(seen) == 1


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_a_failure(number: float) -> None:
    space = declared(evaluate=lambda model, data: {"score": number}, maximize="score")
    failed(run(space), f"score is {number}")


class ResourceExhaustedError(Exception):
    """As TensorFlow names it."""


def raising(error: BaseException) -> Any:
    class Raise(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise error

    return delayed(Raise)()


HERE = raising.__code__.co_firstlineno + 3


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("no\nway"), "RuntimeError: no"),
        (SystemExit(3), "SystemExit: 3 (a trial may not end the process)"),
        (MemoryError("16 GiB"), "MemoryError: 16 GiB"),
        (ResourceExhaustedError("OOM when allocating"), "ResourceExhaustedError: OOM"),
        (RuntimeError("RESOURCE_EXHAUSTED: on GPU:0"), "RuntimeError: RESOURCE_EXHAUSTED"),
    ],
)
def test_an_exception_names_the_users_own_file_and_line(error: BaseException, text: str) -> None:
    outcome = run(declared(fit=Fit(callbacks=[raising(error)])))
    failed(outcome, f"test_train.py:{HERE}: {text}")
    memory = "MemoryError" in text or "EXHAUSTED" in text or "Exhausted" in text
    assert str(outcome.error).startswith("out of memory: ") is memory
    assert "Traceback" in str(outcome.traceback)


def test_control_c_is_not_an_outcome() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(declared(fit=Fit(callbacks=[raising(KeyboardInterrupt())])))


def test_a_loss_that_raises_inside_the_compiled_step_is_located() -> None:
    def own_loss(y: Any, p: Any) -> Any:
        raise ValueError("bad loss")

    outcome = run(declared(loss=own_loss))
    failed(outcome, f"test_train.py:{own_loss.__code__.co_firstlineno + 1}: ValueError: bad loss")


def test_a_model_that_cannot_be_built_says_where_in_the_space() -> None:
    space = declared(model=classifier(layers.Dense(choice([0, 3]))))
    failed(run(space, {"units": 0}), "model.dense: layers.Dense(", "failed: ")
    mismatch = declared(model=Sequential([layers.Input((9,)), layers.Dense(2)]))
    failed(run(mismatch), "ValueError: ")


def test_data_that_does_not_fit_is_a_failure_that_says_so() -> None:
    failed(run(declared(data=Data((X, Y[:5])))), "96 rows of x but 5 of y")
    failed(
        run(declared(model=delayed(lambda n: n)(given.shape), data=Data((X, X)))),
        "",
    )


# Limits


def test_a_model_that_is_too_large_is_rejected_before_training() -> None:
    reports: list[Report] = []
    space = declared(model=Sequential([layers.Dense(2, "softmax")]))
    limits = Limits(max_params=9)
    outcome = run(space, limits=limits, report=lambda event: bool(reports.append(event)))
    assert (outcome.status, outcome.params) == (Status.REJECTED, 10)
    assert outcome.error == "10 parameters, more than max_params=9"
    assert reports == []
    assert run(space, limits=Limits(max_params=10)).status is Status.OK


def test_a_trial_past_its_deadline_ends_at_its_next_report() -> None:
    seen: list[Report] = []
    space = declared(fit=Fit(epochs=50))
    outcome = run(space, limits=Limits(deadline=0.0), report=lambda e: bool(seen.append(e)))
    assert (outcome.status, outcome.value) == (Status.CANCELLED, None)
    assert len(seen) == 1
    assert outcome.error == "stopped at a report"


def test_a_trial_that_is_told_to_stop_ends_its_epoch_and_has_what_came_of_it() -> None:
    told: list[float] = []

    def within_the_second(event: Report) -> bool:
        told.append(event.epoch + event.fraction)
        return event.epoch == 1 and event.fraction < 1

    outcome = run(declared(fit=Fit(epochs=50)), report=within_the_second)
    assert outcome.status is Status.CANCELLED
    assert told[-1] == 2
    assert len(outcome.history) == 2
    assert outcome.metrics == outcome.history[outcome.epoch or 0]


def test_a_trial_that_is_told_to_stop_at_its_last_report_is_whole() -> None:
    def at_its_end(event: Report) -> bool:
        return event.epoch == 1 and event.fraction == 1

    outcome = run(declared(), report=at_its_end)
    assert outcome.status is Status.OK
    assert outcome == dataclasses.replace(run(declared()), seconds=outcome.seconds)


def test_the_last_report_is_known_where_an_earlier_phase_ended_early() -> None:
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = True

    seen: list[Report] = []

    def report(event: Report) -> bool:
        seen.append(event)
        return event.epoch == 1 and event.fraction == 1

    space = declared(fit=[Fit(epochs=9, callbacks=[delayed(Stop)()]), Fit(epochs=1)])
    outcome = run(space, report=report)
    assert (outcome.status, len(outcome.history)) == (Status.OK, 2)
    assert [event.epochs for event in seen] == [10] * 3 + [2] * 3


def test_a_deadline_at_the_last_report_of_a_trial_comes_too_late() -> None:
    for epochs, late in ((1, False), (2, True)):
        progress = Progress(
            Key("s", 0),
            metric="loss",
            maximize=False,
            keep_best=True,
            epochs=epochs,
            rows=0,
            limits=Limits(deadline=-1.0),
            report=lambda event: False,
        )
        assert progress.epoch_end({"loss": 2.0}, list) is late


def test_a_loop_that_goes_on_after_its_planned_epochs_is_stopped() -> None:
    def loop(model: Any, data: Any, report: Any) -> None:
        for _ in range(5):
            if report({"val_loss": 1.0}):
                return

    outcome = run(declared(train=loop, fit=Fit(epochs=1)), report=lambda event: True)
    assert (outcome.status, len(outcome.history)) == (Status.CANCELLED, 2)


def test_progress_counts_epochs_over_phases_and_knows_no_rows_where_there_are_none() -> None:
    seen: list[Report] = []
    progress = Progress(
        Key("s", 0),
        metric="loss",
        maximize=False,
        keep_best=True,
        epochs=4,
        rows=0,
        limits=Limits(),
        report=lambda event: bool(seen.append(event)),
    )
    assert not progress.epoch_end({"loss": 2.0, "image": np.zeros((2, 2))}, lambda: [1])
    assert not progress.within(0.5, {"loss": np.float32(1.0)})
    assert not progress.epoch_end({"loss": 3.0}, lambda: [2])
    assert [(r.epoch, r.fraction, r.examples) for r in seen] == [(0, 1, 0), (1, 0.5, 0), (1, 1, 0)]
    assert progress.history == [{"loss": 2.0}, {"loss": 3.0}]
    assert (progress.kept(), progress.weights) == ({"loss": 2.0}, [1])


# In the caller's own process


def events(executor: Inline) -> list[Any]:
    found: list[Any] = []
    executor.poll(None, found.append)
    return found


def test_the_inline_executor_runs_a_task_when_it_is_polled() -> None:
    executor = Inline(KerasEngine(declared(), 3))
    assert executor.free() == 1
    assert events(executor) == []
    executor.submit(task({}))
    assert executor.free() == 0
    found = events(executor)
    assert [type(event) for event in found] == [Report] * 6 + [Outcome]
    assert found[-1].status is Status.OK
    assert executor.free() == 1


def test_a_trial_is_stopped_from_within_a_report_and_the_next_one_is_not() -> None:
    executor = Inline(KerasEngine(declared(), 3))
    executor.submit(task({}))
    found: list[Any] = []

    def deliver(event: Any) -> None:
        found.append(event)
        if isinstance(event, Report):
            executor.stop(event.key, now=False)

    executor.poll(None, deliver)
    assert found[-1].status is Status.CANCELLED
    executor.submit(task({}))
    assert events(executor)[-1].status is Status.OK
    with pytest.raises(KeyboardInterrupt):
        executor.stop(Key("study", 0), now=True)
    executor.submit(task({}))
    executor.close(now=True)
    assert events(executor) == []
