"""The models that a study keeps on disk: restored, and handed to MLflow."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import StudyError
from ..store import Store
from ..trial import Job, Key, Trial, digest_of
from .loop import model_file
from .tally import latest, ranked

__all__ = [
    "best_first",
    "job_of",
    "kept_file",
    "kept_trials",
    "log_models",
    "owed",
    "restore_model",
]


def best_first(store: Store) -> list[Trial]:
    """The trials of a study that succeeded, the best first."""
    maximize = store.settings.get("direction") == "maximize"
    return ranked(latest(store.trials()).values(), maximize=maximize)


def kept_trials(store: Store) -> list[Trial]:
    """The trials whose models MLflow is to have, the best first."""
    there = (trial for trial in best_first(store) if model_file(store.folder, trial).exists())
    return [*itertools.islice(there, store.settings.get("keep_models", 1))]


def owed(store: Store) -> list[Trial]:
    """Those of them that MLflow has not got yet, as far as the study knows."""
    logged = [tuple(pair) for pair in store.settings.get("logged", [])]
    return [trial for trial in kept_trials(store) if (trial.number, trial.attempt) not in logged]


def log_models(store: Store, uri: str, engine: Any, note: Callable[[str], None]) -> list[Trial]:
    """Log the models of the best trials and return these; what goes wrong is noted, not raised.

    Args:
        engine: the `KerasEngine` of the study's space.
    """
    from ..record import log_model, test_of

    trials = kept_trials(store)
    settings = store.settings
    best = next(iter(store.best(settings["direction"])), None)
    logged = []
    for trial in trials:
        job = job_of(store.name, trial)
        try:
            file = kept_file(store.folder, trial)
            log_model(
                uri,
                store,
                trial,
                functools.partial(engine.restored, job, str(file), compiled=False),
                engine.sample(job),
                file=file,
                register=best is not None and trial.number == best.number,
                metrics=test_of(settings, trial.number),
            )
        except Exception as error:  # the search has its result, whatever MLflow thinks of it
            text = str(error).strip().splitlines()[:1] or [type(error).__name__]
            note(f"The model of trial {trial.number} is not in MLflow: {text[0]}")
        else:
            logged.append(trial)
    store.update(logged=[[trial.number, trial.attempt] for trial in logged])
    return logged


def restore_model(engine: Any, folder: Path, trial: Trial, *, compiled: bool = True) -> Any:
    """Rebuild the model of a trial from its point and load its kept weights.

    Args:
        engine: the `KerasEngine` of the study's space.
        folder: the study's folder.

    Raises:
        StudyError: see `kept_file`.
    """
    file = kept_file(folder, trial)
    return engine.restored(job_of(folder.name, trial), str(file), compiled=compiled)


def kept_file(folder: Path, trial: Trial) -> Path:
    """The file of the weights of a trial, as the trial has written it.

    Args:
        folder: the study's folder.

    Raises:
        StudyError: if they were not kept, or somebody has changed the file since.
    """
    file = model_file(folder, trial)
    if not file.exists():
        raise StudyError(
            f"The weights of trial {trial.number} of study {folder.name!r} were not kept. "
            "Only those of the best are: search with a larger keep_models."
        )
    written = None if trial.outcome is None else trial.outcome.digest
    if written is not None and digest_of(file) != written:
        raise StudyError(
            f"Trial {trial.number} of study {folder.name!r} wrote other weights than {file} holds "
            "now. Put the file back from a copy, or search again."
        )
    return file


def job_of(study: str, trial: Trial) -> Job:
    """The job that a trial was."""
    return Job(Key(study, trial.number, trial.attempt), trial.point, trial.seed)
