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
from .watch import Watcher, folder_option

__all__ = ["free_name", "rebuild"]


def free_name(folder: Path, wanted: str, id: str) -> str:
    """The name of a study to rebuild, if neither it nor another of that name is there yet.

    Two of one study would write to the same runs of MLflow.

    Args:
        folder: with the studies.
        id: the study's.

    Raises:
        StudyError: one of them is there, or `wanted` is not a name.
    """
    root, wanted = folder / "studies", check_name(wanted)
    there = studies(root)
    for name in there:
        if _id_of(root, name) == id:
            raise StudyError(
                f"This study is here already, as {name!r}. Go on with it: "
                f"hpsearch resume {name}{folder_option(folder)}"
            )
    if wanted in there:
        raise StudyError(
            f"Another study here is called {wanted!r}. Give this one another name: "
            f"--study {wanted}-again"
        )
    return wanted


def _id_of(root: Path, name: str) -> str | None:
    try:
        with Store.open(root, name, write=False) as store:
            return store.id
    except StudyError:  # damaged: whoever asks for it by name is told
        return None


def rebuild(
    recorded: Any, problem: Problem, options: Options, watcher: Watcher, source: Any
) -> Store:
    """Make the study of `recorded` anew: history, seed and settings from MLflow, code from here.

    Args:
        recorded: see `hpsearch.record.Recorded`; already found to have searched `problem`.
        source: the settings that tell where the space's file is here, and its text.

    Raises:
        StudyError: a study of that name is here.
        TrackingError: MLflow does not have it whole, or does not answer.
    """
    from .. import record

    name = free_name(options.folder, options.study or recorded.name, recorded.id)
    uri = record.tracking_uri(options.tracking_uri, options.folder)
    trials, runs = record.read_trials(uri, recorded)
    _say_what_is_missing(trials, recorded, watcher)
    settings = recorded.settings | {
        "state": "interrupted",
        "tracking_uri": uri if without_passwords(uri) == uri else None,
        **source,
        "logged": [],
        "offline": options.offline,
    }
    named = [_renamed(trial, name) for trial in trials]
    known = {(trial.number, trial.attempt) for trial in trials} | {PARENT}
    runs = {pair: run for pair, run in runs.items() if pair in known}
    root = options.folder / "studies"
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
    facts = {fact: value for fact, value in outcome.facts.items() if fact != "worker"}
    here = dataclasses.replace(outcome, key=key, model=None, facts=facts)
    return dataclasses.replace(trial, outcome=here)


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
