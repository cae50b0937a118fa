"""The best models of a study in MLflow: logged with their trial, registered, and read back.

Everything goes through `MlflowClient`, so that no run of MLflow's fluent interface is opened, ended
or left active. The registered model has the name of the space and one version per study; the alias
``champion`` is given to a better model only.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from hpsearch.errors import TrackingError
from hpsearch.record import content
from hpsearch.record.content import Settings
from hpsearch.record.tracking import connect, explained, patient
from hpsearch.store import Store
from hpsearch.trial import Trial

__all__ = ["Champion", "Registered", "champion", "log_model", "registered_name"]


@dataclass(frozen=True, slots=True)
class Registered:
    """A logged model.

    Attributes:
        model_id: of the logged model.
        run_id: of the trial.
        name, version, alias: in the registry; None where it was logged only. The alias is
            ``"champion"`` or ``"challenger"``.
        reason: why that alias: ``"no other"``, ``"better"``, ``"not better"``, ``"not
            comparable"`` (another objective or other data than the champion's), ``"known"`` (the
            version was there, and nothing was changed).
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
    register: bool = True,
    metrics: Mapping[str, float] | None = None,
) -> Registered:
    """Log the model of an ended trial whose run was delivered, and register it.

    A second call for the same trial, of this study or of it resumed, changes nothing.

    Args:
        load: returns the uncompiled Keras model; called only if it has to be logged.
        sample: inputs as the model takes them: an array ``(n, ...)``, or a dict or list of them.
        register: False for the second best and following ones.
        metrics: its metrics on the test data; shown as ``test.accuracy`` and the like.

    Raises:
        TrackingError: the trial's run is not in MLflow, or MLflow does not answer.
    """
    settings = cast(Settings, store.settings)
    run_id = store.run_ids().get((trial.number, trial.attempt))
    if run_id is None:
        raise TrackingError(
            f"A model is logged with the run of its trial, and trial {trial.number} of study "
            f"{store.name!r} has none yet. Call Recorder.flush first, and see Recorder.trouble."
        )
    facts = _facts(store, settings, trial)
    client = connect(uri)
    if register:
        with patient(), explained(uri):
            known = _known(client, facts, settings)
        if known is not None:
            return known
    with tempfile.TemporaryDirectory(prefix="hpsearch-") as scratch:
        folder = Path(scratch) / "model"
        _save(load(), sample, folder)
        with patient(), explained(uri):
            model_id = _log(client, client.get_run(run_id), folder, facts)
            client.log_batch(run_id, _metrics(trial, metrics or {}, run_id, model_id))
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
    with patient(), explained(uri):
        client = connect(uri)
        try:
            version = client.get_model_version_by_alias(name, "champion")
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise TrackingError(
                f"The best model of a finished study is its space's champion, and {name!r} has "
                f"none in {content.without_passwords(uri)}. Run `hpsearch run {space}` first."
            ) from error
        from mlflow.artifacts import download_artifacts

        # Not `models:/NAME@champion`, which is looked up in the registry of the fluent interface.
        source = client.get_model_version_download_uri(name, version.version)
        path = download_artifacts(source, dst_path=str(folder), tracking_uri=uri)
    return Champion(Path(path) / "data" / "model.keras", str(version.version), dict(version.tags))


def _facts(store: Store, settings: Settings, trial: Trial) -> dict[str, str]:
    """The tags of the version, by which two models are compared."""
    return {
        "hpsearch.study": store.name,
        "hpsearch.study_id": store.id,
        "hpsearch.number": str(trial.number),
        "hpsearch.attempt": str(trial.attempt),
        "hpsearch.value": repr(trial.value),
        "hpsearch.objective": content.objective(settings),
        "hpsearch.data": str(settings.get("data", {}).get("digest") or ""),
        "hpsearch.fingerprint": settings.get("fingerprint", ""),
    }


def _metrics(trial: Trial, more: Mapping[str, float], run_id: str, model_id: str) -> list[Any]:
    """The model's own numbers; with the trial's time, so that its run gets none of them twice."""
    from mlflow.entities import Metric

    when = round((trial.ended or 0.0) * 1000)
    numbers = {"objective": trial.value} | {f"test.{key}": value for key, value in more.items()}
    return [
        Metric(content.legal(key), float(value), when, 0, model_id=model_id, run_id=run_id)
        for key, value in numbers.items()
        if value is not None and math.isfinite(value)
    ]


def _known(client: Any, facts: Mapping[str, str], settings: Settings) -> Registered | None:
    """The version that this trial has already."""
    name = registered_name(settings.get("space", ""))
    same = ("hpsearch.study_id", "hpsearch.number", "hpsearch.attempt")
    quoted = name.replace("'", "\\'")
    for each in client.search_model_versions(f"name = '{quoted}'"):
        if all(each.tags.get(key) == facts[key] for key in same):
            version = client.get_model_version(name, each.version)
            alias = min(version.aliases, default=None)  # "champion" comes before "challenger"
            model_id = version.tags["hpsearch.model_id"]
            return Registered(model_id, version.run_id, name, str(each.version), alias, "known")
    return None


def _save(model: Any, sample: Any, folder: Path) -> None:
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
    version = client.create_model_version(
        name,
        _source(client, model_id),
        run_id=run_id,
        tags={**facts, "hpsearch.model_id": model_id},
        model_id=model_id,
    )
    reason = _compare(facts, None if holder is None else holder.tags)
    alias = "champion" if reason in ("no other", "better") else "challenger"
    client.set_registered_model_alias(name, alias, version.version)
    return Registered(model_id, run_id, name, str(version.version), alias, reason)


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
    if old is None:
        return "no other"
    if any(new[key] != old.get(key) for key in ("hpsearch.objective", "hpsearch.data")):
        return "not comparable"
    gain = float(new["hpsearch.value"]) - float(old["hpsearch.value"])
    if new["hpsearch.objective"].startswith("minimize"):
        gain = -gain
    return "better" if gain > 0 else "not better"


def _in_and_out(model: Any, sample: Any) -> tuple[Any, Any]:
    """The first rows of the sample and what the model makes of them, as MLflow describes them.

    MLflow describes arrays and dicts of arrays; those of a list go by Keras's names for them.
    """
    import keras
    import numpy as np

    inputs = keras.tree.map_structure(lambda part: np.asarray(part)[:2], sample)
    outputs = keras.tree.map_structure(keras.ops.convert_to_numpy, model(inputs, training=False))
    if isinstance(inputs, list | tuple):
        inputs = {part.name: array for part, array in zip(model.inputs, inputs, strict=True)}
    if isinstance(outputs, list | tuple):
        outputs = dict(zip(model.output_names, outputs, strict=True))
    return inputs, outputs


def _requirements() -> list[str]:
    import keras

    backend = keras.backend.backend()
    wanted = ["keras", "numpy", *([backend] if backend in ("tensorflow", "jax", "torch") else [])]
    return [f"{name}=={metadata.version(name)}" for name in wanted]
