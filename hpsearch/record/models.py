"""The best models of a study in MLflow: logged with their trial, registered, and read back.

Everything goes through `MlflowClient`, so that no run of MLflow's fluent interface is opened, ended
or left active. The registered model has the name of the space and one version per study, that of
its best trial; the alias ``champion`` is given to a better model only.
"""

from __future__ import annotations

import contextlib
import math
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from ..errors import HpsearchError, TrackingError
from ..store import Store, without_passwords
from ..trial import Trial, digest_of
from . import content
from .content import Settings
from .tracking import PATIENT, connect, explained, first_line, missing_file
from .writing import folder_at_hand

__all__ = ["Champion", "Registered", "champion", "fetch_model", "log_model", "registered_name"]

MODEL = "data/model.keras"
"""Where MLflow's Keras flavour keeps the model itself."""

OURS = frozenset({"champion", "challenger"})
"""The aliases that are given here; any other is someone's own."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A logged model.

    Attributes:
        model_id: of the logged model.
        run_id: of the trial.
        name, version, alias: in the registry; None where it was logged only. The alias is
            ``"champion"`` or ``"challenger"``.
        reason: why that alias: ``"no other"``, ``"better"``, ``"not better"``, ``"not
            comparable"`` (another objective or other data than the champion's), ``"own"`` (the
            champion was the study's own earlier version), ``"known"`` (the version was there).
    """

    model_id: str
    run_id: str
    name: str | None = None
    version: str | None = None
    alias: str | None = None
    reason: str | None = None

    @property
    def uri(self) -> str:
        """What ``mlflow.keras.load_model`` takes."""
        if self.name is None:
            return f"models:/{self.model_id}"
        return f"models:/{self.name}" + (f"@{self.alias}" if self.alias else f"/{self.version}")


@dataclass(frozen=True, slots=True)
class Champion:
    """The champion on disk: its file to load, and the tags of its version."""

    file: Path
    version: str
    tags: dict[str, str]


def registered_name(space: str) -> str:
    """The name of a space in the registry, which refuses ``/`` and ``:``."""
    return re.sub(r"[/:]", "-", space).strip()[:250] or "model"


def log_model(
    uri: str,
    store: Store,
    trial: Trial,
    load: Callable[[], Any],
    sample: Any,
    *,
    file: Path | None = None,
    register: bool = True,
    metrics: Mapping[str, float] | None = None,
) -> Registered:
    """Log the model of an ended trial whose run was delivered, and register it.

    What was done before, for this study or before it was resumed, is not done again, but test
    metrics that were missing are added. The study's version of an earlier trial is deleted, unless
    someone has given it an alias of their own.

    Args:
        load: returns the uncompiled Keras model; called only if it has to be logged.
        sample: inputs as the model takes them: an array ``(n, ...)``, or a dict or list of them.
        file: the `.keras` file of the model, logged as it is, so that its digest stays what the
            trial's outcome says; None has Keras write another.
        register: False for the second best and following ones.
        metrics: its metrics on the test data; shown as ``test.accuracy`` and the like.

    Raises:
        TrackingError: the trial's run is not in MLflow, the model cannot be made, described or
            saved, or MLflow does not answer.
    """
    settings = cast(Settings, store.settings)
    run_id = store.run_ids().get((trial.number, trial.attempt))
    if run_id is None:
        raise TrackingError(
            f"A model is logged with the run of its trial, and trial {trial.number} of study "
            f"{store.name!r} has none yet. Call Recorder.flush first, and see Recorder.trouble."
        )
    facts = _facts(store, settings, trial)
    with PATIENT, explained(uri):
        client = connect(uri)
        run = client.get_run(run_id)
        logged = _logged(client, run)
    if logged is None:
        with tempfile.TemporaryDirectory(prefix="hpsearch-") as scratch:
            folder = Path(scratch) / "model"
            with _described(trial):
                _save(load(), sample, folder, file)
            with PATIENT, explained(uri):
                logged = client.get_logged_model(_log(client, run, folder, facts))
    model_id: str = logged.model_id
    there = {each.key for each in logged.metrics or ()}
    missing = [m for m in _metrics(trial, metrics or {}, run_id, model_id) if m.key not in there]
    with PATIENT, explained(uri):
        if missing:
            client.log_batch(run_id, missing)
        if not register:
            return Registered(model_id, run_id)
        return _register(client, run_id, model_id, settings, facts)


def champion(uri: str, space: str, folder: Path) -> Champion:
    """Download the champion of a space into `folder`.

    Raises:
        TrackingError: there is none, or MLflow does not answer.
    """
    from mlflow.exceptions import MlflowException

    name = registered_name(space)
    if missing_file(uri) is not None:
        raise _no_champion(uri, space)
    with PATIENT, explained(uri):
        client = connect(uri)
        try:
            version = client.get_model_version_by_alias(name, "champion")
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise _no_champion(uri, space) from error
        from mlflow.artifacts import download_artifacts

        # Not `models:/NAME@champion`, which is looked up in the registry of the fluent interface.
        source = client.get_model_version_download_uri(name, version.version)
        path = download_artifacts(source, dst_path=str(folder), tracking_uri=uri)
    return Champion(Path(path) / MODEL, str(version.version), dict(version.tags))


def _no_champion(uri: str, space: str) -> TrackingError:
    return TrackingError(
        f"The best model of a finished study is its space's champion, and {registered_name(space)!r} "
        f"has none in {without_passwords(uri)}. Run `hpsearch run {space}` first."
    )


def fetch_model(uri: str, run_id: str, trial: Trial, file: Path) -> bool:
    """Copy the model that was logged with the run of a trial into `file`; nothing of it is loaded.

    Returns:
        Whether there was one.

    Raises:
        TrackingError: it cannot be read, is not what the trial wrote, or MLflow does not answer.
    """
    written = None if trial.outcome is None else trial.outcome.digest
    with PATIENT, explained(uri):
        client = connect(uri)
        logged = _logged(client, client.get_run(run_id))
        if logged is None:
            return False
        from mlflow.artifacts import download_artifacts

        home = folder_at_hand(logged.artifact_location, uri, 4)
        # Not `models:/ID`, which is looked up in the store of the fluent interface.
        source = f"{home or logged.artifact_location}/{MODEL}"
        with tempfile.TemporaryDirectory(prefix="hpsearch-") as scratch:
            path = Path(download_artifacts(source, dst_path=scratch, tracking_uri=uri))
            if written is not None and digest_of(path) != written:
                raise TrackingError(f"somebody has replaced {source}, which the trial wrote")
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = file.with_suffix(".part")
            shutil.copyfile(path, draft)
            draft.replace(file)
    return True


def _facts(store: Store, settings: Settings, trial: Trial) -> dict[str, str]:
    """The tags of the version, by which two models are compared."""
    return {
        "hpsearch.study": store.name,
        "hpsearch.study_id": store.id,
        "hpsearch.number": str(trial.number),
        "hpsearch.attempt": str(trial.attempt),
        "hpsearch.digest": (trial.outcome and trial.outcome.digest) or "",
        "hpsearch.value": repr(trial.value),
        "hpsearch.objective": content.objective(settings),
        "hpsearch.data": str(settings.get("data", {}).get("digest") or ""),
        "hpsearch.fingerprint": settings.get("fingerprint", ""),
        "hpsearch.source": settings.get("source_digest") or "",
    }


def _metrics(trial: Trial, more: Mapping[str, float], run_id: str, model_id: str) -> list[Any]:
    """The model's own numbers; with the trial's time, so that its run gets none of them twice."""
    from mlflow.entities import Metric

    when = round((trial.ended or 0.0) * 1000)
    numbers = {"objective": content.rounded(trial.value)} | {
        f"test.{key}": value for key, value in more.items()
    }
    return [
        Metric(content.legal(key), float(value), when, 0, model_id=model_id, run_id=run_id)
        for key, value in numbers.items()
        if value is not None and math.isfinite(value)
    ]


def _logged(client: Any, run: Any) -> Any | None:
    """The model that was logged with this run, and is still there."""
    from mlflow.exceptions import MlflowException

    for each in run.outputs.model_outputs if run.outputs else ():
        try:
            return client.get_logged_model(each.model_id)
        except MlflowException as error:  # someone deleted it
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    return None


@contextlib.contextmanager
def _described(trial: Trial) -> Iterator[None]:
    """Turn what a user's model, Keras and MLflow raise while a model is saved into TrackingError."""
    try:
        yield
    except HpsearchError:
        raise
    except Exception as error:  # the code of the user's layers runs here
        raise TrackingError(
            f"A model is logged with the shapes of its inputs and outputs, and that of trial "
            f"{trial.number} could not be made or described: {first_line(error)}.\n"
            "The search and its weights are kept; give the model plain arrays, or a dict or list "
            "of them, as inputs and outputs."
        ) from error


def _save(model: Any, sample: Any, folder: Path, file: Path | None) -> None:
    """Write a model as MLflow's Keras flavour does, with its signature."""
    import mlflow.keras
    import numpy as np
    from mlflow.models import infer_signature

    inputs, outputs = _in_and_out(model, sample)
    # The requirements are given, as working them out takes MLflow a subprocess and 6 s.
    mlflow.keras.save_model(
        model,
        str(folder),
        signature=infer_signature(inputs, outputs),
        pip_requirements=_requirements(),
    )
    if file is not None:
        shutil.copyfile(file, folder / MODEL)
    # Not as `input_example`, which crashes for a Keras model in MLflow 3.17.2.
    np.savez(folder / "sample.npz", **(inputs if isinstance(inputs, dict) else {"x": inputs}))


def _log(client: Any, run: Any, folder: Path, facts: Mapping[str, str]) -> str:
    """Log a saved model under its trial's run and return its id."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.models import Model

    run_id, experiment_id = run.info.run_id, run.info.experiment_id
    logged = client.create_logged_model(
        experiment_id, name="model", source_run_id=run_id, tags=dict(facts), model_type="keras"
    )
    model_id: str = logged.model_id
    described = Model.load(str(folder))
    described.run_id, described.model_id = run_id, model_id
    described.save(str(folder / "MLmodel"))
    client.log_model_artifacts(model_id, str(folder))
    client.finalize_logged_model(model_id, LoggedModelStatus.READY)
    client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
    return model_id


def _register(
    client: Any, run_id: str, model_id: str, settings: Settings, facts: dict[str, str]
) -> Registered:
    from mlflow.exceptions import MlflowException

    name = registered_name(settings.get("space", ""))
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    holder = _alias(client, name, "champion")
    own = _versions(client, name, facts["hpsearch.study_id"])
    known = next((each for each in own if _trial_of(each.tags) == _trial_of(facts)), None)
    version = known or client.create_model_version(
        name,
        _source(client, model_id),
        run_id=run_id,
        tags={**facts, "hpsearch.model_id": model_id},
        model_id=model_id,
        await_creation_for=None,  # it is there; waiting for it prints a line
    )
    number = str(version.version)
    reason = _compare(facts, None if holder is None else holder.tags)
    if known and (reason not in ("no other", "own") or (holder and str(holder.version) == number)):
        reason = "known"
    if reason != "known":
        given = "challenger" if reason.startswith("not") else "champion"
        client.set_registered_model_alias(name, given, number)
    for each in own:  # one version per study; this comes last, as it takes their aliases away
        if str(each.version) != number and OURS.issuperset(each.aliases):
            client.delete_model_version(name, each.version)
    held = OURS.intersection(client.get_model_version(name, number).aliases)
    alias = min(held, default=None)  # "champion" comes first
    return Registered(model_id, run_id, name, number, alias, reason)


def _versions(client: Any, name: str, study_id: str) -> list[Any]:
    """The study's versions with their aliases, newest first; a search does not tell these."""
    quoted = name.replace("'", "\\'")
    found = client.search_model_versions(f"name = '{quoted}'")
    own = [each.version for each in found if each.tags.get("hpsearch.study_id") == study_id]
    return [client.get_model_version(name, version) for version in sorted(own, key=int)[::-1]]


def _trial_of(tags: Mapping[str, str]) -> tuple[str | None, str | None]:
    return tags.get("hpsearch.number"), tags.get("hpsearch.attempt")


def _source(client: Any, model_id: str) -> str:
    """Where a registered version finds its model."""
    if client.tracking_uri.startswith(("http://", "https://", "databricks")):
        return f"models:/{model_id}"
    # MLflow 3.17.2 looks that form up in the store of its fluent interface, not in the client's
    # (a TODO in `create_model_version` of its SQLAlchemy registry).
    location: str = client.get_logged_model(model_id).artifact_location
    return location


def _alias(client: Any, name: str, alias: str) -> Any | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None


def _compare(new: Mapping[str, str], old: Mapping[str, str] | None) -> str:
    """Why a new version is the champion or is not; see `Registered`."""
    if old is None:
        return "no other"
    if old.get("hpsearch.study_id") == new["hpsearch.study_id"]:
        return "own"
    if new["hpsearch.objective"] != old.get("hpsearch.objective") or not _same_data(new, old):
        return "not comparable"
    gain = float(new["hpsearch.value"]) - float(old["hpsearch.value"])
    if new["hpsearch.objective"].startswith("minimize"):
        gain = -gain
    return "better" if gain > 0 else "not better"


def _same_data(new: Mapping[str, str], old: Mapping[str, str]) -> bool:
    """Whether two models were judged on the same data, as far as can be known.

    A dataset has no digest, and neither has data that was not looked at. Then the space and the
    text of its file must be the same, as these say where the data comes from.
    """
    if new["hpsearch.data"] and old.get("hpsearch.data"):
        return new["hpsearch.data"] == old["hpsearch.data"]
    return all(
        new[key] and new[key] == old.get(key) for key in ("hpsearch.fingerprint", "hpsearch.source")
    )


def _in_and_out(model: Any, sample: Any) -> tuple[Any, Any]:
    """The first rows of the sample and what the model makes of them, as MLflow describes them.

    MLflow describes arrays and dicts of arrays; those of a list go by Keras's names for them, or by
    their place in a subclassed model, which has no names: ``input_0``, ``output_1``.
    """
    import keras
    import numpy as np

    inputs = keras.tree.map_structure(lambda part: np.asarray(part)[:2], sample)
    outputs = keras.tree.map_structure(keras.ops.convert_to_numpy, model(inputs, training=False))
    if isinstance(inputs, list | tuple):
        names = [part.name for part in getattr(model, "inputs", None) or ()]
        inputs = _named(names or [f"input_{i}" for i in range(len(inputs))], inputs)
    if isinstance(outputs, list | tuple):
        names = list(getattr(model, "output_names", None) or ())
        outputs = _named(names or [f"output_{i}" for i in range(len(outputs))], outputs)
    return inputs, outputs


def _named(names: Sequence[str], arrays: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(names, arrays, strict=True))


def _requirements() -> list[str]:
    import keras

    backend = keras.backend.backend()
    wanted = ["keras", "numpy", *([backend] if backend in ("tensorflow", "jax", "torch") else [])]
    return [f"{name}=={metadata.version(name)}" for name in wanted]
