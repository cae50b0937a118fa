"""One study opened for writing: store, MLflow recorder, algorithm and settings, and its end."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, final

from ..errors import HpsearchError, StudyError
from ..execute import Engine, Inline
from ..store import Store, check_name, studies
from ..trial import Algorithm, Job, Key, Outcome, Status, Task, Trial
from .budget import best_of
from .loop import Driver, model_file
from .options import Options
from .problem import Problem
from .result import Best, Result
from .watch import Watcher

__all__ = ["Session", "restore_model"]

PATIENCE = 60.0  # seconds that the end of a search waits for MLflow


@final
class Session:
    """A study, new or resumed, ready to run. Close it, or use it in a `with` statement.

    Args:
        command: how the search was started, for the record.
    """

    def __init__(
        self, problem: Problem, options: Options, watcher: Watcher, *, command: str = ""
    ) -> None:
        from .. import record, suggest

        self.problem, self.options, self._watcher = problem, options, watcher
        self._began = time.monotonic()
        fixed = problem.parameters.with_fixed(options.fix)
        for point in options.enqueue:
            fixed.check_reachable(point)
        self.algorithm: Algorithm = suggest.make(options.algo, fixed, grid_steps=options.grid_steps)
        variable = os.environ.get("MLFLOW_EXPERIMENT_NAME")
        self._experiment = options.experiment or variable or problem.name
        self.uri = record.tracking_uri(options.tracking_uri, options.folder)
        record.check(self.uri, self._experiment)
        self.store, self.engine = self._open(command)
        self.seed = int(self.store.settings["seed"])
        self.recorder = record.Recorder(self.store, self.uri)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the study; what MLflow has not got yet stays owed."""
        self.recorder.close()
        self.store.close()

    # Opening.

    def _open(self, command: str) -> tuple[Store, Engine]:
        """Open the study, new or resumed, after its space has been tried."""
        root = self.options.folder / "studies"
        name = check_name(self.options.study or _free_name(root, self.problem.name))
        if name not in studies(root):
            settings = self._settings(command)
            engine, about = self._tried(settings["seed"])
            store = Store.create(root, name, settings | about)
            store.queue("study")
            return store, engine
        if not self.options.resume:
            raise StudyError(
                f"There is a study {name!r} already. Go on with it: `hpsearch resume {name}`, or "
                "run with --resume; or give another name with --study."
            )
        store = Store.open(root, name, write=True)
        try:
            self._resume(store)
            engine, about = self._tried(store.settings["seed"])
            store.update(budget=self.options.budget(), state="running", **about)
            store.queue("study")
        except BaseException:
            store.close()
            raise
        return store, engine

    def _tried(self, seed: int) -> tuple[Engine, dict[str, Any]]:
        """The engine, and what a first look at the data tells."""
        engine = self.problem.engine(seed)
        space = self.problem.space
        if space is None or not self.options.check:
            return engine, {}
        from ..preflight import first_look
        from ..train import KerasEngine

        assert isinstance(engine, KerasEngine)
        fixed = self.problem.parameters.with_fixed(self.options.fix)
        return engine, {"data": first_look(engine, space, fixed).data}

    def _settings(self, command: str) -> dict[str, Any]:
        problem, options = self.problem, self.options
        seed = secrets.randbits(31) if options.seed is None else options.seed
        return {
            "space": problem.name,
            "experiment": self._experiment,
            "metric": problem.metric,
            "direction": problem.direction,
            "algo": options.algo,
            "grid_steps": options.grid_steps,
            "seed": seed,
            "budget": options.budget(),
            "command": command,
            "fingerprint": problem.fingerprint,
            "labels": [
                {"label": label, "number": not hasattr(p.word, "points"), "log": p.word.log}
                for label, p in problem.parameters.items()
            ],
            "words": {label: p.word.describe() for label, p in problem.parameters.items()},
            "source": None if problem.path is None else str(problem.path),
            "target": problem.target,
            "source_digest": _digest(problem.source),
            "description": problem.description,
            "versions": _versions(),
            "fix": dict(options.fix),
            "enqueue": [dict(point) for point in options.enqueue],
            "baselines": options.baselines,
            "keep_models": options.keep_models,
            "tracking_uri": options.tracking_uri,
        }

    def _resume(self, store: Store) -> None:
        """Check that the study can go on with this space, and note the new budget."""
        settings = store.settings
        if settings["fingerprint"] != self.problem.fingerprint:
            raise StudyError(_what_changed(store.name, settings, self.problem))
        given = self.options.seed
        if given is not None and given != settings["seed"]:
            raise StudyError(
                f"Study {store.name!r} has the seed {settings['seed']}, got --seed {given}. "
                "Leave it out to go on, or start another study."
            )
        if settings.get("source_digest") not in (None, _digest(self.problem.source)):
            self._watcher.note(
                "Warning: the space file has changed, but not its parameters: going on with it."
            )

    # Running.

    def run(self, watch: Watcher | None = None) -> Result:
        """Search until the budget is used up, score the best trial, and bring MLflow up to date.

        Raises:
            SearchStopped: if the search cannot go on.
            KeyboardInterrupt: if it was interrupted; the study can be resumed.
        """
        executor = Inline(self.engine)
        driver = Driver(
            self.problem,
            self.store,
            self.options,
            seed=self.seed,
            algorithm=self.algorithm,
            executor=executor,
            watcher=watch or self._watcher,
            progress=self.recorder.progress,
        )
        try:
            driver.run()
        finally:
            executor.close(now=True)
            state = "interrupted" if driver.interrupted else "finished"
            self.finish(state, test=not driver.interrupted)
        if driver.interrupted:
            raise KeyboardInterrupt
        return self.result(driver.ended_by)

    def finish(self, state: str, *, test: bool) -> None:
        """Score the best trial if asked, and bring MLflow up to date; raises nothing of MLflow's."""
        best = self.best()
        if test and best is not None:
            self._score(best)
        self.store.update(state=state)
        self._deliver(best)
        self.store.queue("finish")
        self.recorder.flush(PATIENCE)
        self.store.update(link=self.recorder.link)
        if self.recorder.trouble is not None:
            self._watcher.note(f"MLflow does not have everything yet: {self.recorder.trouble}")

    def best(self) -> Trial | None:
        return best_of(self.trials(), maximize=self.problem.maximize)

    def trials(self) -> list[Trial]:
        """The latest attempt of each trial."""
        return list({trial.number: trial for trial in self.store.trials()}.values())

    def _score(self, best: Trial) -> None:
        """Score the best trial on the test part: once for each trial that becomes the best."""
        settings = self.store.settings
        if self.problem.space is None or settings.get("tested") == best.number:
            return
        model = model_file(self.store.folder, best)
        if not model.exists():
            return
        outcome = self._run_test(best, str(model))
        if outcome.status is Status.OK:
            self.store.update(test=outcome.metrics, tested=best.number)
        else:
            self._watcher.note(f"The best model could not be tested: {outcome.error}")

    def _run_test(self, trial: Trial, model: str) -> Outcome:
        key = Key(self.store.name, trial.number, trial.attempt)
        job = Job(key, trial.point, trial.seed)
        folder = str(self.store.folder / "trials" / str(trial.number))
        task = Task((job,), purpose="test", folder=folder, model=model)
        return self.engine.run(task, lambda report: False)[0]

    def _deliver(self, best: Trial | None) -> None:
        """Bring runs and the best models to MLflow; trouble is noted, never raised."""
        from ..record.models import log_model

        if not self.recorder.flush(PATIENCE) or self.problem.space is None or best is None:
            return
        ranked = sorted(
            (t for t in self.trials() if t.outcome is not None and t.outcome.model),
            key=lambda t: (self.problem.loss(t.value) or 0, t.number),
        )
        for trial in ranked[: self.options.keep_models]:
            if not model_file(self.store.folder, trial).exists():
                continue
            try:
                log_model(
                    self.uri,
                    self.store,
                    trial,
                    functools.partial(self._restore, trial, compiled=False),
                    self._sample(trial),
                    register=trial.number == best.number,
                    metrics=self.store.settings.get("test")
                    if trial.number == best.number
                    else None,
                )
            except (HpsearchError, OSError, ValueError) as error:
                self._watcher.note(f"The model of trial {trial.number} is not in MLflow: {error}")

    def _sample(self, trial: Trial) -> Any:
        from ..train import KerasEngine

        assert isinstance(self.engine, KerasEngine)
        key = Key(self.store.name, trial.number, trial.attempt)
        return self.engine.sample(Job(key, trial.point, trial.seed))

    @property
    def _restore(self) -> Callable[..., Any]:
        """Restores models; outlives the session."""
        return functools.partial(restore_model, self.engine, self.store.folder)

    def result(self, ended_by: str | None = None) -> Result:
        """What the study holds now."""
        best = self.best()
        settings = self.store.settings
        found = None
        if best is not None and best.value is not None:
            run_ids = self.store.run_ids()
            kept = model_file(self.store.folder, best).exists()
            load = self._restore if kept else None
            found = Best(
                best.number,
                best.value,
                best.point,
                run_ids.get((best.number, best.attempt)),
                settings.get("test", {}) if settings.get("tested") == best.number else {},
                None if load is None else functools.partial(load, best),
            )
        return Result(
            study=self.store.name,
            direction=self.problem.direction,
            metric=self.problem.metric,
            best=found,
            trials=self.trials(),
            seconds=time.monotonic() - self._began,
            ended_by=ended_by,
            link=self.recorder.link,
            tracking_uri=self.uri,
            folder=self.options.folder,
        )


def restore_model(engine: Any, folder: Path, trial: Trial, *, compiled: bool = True) -> Any:
    """Rebuild the model of a trial from its point and load its kept weights.

    Args:
        engine: the `KerasEngine` of the study's space.
        folder: the study's folder.

    Raises:
        StudyError: if its weights were not kept.
    """
    file = model_file(folder, trial)
    if not file.exists():
        raise StudyError(
            f"The weights of trial {trial.number} of study {folder.name!r} were not kept. "
            "Only those of the best are: search with a larger keep_models."
        )
    job = Job(Key(folder.name, trial.number, trial.attempt), trial.point, trial.seed)
    return engine.restored(job, str(file), compiled=compiled)


def _free_name(root: Path, space: str) -> str:
    """The space's name and the next free number."""

    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", space).strip("-.")[:90] or "study"
    taken = set(studies(root))
    number = 1
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for package in ("hpsearch", "keras", "tensorflow", "hyperopt", "mlflow", "numpy"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _digest(source: str | None) -> str | None:
    return None if source is None else hashlib.sha256(source.encode()).hexdigest()[:16]


def _what_changed(name: str, settings: Mapping[str, Any], problem: Problem) -> str:
    """Name the labels that differ between a study and the space it is to go on with."""
    before = settings.get("words", {})
    now = {label: p.word.describe() for label, p in problem.parameters.items()}
    parts = [
        ("new", [label for label in now if label not in before]),
        ("gone", [label for label in before if label not in now]),
        ("changed", [label for label in now if label in before and now[label] != before[label]]),
    ]
    told = "; ".join(f"{kind}: {', '.join(labels[:6])}" for kind, labels in parts if labels)
    return (
        f"Study {name!r} was begun with another space ({told or 'a constant or a layer changed'}). "
        "Its trials cannot be compared with new ones: start another study, or undo the change."
    )
