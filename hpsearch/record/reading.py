"""A study read back from MLflow, as plain data: what a rebuilt study begins with.

Nothing that is read here is run. A trial is its ``trial.json``; params and metrics, which MLflow
cuts and rounds, are not asked.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from ..errors import TrackingError
from ..store import PARENT, without_passwords
from ..trial import Trial
from ..wire import from_json, outcome_of, why_of
from .runs import Pair, pages, pair_of
from .tracking import PATIENT, connect, explained, missing_file
from .writing import folder_at_hand

__all__ = ["Recorded", "read_space", "read_study", "read_trials"]


@final
@dataclass(frozen=True, slots=True)
class Recorded:
    """A study's own run.

    Attributes:
        id, name: the study's.
        settings: as the study store had them, with the experiment as it is called now.
        ended: whether MLflow has its end; otherwise it may still be running somewhere.
    """

    id: str
    name: str
    settings: dict[str, Any]
    run_id: str
    experiment_id: str
    ended: bool


def read_study(uri: str, run_id: str) -> Recorded:
    """Read the settings of the study whose own run is `run_id`.

    Raises:
        TrackingError: there is no such run, it is not a study's, or MLflow does not answer.
    """
    if (file := missing_file(uri)) is not None:
        raise TrackingError(
            f"A study is rebuilt from MLflow's record, and there is no file {file}. "
            "Say where MLflow is with --tracking-uri."
        )
    with PATIENT, explained(uri):
        client = connect(uri)
        run = _study_run(client, uri, run_id)
        text = _Files(client, uri).text(run, "study.json")
        experiment = client.get_experiment(run.info.experiment_id).name
    settings = _parsed(text, run, "study.json")
    return Recorded(
        str(settings.pop("id")),
        str(settings.pop("name", run.info.run_name)),
        settings | {"experiment": experiment},
        run.info.run_id,
        run.info.experiment_id,
        run.info.status != "RUNNING",
    )


def read_trials(uri: str, study: Recorded) -> tuple[list[Trial], dict[Pair, str]]:
    """Every attempt at every trial that MLflow has, in order, and the run of each.

    An attempt that was running, of which MLflow knows no more, is left out.

    Raises:
        TrackingError: what is there of a trial that ended cannot be read: a study is read back
            whole or not at all.
    """
    with PATIENT, explained(uri):
        client = connect(uri)
        files = _Files(client, uri)
        found: dict[Pair, Trial] = {}
        runs: dict[Pair, str] = {}
        for page in pages(client, study.experiment_id, study.id):
            for run in page:
                pair = pair_of(run)
                if run.data.tags.get("mlflow.parentRunId") != study.run_id or (
                    pair in runs and run.info.status == "RUNNING"
                ):
                    continue
                text = files.text(run, "trial.json")
                if text is None and run.info.status == "RUNNING":
                    continue
                found[pair] = _trial(text, run, "trial.json")
                runs[pair] = run.info.run_id
        parent = client.get_run(study.run_id)
        for name, text in files.folder(parent, "rejected"):
            trial = _trial(text, parent, name)
            found[trial.number, trial.attempt] = trial
    return [found[pair] for pair in sorted(found)], {**runs, PARENT: study.run_id}


def read_space(uri: str, study: Recorded) -> tuple[str, str] | None:
    """The name and the text of the study's space file, None for a study that had none."""
    source = study.settings.get("source")
    if not source:
        return None
    name = Path(source).name
    with PATIENT, explained(uri):
        client = connect(uri)
        text = _Files(client, uri).text(client.get_run(study.run_id), name)
    return None if text is None else (name, text)


@final
class _Files:
    """Reads artifacts of runs: from this machine's disk where they are there, else from MLflow."""

    def __init__(self, client: Any, uri: str) -> None:
        self._client = client
        self._uri = uri

    def text(self, run: Any, name: str) -> str | None:
        """The text of an artifact, None where there is none."""
        home = self._home(run)
        if home is not None:
            file = home / name
            return file.read_text(encoding="utf-8") if file.is_file() else None
        from mlflow.exceptions import MlflowException

        with tempfile.TemporaryDirectory(prefix="hpsearch-") as scratch:
            try:
                path = self._client.download_artifacts(run.info.run_id, name, scratch)
            except MlflowException as error:
                if int(error.get_http_status_code()) == 404:
                    return None
                raise
            return Path(path).read_text(encoding="utf-8")

    def folder(self, run: Any, name: str) -> Iterator[tuple[str, str | None]]:
        """The name and the text of each of our files in a folder of artifacts."""
        home = self._home(run)
        if home is not None:
            names = [f"{name}/{file.name}" for file in (home / name).glob("*.json")]
        else:
            names = [each.path for each in self._client.list_artifacts(run.info.run_id, name)]
        for each in sorted(names):
            if re.fullmatch(rf"{name}/\d+-\d+\.json", each):
                yield each, self.text(run, each)

    def _home(self, run: Any) -> Path | None:
        return folder_at_hand(run.info.artifact_uri, self._uri, 3)


def _study_run(client: Any, uri: str, run_id: str) -> Any:
    """The run of a study, refused where it is something else."""
    from mlflow.exceptions import MlflowException

    where = without_passwords(uri)
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise TrackingError(
            f"A study is rebuilt from its own run, and there is no run {run_id!r} in {where}. "
            "Its id stands on the run's page in MLflow; say where MLflow is with --tracking-uri."
        ) from error
    tags = run.data.tags
    if "hpsearch.study_id" not in tags:
        raise TrackingError(
            f"A study is rebuilt from its own run, and run {run_id!r} is not one that hpsearch "
            "made. Give the run that bears the study's name."
        )
    if "hpsearch.number" in tags:
        raise TrackingError(
            f"A study is rebuilt from its own run, and run {run_id!r} is one of its trials. "
            f"Give its parent: {tags.get('mlflow.parentRunId')}"
        )
    if run.info.lifecycle_stage != "active":
        raise TrackingError(
            f"A study is rebuilt from its own run, and run {run_id!r} was deleted in {where}. "
            f"Restore it: `mlflow runs restore --run-id {run_id}`."
        )
    return run


def _trial(text: str | None, run: Any, name: str) -> Trial:
    fields = _parsed(text, run, name)
    with _readable(run, name):
        outcome, why = fields.pop("outcome"), why_of(fields.pop("why", None))
        return Trial(**fields, outcome=None if outcome is None else outcome_of(outcome), why=why)


def _parsed(text: str | None, run: Any, name: str) -> dict[str, Any]:
    if text is None:
        raise TrackingError(
            f"A study is read back whole, and run {run.info.run_id} of it has no {name} in "
            f"{without_passwords(run.info.artifact_uri)}. Put its artifacts there."
        )
    with _readable(run, name):
        found: dict[str, Any] = from_json(text)
        if not isinstance(found, dict):
            raise TypeError("not an object")
    return found


@contextlib.contextmanager
def _readable(run: Any, name: str) -> Iterator[None]:
    try:
        yield
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise TrackingError(
            f"A study is read back whole, and {name} of run {run.info.run_id} is damaged: {error}. "
            "Restore that file of its artifacts."
        ) from error
