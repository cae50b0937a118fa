"""One trial with Keras: build, compile, `Model.fit`, kept epoch, score. Serves all that Keras can.

Every end is an `Outcome`; nothing is raised but KeyboardInterrupt.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

from ..build import Construction, Memory, Parts, where_raised
from ..errors import BuildError, HpsearchError
from ..space import Space
from ..trial import Job, Outcome, Report, Status, Task, digest_of, finite
from .compiling import compile_again, with_metric
from .names import Names
from .progress import Progress, keras_callback

__all__ = ["KerasEngine", "ensure_built", "failure", "sample_of", "set_seeds"]

OUT_OF_MEMORY = ("ResourceExhaustedError", "MemoryError", "OutOfMemoryError")


def set_seeds(seed: int) -> None:
    """Set the seeds of Python, NumPy and Keras's backend; NumPy takes 32 bits of one."""
    import keras

    keras.utils.set_random_seed(int(seed) % 2**32)


@final
class KerasEngine:
    """Runs tasks of one space in this process; keeps its data between trials.

    Args:
        space: the declaration, kept as it is.
        study_seed: the seed of the study, for data and splits.
    """

    def __init__(self, space: Space, study_seed: int) -> None:
        self.space, self._study_seed = space, study_seed
        self._memory = Memory()
        self._names = Names()

    def prepare(self, task: Task) -> None:
        """Make the data of a task, which is kept; `run` tells what is wrong with it."""
        for job in task.jobs:
            with contextlib.suppress(Exception, SystemExit):
                self._names.restore()
                _ = self.construction(job).parts
                self._names.keep()

    def run(self, task: Task, report: Callable[[Report], bool]) -> list[Outcome]:
        """Run the jobs of a task one after another; `report` returns True to end one early."""
        return [self._outcome(task, job, report) for job in task.jobs]

    def construction(self, job: Job, folder: str | None = None) -> Construction:
        """The objects of one trial, each made when asked for; see `Construction` for `folder`."""
        return Construction(
            self.space,
            job.point,
            seed=job.seed,
            study_seed=self._study_seed,
            folder=folder,
            memory=self._memory,
            seeded=set_seeds,
        )

    def _outcome(self, task: Task, job: Job, report: Callable[[Report], bool]) -> Outcome:
        started = time.monotonic()
        try:
            made = self.construction(job, task.folder)
            if task.purpose == "test":
                outcome = self._test(made, job, str(task.model))
            else:
                outcome = self._train(made, task, job, report)
        except Exception as error:  # a trial that fails is an outcome
            outcome = failure(job, error)
        except SystemExit as error:
            text = f"{where_raised(error)} (a trial may not end the process)"
            outcome = Outcome(job.key, Status.FAILED, error=text, traceback=traceback.format_exc())
        return _timed(outcome, time.monotonic() - started)

    def _train(
        self, made: Construction, task: Task, job: Job, report: Callable[[Report], bool]
    ) -> Outcome:
        model, parts = self._model(made, job)
        if task.limits.max_params is not None:
            ensure_built(model, parts)
            if (size := model.count_params()) > task.limits.max_params:
                text = f"{size:,} parameters, more than max_params={task.limits.max_params:,}"
                return Outcome(job.key, Status.REJECTED, error=text, params=size)
        self._compile(model, made)
        progress = Progress(
            job.key,
            metric=self.space.metric,
            maximize=self.space.maximize is not None,
            keep_best=self.space.keep == "best",
            epochs=made.epochs(),
            rows=parts.train.rows or 0,
            limits=task.limits,
            report=report,
        )
        if self.space.train is not None:
            self._own_loop(model, made, progress)
        else:
            self._fit(model, made, progress)
        return self._ended(model, made, task, job, progress)

    def _model(self, made: Construction, job: Job) -> tuple[Any, Parts]:
        """The model of a trial, uncompiled, its unnamed layers named as in every other trial."""
        self._names.restore()
        parts = made.parts
        self._names.keep()  # the data may have made layers, which are kept with it
        set_seeds(job.seed)
        return made.model(), parts

    def _compile(self, model: Any, made: Construction) -> None:
        with self._names.compiling():
            arguments = made.compile_arguments()
            if not arguments and model.compiled:
                return  # its function compiled it
            if not arguments and self.space.train is not None:
                return  # a loop of one's own may need no loss
            model.compile(**self._with_metric(arguments))

    def _fit(self, model: Any, made: Construction, progress: Progress) -> None:
        parts = made.parts
        for number in range(len(self.space.phases)):
            progress.planned(made.epochs(number))
            phase = made.phase(number)
            if phase.prepare is not None:
                phase.prepare(model)
            if any(part is not None for part in (phase.prepare, phase.optimizer, phase.loss)):
                self._recompile(model, made, phase)
            arrays = not parts.train.dataset
            model.fit(
                parts.train.x,
                parts.train.y,
                sample_weight=parts.train.weight,
                batch_size=phase.batch_size if arrays else None,
                epochs=phase.epochs,
                verbose=phase.verbose,
                callbacks=[keras_callback(progress), *(phase.callbacks or ())],
                validation_data=None if parts.validation is None else parts.validation.as_tuple(),
                shuffle=phase.shuffle if parts.train.shuffled else False,
                class_weight=phase.class_weight,
                initial_epoch=phase.initial_epoch,
                steps_per_epoch=phase.steps_per_epoch,
                validation_steps=phase.validation_steps,
                validation_batch_size=phase.validation_batch_size,
                validation_freq=phase.validation_freq,
            )
            if progress.stopping:
                return

    def _recompile(self, model: Any, made: Construction, phase: Any) -> None:
        """Compile for a phase: what it does not give is as in the space, but new."""
        given = {name: getattr(phase, name) for name in ("optimizer", "loss")}
        changes = {name: value for name, value in given.items() if value is not None}
        with self._names.compiling():
            if arguments := made.compile_arguments():
                model.compile(**self._with_metric(arguments | changes))
            else:
                compile_again(model, **changes)  # as its function compiled it

    def _with_metric(self, arguments: dict[str, Any]) -> dict[str, Any]:
        metrics = with_metric(arguments.get("metrics"), self.space)
        return arguments if metrics is None else {**arguments, "metrics": metrics}

    def _own_loop(self, model: Any, made: Construction, progress: Progress) -> None:
        def tell(metrics: Mapping[str, Any], *, fraction: float = 1.0) -> bool:
            if fraction < 1:
                return progress.within(fraction, metrics)
            return progress.epoch_end(metrics, model.get_weights)

        loop = made.function("train")
        takes = inspect.signature(loop).parameters
        extra = {"fit": made.phase(0)} if "fit" in takes else {}
        loop(model, made.parts, tell, **extra)

    def _ended(
        self, model: Any, made: Construction, task: Task, job: Job, progress: Progress
    ) -> Outcome:
        about: dict[str, Any] = {"history": tuple(progress.history), "params": _size(model)}
        if progress.diverged is not None:
            return Outcome(job.key, Status.FAILED, error=progress.diverged, **about)
        metrics = progress.kept()
        if progress.stopped:
            about |= {"metrics": metrics, "epoch": progress.epoch}
            return Outcome(job.key, Status.CANCELLED, error="stopped at a report", **about)
        if progress.weights is not None:  # callbacks and averages may have changed them since
            model.set_weights(progress.weights)
        if self.space.evaluate is not None:
            metrics |= _scores(made.function("evaluate")(model, made.parts))
        value = metrics.get(self.space.metric)
        about |= {"metrics": metrics, "epoch": progress.epoch}
        if value is None:
            raise progress.missing_metric(metrics)
        if not finite(value):
            text = f"{self.space.metric} is {value}"
            return Outcome(job.key, Status.FAILED, error=text, **about)
        saved = self._save(model, task, value)
        digest = None if saved is None else digest_of(saved)
        model_file = None if saved is None else str(saved)
        return Outcome(job.key, Status.OK, value=value, model=model_file, digest=digest, **about)

    def _save(self, model: Any, task: Task, value: float) -> Path | None:
        """Save the kept weights without the compiled state, so that own losses do not stop loading."""
        loss = -value if self.space.maximize is not None else value
        if task.model is None or (task.bar is not None and loss >= task.bar):
            return None
        model.compiled, model.optimizer = False, None
        path = Path(task.model)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole = path.with_name(f"{path.stem}.part.keras")
        model.save(whole)
        whole.chmod(0o600)
        whole.replace(path)
        return path

    def _test(self, made: Construction, job: Job, weights: str) -> Outcome:
        test = made.parts.test
        if test is None:
            return Outcome(job.key, Status.OK)
        model = self._restored(made, job, weights, compiled=True)
        metrics: dict[str, float] = {}
        if model.compiled:
            size = made.phase(0).batch_size
            metrics |= _scores(
                model.evaluate(
                    test.x,
                    test.y,
                    sample_weight=test.weight,
                    batch_size=None if test.dataset else size,
                    verbose=0,
                    return_dict=True,
                )
            )
        if self.space.evaluate is not None:
            judged = Parts(made.parts.train, test, test)
            metrics |= _scores(made.function("evaluate")(model, judged))
        return Outcome(job.key, Status.OK, metrics=metrics, params=_size(model))

    def restored(self, job: Job, weights: str, *, compiled: bool) -> Any:
        """The model of a trial with its saved weights: rebuilt from its point, never unpickled."""
        made = self.construction(job)
        return self._restored(made, job, weights, compiled=compiled)

    def _restored(self, made: Construction, job: Job, weights: str, *, compiled: bool) -> Any:
        model, parts = self._model(made, job)
        ensure_built(model, parts)
        model.load_weights(weights)
        if compiled:
            self._compile(model, made)
        else:
            model.compiled, model.optimizer = False, None
        return model

    def sample(self, job: Job) -> Any:
        """The first rows of the training inputs, as the model takes them."""
        return sample_of(self.construction(job).parts)

    def compiled(self, job: Job) -> tuple[Any, Construction]:
        """The untrained, compiled model of a trial, and what it was made from."""
        made = self.construction(job)
        model, parts = self._model(made, job)
        ensure_built(model, parts)
        self._compile(model, made)
        return model, made


def ensure_built(model: Any, parts: Parts) -> None:
    """Make the weights of a model that was declared without its input."""
    if not getattr(model, "built", False):
        model(sample_of(parts))


def sample_of(parts: Parts) -> Any:
    """A few training inputs: two rows of arrays, or the first batch of a dataset."""
    if not parts.train.dataset:
        return parts.train.take(slice(0, 2)).x
    batch = next(iter(parts.train.x)) if hasattr(parts.train.x, "__iter__") else parts.train.x[0]
    return batch[0] if isinstance(batch, tuple) else batch


def failure(job: Job, error: BaseException) -> Outcome:
    """The outcome of a trial that raised: one line that names the user's own line, and the rest."""
    root = error
    while isinstance(root, BuildError) and root.__cause__ is not None:
        root = root.__cause__
    text = str(error) if isinstance(error, HpsearchError) else where_raised(error)
    exhausted = any(kind.__name__ in OUT_OF_MEMORY for kind in type(root).__mro__)
    if exhausted or "RESOURCE_EXHAUSTED" in str(root):  # as XLA's errors say it
        text = f"out of memory: {text}"
    return Outcome(
        job.key,
        Status.FAILED,
        error=text.strip().splitlines()[0] if text.strip() else type(error).__name__,
        traceback="".join(traceback.format_exception(error)),
    )


def _timed(outcome: Outcome, seconds: float) -> Outcome:
    return dataclasses.replace(outcome, seconds=seconds)


def _size(model: Any) -> int | None:
    return int(model.count_params()) if getattr(model, "built", False) else None


def _scores(result: Any) -> dict[str, float]:
    if not isinstance(result, Mapping):
        raise BuildError(
            f"evaluate must return {{name: number}}, got {type(result).__name__}. "
            "Write for example return {'mcc': 0.9}."
        )
    return {str(name): float(value) for name, value in result.items()}
