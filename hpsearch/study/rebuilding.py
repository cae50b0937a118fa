"""A study rebuilt from MLflow, on a machine that has nothing else of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import StudyError, TrackingError
from ..store import PARENT, Store, check_name, studies, without_passwords
from ..trial import Outcome, Trial
from .kept import best_first
from .loop import model_file
from .options import Options
from .problem import Problem
from .watch import Watcher

__all__ = ["free_name", "rebuild"]


def free_name(root: Path, wanted: str) -> str:
    """The name of a study to rebuild, if there is none of that name yet.

    Raises:
        StudyError: there is one, or it is not a name.
    """
    if check_name(wanted) in studies(root):
        raise StudyError(
            f"A study is rebuilt where there is none of its name, and {wanted!r} is in {root}. Go "
            f"on with that one: `hpsearch resume {wanted}`; or give another name with --study."
        )
    return wanted


def rebuild(
    root: Path, recorded: Any, problem: Problem, options: Options, watcher: Watcher, source: Any
) -> Store:
    """Make the study of `recorded` anew: history, seed and settings from MLflow, code from here.

    Args:
        root: the folder of studies.
        recorded: see `hpsearch.record.Recorded`; already found to have searched `problem`.
        source: the settings that tell where the space's file is here, and its text.

    Raises:
        StudyError: a study of that name is here.
        TrackingError: MLflow does not have it whole, or does not answer.
    """
    from .. import record

    name = free_name(root, options.study or recorded.name)
    uri = record.tracking_uri(options.tracking_uri, options.folder)
    trials, runs = record.read_trials(uri, recorded)
    _say_what_is_missing(trials, recorded, watcher)
    settings = recorded.settings | {
        "state": "interrupted",
        "tracking_uri": uri if without_passwords(uri) == uri else None,
        **source,
        "logged": [],
    }
    named = [_renamed(trial, name) for trial in trials]
    known = {(trial.number, trial.attempt) for trial in trials} | {PARENT}
    runs = {pair: run for pair, run in runs.items() if pair in known}
    store = Store.rebuild(root, name, settings, id=recorded.id, trials=named, runs=runs)
    try:
        _fetch_models(store, uri, settings.get("keep_models", 1), watcher)
    except BaseException:
        store.close()
        raise
    return store


def _fetch_models(store: Store, uri: str, count: int, watcher: Watcher) -> None:
    """Bring the weights of the best trials here, as far as MLflow has them; the search needs none."""
    from .. import record

    runs = store.run_ids()
    for trial in best_first(store)[:count]:
        run_id = runs.get((trial.number, trial.attempt))
        try:
            if run_id is not None:
                record.fetch_model(uri, run_id, trial, model_file(store.folder, trial))
        except TrackingError as error:
            first = str(error).splitlines()[0]
            watcher.note(f"Warning: the model of trial {trial.number} is not here: {first}")


def _renamed(trial: Trial, name: str) -> Trial:
    """The same trial of a study that is called otherwise here; its files stayed where it ran."""
    outcome: Outcome | None = trial.outcome
    if outcome is None:
        return trial
    key = dataclasses.replace(outcome.key, study=name)
    return dataclasses.replace(trial, outcome=dataclasses.replace(outcome, key=key, model=None))


def _say_what_is_missing(trials: Sequence[Trial], recorded: Any, watcher: Watcher) -> None:
    if not recorded.ended:
        watcher.note(
            "Warning: MLflow shows this study as running. Make sure that it does not run elsewhere."
        )
    there = {trial.number for trial in trials}
    gone = sorted(set(range(max(there, default=-1))) - there)
    if gone:
        told = ", ".join(str(number) for number in gone[:6]) + (" …" if len(gone) > 6 else "")
        watcher.note(
            f"Warning: MLflow does not have trial {told}: the search goes on without what it "
            "learned there."
        )
